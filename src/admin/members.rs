//! Reads the members of an operation out of a query or a JSON object. Unknown names and wrong types
//! are refused, because a misspelt filter would be a wrong answer.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{AdminError, Operation};

/// The least likeness of two names at which one is taken for a misspelling of the other
/// (Jaro-Winkler, 0 to 1).
const MIN_LIKENESS: f64 = 0.8;

/// A member that an operation may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub name: &'static str,
    pub kind: Kind,
}

/// The type of a member's value. In a query all values are texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    /// A text such as `30k`, or a whole number.
    Amount,
    Flag,
    /// A list of strings.
    List,
    /// A list of objects with these members.
    Entries(&'static [Member]),
    Object,
}

impl Member {
    #[must_use]
    pub const fn text(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Text,
        }
    }

    #[must_use]
    pub const fn number(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Number,
        }
    }

    #[must_use]
    pub const fn amount(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Amount,
        }
    }

    #[must_use]
    pub const fn flag(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Flag,
        }
    }

    #[must_use]
    pub const fn list(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::List,
        }
    }

    #[must_use]
    pub const fn entries(name: &'static str, members: &'static [Member]) -> Self {
        Self {
            name,
            kind: Kind::Entries(members),
        }
    }

    #[must_use]
    pub const fn object(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Object,
        }
    }
}

/// Reads an operation from a query. If a parameter is repeated, the last one counts.
///
/// # Errors
/// [`AdminError`] names the parameter that is unknown or has a wrong value.
pub fn of_query<O: Operation>(query: &str) -> Result<O, AdminError> {
    of_query_members(query, O::MEMBERS)
}

/// Reads a value of such members from a query, as [`of_query`] does.
///
/// # Errors
/// The errors of [`of_query`].
pub fn of_query_members<T: DeserializeOwned>(
    query: &str,
    known_members: &'static [Member],
) -> Result<T, AdminError> {
    let mut members = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let member = known(known_members, &name, "query parameter")?;
        let value = match member.kind {
            Kind::Text | Kind::Amount => Value::from(value.into_owned()),
            Kind::Flag => flag(member.name, &value)?,
            Kind::Number => match value.trim().parse::<i64>() {
                Ok(number) => Value::from(number),
                Err(_) => return Err(wrong_type(*member)),
            },
            Kind::List | Kind::Entries(_) | Kind::Object => return Err(wrong_type(*member)),
        };
        members.insert(member.name.to_owned(), value);
    }
    finish(members)
}

/// Reads an operation from a JSON object. A member that is null counts as missing, unless it is a
/// text for which null has a meaning.
///
/// # Errors
/// [`AdminError`] names the member that is unknown or has a wrong value.
pub fn of_body<O: Operation>(body: &[u8]) -> Result<O, AdminError> {
    let mut members: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        // The message of serde may quote the body, and the body may contain a key.
        let (line, column) = (error.line(), error.column());
        AdminError::NotAnObject(format!(
            "The body must be a JSON object (problem at line {line}, column {column})."
        ))
    })?;
    check(&members, O::MEMBERS)?;
    members.retain(|name, value| {
        let may_be_null = |member: &Member| member.name == name && member.kind == Kind::Text;
        !value.is_null() || O::MEMBERS.iter().any(may_be_null)
    });
    finish(members)
}

/// Checks the names and the types of members.
fn check(members: &Map<String, Value>, known_members: &'static [Member]) -> Result<(), AdminError> {
    for (name, value) in members {
        let member = known(known_members, name, "member")?;
        let fits = match (member.kind, value) {
            (_, Value::Null) => true,
            (Kind::Text, value) => value.is_string(),
            (Kind::Number, value) => value.is_i64(),
            (Kind::Amount, value) => value.is_string() || value.is_i64(),
            (Kind::Flag, value) => value.is_boolean(),
            (Kind::List, Value::Array(items)) => items.iter().all(Value::is_string),
            (Kind::Entries(of_entry), Value::Array(entries)) => {
                check_entries(*member, of_entry, entries)?;
                true
            }
            (Kind::List | Kind::Entries(_), _) => false,
            (Kind::Object, value) => value.is_object(),
        };
        if !fits {
            return Err(wrong_type(*member));
        }
    }
    Ok(())
}

fn check_entries(
    member: Member,
    of_entry: &'static [Member],
    entries: &[Value],
) -> Result<(), AdminError> {
    for (index, entry) in entries.iter().enumerate() {
        let place = index + 1;
        let Value::Object(entry) = entry else {
            let message = format!("entry {place}: it must be an object");
            return Err(AdminError::field(member.name, message));
        };
        check(entry, of_entry).map_err(|error| match error {
            AdminError::Field { message, .. } => {
                AdminError::field(member.name, format!("entry {place}: {message}"))
            }
            AdminError::UnknownMember(message) => {
                AdminError::UnknownMember(format!("entry {place}: {message}"))
            }
            other => other,
        })?;
    }
    Ok(())
}

fn finish<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, AdminError> {
    // Names and types were checked before.
    serde_json::from_value(Value::Object(members))
        .map_err(|error| AdminError::UnknownMember(error.to_string()))
}

fn flag(name: &'static str, text: &str) -> Result<Value, AdminError> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(Value::Bool(true)),
        "false" | "0" | "no" | "off" => Ok(Value::Bool(false)),
        _ => Err(AdminError::field(
            name,
            format!("{name} must be true or false"),
        )),
    }
}

fn wrong_type(member: Member) -> AdminError {
    let name = member.name;
    let what = match member.kind {
        Kind::Text => "a string",
        Kind::Number => "a whole number",
        Kind::Amount => "a whole number or a text such as \"30k\"",
        Kind::Flag => "true or false",
        Kind::List => "a list of strings",
        Kind::Entries(_) => "a list of objects",
        Kind::Object => "an object",
    };
    AdminError::field(name, format!("{name} must be {what}"))
}

fn known(
    known_members: &'static [Member],
    name: &str,
    noun: &str,
) -> Result<&'static Member, AdminError> {
    let found = known_members.iter().find(|member| member.name == name);
    found.ok_or_else(|| {
        let shown: String = name.chars().take(60).collect();
        let names = known_members.iter().map(|member| member.name);
        let advice = match closest(name, names.clone()) {
            Some(close) => format!("did you mean {close:?}?"),
            None if known_members.is_empty() => "there are none here".to_owned(),
            None => format!("known are {}", names.collect::<Vec<_>>().join(", ")),
        };
        AdminError::UnknownMember(format!("unknown {noun} {shown:?}: {advice}"))
    })
}

/// Returns the known name that a text is most likely a misspelling of, if any is close.
pub fn closest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(&text.to_lowercase(), &name.to_lowercase());
    let ranked = known.into_iter().map(|name| (likeness(name), name));
    let best = ranked.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness >= MIN_LIKENESS)
        .map(|(_, name)| name)
}

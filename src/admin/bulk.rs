//! The operation that adds many users at once: all or none, with every mistake named.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    AdminContext, AdminError, Member, Method, Operation,
    fields::user_name,
    limit_changes::{LimitChanges, with_limits},
    users::KeyOptions,
};
use crate::{
    model::{ApiKey, Calendar, KeyHash},
    store::{
        keys::IssuedKey,
        users::{self, NewUser},
    },
};

/// The most users that one request adds.
const MAX_USERS: usize = 100_000;
/// The most mistakes that are listed.
const MAX_MISTAKES: usize = 20;

/// Adds several users: all or none.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct AddUsers {
    #[serde(default)]
    pub users: Vec<UserLine>,
}

/// A user who is to be added.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UserLine {
    #[serde(default, deserialize_with = "or_empty")]
    pub username: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(flatten)]
    pub options: KeyOptions,
    #[serde(flatten)]
    pub limits: LimitChanges,
    /// The line of the file that it comes from, for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<i64>,
}

/// The keys of new users, in the order in which they were given.
#[derive(Debug, Serialize, Deserialize)]
pub struct IssuedKeys {
    pub users: Vec<IssuedKey>,
}

const LINE_MEMBERS: &[Member] = with_limits![
    Member::text("username"),
    Member::text("group"),
    Member::text("key"),
    Member::text("label"),
    Member::text("expires"),
    Member::number("line"),
];

impl Operation for AddUsers {
    type Answer = IssuedKeys;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/add_users";
    const MEMBERS: &'static [Member] = &[Member::entries("users", LINE_MEMBERS)];
    /// 100,000 users have less.
    const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

    fn run(self, context: &AdminContext) -> Result<IssuedKeys, AdminError> {
        if self.users.is_empty() {
            return Err(AdminError::missing("users"));
        }
        if self.users.len() > MAX_USERS {
            let message = format!("users must have at most {MAX_USERS} entries");
            return Err(AdminError::field("users", message));
        }
        let places: Vec<String> = self
            .users
            .iter()
            .enumerate()
            .map(|(index, user)| match user.line {
                Some(line) => format!("line {line}"),
                None => format!("entry {}", index + 1),
            })
            .collect();
        let mut mistakes: Vec<(usize, String)> = Vec::new();
        let mut new = Vec::with_capacity(self.users.len());
        let mut origins = Vec::with_capacity(self.users.len());
        let mut seen = Seen::default();
        for (index, line) in self.users.into_iter().enumerate() {
            let user = match line.parse(&context.calendar) {
                Ok(user) => user,
                Err(error) => {
                    mistakes.push((index, error.to_string()));
                    continue;
                }
            };
            if let Some(message) = seen.find(&user, index, &places) {
                mistakes.push((index, message));
                continue;
            }
            new.push(user);
            origins.push(index);
        }
        // The database is asked even so, so that all mistakes are named at once.
        let is_complete = mistakes.is_empty();
        let mut connection = context.connection()?;
        let refused = if is_complete {
            match users::add(&mut connection, new, context.key_storage)? {
                Ok(users) => return Ok(IssuedKeys { users }),
                Err(refused) => refused,
            }
        } else {
            users::check(&mut connection, &new)?
        };
        let of_store = refused
            .into_iter()
            .map(|(place, error)| (origins[place], error.to_string()));
        mistakes.extend(of_store);
        mistakes.sort_by_key(|(index, _)| *index);
        let more = mistakes.len().saturating_sub(MAX_MISTAKES);
        let mut lines: Vec<String> = mistakes
            .into_iter()
            .take(MAX_MISTAKES)
            .map(|(index, message)| format!("{}: {message}", places[index]))
            .collect();
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        Err(AdminError::Entries(lines))
    }
}

/// Names and keys of the entries so far, with their places.
#[derive(Default)]
struct Seen {
    names: HashMap<String, usize>,
    keys: HashMap<KeyHash, usize>,
}

impl Seen {
    /// Says in which entry before this one the same name or key is, or remembers this one.
    fn find(&mut self, user: &NewUser, index: usize, places: &[String]) -> Option<String> {
        let name = user.name.as_str();
        if let Some(first) = self.names.get(name) {
            return Some(format!("username {name:?} is in {} too", places[*first]));
        }
        let hash = user.key.key.as_ref().map(ApiKey::hash);
        if let Some(first) = hash.and_then(|hash| self.keys.get(&hash)) {
            return Some(format!("this key is in {} too", places[*first]));
        }
        self.names.insert(name.to_owned(), index);
        self.keys.extend(hash.map(|hash| (hash, index)));
        None
    }
}

impl UserLine {
    fn parse(self, calendar: &Calendar) -> Result<NewUser, AdminError> {
        let limits = self.limits.parse(calendar)?;
        Ok(NewUser {
            name: user_name("username", &self.username)?,
            group: self.group.filter(|group| !group.trim().is_empty()),
            key: self.options.parse(calendar)?,
            limits: limits.set,
            extra: limits.extra,
        })
    }
}

/// Reads a text for which null is as good as missing.
fn or_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

//! Limits as an operator writes them, wherever a user or a group is set up.

use crate::store::sql::Connection;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{AdminError, fields::end_ms};
use crate::{
    limits::LimitTable,
    model::{Calendar, Extra, Limit, LimitError, LimitKind, LimitScope},
    store::{StoreError, limits},
};

/// The word that removes a limit.
const NONE: &str = "none";

/// Limits that are to be set, as an operator writes them; `none` removes one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitChanges {
    /// Budgets such as `20usd/month`. `none` removes all that were set before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget: Vec<String>,
    #[serde(
        default,
        deserialize_with = "amount",
        skip_serializing_if = "Option::is_none"
    )]
    pub requests_per_minute: Option<String>,
    #[serde(
        default,
        deserialize_with = "amount",
        skip_serializing_if = "Option::is_none"
    )]
    pub tokens_per_minute: Option<String>,
    #[serde(
        default,
        deserialize_with = "amount",
        skip_serializing_if = "Option::is_none"
    )]
    pub concurrent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny_models: Option<String>,
    #[serde(
        default,
        deserialize_with = "amount",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_output_tokens: Option<String>,
    #[serde(
        default,
        deserialize_with = "amount",
        skip_serializing_if = "Option::is_none"
    )]
    pub weight: Option<String>,
    /// `allow` or `refuse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpriced: Option<String>,
    /// The limits that are set refuse nothing and only count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<bool>,
    /// What raises budgets until a time, such as `20usd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Lists members of an operation, with those of [`LimitChanges`] behind them.
macro_rules! with_limits {
    ($($member:expr),* $(,)?) => {
        &[
            $($member,)*
            Member::list("budget"),
            Member::amount("requests_per_minute"),
            Member::amount("tokens_per_minute"),
            Member::amount("concurrent"),
            Member::text("models"),
            Member::text("deny_models"),
            Member::amount("max_output_tokens"),
            Member::amount("weight"),
            Member::text("unpriced"),
            Member::flag("watch"),
            Member::text("extra"),
            Member::text("until"),
        ]
    };
}
pub(super) use with_limits;

impl LimitChanges {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Changes the limits of a subject: all or none of the changes are made.
    ///
    /// # Errors
    /// [`AdminError`] names the limit that cannot be read.
    pub fn apply(
        &self,
        connection: &mut Connection,
        scope: LimitScope,
        calendar: &Calendar,
    ) -> Result<(), AdminError> {
        let parsed = self.parse(calendar)?;
        let transaction = connection.write().map_err(StoreError::from)?;
        parsed.write(&transaction, scope)?;
        if let Some(extra) = &parsed.extra {
            check_raises(&transaction, scope, extra)?;
        }
        transaction.commit().map_err(StoreError::from)?;
        Ok(())
    }

    /// Reads all changes.
    ///
    /// # Errors
    /// [`AdminError`] names the limit that cannot be read.
    pub fn parse(&self, calendar: &Calendar) -> Result<ParsedChanges, AdminError> {
        let is_watched = self.watch.unwrap_or(false);
        let mut parsed = ParsedChanges::default();
        for text in &self.budget {
            if is_none(text) {
                parsed.removes_budgets = true;
                continue;
            }
            let limit: Limit = text.parse().map_err(|error| named("budget", &error))?;
            parsed.set.push(Limit {
                is_watched,
                ..limit
            });
        }
        let singles = [
            (LimitKind::RequestsPerMinute, &self.requests_per_minute),
            (LimitKind::TokensPerMinute, &self.tokens_per_minute),
            (LimitKind::Concurrent, &self.concurrent),
            (LimitKind::Models, &self.models),
            (LimitKind::DenyModels, &self.deny_models),
            (LimitKind::MaxOutputTokens, &self.max_output_tokens),
            (LimitKind::Weight, &self.weight),
            (LimitKind::AllowUnpriced, &self.unpriced),
        ];
        for (kind, text) in singles {
            match text {
                None => {}
                Some(text) if is_none(text) => parsed.removed.push(kind),
                Some(text) => {
                    let limit = Limit::parse(kind, text, is_watched);
                    parsed
                        .set
                        .push(limit.map_err(|error| named(kind.name(), &error))?);
                }
            }
        }
        match (&self.extra, &self.until) {
            (Some(extra), None) if is_none(extra) => parsed.removes_extras = true,
            (Some(extra), Some(until)) => {
                let until_ms = end_ms("until", until, calendar)?;
                let extra = Extra::parse(extra, until_ms);
                parsed.extra = Some(extra.map_err(|error| named("extra", &error))?);
            }
            (Some(_), None) => {
                let message = "until is missing: say how long extra holds";
                return Err(AdminError::field("until", message));
            }
            (None, Some(_)) => return Err(AdminError::missing("extra")),
            (None, None) => {}
        }
        if self.watch.is_some() && parsed.set.is_empty() {
            let message = "watch needs a limit that is set with it";
            return Err(AdminError::field("watch", message));
        }
        Ok(parsed)
    }
}

/// Changes of limits that can be made.
#[derive(Debug, Clone, Default)]
pub struct ParsedChanges {
    pub set: Vec<Limit>,
    removed: Vec<LimitKind>,
    removes_budgets: bool,
    pub extra: Option<Extra>,
    removes_extras: bool,
}

impl ParsedChanges {
    /// Makes the changes, in the caller's transaction.
    ///
    /// # Errors
    /// If the database fails.
    pub(super) fn write(
        &self,
        connection: &Connection,
        scope: LimitScope,
    ) -> Result<(), StoreError> {
        if self.removes_budgets {
            limits::remove_budgets(connection, scope)?;
        }
        for kind in &self.removed {
            limits::remove(connection, scope, *kind)?;
        }
        for limit in &self.set {
            limits::set(connection, scope, limit)?;
        }
        if self.removes_extras {
            limits::remove_extras(connection, scope)?;
        }
        if let Some(extra) = &self.extra {
            limits::add_extra(connection, scope, extra)?;
        }
        Ok(())
    }
}

/// Checks that an extra raises a budget: it would be shown nowhere else.
fn check_raises(
    connection: &Connection,
    scope: LimitScope,
    extra: &Extra,
) -> Result<(), AdminError> {
    let read = limits::read_all(connection)?;
    let raises = match scope {
        LimitScope::User(id) => {
            let table = LimitTable::new(&read.users, &read.subjects);
            let rules = table.of_user(id);
            rules.is_some_and(|rules| rules.budgets.iter().any(|rule| rule.extras.contains(extra)))
        }
        LimitScope::Group(_) | LimitScope::Everybody => {
            let subjects = read
                .subjects
                .iter()
                .filter(|subject| subject.scope == scope);
            let mut limits = subjects.flat_map(|subject| &subject.limits);
            limits.any(|limit| match limit.kind {
                LimitKind::Budget(unit, window) => extra.is_for(unit, window),
                _ => false,
            })
        }
    };
    if raises {
        return Ok(());
    }
    let unit = extra.unit.as_str();
    let window = extra
        .window
        .map_or_else(String::new, |window| format!(" a {}", window.as_str()));
    let message =
        format!("extra raises nothing: there is no budget in {unit}{window}; set one first");
    Err(AdminError::field("extra", message))
}

fn is_none(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case(NONE)
}

fn named(field: &'static str, error: &LimitError) -> AdminError {
    AdminError::field(field, format!("{field} {error}"))
}

/// Reads a text, or a whole number as text.
fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Option::<serde_json::Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(serde_json::Value::String(text)) => Ok(Some(text)),
        Some(serde_json::Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(de::Error::custom("no amount")),
    }
}

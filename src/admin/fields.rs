//! Checks of members that several operations have.

use serde::Deserialize;

use super::AdminError;
use crate::model::{Calendar, NameError, UserName, now_ms};

/// The longest label of a key, in characters.
const MAX_LABEL_CHARS: usize = 128;

/// Returns the value of a member that must be there.
pub(super) fn required(name: &'static str, value: Option<String>) -> Result<String, AdminError> {
    value.ok_or_else(|| AdminError::missing(name))
}

/// Checks the name of a new user or group, and calls it by the member.
pub(super) fn user_name(field: &'static str, text: &str) -> Result<UserName, AdminError> {
    UserName::parse(text)
        .map_err(|error: NameError| AdminError::field(field, format!("{field} {error}")))
}

/// Checks the label of a key.
pub(super) fn label(field: &'static str, text: &str) -> Result<String, AdminError> {
    let label = text.trim();
    if label.chars().any(crate::model::is_unprintable) {
        let message = format!("{field} must not contain control characters");
        return Err(AdminError::field(field, message));
    }
    if label.chars().count() > MAX_LABEL_CHARS {
        let message = format!("{field} must have at most {MAX_LABEL_CHARS} characters");
        return Err(AdminError::field(field, message));
    }
    Ok(label.to_owned())
}

/// Reads the end of a key, which must be in the future.
pub(super) fn end_ms(
    field: &'static str,
    text: &str,
    calendar: &Calendar,
) -> Result<i64, AdminError> {
    let now_ms = now_ms();
    let end_ms = calendar.parse_end_ms(text, now_ms).ok_or_else(|| {
        let message = format!(
            "{field} must be an age such as 90d, or a time such as 2027-03-31 or 2027-03-31T18:00:00Z"
        );
        AdminError::field(field, message)
    })?;
    if end_ms <= now_ms {
        let message = format!("{field} is in the past");
        return Err(AdminError::field(field, message));
    }
    Ok(end_ms)
}

/// Reads a member for which null has a meaning: `Some(None)`.
#[allow(clippy::option_option)] // Missing, null and a text are three things.
pub(super) fn nullable<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

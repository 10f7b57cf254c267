//! Users and the rule for their names.

use crate::model::{ApiKey, KeyHash, format_utc};

/// The longest user name, in characters.
const MAX_CHARS: usize = 128;

/// A user as the database holds it.
#[derive(Debug, Clone)]
pub struct User {
    pub id: i64,
    pub username: String,
    /// The complete key, or a masked one if only hashes are kept.
    pub api_key: ApiKey,
    pub key_hash: KeyHash,
    /// Unix time in milliseconds.
    pub created_at_ms: i64,
    /// `false` once the key is forbidden.
    pub is_active: bool,
}

impl User {
    /// UTC in ISO 8601, whole seconds: always of the same form.
    #[must_use]
    pub fn created_at(&self) -> String {
        format_utc(self.created_at_ms.div_euclid(1000) * 1000)
    }
}

/// A valid user name: 1 to 128 characters, trimmed, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

/// Why a text is no user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("username must not be empty")]
    Empty,
    #[error("username must have at most {MAX_CHARS} characters")]
    TooLong,
    #[error("username must not contain control characters")]
    Control,
}

impl UserName {
    /// Trims and checks a name.
    ///
    /// # Errors
    /// [`NameError`] says which rule the name breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = text.trim();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.chars().any(is_unprintable) {
            return Err(NameError::Control);
        }
        if name.chars().count() > MAX_CHARS {
            return Err(NameError::TooLong);
        }
        Ok(Self(name.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, and the invisible ones that reorder or break a line of a table or log
/// (Unicode's bidirectional controls and line separators).
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_trimmed_and_kept_as_it_is() {
        assert_eq!(
            UserName::parse("  Ana María ").unwrap().as_str(),
            "Ana María"
        );
        assert!(UserName::parse(&"x".repeat(128)).is_ok());
    }

    #[test]
    fn empty_long_and_control_names_are_refused() {
        assert_eq!(UserName::parse(" \t"), Err(NameError::Empty));
        assert_eq!(UserName::parse(&"é".repeat(129)), Err(NameError::TooLong));
        assert_eq!(UserName::parse("a\u{7}b"), Err(NameError::Control));
        assert_eq!(UserName::parse("a\u{202e}b"), Err(NameError::Control));
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_an_error(text in "\\s?.{0,140}\\s?") {
            crate::properties::settings(format!("username={text}").as_bytes());
        }
    }
}

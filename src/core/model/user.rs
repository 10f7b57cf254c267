//! The rule for the names of users and groups.

use super::ApiKey;

/// The longest name, in characters.
const MAX_CHARS: usize = 128;

/// A valid name of a user or a group: 1 to 128 visible characters, trimmed, that no table or command
/// takes for something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

/// Why a text is no name. Each completes the noun, as in "username must not be empty".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("must not be empty")]
    Empty,
    #[error("must have at most {MAX_CHARS} characters")]
    TooLong,
    #[error("must not contain control characters")]
    Control,
    #[error(
        "contains an invisible character (U+{0:04X}), so that it would look like another name; write it without"
    )]
    Invisible(u32),
    #[error("must not be TOTAL or -, which tables of costs use")]
    Reserved,
    #[error("looks like a key; choose a name that does not begin with llmp-")]
    Key,
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
        if let Some(invisible) = name.chars().find(|c| is_invisible(*c)) {
            return Err(NameError::Invisible(u32::from(invisible)));
        }
        if name.chars().count() > MAX_CHARS {
            return Err(NameError::TooLong);
        }
        if name == "-" || name.eq_ignore_ascii_case("total") {
            return Err(NameError::Reserved);
        }
        if ApiKey::looks_like_one(&name.to_ascii_lowercase()) {
            return Err(NameError::Key);
        }
        Ok(Self(name.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether a character cannot be seen, or looks like the usual space without being one
/// (Unicode's `Default_Ignorable_Code_Point` and white space).
fn is_invisible(c: char) -> bool {
    c.is_whitespace() && c != ' '
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}'
                | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Control characters, and the invisible ones that reorder or break a line of a table or log
/// (Unicode's bidirectional controls and line separators).
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns what lists call a user who was removed by hand.
#[must_use]
pub fn name_of_removed(user_id: i64) -> String {
    format!("(deleted user {user_id})")
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

    #[test]
    fn names_that_look_like_something_else_are_refused() {
        for name in ["TOTAL", "total", "-"] {
            assert_eq!(UserName::parse(name), Err(NameError::Reserved), "{name}");
        }
        assert_eq!(UserName::parse("llmp-0123"), Err(NameError::Key));
        assert_eq!(UserName::parse("LLMP-0123"), Err(NameError::Key));
        for name in [
            "al\u{200b}ice",
            "alice\u{ad}",
            "ali\u{a0}ce",
            "a\u{fe0f}",
            "a\u{3000}b",
        ] {
            let refused = UserName::parse(name);
            assert!(
                matches!(refused, Err(NameError::Invisible(_))),
                "{name:?}: {refused:?}"
            );
        }
        assert!(UserName::parse("total recall").is_ok());
        assert!(UserName::parse("--").is_ok());
        assert_eq!(
            UserName::parse("a\u{200b}").unwrap_err().to_string(),
            "contains an invisible character (U+200B), so that it would look like another name; write it without"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_an_error(text in "\\s?.{0,140}\\s?") {
            crate::properties::texts(format!("username={text}").as_bytes());
        }
    }
}

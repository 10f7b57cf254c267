//! Names of other programs, made acceptable where the rules of [`UserName`] refuse them.

use crate::model::{ApiKey, NameError, UserName, is_unprintable};

/// The longest name and label, in characters.
const MAX_CHARS: usize = 128;

/// Returns a name, and whether it had to be changed: characters that cannot be seen become `_`, a
/// long name is cut, and one that cannot be used at all is replaced by `instead`.
pub fn name_of(text: &str, instead: impl FnOnce() -> String) -> Option<(UserName, bool)> {
    if let Ok(name) = UserName::parse(text) {
        return Some((name, false));
    }
    let clean: String = text
        .trim()
        .chars()
        .take(MAX_CHARS)
        .map(|c| if is_usable(c) { c } else { '_' })
        .collect();
    let changed = match UserName::parse(&clean) {
        Err(NameError::Reserved) => UserName::parse(&format!("{}_", clean.trim())),
        other => other,
    };
    let name = changed.or_else(|_| UserName::parse(&instead())).ok()?;
    Some((name, true))
}

fn is_usable(c: char) -> bool {
    c == ' ' || UserName::parse(&format!("x{c}x")).is_ok()
}

/// Returns a label for a key; `None` for one that says nothing.
pub(super) fn label_of(text: &str) -> Option<String> {
    let visible = text.trim().chars().filter(|c| !is_unprintable(*c));
    let label: String = visible.take(MAX_CHARS).collect();
    // A label that is a key would be shown by every list.
    let is_key = ApiKey::looks_like_one(&label.to_ascii_lowercase());
    (!label.is_empty() && !is_key).then_some(label)
}

/// Returns the name of a model as the ledger keeps those of its own requests.
pub(super) fn model_of(text: &str) -> String {
    const MAX_MODEL_CHARS: usize = 200;
    let chars = text.trim().chars().take(MAX_MODEL_CHARS);
    let replaced = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    let model: String = chars.map(replaced).collect();
    if model.is_empty() {
        "unknown".to_owned()
    } else {
        model
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_are_made_acceptable() {
        let long = "x".repeat(200);
        let cut = "x".repeat(128);
        for (text, name, is_changed) in [
            ("alice", "alice", false),
            ("  Ana María ", "Ana María", false),
            ("a\u{7}b\u{200b}c", "a_b_c", true),
            (long.as_str(), cut.as_str(), true),
            ("TOTAL", "TOTAL_", true),
            ("", "user-7", true),
            (" \t ", "user-7", true),
            ("llmp-0123", "user-7", true),
        ] {
            let (made, changed) = name_of(text, || "user-7".to_owned()).unwrap();
            assert_eq!((made.as_str(), changed), (name, is_changed), "{text:?}");
        }
    }

    #[test]
    fn labels_and_models_are_cleaned() {
        assert_eq!(label_of(" laptop\u{7} "), Some("laptop".to_owned()));
        assert_eq!(label_of(""), None);
        assert_eq!(label_of("llmp-0123456789"), None);
        assert_eq!(model_of("gpt-4o\n"), "gpt-4o");
        assert_eq!(model_of(""), "unknown");
        assert_eq!(model_of(&"m".repeat(1_000)).len(), 200);
    }
}

//! A member of a body as readers of different kinds see it.

use serde_json::value::RawValue;

/// A member's last value, as the two kinds of readers see it.
#[derive(Clone, Copy, Default)]
pub struct Member<'a> {
    /// By its name to the letter.
    pub exact: Option<&'a RawValue>,
    /// By its name in any case.
    pub folded: Option<&'a RawValue>,
    /// The last of all is named in another case: the two kinds differ.
    pub is_odd: bool,
}

impl<'a> Member<'a> {
    pub fn note(&mut self, value: &'a RawValue, is_exact: bool) {
        self.folded = Some(value);
        self.is_odd = !is_exact;
        if is_exact {
            self.exact = Some(value);
        }
    }

    pub fn both_true(self) -> bool {
        let values = [self.exact, self.folded];
        values
            .iter()
            .all(|value| value.is_some_and(|value| is_true(value.get())))
    }

    /// In either reading.
    pub fn is_true(self) -> bool {
        let values = [self.exact, self.folded];
        values
            .into_iter()
            .flatten()
            .any(|value| is_true(value.get()))
    }
}

/// `true`, and what lenient servers take for it (pydantic's "lax" booleans, which vLLM reads requests with).
pub fn is_true(json: &str) -> bool {
    let word = json.trim_matches('"').to_ascii_lowercase();
    matches!(
        word.as_str(),
        "true" | "1" | "1.0" | "yes" | "y" | "on" | "t"
    )
}

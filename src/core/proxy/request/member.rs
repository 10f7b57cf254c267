//! A member of a body, as different readers of JSON see it.

use serde_json::value::RawValue;

/// The last value of a member, for readers of either kind.
#[derive(Clone, Copy, Default)]
pub struct Member<'a> {
    /// The value for readers to whom a name in another case is another name.
    pub exact: Option<&'a RawValue>,
    /// The value for readers to whom the case of a name does not matter.
    pub folded: Option<&'a RawValue>,
    /// The last value is under a name in another case, so that the two kinds of readers differ.
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

    /// Returns whether the value is true to a reader of either kind.
    pub fn is_true(self) -> bool {
        let values = [self.exact, self.folded];
        values
            .into_iter()
            .flatten()
            .any(|value| is_true(value.get()))
    }
}

/// Returns whether a value is `true`, or what lenient servers take for it (pydantic's "lax"
/// booleans, with which vLLM reads requests).
pub fn is_true(json: &str) -> bool {
    let word = json.trim_matches('"').to_ascii_lowercase();
    matches!(
        word.as_str(),
        "true" | "1" | "1.0" | "yes" | "y" | "on" | "t"
    )
}

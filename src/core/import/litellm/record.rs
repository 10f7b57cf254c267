//! One key of LiteLLM, whatever file it comes from: texts by the names of columns. Nothing has a text
//! if it is missing, null or empty.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// What exports write for null.
const NULLS: [&str; 6] = ["null", "none", "nan", "nil", "\\n", "undefined"];

/// A key as a file has it.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) line: u64,
    texts: HashMap<String, String>,
}

impl Record {
    pub(super) fn new(line: u64) -> Self {
        Self {
            line,
            texts: HashMap::new(),
        }
    }

    /// Returns the record of a JSON object.
    pub(super) fn of_object(line: u64, members: HashMap<String, &RawValue>) -> Self {
        let mut record = Self::new(line);
        for (name, value) in members {
            record.set(&name, &text_of(value));
        }
        record
    }

    /// Sets a column, unless the text stands for null.
    pub(super) fn set(&mut self, column: &str, text: &str) {
        let text = text.trim();
        let is_null = text.is_empty() || NULLS.contains(&text.to_ascii_lowercase().as_str());
        if !is_null {
            self.texts
                .insert(column.to_ascii_lowercase(), text.to_owned());
        }
    }

    /// Returns where the record is, for messages.
    pub(super) fn place(&self) -> String {
        format!("line {}", self.line)
    }

    pub(super) fn text(&self, column: &str) -> Option<&str> {
        self.texts.get(column).map(String::as_str)
    }

    /// Returns the text of a limit, which may also be in the budget that the key shares with others.
    pub(super) fn limit(&self, column: &str) -> Option<&str> {
        self.text(column).or_else(|| {
            let shared = format!("litellm_budget_table_{column}");
            self.text(&shared)
        })
    }

    /// Takes in the members of the budget that the key shares with others, if the file has it.
    pub(super) fn unfold_budget(&mut self) {
        let Some(json) = self.texts.get("litellm_budget_table").cloned() else {
            return;
        };
        let Ok(members) = serde_json::from_str::<HashMap<String, &RawValue>>(&json) else {
            return;
        };
        for (name, value) in members {
            self.set(&format!("litellm_budget_table_{name}"), &text_of(value));
        }
    }

    /// Returns whether a column has more than an empty list or object.
    pub(super) fn is_set(&self, column: &str) -> bool {
        let is_empty = |text: &str| {
            text.chars()
                .all(|c| c.is_whitespace() || matches!(c, '{' | '}' | '[' | ']'))
        };
        self.text(column).is_some_and(|text| !is_empty(text))
    }

    /// Returns the names of a list: a JSON array, PostgreSQL's `{a,"b c"}`, Python's `['a']`, or
    /// names separated by commas.
    pub(super) fn list(&self, column: &str) -> Vec<String> {
        let text = self.text(column).unwrap_or_default();
        let names = serde_json::from_str::<Vec<String>>(text).unwrap_or_else(|_| parts(text));
        let names = names.iter().map(|name| name.trim().to_owned());
        names.filter(|name| !name.is_empty()).collect()
    }
}

/// Splits a list by its commas. In quotes a comma stands for itself, and a backslash before anything
/// for that.
fn parts(text: &str) -> Vec<String> {
    let inside = text
        .strip_prefix(['{', '['])
        .and_then(|text| text.strip_suffix(['}', ']']))
        .unwrap_or(text);
    let mut parts = vec![String::new()];
    let mut quote = None;
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => chars.next(),
            '"' | '\'' if quote == Some(c) => {
                quote = None;
                None
            }
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                None
            }
            ',' if quote.is_none() => {
                parts.push(String::new());
                None
            }
            other => Some(other),
        };
        if let (Some(part), Some(c)) = (parts.last_mut(), c) {
            part.push(c);
        }
    }
    parts
}

/// Returns the text of a JSON value: a string without its quotes, and anything else as it is written,
/// so that a number keeps all of its digits.
fn text_of(value: &RawValue) -> String {
    let json = value.get();
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(models: &str) -> Record {
        let mut record = Record::new(1);
        record.set("Models", models);
        record
    }

    #[test]
    fn lists_are_read_as_all_exports_write_them() {
        for text in [
            r#"["gpt-4o", "a, b"]"#,
            r#"{gpt-4o,"a, b"}"#,
            "['gpt-4o', 'a, b']",
            r#"{"gpt-4o","a\, b"}"#,
        ] {
            assert_eq!(record(text).list("models"), ["gpt-4o", "a, b"], "{text}");
        }
        for text in ["", "{\n}", "{}", "[]", "null", "NULL", r"\N", "None"] {
            assert!(record(text).list("models").is_empty(), "{text}");
            assert!(!record(text).is_set("models"), "{text}");
        }
        assert_eq!(record("gpt-4o").list("models"), ["gpt-4o"]);
    }

    #[test]
    fn a_shared_budget_counts_where_the_key_has_none() {
        let mut record = Record::new(1);
        record.set("rpm_limit", "5");
        record.set(
            "litellm_budget_table",
            r#"{"rpm_limit": 9, "max_budget": 0.1, "budget_duration": null}"#,
        );
        record.unfold_budget();
        assert_eq!(record.limit("rpm_limit"), Some("5"));
        assert_eq!(record.limit("max_budget"), Some("0.1"));
        assert_eq!(record.limit("budget_duration"), None);
    }
}

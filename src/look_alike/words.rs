//! Counts and finds the words of what clients send.

use serde_json::Value;

const TOKENS_OF_AN_IMAGE: u64 = 85;

/// Counts the tokens of a content or a prompt: text, a list of parts or texts, token ids.
pub(super) fn tokens_in(content: &Value) -> u64 {
    match content {
        Value::String(text) => text.split_whitespace().count() as u64,
        Value::Array(parts) => parts.iter().map(tokens_in).sum(),
        Value::Object(part) => part.get("text").map_or(TOKENS_OF_AN_IMAGE, tokens_in),
        Value::Number(_) => 1,
        Value::Null | Value::Bool(_) => 0,
    }
}

/// Returns the last text in a content.
pub(super) fn text_of(content: &Value) -> &str {
    match content {
        Value::Array(parts) => parts
            .iter()
            .rev()
            .map(text_of)
            .find(|text| !text.is_empty())
            .unwrap_or_default(),
        Value::Object(part) => part.get("text").map_or("", text_of),
        other => other.as_str().unwrap_or_default(),
    }
}

/// Returns the contents of an input: a text, or a list of messages.
pub(super) fn contents_of_input(input: &Value) -> Vec<&Value> {
    match input {
        Value::Array(items) => items.iter().map(|item| &item["content"]).collect(),
        text => vec![text],
    }
}

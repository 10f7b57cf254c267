//! What a request is for, and what it must have.

use serde_json::Value;

use super::refusal::Refusal;

/// Endpoints that answer with text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Chat,
    Completions,
    Responses,
}

impl Endpoint {
    /// Returns the member that holds the input.
    pub(super) fn input(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Completions => "prompt",
            Self::Responses => "input",
        }
    }

    /// Returns what ids of its answers begin with.
    pub(super) fn id_prefix(self) -> &'static str {
        match self {
            Self::Chat => "chatcmpl-",
            Self::Completions => "cmpl-",
            Self::Responses => "resp_",
        }
    }
}

/// Reads a body that must have a model and the member `input`.
pub(super) fn read(body: &[u8], input: &str) -> Result<Value, Refusal> {
    let refuse = |message: String| Refusal::new(400, "", message);
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        refuse(format!(
            "We could not parse the JSON body of your request: {error}"
        ))
    })?;
    if body["model"].as_str().is_none() {
        return Err(refuse("you must provide a model parameter".to_owned()));
    }
    if body[input].is_null() {
        return Err(refuse(format!("Missing required parameter: '{input}'.")));
    }
    Ok(body)
}

//! Short requests and answers in OpenAI's format.

use std::io::Write;

use serde_json::{Value, json};

pub const CHAT: &str = "/v1/chat/completions";
pub const COMPLETIONS: &str = "/v1/completions";

/// A plain and a streamed chat request. Neither asks for usage.
pub const ASK: &str = r#"{"model":"gpt-4.1-mini","messages":[{"role":"user","content":"Hello!"}]}"#;
pub const ASK_STREAM: &str =
    r#"{"model":"gpt-4.1-mini","messages":[{"role":"user","content":"Hello!"}],"stream":true}"#;
/// A streamed chat request that asks for usage itself.
pub const ASK_STREAM_USAGE: &str = r#"{"model":"gpt-4.1-mini","messages":[{"role":"user","content":"Hello!"}],"stream":true,"stream_options":{"include_usage":true}}"#;

pub const DONE: &str = "data: [DONE]\n\n";

/// A chat request for `model`, by which a script may choose what to do.
pub fn ask(model: &str) -> String {
    ASK.replace("gpt-4.1-mini", model)
}

pub fn ask_stream(model: &str) -> String {
    ASK_STREAM.replace("gpt-4.1-mini", model)
}

pub fn chat_completion(input: u64, output: u64) -> String {
    json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_741_570_283,
        "model": "gpt-4.1-mini-2025-04-14",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output},
    })
    .to_string()
}

pub fn legacy_completion(input: u64, output: u64) -> String {
    json!({
        "id": "cmpl-1",
        "object": "text_completion",
        "model": "gpt-3.5-turbo-instruct",
        "choices": [{"text": " hello", "index": 0, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output},
    })
    .to_string()
}

/// One event of a chat stream: a delta with this text.
pub fn delta(text: &str) -> String {
    let text = json!(text);
    format!(
        r#"data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4.1-mini-2025-04-14","choices":[{{"index":0,"delta":{{"content":{text}}},"finish_reason":null}}]}}"#
    ) + "\n\n"
}

/// The usage-only event at the end of a stream whose request asked for usage.
pub fn usage_event(input: u64, output: u64) -> String {
    let total = input + output;
    format!(
        r#"data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4.1-mini-2025-04-14","choices":[],"usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{total}}}}}"#
    ) + "\n\n"
}

/// The events of a short chat stream that reports its usage before the end.
pub fn counted_stream(input: u64, output: u64) -> [String; 4] {
    [
        delta("Hello"),
        delta(" there"),
        usage_event(input, output),
        DONE.to_owned(),
    ]
}

/// Returns the totals of a user in a cost report: input, output and cached tokens, and requests.
#[track_caller]
pub fn totals(costs: &Value) -> [i64; 4] {
    [
        "total_input_tokens",
        "total_output_tokens",
        "total_cached_tokens",
        "total_requests",
    ]
    .map(|total| {
        costs[total]
            .as_i64()
            .unwrap_or_else(|| panic!("{total} is a number: {costs}"))
    })
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

//! The one edit of a body, compared with what a JSON library makes of the body before and after.

use actix_web::http::StatusCode;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{
    json::Excerpt,
    proxy::{body::BodyParts, request::inspect},
};

/// The longest model name that is kept.
const MAX_MODEL_CHARS: usize = 200;

/// The edit changes nothing but what it inserts; afterwards the body asks for usage by itself and
/// says otherwise the same. The same holds if parts of the body are too long to be read completely.
pub fn splice(body: &[u8]) {
    check(body);
    if let Some(stretched) = stretched(body) {
        check(&stretched);
    }
}

/// The body with thousands of `A` in the place of each `AA`, as far as there are any.
fn stretched(body: &[u8]) -> Option<Vec<u8>> {
    const RUN_BYTES: usize = 12 * 1024;
    const MAX_RUNS: usize = 3;
    let places: Vec<usize> = memchr::memmem::find_iter(body, b"AA")
        .take(MAX_RUNS)
        .collect();
    let last = *places.last()?;
    let mut stretched = Vec::new();
    let mut from = 0;
    for place in places {
        stretched.extend_from_slice(&body[from..place]);
        stretched.resize(stretched.len() + RUN_BYTES, b'A');
        from = place + 2;
    }
    stretched.extend_from_slice(&body[last + 2..]);
    Some(stretched)
}

fn check(body: &[u8]) {
    let before: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    let Ok(excerpt) = Excerpt::of([body]) else {
        assert!(before.is_none(), "an object was refused for its encoding");
        return;
    };
    let look = match inspect(&excerpt) {
        Ok(look) => look,
        Err(error) => {
            assert_eq!(error.status(), StatusCode::BAD_REQUEST);
            assert!(before.is_none(), "an object was refused: {error}");
            return;
        }
    };
    assert!(look.model.chars().count() <= MAX_MODEL_CHARS);
    assert!(!look.model.contains(char::is_control));
    if let Some(Value::String(model)) = before.as_ref().and_then(|before| before.get("model")) {
        let clean = model.chars().take(MAX_MODEL_CHARS);
        let clean = clean.map(|c| if c.is_control() { '\u{fffd}' } else { c });
        assert_eq!(look.model, clean.collect::<String>());
    }
    let after = match &look.splice {
        None => body.to_vec(),
        Some(splice) => {
            let whole = BodyParts::from(Bytes::copy_from_slice(body));
            let range = splice.range();
            let after = splice.clone().apply(&whole).joined();
            assert!(look.stream && 0 < range.start && range.end < body.len());
            assert!(after.starts_with(&body[..range.start]) && after.ends_with(&body[range.end..]));
            assert!(after.len() > body.len() - range.len());
            // What made room is nothing, or one value that did not ask.
            let replaced = &body[range];
            if !replaced.is_empty() {
                let value = serde_json::from_slice::<&serde_json::value::RawValue>(replaced);
                assert!(value.is_ok_and(|value| !asks(value.get())));
            }
            after.to_vec()
        }
    };
    let again = Excerpt::of([&after[..]]).expect("the edited body is UTF-8");
    let again = inspect(&again).expect("the edited body is an object");
    assert_eq!((&again.model, again.stream), (&look.model, look.stream));
    assert_eq!(again.splice, None, "edited and does not ask");
    if let Some(before) = before.filter(|before| !has_odd_options(before)) {
        let after: Value = serde_json::from_slice(&after).expect("the edited body is JSON");
        assert_eq!(after, asking(before, look.stream));
    }
}

/// Returns whether the options have a name in another case somewhere. Ours then stand behind them
/// and may replace others.
fn has_odd_options(body: &Map<String, Value>) -> bool {
    let is_odd = |name: &str, known: &str| {
        let folded = name.chars().map(|c| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        });
        name != known && folded.eq(known.chars())
    };
    body.iter().any(|(name, value)| {
        let mut inner = value.as_object().into_iter().flat_map(Map::keys);
        is_odd(name, "stream_options") || inner.any(|name| is_odd(name, "include_usage"))
    })
}

/// Returns whether lenient servers take a value for `true`.
fn asks(json: &str) -> bool {
    let word = json.trim_matches('"').to_ascii_lowercase();
    ["true", "1", "1.0", "yes", "y", "on", "t"].contains(&word.as_str())
}

/// Returns the value that the body should have after the edit.
fn asking(mut body: Map<String, Value>, stream: bool) -> Value {
    let options = match body.get("stream_options") {
        None | Some(Value::Null) => Some(Map::new()),
        Some(Value::Object(options)) => Some(options.clone()),
        Some(_) => None,
    };
    if let (true, Some(mut options)) = (stream, options) {
        let value = options.entry("include_usage").or_insert(Value::Null);
        if !asks(&value.to_string()) {
            *value = Value::Bool(true);
        }
        body.insert("stream_options".to_owned(), options.into());
    }
    body.into()
}

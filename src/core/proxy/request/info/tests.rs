use super::*;
use crate::proxy::body::BodyParts;
use bytes::Bytes;
use proptest::prelude::*;

fn inspect(body: &[u8]) -> Result<BodyInfo, ApiError> {
    let excerpt = Excerpt::of([body]).map_err(|_| not_utf_8())?;
    super::inspect(&excerpt)
}

fn edited(body: &str) -> String {
    let look = inspect(body.as_bytes()).unwrap();
    let mut edited = BodyParts::from(Bytes::copy_from_slice(body.as_bytes()));
    if let Some(splice) = look.splice {
        edited = splice.apply(&edited);
    }
    String::from_utf8(edited.joined().into()).unwrap()
}

#[test]
fn a_request_for_audio_is_known() {
    for (body, expected) in [
        (r#"{"audio":{"voice":"alloy"}}"#, true),
        (r#"{"modalities":["text","audio"]}"#, true),
        (r#"{"modalities":["text"],"audio":null}"#, false),
        (
            r#"{"modalities":"audio","messages":[{"audio":{"id":"x"}}]}"#,
            false,
        ),
    ] {
        assert_eq!(
            inspect(body.as_bytes()).unwrap().storage.audio,
            expected,
            "{body}"
        );
    }
}

#[test]
fn the_tier_that_a_request_asks_for_is_known() {
    for (body, expected) in [
        (r#"{"service_tier":"flex"}"#, Some("flex")),
        (
            r#"{"service_tier":"default","service_tier":"priority"}"#,
            Some("priority"),
        ),
        (r#"{"service_tier":"fast"}"#, Some("priority")),
        (r#"{"service_tier":"standard_only"}"#, Some("default")),
        (r#"{"service_tier":"auto"}"#, None),
        (r#"{"service_tier":"fl\u0065x"}"#, Some("flex")),
        (r#"{"service_tier":null}"#, None),
        (r#"{"service_tier":{"a":"flex"}}"#, None),
        (r#"{"Service_Tier":"flex"}"#, None),
        (r#"{"metadata":{"service_tier":"flex"}}"#, None),
    ] {
        let found = inspect(body.as_bytes()).unwrap().service_tier;
        assert_eq!(found.as_ref().map(ServiceTier::as_str), expected, "{body}");
    }
}

#[test]
fn a_streamed_request_asks_for_usage_and_is_otherwise_unchanged() {
    for (body, expected) in [
        (
            r#"{ "stream" : true }"#,
            r#"{"stream_options":{"include_usage":true}, "stream" : true }"#,
        ),
        (
            r#"{"stream":true,"stream_options":null}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{ }}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true }}"#,
        ),
        (
            r#"{"stream_options":{"x": 1e2},"stream":true}"#,
            r#"{"stream_options":{"include_usage":true,"x": 1e2},"stream":true}"#,
        ),
        (
            r#"{"stream_options":{"include_usage": false ,"x":1},"stream":true}"#,
            r#"{"stream_options":{"include_usage": true ,"x":1},"stream":true}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":true},"stream":true,"stream_options":{}}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            "{\"\\u0073tream\":true}",
            "{\"stream_options\":{\"include_usage\":true},\"\\u0073tream\":true}",
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":true,"include\u005fusage":null}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true,"include\u005fusage":true}}"#,
        ),
    ] {
        assert_eq!(edited(body), expected);
    }
}

#[test]
fn a_picture_in_the_body_moves_nothing() {
    let picture = "iVBORw0KGgo".repeat(2_000);
    let other = "data:image/png;base64,AAAA".repeat(1_000);
    for (body, expected) in [
        (
            format!(r#" {{"a":"{picture}","stream":true}}"#),
            format!(
                r#" {{"stream_options":{{"include_usage":true}},"a":"{picture}","stream":true}}"#
            ),
        ),
        (
            format!(
                r#"{{"a":["{picture}","{other}"],"stream_options":{{"a":"{picture}"}},"stream":true,"b":"{picture}"}}"#
            ),
            format!(
                r#"{{"a":["{picture}","{other}"],"stream_options":{{"include_usage":true,"a":"{picture}"}},"stream":true,"b":"{picture}"}}"#
            ),
        ),
        (
            format!(
                r#"{{"stream":true,"stream_options":{{"include_usage":"{picture}"}},"a":"{picture}"}}"#
            ),
            format!(
                r#"{{"stream":true,"stream_options":{{"include_usage":true}},"a":"{picture}"}}"#
            ),
        ),
    ] {
        assert_eq!(edited(&body), expected);
    }
    let broken = format!("{{\n\"a\":\"{picture}\" x}}");
    let message = inspect(broken.as_bytes()).unwrap_err().to_string();
    assert!(message.contains("line 2, column 22008"), "{message}");
}

#[test]
fn stream_and_background_are_found_in_any_case() {
    for (body, expected) in [
        (
            r#"{"Stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"Stream":true}"#,
        ),
        (
            "{\"\u{17f}tream\":true,\"stream\":false}",
            "{\"\u{17f}tream\":true,\"stream\":false}",
        ),
        (
            r#"{"stream":false,"STREAM":true}"#,
            r#"{"stream_options":{"include_usage":true},"stream":false,"STREAM":true}"#,
        ),
        (
            r#"{"stream":true,"Stream":false}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true,"Stream":false}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":true},"Stream_Options":{"include_usage":true}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"Stream_Options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":true,"Include_Usage":true}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true,"Include_Usage":true}}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":true},"Stream_Options":{"include_usage":false}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"Stream_Options":{"include_usage":false},"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream":true,"Stream_Options":{"include_usage":false}} "#,
            r#"{"stream":true,"Stream_Options":{"include_usage":false},"stream_options":{"include_usage":true}} "#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":true,"Include_Usage":false }}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true,"Include_Usage":false ,"include_usage":true}}"#,
        ),
    ] {
        assert_eq!(edited(body), expected);
    }
    let read = |body: &str| inspect(body.as_bytes()).unwrap();
    for body in [
        r#"{"Background":true}"#,
        "{\"bac\u{212a}ground\":true}",
        r#"{"background":false,"BACKGROUND":true}"#,
        r#"{"background":true,"Background":false}"#,
        r#"{"background":true,"background":false}"#,
        r#"{"backGround":true}"#,
        r#"{"background":false,"_back-ground":true}"#,
    ] {
        assert!(read(body).storage.background, "{body}");
    }
    assert_eq!(read(r#"{"Model":"m"}"#).model, "m");
    assert_eq!(read(r#"{"model":"m","Model":"n"}"#).model, "m");
    assert_eq!(read(r#"{"Store":false}"#).storage.store, None);
}

#[test]
fn a_body_that_asks_or_does_not_stream_is_unchanged() {
    for body in [
        r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"stream":false}"#,
        r#"{"stream":null}"#,
        r#"{"stream":true,"stream":false}"#,
        r#"{"messages":[{"content":"\"stream\":true"}],"x":{"stream":true}}"#,
        r#"{"stream":true,"stream_options":[]}"#,
        "{}",
    ] {
        assert_eq!(edited(body), body);
    }
}

#[test]
fn a_body_that_is_no_object_is_400() {
    for body in [
        "",
        "[]",
        "null",
        "\"x\"",
        "{",
        "{\"a\":1}x",
        "{\"a\":1,}",
        "\u{feff}{}",
        "{'a':1}",
    ] {
        assert_eq!(
            inspect(body.as_bytes()).unwrap_err().status(),
            400,
            "{body}"
        );
    }
}

#[test]
fn depth_and_surrogates_break_nothing() {
    let deep = format!(
        r#"{{"a":{}{},"stream":true}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(inspect(deep.as_bytes()).unwrap().stream);
    let odd = inspect(br#"{"\ud800":1,"model":"a\ud800b\u0007","messages":["\udfff"]}"#).unwrap();
    assert!(
        odd.model.starts_with('a') && !odd.model.contains('\u{7}'),
        "{:?}",
        odd.model
    );
    let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(1_000_000));
    assert_eq!(
        inspect(long.as_bytes()).unwrap().model.len(),
        MAX_MODEL_CHARS
    );
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z\\\\\"{}:,]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(
                prop_oneof![
                    Just("stream".to_owned()),
                    Just("stream_options".to_owned()),
                    Just("include_usage".to_owned()),
                    "[a-z]{0,4}"
                ],
                inner,
                0..4
            )
            .prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn the_edited_body_differs_only_in_include_usage(value in json()) {
        crate::properties::splice(value.to_string().as_bytes());
        crate::properties::splice(format!("{value:#}").as_bytes());
        let serde_json::Value::Object(mut expected) = value else { return Ok(()) };
        let after: serde_json::Value = serde_json::from_str(&edited(&serde_json::Value::from(expected.clone()).to_string())).unwrap();
        let streams = expected.get("stream").is_some_and(|stream| is_true(&stream.to_string()));
        let options = expected.get("stream_options").cloned().unwrap_or(serde_json::Value::Null);
        if streams && (options.is_object() || options.is_null()) {
            let mut options = options.as_object().cloned().unwrap_or_default();
            if !options.get("include_usage").is_some_and(|value| is_true(&value.to_string())) {
                options.insert("include_usage".into(), true.into());
            }
            expected.insert("stream_options".into(), options.into());
        }
        prop_assert_eq!(after, serde_json::Value::from(expected));
    }

    #[test]
    fn any_bytes_are_searched_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = inspect(&bytes);
    }
}

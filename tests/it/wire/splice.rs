//! A streamed request that does not ask for usage gets one insertion that asks for it.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::{ASK_STREAM, Backend, CHAT, COMPLETIONS, Home, Request, counted_stream};

/// A backend that streams whatever it is asked.
fn streaming() -> Backend {
    Backend::sse(counted_stream(1, 1))
}

/// `edited` is `original` with one stretch of at most `removed` bytes replaced by another.
fn is_one_edit(original: &[u8], edited: &[u8], removed: usize) -> bool {
    let common = |mut pairs: Box<dyn Iterator<Item = (&u8, &u8)> + '_>| {
        pairs.by_ref().take_while(|(a, b)| a == b).count()
    };
    let front = common(Box::new(original.iter().zip(edited)));
    let back = common(Box::new(original.iter().rev().zip(edited.iter().rev())));
    edited.len() > original.len() - removed && front + back + removed >= original.len()
}

/// Requests that do not ask, the `stream_options` they are to arrive with, and the bytes that may give way for it.
fn not_asking() -> Vec<(&'static str, Value, usize)> {
    let asked = json!({"include_usage": true});
    vec![
        // Absent, in every kind of surrounding.
        (ASK_STREAM, asked.clone(), 0),
        (r#"{"stream":true}"#, asked.clone(), 0),
        (
            " {\n  \"stream\" : true ,\n  \"model\" : \"m\"\n}\n",
            asked.clone(),
            0,
        ),
        (
            r#"{"messages":[{"content":"} \"stream_options\": {\"include_usage\": true} \\"}],"stream":true}"#,
            asked.clone(),
            0,
        ),
        (
            r#"{"metadata":{"stream_options":{"include_usage":true}},"stream":true,"model":"m"}"#,
            asked.clone(),
            0,
        ),
        (r#"{"n":1.0,"n":2,"stream":true,"x":1E5}"#, asked.clone(), 0),
        // There, but not asking.
        (r#"{"stream":true,"stream_options":{}}"#, asked.clone(), 0),
        (
            r#"{"stream":true,"stream_options":{ } ,"model":"m"}"#,
            asked.clone(),
            0,
        ),
        (
            r#"{"stream_options":null,"stream":true}"#,
            asked.clone(),
            "null".len(),
        ),
        (
            r#"{"stream_options":{"include_usage":false},"stream":true}"#,
            asked.clone(),
            "false".len(),
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":null}}"#,
            asked.clone(),
            "null".len(),
        ),
        (
            r#"{"stream":true,"stream_options":{"include_obfuscation":false,"x":[1.0]}}"#,
            json!({"include_usage": true, "include_obfuscation": false, "x": [1.0]}),
            0,
        ),
        (
            r#"{"stream":true,"stream_options":{"x":{"include_usage":true}, "include_usage" : false , "y":"}"}}"#,
            json!({"include_usage": true, "x": {"include_usage": true}, "y": "}"}),
            "false".len(),
        ),
        // Names spelled with escapes are the same names.
        (r#"{"\u0073tream":true,"model":"m"}"#, asked.clone(), 0),
        (
            r#"{"stream":true,"stream_option\u0073":{"x":1}}"#,
            json!({"include_usage": true, "x": 1}),
            0,
        ),
        (
            r#"{"stream":true,"stream_options":{"include\u005fusage":false}}"#,
            asked.clone(),
            "false".len(),
        ),
        // Of duplicates the last one holds.
        (
            r#"{"stream":false,"model":"m","stream":true}"#,
            asked.clone(),
            0,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":true},"stream_options":{}}"#,
            asked.clone(),
            0,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":true,"include_usage":false}}"#,
            asked.clone(),
            "false".len(),
        ),
        (
            r#"{"stream_options":{"include_usage":true},"stream":true,"stream_options":null}"#,
            asked.clone(),
            "null".len(),
        ),
    ]
}

#[test]
fn one_insertion_makes_a_streamed_request_ask_for_usage() {
    let backend = streaming();
    let (proxy, key) = Home::new(&backend).serve_alice();
    for (body, expected, removed) in not_asking() {
        assert_eq!(proxy.chat(&key, body).status, 200, "{body}");
        let seen = backend.last();
        assert_eq!(
            seen.json()["stream_options"],
            expected,
            "{body} became {}",
            seen.text()
        );
        assert!(
            is_one_edit(body.as_bytes(), &seen.body, removed),
            "{body} became {}",
            seen.text()
        );
        assert_eq!(seen.all("content-length"), [seen.body.len().to_string()]);
    }
}

#[test]
fn a_request_that_asks_or_does_not_stream_stays_as_it_is() {
    let backend = streaming();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let bodies = [
        r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"stream":true,"stream_options":{"x":1,"include_usage" : true}}"#,
        r#"{"stream":true,"stream_option\u0073":{"include_usage":true}}"#,
        r#"{"stream":true,"stream_options":{"include_us\u0061ge":true}}"#,
        r#"{"stream":true,"stream_options":{},"stream_options":{"include_usage":true}}"#,
        r#"{"stream":true,"stream_options":{"include_usage":false,"include_usage":true}}"#,
        r#"{"model":"m"}"#,
        r#"{"stream":false}"#,
        r#"{"stream":true,"stream":false}"#,
        r#"{"stream":true,"\u0073tream":false}"#,
        r#"{"stream":null,"stream_options":null}"#,
        r#"{"messages":[{"stream":true}],"user":"\"stream\":true"}"#,
    ];
    for body in bodies {
        assert_eq!(proxy.chat(&key, body).status, 200, "{body}");
        assert_eq!(backend.last().text(), body);
    }
}

#[test]
fn legacy_completions_are_made_to_ask_too() {
    let backend = streaming();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let body = r#"{"model":"m","prompt":"Say hello","stream":true}"#;
    assert_eq!(
        proxy
            .send(&Request::post(COMPLETIONS, body).key(&key))
            .status,
        200
    );
    assert_eq!(
        backend.last().json()["stream_options"],
        json!({"include_usage": true})
    );
    assert!(is_one_edit(body.as_bytes(), &backend.last().body, 0));
}

#[test]
fn stream_usage_leave_sends_every_body_as_it_is() {
    let backend = streaming();
    let (proxy, key) = Home::new(&backend)
        .set("STREAM_USAGE", "leave")
        .serve_alice();
    for body in [
        ASK_STREAM,
        r#"{"stream":true,"stream_options":{}}"#,
        r#"{"stream":true,"stream_options":null}"#,
    ] {
        assert_eq!(proxy.chat(&key, body).status, 200);
        assert_eq!(backend.last().text(), body);
    }
}

#[test]
fn any_body_reaches_the_backend_with_at_most_one_insertion() {
    let backend = streaming();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let config = ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(body in object())| {
        let before: Value = serde_json::from_str(&body).unwrap();
        let answer = proxy.send(&Request::post(CHAT, body.as_str()).key(&key));
        prop_assert_eq!(answer.status, 200);
        let seen = backend.last();
        if before["stream"] == true && before["stream_options"]["include_usage"] != true {
            prop_assert_eq!(&seen.json()["stream_options"]["include_usage"], &json!(true), "{}", seen.text());
            prop_assert!(is_one_edit(body.as_bytes(), &seen.body, "false".len()), "{}", seen.text());
            let mut expected = before;
            if !expected["stream_options"].is_object() {
                expected["stream_options"] = json!({});
            }
            expected["stream_options"]["include_usage"] = json!(true);
            prop_assert_eq!(seen.json(), expected);
        } else {
            prop_assert_eq!(seen.text(), body);
        }
    });
}

/// JSON objects with the members that matter among others, duplicates and odd spellings and all.
fn object() -> impl Strategy<Value = String> {
    let space = prop::sample::select(vec!["", "", "", " ", "\n\t"]);
    let name = prop::sample::select(vec![
        "model",
        "messages",
        "x",
        "",
        "stream ",
        "include_usage",
        r#"a\"b"#,
        "é😀",
    ]);
    let leaf = prop::sample::select(vec![
        "true",
        "false",
        "null",
        "0",
        "-0.0",
        "1e5",
        r#""""#,
        r#""stream""#,
        r#""\"}{][,:\\""#,
        r#""\u0073\ud83d\ude00""#,
        "[]",
        "{}",
    ]);
    let value = leaf
        .prop_map(str::to_owned)
        .prop_recursive(3, 12, 4, |inner| {
            let member = (
                prop::sample::select(vec!["stream", "stream_options", "include_usage", "y"]),
                inner.clone(),
            );
            let member = member.prop_map(|(name, value)| format!(r#""{name}":{value}"#));
            prop_oneof![
                prop::collection::vec(inner, 0..4)
                    .prop_map(|items| format!("[{}]", items.join(" , "))),
                prop::collection::vec(member, 0..4)
                    .prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        });
    let stream = (
        prop::sample::select(vec!["stream", r"\u0073tream", r"strea\u006D"]),
        prop::sample::select(vec!["true", "true", "false", "null"]),
    );
    let stream = stream.prop_map(|(name, value)| (name, value.to_owned()));
    let options = prop::sample::select(vec![
        "null",
        "{}",
        "{ }",
        r#"{"include_usage":true}"#,
        r#"{ "x" : [{}] , "include_usage":false}"#,
        r#"{"include_usage":false,"include_usage":true}"#,
        r#"{"include_\u0075sage":null,"y":{"include_usage":true}}"#,
    ]);
    let options = (
        prop::sample::select(vec!["stream_options", r"stream\u005foptions"]),
        options,
    );
    let options = options.prop_map(|(name, value)| (name, value.to_owned()));
    let member = prop_oneof![2 => (name, value), 2 => stream, 1 => options];
    let member = (member, space.clone(), space.clone());
    let member =
        member.prop_map(|((name, value), a, b)| format!(r#"{a}"{name}"{b}:{a}{value}{b}"#));
    (prop::collection::vec(member, 0..7), space.clone(), space)
        .prop_map(|(members, before, after)| format!("{before}{{{}}}{after}", members.join(",")))
}

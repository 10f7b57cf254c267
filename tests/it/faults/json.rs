//! JSON that the proxy and the backend may read differently is booked all the same, and crashes nothing.

use serde_json::{Value, json};

use super::{answer_for, assert_serves};
use crate::harness::{
    ASK, Backend, CHAT, DONE, Home, Request, ask, assert_openai_error, chat_completion, delta,
    gzip, usage_event,
};

/// A backend that reads a request as JSON servers do, last duplicate and all: it streams when asked to, says its usage
/// in a stream when asked to, and in a plain answer always.
fn literal() -> Backend {
    Backend::start(|request, wire| {
        let json = request.json();
        if json["model"] == "fine" {
            return wire.json(&answer_for("fine"));
        }
        if json["stream"] != true {
            return wire.json(&chat_completion(19, 10));
        }
        let mut events = vec![delta("Hello")];
        if json["stream_options"]["include_usage"] == true {
            events.push(usage_event(19, 10));
        }
        events.push(DONE.to_owned());
        wire.sse(&events);
    })
}

/// Streamed requests, and whether their clients asked for usage.
const TRICKS: &[(&str, bool)] = &[
    (r#"{"\u0073tream":true}"#, false),
    (r#"{"\u0073\u0074\u0072\u0065\u0061\u006D":true}"#, false),
    (r#"{"stream":false,"stream":true}"#, false),
    (r#"{"stream":false,"\u0073tream":true}"#, false),
    (r#"{"stream":true,"stream_options":null}"#, false),
    (r#"{"stream":true,"stream_options":{}}"#, false),
    (
        r#"{"stream":true,"stream_options":{"include_usage":false}}"#,
        false,
    ),
    (
        r#"{"stream":true,"stream_options":{"include_usage":null}}"#,
        false,
    ),
    (
        r#"{"stream":true,"stream_options":{"include_\u0075sage":false}}"#,
        false,
    ),
    (
        r#"{"stream":true,"stream_options":{"include_usage":true,"include_usage":false}}"#,
        false,
    ),
    (
        r#"{"stream":true,"stream_options":{"include_usage":false,"include_usage":true}}"#,
        true,
    ),
    (
        r#"{"stream":true,"stream_options":{"include_usage":true},"stream_options":{}}"#,
        false,
    ),
    (
        r#"{"stream":true,"stream_options":{},"stream_options":{"include_usage":true}}"#,
        true,
    ),
    (
        r#"{"stream":true,"stream_options":{"include_usage":true},"\u0073tream_options":null}"#,
        false,
    ),
    (
        r#"{"stream_option\u0073":{"include\u005fusage":true},"stream":true}"#,
        true,
    ),
    (
        r#"{"messages":[{"content":"\"stream\":false,\"stream_options\":{\"include_usage\":true}"}],"stream":true}"#,
        false,
    ),
    (
        r#"{"user":"\\","stream":true,"x":"\\\"stream\\\":false"}"#,
        false,
    ),
    (
        r#"{"x":{"stream":false,"stream_options":{"include_usage":true}},"stream":true,"y":[{"stream":false}]}"#,
        false,
    ),
    (
        r#"{"stream ":false," stream":false,"Stream":false,"stream\u0000":false,"stream":true}"#,
        false,
    ),
    ("\t{\r\n \"stream\"\t:\n true \r\n}\n ", false),
    (r#"{"x":"\ud800","stream":true}"#, false),
    (r#"{"x":"\udc00\ud800","stream":true}"#, false),
    (r#"{"\ud800":1,"stream":true}"#, false),
    (
        r#"{"n":1e308,"m":-0,"k":123456789012345678901234567890,"stream":true}"#,
        false,
    ),
    (r#"{"":"","stream":true}"#, false),
    (r#"{"model":null,"stream":true}"#, false),
    (r#"{"model":["a"],"stream":true}"#, false),
    (r#"{"model":"a","model":"b","stream":true}"#, false),
];

#[test]
fn each_stream_is_booked_and_shows_usage_only_on_request() {
    let backend = literal();
    let (proxy, key) = Home::new(&backend).serve_alice();
    for (body, asked_for_usage) in TRICKS {
        let booked = proxy.rows().len();
        let answer = proxy.chat(&key, body);
        // A body that JSON readers disagree on may be refused; it may not ride for free.
        if answer.status == 400 && body.contains("\\ud") {
            eprintln!("refused: {body}");
            continue;
        }
        assert_eq!(
            (answer.status, answer.clean),
            (200, true),
            "{body}: {answer:?}"
        );
        let expected = if *asked_for_usage {
            [&delta("Hello"), &usage_event(19, 10), DONE].concat()
        } else {
            [&delta("Hello"), DONE].concat()
        };
        if body.contains("\\ud") {
            assert_eq!(proxy.rows().len(), booked + 1, "{body}");
        } else {
            assert_eq!(
                answer.text(),
                expected,
                "{body} became {}",
                backend.last().text()
            );
            let rows = proxy.rows().split_off(booked);
            assert_eq!(rows.len(), 1, "{body}: {rows:?}");
            assert_eq!(
                rows[0].tokens(),
                [19, 10, 0, 0],
                "{body} became {}",
                backend.last().text()
            );
            assert_eq!(rows[0].labels(), ["completed", "backend"], "{body}");
        }
    }
}

#[test]
fn a_body_that_is_no_json_object_never_reaches_the_backend() {
    let backend = literal();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let stream = r#"{"stream":true}"#;
    let utf_16: Vec<u8> = stream.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let refused: Vec<Vec<u8>> = vec![
        format!("\u{feff}{stream}").into_bytes(),
        utf_16,
        [&b"\xff\xfe"[..], stream.as_bytes()].concat(),
        format!("{stream}{stream}").into_bytes(),
        format!("{stream}\0").into_bytes(),
        format!("[{stream}]").into_bytes(),
        format!("{stream},").into_bytes(),
        b"{\"stream\":true,}".to_vec(),
        b"{'stream':true}".to_vec(),
        b"{stream:true}".to_vec(),
        b"{\"stream\":True}".to_vec(),
        b"{\"stream\":true /* x */}".to_vec(),
        b"{\"x\":NaN,\"stream\":true}".to_vec(),
        b"{\"x\":\"a\nb\",\"stream\":true}".to_vec(),
        b"{\"x\":01,\"stream\":true}".to_vec(),
        b"{\"x\":\"\\x\",\"stream\":true}".to_vec(),
        b"{\"stream\":true".to_vec(),
        b"\"stream\"".to_vec(),
        b"true".to_vec(),
        b"{".repeat(100_000),
        b"[".repeat(100_000),
        b"{\"a\":".repeat(100_000),
        Vec::new(),
        b" ".to_vec(),
        gzip(stream.as_bytes()),
    ];
    for body in refused {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = proxy.send(&Request::post(CHAT, body).key(&key));
        assert_eq!(answer.status, 400, "{shown:?}: {answer:?}");
        assert_openai_error(&answer, 400);
    }
    assert_eq!(backend.requests().len(), 0);
    assert_eq!(proxy.rows().len(), 0);
    assert_serves(&proxy, &key, "what is no JSON");
}

#[test]
fn deep_nesting_crashes_nothing_and_is_booked_if_answered() {
    let backend = literal();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let depth = 20_000;
    let arrays = "[".repeat(depth) + &"]".repeat(depth);
    let objects = "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    let mut answered = 0;
    for deep in [&arrays, &objects] {
        for member in ["messages", "model", "stream_options", "x"] {
            let bodies = [
                format!(r#"{{"{member}":{deep},"stream":true}}"#),
                format!(r#"{{"stream":true,"{member}":{deep}}}"#),
                format!(r#"{{"stream":true,"stream_options":{{"{member}":{deep}}}}}"#),
            ];
            for body in bodies {
                let answer = proxy.chat(&key, &body);
                match answer.status {
                    200 => answered += 1,
                    400 => drop(assert_openai_error(&answer, 400)),
                    _ => panic!("{member}: {answer:?}"),
                }
            }
        }
    }
    assert_eq!(
        (backend.requests().len(), proxy.rows().len()),
        (answered, answered)
    );
    eprintln!("{answered} of 24 requests with 20,000-deep nesting went on");
    assert_serves(&proxy, &key, "deep nesting");
}

#[test]
fn a_compressed_body_is_415_and_never_reaches_the_backend() {
    let backend = literal();
    let (proxy, key) = Home::new(&backend).serve_alice();
    for codings in [
        &["gzip"][..],
        &["GZIP"],
        &["x-gzip"],
        &["br"],
        &["zstd"],
        &["deflate"],
        &["identity, gzip"],
        &["identity", "gzip"],
        &["unheard-of"],
    ] {
        let request = Request::post(CHAT, gzip(ASK.as_bytes())).key(&key);
        let request = codings.iter().fold(request, |request, coding| {
            request.header("Content-Encoding", coding)
        });
        assert_openai_error(&proxy.send(&request), 415);
    }
    assert_eq!(backend.requests().len(), 0);
    let identity = Request::post(CHAT, ask("fine"))
        .key(&key)
        .header("Content-Encoding", "identity");
    assert_eq!(proxy.send(&identity).status, 200);
}

#[test]
fn model_names_are_booked_short_and_without_control_characters() {
    let backend = literal();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let names = [
        "m".repeat(1_000_000),
        "\u{1b}[2J\u{1b}[31mred".to_owned(),
        "line\nbreak\r\n\r\n| forged | row |".to_owned(),
        "\0nul".to_owned(),
        "bell\u{7}back\u{8}delete\u{7f}csi\u{9b}31m".to_owned(),
        "right\u{202e}tfel".to_owned(),
        "\u{200b}\u{feff}invisible".to_owned(),
        "'; DROP TABLE usage_logs; --".to_owned(),
        "é".repeat(500_000),
        "\u{1f980}".repeat(1000),
    ];
    for name in &names {
        let body = json!({"model": name, "messages": []}).to_string();
        assert_eq!(proxy.chat(&key, &body).status, 200);
        let seen = backend.last();
        assert_eq!(seen.text(), body, "the backend gets the name as it was");
    }
    let rows = proxy.rows();
    assert_eq!(rows.len(), names.len());
    for row in &rows {
        let model = row.model.as_ref().unwrap();
        assert!(model.chars().count() <= 200, "{model:?}");
        assert!(!model.contains(char::is_control), "{model:?}");
    }
    let table = proxy.cli(&["costs", "--by-model"]);
    assert_eq!(table.code, Some(0), "{table:?}");
    for line in table.stdout.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.chars().count() < 2_000, "{line:?}");
        assert!(
            !line.contains('\u{202e}'),
            "text that turns the line around: {line:?}"
        );
    }
    let costs = proxy.cli(&["costs", "--by-model", "--json"]).json();
    let over_http = proxy.get_json("/admin/list_costs?by_model=true");
    assert_eq!(costs["costs"], over_http["costs"]);
    let models = costs["costs"][0]["model_costs"].as_array().unwrap();
    assert_eq!(models.len(), names.len(), "{costs}");
    let number = |model: &Value| model["total_requests"].as_i64();
    assert!(
        models.iter().all(|model| number(model) == Some(1)),
        "{costs}"
    );
    for line in proxy.log().lines() {
        assert!(
            !line.contains(char::is_control) && line.len() < 2_000,
            "{line:?}"
        );
    }
}

//! Background responses that are cancelled, deleted or fail are billed for what they generated.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{get, id_of, post};
use crate::harness::{
    Backend, Home, PATIENCE, Proxy, Request, Row, Turnstile, assert_openai_error, wait_until,
};

const CREATED: &str = "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\",\"background\":true}}\n\n";
const CANCELLED: &str =
    r#"{"id":"resp_1","status":"cancelled","model":"gpt-4o","output":[],"usage":null}"#;

fn text(words: usize) -> String {
    let words = " word".repeat(words);
    format!("data: {{\"type\":\"response.output_text.delta\",\"delta\":\"{words}\"}}\n\n")
}

/// A backend whose background stream goes on until it is told to end; a look at the response, its cancellation and its deletion
/// all show it cancelled, without a word of what it used.
fn that_streams(gate: &Arc<Turnstile>) -> Backend {
    let gate = Arc::clone(gate);
    Backend::start(move |request, wire| {
        let is_stream = request.asks_to_stream() || request.target().contains("stream=true");
        if !is_stream {
            return match request.head.split(' ').next() {
                Some("DELETE") => wire.json(r#"{"id":"resp_1","deleted":true}"#),
                Some("POST") if request.target() == "/v1/responses" => {
                    wire.json(r#"{"id":"resp_1","status":"queued"}"#);
                }
                _ => wire.json(CANCELLED),
            };
        }
        wire.sse_head();
        wire.chunk(CREATED);
        wire.chunk(text(300));
        gate.pass();
        wire.end();
    })
}

fn in_background(stream: bool) -> Value {
    json!({"model": "gpt-4o", "input": "Hello!", "background": true, "stream": stream})
}

/// Input and output tokens of all rows, once there are as many as are expected.
#[track_caller]
fn booked(proxy: &Proxy, expected: (i64, i64)) -> Vec<Row> {
    let sums = || {
        let rows = proxy.rows();
        let input: i64 = rows.iter().map(|row| row.input).sum();
        (input, rows.iter().map(|row| row.output).sum::<i64>())
    };
    wait_until(&format!("{expected:?} is booked"), PATIENCE, || {
        sums() == expected
    });
    proxy.rows()
}

/// Reads a background stream to its last word, ends it by another request, and then lets it end.
fn read_and_end(how: impl Fn(&Proxy, &str)) -> Vec<Row> {
    let turnstile = Arc::new(Turnstile::default());
    let backend = that_streams(&turnstile);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let body = in_background(true).to_string();
    let mut client = proxy.start(&Request::post("/v1/responses", body).key(&key));
    client.head();
    client.event().unwrap();
    assert!(client.event().unwrap().contains("word"));
    how(&proxy, &key);
    turnstile.allow(1);
    client.rest();
    let rows = booked(&proxy, (9, 300));
    for row in &rows {
        assert_eq!(row.source, "estimate", "{row:?}");
        assert_eq!(row.endpoint, "/v1/responses");
        assert_eq!(row.model.as_deref(), Some("gpt-4o"));
    }
    rows
}

#[test]
fn a_cancelled_background_stream_is_billed_for_its_text() {
    read_and_end(|proxy, key| {
        let cancelled = post(proxy, key, "/v1/responses/resp_1/cancel", &json!({}));
        assert_eq!(cancelled.status, 200);
    });
}

#[test]
fn a_deleted_background_stream_is_billed_for_its_text() {
    read_and_end(|proxy, key| {
        let delete = Request::new("DELETE", "/v1/responses/resp_1").key(key);
        assert_eq!(proxy.send(&delete).status, 200);
        assert_openai_error(&get(proxy, key, "/v1/responses/resp_1"), 404);
    });
}

#[test]
fn text_in_a_later_stream_of_a_cancelled_response_is_billed() {
    let turnstile = Arc::new(Turnstile::default());
    let backend = that_streams(&turnstile);
    let (proxy, key) = Home::new(&backend).serve_alice();
    id_of(&post(&proxy, &key, "/v1/responses", &in_background(false)));
    for _ in 0..3 {
        turnstile.allow(1);
        let shown = get(&proxy, &key, "/v1/responses/resp_1?stream=true");
        assert!(shown.text().contains("word"));
    }
    post(&proxy, &key, "/v1/responses/resp_1/cancel", &json!({}));
    let rows = booked(&proxy, (9, 300));
    assert_eq!(rows.len(), 1, "{rows:?}");
    turnstile.allow(1);
    get(&proxy, &key, "/v1/responses/resp_1?stream=true");
    assert_eq!(booked(&proxy, (9, 300)).len(), 1, "nothing new was shown");
}

#[test]
fn a_cancelled_response_costs_its_input_at_least() {
    let backend = that_streams(&Arc::default());
    let (proxy, key) = Home::new(&backend).serve_alice();
    id_of(&post(&proxy, &key, "/v1/responses", &in_background(false)));
    post(&proxy, &key, "/v1/responses/resp_1/cancel", &json!({}));
    booked(&proxy, (9, 0));
}

#[test]
fn the_input_is_on_record_from_the_first_event_on() {
    let backend = that_streams(&Arc::default());
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    let body = in_background(true).to_string();
    let mut client = proxy.start(&Request::post("/v1/responses", body).key(&key));
    client.head();
    client.event().unwrap();
    proxy.kill9();
    proxy.restart();
    post(&proxy, &key, "/v1/responses/resp_1/cancel", &json!({}));
    booked(&proxy, (9, 0));
}

/// What a response says of itself, with 300 words or none, and without usage.
fn response(status: &str, words: usize, error: &Value) -> String {
    let text = " word".repeat(words);
    json!({"id": "resp_1", "object": "response", "status": status, "model": "gpt-4o", "error": error, "usage": null,
           "output": [{"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": text}]}]})
    .to_string()
}

/// A background response that is looked at while it runs, then is cancelled or fails.
fn looked_at_and_ended(running: String, ended: String, by_cancel: bool) -> Vec<Row> {
    let backend = Backend::start(move |request, wire| {
        let is_end = request.target().ends_with("/cancel") || request.target().contains("include");
        match (request.target(), is_end) {
            ("/v1/responses", _) => wire.json(r#"{"id":"resp_1","status":"queued"}"#),
            (_, true) => wire.json(&ended),
            _ => wire.json(&running),
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    id_of(&post(&proxy, &key, "/v1/responses", &in_background(false)));
    for _ in 0..3 {
        assert_eq!(get(&proxy, &key, "/v1/responses/resp_1").status, 200);
    }
    if by_cancel {
        post(&proxy, &key, "/v1/responses/resp_1/cancel", &json!({}));
    } else {
        get(&proxy, &key, "/v1/responses/resp_1?include[]=x");
    }
    booked(&proxy, (9, 300))
}

#[test]
fn text_seen_by_polling_is_billed_if_the_response_is_aborted() {
    let failed = || {
        response(
            "failed",
            0,
            &json!({"code": "server_error", "message": "x"}),
        )
    };
    let running = || response("in_progress", 300, &Value::Null);
    let cancelled = looked_at_and_ended(running(), CANCELLED.to_owned(), true);
    assert_eq!(cancelled.len(), 1, "{cancelled:?}");
    let failed = looked_at_and_ended(running(), failed(), false);
    assert_eq!(failed[0].labels(), ["backend_error", "estimate"]);
}

#[test]
fn a_failed_background_response_costs_its_input_and_text() {
    let failed = response(
        "failed",
        300,
        &json!({"code": "server_error", "message": "x"}),
    );
    let running = response("in_progress", 0, &Value::Null);
    let rows = looked_at_and_ended(running, failed, false);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0].labels(), ["backend_error", "estimate"]);
}

/// Leaves a stream of a response in its middle and asks for it later, when it is whole.
fn left_and_asked_for_later(target: &str, begin: &'static [&'static str]) {
    let backend = Backend::start(move |request, wire| {
        if request.asks_to_stream() {
            wire.sse_head();
            for status in begin {
                wire.chunk(format!(
                    "data: {{\"type\":\"response.{status}\",\"response\":{{\"id\":\"resp_1\",\"status\":\"{status}\"}}}}\n\n"
                ));
            }
            wire.chunk(text(1));
            wire.closed_by_peer_within(PATIENCE);
        } else {
            wire.json(
                r#"{"id":"resp_1","status":"completed","model":"m","usage":{"input_tokens":12,"output_tokens":320}}"#,
            );
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let body = r#"{"model":"gpt-4o","input":"Hello!","stream":true}"#;
    let mut client = proxy.start(&Request::post(target, body).key(&key));
    client.head();
    for _ in 0..=begin.len() {
        client.event().unwrap();
    }
    drop(client);
    if begin.len() == 1 {
        wait_until("what passed is booked", PATIENCE, || {
            proxy.rows().len() == 1
        });
    }
    for _ in 0..2 {
        assert_eq!(get(&proxy, &key, "/v1/responses/resp_1").status, 200);
    }
    booked(&proxy, (12, 320));
}

#[test]
fn a_queued_stream_continues_after_its_client_left() {
    left_and_asked_for_later("/v1/responses?background=true", &["queued", "in_progress"]);
}

#[test]
fn an_abandoned_stream_is_billed_in_full_if_it_can_be_read() {
    left_and_asked_for_later("/v1/responses", &["in_progress"]);
}

#[test]
fn a_queued_answer_is_billed_later_whatever_was_requested() {
    for (target, body) in [
        (
            "/v1/responses",
            r#"{"model":"m","input":"Hello!","background":true,"background":false}"#,
        ),
        (
            "/v1/responses?background=true",
            r#"{"model":"m","input":"Hello!"}"#,
        ),
        ("/v1/responses/compact", r#"{"model":"m","input":"Hello!"}"#),
    ] {
        for status in ["queued", "in_progress"] {
            let backend = Backend::start(move |request, wire| {
                if request.head.starts_with("POST") {
                    return wire.json(&json!({"id": "resp_1", "status": status}).to_string());
                }
                wire.json(
                    r#"{"id":"resp_1","status":"completed","model":"m","usage":{"input_tokens":3,"output_tokens":400}}"#,
                );
            });
            let (proxy, key) = Home::new(&backend).serve_alice();
            let answer = proxy.send(&Request::post(target, body).key(&key));
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(proxy.rows().is_empty(), "{target} {status}");
            assert_eq!(get(&proxy, &key, "/v1/responses/resp_1").status, 200);
            let row = proxy.only_row();
            assert_eq!(
                (row.tokens(), row.source.as_str()),
                ([3, 400, 0, 0], "backend"),
                "{target} {status}"
            );
        }
    }
}

#[test]
fn a_response_id_chosen_by_the_client_is_refused() {
    let backend = Backend::json("{}");
    let (proxy, key) = Home::new(&backend).serve_alice();
    for name in ["request_id", "requestId", "Request_ID"] {
        let body = json!({"model": "m", "input": "x", name: "resp_mine"});
        let answer = post(&proxy, &key, "/v1/responses", &body);
        assert_eq!(assert_openai_error(&answer, 400)["param"], "request_id");
    }
    assert!(backend.requests().is_empty());
}

#[test]
fn a_response_with_a_known_id_still_has_a_row() {
    let backend = Backend::start(|request, wire| {
        if request.asks_to_stream() {
            wire.sse(&[
                CREATED.to_owned(),
                text(5),
                "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"background\":true,\
                 \"usage\":{\"input_tokens\":7,\"output_tokens\":5}}}\n\n".to_owned(),
            ]);
        } else {
            wire.json(r#"{"id":"resp_1","status":"queued"}"#);
        }
    });
    let home = Home::new(&backend);
    let (alice, bob) = (home.user("alice"), home.user("bob"));
    let proxy = home.serve();
    for (count, key) in [&alice, &alice, &bob].into_iter().enumerate() {
        let answer = post(&proxy, key, "/v1/responses", &in_background(true));
        assert_eq!(answer.status, 200, "{}", answer.text());
        wait_until("it is booked", PATIENCE, || proxy.rows().len() > count);
        let row = proxy.rows().pop().unwrap();
        assert_eq!(row.tokens(), [7, 5, 0, 0], "{row:?}");
    }
    // One that goes on cannot be looked at by its id: it is booked by what is known of it.
    post(&proxy, &bob, "/v1/responses", &in_background(false));
    wait_until("it is booked", PATIENCE, || proxy.rows().len() == 4);
    assert_eq!(proxy.rows()[3].input, 9);
}

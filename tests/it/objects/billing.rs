//! Background objects are billed exactly once, whatever happens to the client, the id or the backend.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

use super::{get, id_of, made_earlier, new_response, post, remembered, upload};
use crate::harness::{
    Backend, Home, PATIENCE, Proxy, Request, Seen, Turnstile, Wire, wait_until,
    wait_until_proxy_let_go_of,
};

const DONE: &str = r#"{"id":"resp_1","status":"completed","model":"m-2","usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}"#;
const CREATED: &str = "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\"}}\n\n";
const JSON: (&str, &str) = ("content-type", "application/json");

fn private(backend: &Backend) -> Home {
    Home::new(backend).set("STATEFUL_ENDPOINTS", "private")
}

fn in_background() -> Value {
    json!({"model": "m", "input": "x", "background": true})
}

fn delete(id: &str, key: &str) -> Request {
    Request::new("DELETE", &format!("/v1/responses/{id}")).key(key)
}

#[test]
fn a_finished_object_with_an_unusable_id_is_billed() {
    let backend = Backend::json(DONE.replace("resp_1", "resp/abc+="));
    let (proxy, key) = private(&backend).serve_alice();
    assert_eq!(
        post(&proxy, &key, "/v1/responses", &in_background()).status,
        200
    );
    let row = proxy.only_row();
    assert_eq!(
        (row.tokens(), row.labels()),
        ([3, 4, 0, 0], ["completed", "backend"])
    );
}

/// A client that has sent this leaves; the backend goes on only when the proxy has noticed.
fn leaves(proxy: &Proxy, turnstile: &Turnstile, asked: usize, backend: &Backend, sent: &Request) {
    let client = proxy.start(sent);
    backend.wait_for_requests(asked);
    let port = client.port();
    drop(client);
    wait_until_proxy_let_go_of(port, proxy);
    turnstile.allow(1);
}

/// Sends a body so long behind its head that the head has gone on.
fn json_in_parts(wire: &mut Wire, body: &str) {
    let length = body.len().to_string();
    wire.head("200 OK", &[JSON, ("content-length", &length)]);
    std::thread::sleep(std::time::Duration::from_millis(100));
    wire.write(body);
}

#[test]
fn a_disconnect_before_the_object_s_id_loses_nothing() {
    for stream in [true, false] {
        let turnstile = Arc::new(Turnstile::default());
        let gate = Arc::clone(&turnstile);
        let backend = Backend::start(move |request, wire| {
            if request.head.starts_with("GET") {
                return wire.json(DONE);
            }
            gate.pass();
            if request.asks_to_stream() {
                wire.sse_head();
                std::thread::sleep(std::time::Duration::from_millis(100));
                wire.chunk(CREATED);
                gate.pass();
            } else {
                json_in_parts(wire, r#"{"id":"resp_1","status":"queued"}"#);
            }
        });
        let (proxy, key) = private(&backend).serve_alice();
        let body = json!({"model": "m", "input": "x", "background": true, "stream": stream});
        let request = Request::post("/v1/responses", body.to_string()).key(&key);
        leaves(&proxy, &turnstile, 1, &backend, &request);
        wait_until("the response is known", PATIENCE, || {
            get(&proxy, &key, "/v1/responses/resp_1").status == 200
        });
        turnstile.allow(1);
        assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0], "stream: {stream}");
    }
}

#[test]
fn a_disconnect_between_head_and_id_loses_nothing() {
    let turnstile = Arc::new(Turnstile::default());
    let gate = Arc::clone(&turnstile);
    let backend = Backend::start(move |request, wire| {
        if request.head.starts_with("GET") {
            return wire.json(DONE);
        }
        wire.sse_head();
        wire.chunk(": wait\n\n");
        gate.pass();
        wire.chunk(CREATED);
        gate.pass();
    });
    let (proxy, key) = private(&backend).serve_alice();
    let body = json!({"model": "m", "background": true, "stream": true}).to_string();
    let mut client = proxy.start(&Request::post("/v1/responses", body).key(&key));
    client.head();
    assert_eq!(client.read_some().as_deref(), Some(&b": wait\n\n"[..]));
    let port = client.port();
    drop(client);
    wait_until_proxy_let_go_of(port, &proxy);
    turnstile.allow(1);
    wait_until("the response is known", PATIENCE, || {
        get(&proxy, &key, "/v1/responses/resp_1").status == 200
    });
    turnstile.allow(1);
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
}

#[test]
fn a_batch_whose_client_leaves_before_its_id_is_billed() {
    let turnstile = Arc::new(Turnstile::default());
    let gate = Arc::clone(&turnstile);
    let backend = Backend::start(move |request, wire| {
        if request.head.starts_with("GET /v1/files") {
            wire.answer("200 OK", &[], r#"{"url":"/v1/responses","body":{}}"#);
        } else if request.head.starts_with("POST /v1/files") {
            wire.json(r#"{"id":"file-1"}"#);
        } else if request.head.starts_with("POST") {
            gate.pass();
            json_in_parts(wire, r#"{"id":"batch_1","status":"validating"}"#);
        } else {
            wire.json(&DONE.replace("resp_1", "batch_1"));
        }
    });
    let (proxy, key) = private(&backend)
        .set("RECONCILE_INTERVAL", "20ms")
        .serve_alice();
    let file = upload(&proxy, &key, "x");
    let body = json!({"input_file_id": file}).to_string();
    let request = Request::post("/v1/batches", body).key(&key);
    leaves(&proxy, &turnstile, 3, &backend, &request);
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
    assert_eq!(get(&proxy, &key, "/v1/batches/batch_1").status, 200);
}

/// A backend with one response in the background that is done once it is told so, and that answers DELETE as it is told.
fn that_deletes(
    is_done: &Arc<AtomicBool>,
    on_delete: impl Fn(&mut Wire) + Send + Sync + 'static,
) -> Backend {
    let is_done = Arc::clone(is_done);
    Backend::start(move |request: &Seen, wire: &mut Wire| {
        match request.head.split(' ').next() {
            Some("POST") => wire.json(r#"{"id":"resp_1","status":"queued"}"#),
            Some("GET") if is_done.load(Ordering::Relaxed) => wire.json(DONE),
            Some("GET") => wire.json(
                r#"{"id":"resp_1","status":"in_progress","model":"gpt-4o",
                "output":[{"type":"message","content":[{"type":"output_text","text":"one two three four five"}]}]}"#,
            ),
            _ => on_delete(wire),
        }
    })
}

#[test]
fn a_refused_deletion_leaves_the_object_to_be_billed() {
    let is_done = Arc::new(AtomicBool::new(false));
    let backend = that_deletes(&is_done, |wire| {
        wire.answer("409 Conflict", &[JSON], r#"{"error":{"message":"busy"}}"#);
    });
    let (proxy, key) = private(&backend).serve_alice();
    id_of(&post(&proxy, &key, "/v1/responses", &in_background()));
    assert_eq!(proxy.send(&delete("resp_1", &key)).status, 409);
    is_done.store(true, Ordering::Relaxed);
    assert_eq!(get(&proxy, &key, "/v1/responses/resp_1").status, 200);
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
}

#[test]
fn an_object_deleted_while_it_runs_is_billed_for_its_text() {
    for stays in [true, false] {
        let turnstile = Arc::new(Turnstile::default());
        let gate = Arc::clone(&turnstile);
        let backend = that_deletes(&Arc::default(), move |wire| {
            gate.pass();
            wire.json(r#"{"id":"resp_1","deleted":true}"#);
        });
        let (proxy, key) = private(&backend).serve_alice();
        id_of(&post(&proxy, &key, "/v1/responses", &in_background()));
        if stays {
            turnstile.allow(1);
            assert_eq!(proxy.send(&delete("resp_1", &key)).status, 200);
        } else {
            leaves(&proxy, &turnstile, 3, &backend, &delete("resp_1", &key));
        }
        let row = proxy.only_row();
        assert_eq!(
            (row.output, row.source.as_str(), row.endpoint.as_str()),
            (5, "estimate", "/v1/responses"),
            "stays: {stays}"
        );
        assert!(!remembered(&proxy, "resp_1"));
    }
}

#[test]
fn an_unreadable_object_does_not_block_other_bills() {
    const ODD: usize = 12;
    let backend = Backend::start(|request, wire| {
        if request.head.starts_with("POST") {
            let id = request.json()["input"].clone();
            wire.json(&json!({"id": id, "status": "queued"}).to_string());
        } else if request.target().contains("resp_odd") {
            wire.answer("500 Internal Server Error", &[JSON], r#"{"error":"oops"}"#);
        } else {
            wire.json(DONE);
        }
    });
    let (proxy, key) = private(&backend)
        .set("RECONCILE_INTERVAL", "20ms")
        .serve_alice();
    for id in (0..ODD)
        .map(|n| format!("resp_odd{n}"))
        .chain(["resp_1".to_owned()])
    {
        let body = json!({"model": "m", "input": id, "background": true});
        id_of(&post(&proxy, &key, "/v1/responses", &body));
    }
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
}

#[test]
fn a_poll_that_bills_nothing_logs_no_token_counts() {
    let backend = Backend::json(DONE);
    let (proxy, key) = private(&backend).serve_alice();
    new_response(&proxy, &key);
    for _ in 0..2 {
        assert_eq!(get(&proxy, &key, "/v1/responses/resp_1").status, 200);
    }
    let lines = || {
        let log = proxy.log();
        let of_it = log.lines().filter(|line| line.contains("/v1/responses"));
        of_it.map(str::to_owned).collect::<Vec<_>>()
    };
    wait_until("each has its line", PATIENCE, || lines().len() == 3);
    let with_numbers = lines().into_iter().filter(|line| line.contains("output="));
    assert_eq!(with_numbers.count(), 1, "{:?}", lines());
    proxy.only_row();
}

/// A backend that takes no notice of `background`, and has nothing to come back to.
fn that_keeps_nothing(not_found: &'static str) -> Backend {
    Backend::start(move |request, wire| {
        if request.head.starts_with("GET") {
            return wire.answer("404 Not Found", &[JSON], not_found);
        }
        if request.head.starts_with("DELETE") {
            return wire.json(r#"{"deleted":true}"#);
        }
        wire.sse_head();
        wire.chunk(CREATED);
        wire.chunk("data: {\"type\":\"response.output_text.delta\",\"delta\":\"one two three four five\"}\n\n");
        wire.closed_by_peer_within(PATIENCE);
    })
}

/// A client reads the text of such a stream and leaves before its end.
fn reads_and_leaves(proxy: &Proxy, key: &str) {
    let body = json!({"model": "gpt-4o", "input": "Hello!", "background": true, "stream": true});
    let mut client = proxy.start(&Request::post("/v1/responses", body.to_string()).key(key));
    client.head();
    client.event().unwrap();
    assert!(client.event().unwrap().contains("five"));
    drop(client);
    wait_until("what it had is kept", PATIENCE, || {
        let kept = "SELECT count(*) FROM objects WHERE output_tokens = 5";
        let kept = proxy.database().query_row(kept, [], |row| row.get(0));
        kept == Ok(1_i64)
    });
    assert!(proxy.rows().is_empty(), "the backend may yet tell");
}

fn only_row_is_of_the_text(proxy: &Proxy) {
    let row = proxy.only_row();
    assert_eq!((row.output, row.labels()), (5, ["client_gone", "estimate"]));
    assert!(row.input > 0);
    assert_eq!(row.endpoint, "/v1/responses");
    assert_eq!(row.model.as_deref(), Some("gpt-4o"));
}

#[test]
fn an_abandoned_stream_unknown_to_the_backend_is_billed() {
    const DAY: i64 = 24 * 3600;
    for (not_found, days) in [
        (r#"{"error":"no resp_1"}"#, 1),
        (r#"{"detail":"Not Found"}"#, 8),
    ] {
        let backend = that_keeps_nothing(not_found);
        let (proxy, key) = private(&backend)
            // The former name of RECONCILE_INTERVAL.
            .set("SETTLE_INTERVAL", "20ms")
            .serve_alice();
        reads_and_leaves(&proxy, &key);
        let asked = backend.requests().len();
        backend.wait_for_requests(asked + 3);
        assert!(proxy.rows().is_empty(), "the backend may yet tell");
        made_earlier(&proxy, days * DAY + 3600);
        only_row_is_of_the_text(&proxy);
        assert_eq!(remembered(&proxy, "resp_1"), days == 8);
    }
}

#[test]
fn an_abandoned_stream_is_billed_before_it_is_deleted() {
    let backend = that_keeps_nothing(r#"{"error":"no resp_1"}"#);
    let (proxy, key) = private(&backend).serve_alice();
    reads_and_leaves(&proxy, &key);
    assert_eq!(proxy.send(&delete("resp_1", &key)).status, 200);
    only_row_is_of_the_text(&proxy);
    assert!(!remembered(&proxy, "resp_1"));
}

#[test]
fn reported_usage_replaces_the_estimate_of_an_abandoned_stream() {
    let backend = Backend::start(move |request, wire| {
        if request.head.starts_with("GET") {
            return wire.json(DONE);
        }
        wire.sse_head();
        wire.chunk(CREATED);
        wire.chunk("data: {\"type\":\"response.output_text.delta\",\"delta\":\"one two three four five\"}\n\n");
        wire.closed_by_peer_within(PATIENCE);
    });
    let (proxy, key) = private(&backend).serve_alice();
    reads_and_leaves(&proxy, &key);
    assert_eq!(get(&proxy, &key, "/v1/responses/resp_1").status, 200);
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
}

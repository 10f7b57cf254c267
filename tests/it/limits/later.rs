//! Limits of what uses its tokens later: batches, background responses, the responses of a socket.

use std::sync::{Mutex, mpsc};

use serde_json::json;

use super::{limits_of, serve_limited, set_limits};
use crate::harness::{Backend, Home, PATIENCE, Request, assert_openai_error, wait_until};
use crate::objects::{Shelf, get, id_of, post, upload};

/// Returns what is reserved of tokens.
fn reserved(proxy: &crate::harness::Proxy) -> i64 {
    limits_of(proxy, "alice")["limits"][0]["reserved"]
        .as_i64()
        .unwrap()
}

fn line(max_tokens: u64) -> String {
    format!(
        r#"{{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{{"model":"gpt-4o","messages":[],"max_tokens":{max_tokens}}}}}"#
    )
}

#[test]
fn a_batch_reserves_the_sum_of_its_lines_until_it_is_billed_also_over_a_restart() {
    let shelf = Shelf::start();
    let home = Home::new(&shelf.backend).set("STATEFUL_ENDPOINTS", "private");
    let (mut proxy, key) = serve_limited(home, &["--budget", "1000tokens/total"]);
    let too_many = upload(&proxy, &key, &format!("{}\n{}\n", line(400), line(700)));
    let body = |file: &str| json!({"input_file_id": file, "endpoint": "/v1/chat/completions"});
    let error = assert_openai_error(&post(&proxy, &key, "/v1/batches", &body(&too_many)), 429);
    assert_eq!(error["code"], "insufficient_quota", "{error}");
    let fits = upload(&proxy, &key, &format!("{}\n{}\n", line(400), line(400)));
    let id = id_of(&post(&proxy, &key, "/v1/batches", &body(&fits)));
    let held = reserved(&proxy);
    assert!((800..900).contains(&held), "{held}");
    let chat = r#"{"model":"gpt-4o","messages":[],"max_tokens":300}"#;
    let refused = proxy.chat(&key, chat);
    assert_eq!(
        assert_openai_error(&refused, 429)["code"],
        "rate_limit_exceeded"
    );
    proxy.restart();
    wait_until("the reservation is back", PATIENCE, || {
        reserved(&proxy) == held
    });
    shelf.put(
        "batches",
        json!({"id": id, "status": "completed", "model": "gpt-4o", "usage": {"input_tokens": 10, "output_tokens": 40, "total_tokens": 50}}),
    );
    assert_eq!(get(&proxy, &key, &format!("/v1/batches/{id}")).status, 200);
    wait_until("what it used takes the place", PATIENCE, || {
        let budget = limits_of(&proxy, "alice")["limits"][0].clone();
        (&budget["reserved"], &budget["used"]) == (&json!(0), &json!(50))
    });
    proxy.restart();
    wait_until("and stays there", PATIENCE, || {
        let budget = limits_of(&proxy, "alice")["limits"][0].clone();
        (&budget["reserved"], &budget["used"]) == (&json!(0), &json!(50))
    });
}

#[test]
fn lines_of_a_batch_are_held_to_models_and_output() {
    let shelf = Shelf::start();
    let home = Home::new(&shelf.backend).set("STATEFUL_ENDPOINTS", "private");
    let (proxy, key) = serve_limited(home, &["--max-output-tokens", "100"]);
    let body = |file: &str| json!({"input_file_id": file, "endpoint": "/v1/chat/completions"});
    let unnamed = line(1).replace(r#","max_tokens":1"#, "");
    for bad in [line(101), unnamed] {
        let file = upload(&proxy, &key, &format!("{}\n{bad}\n", line(100)));
        let error = assert_openai_error(&post(&proxy, &key, "/v1/batches", &body(&file)), 400);
        assert!(
            error["message"].as_str().unwrap().contains("100"),
            "{error}"
        );
    }
    set_limits(&proxy, &["user", "set", "alice", "--models", "o3"]);
    let file = upload(&proxy, &key, &line(100));
    let error = assert_openai_error(&post(&proxy, &key, "/v1/batches", &body(&file)), 404);
    assert_eq!(error["code"], "model_not_found");
}

#[test]
fn a_background_response_is_reserved_until_it_is_done() {
    let backend = Backend::start(|seen, wire| {
        if seen.target() == "/v1/responses" {
            wire.json(r#"{"id":"resp_1","status":"queued","background":true}"#);
        } else {
            wire.json(r#"{"id":"resp_1","status":"completed","model":"gpt-4o","usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}"#);
        }
    });
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (mut proxy, key) = serve_limited(home, &["--budget", "1000tokens/total"]);
    let body =
        json!({"model": "gpt-4o", "input": "x", "background": true, "max_output_tokens": 600});
    assert_eq!(post(&proxy, &key, "/v1/responses", &body).status, 200);
    let held = reserved(&proxy);
    assert!((600..700).contains(&held), "{held}");
    assert_openai_error(&post(&proxy, &key, "/v1/responses", &body), 429);
    proxy.restart();
    wait_until("the reservation is back", PATIENCE, || {
        reserved(&proxy) == held
    });
    assert_eq!(get(&proxy, &key, "/v1/responses/resp_1").status, 200);
    wait_until("it is billed", PATIENCE, || {
        let budget = limits_of(&proxy, "alice")["limits"][0].clone();
        (&budget["reserved"], &budget["used"]) == (&json!(0), &json!(7))
    });
}

/// Frames a text message.
pub fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(126);
    let mut frame = vec![0x81];
    if length < 126 {
        frame.push(length);
    } else {
        frame.push(126);
        frame.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
    }
    frame.extend_from_slice(text.as_bytes());
    frame
}

pub const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
pub const DONE: &str = r#"{"type":"response.done","response":{"usage":{"total_tokens":300,"input_tokens":100,"output_tokens":200}}}"#;

/// Returns the ends of a channel by which a test tells its backend to go on.
pub fn signals() -> (mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>) {
    let (next, nexts) = mpsc::channel();
    (next, Mutex::new(nexts))
}

pub fn upgrade(target: &str, key: &str) -> Request {
    Request::get(target)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .key(key)
}

#[test]
fn a_socket_is_closed_when_the_next_response_does_not_pass() {
    let (next, nexts) = signals();
    let backend = Backend::start(move |_, wire| {
        wire.write(SWITCH);
        while nexts.lock().unwrap().recv_timeout(PATIENCE).is_ok() {
            wire.write(frame(r#"{"type":"response.created","response":{}}"#));
            wire.write(frame(DONE));
        }
        wire.closed_by_peer_within(PATIENCE);
    });
    // Each response reserves 4,096 tokens of output, and uses 300.
    let (proxy, key) = serve_limited(Home::new(&backend), &["--budget", "5000tokens/day"]);
    let mut socket = proxy.start(&upgrade("/v1/realtime?model=gpt-realtime", &key));
    assert_eq!(socket.head().status, 101);
    for response in 1..=4 {
        next.send(()).unwrap();
        wait_until("it is booked", PATIENCE, || {
            limits_of(&proxy, "alice")["limits"][0]["used"] == 300 * response
        });
    }
    let bytes = socket.raw_rest();
    drop(next);
    let close = bytes
        .windows(4)
        .any(|w| w[0] == 0x88 && w[2..] == 1008_u16.to_be_bytes());
    assert!(close, "{:?}", String::from_utf8_lossy(&bytes));
    wait_until("nothing is held", PATIENCE, || {
        let held = &limits_of(&proxy, "alice")["in_flight"];
        held["requests"] == 0 && held["reserved_tokens"] == 0
    });
    let refused = proxy.send(&upgrade("/v1/realtime?model=gpt-realtime", &key));
    assert_openai_error(&refused, 429);
}

#[test]
fn responses_of_a_socket_at_the_same_time_are_reserved_together() {
    let created = r#"{"type":"response.created","response":{}}"#;
    let (next, nexts) = signals();
    let backend = Backend::start(move |_, wire| {
        wire.write(SWITCH);
        wire.write(frame(created));
        wire.write(frame(created));
        nexts.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        wire.write(frame(created));
        wire.closed_by_peer_within(PATIENCE);
    });
    // There is room for two responses of 4,096 tokens of output, and not for three.
    let (proxy, key) = serve_limited(Home::new(&backend), &["--budget", "10000tokens/day"]);
    let mut socket = proxy.start(&upgrade("/v1/realtime?model=none", &key));
    assert_eq!(socket.head().status, 101);
    wait_until("both are reserved", PATIENCE, || {
        limits_of(&proxy, "alice")["in_flight"]["reserved_tokens"] == 8_192
    });
    next.send(()).unwrap();
    let bytes = socket.raw_rest();
    let close = bytes
        .windows(4)
        .any(|w| w[0] == 0x88 && w[2..] == 1008_u16.to_be_bytes());
    assert!(close, "{:?}", String::from_utf8_lossy(&bytes));
}

#[test]
fn a_socket_is_closed_when_its_session_names_a_model_that_is_not_allowed() {
    let backend = Backend::start(|_, wire| {
        wire.write(SWITCH);
        wire.write(frame(
            r#"{"type":"session.created","session":{"model":"gpt-realtime"}}"#,
        ));
        wire.closed_by_peer_within(PATIENCE);
    });
    let (proxy, key) = serve_limited(Home::new(&backend), &["--models", "gpt-4o*"]);
    let refused = proxy.send(&upgrade("/v1/realtime?model=gpt-realtime", &key));
    assert_openai_error(&refused, 404);
    let mut socket = proxy.start(&upgrade("/v1/realtime?intent=conversation", &key));
    assert_eq!(socket.head().status, 101);
    let bytes = socket.raw_rest();
    assert!(
        bytes
            .windows(4)
            .any(|w| w[0] == 0x88 && w[2..] == 1008_u16.to_be_bytes())
    );
}

//! Each endpoint is metered in its own way, and endpoints that all users would share are closed.

use std::sync::Arc;

use crate::harness::{
    Backend, Home, PATIENCE, Proxy, Request, Row, Turnstile, assert_openai_error, wait_until,
};

/// Answers every path with `body`.
fn says(body: &'static str) -> Backend {
    Backend::start(move |_, wire| wire.json(body))
}

fn post(proxy: &Proxy, key: &str, path: &str, body: &str) -> Row {
    let answer = proxy.send(&Request::post(path, body).key(key));
    assert_eq!(answer.status, 200, "{}", answer.text());
    proxy.only_row()
}

#[test]
fn each_json_endpoint_is_booked_by_the_usage_that_it_has() {
    for (path, body, tokens) in [
        (
            "/v1/responses",
            r#"{"object":"response","output":[],"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":6},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":9},"total_tokens":123}}"#,
            [36, 87, 6, 9],
        ),
        (
            "/v1/embeddings",
            r#"{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#,
            [8, 0, 0, 0],
        ),
        (
            "/v1/messages",
            r#"{"content":[{"type":"text","text":"hi"}],"usage":{"input_tokens":10,"cache_read_input_tokens":30,"cache_creation_input_tokens":5,"output_tokens":4}}"#,
            [45, 4, 30, 0],
        ),
        ("/v1/moderations", r#"{"results":[]}"#, [0, 0, 0, 0]),
    ] {
        let backend = says(body);
        let (proxy, key) = Home::new(&backend).serve_alice();
        let row = post(&proxy, &key, path, r#"{"model":"m-1","input":"hello"}"#);
        assert_eq!(row.tokens(), tokens, "{path}");
        assert_eq!(
            (
                row.endpoint.as_str(),
                row.model.as_deref().unwrap_or_default()
            ),
            (path, "m-1")
        );
    }
}

#[test]
fn counting_tokens_is_free() {
    let backend = says(r#"{"input_tokens":14}"#);
    let (proxy, key) = Home::new(&backend).serve_alice();
    for path in ["/v1/messages/count_tokens", "/v1/responses/input_tokens"] {
        let answer = proxy.send(&Request::post(path, r#"{"model":"m"}"#).key(&key));
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, r#"{"input_tokens":14}"#)
        );
    }
    assert!(proxy.rows().is_empty());
}

#[test]
fn streams_of_responses_and_messages_are_complete_and_booked() {
    let responses = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n\
         event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n\
         event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"model\":\"m-2\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}}}\n\n";
    let messages = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m-2\",\"usage\":{\"input_tokens\":2,\"cache_read_input_tokens\":1,\"output_tokens\":1}}}\n\n\
         event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n\
         event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n\
         event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    for (path, stream, cached) in [
        ("/v1/responses", responses, 0),
        ("/v1/messages", messages, 1),
    ] {
        let backend = Backend::sse([stream]);
        let (proxy, key) = Home::new(&backend).serve_alice();
        let request = Request::post(path, r#"{"model":"m-1","stream":true}"#).key(&key);
        let answer = proxy.send(&request);
        assert_eq!((answer.status, answer.text().as_str()), (200, stream));
        assert_eq!(backend.last().text(), r#"{"model":"m-1","stream":true}"#);
        let row = proxy.only_row();
        assert_eq!(row.tokens(), [3, 4, cached, 0], "{path}");
        assert_eq!(row.served_model.as_deref(), Some("m-2"));
    }
}

#[test]
fn anthropic_s_key_header_is_taken_and_replaced() {
    let backend = says(r#"{"usage":{"input_tokens":1,"output_tokens":2}}"#);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let request = Request::post("/v1/messages", r#"{"model":"m"}"#).header("x-api-key", &key);
    assert_eq!(proxy.send(&request).status, 200);
    let seen = backend.last();
    assert_eq!(seen.all("x-api-key"), [crate::harness::BACKEND_KEY]);
    assert_eq!(seen.header("authorization"), None);
}

/// A form with a file of `file_bytes` before the fields.
fn form(file_bytes: usize) -> Vec<u8> {
    let mut body =
        b"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n"
            .to_vec();
    body.resize(body.len() + file_bytes, b'w');
    body.extend(b"\r\n--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--XX--\r\n");
    body
}

fn transcription(body: &[u8], key: &str) -> Request {
    Request::post("/v1/audio/transcriptions", body)
        .without("content-type")
        .header("content-type", "multipart/form-data; boundary=XX")
        .key(key)
}

#[test]
fn a_form_passes_unchanged_and_its_audio_is_booked_separately() {
    let backend = says(r#"{"text":"hello","usage":{"type":"duration","seconds":12.5}}"#);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let body = form(300_000);
    let answer = proxy.send(&transcription(&body, &key));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(backend.last().body, body);
    let row = proxy.only_row();
    assert_eq!(
        (row.model.as_deref().unwrap_or_default(), row.tokens()),
        ("whisper-1", [0; 4])
    );
    let costs = proxy.get_json("/admin/list_costs?by=endpoint");
    assert_eq!(costs["costs"][0]["endpoint"], "/v1/audio/transcriptions");
    assert_eq!(costs["costs"][0]["total_audio_seconds"], 12.5);
    let csv = proxy.cli(&["costs", "--by", "model,user", "--csv"]).stdout;
    assert_eq!(
        csv.lines().last().map(|line| &line[..39]),
        Some("whisper-1,alice,1,0,0,0,0,12.5,0,0,0,0,")
    );
}

#[test]
fn an_answer_to_head_is_its_head_and_the_connection_goes_on() {
    let backend = Backend::start(|request, wire| {
        let framing = match request.target() {
            "/v1/long" => "Content-Length: 5000000",
            "/v1/chunked" => "Transfer-Encoding: chunked",
            "/v1/empty" => "Content-Length: 0",
            _ => "Content-Type: text/event-stream\r\nContent-Length: 56",
        };
        wire.write(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
    });
    let (proxy, key) = Home::new(&backend)
        .set("EXTRA_ENDPOINTS", "/v1/*")
        .set("MAX_CONCURRENT_REQUESTS", "1")
        .serve_alice();
    let mut connection = proxy.open();
    for (path, length) in [
        ("/v1/long", Some("5000000")),
        ("/v1/chunked", None),
        ("/v1/empty", Some("0")),
        ("/v1/stream", Some("56")),
    ] {
        connection.send(&Request::new("HEAD", path).key(&key));
        let head = connection.head();
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, length),
            "{path}"
        );
    }
    let rows = proxy.rows();
    assert_eq!(rows.len(), 4);
    assert!(
        rows.iter().all(|row| row.outcome == "completed"),
        "{rows:?}"
    );
    assert_eq!(backend.requests().len(), 4);
}

#[test]
fn an_empty_stream_is_booked_as_completed_before_its_end() {
    let backend = Backend::start(|_, wire| {
        wire.write(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n",
        );
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let body = r#"{"model":"m","messages":[],"stream":true}"#;
    let answer = proxy.chat(&key, body);
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (200, Some("0"))
    );
    assert_eq!(proxy.only_row().outcome, "completed");
}

#[test]
fn a_form_of_a_browser_passes() {
    let backend = says(r#"{"text":"hello"}"#);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let boundary = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
    let body = String::from_utf8(form(100))
        .unwrap()
        .replace("XX", boundary);
    let request = Request::post("/v1/audio/transcriptions", body.clone())
        .without("content-type")
        .header(
            "content-type",
            &format!("multipart/form-data; boundary={boundary}"),
        )
        .key(&key);
    assert_eq!(proxy.send(&request).status, 200);
    assert_eq!(backend.last().body, body.as_bytes());
}

#[test]
fn a_large_upload_is_not_held_in_memory() {
    let backend = says(r#"{"text":"hello"}"#);
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.send(&transcription(&form(10), &key)).status, 200);
    let before = proxy.memory_kb("VmHWM");
    assert_eq!(
        proxy.send(&transcription(&form(60_000_000), &key)).status,
        200
    );
    let grown_kb = proxy.memory_kb("VmHWM") - before;
    assert!(grown_kb < 20_000, "{grown_kb} kB for an upload of 60 MB");
}

#[test]
fn images_are_counted_beside_the_tokens() {
    let body = r#"{"created":1,"data":[{"b64_json":"x"},{"b64_json":"y"}],"usage":{"input_tokens":5,"output_tokens":6,"total_tokens":11}}"#;
    let backend = says(body);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let row = post(
        &proxy,
        &key,
        "/v1/images/generations",
        r#"{"model":"gpt-image-1","prompt":"a cat"}"#,
    );
    assert_eq!(row.tokens(), [5, 6, 0, 0]);
    let costs = proxy.get_json("/admin/list_costs?by=day,model");
    assert_eq!(costs["costs"][0]["total_images"], 2);
}

#[test]
fn endpoints_shared_by_all_users_are_closed() {
    let backend = says("{}");
    let (proxy, key) = Home::new(&backend)
        .set("STATEFUL_ENDPOINTS", "off")
        .set("EXTRA_ENDPOINTS", "/v1/*")
        .serve_alice();
    for path in [
        "/v1/files",
        "/v1/files/file-1/content",
        "/v1/responses/resp_1",
        "/v1/%66iles/file-1",
        "/v1/realtime/client_secrets",
        "/v1/organization/costs",
    ] {
        let answer = proxy.send(&Request::get(path).key(&key));
        assert_eq!(
            assert_openai_error(&answer, 404)["code"],
            "endpoint_closed",
            "{path}"
        );
    }
    for body in [
        r#"{"model":"m","previous_response_id":"resp_1"}"#,
        r#"{"model":"m","conv\u0065rsation":"conv_1"}"#,
        r#"{"model":"m","input":[{"content":[{"type":"input_file","file_id":"file-1"}]}]}"#,
        r#"{"model":"m","background":true}"#,
    ] {
        let answer = proxy.send(&Request::post("/v1/responses", body).key(&key));
        assert_eq!(
            assert_openai_error(&answer, 404)["code"],
            "endpoint_closed",
            "{body}"
        );
    }
    assert!(backend.requests().is_empty());
}

#[test]
fn extra_endpoints_pass_and_their_usage_is_booked_if_found() {
    let backend = says(r#"{"results":[],"usage":{"total_tokens":56}}"#);
    let (proxy, key) = Home::new(&backend)
        .set("EXTRA_ENDPOINTS", "/v1/rerank,/tokenize")
        .serve_alice();
    let row = post(&proxy, &key, "/v1/rerank", r#"{"model":"bge","query":"q"}"#);
    assert_eq!(
        (row.tokens(), row.model.as_deref().unwrap_or_default()),
        ([56, 0, 0, 0], "bge")
    );
    let other = proxy.send(&Request::post("/v1/score", "{}").key(&key));
    assert_eq!(other.status, 404);
    // Whatever else is in the body, and however long.
    let number = format!("{:1>1023}.{:1>6144}e5{:1>1022}", "", "", "");
    let blanks = " ".repeat(1024 - r#"{"file_id":"file-1","x":"#.len());
    for value in ["1", &number] {
        let body = format!(r#"{{"file_id":"file-1","x":{blanks}{value}}}"#);
        let answer = proxy.send(&Request::post("/v1/rerank", body).key(&key));
        assert_openai_error(&answer, 404);
    }
    for list in ["/v1/files", "rerank", "/admin/x"] {
        let refused = Home::new(&backend).set("EXTRA_ENDPOINTS", list).refused();
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("EXTRA_ENDPOINTS"), "{refused:?}");
    }
}

/// An unmasked text frame of under 64 kB, as servers send it.
fn frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&[0x81, 126][..], &length, text.as_bytes()].concat()
}

const RESPONSE_DONE: &str = r#"{"type":"response.done","response":{"usage":{"total_tokens":253,"input_tokens":132,"output_tokens":121,"input_token_details":{"cached_tokens":64}}}}"#;

/// Opens the socket, says that a response is done, and waits for the client to go.
fn realtime() -> Backend {
    Backend::start(|request, wire| {
        assert_eq!(request.header("upgrade"), Some("websocket"));
        assert_eq!(request.header("sec-websocket-extensions"), None);
        wire.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
        );
        wire.write(frame(RESPONSE_DONE));
        wire.closed_by_peer_within(PATIENCE);
    })
}

fn upgrade(key: &str) -> Request {
    Request::get("/v1/realtime?model=gpt-realtime")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-extensions", "permessage-deflate")
        .key(key)
}

#[test]
fn a_realtime_socket_is_unchanged_and_each_response_booked() {
    let backend = realtime();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut socket = proxy.start(&upgrade(&key));
    let head = socket.head();
    assert_eq!(
        (head.status, head.header("sec-websocket-accept")),
        (101, Some("x"))
    );
    let row = proxy.only_row();
    assert_eq!(row.tokens(), [132, 121, 64, 0]);
    assert_eq!(
        (
            row.endpoint.as_str(),
            row.model.as_deref().unwrap_or_default()
        ),
        ("/v1/realtime", "gpt-realtime")
    );
}

#[test]
fn each_realtime_response_without_usage_is_estimated() {
    let turnstile = Arc::new(Turnstile::default());
    let gate = Arc::clone(&turnstile);
    let backend = Backend::start(move |_, wire| {
        wire.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
        );
        for n in 0..3 {
            // What waits while the vocabulary is loaded may be counted by a rule of thumb.
            if n == 1 {
                gate.pass();
            }
            wire.write(frame(r#"{"type":"response.created","response":{}}"#));
            wire.write(frame(
                r#"{"type":"response.output_text.delta","delta":"one two three four"}"#,
            ));
            wire.write(frame(
                r#"{"type":"response.done","response":{"usage":null}}"#,
            ));
        }
        wire.closed_by_peer_within(PATIENCE);
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let _socket = proxy.start(&upgrade(&key));
    wait_until("the first is booked", PATIENCE, || proxy.rows().len() == 1);
    turnstile.allow(1);
    wait_until("each is booked", PATIENCE, || proxy.rows().len() == 3);
    for row in proxy.rows() {
        assert_eq!(
            (row.labels(), row.output),
            (["completed", "estimate"], 4),
            "{row:?}"
        );
    }
}

#[test]
fn a_realtime_transcription_is_booked_under_its_own_model() {
    let backend = Backend::start(|_, wire| {
        wire.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
        );
        let transcribed = |usage: &str| {
            frame(&format!(
                r#"{{"type":"conversation.item.input_audio_transcription.completed","transcript":"hi","usage":{usage}}}"#
            ))
        };
        wire.write(transcribed("null"));
        wire.write(frame(
            r#"{"type":"session.updated","session":{"audio":{"input":{"transcription":{"model":"whisper-1"}}}}}"#,
        ));
        wire.write(transcribed(r#"{"type":"duration","seconds":2}"#));
        wire.write(transcribed(
            r#"{"type":"tokens","input_tokens":9,"output_tokens":2,"total_tokens":11}"#,
        ));
        wire.closed_by_peer_within(PATIENCE);
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let _socket = proxy.start(&upgrade(&key));
    wait_until("each is booked", PATIENCE, || proxy.rows().len() == 3);
    let rows = proxy.rows();
    let rows = rows.iter().map(|row| {
        let model = row.model.as_deref().unwrap_or_default();
        (model, row.input, row.output, row.source.as_str())
    });
    let expected = [
        ("gpt-realtime", 0, 0, "none"),
        ("whisper-1", 0, 0, "backend"),
        ("whisper-1", 9, 2, "backend"),
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

#[test]
fn a_forbidden_key_ends_its_realtime_socket_within_a_second() {
    let backend = realtime();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut socket = proxy.start(&upgrade(&key));
    assert_eq!(socket.head().status, 101);
    wait_until("the response is booked", PATIENCE, || {
        !proxy.rows().is_empty()
    });
    let forbidden = std::time::Instant::now();
    assert_eq!(proxy.cli(&["user", "forbid", "alice"]).code, Some(0));
    assert_closes(&socket.raw_rest(), 1008);
    assert!(
        forbidden.elapsed() < std::time::Duration::from_secs(2),
        "{:?}",
        forbidden.elapsed()
    );
    wait_until("the log tells it", PATIENCE, || {
        proxy.log().contains("cut=\"its key was forbidden\"")
    });
    assert!(!proxy.log().contains("ERROR"), "{}", proxy.log());
}

/// The last frame is one that closes the socket.
#[track_caller]
fn assert_closes(bytes: &[u8], code: u16) {
    let at = bytes.windows(4).position(|window| {
        window[0] == 0x88 && usize::from(window[1]) >= 2 && window[2..] == code.to_be_bytes()
    });
    let at = at.unwrap_or_else(|| panic!("no frame closes: {}", bytes.escape_ascii()));
    assert_eq!(bytes.len(), at + 2 + usize::from(bytes[at + 1]));
}

#[test]
fn after_a_refused_socket_its_connection_serves_requests() {
    let backend = Backend::start(|request, wire| {
        if request.head.starts_with("HEAD ") {
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        } else {
            wire.answer(
                "404 Not Found",
                &[("Content-Type", "application/json")],
                "{}",
            );
        }
    });
    let (proxy, key) = Home::new(&backend)
        .set("EXTRA_ENDPOINTS", "/v1/rerank")
        .serve_alice();
    // Enough of them for each worker to have kept a connection.
    for _ in 0..8 {
        assert_eq!(proxy.start(&upgrade(&key)).answer().status, 404);
    }
    for _ in 0..8 {
        let mut connection = proxy.open();
        for _ in 0..2 {
            connection.send(&Request::new("HEAD", "/v1/rerank").key(&key));
            let head = connection.head();
            assert_eq!(
                (head.status, head.header("content-length")),
                (200, Some("5"))
            );
        }
    }
    let requests = backend.requests();
    let of_head = requests.iter().find(|seen| seen.head.starts_with("HEAD "));
    assert!(of_head.unwrap().connection < 8, "it is used again");
}

#[test]
fn an_idle_realtime_socket_does_not_hold_up_the_stop() {
    let backend = realtime();
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    let mut socket = proxy.start(&upgrade(&key));
    assert_eq!(socket.head().status, 101);
    wait_until("the response is booked", PATIENCE, || {
        !proxy.rows().is_empty()
    });
    proxy.signal("TERM");
    assert_closes(&socket.raw_rest(), 1001);
    assert!(
        proxy
            .exit_within(std::time::Duration::from_secs(5))
            .is_some()
    );
    assert!(!proxy.log().contains("ERROR"), "{}", proxy.log());
}

#[test]
fn a_realtime_request_must_be_a_websocket_and_join_no_call() {
    let backend = says("{}");
    let (proxy, key) = Home::new(&backend).serve_alice();
    let plain = proxy.send(&Request::get("/v1/realtime?model=m").key(&key));
    assert_openai_error(&plain, 426);
    assert!(backend.requests().is_empty());
}

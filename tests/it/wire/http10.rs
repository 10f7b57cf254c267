//! Clients that speak HTTP/1.0, such as `ab`, old nginx and old Perl: they know no chunks, so a body without a length
//! ends with the connection (RFC 9112 section 6.1).

use std::thread::sleep;
use std::time::Duration;

use crate::harness::{
    ASK, ASK_STREAM, ASK_STREAM_USAGE, Backend, CHAT, DONE, Home, Proxy, Request, ask,
    assert_openai_error, chat_completion, counted_stream, delta,
};

const CONNECTIONS: [Option<&str>; 3] = [None, Some("keep-alive"), Some("close")];

/// The request with the version of an older client.
fn in_http10(request: &Request) -> Vec<u8> {
    let text = String::from_utf8(request.bytes("localhost")).unwrap();
    text.replacen(" HTTP/1.1\r\n", " HTTP/1.0\r\n", 1)
        .into_bytes()
}

fn with_connection(request: Request, connection: Option<&str>) -> Request {
    match connection {
        Some(connection) => request.header("Connection", connection),
        None => request,
    }
}

/// All bytes that come until the proxy closes the connection, taken apart at the end of the head.
#[track_caller]
fn exchange(proxy: &Proxy, request: &Request) -> (String, Vec<u8>) {
    let mut connection = proxy.open();
    connection.send_bytes(&in_http10(request));
    let bytes = connection.raw_rest();
    let end = memchr::memmem::find(&bytes, b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    assert!(head.starts_with("http/1.0 "), "{head}");
    assert!(!head.contains("transfer-encoding"), "{head}");
    (head, bytes[end..].to_vec())
}

/// An answer in JSON of some length.
fn long_answer(bytes: usize) -> String {
    chat_completion(3, 4).replace("Hello there.", &"x".repeat(bytes))
}

/// Each model is a way to send a body whose length is not announced.
fn without_length() -> Backend {
    Backend::start(|request, wire| {
        let json = [("Content-Type", "application/json")];
        let chunked = [json[0], ("Transfer-Encoding", "chunked")];
        match request.model().as_str() {
            "long" => {
                wire.head("200 OK", &chunked);
                wire.chunk(long_answer(2 << 20));
                wire.end();
            }
            "slow" => {
                wire.head("200 OK", &chunked);
                let body = chat_completion(3, 4);
                let (front, back) = body.split_at(20);
                wire.chunk(front);
                sleep(Duration::from_millis(60));
                wire.chunk(back);
                wire.end();
            }
            "until close" => {
                wire.head("200 OK", &json);
                wire.write(long_answer(2 << 20));
                wire.close();
            }
            "refuses" => {
                wire.head("503 Service Unavailable", &chunked);
                wire.chunk(r#"{"error":"#);
                sleep(Duration::from_millis(60));
                wire.chunk(r#"{"message":"busy"}}"#);
                wire.end();
            }
            _ => wire.sse(&counted_stream(3, 4)),
        }
    })
}

#[test]
fn a_body_without_a_length_ends_with_the_connection_in_http_1_0() {
    let backend = without_length();
    let (proxy, key) = Home::new(&backend).serve_alice();
    for connection in CONNECTIONS {
        for (model, expected) in [
            ("long", long_answer(2 << 20)),
            ("slow", chat_completion(3, 4)),
            ("until close", long_answer(2 << 20)),
            ("refuses", r#"{"error":{"message":"busy"}}"#.to_owned()),
        ] {
            let request = Request::post(CHAT, ask(model)).key(&key);
            let (head, body) = exchange(&proxy, &with_connection(request, connection));
            assert!(!head.contains("keep-alive"), "{model}: {head}");
            assert!(!head.contains("content-length"), "{model}: {head}");
            assert!(body == expected.as_bytes(), "{model}, {connection:?}");
        }
    }
    assert_eq!(proxy.rows().len(), 12);
}

#[test]
fn a_stream_in_http_1_0_is_its_events_and_nothing_else() {
    let backend = without_length();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let asked = counted_stream(3, 4).concat();
    let unasked = [&delta("Hello"), &delta(" there"), DONE].concat();
    for connection in CONNECTIONS {
        for (body, expected) in [(ASK_STREAM_USAGE, &asked), (ASK_STREAM, &unasked)] {
            let request = with_connection(Request::post(CHAT, body).key(&key), connection);
            let (head, events) = exchange(&proxy, &request);
            assert!(!head.contains("keep-alive"), "{head}");
            assert_eq!(
                &String::from_utf8_lossy(&events),
                expected,
                "{connection:?}"
            );
        }
    }
    assert!(proxy.rows().iter().all(|row| row.tokens() == [3, 4, 0, 0]));
}

#[test]
fn a_known_length_stays_and_lets_http_1_0_keep_its_connection() {
    let backend = Backend::start(|request, wire| match request.model().as_str() {
        "long" => wire.json(&long_answer(2 << 20)),
        _ => wire.json(&chat_completion(3, 4)),
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for (model, expected) in [
        ("long", long_answer(2 << 20)),
        ("short", chat_completion(3, 4)),
    ] {
        let request = Request::post(CHAT, ask(model)).key(&key);
        let (head, body) = exchange(&proxy, &request);
        let length = format!("content-length: {}\r\n", expected.len());
        assert!(head.contains(&length), "{head}");
        assert!(body == expected.as_bytes(), "{model}");

        let mut connection = proxy.open();
        let kept = in_http10(&request.header("Connection", "keep-alive"));
        for _ in 0..2 {
            connection.send_bytes(&kept);
            let answer = connection.answer();
            assert_eq!((answer.status, answer.clean), (200, true));
            assert!(answer.body == expected.as_bytes(), "{model}");
        }
    }
}

#[test]
fn errors_and_heads_alone_are_plain_in_http_1_0() {
    let backend = Backend::json("{}");
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut connection = proxy.open();
    let wrong_key = Request::post(CHAT, ASK).key("llmp-wrong");
    connection.send_bytes(&in_http10(&wrong_key));
    assert_openai_error(&connection.answer(), 401);
    assert!(connection.raw_rest().is_empty());

    let head = Request::new("HEAD", "/v1/models").key(&key);
    let (_, body) = exchange(&proxy, &head);
    assert!(body.is_empty());
}

//! Errors made by the proxy have the right status and OpenAI's shape, and the next request works.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{
    ASK, ASK_STREAM, BACKEND_KEY, Backend, CHAT, Home, PATIENCE, Proxy, Request, ask,
    assert_openai_error, bind_silently, chat_completion, wait_until,
};

/// A backend whose answer is chosen by the model asked for.
fn faulty() -> Backend {
    Backend::start(|request, wire| {
        match request.model().as_str() {
            "closes" => return wire.close(),
            "resets" => return wire.reset(),
            "half a head" => wire.write("HTTP/1.1 200 OK\r\nContent-Type: appli"),
            "not http" => wire.write("220 smtp.example.com ESMTP\r\n\r\n"),
            "no status" => wire.write("HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
            "two lengths" => {
                wire.write(
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}abc",
                );
            }
            "no length" => wire.write("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"),
            "no colon" => wire.write("HTTP/1.1 200 OK\r\nWhat is this\r\n\r\n{}"),
            "endless head" => {
                wire.write("HTTP/1.1 200 OK\r\n");
                for n in 0..100_000 {
                    wire.write(format!("X-Header-{n}: value\r\n"));
                }
                wire.write("\r\n");
            }
            "silent" => drop(wire.closed_by_peer_within(PATIENCE)),
            _ => return wire.json(&chat_completion(1, 1)),
        }
        wire.close();
    })
}

#[track_caller]
fn assert_still_serves(proxy: &Proxy, key: &str) {
    assert_eq!(
        proxy.chat(key, ASK).status,
        200,
        "the next request is served"
    );
}

#[track_caller]
fn assert_says(error: &Value, kind: &str, code: &str) {
    assert_eq!(
        (error["type"].as_str(), error["code"].as_str()),
        (Some(kind), Some(code)),
        "{error}"
    );
}

#[test]
fn missing_malformed_and_unknown_keys_are_401() {
    let backend = faulty();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let changed_case = key.chars().map(|c| {
        if c.is_lowercase() {
            c.to_ascii_uppercase()
        } else {
            c.to_ascii_lowercase()
        }
    });
    let unknown = format!("llmp-{}", "u".repeat(40));
    let values = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some(key.clone()),
        Some(format!("Basic {key}")),
        Some(format!("Bearer {key} more")),
        Some(format!("Bearer {key}x")),
        Some(format!("Bearer {}", &key[..key.len() - 1])),
        Some(format!("Bearer {}", changed_case.collect::<String>())),
        Some(format!("Bearer {unknown}")),
        Some(format!("Bearer {BACKEND_KEY}")),
    ];
    for value in values {
        for request in [Request::post(CHAT, ASK), Request::get("/v1/models")] {
            let request = match &value {
                Some(value) => request.header("Authorization", value),
                None => request,
            };
            let answer = proxy.send(&request);
            let error = assert_openai_error(&answer, 401);
            assert_says(&error, "invalid_request_error", "invalid_api_key");
            for secret in [&key, &unknown, BACKEND_KEY] {
                assert!(!format!("{answer:?}").contains(secret), "{answer:?}");
            }
        }
    }
    assert!(backend.requests().is_empty());
    assert!(!proxy.log().contains(&unknown), "{}", proxy.log());
    assert_still_serves(&proxy, &key);
}

#[test]
fn the_word_bearer_is_understood_in_any_case() {
    let backend = faulty();
    let (proxy, key) = Home::new(&backend).serve_alice();
    for scheme in ["bearer", "BEARER"] {
        let answer = proxy
            .send(&Request::post(CHAT, ASK).header("Authorization", &format!("{scheme} {key}")));
        assert_eq!(answer.status, 200, "{scheme}");
    }
}

#[test]
fn a_forbidden_key_is_403() {
    let backend = faulty();
    let home = Home::new(&backend);
    let bob = home.user("bob");
    assert_eq!(home.cli(&["user", "forbid", "bob"]).code, Some(0));
    let (proxy, alice) = home.serve_alice();
    for body in [ASK, ASK_STREAM, "not json"] {
        let answer = proxy.chat(&bob, body);
        assert_says(
            &assert_openai_error(&answer, 403),
            "permission_error",
            "api_key_disabled",
        );
        assert!(!format!("{answer:?}").contains(&bob), "{answer:?}");
    }
    assert!(backend.requests().is_empty());
    assert_still_serves(&proxy, &alice);
}

#[test]
fn a_body_that_is_no_json_object_is_400() {
    let backend = faulty();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let bodies: [&[u8]; 16] = [
        b"",
        b"   ",
        b"not json",
        b"[]",
        b"[{\"model\":\"m\"}]",
        b"\"model\"",
        b"42",
        b"true",
        b"null",
        b"{\"model\":\"m\"",
        b"{\"model\":\"m\",}",
        b"{\"model\":\"m\"} {}",
        b"{'model':'m'}",
        b"{\"model\":\"\xff\xfe\"}",
        b"{\"model\":\"m\",\"x\":01}",
        b"{\"model\":\"a\nb\"}",
    ];
    for body in bodies {
        let error = assert_openai_error(&proxy.send(&Request::post(CHAT, body).key(&key)), 400);
        assert_eq!(
            error["type"],
            "invalid_request_error",
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let answer = proxy.chat(&key, &deep);
    assert!(
        answer.status == 400 || answer.status == 200,
        "deep nesting ends nothing: {answer:?}"
    );
    assert_still_serves(&proxy, &key);
}

#[test]
fn a_body_over_the_limit_is_413_and_one_at_the_limit_is_served() {
    let backend = faulty();
    let (proxy, key) = Home::new(&backend)
        .set("MAX_BODY_SIZE", "1KiB")
        .serve_alice();
    let of_size = |size: usize| {
        let frame = ask("").len();
        ask(&"m".repeat(size - frame))
    };
    assert_eq!(proxy.chat(&key, &of_size(1024)).status, 200);
    for size in [1025, 100_000, 3_000_000] {
        assert_openai_error(&proxy.chat(&key, &of_size(size)), 413);
    }
    let body = of_size(5000);
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let request = Request::post(CHAT, chunked)
        .key(&key)
        .header("Transfer-Encoding", "chunked");
    assert_openai_error(&proxy.send(&request), 413);
    assert_eq!(backend.requests().len(), 1);
    assert_still_serves(&proxy, &key);
}

#[test]
fn a_backend_that_cannot_be_reached_is_502() {
    let unused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let no_such_host = "http://no-such-host.invalid".to_owned();
    for url in [format!("http://{unused}"), no_such_host] {
        let (proxy, key) = Home::with_backend_url(&url).serve_alice();
        for _ in 0..2 {
            let answer = proxy.chat(&key, ASK);
            assert_says(
                &assert_openai_error(&answer, 502),
                "server_error",
                "backend_unreachable",
            );
        }
        assert_eq!(proxy.get_json("/health")["status"], "ok");
    }
}

#[test]
fn a_backend_that_does_not_accept_in_time_is_502_or_504() {
    // Its queue of one holds these two connections and nobody takes them out; the next SYN is not answered.
    let stuck = full_listener();
    let url = format!("http://{}", stuck.0.local_addr().unwrap());
    let (proxy, key) = Home::with_backend_url(&url)
        .set("BACKEND_CONNECT_TIMEOUT", "300ms")
        .serve_alice();
    let answer = proxy.chat(&key, ASK);
    assert!([502, 504].contains(&answer.status), "{answer:?}");
    assert_eq!(
        assert_openai_error(&answer, answer.status)["type"],
        "server_error"
    );
}

#[test]
fn a_broken_off_or_invalid_answer_is_502() {
    let backend = faulty();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let faults = [
        "closes",
        "resets",
        "half a head",
        "not http",
        "no status",
        "two lengths",
        "no length",
        "no colon",
        "endless head",
    ];
    for fault in faults {
        let answer = proxy.chat(&key, &ask(fault));
        assert!(answer.status == 502, "{fault}: {answer:?}");
        assert_eq!(
            assert_openai_error(&answer, 502)["type"],
            "server_error",
            "{fault}"
        );
        assert!(!format!("{answer:?}").contains(BACKEND_KEY), "{answer:?}");
        assert_still_serves(&proxy, &key);
    }
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
}

#[test]
fn a_backend_that_does_not_answer_in_time_is_504() {
    let backend = faulty();
    let (proxy, key) = Home::new(&backend)
        .set("BACKEND_IDLE_TIMEOUT", "300ms")
        .serve_alice();
    let start = std::time::Instant::now();
    let answer = proxy.chat(&key, &ask("silent"));
    assert_eq!(assert_openai_error(&answer, 504)["type"], "server_error");
    assert!(
        start.elapsed() >= Duration::from_millis(300),
        "not before the time is over"
    );
    assert_still_serves(&proxy, &key);
}

#[test]
fn every_error_has_a_request_id_of_its_own() {
    let backend = faulty();
    let (proxy, _) = Home::new(&backend).serve_alice();
    let id = || {
        proxy
            .chat("llmp-nobody", ASK)
            .header("x-request-id")
            .unwrap()
            .to_owned()
    };
    assert_ne!(id(), id());
}

#[test]
fn the_log_names_the_user_and_the_request_id_of_a_refusal() {
    let backend = faulty();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let line_of = |id: &str| {
        let line = || {
            let log = proxy.log();
            log.lines()
                .find(|line| line.contains(id))
                .map(str::to_owned)
        };
        wait_until("the line is there", PATIENCE, || line().is_some());
        line().unwrap()
    };
    let refused = |key: &str| {
        let answer = proxy.chat(key, "no JSON");
        assert!(answer.status >= 400, "{answer:?}");
        line_of(answer.header("x-request-id").unwrap())
    };
    assert!(
        refused(&key).contains(
            r#" user="alice" method=POST path="/v1/chat/completions" status=400 refused="#
        )
    );
    proxy.cli(&["user", "forbid", "alice"]);
    wait_until("alice is forbidden", PATIENCE, || {
        proxy.chat(&key, ASK).status == 403
    });
    let forbidden = refused(&key);
    assert!(forbidden.contains(r#" user="alice" "#) && forbidden.contains("status=403"));
    assert!(!refused("llmp-nobody").contains("user="));

    let unknown = proxy.send(&Request::get("/admin/nothing"));
    let line = line_of(unknown.header("x-request-id").unwrap());
    assert!(
        line.contains(r#" method=GET path="/admin/nothing" status=404 request_id="#),
        "{line}"
    );
}

#[test]
fn a_broken_off_answer_is_logged_once() {
    let backend = Backend::start(|_, wire| {
        wire.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        wire.write("c\r\ndata: {\"a\":1\r\n");
        wire.close();
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut connection = proxy.start(&Request::post(CHAT, ASK_STREAM).key(&key));
    assert_eq!(connection.head().status, 200);
    assert!(!connection.rest().1, "it broke off");
    wait_until("the access line is there", PATIENCE, || {
        proxy.log().contains("backend_broke")
    });
    let log = proxy.log();
    assert_eq!(log.matches("broke off in its answer").count(), 1, "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn a_request_that_is_not_http_ends_only_its_own_connection() {
    let backend = faulty();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let wrong = [
        "\r\n\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1} tls\r\n\r\n".to_owned(),
        format!("POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
        format!(
            "POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        format!(
            "GET /v1/models HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "x".repeat(2_000_000)
        ),
    ];
    for bytes in wrong {
        let mut stream = std::net::TcpStream::connect(proxy.address()).unwrap();
        let _ = stream.write_all(bytes.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{bytes:.80}: {answer}"
        );
        assert_still_serves(&proxy, &key);
    }
    assert_eq!(
        backend.requests().len(),
        6,
        "nothing but the good requests went on"
    );
}

/// A listener whose queue is full, and what fills it.
fn full_listener() -> (TcpListener, Vec<std::net::TcpStream>) {
    let (socket, address) = bind_silently();
    socket.listen(1).unwrap();
    let connect =
        |_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let filling = (0..4).filter_map(connect).collect();
    (socket.into(), filling)
}

//! Connections to the backend are reused and never mix up two answers.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    ASK, Backend, CHAT, Home, PATIENCE, Request, Turnstile, alone, ask, chat_completion,
};

/// An answer that only the request for `model` may get.
fn answer_for(model: &str) -> String {
    format!(r#"{{"for":"{model}","usage":{{"prompt_tokens":1,"completion_tokens":1}}}}"#)
}

#[test]
fn connections_to_the_backend_are_used_again() {
    let backend = Backend::json(chat_completion(1, 1));
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut client = proxy.open();
    for _ in 0..20 {
        client.send(&Request::post(CHAT, ASK).key(&key));
        assert_eq!(client.answer().status, 200);
    }
    assert!(
        backend
            .requests()
            .iter()
            .all(|request| request.connection == 0),
        "one client needs one connection"
    );
}

#[test]
fn a_backend_that_closes_after_each_answer_causes_no_error() {
    for says_so in [true, false] {
        let backend = Backend::start(move |_, wire| {
            let body = chat_completion(1, 1);
            let connection = if says_so { "close" } else { "keep-alive" };
            wire.answer(
                "200 OK",
                &[
                    ("Content-Type", "application/json"),
                    ("Connection", connection),
                ],
                body,
            );
            wire.close();
        });
        let (proxy, key) = Home::new(&backend).serve_alice();
        let mut client = proxy.open();
        for n in 0..100 {
            client.send(&Request::post(CHAT, ASK).key(&key));
            assert_eq!(client.answer().status, 200, "request {n}");
        }
        assert_eq!(proxy.rows().len(), 100);
    }
}

#[test]
fn a_kept_connection_that_dies_under_a_request_causes_no_error() {
    // The proxy asks again only if the connection dies within this time. A busy machine may delay the backend.
    const IN_TIME: Duration = Duration::from_millis(100);
    let _alone = alone();
    // Each connection answers once; it takes the second request and closes without a byte.
    let answered = std::sync::Mutex::new(std::collections::HashSet::new());
    let backend = Backend::start(move |request, wire| {
        if answered.lock().unwrap().insert(request.connection) {
            wire.json(&answer_for(&request.model()));
        } else {
            wire.close();
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut client = proxy.open();
    let mut served = 0;
    for n in 0..30 {
        let model = n.to_string();
        let asked = Instant::now();
        client.send(&Request::post(CHAT, ask(&model)).key(&key));
        let answer = client.answer();
        if answer.status == 502 && asked.elapsed() > IN_TIME {
            continue;
        }
        assert_eq!((answer.status, answer.text()), (200, answer_for(&model)));
        served += 1;
    }
    assert!(served > 15, "only {served} of 30 requests were in time");
    assert_eq!(proxy.rows().len(), served);
}

#[test]
fn a_request_is_repeated_on_reused_silent_connections_only() {
    let backend = Backend::start(|request, wire| {
        if request.model() == "a byte" {
            wire.write("H");
        }
        wire.close();
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for (count, model) in [(1, "nothing"), (2, "a byte"), (3, "nothing")] {
        assert_eq!(proxy.chat(&key, &ask(model)).status, 502);
        assert_eq!(backend.requests().len(), count);
    }
}

#[test]
fn an_answer_without_a_length_is_complete_and_leaks_nowhere() {
    let backend = Backend::start(|request, wire| {
        let model = request.model();
        if model.starts_with("until close") {
            wire.head("200 OK", &[("Content-Type", "application/json")]);
            let body = answer_for(&model);
            let (front, back) = body.split_at(10);
            wire.write(front);
            thread::sleep(std::time::Duration::from_millis(2));
            wire.write(back);
            wire.close();
        } else {
            wire.json(&answer_for(&model));
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    thread::scope(|scope| {
        for client in 0..4 {
            let (proxy, key) = (&proxy, &key);
            scope.spawn(move || {
                let mut connection = proxy.open();
                for n in 0..50 {
                    let framing = if n % 2 == 0 { "until close" } else { "length" };
                    let model = format!("{framing} {client}-{n}");
                    connection.send(&Request::post(CHAT, ask(&model)).key(key));
                    let answer = connection.answer();
                    assert_eq!(
                        (answer.status, answer.text(), answer.clean),
                        (200, answer_for(&model), true)
                    );
                }
            });
        }
    });
    let rows = proxy.rows();
    assert_eq!(rows.len(), 200);
    assert!(rows.iter().all(|row| row.tokens() == [1, 1, 0, 0]));
}

#[test]
fn bytes_after_an_answer_never_reach_another_request() {
    let stray = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}",
        answer_for("stray").len(),
        answer_for("stray")
    );
    let written = Arc::new(Turnstile::default());
    let backend = Backend::start({
        let written = written.clone();
        move |request, wire| {
            let body = answer_for(&request.model());
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            if request.model().ends_with("together") {
                wire.write([&*head, &*body, &*stray].concat());
            } else {
                wire.write(head + &body);
                wire.write(&stray);
            }
            written.allow(1);
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut client = proxy.open();
    for n in 0..40 {
        let model = format!("{n} {}", if n % 2 == 0 { "together" } else { "apart" });
        let asked = backend.requests().len();
        client.send(&Request::post(CHAT, ask(&model)).key(&key));
        let answer = client.answer();
        assert_eq!(answer.text(), answer_for(&model), "{model}: {answer:?}");
        // The stray bytes are with the proxy before the next request is.
        for _ in asked..backend.requests().len() {
            assert!(written.pass());
        }
    }
}

#[test]
fn an_early_answer_to_a_long_upload_reaches_the_client() {
    let refusal = r#"{"error":{"message":"too large","type":"invalid_request_error","param":null,"code":null}}"#;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (done, test_is_over) = mpsc::channel::<()>();
    // Reads the head, answers, and never reads on.
    let backend = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
            head.push(byte[0]);
        }
        let length = refusal.len();
        let answer = format!(
            "HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{refusal}"
        );
        stream.write_all(answer.as_bytes()).unwrap();
        let _ = test_is_over.recv_timeout(PATIENCE * 2);
    });
    let (proxy, key) = Home::with_backend_url(&url).serve_alice();
    let answer = proxy.chat(&key, &ask(&"m".repeat(20_000_000)));
    assert_eq!((answer.status, answer.text().as_str()), (413, refusal));
    drop(done);
    backend.join().unwrap();
}

#[test]
fn a_request_that_the_backend_began_to_answer_is_not_sent_again() {
    let backend = Backend::start(|request, wire| {
        if request.model() == "dies" {
            wire.write("HTTP/1.1 102 Processing\r\n\r\n");
            wire.close();
        } else {
            wire.json(&chat_completion(1, 1));
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut client = proxy.open();
    client.send(&Request::post(CHAT, ASK).key(&key));
    assert_eq!(
        client.answer().status,
        200,
        "now there is a kept connection"
    );
    client.send(&Request::post(CHAT, ask("dies")).key(&key));
    assert_eq!(client.answer().status, 502);
    let asked = backend
        .requests()
        .iter()
        .filter(|seen| seen.model() == "dies")
        .count();
    assert_eq!(asked, 1, "its tokens may be spent already");
}

//! A request whose kept connection dies is sent again only if the backend cannot have worked on it
//! (RFC 9110 section 9.2.2).

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use super::answer_for;
use crate::harness::{Backend, CHAT, Home, Request, Wire, alone, ask};

/// The proxy asks again only if a connection dies within this time.
const IN_TIME: Duration = Duration::from_millis(100);
/// A busy machine may delay the backend.
const ATTEMPTS: usize = 5;

/// A backend whose connections answer once and end in this way under the second request, after `delay`.
fn dying(delay: Duration, end: fn(&mut Wire)) -> Backend {
    let answered = Mutex::new(HashSet::new());
    Backend::start(move |request, wire| {
        if answered.lock().unwrap().insert(request.connection) {
            let body = match request.model().as_str() {
                "" => "{}".to_owned(),
                model => answer_for(model),
            };
            wire.json(&body);
        } else {
            sleep(delay);
            end(wire);
        }
    })
}

#[test]
fn a_post_whose_backend_dies_later_is_not_repeated() {
    let _alone = alone();
    for (delay_ms, end) in [
        (500, Wire::close as fn(&mut Wire)),
        (500, Wire::reset),
        (160, Wire::close),
        (1300, Wire::close),
    ] {
        let backend = dying(Duration::from_millis(delay_ms), end);
        let (proxy, key) = Home::new(&backend).serve_alice();
        let mut client = proxy.open();
        for (model, status) in [("warm", 200), ("dies", 502), ("after", 200)] {
            client.send(&Request::post(CHAT, ask(model)).key(&key));
            let answer = client.answer();
            assert_eq!(answer.status, status, "{delay_ms} ms, {model}: {answer:?}");
        }
        let asked = backend.requests();
        let models: Vec<String> = asked.iter().map(|seen| seen.model()).collect();
        assert_eq!(models, ["warm", "dies", "after"], "{delay_ms} ms");
        let rows = proxy.rows();
        let booked: Vec<_> = rows.iter().filter_map(|row| row.model.as_deref()).collect();
        assert_eq!(booked, ["warm", "after"], "an answer is booked, once");
    }
}

#[test]
fn a_connection_closed_while_idle_is_replaced_once() {
    let _alone = alone();
    for end in [Wire::close as fn(&mut Wire), Wire::reset] {
        assert!(
            (0..ATTEMPTS).any(|_| is_replaced_in_time(end)),
            "the backend never closed in time"
        );
    }
}

/// Checks that a request on a connection that dies at once is served on another. Returns false if the machine was too busy for
/// the backend to close it in time.
fn is_replaced_in_time(end: fn(&mut Wire)) -> bool {
    let backend = dying(Duration::ZERO, end);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut client = proxy.open();
    for model in ["warm", "again"] {
        let asked = Instant::now();
        client.send(&Request::post(CHAT, ask(model)).key(&key));
        let answer = client.answer();
        if answer.status == 502 && asked.elapsed() > IN_TIME {
            return false;
        }
        assert_eq!((answer.status, answer.text()), (200, answer_for(model)));
    }
    let connections: Vec<usize> = backend.requests().iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
    assert_eq!(proxy.rows().len(), 2);
    true
}

#[test]
fn a_get_is_repeated_for_up_to_a_second() {
    let _alone = alone();
    let backend = dying(Duration::from_millis(400), Wire::close);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut client = proxy.open();
    for _ in 0..2 {
        client.send(&Request::get("/v1/models").key(&key));
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!(backend.requests().len(), 3);
}

const LONG: usize = 16 << 20;

/// Reads a head and its body, the body after a second.
fn read_slowly(stream: &mut TcpStream) -> usize {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return 0;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut left: usize = length.unwrap().parse().unwrap();
    if left > LONG {
        // Far more than the two sockets hold: the request is not written before this is over.
        sleep(Duration::from_secs(1));
    }
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => left -= count,
            _ => return 0,
        }
    }
    length.unwrap().parse().unwrap()
}

/// Answers short requests; under a long one each connection that answered before closes after `delay`. Counts the long ones.
fn dying_under_a_long_body(delay: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let long = Arc::new(AtomicUsize::new(0));
    let counted = long.clone();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let counted = counted.clone();
            thread::spawn(move || {
                let mut has_answered = false;
                loop {
                    let length = read_slowly(&mut stream);
                    if length > LONG {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                    if length == 0 {
                        return;
                    }
                    if length > LONG && has_answered {
                        sleep(delay);
                        return;
                    }
                    let body = answer_for("long");
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                    let _ = stream.write_all((head + &body).as_bytes());
                    has_answered = true;
                }
            });
        }
    });
    (url, long)
}

#[test]
fn a_long_body_is_timed_from_the_moment_it_was_written() {
    let _alone = alone();
    assert_eq!(outcome_of_a_long_body(Duration::from_millis(500)), (502, 1));
    // Were it timed from its first byte, it would never be asked again.
    let is_asked_again = |_| outcome_of_a_long_body(Duration::ZERO) == (200, 2);
    assert!((0..ATTEMPTS).any(is_asked_again));
}

/// The status of a long request whose connection dies this long after it was read, and how often the backend got it.
fn outcome_of_a_long_body(delay: Duration) -> (u16, usize) {
    let (url, long) = dying_under_a_long_body(delay);
    let (proxy, key) = Home::with_backend_url(&url).serve_alice();
    let mut client = proxy.open();
    client.send(&Request::post(CHAT, ask("warm")).key(&key));
    assert_eq!(client.answer().status, 200);
    client.send(&Request::post(CHAT, ask(&"m".repeat(LONG))).key(&key));
    (client.answer().status, long.load(Ordering::Relaxed))
}

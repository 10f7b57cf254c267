//! Answers that end early, because the client or the backend left, are booked.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::harness::{
    ASK, ASK_STREAM, ASK_STREAM_USAGE, Backend, CHAT, Home, PATIENCE, Request, Turnstile, alone,
    ask_stream, chat_completion, counted_stream, delta, usage_event, wait_until,
};

/// A backend that streams `events` and then waits for the proxy to hang up; how long that took comes out of the channel.
fn waiting_after(events: Vec<String>) -> (Backend, mpsc::Receiver<Option<Duration>>) {
    let (closed, when) = mpsc::channel();
    let closed = Mutex::new(closed);
    let backend = Backend::start(move |request, wire| {
        if !request.asks_to_stream() {
            return wire.json(&chat_completion(1, 1));
        }
        wire.sse_head();
        wire.chunks(&events);
        let _ = closed
            .lock()
            .unwrap()
            .send(wire.closed_by_peer_within(PATIENCE));
    });
    (backend, when)
}

#[test]
fn a_disconnect_cancels_a_stream_within_a_second_and_is_booked() {
    let _alone = alone();
    let words = vec![delta(" word"); 100];
    let (backend, closed) = waiting_after(words);
    let (proxy, key) = Home::new(&backend)
        .set("MAX_CONCURRENT_REQUESTS", "1")
        .serve_alice();
    let mut client = proxy.start(&Request::post(CHAT, ASK_STREAM).key(&key));
    client.head();
    for _ in 0..100 {
        client.event().unwrap();
    }
    let left = std::time::Instant::now();
    drop(client);
    closed
        .recv_timeout(PATIENCE)
        .unwrap()
        .expect("the backend's connection is closed");
    assert!(
        left.elapsed() < Duration::from_secs(1),
        "{:?}",
        left.elapsed()
    );

    let row = proxy.only_row();
    assert_eq!(
        (row.status, row.labels()),
        (200, ["client_gone", "estimate"])
    );
    assert_eq!((row.input, row.output), (9, 100), "{row:?}");
    assert_eq!(proxy.chat(&key, ASK).status, 200, "the only permit is back");
}

#[test]
fn a_connection_reset_by_the_client_is_booked() {
    let (backend, closed) = waiting_after(vec![delta(" word"); 10]);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut client = proxy.start(&Request::post(CHAT, ASK_STREAM_USAGE).key(&key));
    client.head();
    client.event().unwrap();
    client.reset();
    assert!(closed.recv_timeout(PATIENCE).unwrap().is_some());
    assert_eq!(proxy.only_row().labels(), ["client_gone", "estimate"]);
}

#[test]
fn a_disconnect_is_booked_by_the_last_running_usage() {
    let events = (1..=5).map(|n| {
        delta("word").replace(
            "}]}",
            &format!(r#"}}],"usage":{{"prompt_tokens":19,"completion_tokens":{n}}}}}"#),
        )
    });
    let (backend, closed) = waiting_after(events.collect());
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut client = proxy.start(&Request::post(CHAT, ASK_STREAM).key(&key));
    client.head();
    for _ in 0..5 {
        client.event().unwrap();
    }
    drop(client);
    closed.recv_timeout(PATIENCE).unwrap();
    let row = proxy.only_row();
    assert_eq!(
        (row.tokens(), row.labels()),
        ([19, 5, 0, 0], ["client_gone", "backend"])
    );
}

#[test]
fn a_client_that_leaves_before_the_answer_cancels_its_request() {
    let _alone = alone();
    let (closed, when) = mpsc::channel();
    let closed = Mutex::new(closed);
    let backend = Backend::start(move |request, wire| {
        if request.asks_to_stream() {
            let _ = closed
                .lock()
                .unwrap()
                .send(wire.closed_by_peer_within(PATIENCE));
        } else {
            wire.json(&chat_completion(1, 1));
        }
    });
    let (proxy, key) = Home::new(&backend)
        .set("MAX_CONCURRENT_REQUESTS", "1")
        .serve_alice();
    let client = proxy.start(&Request::post(CHAT, ASK_STREAM).key(&key));
    backend.wait_for_requests(1);
    let left = std::time::Instant::now();
    drop(client);
    when.recv_timeout(PATIENCE)
        .unwrap()
        .expect("the backend's connection is closed");
    assert!(
        left.elapsed() < Duration::from_secs(1),
        "{:?}",
        left.elapsed()
    );
    assert_eq!(proxy.chat(&key, ASK).status, 200, "the only permit is back");
}

/// What a chunked answer ends with behind its first event, when it is cut in these places.
const CUTS: [(&str, &str); 5] = [
    ("between chunks", ""),
    ("inside a chunk", "100\r\ndata: {"),
    ("inside a chunk's size", "10"),
    ("before the last line", "0\r\n"),
    ("nonsense for a chunk's size", "zz\r\nmore\r\n0\r\n\r\n"),
];

#[test]
fn a_stream_broken_off_by_the_backend_breaks_off_for_the_client() {
    let backend = Backend::start(|request, wire| {
        let way = request.model();
        let first = delta("Hello");
        if way == "length" {
            let kind = ("Content-Type", "text/event-stream");
            wire.head("200 OK", &[kind, ("Content-Length", "5000")]);
            wire.write(&first);
            return wire.close();
        }
        wire.sse_head();
        wire.chunk(&first);
        if let Some((_, end)) = CUTS.iter().find(|(name, _)| *name == way) {
            wire.write(end);
            return wire.close();
        }
        // Only once the event has been passed on: a reset may overtake what is still on its way.
        let _ = wire.closed_by_peer_within(Duration::from_millis(200));
        wire.reset();
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let cuts = CUTS.map(|(name, _)| name);
    let ways = ["length", "reset"].into_iter().chain(cuts);
    for (index, way) in ways.enumerate() {
        let answer = proxy.chat(&key, &ask_stream(way));
        assert_eq!(answer.status, 200, "{way}");
        assert!(
            !answer.clean,
            "{way}: the client must not take this for the whole answer: {answer:?}"
        );
        assert!(
            answer.text().starts_with(&delta("Hello")),
            "{way}: what came is passed on: {answer:?}"
        );
        wait_until("the row is written", PATIENCE, || {
            proxy.rows().len() > index
        });
        let row = proxy.rows().pop().unwrap();
        assert_eq!(
            row.labels(),
            ["backend_broke", "estimate"],
            "{way}: {row:?}"
        );
        assert!(row.input > 0 && row.output > 0, "{way}: {row:?}");
    }
}

#[test]
fn a_broken_off_plain_answer_never_looks_complete() {
    let backend = Backend::start(|request, wire| {
        let body = chat_completion(19, 10);
        let kind = ("Content-Type", "application/json");
        let cut = &body[..body.len() - 20];
        if request.model() == "length" {
            wire.head(
                "200 OK",
                &[kind, ("Content-Length", &body.len().to_string())],
            );
            wire.write(cut);
        } else {
            wire.head("200 OK", &[kind, ("Transfer-Encoding", "chunked")]);
            wire.chunk(cut);
        }
        wire.close();
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for (index, way) in ["length", "chunked"].into_iter().enumerate() {
        // The proxy may hold a short answer until it is whole; then it can still say so with a 502.
        let answer = proxy
            .start(&Request::post(CHAT, crate::harness::ask(way)).key(&key))
            .try_answer();
        assert!(
            answer.is_none_or(|answer| !answer.clean || answer.status == 502),
            "{way}"
        );
        wait_until("the row is written", PATIENCE, || {
            proxy.rows().len() > index
        });
        assert_eq!(proxy.rows()[index].outcome, "backend_broke", "{way}");
    }
}

#[test]
fn a_stream_that_broke_off_after_its_usage_is_counted_by_it() {
    let backend = Backend::start(|_, wire| {
        wire.sse_head();
        wire.chunk(delta("Hello"));
        wire.chunk(usage_event(19, 10));
        wire.close();
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert!(!proxy.chat(&key, ASK_STREAM).clean);
    let row = proxy.only_row();
    assert_eq!(
        (row.tokens(), row.labels()),
        ([19, 10, 0, 0], ["backend_broke", "backend"])
    );
}

#[test]
fn a_backend_silent_mid_stream_is_given_up() {
    let _alone = alone();
    let turnstile = Arc::new(Turnstile::default());
    let backend = Backend::start({
        let turnstile = turnstile.clone();
        move |request, wire| {
            if request.model() == "silent" {
                wire.sse_head();
                wire.chunk(delta("Hello"));
                turnstile.pass();
                return wire.close();
            }
            // Slower in all than the limit, but never silent for as long.
            wire.sse_head();
            for event in counted_stream(19, 10) {
                std::thread::sleep(Duration::from_millis(150));
                wire.chunk(event);
            }
            wire.end();
        }
    });
    let (proxy, key) = Home::new(&backend)
        .set("BACKEND_IDLE_TIMEOUT", "400ms")
        .serve_alice();
    let answer = proxy.chat(&key, &ask_stream("silent"));
    turnstile.allow(1);
    assert_eq!(
        (answer.status, answer.clean, answer.text()),
        (200, false, delta("Hello"))
    );
    assert_eq!(proxy.only_row().outcome, "backend_broke");
    assert!(
        proxy.chat(&key, &ask_stream("slow")).clean,
        "the limit is between two bytes, not over the whole"
    );
}

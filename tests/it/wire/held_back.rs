//! Only the data of an unfinished event is held back while the usage event is looked for.

use std::sync::Arc;

use crate::harness::{
    ASK_STREAM, Backend, CHAT, DONE, Home, PATIENCE, Request, Turnstile, delta, usage_event,
};

/// Sends each piece when the client has had the one before.
fn step_by_step(pieces: &[&str]) {
    let turnstile = Arc::new(Turnstile::default());
    let gate = Arc::clone(&turnstile);
    let sent: Vec<String> = pieces.iter().map(|piece| (*piece).to_owned()).collect();
    let backend = Backend::start(move |_, wire| {
        wire.sse_head();
        for piece in &sent {
            gate.pass();
            wire.chunk(piece);
        }
        wire.end();
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut client = proxy.start(&Request::post(CHAT, ASK_STREAM).key(&key));
    client.head();
    for piece in pieces {
        turnstile.allow(1);
        let mut received = Vec::new();
        while received.len() < piece.len() {
            received.extend(client.read_some().expect("it leaves at once"));
        }
        assert_eq!(String::from_utf8_lossy(&received), *piece);
    }
    assert!(client.rest().1);
}

#[test]
fn a_line_without_data_is_passed_as_soon_as_it_ends() {
    step_by_step(&[
        ": keep-alive\n",
        ": keep-alive\n",
        "event: x\n",
        "id: 7\n",
        "retry: 100\n",
        &delta("a"),
        DONE,
    ]);
}

#[test]
fn done_with_one_line_feed_is_passed_at_once() {
    step_by_step(&[&delta("a"), "data: [DONE]\n", "\n"]);
}

#[test]
fn done_with_one_line_feed_is_passed_after_its_row() {
    let turnstile = Arc::new(Turnstile::default());
    let gate = Arc::clone(&turnstile);
    let backend = Backend::start(move |_, wire| {
        wire.sse_head();
        wire.chunk(delta("a"));
        gate.pass();
        wire.chunk("data: [DONE]\n");
        wire.closed_by_peer_within(PATIENCE);
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut client = proxy.start(&Request::post(CHAT, ASK_STREAM).key(&key));
    client.head();
    client.event().unwrap();
    turnstile.allow(1);
    client.read_some().unwrap();
    assert_eq!(proxy.rows().len(), 1);
}

#[test]
fn a_usage_event_without_choices_is_removed() {
    for (kind, choices) in [
        ("text/event-stream", "\"choices\":null,"),
        ("text/event-stream", ""),
        ("application/json", "\"choices\":[],"),
        ("application/json; charset=utf-8", "\"choices\":null,"),
    ] {
        for in_one in [true, false] {
            let events = [
                delta("Hello"),
                usage_event(8, 2).replace("\"choices\":[],", choices),
                DONE.to_owned(),
            ];
            let expected = [&*events[0], &*events[2]].concat();
            let backend = Backend::start(move |_, wire| {
                if in_one {
                    return wire.answer("200 OK", &[("content-type", kind)], events.concat());
                }
                let chunked = ("transfer-encoding", "chunked");
                wire.head("200 OK", &[("content-type", kind), chunked]);
                wire.chunks(&events);
                wire.end();
            });
            let (proxy, key) = Home::new(&backend).serve_alice();
            let answer = proxy.chat(&key, ASK_STREAM);
            assert_eq!((answer.clean, answer.text()), (true, expected));
            assert_eq!(proxy.only_row().tokens(), [8, 2, 0, 0]);
        }
    }
}

#[test]
fn json_in_answer_to_a_streamed_request_stays_json() {
    let answer = crate::harness::chat_completion(8, 2);
    let backend = Backend::json(answer.clone());
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK_STREAM).text(), answer);
    assert_eq!(proxy.only_row().tokens(), [8, 2, 0, 0]);
}

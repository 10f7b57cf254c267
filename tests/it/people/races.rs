//! Changes of keys while other changes and answers are under way.

use std::sync::Arc;
use std::thread;

use serde_json::json;

use super::*;
use crate::harness::{
    ASK_STREAM, CHAT, Connection, DONE, Turnstile, delta, totals, usage_event, wait_until,
};

/// A backend whose streams stop after their first event until they are let on, and that answers
/// other requests at once.
fn halting_streams() -> (Backend, Arc<Turnstile>) {
    let turnstile = Arc::new(Turnstile::default());
    let gate = Arc::clone(&turnstile);
    let backend = Backend::start(move |request, wire| {
        if !request.asks_to_stream() {
            return wire.json(&chat_completion(19, 10));
        }
        wire.sse_head();
        wire.chunk(delta("Hello"));
        if gate.pass() {
            wire.chunk(usage_event(19, 10));
            wire.chunk(DONE);
            wire.end();
        }
    });
    (backend, turnstile)
}

/// Begins streams and reads the first event of each.
fn begin_streams(proxy: &Proxy, key: &str, count: usize) -> Vec<Connection> {
    let mut streams: Vec<Connection> = (0..count)
        .map(|_| proxy.start(&Request::post(CHAT, ASK_STREAM).key(key)))
        .collect();
    for stream in &mut streams {
        assert_eq!(stream.head().status, 200);
        assert_eq!(stream.event().as_deref(), Some(&*delta("Hello")));
    }
    streams
}

/// Checks that every stream comes to its end.
fn assert_all_end(mut streams: Vec<Connection>, turnstile: &Turnstile) {
    turnstile.allow(streams.len());
    for stream in &mut streams {
        let (rest, is_clean) = stream.rest();
        assert!(is_clean && rest.ends_with(DONE.as_bytes()));
    }
}

/// Checks that one key has no end, and that all the others end or are revoked.
fn assert_one_key_without_end(proxy: &Proxy, count: usize) {
    let keys = keys_of(proxy, "alice");
    assert_eq!(keys.len(), count);
    let is_lasting =
        |key: &&serde_json::Value| key["status"] == "active" && key["expires_at"] == json!(null);
    let lasting: Vec<_> = keys.iter().filter(is_lasting).collect();
    assert_eq!(lasting.len(), 1, "{keys:?}");
    assert_eq!(lasting[0]["id"], keys.last().unwrap()["id"], "the newest");
}

#[test]
fn two_rotations_at_once_over_http_both_succeed() {
    const ROUNDS: usize = 50;
    let (_backend, proxy, _) = proxy();
    let body = json!({"username": "alice", "grace": "1h"}).to_string();
    for _ in 0..ROUNDS {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let answer = proxy.send(&Request::post("/admin/rotate_key", body.as_str()));
                    assert_eq!(answer.status, 200, "{answer:?}");
                });
            }
        });
    }
    assert_one_key_without_end(&proxy, 1 + 2 * ROUNDS);
}

#[test]
fn two_rotations_at_once_by_two_processes_both_succeed() {
    const ROUNDS: usize = 10;
    let (_backend, proxy, _) = proxy();
    for _ in 0..ROUNDS {
        let rotate = || {
            let mut command = proxy.command(&["user", "rotate", "alice", "--grace", "1h"]);
            let piped = command.stdout(std::process::Stdio::piped());
            piped.stderr(std::process::Stdio::piped()).spawn().unwrap()
        };
        let both = [rotate(), rotate()];
        for child in both {
            let ran = Ran::end_of(child);
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
    }
    assert_one_key_without_end(&proxy, 1 + 2 * ROUNDS);
    let newest = &proxy.users()[0]["api_key"];
    wait_for_status(&proxy, newest.as_str().unwrap(), 200);
}

#[test]
fn a_rotation_breaks_none_of_100_streams_and_each_is_booked_to_its_key() {
    const STREAMS: usize = 100;
    let (backend, turnstile) = halting_streams();
    let (proxy, old) = Home::new(&backend).serve_alice();
    let streams = begin_streams(&proxy, &old, STREAMS);
    let rotated = run(&proxy, &["user", "rotate", "alice", "--json"]).json();
    let new = text(&rotated, "api_key");
    wait_for_status(&proxy, new, 200);
    assert_eq!(proxy.chat(&old, ASK).status, 401, "it has stopped");
    let further = begin_streams(&proxy, new, 1);
    assert_all_end(streams.into_iter().chain(further).collect(), &turnstile);
    let booked = bookings(&proxy);
    let of_key = |id: i64| booked.iter().filter(|row| **row == (1, id)).count();
    assert_eq!(of_key(1), STREAMS);
    assert_eq!(of_key(rotated["key_id"].as_i64().unwrap()), 2);
    assert_eq!(booked.len(), STREAMS + 2);
}

#[test]
fn a_stream_goes_on_when_its_key_expires_and_the_next_request_is_401() {
    let (backend, turnstile) = halting_streams();
    let (proxy, _) = Home::new(&backend).serve_alice();
    let key = run(&proxy, &["key", "add", "alice", "--expires", "2s"]).stdout;
    let key = key.trim();
    wait_for_status(&proxy, key, 200);
    let streams = begin_streams(&proxy, key, 1);
    wait_for_status(&proxy, key, 401);
    let before = bookings(&proxy).len();
    assert_all_end(streams, &turnstile);
    assert_eq!(proxy.chat(key, ASK).status, 401);
    let booked = bookings(&proxy);
    assert_eq!(booked.len(), before + 1);
    assert_eq!(booked.last(), Some(&(1, 2)));
}

#[test]
fn open_streams_of_a_deleted_user_are_booked_under_the_name() {
    let (backend, turnstile) = halting_streams();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let streams = begin_streams(&proxy, &key, 10);
    run(&proxy, &["user", "delete", "alice", "--yes"]);
    wait_for_status(&proxy, &key, 401);
    proxy.user("alice");
    // The chats that waited for the deletion are booked already.
    let before = bookings(&proxy).len();
    assert_all_end(streams, &turnstile);
    let booked = bookings(&proxy);
    assert_eq!(booked, vec![(1, 1); before + 10]);
    let costs = costs_of(&proxy, "alice");
    let deleted = costs.iter().find(|user| user["is_deleted"] == true);
    let count = i64::try_from(booked.len()).unwrap();
    assert_eq!(totals(deleted.unwrap()), [19 * count, 10 * count, 0, count]);
    let new = costs.iter().find(|user| user["is_deleted"] != true);
    assert_eq!(totals(new.unwrap()), [0; 4]);
}

#[test]
fn a_client_that_leaves_after_its_user_was_deleted_is_booked_too() {
    let (backend, turnstile) = halting_streams();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let streams = begin_streams(&proxy, &key, 3);
    run(&proxy, &["user", "delete", "alice", "--yes"]);
    wait_for_status(&proxy, &key, 401);
    let before = bookings(&proxy).len();
    drop(streams);
    wait_until("the rows are booked", PATIENCE, || {
        bookings(&proxy).len() == before + 3
    });
    turnstile.allow(3);
    assert_eq!(bookings(&proxy), vec![(1, 1); before + 3]);
}

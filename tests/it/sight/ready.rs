//! `/health` says that the process serves, `/ready` that it takes requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{
    ASK, ASK_STREAM, Backend, CHAT, Connection, Home, PATIENCE, Proxy, Request, Turnstile, alone,
    assert_openai_error, counted_stream, in_own_namespaces, wait_until,
};

/// Returns the status of `/ready`, and what its answer says it is.
#[track_caller]
fn ready(proxy: &Proxy) -> (u16, String) {
    let answer = proxy.send(&Request::get("/ready"));
    let status = answer.json()["status"].as_str().unwrap().to_owned();
    let reason = answer.json()["reason"].as_str().map(str::len);
    let is_ready = answer.status == 200;
    assert_eq!(
        reason.is_none_or(|length| length == 0),
        is_ready,
        "{answer:?}"
    );
    assert_eq!(
        answer.header("retry-after").is_none(),
        is_ready,
        "{answer:?}"
    );
    (answer.status, status)
}

#[track_caller]
fn wait_for(proxy: &Proxy, status: u16, word: &str) {
    wait_until(&format!("it is {word}"), PATIENCE, || {
        ready(proxy) == (status, word.to_owned())
    });
}

#[test]
fn a_server_is_ready_without_a_key() {
    let backend = Backend::chats(1, 1);
    let proxy = Home::new(&backend)
        .set("ADMIN_TOKEN", "a-long-admin-token")
        .serve();
    let elsewhere = Request::get("/ready").header("Host", "lb.example");
    let answer = proxy.send(&elsewhere);
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"status": "ready"}))
    );
    for path in ["/ready", "/health"] {
        let answer = proxy.send(&Request::get(path));
        let id = answer.header("x-llmproxy-request-id").unwrap_or_default();
        assert_eq!(id.len(), 32, "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let posted = proxy.send(&Request::post(path, "{}"));
        assert_openai_error(&posted, 405);
        assert_eq!(posted.header("allow"), Some("GET, HEAD"));
    }
    assert!(backend.requests().is_empty(), "the backend is not asked");
}

#[test]
fn a_server_that_drains_is_alive_and_not_ready() {
    let turnstile = Arc::new(Turnstile::default());
    let backend = Backend::start({
        let turnstile = turnstile.clone();
        move |_, wire| {
            let events = counted_stream(19, 10);
            wire.sse_head();
            wire.chunk(&events[0]);
            if turnstile.pass() {
                wire.chunks(&events[1..]);
                wire.end();
            }
        }
    });
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    let mut stream = proxy.start(&Request::post(CHAT, ASK_STREAM).key(&key));
    assert_eq!(stream.head().status, 200);
    assert_eq!(ready(&proxy), (200, "ready".to_owned()));
    proxy.signal("TERM");
    wait_for(&proxy, 503, "draining");
    assert_eq!(proxy.get_json("/health")["status"], "ok");
    turnstile.allow(1);
    assert!(stream.rest().1, "the answer is complete");
    assert!(proxy.exit_within(PATIENCE).is_some());
}

#[test]
fn a_server_without_requests_notices_a_locked_database_and_its_end() {
    let backend = Backend::chats(1, 1);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let other = proxy.writable_database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let asked = Instant::now();
    let state = ready(&proxy);
    assert_eq!(state, (503, "ledger_unavailable".to_owned()));
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(proxy.get_json("/health")["status"], "ok");
    wait_until(
        "requests are refused before they cost tokens",
        PATIENCE,
        || {
            let refused = proxy.chat(&key, ASK);
            refused.status == 503 && backend.requests().len() <= 1
        },
    );
    assert_eq!(ready(&proxy).0, 503);
    other.execute_batch("ROLLBACK").unwrap();
    wait_for(&proxy, 200, "ready");
    wait_until("requests are served", PATIENCE, || {
        proxy.chat(&key, ASK).status == 200
    });
}

#[test]
fn a_server_that_may_serve_without_its_ledger_stays_ready() {
    let backend = Backend::chats(1, 1);
    let (proxy, key) = Home::new(&backend)
        .set("ON_LEDGER_FAILURE", "serve")
        .serve_alice();
    let other = proxy.writable_database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(ready(&proxy), (200, "ready".to_owned()));
    proxy.wait_for_log("cannot write");
    assert_eq!(ready(&proxy), (200, "ready".to_owned()));
    assert_eq!(proxy.chat(&key, ASK).status, 200);
}

#[test]
fn a_server_with_a_full_disk_is_not_ready_until_there_is_room() {
    in_own_namespaces(
        a_server_with_a_full_disk_is_not_ready_until_there_is_room,
        "2m",
        || {
            let backend = Backend::chats(1, 1);
            let (proxy, key) = Home::new(&backend).serve_alice();
            assert_eq!(proxy.chat(&key, ASK).status, 200);
            let filler = proxy.path("filler");
            crate::faults::disk::fill(&filler);
            assert_eq!(proxy.chat(&key, ASK).status, 503);
            assert_eq!(ready(&proxy), (503, "ledger_unavailable".to_owned()));
            std::fs::remove_file(&filler).unwrap();
            wait_for(&proxy, 200, "ready");
        },
    );
}

#[test]
fn many_questions_cost_one_write_in_five_seconds() {
    let _alone = alone();
    let backend = Backend::chats(1, 1);
    let proxy = Home::new(&backend).serve();
    let written = || -> i64 {
        let database = proxy.database();
        database
            .query_row("SELECT max(alive_at_ms) FROM server_runs", [], |row| {
                row.get(0)
            })
            .unwrap()
    };
    assert_eq!(ready(&proxy).0, 200);
    let first = written();
    let start = Instant::now();
    let mut connections: Vec<Connection> = (0..20).map(|_| proxy.open()).collect();
    for _ in 0..10 {
        for connection in &mut connections {
            connection.send(&Request::get("/ready"));
        }
        for connection in &mut connections {
            assert_eq!(connection.answer().status, 200);
        }
    }
    if start.elapsed() < Duration::from_secs(4) {
        assert_eq!(written(), first);
    }
}

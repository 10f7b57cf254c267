//! Requests that ran when the server was killed are booked by estimate when it starts again.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    ASK, Backend, CHAT, DONE, Home, PATIENCE, Proxy, Request, alone, ask_stream, chat_completion,
    delta, usage_event, wait_until,
};

/// Time between two tokens of a stream.
const PACE: Duration = Duration::from_millis(20);

/// Streams one token each [`PACE`] until told to stop by its model: `tokens-N`.
fn streaming() -> Backend {
    Backend::start(|request, wire| {
        let model = request.model();
        let tokens: u64 = model.rsplit('-').next().unwrap().parse().unwrap();
        wire.sse_head();
        for _ in 0..tokens {
            wire.chunk(delta(" word"));
            thread::sleep(PACE);
        }
        wire.chunk(usage_event(9, tokens));
        wire.chunk(DONE);
        wire.end();
    })
}

fn noted(proxy: &Proxy) -> i64 {
    let count = "SELECT count(*) FROM running_requests";
    proxy
        .database()
        .query_row(count, [], |row| row.get(0))
        .unwrap()
}

#[test]
fn each_stream_of_a_killed_server_has_a_row_within_a_tenth_of_what_had_passed() {
    let _alone = alone();
    let backend = streaming();
    let home = Home::new(&backend);
    let key = home.user("alice");
    assert_eq!(
        home.cli(&["user", "set", "alice", "--budget", "9Mtokens/day"])
            .code,
        Some(0)
    );
    let mut proxy = home.serve();
    // Two that are done before, and twenty of several ages.
    for _ in 0..2 {
        assert_eq!(proxy.chat(&key, &ask_stream("m-5")).status, 200);
    }
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = proxy.start(&Request::post(CHAT, ask_stream("m-100000")).key(&key));
        assert_eq!(stream.head().status, 200);
        streams.push((Instant::now(), stream));
        thread::sleep(Duration::from_millis(150));
    }
    thread::sleep(Duration::from_millis(900));
    proxy.kill9();
    let killed = Instant::now();
    let mut passed: Vec<(Duration, i64)> = streams
        .iter_mut()
        .map(|(since, stream)| {
            let (bytes, _) = stream.rest();
            let words = String::from_utf8_lossy(&bytes).matches(" word").count();
            (killed - *since, i64::try_from(words).unwrap())
        })
        .collect();
    proxy.restart();
    let mut rows = proxy.rows();
    rows.retain(|row| row.outcome == "crashed");
    let old = passed
        .iter()
        .filter(|(age, _)| *age > Duration::from_millis(1_500))
        .count();
    assert!(
        rows.len() >= old && rows.len() <= passed.len(),
        "{} rows of {old} old streams",
        rows.len()
    );
    assert_eq!(noted(&proxy), 0);
    // The oldest first, in both.
    passed.sort_by_key(|(age, _)| std::cmp::Reverse(*age));
    for (row, (age, words)) in rows.iter().zip(&passed) {
        let off = (row.output - words).abs();
        assert!(
            off <= words / 10 + 2,
            "{age:?}: {} booked, {words} passed",
            row.output
        );
        assert_eq!(
            (row.source.as_str(), row.status),
            ("estimate", 200),
            "{row:?}"
        );
        assert!(row.input > 0, "{row:?}");
    }
    let list = proxy.get_json("/admin/list_limits?username=alice");
    let all: i64 = proxy.rows().iter().map(|row| row.input + row.output).sum();
    assert_eq!(list["limits"][0]["used"], all, "budgets include it");
    assert_eq!(proxy.cli(&["audit"]).code, Some(0));
}

#[test]
fn a_request_that_ends_leaves_no_note_and_a_short_one_writes_none() {
    let backend = Backend::start(|request, wire| {
        if request.model() == "slow" {
            thread::sleep(Duration::from_millis(1_800));
        }
        wire.json(&chat_completion(3, 4));
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let runs = "SELECT count(*) FROM server_runs";
    for _ in 0..20 {
        assert_eq!(proxy.chat(&key, ASK).status, 200);
    }
    let count = |sql: &str| {
        proxy
            .database()
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!(noted(&proxy), 0, "nothing was noted");
    // A server on PostgreSQL says that it lives in any case.
    if proxy.database_url().starts_with("sqlite") {
        assert_eq!(count(runs), 0);
    }
    let mut slow = proxy.start(&Request::post(CHAT, crate::harness::ask("slow")).key(&key));
    wait_until("it is noted", PATIENCE, || noted(&proxy) == 1);
    assert_eq!(slow.answer().status, 200);
    wait_until("the note is deleted", PATIENCE, || noted(&proxy) == 0);
    assert!(proxy.rows().iter().all(|row| row.outcome == "completed"));
    // A client that leaves has its row, and no note.
    let slow = proxy.start(&Request::post(CHAT, crate::harness::ask("slow")).key(&key));
    wait_until("it is noted", PATIENCE, || noted(&proxy) == 1);
    drop(slow);
    wait_until("the note is deleted", PATIENCE, || noted(&proxy) == 0);
    let mut proxy = proxy;
    proxy.restart();
    assert_eq!(
        proxy
            .rows()
            .iter()
            .filter(|row| row.outcome == "crashed")
            .count(),
        0
    );
}

/// A server that stands still for long is taken for dead by another one on the same file, which books its
/// stream by estimate. The stream that ends later has no second row.
#[test]
fn a_server_that_stood_still_does_not_book_again_what_another_has_booked() {
    let backend = streaming();
    let home = Home::new(&backend);
    let key = home.user("alice");
    let proxy = home.serve();
    if !proxy.database_url().starts_with("sqlite") {
        // `nodes::silence` has it, which takes a minute.
        return;
    }
    let other = Home::new(&backend).set("DATABASE_URL", &proxy.database_url());
    let other = other.serve();
    let mut stream = proxy.start(&Request::post(CHAT, ask_stream("m-150")).key(&key));
    assert_eq!(stream.head().status, 200);
    wait_until("it is noted", PATIENCE, || noted(&proxy) == 1);
    proxy.stand_still();
    let crashed = || {
        let rows = proxy.rows();
        rows.iter().filter(|row| row.outcome == "crashed").count()
    };
    wait_until("it is taken for dead", Duration::from_secs(30), || {
        crashed() == 1
    });
    proxy.signal("CONT");
    let (rest, is_clean) = stream.rest();
    assert!(is_clean && String::from_utf8_lossy(&rest).ends_with(DONE));
    proxy.wait_for_log("it goes on: requests booked by estimate=1");
    assert_eq!(proxy.chat(&key, &ask_stream("m-5")).status, 200);
    let rows = proxy.rows();
    assert_eq!((rows.len(), crashed()), (2, 1), "{rows:?}");
    assert_eq!(other.cli(&["audit"]).code, Some(0));
}

//! A row is on disk before its client can know that the answer is complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{
    ASK, ASK_STREAM, ASK_STREAM_USAGE, Backend, CHAT, DONE, Home, PATIENCE, Request, Turnstile,
    Wire, chat_completion, counted_stream, wait_until,
};

/// Answers everything, and numbers the answers in `x-request-id`.
fn numbering() -> Backend {
    let count = AtomicUsize::new(0);
    Backend::start(move |request, wire| {
        let id = format!("req-{}", count.fetch_add(1, Ordering::Relaxed));
        if request.asks_to_stream() {
            begin_stream(wire, &id);
            wire.end();
        } else {
            wire.answer(
                "200 OK",
                &[("Content-Type", "application/json"), ("x-request-id", &id)],
                chat_completion(19, 10),
            );
        }
    })
}

/// Sends a stream but for its end.
fn begin_stream(wire: &mut Wire, id: &str) {
    let headers = [
        ("Content-Type", "text/event-stream"),
        ("Transfer-Encoding", "chunked"),
        ("x-request-id", id),
    ];
    wire.head("200 OK", &headers);
    wire.chunks(counted_stream(19, 10));
}

fn has_row(database: &rusqlite::Connection, id: &str) -> bool {
    let count = "SELECT count(*) FROM usage_logs WHERE backend_request_id = ?1";
    let count: i64 = database.query_row(count, [id], |row| row.get(0)).unwrap();
    count == 1
}

#[test]
fn a_plain_answer_is_on_disk_before_its_last_byte_arrives() {
    let backend = numbering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let request = Request::post(CHAT, ASK).key(&key);
    let mut client = proxy.open();
    for _ in 0..100 {
        client.send(&request);
        let answer = client.answer();
        let id = answer.header("x-request-id").unwrap();
        assert!(
            has_row(&proxy.database(), id),
            "{id} was whole before its row was there"
        );
    }
}

#[test]
fn a_stream_is_on_disk_before_its_done_arrives() {
    let the_end = Arc::new(Turnstile::default());
    let count = AtomicUsize::new(0);
    let backend = Backend::start({
        let the_end = the_end.clone();
        move |_, wire| {
            let id = format!("req-{}", count.fetch_add(1, Ordering::Relaxed));
            begin_stream(wire, &id);
            the_end.pass();
            wire.end();
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for body in [ASK_STREAM, ASK_STREAM_USAGE] {
        let request = Request::post(CHAT, body).key(&key);
        let mut client = proxy.open();
        for _ in 0..60 {
            client.send(&request);
            let head = client.head();
            let id = head.header("x-request-id").unwrap();
            while client.event().expect("the stream has a [DONE]") != DONE {}
            assert!(
                has_row(&proxy.database(), id),
                "{id} was done before its row was there"
            );
            the_end.allow(1);
            assert_eq!(client.rest(), (Vec::new(), true));
        }
    }
    assert_eq!(proxy.rows().len(), 120, "each once");
}

#[test]
fn with_ledger_sync_full_the_same_holds() {
    let backend = numbering();
    let (proxy, key) = Home::new(&backend).set("LEDGER_SYNC", "full").serve_alice();
    for body in [ASK, ASK_STREAM].repeat(10) {
        let answer = proxy.chat(&key, body);
        assert!(has_row(
            &proxy.database(),
            answer.header("x-request-id").unwrap()
        ));
    }
}

#[test]
fn the_hourly_sums_equal_the_rows() {
    let backend = Backend::start(|request, wire| match request.model().as_str() {
        "bad" => wire.answer(
            "429 Too Many Requests",
            &[("Content-Type", "application/json")],
            "{}",
        ),
        _ if request.asks_to_stream() => wire.sse(&counted_stream(7, 3)),
        _ => wire.json(&chat_completion(19, 10)),
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for body in [
        ASK,
        ASK_STREAM,
        &crate::harness::ask("bad"),
        ASK,
        &crate::harness::ask("other"),
    ] {
        proxy.chat(&key, body);
    }
    let sums = |sql: &str| -> [i64; 6] {
        let columns = [0, 1, 2, 3, 4, 5];
        proxy
            .database()
            .query_row(sql, [], |row| {
                Ok(columns.map(|column| row.get(column).unwrap_or(0)))
            })
            .unwrap()
    };
    let tokens = "sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(reasoning_tokens)";
    wait_until("all rows are summed up", PATIENCE, || {
        sums("SELECT sum(requests), 0, 0, 0, 0, 0 FROM usage_hourly")[0] == 5
    });
    let hourly = sums(&format!(
        "SELECT sum(requests), sum(requests_ok), {tokens} FROM usage_hourly"
    ));
    let rows = sums(&format!(
        "SELECT count(*), sum(status BETWEEN 200 AND 299), {tokens} FROM usage_logs"
    ));
    assert_eq!(hourly, rows);
    assert_eq!(rows, [5, 4, 64, 33, 0, 0]);
}

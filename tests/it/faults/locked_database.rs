//! A database that another process keeps locked for longer than any timeout loses no row.

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::crash::numbering;
use crate::harness::{
    ASK, CHAT, DONE, Home, PATIENCE, Proxy, Request, ask, ask_stream, assert_openai_error,
    wait_until,
};

const LOCKED_FOR: Duration = Duration::from_secs(10);

#[test]
fn a_database_locked_for_10_s_loses_no_row() {
    let backend = numbering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    let other = proxy.writable_database();
    let held = Mutex::new(Vec::new());
    let locked = Instant::now();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    thread::scope(|scope| {
        for n in 0..8 {
            let (proxy, key, held) = (&proxy, &key, &held);
            scope.spawn(move || {
                let body = if n % 2 == 0 {
                    ask("a")
                } else {
                    ask_stream("b")
                };
                let request = Request::post(CHAT, body).key(key);
                // Asks all the while, and once more when the lock is gone.
                while locked.elapsed() < LOCKED_FOR {
                    ask_once(proxy, &request, held);
                    thread::sleep(Duration::from_millis(100));
                }
            });
        }
        wait_until("new requests are refused", PATIENCE, || {
            proxy.chat(&key, ASK).status == 503
        });
        eprintln!("refused after {:?}", locked.elapsed());
        assert!(
            locked.elapsed() < Duration::from_secs(9),
            "before the lock is gone"
        );
        let asked = backend.requests().len();
        let error = assert_openai_error(&proxy.chat(&key, ASK), 503);
        assert_eq!(error["code"], "ledger_unavailable");
        assert_eq!(proxy.rows().len(), 1, "nothing could be written");
        assert!(held.lock().unwrap().is_empty(), "nothing was delivered");
        proxy.get_json("/health");
        assert!(
            backend.requests().len() < asked + 8,
            "what cannot be booked is not asked for"
        );
        // Time is what this test is about: the other process takes its time.
        thread::sleep(LOCKED_FOR.saturating_sub(locked.elapsed()));
        assert_eq!(proxy.rows().len(), 1);
        other.execute_batch("ROLLBACK").unwrap();
    });
    wait_until("requests are served again", PATIENCE, || {
        proxy.chat(&key, ASK).status == 200
    });
    assert_each_answer_is_booked_once(&proxy, &backend_ids(backend.requests().len()), &held);
}

fn ask_once(proxy: &Proxy, request: &Request, held: &Mutex<Vec<String>>) {
    let Some(answer) = proxy.start(request).try_answer() else {
        return;
    };
    if answer.status == 200 && (answer.clean || answer.text().ends_with(DONE)) {
        let id = answer.header("x-request-id").unwrap().to_owned();
        held.lock().unwrap().push(id);
    }
}

/// The ids that the backend has given.
fn backend_ids(count: usize) -> HashSet<String> {
    (0..count).map(|n| format!("req-{n}")).collect()
}

/// Every answer that the backend has given has one row, whether the client got it or not: its tokens are spent.
#[track_caller]
fn assert_each_answer_is_booked_once(
    proxy: &Proxy,
    given: &HashSet<String>,
    held: &Mutex<Vec<String>>,
) {
    let rows = proxy.rows();
    let booked: HashSet<String> = rows
        .iter()
        .map(|row| row.backend_request_id.clone().unwrap())
        .collect();
    assert_eq!(booked.len(), rows.len(), "none twice");
    assert_eq!(&booked, given);
    assert!(rows.iter().all(|row| row.tokens() == [19, 10, 0, 0]));
    let held = held.lock().unwrap();
    assert!(held.iter().all(|id| booked.contains(id)));
    eprintln!(
        "{} answers of the backend, {} delivered",
        rows.len(),
        held.len()
    );
}

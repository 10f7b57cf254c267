//! `kill -9` and SIGTERM under load lose no row of a delivered answer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{
    Backend, CHAT, Connection, DONE, Home, PATIENCE, Proxy, Request, alone, ask, ask_stream,
    chat_completion, delta, usage_event, wait_until,
};

const CLIENTS: usize = 64;
const KILLS: usize = 12;

/// Numbers its answers, and gives them in every length and framing, so that a kill finds each of them half-way.
pub(super) fn numbering() -> Backend {
    let count = AtomicUsize::new(0);
    Backend::start(move |request, wire| {
        let n = count.fetch_add(1, Ordering::Relaxed);
        let id = format!("req-{n}");
        let json = ("Content-Type", "application/json");
        if request.asks_to_stream() {
            let headers = [
                ("Content-Type", "text/event-stream"),
                ("Transfer-Encoding", "chunked"),
                ("x-request-id", &*id),
            ];
            wire.head("200 OK", &headers);
            for _ in 0..n % 20 {
                wire.chunk(delta("Hello"));
            }
            wire.chunk(usage_event(19, 10));
            if n.is_multiple_of(3) {
                // A backend whose `[DONE]` is missing.
                return wire.end();
            }
            wire.chunk(DONE);
            wire.end();
        } else if n.is_multiple_of(5) {
            wire.head("200 OK", &[json, ("x-request-id", &id)]);
            wire.write(chat_completion(19, 10));
            wire.close();
        } else {
            wire.answer(
                "200 OK",
                &[json, ("x-request-id", &id)],
                chat_completion(19, 10),
            );
        }
    })
}

/// The ids of whole answers, in the order in which they came.
#[derive(Default)]
pub(super) struct Held {
    pub(super) ids: Mutex<Vec<String>>,
    broken: AtomicUsize,
    refused: AtomicUsize,
}

impl Held {
    pub(super) fn count(&self) -> usize {
        self.ids.lock().unwrap().len()
    }
}

/// Asks until told to stop; plain and streamed by turns, a new connection after each end.
pub(super) fn ask_until(stop: &AtomicBool, port: &AtomicU16, requests: &[Request; 2], held: &Held) {
    let mut turns = requests.iter().cycle();
    while !stop.load(Ordering::Relaxed) {
        let address = SocketAddr::from(([127, 0, 0, 1], port.load(Ordering::Relaxed)));
        let Ok(mut connection) = Connection::try_open(address) else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        while !stop.load(Ordering::Relaxed) {
            connection.send(turns.next().unwrap());
            let Some(answer) = connection.try_answer() else {
                break;
            };
            if answer.status != 200 {
                held.refused.fetch_add(1, Ordering::Relaxed);
                break;
            }
            if answer.clean || answer.text().ends_with(DONE) {
                let id = answer.header("x-request-id").unwrap().to_owned();
                held.ids.lock().unwrap().push(id);
            }
            if !answer.clean {
                held.broken.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
    }
}

#[track_caller]
pub(super) fn assert_each_has_its_row(home: &Home, held: &Held) {
    let mut rows_of = HashMap::new();
    for row in home.rows() {
        let id = row
            .backend_request_id
            .expect("an answered request has its id");
        *rows_of.entry(id).or_insert(0) += 1;
    }
    let ids = held.ids.lock().unwrap();
    let lost: Vec<_> = ids.iter().filter(|id| !rows_of.contains_key(*id)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} have no row: {lost:?}",
        lost.len(),
        ids.len()
    );
    let doubled: Vec<_> = rows_of.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    let database = home.database();
    let integrity: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(integrity, "ok");
    let sums = |sql: &str| {
        let both = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        database.query_row(sql, [], both).unwrap()
    };
    assert_eq!(
        sums("SELECT coalesce(sum(requests), 0), coalesce(sum(input_tokens), 0) FROM usage_hourly"),
        sums(
            "SELECT count(*), coalesce(sum(input_tokens), 0) FROM usage_logs WHERE id <= (SELECT last_id FROM usage_rollup)"
        ),
        "the hourly sums are those of the rows that were summed"
    );
}

/// Runs `act` while 64 clients ask all the time. `act` gets the proxy and the port that the clients connect to.
fn under_load(proxy: &mut Proxy, key: &str, held: &Held, act: impl FnOnce(&mut Proxy, &AtomicU16)) {
    let requests = [ask("a"), ask_stream("b")].map(|body| Request::post(CHAT, body).key(key));
    let stop = AtomicBool::new(false);
    let port = AtomicU16::new(proxy.port());
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| ask_until(&stop, &port, &requests, held));
        }
        act(proxy, &port);
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn no_client_holds_an_answer_without_a_row_after_a_kill() {
    let _alone = alone();
    let backend = numbering();
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    let held = Held::default();
    under_load(&mut proxy, &key, &held, |proxy, port| {
        for _ in 0..KILLS {
            let before = held.count();
            wait_until("answers arrive", PATIENCE, || held.count() > before + 150);
            // Clients stop connecting before the port is free, because another test could get it.
            port.store(0, Ordering::Relaxed);
            proxy.kill9();
            proxy.restart();
            port.store(proxy.port(), Ordering::Relaxed);
        }
    });
    proxy.kill9();
    assert_each_has_its_row(&proxy, &held);
}

#[test]
fn sigterm_under_load_breaks_off_no_answer_and_loses_no_row() {
    let _alone = alone();
    let backend = numbering();
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    let held = Held::default();
    let mut ended = None;
    under_load(&mut proxy, &key, &held, |proxy, port| {
        wait_until("answers arrive", PATIENCE, || held.count() > 300);
        proxy.signal("TERM");
        ended = proxy.exit_within(PATIENCE);
        port.store(0, Ordering::Relaxed);
    });
    assert!(
        ended.is_some_and(|status| status.success()),
        "{}",
        proxy.log()
    );
    let broken = held.broken.load(Ordering::Relaxed);
    assert_eq!(broken, 0, "no answer is broken off");
    assert_each_has_its_row(&proxy, &held);
    let rows = proxy.rows();
    assert_eq!(
        rows.len(),
        held.count(),
        "every row is an answer that arrived"
    );
    assert!(
        rows.iter().all(|row| row.outcome == "completed"),
        "{rows:?}"
    );
}

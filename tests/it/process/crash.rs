//! kill -9 at any moment: every answer that a client holds completely has its row, once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{
    ASK, ASK_STREAM, Backend, CHAT, Connection, DONE, Home, PATIENCE, Request, alone,
    chat_completion, counted_stream, wait_until,
};

const CLIENTS: usize = 16;
const KILLS: usize = 3;

fn numbering() -> Backend {
    let count = AtomicUsize::new(0);
    Backend::start(move |request, wire| {
        let id = format!("req-{}", count.fetch_add(1, Ordering::Relaxed));
        if request.asks_to_stream() {
            let headers = [
                ("Content-Type", "text/event-stream"),
                ("Transfer-Encoding", "chunked"),
                ("x-request-id", &id),
            ];
            wire.head("200 OK", &headers);
            wire.chunks(counted_stream(19, 10));
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

/// Asks one question after another on as few connections as the server's deaths allow; returns the ids of the answers
/// that arrived whole. A stream is whole for its client at `[DONE]`.
fn ask_until(stop: &AtomicBool, port: &AtomicU16, request: &Request, held: &Mutex<Vec<String>>) {
    while !stop.load(Ordering::Relaxed) {
        let address = SocketAddr::from(([127, 0, 0, 1], port.load(Ordering::Relaxed)));
        let Ok(mut connection) = Connection::try_open(address) else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        while !stop.load(Ordering::Relaxed) {
            connection.send(request);
            let Some(answer) = connection.try_answer() else {
                break;
            };
            if answer.status == 200 && (answer.clean || answer.text().ends_with(DONE)) {
                held.lock()
                    .unwrap()
                    .push(answer.header("x-request-id").unwrap().to_owned());
            }
            if !answer.clean {
                break;
            }
        }
    }
}

#[test]
fn every_answer_that_a_client_holds_has_its_row_once_however_often_the_server_is_killed() {
    let _alone = alone();
    let backend = numbering();
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    let (stop, port) = (
        AtomicBool::new(false),
        AtomicU16::new(proxy.address().port()),
    );
    let held = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for n in 0..CLIENTS {
            let request = Request::post(CHAT, if n % 2 == 0 { ASK } else { ASK_STREAM }).key(&key);
            let (stop, port, held) = (&stop, &port, &held);
            scope.spawn(move || ask_until(stop, port, &request, held));
        }
        for _ in 0..KILLS {
            let before = held.lock().unwrap().len();
            wait_until("many answers arrive", PATIENCE, || {
                held.lock().unwrap().len() > before + 500
            });
            // Nobody may connect to a port that is nobody's: another test could get it.
            port.store(0, Ordering::Relaxed);
            proxy.kill9();
            proxy.restart();
            port.store(proxy.address().port(), Ordering::Relaxed);
        }
        let before = held.lock().unwrap().len();
        wait_until("answers arrive again", PATIENCE, || {
            held.lock().unwrap().len() > before + 100
        });
        proxy.kill9();
        stop.store(true, Ordering::Relaxed);
    });

    let mut rows_of = HashMap::new();
    for row in proxy.rows() {
        *rows_of.entry(row.backend_request_id.unwrap()).or_insert(0) += 1;
    }
    let held = held.into_inner().unwrap();
    let lost: Vec<_> = held
        .iter()
        .filter(|id| !rows_of.contains_key(*id))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} answers have no row: {lost:?}",
        lost.len(),
        held.len()
    );
    let doubled: Vec<_> = rows_of.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");

    let database = proxy.database();
    let integrity: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(integrity, "ok");
    let sum = |sql: &str| {
        database
            .query_row(sql, [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .unwrap()
    };
    assert_eq!(
        sum("SELECT sum(requests), sum(input_tokens) FROM usage_hourly"),
        sum("SELECT count(*), sum(input_tokens) FROM usage_logs"),
    );
}

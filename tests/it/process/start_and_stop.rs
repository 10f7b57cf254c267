//! The server starts fast, drains on the first signal and ends on the second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::harness::{
    ASK, ASK_STREAM, Backend, CHAT, Connection, Home, PATIENCE, Proxy, Request, Turnstile, alone,
    assert_openai_error, chat_completion, counted_stream, delta, wait_until,
};

/// A backend whose streams stop after the first event until the turnstile lets them go on.
fn halting() -> (Backend, Arc<Turnstile>) {
    let turnstile = Arc::new(Turnstile::default());
    let backend = Backend::start({
        let turnstile = turnstile.clone();
        move |request, wire| {
            if !request.asks_to_stream() {
                return wire.json(&chat_completion(1, 1));
            }
            let events = counted_stream(19, 10);
            wire.sse_head();
            wire.chunk(&events[0]);
            if turnstile.pass() {
                wire.chunks(&events[1..]);
                wire.end();
            }
        }
    });
    (backend, turnstile)
}

/// A stream of which the first event has arrived.
fn stream(proxy: &Proxy, key: &str) -> Connection {
    let mut stream = proxy.start(&Request::post(CHAT, ASK_STREAM).key(key));
    assert_eq!(stream.head().status, 200);
    assert_eq!(stream.event().unwrap(), delta("Hello"));
    stream
}

/// Waits until the server has understood that it is to end: new requests are refused.
#[track_caller]
fn wait_for_refusals(proxy: &Proxy, key: &str) {
    wait_until("new requests are refused by 503", PATIENCE, || {
        proxy.chat(key, ASK).status == 503
    });
}

/// Longer than the 200 ms in which two signals are one wish.
const ONE_WISH: Duration = Duration::from_millis(300);

#[test]
fn it_listens_within_a_second_and_logs_its_settings() {
    let _alone = alone();
    let backend = Backend::json("{}");
    let mut starts = (0..3).map(|_| {
        let home = Home::new(&backend);
        let start = Instant::now();
        (home.serve(), start.elapsed())
    });
    // The machine may be busy with something else at one moment, and not at three.
    let (proxy, _) = starts
        .find(|(_, took)| *took < Duration::from_secs(1))
        .expect("a start that takes less than a second");
    let log = proxy.log();
    let line = log
        .lines()
        .find(|line| line.contains("listening on"))
        .unwrap();
    assert!(line.contains(&proxy.address().to_string()), "{log}");
    assert!(
        line.contains(&backend.authority()) && line.contains("test.db"),
        "{log}"
    );
}

#[test]
fn a_running_stream_is_finished_while_new_requests_get_503() {
    for signal in ["TERM", "INT", "HUP"] {
        let (backend, turnstile) = halting();
        let (mut proxy, key) = Home::new(&backend).serve_alice();
        let mut stream = stream(&proxy, &key);
        proxy.signal(signal);
        wait_for_refusals(&proxy, &key);
        let refused = proxy.chat(&key, ASK);
        assert_openai_error(&refused, 503);
        assert!(refused.header("retry-after").is_some(), "{refused:?}");

        turnstile.allow(1);
        let (rest, clean) = stream.rest();
        assert!(clean && String::from_utf8_lossy(&rest).ends_with("data: [DONE]\n\n"));
        let status = proxy
            .exit_within(PATIENCE)
            .expect("it ends once the stream has");
        assert_eq!(status.code(), Some(0), "after SIG{signal}: {}", proxy.log());
        let row = proxy.rows().pop().unwrap();
        assert_eq!(
            (row.tokens(), row.labels()),
            ([19, 10, 0, 0], ["completed", "backend"])
        );
    }
}

#[test]
fn an_idle_server_ends_at_once_despite_open_connections() {
    let (backend, _turnstile) = halting();
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    let mut idle = proxy.start(&Request::post(CHAT, ASK).key(&key));
    assert_eq!(idle.answer().status, 200);
    let _silent = proxy.open();
    proxy.signal("TERM");
    let status = proxy
        .exit_within(PATIENCE)
        .expect("idle connections hold nobody up");
    assert_eq!(status.code(), Some(0), "{}", proxy.log());
    assert_eq!(proxy.rows().len(), 1);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (backend, _turnstile) = halting();
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    let mut stream = stream(&proxy, &key);
    proxy.signal("TERM");
    wait_for_refusals(&proxy, &key);
    assert_eq!(
        proxy.exit_within(Duration::ZERO),
        None,
        "it waits for the stream"
    );
    // At once, it is the same wish.
    proxy.signal("TERM");
    proxy.signal("INT");
    assert_eq!(proxy.exit_within(ONE_WISH), None, "{}", proxy.log());
    proxy.signal("TERM");
    assert!(proxy.exit_within(PATIENCE).is_some(), "{}", proxy.log());
    assert!(!stream.rest().1, "the stream is broken off");
}

#[test]
fn a_terminal_that_hangs_up_twice_breaks_nothing_off() {
    let (backend, turnstile) = halting();
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    let mut stream = stream(&proxy, &key);
    for _ in 0..3 {
        // By the kernel, by the shell, and by systemd with a SIGTERM.
        proxy.signal("HUP");
        wait_for_refusals(&proxy, &key);
    }
    turnstile.allow(1);
    assert!(stream.rest().1, "{}", proxy.log());
    let status = proxy.exit_within(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(0), "{}", proxy.log());
}

#[test]
fn a_hangup_that_was_ignored_at_the_start_ends_nothing() {
    let (backend, turnstile) = halting();
    // As nohup(1) does.
    let home = Home::new(&backend).launched_by("trap '' HUP; exec");
    let (mut proxy, key) = home.serve_alice();
    let mut stream = stream(&proxy, &key);
    proxy.signal("HUP");
    for _ in 0..10 {
        assert_eq!(proxy.chat(&key, ASK).status, 200);
    }
    turnstile.allow(1);
    assert!(stream.rest().1, "{}", proxy.log());
    assert_eq!(proxy.exit_within(Duration::ZERO), None);
}

#[test]
fn a_second_signal_does_not_wait_for_a_locked_database() {
    let (backend, _turnstile) = halting();
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    let stream = stream(&proxy, &key);
    let other = proxy.writable_database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Its row waits for the lock.
    drop(stream);
    proxy.wait_for_log("client_gone");
    proxy.signal("TERM");
    proxy.wait_for_log("stopped: duration=");
    std::thread::sleep(ONE_WISH);
    proxy.signal("TERM");
    let status = proxy
        .exit_within(Duration::from_secs(2))
        .unwrap_or_else(|| panic!("it still waits: {}", proxy.log()));
    assert_eq!(status.code(), Some(1), "{}", proxy.log());
    proxy.wait_for_log("SIGTERM again: 1 usage row that could not yet be written");
}

#[test]
fn a_second_signal_does_not_wait_for_a_stalled_client() {
    // More than the kernel holds for a client, in answers that are booked before they are written.
    let long = chat_completion(1, 1).replace("Hello", &"x".repeat(900_000));
    assert!(long.len() > 900_000);
    let backend = Backend::json(long);
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    let mut slow = proxy.open();
    for _ in 0..20 {
        slow.send(&Request::post(CHAT, ASK).key(&key));
    }
    let mut rows = 0;
    wait_until("no further answer finds room", PATIENCE, || {
        let before = std::mem::replace(&mut rows, proxy.rows().len());
        std::thread::sleep(Duration::from_millis(300));
        rows > 0 && rows == before
    });
    proxy.signal("TERM");
    proxy.wait_for_log("stopping: signal=SIGTERM answers=0");
    assert_eq!(proxy.exit_within(Duration::from_millis(500)), None);
    proxy.signal("TERM");
    let status = proxy.exit_within(PATIENCE);
    let status = status.unwrap_or_else(|| panic!("it still waits: {}", proxy.log()));
    assert_eq!(status.code(), Some(0), "{}", proxy.log());
    assert_eq!(proxy.rows().len(), rows, "what was booked stays");
}

#[test]
fn after_the_grace_running_answers_are_cut_off_and_booked() {
    let (backend, _turnstile) = halting();
    let (mut proxy, key) = Home::new(&backend)
        .set("SHUTDOWN_GRACE", "300ms")
        .serve_alice();
    let mut stream = stream(&proxy, &key);
    proxy.signal("TERM");
    assert!(
        !stream.rest().1,
        "the client must not take this for the whole answer"
    );
    assert!(proxy.exit_within(PATIENCE).is_some(), "{}", proxy.log());
    let row = proxy.only_row();
    assert_eq!(
        (row.status, row.source.as_str()),
        (200, "estimate"),
        "{row:?}"
    );
    assert_ne!(row.outcome, "completed");
}

#[test]
fn every_delivered_answer_is_on_disk_after_the_end() {
    let backend = Backend::chats(19, 10);
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    for body in [ASK, ASK_STREAM].repeat(10) {
        assert!(proxy.chat(&key, body).clean);
    }
    proxy.signal("TERM");
    assert!(proxy.exit_within(PATIENCE).is_some());
    assert_eq!(proxy.rows().len(), 20);
}

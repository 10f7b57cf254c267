//! A lack of descriptors, floods of unknown keys and forged log lines do no harm.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{answer_for, assert_serves};
use crate::harness::{
    Backend, CHAT, Connection, Home, PATIENCE, Proxy, Request, Turnstile, alone, ask,
    assert_guesses_are_slowed_down, wait_until,
};

fn answering() -> Backend {
    Backend::start(|request, wire| wire.json(&answer_for(&request.model())))
}

#[test]
fn a_server_out_of_descriptors_answers_every_client_in_the_end() {
    const CLIENTS: usize = 400;
    const LIMIT: u32 = 256;
    let _alone = alone();
    let backend = answering();
    let home = Home::new(&backend).launched_by(&format!("ulimit -n {LIMIT}; exec"));
    let (proxy, key) = home.serve_alice();
    assert_serves(&proxy, &key, "nothing");
    let request = Request::post(CHAT, ask("fine")).key(&key);
    let (leave, answered) = (Turnstile::default(), AtomicUsize::new(0));
    let statuses = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let client = || {
                let mut connection = Connection::open(proxy.address());
                connection.send(&request);
                if let Some(answer) = connection.try_answer() {
                    assert!(answer.clean, "{answer:?}");
                    if answer.status != 200 {
                        let kind = answer.json()["error"]["type"].clone();
                        assert_eq!(kind, "server_error", "{answer:?}");
                    }
                    statuses.lock().unwrap().push(answer.status);
                }
                answered.fetch_add(1, Ordering::Relaxed);
                // Stays connected, so that the others find no descriptor left.
                leave.pass();
            };
            scope.spawn(client);
        }
        wait_until("the server has used up its descriptors", PATIENCE, || {
            proxy.open_files() + 2 >= LIMIT as usize
        });
        wait_until("those who got in are answered", PATIENCE, || {
            answered.load(Ordering::Relaxed) > 50
        });
        leave.allow(CLIENTS);
    });
    let statuses = statuses.into_inner().unwrap();
    let served = statuses.iter().filter(|status| **status == 200).count();
    eprintln!(
        "{CLIENTS} clients, {LIMIT} descriptors: {} answers, {served} of them 200",
        statuses.len()
    );
    assert!(
        statuses
            .iter()
            .all(|status| [200, 502, 503].contains(status)),
        "{statuses:?}"
    );
    // How many, depends on who was first: the clients, or the connections to the backend.
    assert!(served > 0, "{statuses:?}");
    assert_eq!(statuses.len(), CLIENTS, "nobody is cut without a word");
    assert_serves(&proxy, &key, "a lack of descriptors");
    assert_eq!(proxy.rows().len(), served + 2);
    // What stays open are kept connections to the backend; the clients' are closed.
    wait_until("descriptors are free again", PATIENCE, || {
        proxy.open_files() + 20 < LIMIT as usize
    });
    eprintln!("{} descriptors are open afterwards", proxy.open_files());
    let log = proxy.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(log.lines().count() < 4 * CLIENTS, "the log is not flooded");
}

#[test]
fn unknown_keys_cost_no_database_work_and_lock_nobody_out() {
    const PEERS: u8 = 40;
    const GUESSES: usize = 50;
    let _alone = alone();
    let backend = answering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_serves(&proxy, &key, "nothing");
    let before = proxy.memory_kb("VmRSS");
    // Whoever needed to write would wait for this.
    let database = proxy.writable_database();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    // And whoever needed to open it would not find it.
    let (file, away) = (proxy.path("test.db"), proxy.path("away.db"));
    std::fs::rename(&file, &away).unwrap();
    thread::scope(|scope| {
        for peer in 1..=PEERS {
            let proxy = &proxy;
            scope.spawn(move || {
                let source = [127, 1, 1, peer].into();
                let mut connection = Connection::open_from(source, proxy.address());
                for n in 0..GUESSES {
                    let guess = format!("llmp-{peer:04}{n:036}");
                    connection.send(&Request::post(CHAT, ask("fine")).key(&guess));
                    assert_eq!(connection.answer().status, 401);
                }
            });
        }
    });
    std::fs::rename(&away, &file).unwrap();
    database.execute_batch("ROLLBACK").unwrap();
    assert_serves(&proxy, &key, "strangers");
    assert_eq!((proxy.rows().len(), backend.requests().len()), (2, 2));
    let after = proxy.memory_kb("VmRSS");
    eprintln!("2,000 unknown keys: RSS from {before} kB to {after} kB");
    assert!(
        after < before + 16_000,
        "{before} kB before, {after} kB after"
    );
    assert!(!proxy.log().contains("llmp-0"), "no guessed key is logged");
}

#[test]
fn guessing_keys_slows_down_only_the_guesses() {
    let backend = answering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let guess = Request::get("/v1/models").key("llmp-guessed");
    let right = Request::post(CHAT, ask("fine")).key(&key);
    assert_guesses_are_slowed_down(&proxy, &guess, &right);
}

#[test]
fn log_lines_are_short_and_unforgeable_whatever_clients_send() {
    let backend = answering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let evil = [
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "a%0a1999-01-01T00:00:00Z INFO  llmproxy: forged",
        "a%1b%5b31m",
        "\u{9b}31m\u{202e}abc",
    ];
    let long = "x".repeat(60_000);
    let send = |bytes: String| {
        let mut connection = proxy.open();
        connection.send_bytes(bytes.as_bytes());
        connection.raw_rest();
    };
    for text in evil.iter().copied().chain([long.as_str()]) {
        for key in [key.as_str(), "llmp-unknown"] {
            let end = format!("Authorization: Bearer {key}\r\nConnection: close\r\n\r\n");
            send(format!(
                "GET /v1/models/{text} HTTP/1.1\r\nHost: x\r\n{end}"
            ));
            send(format!("GET /nowhere/{text} HTTP/1.1\r\nHost: x\r\n{end}"));
            send(format!(
                "GET /admin/{text} HTTP/1.1\r\nHost: {text}\r\n{end}"
            ));
            send(format!(
                "GET /v1/models?{text} HTTP/1.1\r\nHost: x\r\n{end}"
            ));
            send(format!(
                "GET /v1/models HTTP/1.1\r\nHost: x\r\nUser-Agent: {text}\r\nX-Request-Id: {text}\r\n{end}"
            ));
            send(format!(
                "GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {text}\r\nAuthorization: Bearer {text}\r\n{end}"
            ));
        }
        let body =
            serde_json::json!({"model": format!("{text}\n[forged]\r\u{1b}[0m\0"), "stream": text});
        assert_eq!(proxy.chat(&key, &body.to_string()).status, 200);
        proxy.chat(&key, &format!("{{{text}"));
    }
    assert_serves(&proxy, &key, "evil texts");
    assert_log_is_clean(&proxy, &key);
}

#[test]
fn a_method_of_20_kb_does_not_make_a_log_line_of_20_kb() {
    let backend = answering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    for path in ["/v1/models", "/nowhere", "/admin/list_users", "/health"] {
        let mut connection = proxy.open();
        let method = "X".repeat(20_000);
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
        );
        connection.send_bytes(head.as_bytes());
        connection.raw_rest();
    }
    assert_serves(&proxy, &key, "long methods");
    assert_log_is_clean(&proxy, &key);
}

/// Each line is one of ours, short, and does nothing to a terminal.
#[track_caller]
fn assert_log_is_clean(proxy: &Proxy, key: &str) {
    let log = proxy.log();
    for line in log.lines() {
        assert!(
            !line.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{line:?}"
        );
        assert!(line.len() < 2_000, "{} bytes: {line:.300}", line.len());
        assert!(line.starts_with("20"), "{line:?}");
        assert!(!line.contains(key), "{line:?}");
    }
}

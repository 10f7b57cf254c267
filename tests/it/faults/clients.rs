//! Clients that leave, stall or send too much get their own answers and delay nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{answer_for, assert_no_leak, assert_serves, files_in_peace, one_place};
use crate::harness::{
    ASK, ASK_STREAM, Backend, CHAT, Connection, Home, PATIENCE, Proxy, Request, alone, ask,
    ask_stream, assert_openai_error, delta, wait_until, wait_until_proxy_let_go_of,
};

/// Answers by the model: `silent` and `stream` wait until the proxy hangs up.
fn patient() -> Backend {
    Backend::start(|request, wire| match request.model().as_str() {
        "silent" => drop(wire.closed_by_peer_within(PATIENCE)),
        "stream" => {
            wire.sse_head();
            wire.chunk(delta("Hello"));
            wire.closed_by_peer_within(PATIENCE);
        }
        model => wire.json(&answer_for(model)),
    })
}

// === Leaving ===

#[test]
fn a_disconnect_at_any_point_frees_permit_and_descriptors() {
    const ROUNDS: usize = 15;
    let backend = patient();
    let home = Home::new(&backend).set("MAX_CONCURRENT_REQUESTS", "1");
    let (proxy, key) = home.serve_alice();
    assert_serves(&proxy, &key, "nothing");
    let files = files_in_peace(&proxy);
    let whole = Request::post(CHAT, ask("silent"))
        .key(&key)
        .bytes("localhost");
    let head_bytes = memchr::memmem::find(&whole, b"\r\n\r\n").unwrap() + 4;
    // Before a byte, in the head, before the body, in the body.
    for sent in [0, 20, head_bytes, whole.len() - 10] {
        for round in 0..ROUNDS {
            let mut connection = proxy.open();
            connection.send_bytes(&whole[..sent]);
            leave(connection, round);
        }
        assert_serves(
            &proxy,
            &key,
            &format!("clients that left after {sent} bytes"),
        );
    }
    assert_eq!(backend.requests().len(), 5, "no broken request went on");
    // While the backend thinks, and in the middle of the answer.
    for model in ["silent", "stream"] {
        for round in 0..ROUNDS {
            let seen = backend.requests().len();
            let mut connection = proxy.start(&Request::post(CHAT, ask_stream(model)).key(&key));
            backend.wait_for_requests(seen + 1);
            if model == "stream" {
                assert!(connection.head().status == 200 && connection.event().is_some());
            }
            leave(connection, round);
        }
        assert_serves(&proxy, &key, model);
    }
    assert_no_leak(&proxy, files);
    wait_until("all are booked", PATIENCE, || {
        proxy.rows().len() == 7 + 2 * ROUNDS
    });
    let rows = proxy.rows();
    let gone = rows.iter().filter(|row| row.outcome == "client_gone");
    assert_eq!(gone.count(), 2 * ROUNDS, "{rows:?}");
}

fn leave(connection: Connection, round: usize) {
    if round.is_multiple_of(2) {
        connection.reset();
    }
}

/// A client that half-closes is taken for one that left: nobody could tell the two apart before a byte is written,
/// and tokens would be spent for nobody. No known SDK does it.
#[test]
fn a_client_that_half_closes_counts_as_disconnected() {
    let backend = patient();
    let home = Home::new(&backend).set("MAX_CONCURRENT_REQUESTS", "1");
    let (proxy, key) = home.serve_alice();
    for (count, model) in [(1, "silent"), (2, "stream")] {
        let mut connection = proxy.start(&Request::post(CHAT, ask_stream(model)).key(&key));
        backend.wait_for_requests(count);
        if model == "stream" {
            assert!(connection.head().status == 200 && connection.event().is_some());
        }
        connection.finish_sending();
        let rest = connection.raw_rest();
        assert!(!rest.ends_with(b"0\r\n\r\n"), "no clean end: {rest:?}");
        wait_until("it is booked", PATIENCE, || proxy.rows().len() == count);
    }
    let rows = proxy.rows();
    assert!(
        rows.iter().all(|row| row.outcome == "client_gone"),
        "{rows:?}"
    );
    assert_serves(&proxy, &key, "half-closed connections");
}

// === Slowness ===

#[test]
fn clients_that_do_not_read_use_bounded_memory_and_delay_nobody() {
    const CLIENTS: usize = 40;
    const PIECE: usize = 50_000;
    const PIECES: usize = 400;
    let _alone = alone();
    let written = Arc::new(AtomicUsize::new(0));
    let backend = Backend::start({
        let written = written.clone();
        move |request, wire| {
            if request.model() == "fine" {
                return wire.json(&answer_for("fine"));
            }
            wire.sse_head();
            let event = delta(&"x".repeat(PIECE));
            for _ in 0..PIECES {
                wire.chunk(&event);
                written.fetch_add(1, Ordering::Relaxed);
            }
            wire.end();
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_serves(&proxy, &key, "nothing");
    let (files, before) = (files_in_peace(&proxy), proxy.memory_kb("VmRSS"));
    let request = Request::post(CHAT, ASK_STREAM).key(&key);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| proxy.start(&request)).collect();
    for client in &mut clients {
        assert_eq!(client.head().status, 200);
    }
    // Full are the buffers when the backend has not got rid of a piece for a while.
    let mut last = (0, Instant::now());
    wait_until("all buffers are full", PATIENCE * 3, || {
        let now = written.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
        last.1.elapsed() > Duration::from_millis(500)
    });
    let total = CLIENTS * PIECES;
    assert!(
        last.0 < total,
        "the streams are long enough to fill every buffer"
    );
    let stalled = proxy.memory_kb("VmRSS");
    let each = stalled.saturating_sub(before) / CLIENTS as u64;
    eprintln!(
        "{CLIENTS} clients that do not read: RSS from {before} kB to {stalled} kB, {each} kB each"
    );
    assert!(
        each < 2_000,
        "{before} kB before, {stalled} kB with {CLIENTS} clients"
    );
    assert_serves(&proxy, &key, "clients that do not read");
    // One of them goes on and gets everything.
    let (body, clean) = clients.pop().unwrap().rest();
    let whole = delta(&"x".repeat(PIECE)).len() * PIECES;
    assert_eq!((body.len(), clean), (whole, true));
    let rows = || {
        let rows = proxy.rows();
        let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
        (count("completed"), count("client_gone"))
    };
    assert_eq!(rows(), (3, 0));
    drop(clients);
    wait_until("those who left are booked", PATIENCE, || {
        rows() == (3, CLIENTS - 1)
    });
    assert_no_leak(&proxy, files);
}

#[test]
fn a_slow_head_is_cut_off_and_delays_nobody() {
    let backend = patient();
    let home = Home::new(&backend).set("CLIENT_HEADER_TIMEOUT", "500ms");
    let (proxy, key) = home.serve_alice();
    let files = files_in_peace(&proxy);
    let start = Instant::now();
    let mut halves: Vec<_> = (0..20)
        .map(|_| {
            let mut connection = proxy.open();
            connection.send_bytes(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: ");
            connection
        })
        .collect();
    // One that sends a byte again and again is not spared.
    let mut dripping = proxy.open();
    dripping.send_bytes(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    assert_serves(&proxy, &key, "slow heads");
    wait_until("the dripping client is cut", Duration::from_secs(4), || {
        dripping.send_bytes(b"x");
        std::thread::sleep(Duration::from_millis(20));
        proxy.open_files() <= files + 5
    });
    for connection in &mut halves {
        assert_refused_or_closed(connection);
    }
    assert!(start.elapsed() > Duration::from_millis(400), "not at once");
    // A head that comes in time but in pieces is served.
    let bytes = Request::post(CHAT, ask("fine"))
        .key(&key)
        .bytes("localhost");
    let mut connection = proxy.open();
    for piece in bytes.chunks(bytes.len() / 5) {
        connection.send_bytes(piece);
    }
    assert_eq!(connection.answer().text(), answer_for("fine"));
    assert_eq!(backend.requests().len(), 2);
}

/// 4xx and the end, or the end.
#[track_caller]
fn assert_refused_or_closed(connection: &mut Connection) {
    let rest = connection.raw_rest();
    let text = String::from_utf8_lossy(&rest);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
}

// === Too much ===

#[test]
fn heads_without_end_are_cut_at_a_bounded_size() {
    const CLIENTS: usize = 30;
    let _alone = alone();
    let backend = patient();
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_serves(&proxy, &key, "nothing");
    let (files, before) = (files_in_peace(&proxy), proxy.memory_kb("VmHWM"));
    let line = format!("X-{}: {}\r\n", "n".repeat(100), "v".repeat(900));
    let forms: [(&str, String); 4] = [
        ("one header", "x".repeat(2_000_000)),
        ("many headers", line.repeat(2_000)),
        ("many short headers", "a: b\r\n".repeat(100_000)),
        ("a name", "n".repeat(300_000)),
    ];
    std::thread::scope(|scope| {
        for n in 0..CLIENTS {
            let (proxy, rest) = (&proxy, &forms[n % forms.len()].1);
            scope.spawn(move || {
                let mut connection = proxy.open();
                connection.send_bytes(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX: y\r\nX");
                connection.send_bytes(rest.as_bytes());
                assert_refused_or_closed(&mut connection);
            });
        }
    });
    let peak = proxy.memory_kb("VmHWM");
    eprintln!("{CLIENTS} heads without end: VmHWM from {before} kB to {peak} kB");
    assert!(
        peak < before + CLIENTS as u64 * 600,
        "{before} kB to {peak} kB"
    );
    let target = format!("/v1/models/{}", "m".repeat(70_000));
    let mut connection = proxy.start(&Request::get(&target).key(&key));
    assert_refused_or_closed(&mut connection);
    assert_serves(&proxy, &key, "heads without end");
    assert_eq!(backend.requests().len(), 2);
    assert_no_leak(&proxy, files);
}

#[test]
fn a_body_over_the_limit_is_refused_without_reading_on() {
    let backend = patient();
    let home = Home::new(&backend).set("MAX_BODY_SIZE", "100KB");
    let (proxy, key, files) = one_place(home);
    for _ in 0..10 {
        // Announced, and nothing of it sent.
        let announced = Request::post(CHAT, "").key(&key);
        let announced = announced.header("Content-Length", "99999999999");
        assert_openai_error(&proxy.send(&announced), 413);
        // Announced to a client that waits for a word: it is not told to go on.
        let waiting = announced.header("Expect", "100-continue");
        let mut connection = proxy.start(&waiting);
        let first = connection.head();
        assert!(first.status == 413 || first.status == 100, "{first:?}");
        // In chunks, without end.
        let mut connection = proxy.open();
        let head = Request::post(CHAT, "")
            .key(&key)
            .header("Transfer-Encoding", "chunked");
        connection.send(&head);
        let chunk = format!("2710\r\n{}\r\n", " ".repeat(10_000));
        for _ in 0..20 {
            connection.send_bytes(chunk.as_bytes());
        }
        assert_openai_error(&connection.answer(), 413);
        assert_serves(&proxy, &key, "large bodies");
    }
    assert_eq!(backend.requests().len(), 10);
    assert_no_leak(&proxy, files);
}

// === Talking out of turn ===

#[test]
fn pipelined_requests_are_answered_in_order_and_booked() {
    let backend = Backend::start(|request, wire| {
        let model = request.model();
        if request.asks_to_stream() {
            wire.sse(&[delta(&model)]);
        } else if request.target() == CHAT {
            wire.json(&answer_for(&model));
        } else {
            wire.json("{\"object\":\"list\"}");
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let requests = [
        Request::post(CHAT, ask("one")).key(&key),
        Request::post(CHAT, ask_stream("two")).key(&key),
        Request::post(CHAT, ask("three")).key("llmp-unknown"),
        Request::get("/v1/models").key(&key),
        Request::post(CHAT, "no json").key(&key),
        Request::get("/health"),
        Request::post(CHAT, ask("seven")).key(&key),
    ];
    let packet: Vec<u8> = requests
        .iter()
        .flat_map(|request| request.bytes("localhost"))
        .collect();
    // As one packet, and as packets that end anywhere.
    for size in [packet.len(), 1000, 37] {
        let booked = proxy.rows().len();
        let mut connection = proxy.open();
        for piece in packet.chunks(size) {
            connection.send_bytes(piece);
        }
        let answers: Vec<_> = requests.iter().map(|_| connection.answer()).collect();
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 200, 401, 200, 400, 200, 200]);
        assert_eq!(answers[0].text(), answer_for("one"));
        assert_eq!(answers[1].text(), delta("two"));
        assert_eq!(answers[6].text(), answer_for("seven"));
        let rows = proxy.rows().split_off(booked);
        let models: Vec<_> = rows.iter().filter_map(|row| row.model.as_deref()).collect();
        assert_eq!(models, ["one", "two", "seven"]);
    }
}

#[test]
fn pipelined_requests_of_a_client_that_left_are_not_sent() {
    let backend = patient();
    let home = Home::new(&backend).set("MAX_CONCURRENT_REQUESTS", "1");
    let (proxy, key) = home.serve_alice();
    let both = ["silent", "fine"].map(|model| {
        let request = Request::post(CHAT, ask(model)).key(&key);
        request.bytes("localhost")
    });
    let mut connection = proxy.open();
    connection.send_bytes(&both.concat());
    backend.wait_for_requests(1);
    let port = connection.port();
    drop(connection);
    wait_until_proxy_let_go_of(port, &proxy);
    assert_serves(&proxy, &key, "a pipeliner that left");
    let models: Vec<_> = backend.requests().iter().map(|seen| seen.model()).collect();
    assert_eq!(models, ["silent", "fine"]);
}

#[test]
fn expect_100_continue_is_answered_once_to_valid_keys_only() {
    let backend = patient();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let expecting = |key: &str, body: &str| {
        let request = Request::post(CHAT, "").key(key);
        let request = request.header("Expect", "100-Continue");
        request.header("Content-Length", &body.len().to_string())
    };
    let body = ask("fine");
    // Twice on one connection.
    let mut connection = proxy.open();
    for _ in 0..2 {
        connection.send(&expecting(&key, &body));
        assert_eq!(connection.head().status, 100);
        connection.send_bytes(body.as_bytes());
        assert_eq!(connection.answer().text(), answer_for("fine"));
        assert_eq!(backend.last().header("expect"), None);
    }
    // Sent with its body at once, as curl does after a second.
    let mut connection = proxy.open();
    connection.send(&expecting(&key, &body));
    connection.send_bytes(body.as_bytes());
    assert_eq!(connection.head().status, 100);
    assert_eq!(connection.answer().text(), answer_for("fine"));
    // Whoever is refused gets an answer, with or without a word before it, though no body comes.
    let mut connection = proxy.start(&expecting("llmp-unknown", &body));
    let mut answer = connection.head();
    if answer.status == 100 {
        connection.send_bytes(body.as_bytes());
        answer = connection.head();
    }
    assert_eq!(answer.status, 401);
    // What nobody understands is refused or passed over.
    let other = Request::post(CHAT, body)
        .key(&key)
        .header("Expect", "the-unexpected");
    let status = proxy.send(&other).status;
    assert!(status == 200 || status == 417, "{status}");
    assert_serves(&proxy, &key, "expectations");
}

#[test]
fn a_body_of_the_wrong_length_ends_only_its_own_connection() {
    let backend = patient();
    let (proxy, key, files) = one_place(Home::new(&backend));
    for _ in 0..10 {
        let short = Request::post(CHAT, ASK).key(&key);
        let short = short.header("Content-Length", &(ASK.len() + 10).to_string());
        drop(proxy.start(&short));
        let long = Request::post(CHAT, ask("fine") + "surplus").key(&key);
        let long = long.header("Content-Length", &ask("fine").len().to_string());
        let mut connection = proxy.start(&long);
        assert_eq!(connection.answer().text(), answer_for("fine"));
        drop(connection);
        assert_serves(&proxy, &key, "wrong lengths");
    }
    assert!(fine_only(&proxy, &backend));
    assert_no_leak(&proxy, files);
}

fn fine_only(proxy: &Proxy, backend: &Backend) -> bool {
    proxy.rows().len() == 20
        && backend
            .requests()
            .iter()
            .all(|seen| seen.text() == ask("fine"))
}

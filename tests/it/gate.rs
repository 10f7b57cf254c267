//! `MAX_CONCURRENT_REQUESTS` limits requests at the backend and serves them in order of arrival.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::harness::{
    ASK, ASK_STREAM, Backend, CHAT, Connection, DONE, Home, PATIENCE, Proxy, Request, Turnstile,
    ask, ask_stream, chat_completion, delta, wait_until, wait_until_proxy_let_go_of,
    wait_until_proxy_read_all_of,
};

/// A backend that answers a request only when the turnstile lets it.
fn waiting() -> (Backend, Arc<Turnstile>) {
    let turnstile = Arc::new(Turnstile::default());
    let backend = Backend::start({
        let turnstile = turnstile.clone();
        move |_, wire| {
            if turnstile.pass() {
                wire.json(&chat_completion(1, 1));
            }
        }
    });
    (backend, turnstile)
}

/// Sends a chat for `model` and waits until it stands in line (or is at the backend).
fn queue(proxy: &Proxy, key: &str, model: &str) -> Connection {
    let connection = proxy.start(&Request::post(CHAT, ask(model)).key(key));
    wait_until_proxy_read_all_of(&connection, proxy);
    connection
}

fn models_seen(backend: &Backend) -> Vec<String> {
    backend
        .requests()
        .iter()
        .map(|request| request.model())
        .collect()
}

#[test]
fn never_more_than_the_limit_are_at_the_backend() {
    let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let backend = Backend::start({
        let (at_once, most) = (at_once.clone(), most.clone());
        move |request, wire| {
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            if request.asks_to_stream() {
                wire.sse_head();
                for _ in 0..10 {
                    wire.chunk(delta("word"));
                    thread::sleep(std::time::Duration::from_millis(1));
                }
                at_once.fetch_sub(1, Ordering::SeqCst);
                wire.chunk(DONE);
                wire.end();
            } else {
                thread::sleep(std::time::Duration::from_millis(5));
                at_once.fetch_sub(1, Ordering::SeqCst);
                wire.json(&chat_completion(1, 1));
            }
        }
    });
    let (proxy, key) = Home::new(&backend)
        .set("MAX_CONCURRENT_REQUESTS", "2")
        .serve_alice();
    thread::scope(|scope| {
        for body in [ASK, ASK_STREAM].repeat(4) {
            let (proxy, key) = (&proxy, &key);
            scope
                .spawn(move || (0..10).for_each(|_| assert_eq!(proxy.chat(key, body).status, 200)));
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 2, "two at once, and no more");
}

#[test]
fn the_third_request_waits_until_one_of_the_two_is_done() {
    let (backend, turnstile) = waiting();
    let (proxy, key) = Home::new(&backend)
        .set("MAX_CONCURRENT_REQUESTS", "2")
        .serve_alice();
    let mut clients = ["a", "b", "c"].map(|model| queue(&proxy, &key, model));
    backend.wait_for_requests(2);
    assert_eq!(models_seen(&backend).len(), 2);
    turnstile.allow(1);
    backend.wait_for_requests(3);
    assert_eq!(models_seen(&backend)[2], "c");
    turnstile.allow(2);
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn requests_are_served_in_order_of_arrival() {
    let (backend, turnstile) = waiting();
    let (proxy, key) = Home::new(&backend)
        .set("MAX_CONCURRENT_REQUESTS", "1")
        .serve_alice();
    let order = ["0", "1", "2", "3", "4", "5", "6", "7"];
    let mut clients = order.map(|model| queue(&proxy, &key, model));
    turnstile.allow(order.len());
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!(models_seen(&backend), order);
}

#[test]
fn a_client_that_leaves_the_queue_is_forgotten() {
    let (backend, turnstile) = waiting();
    let (proxy, key) = Home::new(&backend)
        .set("MAX_CONCURRENT_REQUESTS", "1")
        .serve_alice();
    let mut first = queue(&proxy, &key, "first");
    backend.wait_for_requests(1);
    let leaving = queue(&proxy, &key, "leaving");
    let mut last = queue(&proxy, &key, "last");
    let port = leaving.port();
    drop(leaving);
    wait_until_proxy_let_go_of(port, &proxy);
    turnstile.allow(2);
    assert_eq!(first.answer().status, 200);
    assert_eq!(last.answer().status, 200);
    assert_eq!(models_seen(&backend), ["first", "last"]);
    assert_eq!(proxy.rows().len(), 2);
}

#[test]
fn a_stream_keeps_its_permit_until_it_ends_or_is_dropped() {
    let turnstile = Arc::new(Turnstile::default());
    let backend = Backend::start({
        let turnstile = turnstile.clone();
        move |request, wire| {
            if request.model() == "plain" {
                return wire.json(&chat_completion(1, 1));
            }
            wire.sse_head();
            wire.chunk(delta("Hello"));
            if request.model() == "abandoned" {
                wire.closed_by_peer_within(PATIENCE);
            } else if turnstile.pass() {
                wire.chunk(DONE);
                wire.end();
            }
        }
    });
    let (proxy, key) = Home::new(&backend)
        .set("MAX_CONCURRENT_REQUESTS", "1")
        .serve_alice();
    let mut stream = proxy.start(&Request::post(CHAT, ask_stream("whole")).key(&key));
    stream.head();
    stream.event();
    let mut waiting = queue(&proxy, &key, "plain");
    assert_eq!(models_seen(&backend), ["whole"], "the stream still runs");
    turnstile.allow(1);
    assert!(stream.rest().1);
    assert_eq!(waiting.answer().status, 200);

    let mut stream = proxy.start(&Request::post(CHAT, ask_stream("abandoned")).key(&key));
    stream.head();
    stream.event();
    let mut waiting = queue(&proxy, &key, "plain");
    assert_eq!(models_seen(&backend), ["whole", "plain", "abandoned"]);
    drop(stream);
    assert_eq!(waiting.answer().status, 200);
}

#[test]
fn an_error_gives_its_permit_back() {
    let backend = Backend::start(|request, wire| match request.model().as_str() {
        "closes" => wire.close(),
        "nonsense" => {
            wire.write("nonsense\r\n\r\n");
            wire.close();
        }
        "cut" => {
            wire.sse_head();
            wire.chunk(delta("Hello"));
            wire.close();
        }
        "silent" => drop(wire.closed_by_peer_within(PATIENCE)),
        "busy" => wire.answer("429 Too Many Requests", &[], "{}"),
        "credentials" => wire.answer("401 Unauthorized", &[], "{}"),
        _ => wire.json(&chat_completion(1, 1)),
    });
    let home = Home::new(&backend)
        .set("MAX_CONCURRENT_REQUESTS", "1")
        .set("BACKEND_IDLE_TIMEOUT", "200ms");
    let (proxy, key) = home.serve_alice();
    for fault in ["closes", "nonsense", "cut", "silent", "busy", "credentials"] {
        proxy.chat(&key, &ask_stream(fault));
        assert_eq!(proxy.chat(&key, ASK).status, 200, "after {fault}");
    }
}

#[test]
fn a_full_gate_leaves_health_and_admin_open() {
    let (backend, turnstile) = waiting();
    let (proxy, key) = Home::new(&backend)
        .set("MAX_CONCURRENT_REQUESTS", "1")
        .serve_alice();
    let mut first = queue(&proxy, &key, "first");
    let mut second = queue(&proxy, &key, "second");
    assert_eq!(proxy.get_json("/health")["status"], "ok");
    proxy.get_json("/admin/list_users");
    assert_eq!(
        proxy.chat("llmp-nobody", ASK).status,
        401,
        "a refusal does not wait in line"
    );
    turnstile.allow(2);
    assert_eq!((first.answer().status, second.answer().status), (200, 200));
}

#[test]
fn zero_means_no_limit() {
    let (backend, turnstile) = waiting();
    let (proxy, key) = Home::new(&backend)
        .set("MAX_CONCURRENT_REQUESTS", "0")
        .serve_alice();
    let mut clients: Vec<_> = (0..50)
        .map(|n| proxy.start(&Request::post(CHAT, ask(&n.to_string())).key(&key)))
        .collect();
    wait_until("all are at the backend", PATIENCE, || {
        backend.requests().len() == 50
    });
    turnstile.allow(50);
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
}

//! Connections to the backend have TCP keep-alive. Linux only.

use crate::harness::{ASK, Backend, Home, PATIENCE, Request, chat_completion, wait_until};

/// Hundredths of a second to the next probe on each connection of this machine to the port: `tr` is 2 for the timer of
/// keep-alive, and `when` follows it (proc_pid_net(5)).
fn probes_due_to(port: &str) -> Vec<u64> {
    let port: u16 = port.rsplit(':').next().unwrap().parse().unwrap();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let connections = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, remote, state, _, timer, ..] = fields[..] else {
            return None;
        };
        let is_ours = state == "01" && remote.ends_with(&format!(":{port:04X}"));
        is_ours.then_some(timer)
    });
    let timers = connections.map(|timer| match timer.split_once(':') {
        Some(("02", when)) => u64::from_str_radix(when, 16).unwrap(),
        _ => 0,
    });
    timers.collect()
}

#[track_caller]
fn assert_probed(backend: &Backend, what: &str) {
    // Until what was written is acknowledged, the timer is another.
    wait_until(what, PATIENCE, || {
        let due = probes_due_to(&backend.authority());
        !due.is_empty() && due.iter().all(|due| (1..=3_000).contains(due))
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_connection_to_the_backend_is_probed_after_30_s() {
    let backend = Backend::json(chat_completion(1, 1));
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    assert_probed(&backend, "a kept connection is probed");
}

#[test]
#[cfg(target_os = "linux")]
fn a_realtime_socket_is_probed_on_the_backends_side_too() {
    let backend = Backend::start(|_, wire| {
        wire.head(
            "101 Switching Protocols",
            &[
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Accept", "x"),
            ],
        );
        wire.closed_by_peer_within(PATIENCE);
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let request = Request::get("/v1/realtime?model=m")
        .key(&key)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let mut socket = proxy.start(&request);
    assert_eq!(socket.head().status, 101);
    assert_probed(&backend, "the socket is probed");
}

#[test]
#[cfg(target_os = "linux")]
fn a_connection_to_an_http_proxy_is_probed_too() {
    let forwarding = Backend::start(|request, wire| {
        if request.head.starts_with("CONNECT ") {
            wire.head("200 Connection established", &[]);
            wire.closed_by_peer_within(PATIENCE);
        } else {
            wire.json(&chat_completion(1, 1));
        }
    });
    let plain = Home::with_backend_url("http://backend.invalid");
    let (proxy, key) = plain.set("HTTP_PROXY", &forwarding.url()).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    assert_probed(&forwarding, "a connection to a plain proxy is probed");
    drop((proxy, forwarding));

    let tunnelling = Backend::start(|_, wire| {
        wire.head("200 Connection established", &[]);
        wire.closed_by_peer_within(PATIENCE);
        std::thread::sleep(PATIENCE);
    });
    let tls = Home::with_backend_url("https://backend.invalid");
    let (proxy, key) = tls.set("HTTPS_PROXY", &tunnelling.url()).serve_alice();
    let _waiting = proxy.start(&Request::post("/v1/chat/completions", ASK).key(&key));
    tunnelling.wait_for_requests(1);
    assert_probed(&tunnelling, "a tunnel is probed while TLS begins");
}

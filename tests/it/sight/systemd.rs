//! What systemd is told by a server that it has started.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::harness::{
    ASK_STREAM, Backend, CHAT, Home, PATIENCE, Request, Turnstile, alone, counted_stream,
};

/// The other end of `NOTIFY_SOCKET`.
struct Systemd(UnixDatagram);

impl Systemd {
    fn at_path(home: &Home) -> (Self, String) {
        let path = home.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        (Self::of(socket), path.display().to_string())
    }

    fn at_abstract_name(name: &str) -> (Self, String) {
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        (Self::of(socket), format!("@{name}"))
    }

    fn of(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    #[track_caller]
    fn message(&self) -> String {
        let mut buffer = [0; 4_096];
        let length = self.0.recv(&mut buffer).expect("there is a message");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Returns the next message that begins with a text.
    #[track_caller]
    fn wait_for(&self, beginning: &str) -> String {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let message = self.message();
            if message.starts_with(beginning) {
                return message;
            }
        }
        panic!("no message begins with {beginning}");
    }
}

#[test]
fn systemd_learns_that_the_server_is_ready_and_that_it_stops() {
    let backend = Backend::chats(1, 1);
    let name = format!("llmproxy-test-{}", std::process::id());
    for is_path in [true, false] {
        let home = Home::new(&backend);
        let (systemd, socket) = if is_path {
            Systemd::at_path(&home)
        } else {
            Systemd::at_abstract_name(&name)
        };
        let mut proxy = home.set("NOTIFY_SOCKET", &socket).serve();
        let message = systemd.message();
        let lines: Vec<_> = message.lines().collect();
        assert_eq!(lines[0], "READY=1");
        assert!(lines[1].starts_with("STATUS="), "{message}");
        assert_eq!(proxy.get_json("/health")["status"], "ok");
        proxy.signal("TERM");
        assert!(systemd.message().starts_with("STOPPING=1\n"));
        assert_eq!(proxy.exit_within(PATIENCE).unwrap().code(), Some(0));
    }
}

#[test]
fn the_watchdog_gets_signs_of_life_to_the_end() {
    let _alone = alone();
    let turnstile = Arc::new(Turnstile::default());
    let backend = Backend::start({
        let turnstile = turnstile.clone();
        move |_, wire| {
            let events = counted_stream(19, 10);
            wire.sse_head();
            wire.chunk(&events[0]);
            if turnstile.pass() {
                wire.chunks(&events[1..]);
                wire.end();
            }
        }
    });
    let home = Home::new(&backend);
    let (systemd, socket) = Systemd::at_path(&home);
    let (mut proxy, key) = home
        .set("NOTIFY_SOCKET", &socket)
        .set("WATCHDOG_USEC", "1000000")
        .serve_alice();
    systemd.wait_for("READY=1");
    systemd.wait_for("WATCHDOG=1");
    let start = Instant::now();
    for _ in 0..3 {
        systemd.wait_for("WATCHDOG=1");
    }
    let three = start.elapsed();
    // Every half second; the first two may have come while the machine was busy.
    assert!(
        (Duration::from_millis(900)..Duration::from_secs(4)).contains(&three),
        "{three:?}"
    );
    let mut stream = proxy.start(&Request::post(CHAT, ASK_STREAM).key(&key));
    assert_eq!(stream.head().status, 200);
    proxy.signal("TERM");
    systemd.wait_for("STOPPING=1");
    systemd.wait_for("WATCHDOG=1");
    turnstile.allow(1);
    assert!(stream.rest().1);
    assert!(proxy.exit_within(PATIENCE).is_some());
}

#[test]
fn a_database_that_cannot_be_written_is_no_reason_to_be_killed() {
    let backend = Backend::chats(1, 1);
    let home = Home::new(&backend);
    let (systemd, socket) = Systemd::at_path(&home);
    let proxy = home
        .set("NOTIFY_SOCKET", &socket)
        .set("WATCHDOG_USEC", "400000")
        .serve();
    let other = proxy.writable_database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(proxy.send(&Request::get("/ready")).status, 503);
    for _ in 0..3 {
        systemd.wait_for("WATCHDOG=1");
    }
}

#[test]
fn a_watchdog_of_another_process_and_no_socket_are_ignored() {
    let backend = Backend::chats(1, 1);
    let home = Home::new(&backend);
    let (systemd, socket) = Systemd::at_path(&home);
    let mut proxy = home
        .set("NOTIFY_SOCKET", &socket)
        .set("WATCHDOG_USEC", "20000")
        .set("WATCHDOG_PID", "1")
        .serve();
    assert!(systemd.message().starts_with("READY=1"));
    proxy.signal("TERM");
    assert!(
        systemd.message().starts_with("STOPPING=1"),
        "nothing in between"
    );
    assert!(proxy.exit_within(PATIENCE).is_some());
    for socket in ["/nowhere/notify", "nonsense", "@llmproxy-nobody"] {
        let proxy = Home::new(&backend).set("NOTIFY_SOCKET", socket).serve();
        proxy.wait_for_log("systemd: cannot");
        assert_eq!(proxy.get_json("/health")["status"], "ok");
    }
}

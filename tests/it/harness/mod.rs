//! The harness: the spawned binary ([`Home`], [`Proxy`]), a scripted backend that can do anything on the wire ([`Backend`]), and a
//! client that sees every byte ([`Connection`]). It uses blocking sockets and threads, so that a test reads in the order in
//! which things happen.

mod backend;
mod client;
mod namespaces;
mod payload;
mod postgres;
mod postgres_servers;
mod postgres_suite;
mod proxy;
mod screen;
mod sockets;
mod terminal;
mod tools;

use std::net::{SocketAddr, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

pub use backend::{Backend, Seen, Wire};
pub use client::{Answer, Connection, Request};
pub use namespaces::{in_own_namespaces, shell};
pub use payload::*;
pub use postgres::{has_postgres, on_postgres};
pub use postgres_servers::{Bouncer, PostgresServer, Setup};
pub use postgres_suite::PostgresDatabase;
pub use proxy::{BACKEND_KEY, Home, Proxy, Ran, Row};
pub use screen::Screen;
pub use sockets::{wait_until_proxy_let_go_of, wait_until_proxy_read_all_of};
pub use terminal::Terminal;
pub use tools::has_program;

/// Deadline of every wait. It is far longer than anything takes that does happen.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Returns as soon as `condition` holds. Fails the test if it does not hold within `limit`.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Returns a lock that is held by tests that load the machine and by tests that measure a time, so that they never run at once.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes one side of a test wait for the other: each `pass` waits for an `allow`.
#[derive(Default)]
pub struct Turnstile {
    allowed: Mutex<usize>,
    changed: Condvar,
}

impl Turnstile {
    pub fn allow(&self, steps: usize) {
        *self.allowed.lock().unwrap() += steps;
        self.changed.notify_all();
    }

    /// Waits for an `allow`. Returns false if there is none in time: the script ends then, and the test fails at its own check.
    pub fn pass(&self) -> bool {
        let allowed = self.allowed.lock().unwrap();
        let (mut allowed, wait) = self
            .changed
            .wait_timeout_while(allowed, PATIENCE, |steps| *steps == 0)
            .unwrap();
        if wait.timed_out() {
            return false;
        }
        *allowed -= 1;
        true
    }
}

/// Checks that an error was made by the proxy and has the shape from which SDKs build their exceptions. Returns its `error`.
#[track_caller]
pub fn assert_openai_error(answer: &Answer, status: u16) -> serde_json::Value {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.clean, "the error's body is whole: {answer:?}");
    let content_type = answer.header("content-type").unwrap_or_default();
    assert!(content_type.starts_with("application/json"), "{answer:?}");
    assert!(
        answer
            .header("x-request-id")
            .is_some_and(|id| !id.is_empty()),
        "{answer:?}"
    );
    let error = answer.json()["error"].clone();
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty()),
        "{answer:?}"
    );
    assert!(
        error["type"].as_str().is_some_and(|kind| !kind.is_empty()),
        "{answer:?}"
    );
    for member in ["param", "code"] {
        assert!(
            error.get(member).is_some(),
            "error.{member} is there, if only as null: {answer:?}"
        );
    }
    error
}

/// Ends a connection with RST instead of FIN, as a crashed peer does.
fn reset(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// Returns a socket that is bound to a free port and does not listen yet: connections to it are refused.
pub fn bind_silently() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let free_port = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&free_port.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// Checks that 160 wrong keys or tokens of one peer, each on a connection of its own, are slowed down, and that neither a right
/// one nor another peer is.
#[track_caller]
pub fn assert_guesses_are_slowed_down(proxy: &Proxy, guess: &Request, right: &Request) {
    const GUESSES: usize = 160;
    let _alone = alone();
    let start = Instant::now();
    let mut guessing: Vec<_> = (0..GUESSES).map(|_| proxy.start(guess)).collect();
    for connection in guessing.iter_mut().take(50) {
        assert_eq!(connection.answer().status, 401);
    }
    let sent = start.elapsed();
    assert_eq!(proxy.send(right).status, 200);
    let mut other = Connection::open_from([127, 1, 1, 1].into(), proxy.address());
    other.send(guess);
    assert_eq!(other.answer().status, 401);
    let refused = start.elapsed();
    for connection in guessing.iter_mut().skip(50) {
        assert_eq!(connection.answer().status, 401);
    }
    let all = start.elapsed();
    eprintln!("50 guesses {sent:?}, a right one and another peer {refused:?}, all {all:?}");
    assert!(refused < sent + Duration::from_millis(500), "{refused:?}");
    assert!(all > Duration::from_millis(700), "{all:?}");
}

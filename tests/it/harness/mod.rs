//! What every test stands on: the spawned binary ([`Home`], [`Proxy`]), a backend that does on the wire
//! whatever a test tells it ([`Backend`]), a client that sees every byte ([`Connection`]), and the few words
//! the tests share. Blocking sockets and threads only, so that a test reads in the order in which things happen.

mod backend;
mod client;
mod namespaces;
mod payload;
mod proxy;
mod sockets;

use std::net::TcpStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use backend::{Backend, Seen, Wire};
pub use client::{Answer, Connection, Request};
pub use namespaces::{in_own_namespaces, shell};
pub use payload::*;
pub use proxy::{BACKEND_KEY, Home, Proxy, Ran, Row};
pub use sockets::{proxy_has_let_go_of, proxy_has_read_all_of};

/// Long enough for anything that does happen, short enough to report what does not.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Returns as soon as `condition` holds; fails the test when it does not within `limit`.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Held by tests that load the machine and by tests that measure a time, so that they never meet.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets one side of a test go on only as far as the other has allowed: `pass` waits for an `allow`.
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

    /// False when nobody allowed it in time: the scripts end then, and the test fails where it looks.
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

/// Checks that an error is one of ours and has the shape from which SDKs build their exceptions.
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
    // The standard library cannot set SO_LINGER; tokio can, once it holds the socket.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let twin = stream.try_clone().unwrap();
    twin.set_nonblocking(true).unwrap();
    tokio::net::TcpStream::from_std(twin)
        .unwrap()
        .set_zero_linger()
        .unwrap();
}

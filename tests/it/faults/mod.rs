//! Failing backends, failing clients, hostile bytes, crashes and exhausted resources. After each fault the same server goes on
//! serving, and every permit and descriptor is free again.

mod backend;
mod clients;
mod crash;
mod crashed;
pub mod disk;
mod json;
mod locked_database;
mod many_clients;
mod resources;
mod retries;
mod secrets;
mod slow_bodies;
mod smuggling;
mod wal;

use crate::harness::{Home, PATIENCE, Proxy, ask, wait_until};

/// More descriptors than this beyond those before are a leak: each worker may keep a connection or two.
const SPARE_FILES: usize = 8;

/// An answer that only the request for `model` may get.
fn answer_for(model: &str) -> String {
    format!(r#"{{"for":"{model}","usage":{{"prompt_tokens":19,"completion_tokens":10}}}}"#)
}

/// A proxy with one place at the backend, so that a place which is not given back stops it, and with little
/// patience; its key; and the descriptors it needs in peace.
fn one_place(home: Home) -> (Proxy, String, usize) {
    let home = home
        .set("MAX_CONCURRENT_REQUESTS", "1")
        .set("BACKEND_IDLE_TIMEOUT", "300ms");
    let (proxy, key) = home.serve_alice();
    let files = files_in_peace(&proxy);
    (proxy, key, files)
}

/// The descriptors of a server whose workers have all begun.
fn files_in_peace(proxy: &Proxy) -> usize {
    for _ in 0..8 {
        proxy.get_json("/health");
    }
    proxy.open_files()
}

/// The next request is served, and nobody else's answer comes. The backend answers `fine` with [`answer_for`] it.
#[track_caller]
fn assert_serves(proxy: &Proxy, key: &str, after: &str) {
    let answer = proxy.chat(key, &ask("fine"));
    assert_eq!(
        (answer.status, answer.text(), answer.clean),
        (200, answer_for("fine"), true),
        "after {after}: {}",
        proxy.log()
    );
}

#[track_caller]
fn assert_no_leak(proxy: &Proxy, files_before: usize) {
    wait_until("all descriptors are closed", PATIENCE, || {
        proxy.open_files() <= files_before + SPARE_FILES
    });
}

//! The admin API over HTTP: who may call it, what it does, what it answers.

mod access;
mod costs;
mod namespace;
mod users;

use serde_json::Value;

use crate::harness::{Answer, Backend, Home, Proxy, Request, chat_completion};

/// A proxy whose backend says 19 + 10 tokens to everything, with the user alice.
fn proxy() -> (Backend, Proxy, String) {
    let backend = Backend::json(chat_completion(19, 10));
    let (proxy, key) = Home::new(&backend).serve_alice();
    (backend, proxy, key)
}

fn post(proxy: &Proxy, path: &str, body: &str) -> Answer {
    proxy.send(&Request::post(path, body))
}

/// Checks an error of the admin side and returns its message.
#[track_caller]
fn assert_admin_error(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    let error: Value = answer.json()["error"].clone();
    for member in ["message", "type", "param", "code"] {
        assert!(error.get(member).is_some(), "error.{member}: {answer:?}");
    }
    let message = error["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{answer:?}");
    message.to_owned()
}

//! `llmproxy import`: databases and exports as the other programs make them, and what becomes of them.

mod again;
mod hostile;
mod litellm;
mod one_api;
mod python;
mod together;

use rusqlite::Connection;
use serde_json::Value;

use crate::harness::{Backend, Home, PATIENCE, Proxy, Ran, ask, wait_until};

/// A backend that reports 19 + 10 tokens for everything, and a home for it.
fn home() -> (Backend, Home) {
    let backend = Backend::chats(19, 10);
    let home = Home::new(&backend);
    (backend, home)
}

/// Makes a SQLite file in the home, as another program does.
fn database(home: &Home, name: &str, sql: &str) -> Connection {
    let connection = Connection::open(home.path(name)).unwrap();
    // Programs in Python do not switch them on either.
    connection
        .execute_batch("PRAGMA foreign_keys = OFF")
        .unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

/// Runs an import that must succeed, and returns its JSON.
#[track_caller]
fn import(home: &Home, arguments: &[&str]) -> Value {
    let ran = home.cli(&[&["import"], arguments, &["--json"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()
}

/// Runs an import that must fail with one line on stderr, and returns it.
#[track_caller]
fn refused(home: &Home, arguments: &[&str]) -> String {
    let ran = home.cli(&[&["import"], arguments].concat());
    ran.assert_one_line_error();
    assert_eq!(ran.stdout, "", "{ran:?}");
    ran.stderr
}

/// Runs a command that must succeed.
#[track_caller]
fn run(home: &Home, arguments: &[&str]) -> Ran {
    let ran = home.cli(arguments);
    assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    ran
}

/// Waits until a chat with a key gets a status.
#[track_caller]
fn wait_for_chat(proxy: &Proxy, key: &str, status: u16) {
    wait_until(&format!("a chat gets {status}"), PATIENCE, || {
        proxy.chat(key, &ask("gpt-4.1-mini")).status == status
    });
}

/// Returns the sums of a user as `costs --json` has them: input, cached, output, requests, cost.
#[track_caller]
fn sums(home: &Home, username: &str) -> (i64, i64, i64, i64, String) {
    let costs = run(home, &["costs", "--json"]).json();
    let entries = costs["costs"].as_array().unwrap().iter();
    let mut of_user = entries.filter(|entry| entry["username"] == username);
    let entry = of_user.next().unwrap_or_else(|| panic!("{costs}"));
    assert!(of_user.next().is_none(), "{costs}");
    let number = |member: &str| entry[member].as_i64().unwrap();
    (
        number("total_input_tokens"),
        number("total_cached_tokens"),
        number("total_output_tokens"),
        number("total_requests"),
        entry["cost_usd"].as_str().unwrap().to_owned(),
    )
}

/// Returns the values of a user's limits.
fn limits(home: &Home, username: &str) -> Vec<String> {
    let list = run(home, &["limits", username, "--json"]).json();
    let limits = list["limits"].as_array().unwrap().iter();
    let text = |limit: &Value| {
        let (kind, value) = (
            limit["kind"].as_str().unwrap(),
            limit["value"].as_str().unwrap(),
        );
        format!("{kind} {value}")
    };
    limits.map(text).collect()
}

/// Checks that all sums agree with the rows.
#[track_caller]
fn assert_consistent(home: &Home) {
    run(home, &["audit"]);
}

/// Returns the bytes of a file.
fn bytes(home: &Home, name: &str) -> Vec<u8> {
    std::fs::read(home.path(name)).unwrap()
}

//! Users, groups and keys: their life by the command line and by HTTP, their lists, and what a person
//! with a key sees.

mod bulk;
mod life;
mod lists;
mod names;
mod own_usage;
mod races;
mod remote;
mod seed;
mod spelling;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{ASK, Answer, Backend, Home, PATIENCE, Proxy, Ran, Request, chat_completion};

/// The time in which a change must take effect on a running server.
const SOON: Duration = Duration::from_millis(250);

/// How an operator makes a change: both must do the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    CommandLine,
    Http,
}

const WAYS: [Way; 2] = [Way::CommandLine, Way::Http];

impl Way {
    /// Makes a change in one of the two ways and returns its JSON.
    #[track_caller]
    fn change(self, proxy: &Proxy, command: &[&str], path: &str, body: &Value) -> Value {
        match self {
            Self::CommandLine => {
                let ran = proxy.cli(&[command, &["--json"]].concat());
                assert_eq!(ran.code, Some(0), "{command:?}: {ran:?}");
                ran.json()
            }
            Self::Http => {
                let answer = proxy.send(&Request::post(path, body.to_string()));
                assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
                answer.json()
            }
        }
    }
}

/// A proxy whose backend reports 19 + 10 tokens for everything, with the user alice.
fn proxy() -> (Backend, Proxy, String) {
    let backend = Backend::chats(19, 10);
    let (proxy, key) = Home::new(&backend).serve_alice();
    (backend, proxy, key)
}

/// A home for commands that need no backend.
fn home() -> Home {
    Home::with_backend_url("http://127.0.0.1:9")
}

/// Checks that a chat that begins within 250 ms from now gets `status`, and returns its answer.
#[track_caller]
fn assert_soon(proxy: &Proxy, key: &str, status: u16) -> Answer {
    let changed = Instant::now();
    let mut begun = Duration::ZERO;
    loop {
        let answer = proxy.chat(key, ASK);
        if answer.status == status {
            return answer;
        }
        assert!(
            begun < SOON,
            "a chat after {begun:?} gets no {status}: {answer:?}"
        );
        begun = changed.elapsed();
    }
}

/// Waits until a chat gets `status`, and returns its answer.
#[track_caller]
fn wait_for_status(proxy: &Proxy, key: &str, status: u16) -> Answer {
    let start = Instant::now();
    loop {
        let answer = proxy.chat(key, ASK);
        if answer.status == status {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "no {status}: {answer:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns the message of an error, which must have this code.
#[track_caller]
fn message_of(answer: &Answer, code: &str) -> String {
    let error = answer.json()["error"].clone();
    assert_eq!(error["code"], code, "{answer:?}");
    error["message"].as_str().unwrap().to_owned()
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member} is a string: {value}"))
}

/// Runs a command that must succeed.
#[track_caller]
fn run(home: &Home, arguments: &[&str]) -> Ran {
    let ran = home.cli(arguments);
    assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    ran
}

/// Returns the keys of a user as `key list --json` prints them.
#[track_caller]
fn keys_of(home: &Home, name: &str) -> Vec<Value> {
    let listed = run(home, &["key", "list", name, "--json"]).json();
    listed["keys"].as_array().unwrap().clone()
}

/// Returns user and key of each row, oldest first.
fn bookings(home: &Home) -> Vec<(i64, i64)> {
    let database = home.database();
    let mut statement = database
        .prepare("SELECT user_id, key_id FROM usage_logs ORDER BY id")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// Returns the entries of `list_costs` with this name.
#[track_caller]
fn costs_of(proxy: &Proxy, name: &str) -> Vec<Value> {
    let costs = proxy.get_json("/admin/list_costs")["costs"].clone();
    let costs = costs.as_array().unwrap().iter();
    costs
        .filter(|user| user["username"] == name)
        .cloned()
        .collect()
}

//! Limits of users, groups and everybody, as clients and operators meet them.

mod audit;
mod budgets;
mod crowds;
mod edges;
mod endpoints;
pub mod later;
mod loopholes;
mod trial;

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Home, Proxy, wait_until};

/// The time within which a running server follows a change of its database.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(5);

/// Sets limits by a command and waits until the server has them.
pub fn set_limits(proxy: &Proxy, arguments: &[&str]) {
    let before = limits_of_server(proxy);
    let ran = proxy.cli(arguments);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    wait_until("the server has the limits", FOLLOWS_WITHIN, || {
        limits_of_server(proxy) != before
    });
    // The list is read from the database; the ledger's thread follows within 50 ms.
    std::thread::sleep(Duration::from_millis(150));
}

/// Returns the list of limits without figures.
fn limits_of_server(proxy: &Proxy) -> Vec<(Value, Value, Value, Value)> {
    let list = proxy.get_json("/admin/list_limits");
    let limits = list["limits"].as_array().unwrap().iter();
    limits
        .map(|limit| {
            (
                limit["scope"].clone(),
                limit["name"].clone(),
                limit["value"].clone(),
                limit["is_watched"].clone(),
            )
        })
        .collect()
}

/// Serves a user alice with limits, given as flags of `user set`.
pub fn serve_limited(home: Home, flags: &[&str]) -> (Proxy, String) {
    let key = home.user("alice");
    let arguments = [&["user", "set", "alice"][..], flags].concat();
    let ran = home.cli(&arguments);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    (home.serve(), key)
}

/// Returns the limits that apply to a user, as the server knows them.
pub fn limits_of(proxy: &Proxy, user: &str) -> Value {
    proxy.get_json(&format!("/admin/list_limits?username={user}"))
}

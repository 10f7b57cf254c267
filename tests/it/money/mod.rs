//! What requests cost: in rows, reports, the view, and after prices change.

mod booking;
mod lists;
mod migration;
mod price_file;
mod reconcile;
mod repricing;
mod unpriced;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Backend, CHAT, Home, PATIENCE, Proxy, Request, wait_until};

/// A backend that answers each request with what the request has in `answer`, so that a test says in
/// one place what is asked and what is used.
fn echoing() -> Backend {
    Backend::start(|request, wire| {
        let asked = request.json();
        match asked["status"].as_str() {
            Some(status) => wire.answer(
                status,
                &[("Content-Type", "application/json")],
                asked["answer"].to_string(),
            ),
            None => wire.json(&asked["answer"].to_string()),
        }
    })
}

/// A chat of a model that uses so many tokens.
fn chat(model: &str, input: u64, output: u64) -> Value {
    let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
    json!({"model": model, "messages": [], "answer": {"model": model, "choices": [], "usage": usage}})
}

#[track_caller]
fn ask_chat(proxy: &Proxy, key: &str, model: &str, input: u64, output: u64) {
    let request = Request::post(CHAT, chat(model, input, output).to_string()).key(key);
    let answer = proxy.send(&request);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[track_caller]
fn set_price(home: &Home, arguments: &[&str]) {
    let ran = home.cli(&[&["price", "set"], arguments].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// Returns the cost of each row as it was written, and the model whose price it has.
fn costs_of_rows(home: &Home) -> Vec<(Option<i64>, Option<String>)> {
    let database = home.database();
    let mut statement = database
        .prepare(
            "SELECT cost_nano_usd, (SELECT model FROM prices WHERE id = price_id) FROM usage_logs ORDER BY id",
        )
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// Returns the cost of alice by `list_costs`, and her unpriced requests.
#[track_caller]
fn alice(proxy: &Proxy) -> (String, i64) {
    let costs = proxy.get_json("/admin/list_costs?username=alice");
    let alice = &costs["costs"][0];
    (
        alice["cost_usd"].as_str().unwrap().to_owned(),
        alice["unpriced_requests"].as_i64().unwrap(),
    )
}

fn wait_until_summed(home: &Home) {
    wait_until("all rows are summed", PATIENCE, || {
        let database = home.database();
        let left =
            "SELECT coalesce((SELECT max(id) FROM usage_logs), 0) - last_id FROM usage_rollup";
        let left: i64 = database.query_row(left, [], |row| row.get(0)).unwrap();
        left == 0
    });
}

/// Writes nano-dollars as dollars with nine places.
fn dollars(nanos: i64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// Returns all rows of all tables as text, without the counters of a running server.
fn dump(database: &Connection) -> String {
    let mut tables = database
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .unwrap();
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .filter(|name| name != "users_version")
        .collect();
    tables
        .iter()
        .map(|table| dump_of(database, table))
        .collect()
}

fn dump_of(database: &Connection, table: &str) -> String {
    let mut statement = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = statement.column_count();
    let mut lines: Vec<String> = statement
        .query_map([], |row| {
            let values = (0..columns).map(|column| {
                let value: rusqlite::types::Value = row.get(column).unwrap();
                format!("{value:?}")
            });
            Ok(values.collect::<Vec<_>>().join(" "))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    lines.sort();
    format!("{table}\n{}\n", lines.join("\n"))
}

//! Alerts: what is raised, and how it reaches a webhook that is slow, down, wrong or away.

mod events;
mod sending;

use std::sync::Arc;

use serde_json::Value;

use crate::harness::{Backend, Home, Proxy, Seen, on_postgres, wait_until};

const SECRET: &str = "a-secret-of-alerts";
/// The part of a webhook's URL that nobody may see.
const PATH: &str = "/services/T0SECRETPATH?token=SECRETQUERY";

fn webhook_url(webhook: &Backend) -> String {
    format!("{}{PATH}", webhook.url())
}

fn home(backend: &Backend, webhook: &Backend) -> Home {
    Home::new(backend)
        .set("ALERT_WEBHOOK", &webhook_url(webhook))
        .set("ALERT_SECRET", SECRET)
}

/// A webhook that takes everything.
fn taking() -> Backend {
    Backend::start(|_, wire| wire.answer("200 OK", &[], "ok"))
}

/// Raises a test alert by the command and returns its id.
#[track_caller]
fn raise(home: &Home) -> String {
    let ran = home.cli(&["alert", "test", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()["id"].as_str().unwrap().to_owned()
}

/// Returns the ids of the requests, in their order.
fn ids(webhook: &Backend) -> Vec<String> {
    let requests = webhook.requests();
    let ids = requests.iter().map(id_of);
    ids.collect()
}

fn id_of(request: &Arc<Seen>) -> String {
    request
        .header("x-llmproxy-alert-id")
        .unwrap_or_default()
        .to_owned()
}

/// Returns the listed alerts, oldest first.
#[track_caller]
fn listed(home: &Home) -> Vec<Value> {
    let list = home.cli(&["alert", "list", "--json"]).json();
    let mut alerts = list["alerts"].as_array().unwrap().clone();
    alerts.reverse();
    alerts
}

/// Returns the state of each alert at its webhooks, oldest first.
fn states(home: &Home) -> Vec<String> {
    let alerts = listed(home).into_iter();
    let states = alerts.flat_map(|alert| alert["deliveries"].as_array().unwrap().clone());
    states
        .map(|delivery| delivery["state"].as_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn wait_until_all_are_sent(home: &Home, count: usize) {
    wait_until("all alerts are sent", LONG, || {
        states(home) == vec!["sent"; count]
    });
}

/// Deadline where a claim of a killed server has to run out.
const LONG: std::time::Duration = std::time::Duration::from_secs(30);

/// Checks that a log and the database know nothing of the secrets.
#[track_caller]
fn assert_no_secret_in(proxy: &Proxy) {
    let log = proxy.log();
    // On PostgreSQL there is no file to look into.
    let files = ["test.db", "test.db-wal"].map(|name| std::fs::read(proxy.path(name)));
    let database = files.map(Result::unwrap_or_default).concat();
    assert!(on_postgres() || !database.is_empty());
    for secret in ["SECRETPATH", "SECRETQUERY", SECRET] {
        if let Some(line) = log.lines().find(|line| line.contains(secret)) {
            panic!("{secret}: {line:.500}");
        }
        assert_eq!(memchr::memmem::find(&database, secret.as_bytes()), None);
    }
}

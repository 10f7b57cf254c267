//! What raises an alert.

use super::*;
use crate::harness::{ASK, BACKEND_KEY, PATIENCE};

/// Returns the events that a webhook got, in their order.
fn events(webhook: &Backend) -> Vec<String> {
    let requests = webhook.requests();
    let events = requests
        .iter()
        .map(|request| request.json()["event"].clone());
    events
        .map(|event| event.as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_backend_that_refuses_the_key_raises_one_alert() {
    let webhook = taking();
    let backend = Backend::start(|_, wire| {
        let body = format!(r#"{{"error":{{"message":"Incorrect API key: {BACKEND_KEY}"}}}}"#);
        wire.answer(
            "401 Unauthorized",
            &[("Content-Type", "application/json")],
            body,
        );
    });
    let (mut proxy, key) = home(&backend, &webhook).serve_alice();
    for _ in 0..5 {
        assert_eq!(proxy.chat(&key, ASK).status, 502);
    }
    wait_until_all_are_sent(&proxy, 1);
    proxy.restart();
    assert_eq!(proxy.chat(&key, ASK).status, 502);
    let last = raise(&proxy);
    wait_until("the test alert arrives", PATIENCE, || {
        ids(&webhook).contains(&last)
    });
    assert_eq!(events(&webhook), ["backend_refuses_key", "test"]);
    let body = webhook.requests()[0].json();
    assert_eq!(body["status"], 401);
    assert!(!body.to_string().contains(BACKEND_KEY), "{body}");
}

#[test]
fn a_ledger_that_fails_and_recovers_raises_an_alert_each() {
    let (backend, webhook) = (Backend::chats(19, 10), taking());
    let (proxy, key) = home(&backend, &webhook).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    let trigger = "CREATE TRIGGER broken BEFORE INSERT ON usage_logs BEGIN SELECT RAISE(ABORT, 'no room'); END";
    proxy.writable_database().execute_batch(trigger).unwrap();
    assert!(proxy.chat(&key, ASK).status >= 500);
    webhook.wait_for_requests(1);
    assert_eq!(events(&webhook), ["ledger_failing"]);
    let body = webhook.requests()[0].json();
    assert!(
        body["reason"].as_str().unwrap().contains("no room"),
        "{body}"
    );
    proxy
        .writable_database()
        .execute_batch("DROP TRIGGER broken")
        .unwrap();
    webhook.wait_for_requests(2);
    wait_until_all_are_sent(&proxy, 2);
    assert_eq!(events(&webhook), ["ledger_failing", "ledger_recovered"]);
}

#[test]
fn a_database_that_takes_nothing_does_not_keep_its_alert() {
    let (backend, webhook) = (Backend::chats(19, 10), taking());
    let (proxy, key) = home(&backend, &webhook).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    let break_all = "CREATE TRIGGER broken BEFORE INSERT ON usage_logs BEGIN SELECT RAISE(ABORT, 'no room'); END;
        CREATE TRIGGER broken_alerts BEFORE INSERT ON alerts BEGIN SELECT RAISE(ABORT, 'no room'); END;";
    proxy.writable_database().execute_batch(break_all).unwrap();
    assert!(proxy.chat(&key, ASK).status >= 500);
    webhook.wait_for_requests(1);
    assert_eq!(listed(&proxy).len(), 0);
    let mend = "DROP TRIGGER broken; DROP TRIGGER broken_alerts;";
    proxy.writable_database().execute_batch(mend).unwrap();
    webhook.wait_for_requests(2);
    wait_until_all_are_sent(&proxy, 2);
    assert_eq!(
        events(&webhook),
        ["ledger_failing", "ledger_recovered"],
        "once each"
    );
    let listed: Vec<_> = listed(&proxy)
        .into_iter()
        .map(|alert| alert["id"].clone())
        .collect();
    assert_eq!(ids(&webhook), listed, "under the ids that were sent");
}

#[test]
fn a_key_that_expires_soon_raises_one_alert_also_after_a_restart() {
    let (backend, webhook) = (Backend::chats(19, 10), taking());
    let home = home(&backend, &webhook);
    for (name, expires) in [
        ("alice", "30d"),
        ("bob", "30d"),
        ("carol", "30d"),
        ("dave", "3d"),
    ] {
        let ran = home.cli(&["user", "add", name, "--expires", expires]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert_eq!(home.cli(&["user", "forbid", "carol"]).code, Some(0));
    let age = "UPDATE keys SET created_at_ms = created_at_ms - 25 * 86400000, expires_at_ms = expires_at_ms - 25 * 86400000
            WHERE user_id IN (1, 3);
        UPDATE keys SET created_at_ms = created_at_ms - 29.5 * 86400000, expires_at_ms = expires_at_ms - 29.5 * 86400000
            WHERE user_id = 2;";
    let age = age.replace("29.5 * 86400000", "2548800000");
    home.writable_database().execute_batch(&age).unwrap();
    let mut proxy = home.serve();
    // A server that is killed before it notes what it sent sends it again.
    wait_until_all_are_sent(&proxy, 2);
    proxy.restart();
    let last = raise(&proxy);
    wait_until("the test alert arrives", PATIENCE, || {
        ids(&webhook).contains(&last)
    });
    let mut soon: Vec<(String, i64)> = webhook
        .requests()
        .iter()
        .filter(|request| request.json()["event"] == "key_expires")
        .map(|request| {
            let body = request.json();
            let username = body["username"].as_str().unwrap().to_owned();
            (username, body["days"].as_i64().unwrap())
        })
        .collect();
    soon.sort();
    assert_eq!(soon, [("alice".to_owned(), 7), ("bob".to_owned(), 1)]);
    let full = proxy.users()[0]["api_key"].as_str().unwrap().to_owned();
    let sent: String = webhook
        .requests()
        .iter()
        .map(|request| request.text())
        .collect();
    assert!(!sent.contains(&full), "keys are masked: {sent}");
}

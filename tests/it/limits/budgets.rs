//! Budgets: what is used follows from the ledger, and crowds do not overrun them.

use std::thread;

use serde_json::json;

use super::{limits_of, serve_limited, set_limits};
use crate::harness::{
    ASK, Backend, CHAT, Home, PATIENCE, Request, assert_openai_error, chat_completion, wait_until,
};

/// A chat that asks for at most so many output tokens.
fn chat(max_tokens: u64) -> String {
    format!(
        r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"hi"}}],"max_completion_tokens":{max_tokens}}}"#
    )
}

#[test]
fn a_budget_counts_what_was_used_before_it_was_set_and_resets_at_midnight() {
    let backend = Backend::chats(10, 20);
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, &chat(20)).status, 200);
    set_limits(
        &proxy,
        &["user", "set", "alice", "--budget", "100tokens/day"],
    );
    let list = limits_of(&proxy, "alice");
    let budget = &list["limits"][0];
    assert_eq!(budget["used"], 30, "{budget}");
    assert_eq!(budget["left"], 70, "{budget}");
    assert_eq!(proxy.chat(&key, &chat(20)).status, 200);
    let refused = proxy.chat(&key, &chat(60));
    let error = assert_openai_error(&refused, 429);
    assert_eq!(error["type"], "insufficient_quota");
    assert_eq!(error["code"], "insufficient_quota");
    let details = &error["llmproxy"];
    for (member, value) in [
        ("scope", json!("user")),
        ("name", json!("alice")),
        ("kind", json!("budget")),
        ("unit", json!("tokens")),
        ("window", json!("day")),
        ("limit", json!(100)),
        ("used", json!(60)),
        ("reserved", json!(0)),
    ] {
        assert_eq!(details[member], value, "{member} of {error}");
    }
    assert!(
        details["resets_at"]
            .as_str()
            .unwrap()
            .ends_with("T00:00:00Z"),
        "{error}"
    );
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
    // A larger budget resets nothing, and takes effect without a restart.
    set_limits(
        &proxy,
        &["user", "set", "alice", "--budget", "1000tokens/day"],
    );
    assert_eq!(proxy.chat(&key, &chat(60)).status, 200);
    assert_eq!(limits_of(&proxy, "alice")["limits"][0]["used"], 90);
}

#[test]
fn a_crowd_spends_no_more_than_the_budget() {
    let backend = Backend::start(|_, wire| {
        thread::sleep(std::time::Duration::from_millis(30));
        wire.json(&chat_completion(10, 100));
    });
    // A request reserves its 100 tokens and an estimate of its input, which is some 40.
    let (proxy, key) = serve_limited(Home::new(&backend), &["--budget", "1400tokens/day"]);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let clients: Vec<_> = (0..200)
            .map(|_| scope.spawn(|| proxy.chat(&key, &chat(100)).status))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!(
        statuses.iter().all(|status| [200, 429].contains(status)),
        "{statuses:?}"
    );
    let spent: i64 = proxy
        .rows()
        .iter()
        .map(|row| row.tokens()[0] + row.tokens()[1])
        .sum();
    assert!(spent <= 1_400, "{spent} tokens by {served} requests");
    assert!(served >= 9, "{served}");
    wait_until("nothing is reserved", PATIENCE, || {
        let list = limits_of(&proxy, "alice");
        list["in_flight"]["reserved_tokens"] == 0 && list["in_flight"]["requests"] == 0
    });
    let list = limits_of(&proxy, "alice");
    assert_eq!(list["limits"][0]["used"], spent, "{list}");
}

#[test]
fn a_budget_in_dollars_is_right_to_the_nano_dollar() {
    let backend = Backend::chats(1_000, 100);
    // gpt-4o costs 2.50 and 10.00 dollars a million tokens: 0.0035 a request.
    let (proxy, key) = serve_limited(Home::new(&backend), &["--budget", "0.0105usd/month"]);
    let body = |max: u64| chat(max);
    let mut served = 0;
    while proxy.chat(&key, &body(100)).status == 200 {
        served += 1;
        assert!(served < 10);
    }
    assert_eq!(served, 3);
    let list = limits_of(&proxy, "alice");
    assert_eq!(list["limits"][0]["used"], "0.010500000", "{list}");
    let refused = proxy.chat(&key, ASK);
    let error = assert_openai_error(&refused, 429);
    assert_eq!(error["llmproxy"]["limit"], "0.010500000");
}

#[test]
fn a_model_without_a_price_is_refused_under_a_budget_in_dollars() {
    let backend = Backend::chats(1, 1);
    let (proxy, key) = serve_limited(Home::new(&backend), &["--budget", "1usd/month"]);
    let body = r#"{"model":"nobody-knows","messages":[],"max_tokens":1}"#;
    let error = assert_openai_error(&proxy.chat(&key, body), 403);
    assert_eq!(error["code"], "model_not_priced");
    set_limits(&proxy, &["user", "set", "alice", "--unpriced", "allow"]);
    assert_eq!(proxy.chat(&key, body).status, 200);
}

#[test]
fn a_budget_of_a_group_is_shared_and_moves_with_its_users() {
    let backend = Backend::chats(10, 20);
    let home = Home::new(&backend);
    let (alice, bob) = (home.user("alice"), home.user("bob"));
    for arguments in [
        &["group", "add", "course"][..],
        &[
            "group",
            "set",
            "course",
            "--add",
            "alice",
            "--add",
            "bob",
            "--budget",
            "100tokens/total",
        ],
    ] {
        let ran = home.cli(arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    let proxy = home.serve();
    assert_eq!(proxy.chat(&alice, &chat(20)).status, 200);
    assert_eq!(proxy.chat(&bob, &chat(20)).status, 200);
    let refused = proxy.chat(&alice, &chat(20));
    let error = assert_openai_error(&refused, 429);
    assert_eq!(error["llmproxy"]["scope"], "group");
    assert_eq!(error["llmproxy"]["used"], 60);
    assert_eq!(refused.header("retry-after"), None, "a total never resets");
    // It is raised a moment after the row.
    wait_until("the alert is raised", PATIENCE, || {
        proxy.get_json("/admin/list_alerts")["alerts"][0]["event"] == "budget_threshold"
    });
    // What bob used goes with him.
    set_limits(
        &proxy,
        &[
            "user",
            "set",
            "bob",
            "--no-group",
            "--budget",
            "500tokens/day",
        ],
    );
    let answer = proxy.chat(&alice, &chat(20));
    assert_eq!(answer.status, 200, "{} {}", answer.text(), proxy.log());
    let used = &limits_of(&proxy, "alice")["limits"][0]["used"];
    assert_eq!(*used, 60);
}

#[test]
fn rows_of_another_server_on_the_same_file_count_within_a_second() {
    let backend = Backend::chats(10, 20);
    let (proxy, key) = serve_limited(Home::new(&backend), &["--budget", "1000tokens/day"]);
    assert_eq!(proxy.chat(&key, &chat(20)).status, 200);
    proxy

        .writable_database()
        .execute(
            "INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, cached_tokens, \
             reasoning_tokens, status, outcome, usage_source, duration_ms) \
             SELECT started_at_ms, user_id, endpoint, model, 400, 500, 0, 0, 200, 'completed', 'backend', 1 FROM usage_logs",
            [],
        )
        .unwrap();
    wait_until("the other row counts", PATIENCE, || {
        limits_of(&proxy, "alice")["limits"][0]["used"] == 930
    });
    assert_openai_error(&proxy.send(&Request::post(CHAT, chat(60)).key(&key)), 429);
}

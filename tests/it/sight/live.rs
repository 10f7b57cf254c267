//! `GET /admin/live`: who does what now.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

use crate::harness::{
    ASK, ASK_STREAM, Backend, CHAT, DONE, Home, PATIENCE, Proxy, Request, ask, delta, wait_until,
};

/// Returns the entry of a user.
fn user(live: &Value, name: &str) -> Value {
    let users = live["users"].as_array().unwrap();
    let found = users.iter().find(|user| user["name"] == name);
    found.cloned().unwrap_or(Value::Null)
}

#[track_caller]
fn wait_for(proxy: &Proxy, what: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
    let mut live = Value::Null;
    wait_until(what, PATIENCE, || {
        live = proxy.get_json("/admin/live");
        is_so(&live)
    });
    live
}

#[test]
fn requests_are_seen_while_they_wait_and_run() {
    let (backend, turnstile) = Backend::held();
    let (proxy, alice) = Home::new(&backend)
        .set("MAX_CONCURRENT_REQUESTS", "1")
        .serve_alice();
    let run = |arguments: &[&str]| assert_eq!(proxy.cli(arguments).code, Some(0));
    run(&["group", "add", "course"]);
    run(&[
        "user",
        "set",
        "alice",
        "--group",
        "course",
        "--budget",
        "1Mtokens/day",
    ]);
    let bob = proxy.user("bob");
    let mut first = proxy.start(&Request::post(CHAT, ask("gpt-4.1-mini")).key(&alice));
    backend.wait_for_requests(1);
    let mut second = proxy.start(&Request::post(CHAT, ask("gpt-4.1")).key(&bob));
    let live = wait_for(&proxy, "bob waits", |live| live["waiting"] == 1);
    assert_eq!(
        (&live["in_flight"], &live["is_live"]),
        (&json!(2), &json!(true))
    );
    let requests = live["requests"].as_array().unwrap();
    let seen: Vec<_> = requests
        .iter()
        .map(|r| [&r["user"], &r["model"], &r["state"], &r["endpoint"]])
        .collect();
    assert_eq!(
        seen,
        [
            ["alice", "gpt-4.1-mini", "running", CHAT],
            ["bob", "gpt-4.1", "waiting", CHAT]
        ]
    );
    let bob_now = user(&live, "bob");
    assert_eq!(
        (&bob_now["in_flight"], &bob_now["waiting"]),
        (&json!(1), &json!(1))
    );
    turnstile.allow(2);
    assert_eq!(first.answer().status, 200);
    assert_eq!(second.answer().status, 200);
    let live = wait_for(&proxy, "both have ended", |live| {
        live["in_flight"] == 0 && live["tokens_per_minute"] == 20
    });
    assert_eq!(live["requests"], json!([]));
    assert_eq!(live["requests_per_minute"], 2);
    let live = wait_for(&proxy, "today's cost is read again", |live| {
        user(live, "alice")["cost_today"] != "0.000000000"
    });
    let alice = user(&live, "alice");
    assert_eq!(
        (&alice["group"], &alice["forbidden"]),
        (&json!("course"), &json!(false))
    );
    assert_eq!(alice["tokens_per_minute"], 10);
    assert!(alice["time_to_first_byte_ms"].is_u64(), "{alice}");
    let budget = &alice["budget"];
    assert_eq!(
        (
            &budget["window"],
            &budget["unit"],
            &budget["used"],
            &budget["limit"],
            &budget["ratio"]
        ),
        (
            &json!("day"),
            &json!("tokens"),
            &json!(10),
            &json!(1_000_000),
            &json!(0.000_01)
        )
    );
    // The report has the same figures.
    let report = proxy.cli(&["costs", "--today", "--json"]).json();
    let lines = report["costs"].as_array().unwrap();
    for name in ["alice", "bob"] {
        let line = lines.iter().find(|line| line["username"] == name).unwrap();
        assert_eq!(user(&live, name)["cost_today"], line["cost_usd"], "{name}");
    }
    assert_eq!(live["cost_today"], report["total"]["cost_usd"]);
}

#[test]
fn a_stream_tells_how_far_it_is() {
    let ends = Arc::new(AtomicBool::new(false));
    let backend = Backend::start({
        let ends = ends.clone();
        move |_, wire| {
            wire.sse_head();
            while !ends.load(Ordering::SeqCst) {
                wire.chunk(delta("some words of an answer"));
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            wire.chunk(DONE);
            wire.end();
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut connection = proxy.start(&Request::post(CHAT, ASK_STREAM).key(&key));
    let live = wait_for(&proxy, "the stream has some tokens", |live| {
        live["requests"][0]["output_tokens"].as_u64().unwrap_or(0) > 10
    });
    let request = &live["requests"][0];
    assert_eq!(
        (&request["status"], &request["state"]),
        (&json!(200), &json!("running"))
    );
    ends.store(true, Ordering::SeqCst);
    connection.rest();
    wait_for(&proxy, "it has ended", |live| live["in_flight"] == 0);
}

#[test]
fn refusals_and_errors_are_listed_once_with_a_count_and_no_secret() {
    let backend = Backend::start(|_, wire| {
        wire.answer("500 Oops", &[("x-request-id", "req-of-backend")], "{}");
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for _ in 0..3 {
        assert_eq!(proxy.chat("llmp-wrong", ASK).status, 401);
    }
    let failed = proxy.chat(&key, ASK);
    assert_eq!(failed.status, 500);
    assert_eq!(failed.header("x-request-id"), Some("req-of-backend"));
    assert_eq!(proxy.chat(&key, "{").status, 400);
    let bad = Request::get(&format!("/v1/nothing/{key}"));
    assert_eq!(proxy.send(&bad.key(&key)).status, 404);
    let live = proxy.get_json("/admin/live");
    let mut errors = live["errors"].as_array().unwrap().clone();
    // Two of them may have come in one millisecond, to two workers.
    errors.sort_by_key(|error| error["status"].as_u64());
    let seen: Vec<_> = errors
        .iter()
        .map(|e| {
            let count = e["count"].as_u64().unwrap();
            (
                e["status"].as_u64().unwrap(),
                e["user"].as_str(),
                e["code"].as_str().unwrap(),
                count,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (400, Some("alice"), "invalid_request_error", 1),
            (401, None, "invalid_api_key", 3),
            (404, None, "unknown_url", 1),
            (500, Some("alice"), "backend_error", 1),
        ]
    );
    assert_eq!(
        errors[3]["request_id"].as_str(),
        failed.header("x-llmproxy-request-id")
    );
    assert_eq!(user(&live, "alice")["refused_per_minute"], 1);
    let text = live.to_string();
    assert!(
        !text.contains(&key) && !text.contains("llmp-wrong"),
        "{text}"
    );
    let few = proxy.get_json("/admin/live?errors=1&users=0&requests=0");
    assert_eq!(few["errors"].as_array().unwrap().len(), 1);
    assert_eq!(few["users"], json!([]));
    assert_eq!(few["users_total"], 1);
    assert_eq!(proxy.send(&Request::get("/admin/live?sort=x")).status, 400);
    assert_eq!(
        proxy.send(&Request::get("/admin/live?users=-1")).status,
        400
    );
}

#[test]
fn a_forbidden_user_is_shown_as_such_at_once() {
    let backend = Backend::chats(1, 1);
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    assert_eq!(
        user(&proxy.get_json("/admin/live"), "alice")["forbidden"],
        false
    );
    let body = json!({"username": "alice"}).to_string();
    assert_eq!(
        proxy.send(&Request::post("/admin/forbid_key", body)).status,
        200
    );
    assert_eq!(
        user(&proxy.get_json("/admin/live"), "alice")["forbidden"],
        true
    );
}

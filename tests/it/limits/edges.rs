//! Limits in the corners: models, output, rates and their headers, forms, batches, sockets.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{limits_of, serve_limited, set_limits};
use crate::harness::{
    ASK, Backend, CHAT, Home, PATIENCE, Proxy, Request, Turnstile, assert_openai_error,
    chat_completion, wait_until,
};

const MODELS: &str = r#"{"object":"list","data":[{"id":"gpt-4o","object":"model","x":1.50},{"id":"gpt-5","object":"model"},{"id":"o4-mini","object":"model"}]}"#;

fn sent_body(backend: &Backend) -> Value {
    backend.last().json()
}

#[test]
fn the_list_of_models_shows_those_that_are_allowed() {
    let backend = Backend::json(MODELS);
    let flags = ["--models", "gpt-*", "--deny-models", "gpt-5*"];
    let (proxy, key) = serve_limited(Home::new(&backend), &flags);
    let list = proxy.send(&Request::get("/v1/models").key(&key)).json();
    let ids: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| &model["id"])
        .collect();
    assert_eq!(ids, ["gpt-4o"], "{list}");
    for (target, status) in [
        ("/v1/models/gpt-4o", 200),
        ("/v1/models/gpt-5", 404),
        ("/v1/models/o4%2Dmini", 404),
    ] {
        let answer = proxy.send(&Request::get(target).key(&key));
        assert_eq!(answer.status, status, "{target}");
    }
    let bob = proxy.user("bob");
    let answer = proxy.send(&Request::get("/v1/models").key(&bob));
    assert_eq!(
        answer.text(),
        MODELS,
        "a user without limits gets the list byte for byte"
    );
}

#[test]
fn a_limit_of_output_is_named_for_requests_that_name_none() {
    let backend = Backend::chats(1, 1);
    let (proxy, key) = serve_limited(Home::new(&backend), &["--max-output-tokens", "100"]);
    for (body, expected) in [
        (
            r#"{"model":"m","messages":[]}"#,
            r#"{"max_completion_tokens":100,"model":"m","messages":[]}"#,
        ),
        (
            r#"{"model":"m","max_completion_tokens":null}"#,
            r#"{"model":"m","max_completion_tokens":100}"#,
        ),
        (
            r#"{"model":"m","max_tokens":7}"#,
            r#"{"model":"m","max_tokens":7}"#,
        ),
        (
            r#"{"model":"m","Max_Completion_Tokens":null}"#,
            r#"{"model":"m","Max_Completion_Tokens":null,"max_completion_tokens":100}"#,
        ),
    ] {
        assert_eq!(proxy.chat(&key, body).status, 200);
        assert_eq!(backend.last().text(), expected);
    }
    let stream = r#"{"model":"m","stream":true}"#;
    proxy.chat(&key, stream);
    let sent = sent_body(&backend);
    assert_eq!(sent["max_completion_tokens"], 100, "{sent}");
    assert_eq!(sent["stream_options"]["include_usage"], true, "{sent}");
    for (path, member) in [
        ("/v1/completions", "max_tokens"),
        ("/v1/responses", "max_output_tokens"),
        ("/v1/messages", "max_tokens"),
    ] {
        proxy.send(&Request::post(path, r#"{"model":"m"}"#).key(&key));
        assert_eq!(sent_body(&backend)[member], 100, "{path}");
    }
    for value in ["101", "1e9", r#""101""#, "-1", "[1]", "100.5"] {
        let body = format!(r#"{{"model":"m","max_tokens":{value}}}"#);
        let error = assert_openai_error(&proxy.chat(&key, &body), 400);
        assert_eq!(error["param"], "max_tokens", "{value}: {error}");
        assert_eq!(error["llmproxy"]["limit"], 100);
    }
}

#[test]
fn users_with_rates_have_headers_of_their_own_and_others_the_backend_s() {
    let backend = Backend::start(|_, wire| {
        wire.answer(
            "200 OK",
            &[
                ("x-ratelimit-limit-requests", "9999"),
                ("x-ratelimit-remaining-tokens", "77"),
            ],
            chat_completion(10, 20),
        );
    });
    let flags = ["--requests-per-minute", "2", "--tokens-per-minute", "6000"];
    let (proxy, key) = serve_limited(Home::new(&backend), &flags);
    let body = r#"{"model":"gpt-4o","messages":[],"max_tokens":20}"#;
    let answer = proxy.chat(&key, body);
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("1"));
    assert_eq!(
        answer.header("x-upstream-ratelimit-limit-requests"),
        Some("9999")
    );
    assert_eq!(
        answer.header("x-upstream-ratelimit-remaining-tokens"),
        Some("77")
    );
    assert_eq!(answer.header("x-ratelimit-limit-tokens"), Some("6000"));
    let reset = answer.header("x-ratelimit-reset-requests").unwrap();
    assert!(reset.ends_with('s'), "{reset}");
    assert_eq!(proxy.chat(&key, body).status, 200);
    let refused = proxy.chat(&key, body);
    let error = assert_openai_error(&refused, 429);
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("requests"), &json!("rate_limit_exceeded"))
    );
    let wait_ms: u64 = refused.header("retry-after-ms").unwrap().parse().unwrap();
    assert!((1..=30_000).contains(&wait_ms), "{wait_ms}");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
    let bob = proxy.user("bob");
    let answer = proxy.chat(&bob, body);
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("9999"));
    assert_eq!(answer.header("x-upstream-ratelimit-limit-requests"), None);
}

#[test]
fn a_request_larger_than_the_bucket_is_not_tried_again_and_a_failed_one_gives_back() {
    let backend = Backend::start(|seen, wire| {
        if seen.text().contains("fail") {
            wire.answer("500 Internal Server Error", &[], "{}");
        } else {
            wire.json(&chat_completion(10, 20));
        }
    });
    let flags = ["--tokens-per-minute", "1000", "--requests-per-minute", "3"];
    let (proxy, key) = serve_limited(Home::new(&backend), &flags);
    let refused = proxy.chat(
        &key,
        r#"{"model":"gpt-4o","messages":[],"max_tokens":2000}"#,
    );
    let error = assert_openai_error(&refused, 429);
    assert_eq!(error["type"], "tokens");
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    for _ in 0..5 {
        let failed = proxy.chat(&key, r#"{"model":"fail","messages":[],"max_tokens":900}"#);
        assert_eq!(failed.status, 500, "{}", failed.text());
    }
    let answer = proxy.chat(&key, r#"{"model":"gpt-4o","messages":[],"max_tokens":900}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let left = proxy.chat(&key, r#"{"model":"gpt-4o","messages":[],"max_tokens":900}"#);
    assert_eq!(
        left.status,
        200,
        "what was not used was given back: {}",
        left.text()
    );
}

#[test]
fn hidden_limits_leave_their_figures_out() {
    let backend = Backend::chats(10, 20);
    let home = Home::new(&backend).set("HIDE_LIMITS", "true");
    let flags = ["--budget", "1234tokens/day", "--requests-per-minute", "60"];
    let (proxy, key) = serve_limited(home, &flags);
    let answer = proxy.chat(&key, r#"{"model":"gpt-4o","messages":[],"max_tokens":20}"#);
    assert_eq!(
        (answer.status, answer.header("x-ratelimit-limit-requests")),
        (200, None)
    );
    let refused = proxy.chat(
        &key,
        r#"{"model":"gpt-4o","messages":[],"max_tokens":2000}"#,
    );
    let error = assert_openai_error(&refused, 429);
    assert!(
        !error.to_string().contains("1234") && !error.to_string().contains("2000"),
        "{error}"
    );
    assert_eq!(error["llmproxy"]["kind"], "budget");
    let usage = proxy.send(&Request::get("/v1/usage").key(&key)).json();
    assert_eq!(usage["limits"][0]["kind"], "budget", "{usage}");
    assert!(!usage.to_string().contains("1234"), "{usage}");
}

#[test]
fn own_concurrency_is_refused_and_freed_at_the_end() {
    let turnstile = std::sync::Arc::new(Turnstile::default());
    let backend = Backend::start({
        let turnstile = turnstile.clone();
        move |_, wire| {
            if turnstile.pass() {
                wire.json(&chat_completion(1, 1));
            }
        }
    });
    let (proxy, key) = serve_limited(Home::new(&backend), &["--concurrent", "1"]);
    let mut first = proxy.start(&Request::post(CHAT, ASK).key(&key));
    backend.wait_for_requests(1);
    let refused = proxy.chat(&key, ASK);
    let error = assert_openai_error(&refused, 429);
    assert_eq!(error["llmproxy"]["kind"], "concurrent");
    assert_eq!(refused.header("retry-after"), Some("1"));
    turnstile.allow(2);
    assert_eq!(first.answer().status, 200);
    wait_until("the first has ended", PATIENCE, || {
        proxy.chat(&key, ASK).status == 200
    });
}

#[test]
fn a_watched_limit_refuses_nothing_and_counts() {
    let backend = Backend::chats(10, 20);
    let flags = [
        "--budget",
        "1tokens/day",
        "--requests-per-minute",
        "1",
        "--models",
        "o3",
        "--watch",
    ];
    let (proxy, key) = serve_limited(Home::new(&backend), &flags);
    for _ in 0..3 {
        assert_eq!(proxy.chat(&key, ASK).status, 200);
    }
    let list = limits_of(&proxy, "alice");
    let refused = |kind: &str| {
        let limits = list["limits"].as_array().unwrap().iter();
        let mut of_kind = limits.filter(|limit| limit["kind"] == kind);
        of_kind.next().unwrap()["refused"].clone()
    };
    assert_eq!(
        (
            refused("budget"),
            refused("requests_per_minute"),
            refused("models")
        ),
        (json!(3), json!(2), json!(3))
    );
}

fn form(model: &str, file: &str) -> Request {
    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n{file}\r\n{}--b--\r\n",
        part("model", model)
    );
    Request::post("/v1/audio/transcriptions", body)
        .without("content-type")
        .header("content-type", "multipart/form-data; boundary=b")
}

#[test]
fn a_form_is_held_to_models_and_budgets_though_its_model_comes_last() {
    let backend = Backend::start(|seen, wire| {
        let _ = seen;
        wire.json(r#"{"text":"hi","usage":{"type":"duration","seconds":60}}"#);
    });
    // whisper-1 costs 0.0001 dollars a second.
    let flags = ["--models", "whisper-1,nobody*", "--budget", "0.007usd/day"];
    let (proxy, key) = serve_limited(Home::new(&backend), &flags);
    let sound = "x".repeat(20_000);
    let error = assert_openai_error(
        &proxy.send(&form("gpt-4o-transcribe", &sound).key(&key)),
        404,
    );
    assert_eq!(error["code"], "model_not_found");
    let error = assert_openai_error(&proxy.send(&form("nobody-knows", &sound).key(&key)), 403);
    assert_eq!(error["code"], "model_not_priced");
    let answer = proxy.send(&form("whisper-1", &sound).key(&key));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let long = "x".repeat(60_000);
    let error = assert_openai_error(&proxy.send(&form("whisper-1", &long).key(&key)), 429);
    assert_eq!(error["code"], "insufficient_quota", "{error}");
    assert_eq!(proxy.rows().len(), 1);
    wait_until("nothing is reserved", PATIENCE, || nothing_is_held(&proxy));
}

/// Returns whether no request of a user with limits is in flight or has anything reserved.
fn nothing_is_held(proxy: &Proxy) -> bool {
    let held = &limits_of(proxy, "alice")["in_flight"];
    held["requests"] == 0 && held["reserved_tokens"] == 0 && held["reserved_usd"] == "0.000000000"
}

#[test]
fn extras_raise_a_budget_until_they_end() {
    let backend = Backend::chats(10, 20);
    let (proxy, key) = serve_limited(Home::new(&backend), &["--budget", "50tokens/day"]);
    let body = r#"{"model":"gpt-4o","messages":[],"max_tokens":50}"#;
    assert_openai_error(&proxy.chat(&key, body), 429);
    let ran = proxy.cli(&[
        "user",
        "set",
        "alice",
        "--extra",
        "200tokens",
        "--until",
        "7d",
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    wait_until("the budget is raised", PATIENCE, || {
        proxy.chat(&key, body).status == 200
    });
    let budget = limits_of(&proxy, "alice")["limits"][0].clone();
    assert_eq!(
        (&budget["value"], &budget["limit"]),
        (&json!("50tokens/day"), &json!(250))
    );
    set_limits(&proxy, &["user", "set", "alice", "--budget", "none"]);
    assert_eq!(proxy.chat(&key, body).status, 200);
    thread::sleep(Duration::from_millis(1));
}

#[test]
fn messages_of_refusals_are_sentences() {
    let backend = Backend::chats(1, 1);
    let flags = ["--budget", "1usd/month", "--max-output-tokens", "100"];
    let (proxy, key) = serve_limited(Home::new(&backend), &flags);
    for (body, status, message) in [
        (
            r#"{"model":"nobody-knows","messages":[]}"#,
            403,
            "There is no price for the model `nobody-knows`, and the user alice has a budget in dollars. The operator of this proxy can set a price, or allow models without one.",
        ),
        (
            r#"{"messages":[]}"#,
            403,
            "There is no price for the model, which the request does not name, and the user alice has a budget in dollars. The operator of this proxy can set a price, or allow models without one.",
        ),
        (
            r#"{"model":"gpt-4o","messages":[],"max_tokens":101}"#,
            400,
            "`max_tokens` must be at most 100, which is the limit of the user alice.",
        ),
    ] {
        let error = assert_openai_error(&proxy.chat(&key, body), status);
        assert_eq!(error["message"], message);
    }
    set_limits(&proxy, &["user", "set", "alice", "--models", "o3"]);
    let body = r#"{"model":"gpt-4o","messages":[]}"#;
    let error = assert_openai_error(&proxy.chat(&key, body), 404);
    assert_eq!(
        error["message"],
        "The model `gpt-4o` does not exist or is not allowed for the user alice. GET /v1/models lists the models that are."
    );
}

/// A request that comes after the answer is held to the new limit, not to the one before.
#[test]
fn a_limit_that_is_set_over_http_holds_when_the_answer_is_there() {
    let backend = Backend::chats(10, 20);
    let (proxy, key) = Home::new(&backend).serve_alice();
    for round in 0..10 {
        for (limit, status) in [("0", 429), ("none", 200)] {
            let set = json!({"username": "alice", "requests_per_minute": limit}).to_string();
            let answer = proxy.send(&Request::post("/admin/set_limits", set));
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(
                proxy.chat(&key, ASK).status,
                status,
                "{limit} in round {round}"
            );
        }
    }
}

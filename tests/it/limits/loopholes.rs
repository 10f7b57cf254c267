//! Requests that are written so that they pass limits by.

use serde_json::{Value, json};

use super::{limits_of, serve_limited};
use crate::harness::{Backend, Home, PATIENCE, Request, assert_openai_error, wait_until};

/// Returns how much a refused chat would have reserved.
fn requested(proxy: &crate::harness::Proxy, key: &str, body: &str) -> i64 {
    let error = assert_openai_error(&proxy.chat(key, body), 429);
    error["llmproxy"]["requested"].as_i64().unwrap()
}

#[test]
fn only_the_exact_name_of_a_limit_of_output_lowers_what_is_reserved() {
    let backend = Backend::chats(1, 1);
    let (proxy, key) = serve_limited(Home::new(&backend), &["--budget", "3000tokens/day"]);
    for odd in [
        r#"{"model":"none","messages":[],"Max_Tokens":5}"#,
        r#"{"model":"none","messages":[],"max_tokens":0}"#,
        r#"{"model":"none","messages":[],"MAX_COMPLETION_TOKENS":5}"#,
    ] {
        assert!(requested(&proxy, &key, odd) >= 4_096, "{odd}");
    }
    let large = r#"{"model":"none","messages":[],"max_tokens":5,"Max_Tokens":9000}"#;
    assert!(requested(&proxy, &key, large) >= 9_000);
    let large = r#"{"model":"none","messages":[],"Max_Tokens":9000}"#;
    assert!(requested(&proxy, &key, large) >= 9_000);
    let body = r#"{"model":"none","messages":[],"max_tokens":5}"#;
    assert_eq!(proxy.chat(&key, body).status, 200);
}

#[test]
fn a_limit_of_output_is_named_though_a_name_in_another_case_is_there() {
    let backend = Backend::chats(1, 1);
    let (proxy, key) = serve_limited(Home::new(&backend), &["--max-output-tokens", "100"]);
    let body = r#"{"model":"m","Max_Completion_Tokens":5}"#;
    assert_eq!(proxy.chat(&key, body).status, 200);
    assert_eq!(
        backend.last().text(),
        r#"{"model":"m","Max_Completion_Tokens":5,"max_completion_tokens":100}"#
    );
    let ran = proxy.cli(&["user", "set", "alice", "--max-output-tokens", "0"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("from 1 to"), "{}", ran.stderr);
}

#[test]
fn endpoints_of_the_operator_are_held_to_limits_too() {
    let backend = Backend::chats(1, 1);
    let home = Home::new(&backend).set("EXTRA_ENDPOINTS", "/v1/generate");
    let flags = [
        "--budget",
        "5000tokens/day",
        "--max-output-tokens",
        "4500",
        "--deny-models",
        "gpt-5*",
    ];
    let (proxy, key) = serve_limited(home, &flags);
    let send = |target: &str, body: &str| proxy.send(&Request::post(target, body).key(&key));
    for (target, body, status) in [
        ("/v1/generate", r#"{"model":"m","max_tokens":4501}"#, 400),
        (
            "/v1/generate",
            r#"{"model":"m","max_output_tokens":4501}"#,
            400,
        ),
        ("/v1/generate", r#"{"model":"gpt-5-pro"}"#, 404),
        ("/v1/generate?model=gpt-5-pro", r#"{"model":"m"}"#, 404),
        ("/v1/generate", "no json", 404),
        (
            "/v1/generate",
            r#"{"model":"m","max_tokens":4000,"n":2}"#,
            429,
        ),
        ("/v1/generate", r#"{"model":"m","n":2}"#, 429),
        ("/v1/generate", r#"{"model":"m"}"#, 200),
    ] {
        let answer = send(target, body);
        assert_eq!(answer.status, status, "{target} {body}: {}", answer.text());
    }
}

#[test]
fn models_are_compared_without_blanks_and_with_all_that_may_answer_instead() {
    let backend = Backend::chats(1, 1);
    let (proxy, key) = serve_limited(Home::new(&backend), &["--deny-models", "gpt-5*"]);
    for body in [
        r#"{"model":" gpt-5-pro"}"#,
        r#"{"model":"gpt-4o","models":["gpt-4o","gpt-5-pro"]}"#,
        r#"{"model":"gpt-4o","fallbacks":["GPT-5"]}"#,
        r#"{"model":"gpt-4o","fallbacks":[{"model":"x"}]}"#,
        r#"{"messages":[]}"#,
    ] {
        let error = assert_openai_error(&proxy.chat(&key, body), 404);
        assert_eq!(error["code"], "model_not_found", "{body}");
    }
    for body in [
        r#"{"model":"gpt-4o","models":["gpt-4o","o3"]}"#,
        r#"{"model":"gpt-4o","models":null}"#,
    ] {
        assert_eq!(proxy.chat(&key, body).status, 200, "{body}");
    }
}

#[test]
fn a_form_that_names_two_models_is_refused_to_users_with_limits() {
    let backend = Backend::json(r#"{"text":"hi","usage":{"type":"duration","seconds":1}}"#);
    let (proxy, key) = serve_limited(Home::new(&backend), &["--models", "whisper-1,tiny"]);
    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let form = |models: &[&str]| {
        let fields: String = models.iter().map(|model| part("model", model)).collect();
        Request::post("/v1/audio/transcriptions", format!("{fields}--b--\r\n"))
            .without("content-type")
            .header("content-type", "multipart/form-data; boundary=b")
            .key(&key)
    };
    let error = assert_openai_error(&proxy.send(&form(&["whisper-1", "tiny"])), 400);
    assert_eq!(error["param"], "model", "{error}");
    assert_eq!(proxy.send(&form(&["whisper-1", "whisper-1"])).status, 200);
}

#[test]
fn limits_of_nothing_say_so() {
    let backend = Backend::chats(1, 1);
    let body = r#"{"model":"m","messages":[],"max_tokens":1}"#;
    for (flags, message) in [
        (
            ["--concurrent", "0"],
            "The limit of requests at the same time of the user alice is 0, which lets no request pass.",
        ),
        (
            ["--requests-per-minute", "0"],
            "The limit of requests a minute of the user alice is 0, which lets no request pass.",
        ),
        (
            ["--budget", "0tokens/day"],
            "The limit of tokens a day of the user alice is 0, which lets no request pass.",
        ),
    ] {
        let (proxy, key) = serve_limited(Home::new(&backend), &flags);
        let answer = proxy.chat(&key, body);
        assert_eq!(answer.header("x-should-retry"), Some("false"), "{flags:?}");
        let error = assert_openai_error(&answer, 429);
        assert_eq!(error["message"], message, "{flags:?}");
    }
}

#[test]
fn an_extra_that_raises_nothing_is_refused() {
    let backend = Backend::chats(1, 1);
    let home = Home::new(&backend);
    home.user("alice");
    let extra = ["user", "set", "alice", "--extra", "5usd", "--until", "7d"];
    let ran = home.cli(&extra);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("raises nothing"), "{}", ran.stderr);
    let ran = home.cli(&["limits", "set", "--everybody", "--budget", "1usd/day"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(home.cli(&extra).code, Some(0));
}

#[test]
fn the_limits_of_a_user_show_weight_and_models_without_a_price() {
    let backend = Backend::chats(1, 1);
    let flags = [
        "--weight",
        "3",
        "--unpriced",
        "allow",
        "--budget",
        "1usd/day",
    ];
    let (proxy, _) = serve_limited(Home::new(&backend), &flags);
    let limits = limits_of(&proxy, "alice");
    let shown = |kind: &str| -> Value {
        let limits = limits["limits"].as_array().unwrap();
        let found = limits.iter().find(|limit| limit["kind"] == kind);
        found.map_or(Value::Null, |limit| json!([limit["scope"], limit["value"]]))
    };
    assert_eq!(shown("weight"), json!(["user", "3"]));
    assert_eq!(shown("unpriced"), json!(["user", "allow"]));
    wait_until("nothing is held", PATIENCE, || {
        limits_of(&proxy, "alice")["in_flight"]["requests"] == 0
    });
}

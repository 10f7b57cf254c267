//! `GET /v1/usage` and `llmproxy usage`: what a person has used who has only a key.

use serde_json::json;

use super::*;
use crate::harness::{ask, assert_openai_error};

fn usage(proxy: &Proxy, key: &str, query: &str) -> Answer {
    proxy.send(&Request::get(&format!("/v1/usage{query}")).key(key))
}

/// A proxy with usage of alice (two keys, two models) and of bob.
fn used() -> (Backend, Proxy, [String; 3]) {
    let (backend, proxy, alice) = proxy();
    let second = run(&proxy, &["key", "add", "alice", "--label", "laptop"]).stdout;
    let second = second.trim().to_owned();
    let bob = proxy.user("bob");
    wait_for_status(&proxy, &bob, 200);
    proxy.chat(&alice, &ask("gpt-5"));
    proxy.chat(&second, &ask("gpt-5"));
    proxy.chat(&second, ASK);
    (backend, proxy, [alice, second, bob])
}

#[test]
fn own_usage_is_told_by_day_model_and_key() {
    let (_backend, proxy, [alice, second, bob]) = used();
    let answer = usage(&proxy, &alice, "");
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    assert_eq!(told["username"], "alice");
    assert_eq!(told["key_id"], 1);
    assert_eq!(told["total"]["total_requests"], 3);
    assert_eq!(told["total"]["total_input_tokens"], 57);
    let today = jiff::Timestamp::now().to_string()[..10].to_owned();
    let lines = told["usage"].as_array().unwrap();
    assert_eq!(lines.len(), 2, "{told}");
    for line in lines {
        assert_eq!(line["day"], today.as_str());
        let requests = if line["model"] == "gpt-5" { 2 } else { 1 };
        assert_eq!(line["total_requests"], requests, "{line}");
    }
    let by_key = usage(&proxy, &second, "?by=key").json();
    let keys: Vec<_> = by_key["usage"].as_array().unwrap().iter().collect();
    assert_eq!(keys.len(), 2, "{by_key}");
    let laptop = keys.iter().find(|line| line["key"] == "2:laptop").unwrap();
    assert_eq!(laptop["total_requests"], 2);
    assert_eq!(usage(&proxy, &bob, "").json()["total"]["total_requests"], 1);
    for by in [
        "endpoint",
        "hour",
        "week",
        "month",
        "day,model,key",
        "model",
    ] {
        let answer = usage(&proxy, &alice, &format!("?by={by}"));
        assert_eq!(answer.status, 200, "{by}: {answer:?}");
        assert!(!answer.text().contains("bob"), "{answer:?}");
    }
}

#[test]
fn nobody_else_s_usage_can_be_asked_for() {
    let (_backend, proxy, [alice, ..]) = used();
    run(&proxy, &["group", "add", "team"]);
    for query in [
        "?username=bob",
        "?group=team",
        "?by=user",
        "?by=group",
        "?by=day,user",
        "?user_id=2",
        "?by=",
        "?by_model=true",
        "?sort=cost",
        "?username=alice",
    ] {
        let answer = usage(&proxy, &alice, query);
        assert_openai_error(&answer, 400);
        assert!(!answer.text().contains("bob\""), "{query}: {answer:?}");
    }
}

#[test]
fn own_usage_needs_a_key_that_works() {
    let (_backend, proxy, [alice, second, bob]) = used();
    let none = proxy.send(&Request::get("/v1/usage"));
    assert_eq!(assert_openai_error(&none, 401)["code"], "invalid_api_key");
    let unknown = usage(&proxy, "llmp-unknown", "");
    assert_eq!(
        assert_openai_error(&unknown, 401)["code"],
        "invalid_api_key"
    );
    run(&proxy, &["user", "forbid", "bob"]);
    wait_for_status(&proxy, &bob, 403);
    let forbidden = usage(&proxy, &bob, "");
    let error = assert_openai_error(&forbidden, 403);
    assert_eq!(error["code"], "api_key_disabled");
    run(&proxy, &["key", "set", "2", "--expires", "1s"]);
    wait_for_status(&proxy, &second, 401);
    let expired = assert_openai_error(&usage(&proxy, &second, ""), 401);
    assert!(text(&expired, "message").contains("expired at"));
    let told = usage(&proxy, &alice, "?by=key").json();
    assert_eq!(
        told["usage"].as_array().unwrap().len(),
        2,
        "her other key's too"
    );
    let posted = proxy.send(&Request::post("/v1/usage", "{}").key(&alice));
    assert_openai_error(&posted, 405);
}

#[test]
fn a_new_key_is_answered_at_once_and_a_user_without_usage_has_none() {
    let (_backend, proxy, _) = proxy();
    let carol = proxy.user("carol");
    let answer = usage(&proxy, &carol, "");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["usage"], json!([]));
    assert_eq!(answer.json()["total"]["total_requests"], 0);
}

#[test]
fn own_usage_has_the_windows_of_reports() {
    let (_backend, proxy, [alice, ..]) = used();
    let requests = |query: &str| {
        let answer = usage(&proxy, &alice, query);
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        answer.json()["total"]["total_requests"].as_i64().unwrap()
    };
    for (query, count) in [
        ("?last_hours=1", 3),
        ("?start_time=2020-01-01&end_time=2020-01-02", 0),
        ("?start_time=2020-01-01", 3),
        ("?period=today", 3),
        ("?period=month", 3),
        ("?period=2020-01", 0),
        ("?since=7d", 3),
    ] {
        assert_eq!(requests(query), count, "{query}");
    }
    for query in [
        "?last_hours=x",
        "?last_hours=1&start_time=2020-01-01",
        "?period=never",
    ] {
        assert_openai_error(&usage(&proxy, &alice, query), 400);
    }
}

/// Runs `llmproxy usage` as a person who has nothing but an address and a key.
fn run_usage(proxy: &Proxy, base_url: &str, key: &str, flags: &[&str]) -> Ran {
    let mut command = proxy.command(&[&["usage"], flags].concat());
    for name in ["DATABASE_URL", "OPENAI_BACKEND_URL", "ADMIN_TOKEN"] {
        command.env_remove(name);
    }
    command.env("OPENAI_BASE_URL", base_url);
    Ran::of(command.env("OPENAI_API_KEY", key))
}

#[test]
fn a_person_with_a_key_and_an_address_sees_the_own_usage() {
    let (_backend, proxy, [alice, ..]) = used();
    let base_url = format!("http://{}/v1", proxy.address());
    let ran = run_usage(&proxy, &base_url, &alice, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("gpt-4.1-mini") && ran.stdout.contains("gpt-5"),
        "{ran:?}"
    );
    assert!(!ran.stdout.contains("bob"), "{ran:?}");
    let json = run_usage(&proxy, &base_url, &alice, &["--json", "--by", "key"]).json();
    assert_eq!(json["username"], "alice");
    let csv = run_usage(
        &proxy,
        &base_url,
        &alice,
        &["--csv", "--by", "model", "--today"],
    );
    assert!(csv.stdout.starts_with("model,"), "{csv:?}");
    assert_eq!(csv.stdout.lines().count(), 3);
    // As an argument, and from a file of settings.
    let ran = run_usage(&proxy, "", &alice, &["--base-url", &base_url]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let env = format!("OPENAI_BASE_URL={base_url}\nOPENAI_API_KEY={alice}\n");
    std::fs::write(proxy.path("person.env"), env).unwrap();
    let mut command = proxy.command(&["--env-file", "person.env", "usage"]);
    let ran = Ran::of(command.env_remove("OPENAI_API_KEY"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn an_address_without_v1_is_completed() {
    let (_backend, proxy, [alice, ..]) = used();
    for end in ["", "/", "/v1", "/v1/"] {
        let base_url = format!("http://{}{end}", proxy.address());
        let ran = run_usage(&proxy, &base_url, &alice, &["--json"]);
        assert_eq!(ran.code, Some(0), "{base_url}: {ran:?}");
        assert_eq!(ran.json()["total"]["total_requests"], 3);
    }
}

#[test]
fn usage_says_what_is_missing_or_wrong() {
    let (backend, proxy, [alice, ..]) = used();
    let base_url = format!("http://{}/v1", proxy.address());
    let other = format!("{}/v1", backend.url());
    let wrong = "llmp-0123456789abcdef0123456789abcdef0123456789abcdef";
    for (base_url, key, says) in [
        ("", alice.as_str(), "OPENAI_BASE_URL"),
        (&base_url, "", "OPENAI_API_KEY"),
        (&base_url, wrong, "Incorrect API key"),
        ("http://127.0.0.1:9/v1", &alice, "cannot reach"),
        (&other, &alice, "something else than llmproxy"),
    ] {
        let ran = run_usage(&proxy, base_url, key, &[]);
        ran.assert_one_line_error();
        assert!(ran.stderr.contains(says), "{base_url}: {ran:?}");
        assert!(
            !ran.stderr.contains(wrong) && !ran.stderr.contains(&alice),
            "{ran:?}"
        );
    }
    for flags in [
        &["--by", "user"][..],
        &["--by", "colour"],
        &["--last-hours", "x"],
    ] {
        let ran = run_usage(&proxy, &base_url, &alice, flags);
        assert_eq!(ran.code, Some(2), "{flags:?}: {ran:?}");
    }
}

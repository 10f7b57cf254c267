//! Keys are random, and a running server notices changes of keys within 250 ms.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{ASK, Backend, Home, Proxy, Request, alone, chat_completion};

const SOON: Duration = Duration::from_millis(250);

fn proxy() -> (Backend, Proxy, String) {
    let backend = Backend::json(chat_completion(1, 1));
    let (proxy, key) = Home::new(&backend).serve_alice();
    (backend, proxy, key)
}

/// Checks that a chat that begins within 250 ms from now is answered by `status`. How long its answer takes does not count.
#[track_caller]
fn assert_soon(proxy: &Proxy, key: &str, status: u16) {
    let changed = Instant::now();
    let mut begun = Duration::ZERO;
    while proxy.chat(key, ASK).status != status {
        assert!(
            begun < SOON,
            "a chat after {begun:?} is not answered by {status}"
        );
        begun = changed.elapsed();
    }
}

#[track_caller]
fn run(proxy: &Proxy, arguments: &[&str]) {
    let ran = proxy.cli(arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_key_has_at_least_160_random_bits_in_a_url_safe_alphabet() {
    let (_backend, proxy, alice) = proxy();
    let mut keys = HashSet::from([alice]);
    for n in 0..50 {
        let body = json!({"username": format!("user {n}")}).to_string();
        let answer = proxy.send(&Request::post("/admin/gen_key", body));
        keys.insert(answer.json()["api_key"].as_str().unwrap().to_owned());
    }
    assert_eq!(keys.len(), 51, "no key is given twice");
    for key in &keys {
        let random = key.strip_prefix("llmp-").expect("a key starts with llmp-");
        assert!(
            random
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'),
            "{key}"
        );
        // 27 characters of 6 bits, or 40 of 4.
        let hexadecimal = keys
            .iter()
            .all(|key| key[5..].bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(random.len() >= if hexadecimal { 40 } else { 27 }, "{key}");
    }
}

#[test]
fn a_key_added_on_the_command_line_is_served_within_250_ms() {
    let _alone = alone();
    let (_backend, proxy, _) = proxy();
    for name in ["bob", "carol", "dave"] {
        let key = proxy.user(name);
        assert_soon(&proxy, &key, 200);
    }
}

#[test]
fn a_forbidden_or_allowed_key_changes_within_250_ms() {
    let _alone = alone();
    let (_backend, proxy, key) = proxy();
    for by in ["alice", &key, "alice"] {
        run(&proxy, &["user", "forbid", by]);
        assert_soon(&proxy, &key, 403);
        run(&proxy, &["user", "allow", by]);
        assert_soon(&proxy, &key, 200);
    }
}

#[test]
fn a_change_over_http_applies_to_the_very_next_request() {
    let (_backend, proxy, _) = proxy();
    for n in 0..20 {
        let name = json!({"username": format!("user {n}")}).to_string();
        let key = proxy
            .send(&Request::post("/admin/gen_key", name.as_str()))
            .json()["api_key"]
            .as_str()
            .unwrap()
            .to_owned();
        let all_answer = |status: u16| {
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| assert_eq!(proxy.chat(&key, ASK).status, status));
                }
            });
        };
        all_answer(200);
        assert_eq!(
            proxy
                .send(&Request::post("/admin/forbid_key", name.as_str()))
                .status,
            200
        );
        all_answer(403);
    }
}

#[test]
fn key_changes_under_load_apply_within_250_ms() {
    let _alone = alone();
    let (_backend, proxy, alice) = proxy();
    let bob = proxy.user("bob");
    assert_soon(&proxy, &bob, 200);
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        // Every one of alice's rows is a commit; none of them may hide bob's.
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                proxy.chat(&alice, ASK);
            }
        });
        let changed = Instant::now();
        for (command, status) in [("forbid", 403), ("allow", 200), ("forbid", 403)] {
            run(&proxy, &["user", command, "bob"]);
            assert_soon(&proxy, &bob, status);
        }
        assert!(changed.elapsed() < Duration::from_secs(5));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(proxy.chat(&alice, ASK).status, 200);
}

#[test]
fn a_forbidden_key_stays_forbidden_over_a_restart() {
    let (_backend, mut proxy, key) = proxy();
    run(&proxy, &["user", "forbid", "alice"]);
    proxy.restart();
    assert_eq!(proxy.chat(&key, ASK).status, 403);
    run(&proxy, &["user", "allow", "alice"]);
    proxy.restart();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
}

#[test]
fn one_key_in_two_headers_is_accepted_and_two_keys_are_not() {
    let (backend, proxy, alice) = proxy();
    let bob = proxy.user("bob");
    let get = || Request::get("/v1/models");
    let bearer = format!("Bearer {alice}");
    for same in [
        &[("api-key", &alice), ("x-api-key", &alice)][..],
        &[("x-api-key", &alice), ("api-key", &alice)],
        &[("Authorization", &bearer), ("x-api-key", &alice)],
        &[("Authorization", &bearer), ("api-key", &alice)],
        &[
            ("api-key", &alice),
            ("Authorization", &bearer),
            ("x-api-key", &alice),
        ],
    ] {
        let with = |request: Request, (name, value): &(&str, &String)| request.header(name, value);
        let answer = proxy.send(&same.iter().fold(get(), with));
        assert_eq!(answer.status, 200, "{same:?}: {answer:?}");
        assert!(!backend.last().head.contains(&alice));
    }
    for (first, second) in [
        (("api-key", &alice), ("x-api-key", &bob)),
        (("api-key", &bob), ("x-api-key", &alice)),
        (("x-api-key", &alice), ("x-api-key", &bob)),
    ] {
        let request = get().header(first.0, first.1).header(second.0, second.1);
        assert_eq!(proxy.send(&request).status, 401, "{first:?}, {second:?}");
    }
}

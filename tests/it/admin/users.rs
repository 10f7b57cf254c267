//! `gen_key`, `list_users` and `forbid_key` work, and refuse invalid requests.

use serde_json::{Value, json};

use super::{assert_admin_error, post, proxy};
use crate::harness::{ASK, Backend, Home, Request};

fn gen_key(username: impl Into<Value>) -> String {
    json!({"username": username.into()}).to_string()
}

#[test]
fn gen_key_creates_a_user_whose_key_works_at_once() {
    let (_backend, proxy, _) = proxy();
    let answer = post(&proxy, "/admin/gen_key", &gen_key("bob"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["username"], "bob");
    let key = answer.json()["api_key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("llmp-"));
    assert_eq!(proxy.chat(&key, ASK).status, 200);
}

#[test]
fn only_a_json_content_type_is_accepted() {
    let (_backend, proxy, _) = proxy();
    let bare = Request::post("/admin/gen_key", gen_key("bob")).without("content-type");
    let with = |kind: &str| proxy.send(&bare.clone().header("Content-Type", kind));
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
    ] {
        assert_admin_error(&with(kind), 415);
    }
    assert_admin_error(&proxy.send(&bare), 415);
    let forbid = Request::post("/admin/forbid_key", gen_key("alice")).without("content-type");
    assert_admin_error(
        &proxy.send(&forbid.header("Content-Type", "text/plain")),
        415,
    );
    assert_eq!(
        proxy.get_json("/admin/list_users")["users"]
            .as_array()
            .unwrap()
            .len(),
        1,
        "nothing was done"
    );
    assert_eq!(with("application/json; charset=utf-8").status, 200);
    let alice = &proxy.get_json("/admin/list_users")["users"][0];
    assert_eq!(alice["is_active"], true, "{alice}");
}

#[test]
fn a_name_is_trimmed_and_may_be_128_characters_of_any_script() {
    let (_backend, proxy, _) = proxy();
    let long = "ü".repeat(128);
    for (given, kept) in [
        ("  bob\t", "bob"),
        (long.as_str(), &long),
        ("学生 7", "学生 7"),
        ("a@b.example", "a@b.example"),
    ] {
        let answer = post(&proxy, "/admin/gen_key", &gen_key(given));
        assert_eq!(answer.status, 200, "{given:?}: {answer:?}");
        assert_eq!(answer.json()["username"], kept);
    }
}

#[test]
fn an_invalid_name_is_400_and_the_error_has_the_field() {
    let (_backend, proxy, _) = proxy();
    let names = [
        json!(""),
        json!("   "),
        json!("a".repeat(129)),
        json!("a\nb"),
        json!("a\u{0}b"),
        json!("a\u{7f}"),
        json!("a\u{85}b"),
        json!(7),
        json!(null),
        json!(["bob"]),
        json!({}),
    ];
    for name in names {
        let message =
            assert_admin_error(&post(&proxy, "/admin/gen_key", &gen_key(name.clone())), 400);
        assert!(message.contains("username"), "{name}: {message}");
    }
    let message = assert_admin_error(&post(&proxy, "/admin/gen_key", "{}"), 400);
    assert!(message.contains("username"), "{message}");
    assert_eq!(
        proxy.get_json("/admin/list_users")["users"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn malformed_json_is_400() {
    let (_backend, proxy, _) = proxy();
    for path in ["/admin/gen_key", "/admin/forbid_key"] {
        for body in ["", "{", "[]", "\"alice\"", "username=alice", "null"] {
            assert_admin_error(&post(&proxy, path, body), 400);
        }
    }
}

#[test]
fn a_name_that_is_taken_is_409() {
    let (_backend, proxy, key) = proxy();
    let message = assert_admin_error(&post(&proxy, "/admin/gen_key", &gen_key("alice")), 409);
    assert!(message.contains("alice"), "{message}");
    assert_admin_error(&post(&proxy, "/admin/gen_key", &gen_key(" alice ")), 409);
    assert_eq!(proxy.chat(&key, ASK).status, 200, "her key is as it was");
}

#[test]
fn list_users_keeps_its_original_format() {
    let (_backend, proxy, key) = proxy();
    let users = proxy.get_json("/admin/list_users");
    let alice = &users["users"][0];
    assert_eq!(alice["username"], "alice");
    assert_eq!(alice["api_key"], key);
    assert_eq!(alice["is_active"], true);
    assert!(alice["id"].is_i64());
    let created = alice["created_at"].as_str().unwrap();
    assert!(
        jiff::civil::DateTime::strptime("%Y-%m-%dT%H:%M:%SZ", created).is_ok(),
        "UTC, whole seconds, like every other: {created}"
    );
}

#[test]
fn forbid_key_takes_a_name_or_a_key_and_acts_at_once() {
    let (_backend, proxy, alice) = proxy();
    let bob = post(&proxy, "/admin/gen_key", &gen_key("bob")).json()["api_key"]
        .as_str()
        .unwrap()
        .to_owned();
    for (key, body) in [
        (&alice, gen_key("alice")),
        (&bob, json!({"api_key": bob}).to_string()),
    ] {
        assert_eq!(proxy.chat(key, ASK).status, 200);
        for time in ["first", "second"] {
            assert_eq!(
                post(&proxy, "/admin/forbid_key", &body).status,
                200,
                "the {time} time"
            );
            assert_eq!(proxy.chat(key, ASK).status, 403);
        }
    }
    let users = proxy.get_json("/admin/list_users");
    assert!(
        users["users"]
            .as_array()
            .unwrap()
            .iter()
            .all(|user| user["is_active"] == false),
        "{users}"
    );
}

#[test]
fn forbid_key_of_an_unknown_user_is_404_and_of_none_400() {
    let (_backend, proxy, key) = proxy();
    for body in [
        gen_key("mallory"),
        json!({"api_key": "llmp-nobody"}).to_string(),
    ] {
        assert_admin_error(&post(&proxy, "/admin/forbid_key", &body), 404);
    }
    for body in [
        "{}",
        r#"{"username":null}"#,
        r#"{"user":"alice"}"#,
        r#"{"username":7}"#,
        r#"{"api_key":["x"]}"#,
    ] {
        assert_admin_error(&post(&proxy, "/admin/forbid_key", body), 400);
    }
    assert_eq!(proxy.chat(&key, ASK).status, 200);
}

#[test]
fn wrong_methods_are_405_and_unknown_paths_404() {
    let (_backend, proxy, _) = proxy();
    let wrong = [
        ("GET", "/admin/gen_key"),
        ("GET", "/admin/forbid_key"),
        ("POST", "/admin/list_users"),
        ("POST", "/admin/list_costs"),
        ("DELETE", "/admin/list_users"),
    ];
    for (method, path) in wrong {
        let answer =
            proxy.send(&Request::new(method, path).header("Content-Type", "application/json"));
        assert_admin_error(&answer, 405);
        assert!(
            answer.header("allow").is_some(),
            "RFC 9110 section 15.5.6 wants Allow: {answer:?}"
        );
    }
    for path in ["/admin", "/admin/nothing", "/admin/list_users/1"] {
        assert_eq!(proxy.send(&Request::get(path)).status, 404, "{path}");
    }
}

#[test]
fn a_body_over_the_limit_is_413() {
    let backend = Backend::json("{}");
    let (proxy, _) = Home::new(&backend)
        .set("MAX_BODY_SIZE", "1KiB")
        .serve_alice();
    let answer = post(
        &proxy,
        "/admin/gen_key",
        &json!({"username": "bob", "x": "x".repeat(2_000_000)}).to_string(),
    );
    assert_admin_error(&answer, 413);
    assert_eq!(post(&proxy, "/admin/gen_key", &gen_key("bob")).status, 200);
}

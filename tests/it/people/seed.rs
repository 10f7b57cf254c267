//! The admin API of the Python program that came before: what its document shows works as it is shown.
//! Members may be added; none is missing, and none has another type.

use serde_json::{Value, json};

use super::*;

/// Checks that an answer has every member of the example, with a value of the same type.
#[track_caller]
fn assert_has_shape(answer: &Value, example: &Value) {
    match (answer, example) {
        (Value::Object(answer), Value::Object(example)) => {
            for (name, value) in example {
                let member = answer.get(name);
                let member = member.unwrap_or_else(|| panic!("{name} is missing in {answer:?}"));
                assert_has_shape(member, value);
            }
        }
        (Value::Array(answer), Value::Array(example)) => {
            assert!(!answer.is_empty());
            for item in answer {
                assert_has_shape(item, &example[0]);
            }
        }
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => {}
        (Value::Number(answer), Value::Number(example)) => {
            assert_eq!(answer.is_i64(), example.is_i64(), "{answer} for {example}");
        }
        other => panic!("another type: {other:?}"),
    }
}

fn post(proxy: &Proxy, path: &str, body: &str) -> Answer {
    proxy.send(&Request::post(path, body))
}

#[test]
fn gen_key_and_list_users_answer_as_documented() {
    let backend = Backend::chats(19, 10);
    let proxy = Home::new(&backend).serve();
    let answer = post(&proxy, "/admin/gen_key", r#"{"username": "alice"}"#);
    let example = json!({"username": "alice", "api_key": "llmp-a1b2c3d4..."});
    assert_has_shape(&answer.json(), &example);
    assert_eq!(answer.json()["username"], "alice");
    let key = text(&answer.json(), "api_key").to_owned();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    let listed = proxy.get_json("/admin/list_users");
    let example = json!({
        "users": [
            {
                "id": 1,
                "username": "alice",
                "api_key": "llmp-a1b2c3d4...",
                "created_at": "2024-01-15T10:30:00",
                "is_active": true
            }
        ]
    });
    assert_has_shape(&listed, &example);
    assert_eq!(listed["users"][0]["api_key"], key.as_str());
    assert_eq!(listed["users"][0]["id"], 1);
}

#[test]
fn list_costs_answers_as_documented() {
    let (_backend, proxy, key) = proxy();
    proxy.chat(&key, ASK);
    let mut example = json!({
        "costs": [
            {
                "username": "alice",
                "total_input_tokens": 15000,
                "total_output_tokens": 5000,
                "total_cached_tokens": 12000,
                "total_requests": 100,
                "model_costs": [
                    {
                        "model": "gpt-4.1-mini",
                        "total_input_tokens": 12000,
                        "total_output_tokens": 4000,
                        "total_cached_tokens": 9000,
                        "total_requests": 80
                    }
                ]
            }
        ]
    });
    let with_models = "/admin/list_costs?last_hours=24&by_model=true";
    assert_has_shape(&proxy.get_json(with_models), &example);
    example["costs"][0]
        .as_object_mut()
        .unwrap()
        .remove("model_costs");
    for target in [
        "/admin/list_costs",
        "/admin/list_costs?start_time=2026-02-08T00:00:00Z&end_time=2126-02-09T00:00:00Z",
    ] {
        let costs = proxy.get_json(target);
        assert_has_shape(&costs, &example);
        assert_eq!(costs["costs"][0].get("model_costs"), None);
    }
}

#[test]
fn forbid_key_takes_what_is_documented() {
    let (_backend, proxy, key) = proxy();
    for body in [json!({"username": "alice"}), json!({"api_key": key})] {
        let answer = post(&proxy, "/admin/forbid_key", &body.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(proxy.chat(&key, ASK).status, 403);
        let allowed = post(&proxy, "/admin/allow_key", &body.to_string());
        assert_eq!(allowed.status, 200, "{allowed:?}");
    }
}

#[test]
fn hashed_keys_are_null_in_list_users() {
    let backend = Backend::chats(19, 10);
    let proxy = Home::new(&backend).set("STORE_KEYS", "hashed").serve();
    let issued = post(&proxy, "/admin/gen_key", r#"{"username": "alice"}"#).json();
    assert_eq!(proxy.chat(text(&issued, "api_key"), ASK).status, 200);
    let listed = proxy.get_json("/admin/list_users");
    let alice = &listed["users"][0];
    assert_eq!(alice["api_key"], json!(null), "{alice}");
    assert_eq!(alice["active_keys"], 1);
    let masked = text(alice, "key");
    assert!(
        masked.starts_with("llmp-") && masked.contains('…'),
        "{masked}"
    );
}

#[test]
fn a_user_without_a_key_that_works_has_api_key_null() {
    let (_backend, proxy, _) = proxy();
    run(&proxy, &["key", "revoke", "1"]);
    let alice = &proxy.get_json("/admin/list_users")["users"][0];
    assert_eq!(alice["api_key"], json!(null));
    assert_eq!(alice["active_keys"], 0);
    assert_eq!(alice["is_active"], true);
}

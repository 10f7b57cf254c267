//! Lists contain a user's own objects only, and paging works as it does without a proxy.

use serde_json::{Value, json};

use super::{Shelf, get, id_of, post, two_users, upload};
use crate::harness::{Proxy, assert_openai_error};

fn ids(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().expect("a list");
    data.iter()
        .map(|object| object["id"].as_str().unwrap().to_owned())
        .collect()
}

fn page(proxy: &Proxy, key: &str, target: &str) -> Value {
    let answer = get(proxy, key, target);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Two users make vector stores in turn; the ids of each, oldest first.
fn made_in_turn(proxy: &Proxy, keys: [&str; 2], each: usize) -> [Vec<String>; 2] {
    let mut made = [Vec::new(), Vec::new()];
    for _ in 0..each {
        for (key, made) in keys.iter().zip(&mut made) {
            made.push(id_of(&post(proxy, key, "/v1/vector_stores", &json!({}))));
        }
    }
    made
}

#[test]
fn a_list_has_own_objects_newest_first_with_correct_ends() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let [mut own, _] = made_in_turn(&proxy, [&alice, &bob], 3);
    shelf.put("vector_stores", json!({"id": "vs_of_nobody"}));
    own.reverse();
    let list = page(&proxy, &alice, "/v1/vector_stores");
    assert_eq!(ids(&list), own);
    assert_eq!(list["object"], "list");
    assert_eq!(
        (&list["first_id"], &list["last_id"]),
        (&json!(own[0]), &json!(own[2]))
    );
    assert_eq!(list["has_more"], false);
    assert_eq!(ids(&page(&proxy, &alice, "/v1/containers")), [""; 0]);
}

#[test]
fn paging_visits_exactly_the_own_objects() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let [own, _] = made_in_turn(&proxy, [&alice, &bob], 130);
    let (mut seen, mut target) = (
        Vec::new(),
        "/v1/vector_stores?order=asc&limit=25".to_owned(),
    );
    loop {
        let list = page(&proxy, &alice, &target);
        seen.extend(ids(&list));
        if list["has_more"] == false {
            break;
        }
        assert_eq!(ids(&list).len(), 25);
        let cursor = list["last_id"].as_str().unwrap();
        target = format!("/v1/vector_stores?order=asc&limit=25&after={cursor}");
    }
    assert_eq!(seen, own);
}

#[test]
fn a_page_between_two_ids_keeps_within_both() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let [own, foreign] = made_in_turn(&proxy, [&alice, &bob], 5);
    for bounds in [
        format!("after={}&before={}", own[0], own[4]),
        format!("before={}&after={}", own[4], own[0]),
    ] {
        let target = format!("/v1/vector_stores?order=asc&{bounds}");
        let list = page(&proxy, &alice, &target);
        assert_eq!(ids(&list), own[1..4]);
        let query = shelf.backend.last().target().to_owned();
        for bound in bounds.split('&') {
            assert!(query.contains(bound), "{query}");
        }
        let list = page(&proxy, &alice, &format!("{target}&limit=2"));
        assert_eq!(
            (ids(&list), &list["has_more"]),
            (own[1..3].to_vec(), &json!(true))
        );
    }
    let target = format!("/v1/vector_stores?after={}&before={}", own[0], foreign[4]);
    let error = assert_openai_error(&get(&proxy, &alice, &target), 404);
    assert_eq!(error["param"], "before");
}

#[test]
fn another_user_s_cursor_is_answered_as_unknown() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let [_, foreign] = made_in_turn(&proxy, [&alice, &bob], 1);
    let asked = shelf.asked("/v1/vector_stores");
    let target = format!("/v1/vector_stores?after={}", foreign[0]);
    let error = assert_openai_error(&get(&proxy, &alice, &target), 404);
    assert_eq!(error["param"], "after");
    assert_openai_error(&get(&proxy, &alice, "/v1/vector_stores?after=vs_none"), 404);
    assert_eq!(shelf.asked("/v1/vector_stores"), asked);
}

#[test]
fn listed_objects_are_passed_byte_for_byte() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    let id = id_of(&post(&proxy, &alice, "/v1/vector_stores", &json!({})));
    shelf.put(
        "vector_stores",
        json!({"id": id, "z": 1.50, "a": null, "metadata": {"k": "\u{fc}"}}),
    );
    let text = get(&proxy, &alice, "/v1/vector_stores").text();
    let object = get(&proxy, &alice, &format!("/v1/vector_stores/{id}")).text();
    assert!(text.contains(&object), "{object} in {text}");
}

#[test]
fn a_list_that_the_ledger_refuses_is_logged() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    let input = upload(&proxy, &alice, r#"{"url":"/v1/responses","body":{}}"#);
    let body = json!({"input_file_id": input});
    let id = id_of(&post(&proxy, &alice, "/v1/batches", &body));
    shelf.put("batches", json!({"id": id, "status": "completed"}));
    let trigger =
        "CREATE TRIGGER broken BEFORE UPDATE ON objects BEGIN SELECT RAISE(ABORT, 'no room'); END";
    proxy.writable_database().execute_batch(trigger).unwrap();
    assert_openai_error(&get(&proxy, &alice, "/v1/batches"), 503);
    proxy.wait_for_log("method=GET path=\"/v1/batches\" status=503");
}

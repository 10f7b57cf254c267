//! Another user's id and an id that never existed get the same answer.

use serde_json::json;

use super::{Shelf, get, id_of, new_response, post, two_users, upload};
use crate::harness::{Backend, Home, Request};

/// Status and body of both answers, the ids in them made alike.
fn same_answer(answers: [(u16, String); 2], ids: [&str; 2]) {
    let [(first, foreign), (second, unknown)] = answers;
    let [foreign, unknown] = [foreign.replace(ids[0], "ID"), unknown.replace(ids[1], "ID")];
    assert_eq!((first, foreign), (second, unknown));
}

#[test]
fn another_user_s_item_id_is_answered_as_unknown() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let made = post(&proxy, &alice, "/v1/responses", &json!({"model": "m"}));
    let response = id_of(&made);
    let item = format!("msg-of-{response}");
    let whole = json!({"model": "m", "input": [{"type": "message", "role": "user", "id": "ID", "content": "x"}]});
    let other = json!({"model": "m", "input": [{"id": "ID", "type": "x"}]});
    let asked = json!({"model": "m", "input": "x", "request_id": "ID"});
    let reference = json!({"model": "m", "input": [{"type": "item_reference", "id": "ID"}]});
    for (target, body, foreign) in [
        ("/v1/responses/input_tokens", &whole, &item),
        ("/v1/embeddings", &other, &item),
        ("/v1/responses/input_tokens", &asked, &response),
        ("/v1/responses", &asked, &response),
        ("/v1/responses", &reference, &item),
    ] {
        let ids = [foreign, "never-was"];
        let answers = ids.map(|id| {
            let body = body.to_string().replace("ID", id);
            let answer = proxy.send(&Request::post(target, body).key(&bob));
            let text = answer.text();
            // The look-alike counts what it makes.
            let status = answer.status;
            let is_made = status == 200;
            (status, if is_made { String::new() } else { text })
        });
        same_answer(answers, ids);
    }
}

#[test]
fn another_user_s_cursor_in_an_own_object_is_unknown() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let file = upload(&proxy, &alice, "x");
    let own = upload(&proxy, &bob, "y");
    let store = id_of(&post(&proxy, &bob, "/v1/vector_stores", &json!({})));
    let response = new_response(&proxy, &bob);
    let before = shelf.backend.requests().len();
    for (path, foreign) in [
        (format!("/v1/vector_stores/{store}/files"), file.as_str()),
        (format!("/v1/responses/{response}/input_items"), "msg-of-x"),
        ("/v1/files".to_owned(), file.as_str()),
    ] {
        for (cursor, status) in [
            ("after", 404),
            ("before", 404),
            ("After", 400),
            ("after[]", 400),
            ("starting_after", 400),
            ("page_token", 400),
        ] {
            let ids = [foreign, "file-0000"];
            let answers = ids.map(|id| {
                let answer = get(&proxy, &bob, &format!("{path}?{cursor}={id}"));
                (answer.status, answer.text())
            });
            assert_eq!(answers[0].0, status, "{cursor}");
            same_answer(answers, ids);
        }
    }
    assert_eq!(
        shelf.backend.requests().len(),
        before,
        "the backend is not asked"
    );
    let target = format!("/v1/vector_stores/{store}/files?after={own}");
    assert_eq!(get(&proxy, &bob, &target).status, 200);
}

#[test]
fn an_idempotency_key_is_distinct_per_user() {
    let backend = Backend::json("{}");
    let home = Home::new(&backend);
    let keys = [home.user("alice"), home.user("bob")];
    let proxy = home.serve();
    let mut sent = Vec::new();
    for key in keys.iter().chain(&keys) {
        for name in ["Idempotency-Key", "X-Idempotency-Key"] {
            let request = Request::post("/v1/embeddings", r#"{"input":"x"}"#)
                .header(name, "retry-1")
                .key(key);
            proxy.send(&request);
            sent.push(backend.last().header(name).unwrap().to_owned());
        }
    }
    assert!(
        sent.iter()
            .all(|value| value.len() == 64 && !value.contains("retry"))
    );
    assert_eq!(sent[0..4], sent[4..8], "a repetition is one");
    assert_ne!(sent[0], sent[2], "another user's is another");
}

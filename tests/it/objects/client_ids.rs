//! Ids that clients give to their items make nobody an owner, and repeated ids do no harm.

use serde_json::{Value, json};

use super::{get, id_of, post, upload};
use crate::harness::{Backend, Home, PATIENCE, Proxy, assert_openai_error, wait_until};

/// A backend that keeps the items which it is given, and shows those of a conversation; one that is called `refused` it refuses.
fn conversation() -> Backend {
    Backend::start(|request, wire| {
        let body = request.text();
        if body.contains("refused") {
            return wire.answer(
                "400 Bad Request",
                &[("content-type", "application/json")],
                r#"{"error":{"message":"no"}}"#,
            );
        }
        match request.target().split('?').next().unwrap_or_default() {
            "/v1/conversations" => wire.json(r#"{"id":"conv_1"}"#),
            "/v1/conversations/conv_1/items" => {
                wire.json(r#"{"object":"list","data":[{"id":"msg_victim"},{"id":"msg_own"}]}"#);
            }
            "/v1/responses" => {
                wire.json(r#"{"id":"resp_1","status":"completed","output":[{"id":"msg_new"}]}"#);
            }
            "/v1/files" => wire.json(r#"{"id":"file-1"}"#),
            "/v1/batches" => wire.json(r#"{"id":"batch_1","status":"validating"}"#),
            _ => wire.answer(
                "200 OK",
                &[],
                r#"{"url":"/v1/responses","body":{"conversation":"conv_1","input":[{"type":"message","role":"user","id":"msg_victim","content":"x"}]}}"#,
            ),
        }
    })
}

fn gives(id: &str) -> Value {
    json!({"model": "m", "conversation": "conv_1",
           "input": [{"type": "message", "role": "user", "id": id, "content": "x"}]})
}

fn given(proxy: &Proxy) -> i64 {
    let count = "SELECT count(*) FROM objects WHERE kind = 'given'";
    let count = proxy.database().query_row(count, [], |row| row.get(0));
    count.unwrap()
}

fn by_reference(id: &str) -> Value {
    json!({"model": "m", "input": [{"type": "item_reference", "id": id}]})
}

#[test]
fn a_client_s_item_id_is_unowned_when_a_list_shows_it() {
    let backend = conversation();
    let (proxy, key) = Home::new(&backend).serve_alice();
    id_of(&post(&proxy, &key, "/v1/conversations", &json!({})));
    id_of(&post(&proxy, &key, "/v1/responses", &gives("msg_victim")));
    assert_eq!(given(&proxy), 1);
    let items = "/v1/conversations/conv_1/items";
    assert_eq!(get(&proxy, &key, items).status, 200);
    let refused = post(&proxy, &key, "/v1/responses", &by_reference("msg_victim"));
    assert_openai_error(&refused, 404);
    let own = post(&proxy, &key, "/v1/responses", &by_reference("msg_own"));
    assert_eq!(own.status, 200, "{}", own.text());
    // It may stand at the end of a page all the same.
    let next = format!("{items}?after=msg_victim");
    assert_eq!(get(&proxy, &key, &next).status, 200);
}

#[test]
fn an_item_id_in_a_batch_is_unowned() {
    let backend = conversation();
    let (proxy, key) = Home::new(&backend).serve_alice();
    id_of(&post(&proxy, &key, "/v1/conversations", &json!({})));
    let batch = json!({"input_file_id": upload(&proxy, &key, "x")});
    id_of(&post(&proxy, &key, "/v1/batches", &batch));
    assert_eq!(given(&proxy), 1);
    get(&proxy, &key, "/v1/conversations/conv_1/items");
    let refused = post(&proxy, &key, "/v1/responses", &by_reference("msg_victim"));
    assert_openai_error(&refused, 404);
}

#[test]
fn a_refused_request_leaves_no_ids_behind() {
    let backend = conversation();
    let (proxy, key) = Home::new(&backend).serve_alice();
    id_of(&post(&proxy, &key, "/v1/conversations", &json!({})));
    let answer = post(&proxy, &key, "/v1/responses", &gives("refused"));
    assert_eq!(answer.status, 400);
    assert_eq!(given(&proxy), 0);
}

#[test]
fn at_most_a_hundred_foreign_ids_are_recorded_a_request() {
    let backend = conversation();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let items = |count: usize, store: bool| {
        let item = |n| json!({"type": "message", "role": "user", "id": format!("msg_{n}"), "content": "x"});
        let own = json!({"type": "message", "role": "assistant", "id": "msg_new", "content": "x"});
        let input: Vec<Value> = (0..count).map(item).chain([own]).collect();
        json!({"model": "m", "store": store, "input": input})
    };
    let plain = json!({"model": "m", "input": "x"});
    id_of(&post(&proxy, &key, "/v1/responses", &plain));
    id_of(&post(&proxy, &key, "/v1/responses", &items(1, true)));
    let too_many = post(&proxy, &key, "/v1/responses", &items(101, true));
    assert_openai_error(&too_many, 400);
    assert_eq!(given(&proxy), 1);
    id_of(&post(&proxy, &key, "/v1/responses", &items(100, true)));
    id_of(&post(&proxy, &key, "/v1/responses", &items(500, false)));
    assert_eq!(given(&proxy), 100);
}

#[test]
fn a_client_s_item_id_expires() {
    let backend = conversation();
    let (proxy, key) = Home::new(&backend)
        .set("RECONCILE_INTERVAL", "5ms")
        .serve_alice();
    id_of(&post(&proxy, &key, "/v1/conversations", &json!({})));
    id_of(&post(&proxy, &key, "/v1/responses", &gives("msg_victim")));
    assert_eq!(given(&proxy), 1);
    super::made_earlier(&proxy, 31 * 24 * 3600);
    wait_until("it is forgotten", PATIENCE, || given(&proxy) == 0);
}

/// A backend like Ollama: ids are short, and come again.
#[test]
fn repeated_ids_do_not_refuse_a_chat() {
    let backend = Backend::json(
        r#"{"id":"resp_7","status":"completed","output":[{"id":"msg_7","type":"message"}],"usage":{"input_tokens":3,"output_tokens":4}}"#,
    );
    let home = Home::new(&backend);
    let (alice, bob) = (home.user("alice"), home.user("bob"));
    let proxy = home.serve();
    id_of(&post(
        &proxy,
        &alice,
        "/v1/responses",
        &json!({"model": "m", "input": "x"}),
    ));
    let history = json!({"model": "m", "store": false, "input": [
        {"role": "user", "content": "hi"},
        {"id": "msg_7", "type": "message", "role": "assistant", "content": "hello"},
    ]});
    for body in [json!({"model": "m", "input": "x"}), history] {
        for key in [&bob, &alice] {
            id_of(&post(&proxy, key, "/v1/responses", &body));
        }
    }
    assert_eq!(proxy.rows().len(), 5);
}

#[test]
fn an_unstored_answer_with_a_known_id_records_nothing() {
    let backend = Backend::json(
        r#"{"id":"resp_7","status":"completed","output":[{"id":"msg_7"}],"usage":{"input_tokens":3,"output_tokens":4}}"#,
    );
    let (proxy, key) = Home::new(&backend).serve_alice();
    let body = json!({"model": "m", "store": false, "input": "x"});
    id_of(&post(&proxy, &key, "/v1/responses", &body));
    let count = "SELECT count(*) FROM objects";
    let count = proxy.database().query_row(count, [], |row| row.get(0));
    assert_eq!(count, Ok(0_i64));
}

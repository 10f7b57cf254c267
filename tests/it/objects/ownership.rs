//! An object of another user is treated as unknown wherever it is referred to.

use serde_json::json;

use super::{Shelf, get, id_of, post, two_users, upload};
use crate::harness::{Backend, Home, Request, assert_openai_error};

#[test]
fn an_object_belongs_to_its_owner_only() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    for collection in [
        "responses",
        "conversations",
        "vector_stores",
        "containers",
        "videos",
        "uploads",
    ] {
        let path = format!("/v1/{collection}");
        let id = id_of(&post(&proxy, &alice, &path, &json!({"model": "m"})));
        if collection == "uploads" {
            continue;
        }
        let target = format!("{path}/{id}");
        assert_eq!(id_of(&get(&proxy, &alice, &target)), id);
        let asked = shelf.asked(&target);
        let foreign = get(&proxy, &bob, &target);
        let unknown = get(&proxy, &bob, &format!("{path}/{}", "x".repeat(id.len())));
        assert_openai_error(&foreign, 404);
        assert_eq!(
            foreign.text().replace(&id, "ID"),
            unknown.text().replace(&"x".repeat(id.len()), "ID"),
            "another's object and none are told in the same words"
        );
        let delete = |key: &str| proxy.send(&Request::new("DELETE", &target).key(key));
        assert_openai_error(&delete(&bob), 404);
        assert_eq!(shelf.asked(&target), asked, "the backend was not asked");
        assert_eq!(delete(&alice).status, 200);
        assert_openai_error(&get(&proxy, &alice, &target), 404);
    }
}

#[test]
fn objects_made_behind_the_proxy_are_unowned() {
    let shelf = Shelf::start();
    shelf.put("files", json!({"id": "file-of-the-operator"}));
    let (proxy, alice, _) = two_users(&shelf);
    assert_openai_error(&get(&proxy, &alice, "/v1/files/file-of-the-operator"), 404);
    assert_openai_error(
        &get(&proxy, &alice, "/v1/files/file-of-the-operator/content"),
        404,
    );
}

#[test]
fn a_file_is_returned_to_its_owner_unchanged() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let id = upload(&proxy, &alice, "the content");
    let content = format!("/v1/files/{id}/content");
    assert_eq!(get(&proxy, &alice, &content).text(), "the content");
    assert_openai_error(&get(&proxy, &bob, &content), 404);
    assert!(proxy.rows().is_empty(), "files use no tokens");
}

#[test]
fn a_body_may_refer_to_own_objects_only() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let file = upload(&proxy, &alice, "x");
    let response = id_of(&post(
        &proxy,
        &alice,
        "/v1/responses",
        &json!({"model": "m", "input": "x"}),
    ));
    let conversation = id_of(&post(&proxy, &alice, "/v1/conversations", &json!({})));
    let store = id_of(&post(
        &proxy,
        &alice,
        "/v1/vector_stores",
        &json!({"file_ids": [file]}),
    ));
    for (body, param) in [
        (
            json!({"previous_response_id": response}),
            "previous_response_id",
        ),
        (json!({"conversation": conversation}), "conversation"),
        (
            json!({"conversation": {"id": conversation}}),
            "conversation",
        ),
        (
            json!({"input": [{"content": [{"type": "input_file", "file_id": file}]}]}),
            "file_id",
        ),
        (
            json!({"tools": [{"type": "file_search", "vector_store_ids": [store]}]}),
            "vector_store_ids",
        ),
        (
            json!({"tools": [{"type": "code_interpreter", "container": format!("cntr-of-{response}")}]}),
            "container",
        ),
        (
            json!({"input": [{"type": "item_reference", "id": format!("msg-of-{response}")}]}),
            "id",
        ),
    ] {
        let asked = shelf.asked("/v1/responses");
        let error = assert_openai_error(&post(&proxy, &bob, "/v1/responses", &body), 404);
        assert_eq!(error["param"], param, "{body}");
        assert_eq!(shelf.asked("/v1/responses"), asked, "{body}");
        assert_eq!(
            post(&proxy, &alice, "/v1/responses", &body).status,
            200,
            "{body}"
        );
    }
    let refused = post(
        &proxy,
        &bob,
        "/v1/vector_stores",
        &json!({"file_ids": [file]}),
    );
    assert_openai_error(&refused, 404);
    let foreign_path = format!("/v1/vector_stores/{store}/files");
    assert_openai_error(
        &post(&proxy, &bob, &foreign_path, &json!({"file_id": "x"})),
        404,
    );
}

#[test]
fn a_forbidden_user_s_objects_are_kept() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let id = upload(&proxy, &alice, "x");
    proxy.cli(&["user", "forbid", "alice"]);
    crate::harness::wait_until("alice is forbidden", crate::harness::PATIENCE, || {
        get(&proxy, &alice, &format!("/v1/files/{id}")).status == 403
    });
    assert_openai_error(&get(&proxy, &bob, &format!("/v1/files/{id}")), 404);
    proxy.cli(&["user", "allow", "alice"]);
    crate::harness::wait_until("alice is back", crate::harness::PATIENCE, || {
        get(&proxy, &alice, &format!("/v1/files/{id}")).status == 200
    });
}

#[test]
fn closed_endpoints_name_the_setting_that_opens_them() {
    let backend = Backend::json("{}");
    let (proxy, key) = Home::new(&backend)
        .set("STATEFUL_ENDPOINTS", "off")
        .serve_alice();
    for (method, path) in [
        ("GET", "/v1/files"),
        ("POST", "/v1/batches"),
        ("DELETE", "/v1/responses/resp_1"),
        ("GET", "/v1/vector_stores/vs_1/files"),
    ] {
        let answer = proxy.send(&Request::new(method, path).key(&key));
        let error = assert_openai_error(&answer, 404);
        assert_eq!(error["code"], "endpoint_closed", "{path}");
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("STATEFUL_ENDPOINTS"),
            "{path}"
        );
    }
    for body in [
        json!({"previous_response_id": "x"}),
        json!({"background": true}),
        json!({"input": [{"type": "item_reference", "id": "rs_1"}]}),
        json!({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}),
    ] {
        let error = assert_openai_error(&post(&proxy, &key, "/v1/responses", &body), 404);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("STATEFUL_ENDPOINTS"), "{message}");
        if body["input"].is_array() {
            assert!(message.contains(r#""store": false"#), "{message}");
            let include = r#""include": ["reasoning.encrypted_content"]"#;
            assert!(message.contains(include), "{message}");
        }
    }
    assert!(backend.requests().is_empty());
}

#[test]
fn always_closed_endpoints_stay_closed() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    for path in [
        "/v1/organization/users",
        "/v1/realtime/client_secrets",
        "/v1/chatkit/sessions",
        "/v1/threads",
        "/v1/fine_tuning/jobs",
        "/v1/skills",
        "/v1/%66iles",
        "/v1/files/..%2fmodels",
    ] {
        assert_openai_error(&get(&proxy, &alice, path), 404);
    }
    assert!(shelf.backend.requests().is_empty());
}

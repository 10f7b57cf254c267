//! Objects that the backend has deleted are forgotten, and no others.

use serde_json::json;

use super::{Shelf, get, id_of, made_earlier, post, remembered, two_users, upload};
use crate::harness::{Backend, Home, Request};

#[test]
fn an_object_unknown_to_the_backend_is_forgotten() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    for (method, collection) in [
        ("GET", "vector_stores"),
        ("DELETE", "conversations"),
        ("POST", "vector_stores"),
    ] {
        let id = id_of(&post(
            &proxy,
            &alice,
            &format!("/v1/{collection}"),
            &json!({}),
        ));
        shelf.lose(&id);
        let target = format!("/v1/{collection}/{id}");
        let send = || {
            proxy
                .send(&Request::new(method, &target).key(&alice))
                .text()
        };
        assert!(send().contains("the backend was asked"), "{method}");
        assert!(remembered(&proxy, &id), "{method}: it may be on its way");
        made_earlier(&proxy, 120);
        assert!(send().contains("the backend was asked"), "{method}");
        assert!(!remembered(&proxy, &id), "{method}");
        assert!(!send().contains("the backend was asked"), "{method}");
    }
}

#[test]
fn an_object_is_not_forgotten_for_a_404_of_another() {
    let backend = Backend::start(|request, wire| match request.target() {
        "/v1/files" => wire.json(r#"{"id":"file-1"}"#),
        "/v1/vector_stores" => wire.json(r#"{"id":"vs_1"}"#),
        // Of a gateway whose servers are all away.
        "/v1/files/file-1" => wire.answer(
            "404 Not Found",
            &[("content-type", "text/html")],
            "default backend",
        ),
        _ => wire.answer(
            "404 Not Found",
            &[("content-type", "application/json")],
            r#"{"error":{"message":"no such thing"}}"#,
        ),
    });
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (proxy, alice) = home.serve_alice();
    upload(&proxy, &alice, "x");
    id_of(&post(&proxy, &alice, "/v1/vector_stores", &json!({})));
    made_earlier(&proxy, 120);
    for target in [
        "/v1/files/file-1",
        "/v1/files/file-1/content",
        "/v1/vector_stores/vs_1",
        "/v1/vector_stores/vs_1?api-version=mistyped",
        "/v1/vector_stores/vs_1/files",
        "/v1/vector_stores/vs_1/files/file-1",
        "/v1/vector_stores/vs_1/file_batches/vsfb_1",
    ] {
        assert_eq!(get(&proxy, &alice, target).status, 404);
    }
    assert!(remembered(&proxy, "file-1") && remembered(&proxy, "vs_1"));
}

#[test]
fn only_the_server_gives_up_on_unbilled_objects() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    let asked = json!({"model": "m", "background": true});
    let [gone, done] = [(); 2].map(|()| id_of(&post(&proxy, &alice, "/v1/responses", &asked)));
    let delete = |id: &str| {
        let request = Request::new("DELETE", &format!("/v1/responses/{id}"));
        proxy.send(&request.key(&alice)).status
    };
    shelf.put("responses", json!({"id": done, "status": "completed", "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}}));
    shelf.lose(&gone);
    made_earlier(&proxy, 120);
    assert_eq!(delete(&gone), 404);
    assert!(remembered(&proxy, &gone), "it may have used something");
    assert_eq!(
        get(&proxy, &alice, &format!("/v1/responses/{done}")).status,
        200
    );
    shelf.lose(&done);
    assert_eq!(delete(&done), 404);
    assert!(!remembered(&proxy, &done));
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
}

#[test]
fn a_list_looks_up_missing_objects_and_forgets_deleted_ones() {
    let backend = Backend::start(|request, wire| {
        match request.head.split("HTTP").next().unwrap_or_default().trim() {
            "POST /v1/vector_stores" => {
                let id = request.json()["name"].clone();
                wire.json(&json!({"id": id}).to_string());
            }
            "GET /v1/vector_stores/vs_unlisted" => wire.json(r#"{"id":"vs_unlisted"}"#),
            "GET /v1/vector_stores/vs_gone" => wire.answer(
                "404 Not Found",
                &[("content-type", "application/json")],
                r#"{"error":"no vs_gone"}"#,
            ),
            _ => wire.json(r#"{"data":[{"id":"vs_listed"}],"has_more":false}"#),
        }
    });
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (proxy, alice) = home.serve_alice();
    for name in ["vs_unlisted", "vs_gone", "vs_listed"] {
        id_of(&post(
            &proxy,
            &alice,
            "/v1/vector_stores",
            &json!({"name": name}),
        ));
    }
    let list = |query: &str| {
        let answer = get(&proxy, &alice, &format!("/v1/vector_stores{query}"));
        assert_eq!(answer.json()["data"], json!([{"id": "vs_listed"}]));
    };
    list("?order=asc");
    assert!(remembered(&proxy, "vs_gone"), "it may be on its way");
    made_earlier(&proxy, 120);
    let before = backend.requests().len();
    list("?filter=x");
    assert_eq!(
        backend.requests().len(),
        before + 1,
        "it may be filtered out"
    );
    list("");
    assert!(!remembered(&proxy, "vs_gone"));
    assert!(remembered(&proxy, "vs_unlisted") && remembered(&proxy, "vs_listed"));
}

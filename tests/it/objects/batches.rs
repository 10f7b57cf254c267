//! The lines of a batch are checked, its usage is billed once, and its output files belong to its owner.

use serde_json::json;

use super::{Shelf, get, id_of, new_response, post, two_users, upload};
use crate::harness::assert_openai_error;

const LINE: &str = r#"{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[]}}"#;

#[test]
fn a_batch_is_billed_once_and_its_files_belong_to_its_owner() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let input = upload(&proxy, &alice, &format!("{LINE}\n{LINE}\n"));
    let asked = json!({"input_file_id": input, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let id = id_of(&post(&proxy, &alice, "/v1/batches", &asked));
    let target = format!("/v1/batches/{id}");
    assert_eq!(get(&proxy, &alice, &target).json()["status"], "validating");
    assert_openai_error(&get(&proxy, &bob, &target), 404);
    assert!(proxy.rows().is_empty());

    shelf.put("files", json!({"id": "file-out"}));
    shelf.put("batches", json!({"id": id, "status": "completed", "model": "m-2", "output_file_id": "file-out", "error_file_id": null,
        "usage": {"input_tokens": 300, "input_tokens_details": {"cached_tokens": 50}, "output_tokens": 40, "output_tokens_details": {"reasoning_tokens": 6}, "total_tokens": 340}}));
    assert_openai_error(&get(&proxy, &alice, "/v1/files/file-out"), 404);
    for _ in 0..2 {
        assert_eq!(get(&proxy, &alice, &target).status, 200);
        assert_eq!(
            get(&proxy, &alice, "/v1/batches").json()["data"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
    assert_eq!(get(&proxy, &alice, "/v1/files/file-out").status, 200);
    assert_openai_error(&get(&proxy, &bob, "/v1/files/file-out"), 404);
    let row = proxy.only_row();
    assert_eq!(row.tokens(), [300, 40, 50, 6]);
    assert_eq!(
        (row.endpoint.as_str(), row.model.as_deref()),
        ("/v1/batches", Some("m-2"))
    );
    let is_batch = "SELECT is_batch FROM usage_logs";
    let is_batch: i64 = proxy
        .database()
        .query_row(is_batch, [], |row| row.get(0))
        .unwrap();
    assert_eq!(is_batch, 1);
}

#[test]
fn a_list_that_shows_a_finished_batch_bills_it() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let input = upload(&proxy, &alice, LINE);
    let id = id_of(&post(
        &proxy,
        &alice,
        "/v1/batches",
        &json!({"input_file_id": input}),
    ));
    shelf.put("batches", json!({"id": id, "status": "expired", "error_file_id": "file-err", "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}}));
    assert_eq!(get(&proxy, &bob, "/v1/batches").json()["data"], json!([]));
    assert!(proxy.rows().is_empty());
    for _ in 0..2 {
        assert_eq!(get(&proxy, &alice, "/v1/batches").status, 200);
    }
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
}

#[test]
fn batch_lines_may_refer_to_own_objects_only() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let response = new_response(&proxy, &alice);
    let line = json!({"custom_id": "2", "method": "POST", "url": "/v1/responses", "body": {"model": "m", "previous_response_id": response}});
    let lines = format!("{LINE}\n\n{line}");
    let batch = |key: &str| {
        let input = upload(&proxy, key, &lines);
        post(
            &proxy,
            key,
            "/v1/batches",
            &json!({"input_file_id": input, "endpoint": "/v1/responses"}),
        )
    };
    let error = assert_openai_error(&batch(&bob), 404);
    assert_eq!(error["param"], "input_file_id");
    assert_eq!(shelf.asked("/v1/batches"), 0);
    assert_eq!(batch(&alice).status, 200);
}

#[test]
fn a_batch_of_unserved_or_unreadable_lines_is_refused() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    for line in [
        "no json",
        r#"{"url":"/v1/files","body":{}}"#,
        r#"{"url":"/v1/fine_tuning/jobs","body":{}}"#,
        r#"{"url":"/v1/responses","body":{"background":true}}"#,
    ] {
        let input = upload(&proxy, &alice, &format!("{LINE}\n{line}"));
        let error = assert_openai_error(
            &post(
                &proxy,
                &alice,
                "/v1/batches",
                &json!({"input_file_id": input}),
            ),
            400,
        );
        assert!(
            error["message"].as_str().unwrap().starts_with("Line 2 "),
            "{error}"
        );
    }
    assert_eq!(shelf.asked("/v1/batches"), 0);
}

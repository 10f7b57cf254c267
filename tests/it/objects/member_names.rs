//! Members that refer to stored objects are recognised in every naming style, and their values must be ids.

use serde_json::{Value, json};

use super::{Shelf, id_of, post, two_users, upload};
use crate::harness::{Backend, Home, Request, assert_openai_error};

const RESPONSES: &str = "/v1/responses";

fn send(proxy: &crate::harness::Proxy, key: &str, body: &str) -> crate::harness::Answer {
    proxy.send(&Request::post(RESPONSES, body).key(key))
}

#[test]
fn a_member_name_in_another_style_is_recognised() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let made = |path: &str| id_of(&post(&proxy, &alice, path, &json!({"model": "m"})));
    let (response, conversation) = (made(RESPONSES), made("/v1/conversations"));
    let (store, container) = (made("/v1/vector_stores"), made("/v1/containers"));
    let file = upload(&proxy, &alice, "x");
    for body in [
        json!({"previousResponseId": response}),
        json!({"PreviousResponseID": response}),
        json!({"previousresponseid": response}),
        json!({"previous-response-id": response}),
        json!({"PREVIOUS_RESPONSE_ID": response}),
        json!({"_previous__response_id_": response}),
        json!({"previous response id": response}),
        json!({"previous.response.id": response}),
        json!({"previou\u{17f}Re\u{17f}ponseId": response}),
        json!({"con-versation": conversation}),
        json!({"conversation": {"_id": conversation}}),
        json!({"input": [{"content": [{"type": "input_file", "fileId": file}]}]}),
        json!({"input": [{"content": [{"type": "input_image", "image-file-id": file}]}]}),
        json!({"tools": [{"type": "file_search", "vectorStoreIds": [store]}]}),
        json!({"tools": [{"type": "file_search", "vector_store-Ids": [store]}]}),
        json!({"tools": [{"type": "code_interpreter", "containerId": container}]}),
        json!({"tools": [{"type": "code_interpreter", "container": {"fileIds": [file]}}]}),
        json!({"input": [{"type": "item_reference", "i-d": format!("msg-of-{response}")}]}),
        json!({"input": [{"type": "itemReference", "id": format!("msg-of-{response}")}]}),
        json!({"input": {"id": format!("msg-of-{response}")}}),
    ] {
        let asked = shelf.asked(RESPONSES);
        assert_openai_error(&post(&proxy, &bob, RESPONSES, &body), 404);
        assert_eq!(shelf.asked(RESPONSES), asked, "{body}");
        let own = post(&proxy, &alice, RESPONSES, &body);
        assert_eq!(own.status, 200, "{body}: {}", own.text());
    }
    for name in ["inputFileId", "input-file-id", "INPUTFILEID"] {
        let batch = json!({ name: file, "endpoint": "/v1/chat/completions" });
        assert_openai_error(&post(&proxy, &bob, "/v1/batches", &batch), 404);
        let line = json!({"url": RESPONSES, "body": {"previousResponseId": response}});
        let input = upload(&proxy, &bob, &line.to_string());
        assert_openai_error(
            &post(&proxy, &bob, "/v1/batches", &json!({ name: input })),
            404,
        );
    }
    assert_eq!(shelf.asked("/v1/batches"), 0);
}

#[test]
fn with_stored_objects_off_other_styles_are_refused_too() {
    let backend = Backend::json("{}");
    let (proxy, key) = Home::new(&backend)
        .set("STATEFUL_ENDPOINTS", "off")
        .serve_alice();
    for body in [
        json!({"previousResponseId": "x"}),
        json!({"tools": [{"vectorStoreIds": ["x"]}]}),
        json!({"back_ground": true}),
        json!({"background": false, "Back-Ground": true}),
    ] {
        let answer = post(&proxy, &key, RESPONSES, &body);
        assert_eq!(answer.status, 404, "{body}: {}", answer.text());
        assert_eq!(assert_openai_error(&answer, 404)["code"], "endpoint_closed");
    }
    assert!(backend.requests().is_empty());
}

#[test]
fn an_id_is_text_and_an_item_is_an_object() {
    let backend = Backend::json("{}");
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (proxy, key) = home.serve_alice();
    for body in [
        r#"{"previous_response_id":5}"#,
        r#"{"previousResponseId":5}"#,
        r#"{"previous_response_id":true}"#,
        r#"{"previous_response_id":{"id":"resp_1"}}"#,
        r#"{"previous_response_id":[["resp_1"]]}"#,
        r#"{"conversation":5}"#,
        r#"{"conversation":{"id":5}}"#,
        r#"{"conversation":{"id":{"id":"conv_1"}}}"#,
        r#"{"conversation":{"id":["conv_1"]}}"#,
        r#"{"input":[{"content":[{"type":"input_file","file_id":1.5}]}]}"#,
        r#"{"input":[{"content":[{"type":"input_file","file_id":{"file_id":"file-1"}}]}]}"#,
        r#"{"tools":[{"vector_store_ids":[["vs_1"]]}]}"#,
        r#"{"tools":[{"vector_store_ids":[{"id":"vs_1"}]}]}"#,
        r#"{"tools":[{"vector_store_ids":[7]}]}"#,
        r#"{"input":[{"type":"item_reference","id":5}]}"#,
        r#"{"input":[{"type":"item_reference","id":["msg_1"]}]}"#,
        r#"{"input":[{"type":"item_reference","id":{"id":"msg_1"}}]}"#,
        r#"{"input":[[{"type":"item_reference","id":"msg_1"}]]}"#,
        r#"{"input":[[{"id":"msg_1"}]]}"#,
        r#"{"input":[[["x",{"id":"msg_1"}]]]}"#,
        r#"{"request_id":5}"#,
        r#"{"previous_response_id\u0000":"resp_1"}"#,
        r#"{"previous_response_id\u0000x":"resp_1"}"#,
        r#"{"input":[{"id\u0000":"msg_1"}]}"#,
        r#"{"background\u0000x":true}"#,
        r#"{"input\u0000x":[{"id":"msg_1"}]}"#,
        r#"{"input":[{"type":"message","type\u0000x":"item_reference","id":"msg_1","content":"x"}]}"#,
        "{\"previous_response_id\0\":\"resp_1\"}",
        r#"{"previous_response_id":"resp_1\u0000"}"#,
        r#"{"input":[{"type":"message","id":"msg_1\u0000x","role":"user","content":"x"}]}"#,
    ] {
        let answer = send(&proxy, &key, body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_openai_error(&answer, 400);
    }
    assert!(backend.requests().is_empty());
}

#[test]
fn ordinary_words_are_not_refused() {
    let bodies: [(&str, Value); 12] = [
        (
            RESPONSES,
            json!({"metadata": {"fileId": 5, "conversation": true, "a\u{0}": "b"}}),
        ),
        (
            RESPONSES,
            json!({"previous_response_id": null, "conversation": null}),
        ),
        (
            RESPONSES,
            json!({"tools": [{"type": "function", "parameters": {"properties": {"fileId": {"type": "string"}, "file_id": {"type": "number"}}}}]}),
        ),
        (
            RESPONSES,
            json!({"text": {"format": {"type": "json_schema", "schema": {"properties": {"conversation": {"type": "object", "properties": {"id": {"type": "integer"}}}}}}}}),
        ),
        (
            RESPONSES,
            json!({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"file_id\": 5, \"previousResponseId\": \"x\"}"}]}),
        ),
        (
            RESPONSES,
            json!({"input": "{\"previous_response_id\": 5} and \"fileIds\": [1]"}),
        ),
        (
            RESPONSES,
            json!({"prompt": {"id": "pmpt_1", "variables": {"conversation": "Hello"}}}),
        ),
        ("/v1/embeddings", json!({"input": [[1, 2, 3], [4, 5]]})),
        ("/v1/embeddings", json!({"input": [["a", "b"], []]})),
        (
            "/v1/messages",
            json!({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"fileId": 5, "items": [{"id": 7}]}}]}]}),
        ),
        (
            "/v1/chat/completions",
            json!({"messages": [{"role": "user", "content": "a \u{0} b"}], "user_id": 5, "tool_call_id": 6}),
        ),
        (
            "/v1/chat/completions",
            json!({"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}]}),
        ),
    ];
    for setting in ["off", "private"] {
        let backend = Backend::json("{}");
        let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", setting);
        let (proxy, key) = home.serve_alice();
        for (target, body) in &bodies {
            let answer = post(&proxy, &key, target, body);
            assert_eq!(answer.status, 200, "{setting} {body}: {}", answer.text());
        }
    }
}

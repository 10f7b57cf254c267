//! Hidden references to another user's objects are found, and ordinary words are not taken for references.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Shelf, get, id_of, made_earlier, new_response, post, remembered, two_users, upload};
use crate::harness::{
    Answer, Backend, Home, PATIENCE, Proxy, Request, Turnstile, assert_openai_error, wait_until,
};

fn send(proxy: &Proxy, key: &str, target: &str, kind: &str, body: impl Into<Vec<u8>>) -> Answer {
    let request = Request::post(target, body)
        .without("content-type")
        .header("content-type", kind)
        .key(key);
    proxy.send(&request)
}

fn form(field: &str, value: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n--XX--\r\n")
}

const FORM: &str = "multipart/form-data; boundary=XX";

#[test]
fn a_form_may_refer_to_own_objects_only() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let file = upload(&proxy, &alice, "x");
    for (key, status) in [(&alice, 200), (&bob, 404)] {
        let container = id_of(&post(&proxy, key, "/v1/containers", &json!({"name": "c"})));
        let target = format!("/v1/containers/{container}/files");
        let asked = shelf.asked(&target);
        let answer = send(&proxy, key, &target, FORM, form("file_id", &file));
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 404 {
            assert_eq!(assert_openai_error(&answer, 404)["param"], "file_id");
            assert_eq!(shelf.asked(&target), asked);
        }
    }
}

#[test]
fn a_file_name_with_quotes_passes_and_hides_no_field() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let file = upload(&proxy, &alice, "x");
    let with_name = |filename: &str| {
        format!(
            "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n{file}\r\n--XX--\r\n"
        )
    };
    // As the official Go SDK writes `a"b\`.
    let body = with_name(r#"a\"b\\"#);
    for target in ["/v1/files", "/v1/audio/transcriptions"] {
        send(&proxy, &bob, target, FORM, body.as_str());
        assert_eq!(shelf.backend.last().target(), target);
        assert_eq!(shelf.backend.last().body, body.as_bytes());
    }
    let container = id_of(&post(&proxy, &bob, "/v1/containers", &json!({"name": "c"})));
    let target = format!("/v1/containers/{container}/files");
    for filename in [r#"a\"; name=\"file_id"#, r#"a\"; name="file_id"#] {
        let answer = send(&proxy, &bob, &target, FORM, with_name(filename));
        assert_openai_error(&answer, 400);
    }
    assert_eq!(shelf.asked(&target), 0);
}

#[test]
fn json_members_follow_the_rules_of_form_fields() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let video = id_of(&post(&proxy, &alice, "/v1/videos", &json!({"prompt": "x"})));
    let file = upload(&proxy, &alice, "x");
    for (target, field, id) in [
        ("/v1/videos/edits", "video", &video),
        ("/v1/videos/extensions", "video", &video),
        ("/v1/videos", "characters", &video),
        ("/v1/videos", "input_reference", &file),
    ] {
        let asked = shelf.asked(target);
        let as_form = send(&proxy, &bob, target, FORM, form(field, id));
        for body in [json!({ field: id }), json!({ field: [id] })] {
            let as_json = post(&proxy, &bob, target, &body);
            assert_eq!(assert_openai_error(&as_json, 404)["param"], field);
            assert_eq!(as_json.text(), as_form.text(), "{target} {body}");
        }
        assert_eq!(shelf.asked(target), asked);
    }
    let own = json!({"input_reference": file});
    assert_eq!(post(&proxy, &alice, "/v1/videos", &own).status, 200);
}

#[test]
fn form_endpoints_refuse_bodies_that_cannot_be_searched() {
    let shelf = Shelf::start();
    let (proxy, _, bob) = two_users(&shelf);
    for (kind, body, status) in [
        (
            "application/x-www-form-urlencoded",
            "video[id]=video_1".to_owned(),
            415,
        ),
        (
            "text/plain",
            r#"{"video":{"id":"video_1"}}"#.to_owned(),
            415,
        ),
        ("multipart/form-data", form("video[id]", "video_1"), 415),
        (
            "multipart/form-data; xboundary=A; boundary=XX",
            form("video[id]", "v"),
            415,
        ),
        (
            "multipart/form-data; boundary=A; boundary=XX",
            form("video[id]", "v"),
            415,
        ),
        (FORM, form("video[id]", "v").replace("\r\n", "\n"), 400),
        (
            FORM,
            format!("--XX--junk\r\n{}", form("video[id]", "v")),
            400,
        ),
    ] {
        let answer = send(&proxy, &bob, "/v1/videos/edits", kind, body.as_str());
        assert_openai_error(&answer, status);
    }
    assert_eq!(shelf.asked("/v1/videos/edits"), 0);
}

#[test]
fn a_member_name_in_another_case_is_recognised() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let made = |path: &str| id_of(&post(&proxy, &alice, path, &json!({"model": "m"})));
    let (response, conversation) = (made("/v1/responses"), made("/v1/conversations"));
    let file = upload(&proxy, &alice, "x");
    for body in [
        format!(r#"{{"Previous_Response_ID":"{response}"}}"#),
        format!("{{\"previou\u{17f}_response_id\":\"{response}\"}}"),
        format!(r#"{{"previou\u017f_response_id":"{response}"}}"#),
        format!(r#"{{"Conversation":"{conversation}"}}"#),
        format!(r#"{{"conversation":{{"ID":"{conversation}"}}}}"#),
        format!(r#"{{"input":[{{"content":[{{"type":"input_file","File_ID":"{file}"}}]}}]}}"#),
        format!(r#"{{"Input":[{{"Type":"item_reference","Id":"msg-of-{response}"}}]}}"#),
    ] {
        let ask = |key| {
            send(
                &proxy,
                key,
                "/v1/responses",
                "application/json",
                body.as_str(),
            )
        };
        let asked = shelf.asked("/v1/responses");
        assert_openai_error(&ask(&bob), 404);
        assert_eq!(shelf.asked("/v1/responses"), asked, "{body}");
        assert_eq!(ask(&alice).status, 200, "{body}");
    }
    let container = id_of(&post(&proxy, &bob, "/v1/containers", &json!({"name": "c"})));
    let target = format!("/v1/containers/{container}/files");
    for field in ["File_Id", "FILE_ID"] {
        let answer = send(&proxy, &bob, &target, FORM, form(field, &file));
        assert_openai_error(&answer, 404);
    }
    let line = json!({"URL": "/v1/responses", "Body": {"Previous_Response_Id": response}});
    let input = upload(&proxy, &bob, &line.to_string());
    let batch = json!({"Input_File_Id": input});
    assert_openai_error(&post(&proxy, &bob, "/v1/batches", &batch), 404);
}

#[test]
fn with_stored_objects_off_other_cases_are_refused_too() {
    let backend = Backend::json("{}");
    let (proxy, key) = Home::new(&backend)
        .set("STATEFUL_ENDPOINTS", "off")
        .serve_alice();
    for body in [
        json!({"Previous_Response_Id": "x"}),
        json!({"CONVERSATION": "x"}),
        json!({"Background": true}),
        json!({"background": false, "bac\u{212a}ground": true}),
    ] {
        let error = assert_openai_error(&post(&proxy, &key, "/v1/responses", &body), 404);
        assert_eq!(error["code"], "endpoint_closed", "{body}");
    }
    assert!(backend.requests().is_empty());
}

#[test]
fn a_body_that_cannot_be_searched_is_refused() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let id = new_response(&proxy, &alice);
    let mut body = format!(r#"{{"user":"?","previous_response_id":"{id}"}}"#).into_bytes();
    body[9] = 0xff;
    let answer = send(&proxy, &bob, "/v1/responses", "application/json", body);
    assert_openai_error(&answer, 400);
    assert_eq!(shelf.asked("/v1/responses"), 1);
}

#[test]
fn items_are_known_by_their_ids_alone() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let response = new_response(&proxy, &alice);
    let item = format!("msg-of-{response}");
    let bodies = [
        json!({"input": [{"id": item}]}),
        json!({"input": [{"type": null, "id": item}]}),
        json!({"input": [{"type": "image_generation_call", "id": item}]}),
        json!({"input": [{"type": "reasoning", "id": item, "summary": []}]}),
    ];
    for body in &bodies {
        assert_openai_error(&post(&proxy, &bob, "/v1/responses", body), 404);
        assert_eq!(
            post(&proxy, &alice, "/v1/responses", body).status,
            200,
            "{body}"
        );
    }
    // An item that is sent whole is none of the proxy's business: what is another's could else be told from what is unknown.
    for id in [item.as_str(), "msg-elsewhere"] {
        let whole =
            json!({"input": [{"type": "message", "id": id, "role": "user", "content": "x"}]});
        assert_eq!(post(&proxy, &bob, "/v1/responses", &whole).status, 200);
    }
}

#[test]
fn a_client_s_item_id_becomes_unowned() {
    let backend = Backend::start(|request, wire| {
        let data = &request.json()["items"];
        wire.json(&json!({"id": "conv_1", "data": data}).to_string());
    });
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let bob = home.user("bob");
    let proxy = home.serve();
    id_of(&post(&proxy, &bob, "/v1/conversations", &json!({})));
    let items = json!({"items": [{"type": "message", "id": "file-operator", "role": "user", "content": "x"}]});
    let answer = post(&proxy, &bob, "/v1/conversations/conv_1/items", &items);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_openai_error(&get(&proxy, &bob, "/v1/files/file-operator/content"), 404);
    let by_id = json!({"input": [{"type": "item_reference", "id": "file-operator"}]});
    assert_openai_error(&post(&proxy, &bob, "/v1/responses", &by_id), 404);
}

#[test]
fn a_client_s_item_id_stays_unowned_after_a_list() {
    let backend = Backend::start(|request, wire| match request.target() {
        "/v1/conversations" => wire.json(r#"{"id":"conv_1"}"#),
        "/v1/responses" => {
            wire.json(r#"{"id":"resp_1","status":"completed","output":[{"id":"msg_out"}]}"#);
        }
        _ => wire.json(
            r#"{"object":"list","data":[{"id":"msg_foreign"},{"id":"msg_in"}],"has_more":false}"#,
        ),
    });
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (alice, bob) = (home.user("alice"), home.user("bob"));
    let proxy = home.serve();
    let message = json!({"type": "message", "id": "msg_foreign", "role": "user", "content": "z"});
    let by_id = |id: &str| json!({"input": [{"type": "item_reference", "id": id}]});
    for (target, member, list) in [
        (
            "/v1/conversations",
            "items",
            "/v1/conversations/conv_1/items",
        ),
        ("/v1/responses", "input", "/v1/responses/resp_1/input_items"),
    ] {
        id_of(&post(&proxy, &bob, target, &json!({ member: [message] })));
        assert_eq!(get(&proxy, &bob, list).status, 200);
        let refused = post(&proxy, &bob, "/v1/responses", &by_id("msg_foreign"));
        assert_openai_error(&refused, 404);
    }
    // What the backend named is known from the list, and whoever has the item may send it whole.
    for id in ["msg_in", "msg_out"] {
        let answer = post(&proxy, &bob, "/v1/responses", &by_id(id));
        assert_eq!(answer.status, 200, "{id}");
    }
    let whole = json!({ "input": [message] });
    assert_eq!(
        post(&proxy, &alice, "/v1/responses/input_tokens", &whole).status,
        200
    );
}

#[test]
fn an_object_of_another_kind_is_unknown() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    let file = upload(&proxy, &alice, "x");
    let body = json!({"previous_response_id": file});
    assert_openai_error(&post(&proxy, &alice, "/v1/responses", &body), 404);
}

#[test]
fn ordinary_words_are_not_references() {
    let bodies = [
        json!({"metadata": {"conversation": "chat 17", "video_id": "yt-1"}}),
        json!({"prompt": {"variables": {"conversation": "Hello"}}}),
        json!({"input": [{"role": "assistant", "content": [{"type": "output_text", "annotations": [{"file_id": "cfile_1"}]}]}]}),
        json!({"tools": [{"type": "function", "parameters": {"properties": {"file_id": {"default": "x"}}}}]}),
    ];
    for setting in ["off", "private"] {
        let backend = Backend::json("{}");
        let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", setting);
        let (proxy, key) = home.serve_alice();
        for body in &bodies {
            let answer = post(&proxy, &key, "/v1/responses", body);
            assert_eq!(answer.status, 200, "{setting}: {}", answer.text());
        }
    }
}

#[test]
fn store_false_applies_to_responses_only() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    let file = upload(&proxy, &alice, "{}");
    let body = json!({"file_ids": [file], "store": false});
    let store = id_of(&post(&proxy, &alice, "/v1/vector_stores", &body));
    assert_eq!(
        get(&proxy, &alice, &format!("/v1/vector_stores/{store}")).status,
        200
    );
    let response = id_of(&post(
        &proxy,
        &alice,
        "/v1/responses",
        &json!({"store": false}),
    ));
    assert_eq!(
        get(&proxy, &alice, &format!("/v1/responses/{response}")).status,
        404
    );
    let container = json!({"tools": [{"type": "code_interpreter", "container": format!("cntr-of-{response}")}]});
    assert_eq!(
        post(&proxy, &alice, "/v1/responses", &container).status,
        200
    );
}

/// A backend whose responses run in the background and are looked at with this status and body.
fn looked_at(status: &'static str, body: Value) -> Backend {
    Backend::start(move |request, wire| {
        let head = &request.head;
        if head.starts_with("POST") {
            wire.json(r#"{"id":"resp_1","status":"queued"}"#);
        } else if head.starts_with("GET") {
            wire.answer(
                status,
                &[("content-type", "application/json")],
                body.to_string(),
            );
        } else {
            wire.json(r#"{"id":"resp_1","deleted":true}"#);
        }
    })
}

#[test]
fn an_object_that_cannot_be_billed_now_is_not_deleted() {
    let backend = looked_at("429 Too Many Requests", json!({}));
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (proxy, key) = home.serve_alice();
    post(
        &proxy,
        &key,
        "/v1/responses",
        &json!({"model": "m", "background": true}),
    );
    let delete = Request::new("DELETE", "/v1/responses/resp_1")
        .header("if-none-match", "*")
        .key(&key);
    assert_openai_error(&proxy.send(&delete), 503);
    let last = backend.last();
    assert!(last.head.starts_with("GET"), "{}", last.head);
    assert_eq!(last.header("if-none-match"), None);
}

#[test]
fn a_background_response_without_usage_is_estimated() {
    let done = json!({"id": "resp_1", "status": "cancelled", "model": "gpt-4o",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "one two three four five"}]}]});
    for method in ["GET", "DELETE"] {
        let backend = looked_at("200 OK", done.clone());
        let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
        let (proxy, key) = home.serve_alice();
        post(
            &proxy,
            &key,
            "/v1/responses",
            &json!({"model": "m", "background": true}),
        );
        let answer = proxy.send(&Request::new(method, "/v1/responses/resp_1").key(&key));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let row = proxy.only_row();
        assert_eq!(
            (row.output, row.source.as_str()),
            (5, "estimate"),
            "{method}"
        );
    }
}

#[test]
fn a_batch_that_finishes_at_once_is_billed() {
    let backend = Backend::start(|request, wire| {
        if request.head.starts_with("GET /v1/files") {
            wire.answer("200 OK", &[], r#"{"url":"/v1/responses","body":{}}"#);
        } else if request.head.starts_with("POST /v1/files") {
            wire.json(r#"{"id":"file-1"}"#);
        } else {
            wire.json(r#"{"id":"batch_1","status":"completed","usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}"#);
        }
    });
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (proxy, key) = home.serve_alice();
    let file = upload(&proxy, &key, "x");
    id_of(&post(
        &proxy,
        &key,
        "/v1/batches",
        &json!({"input_file_id": file}),
    ));
    assert_eq!(get(&proxy, &key, "/v1/batches/batch_1").status, 200);
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
}

#[test]
fn an_object_that_nobody_polls_is_billed() {
    let shelf = Shelf::start();
    let home = Home::new(&shelf.backend)
        .set("STATEFUL_ENDPOINTS", "private")
        .set("RECONCILE_INTERVAL", "20ms");
    let (proxy, alice) = home.serve_alice();
    let background = json!({"model": "m-1", "input": "x", "background": true});
    let response = id_of(&post(&proxy, &alice, "/v1/responses", &background));
    let line = r#"{"url":"/v1/responses","body":{}}"#;
    let file = upload(&proxy, &alice, line);
    let batch = id_of(&post(
        &proxy,
        &alice,
        "/v1/batches",
        &json!({"input_file_id": file}),
    ));
    let usage = json!({"input_tokens": 30, "output_tokens": 40, "total_tokens": 70});
    shelf.put(
        "responses",
        json!({"id": response, "status": "completed", "model": "m-2", "usage": usage}),
    );
    shelf.put(
        "batches",
        json!({"id": batch, "status": "completed", "usage": usage, "output_file_id": "file-out"}),
    );
    wait_until("both are booked", PATIENCE, || proxy.rows().len() == 2);
    let mut endpoints: Vec<String> = proxy
        .rows()
        .into_iter()
        .map(|row| {
            assert_eq!(row.tokens(), [30, 40, 0, 0]);
            row.endpoint
        })
        .collect();
    endpoints.sort();
    assert_eq!(endpoints, ["/v1/batches", "/v1/responses"]);
    for path in [
        format!("/v1/responses/{response}"),
        format!("/v1/batches/{batch}"),
    ] {
        assert_eq!(get(&proxy, &alice, &path).status, 200);
    }
    assert_eq!(proxy.rows().len(), 2, "once");
}

#[test]
fn a_disconnect_before_the_answer_loses_no_object_and_no_bill() {
    let turnstile = Arc::new(Turnstile::default());
    let gate = Arc::clone(&turnstile);
    let backend = Backend::start(move |request, wire| {
        if request.head.starts_with("POST") {
            gate.pass();
            wire.json(r#"{"id":"resp_1","status":"queued"}"#);
        } else {
            wire.json(r#"{"id":"resp_1","status":"completed","usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}"#);
        }
    });
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (proxy, key) = home.serve_alice();
    let body = json!({"model": "m", "background": true}).to_string();
    let client = proxy.start(&Request::post("/v1/responses", body).key(&key));
    backend.wait_for_requests(1);
    drop(client);
    turnstile.allow(1);
    wait_until("the response is known", PATIENCE, || {
        get(&proxy, &key, "/v1/responses/resp_1").status == 200
    });
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
}

#[test]
fn an_unreadable_or_missing_object_blocks_no_other_bill() {
    let backend = Backend::start(|request, wire| {
        let id = request.target().rsplit('/').next().unwrap_or_default();
        match (request.head.starts_with("POST"), id) {
            (true, _) => {
                let id = request.json()["input"].clone();
                wire.json(&json!({"id": id, "status": "queued"}).to_string());
            }
            (_, "resp_odd") => wire.answer("200 OK", &[("content-encoding", "x-odd")], "?"),
            (_, "resp_gone") => wire.answer("404 Not Found", &[("content-type", "application/json")], r#"{"error":"no resp_gone"}"#),
            _ => wire.json(r#"{"id":"resp_3","status":"completed","usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}"#),
        }
    });
    let home = Home::new(&backend)
        .set("STATEFUL_ENDPOINTS", "private")
        .set("RECONCILE_INTERVAL", "20ms");
    let (proxy, key) = home.serve_alice();
    for id in ["resp_odd", "resp_gone", "resp_3"] {
        let body = json!({"model": "m", "input": id, "background": true});
        id_of(&post(&proxy, &key, "/v1/responses", &body));
    }
    wait_until("the last is booked", PATIENCE, || proxy.rows().len() == 1);
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
    made_earlier(&proxy, 120);
    let looks = || {
        let requests = backend.requests();
        let of_it = requests
            .iter()
            .filter(|seen| seen.target().ends_with("/resp_gone"));
        of_it.count()
    };
    let before = looks();
    wait_until("it is looked at again", PATIENCE, || looks() > before + 2);
    assert!(
        remembered(&proxy, "resp_gone"),
        "its answer may be on its way"
    );
    made_earlier(&proxy, 25 * 3600);
    wait_until("the one that is gone is forgotten", PATIENCE, || {
        !remembered(&proxy, "resp_gone")
    });
}

//! Stored and background responses are recorded before their id is sent, and billed once.

use std::sync::Arc;

use serde_json::json;

use super::{Shelf, get, id_of, new_response, post, two_users};
use crate::harness::{Backend, Home, PATIENCE, Request, Turnstile, wait_until};

#[test]
fn a_response_is_booked_once_however_often_it_is_read() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    let id = id_of(&post(
        &proxy,
        &alice,
        "/v1/responses",
        &json!({"model": "m-1", "input": "x"}),
    ));
    for _ in 0..2 {
        assert_eq!(
            get(&proxy, &alice, &format!("/v1/responses/{id}")).status,
            200
        );
    }
    let row = proxy.only_row();
    assert_eq!(
        (row.tokens(), row.endpoint.as_str()),
        ([3, 4, 0, 0], "/v1/responses")
    );
}

#[test]
fn a_background_response_is_billed_by_the_first_poll_after_it() {
    let shelf = Shelf::start();
    let (proxy, alice, bob) = two_users(&shelf);
    let asked = json!({"model": "m-1", "input": "x", "background": true});
    let id = id_of(&post(&proxy, &alice, "/v1/responses", &asked));
    let target = format!("/v1/responses/{id}");
    assert_eq!(get(&proxy, &alice, &target).json()["status"], "queued");
    assert_eq!(get(&proxy, &bob, &target).status, 404);
    assert!(proxy.rows().is_empty(), "it has used nothing yet");
    shelf.put("responses", json!({"id": id, "status": "completed", "model": "m-2",
        "usage": {"input_tokens": 30, "input_tokens_details": {"cached_tokens": 5}, "output_tokens": 40, "output_tokens_details": {"reasoning_tokens": 6}, "total_tokens": 70}}));
    for _ in 0..3 {
        assert_eq!(get(&proxy, &alice, &target).status, 200);
    }
    let row = proxy.only_row();
    assert_eq!(row.tokens(), [30, 40, 5, 6]);
    assert_eq!((row.endpoint.as_str(), row.status), ("/v1/responses", 200));
    assert_eq!(row.model.as_deref(), Some("m-2"));
}

#[test]
fn a_background_response_deleted_unseen_is_billed() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    let asked = json!({"model": "m-1", "input": "x", "background": true});
    let id = id_of(&post(&proxy, &alice, "/v1/responses", &asked));
    shelf.put("responses", json!({"id": id, "status": "completed", "model": "m-2", "usage": {"input_tokens": 30, "output_tokens": 40, "total_tokens": 70}}));
    let delete = Request::new("DELETE", &format!("/v1/responses/{id}")).key(&alice);
    assert_eq!(proxy.send(&delete).status, 200);
    assert_eq!(proxy.only_row().tokens(), [30, 40, 0, 0]);
}

#[test]
fn concurrent_polls_bill_once() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    let asked = json!({"model": "m-1", "input": "x", "background": true});
    let id = id_of(&post(&proxy, &alice, "/v1/responses", &asked));
    shelf.put("responses", json!({"id": id, "status": "completed", "usage": {"input_tokens": 30, "output_tokens": 40, "total_tokens": 70}}));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert_eq!(
                    get(&proxy, &alice, &format!("/v1/responses/{id}")).status,
                    200
                );
            });
        }
    });
    assert_eq!(proxy.only_row().tokens(), [30, 40, 0, 0]);
}

#[test]
fn a_streamed_response_can_be_used_from_its_first_event_on() {
    let turnstile = Arc::new(Turnstile::default());
    let gate = Arc::clone(&turnstile);
    let backend = Backend::start(move |request, wire| {
        if request.target() != "/v1/responses" {
            return wire.json(r#"{"id":"resp_1","status":"in_progress"}"#);
        }
        wire.sse_head();
        wire.chunk("event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\",\"output\":[]}}\n\n");
        gate.pass();
        wire.chunk("event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[{\"id\":\"msg_1\"}],\"usage\":{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}}}\n\n");
        wire.end();
    });
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (alice, bob) = (home.user("alice"), home.user("bob"));
    let proxy = home.serve();
    let mut client =
        proxy.start(&Request::post("/v1/responses", r#"{"model":"m","stream":true}"#).key(&alice));
    client.head();
    assert!(client.event().unwrap().contains("response.created"));
    assert_eq!(get(&proxy, &alice, "/v1/responses/resp_1").status, 200);
    assert_eq!(get(&proxy, &bob, "/v1/responses/resp_1").status, 404);
    turnstile.allow(1);
    assert!(client.event().unwrap().contains("response.completed"));
    let follow = json!({"input": [{"type": "item_reference", "id": "msg_1"}]});
    assert_eq!(
        post(&proxy, &bob, "/v1/responses/input_tokens", &follow).status,
        404
    );
    assert_eq!(
        post(&proxy, &alice, "/v1/responses/input_tokens", &follow).status,
        200
    );
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
}

#[test]
fn a_background_stream_is_billed_after_its_client_left() {
    let turnstile = Arc::new(Turnstile::default());
    let gate = Arc::clone(&turnstile);
    let backend = Backend::start(move |request, wire| {
        if request.target() != "/v1/responses" {
            return wire.json(r#"{"id":"resp_1","status":"completed","model":"m-2","usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}"#);
        }
        wire.sse_head();
        wire.chunk("data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"status\":\"queued\"}}\n\n");
        gate.pass();
    });
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (proxy, alice) = home.serve_alice();
    let body = r#"{"model":"m","stream":true,"background":true}"#;
    let mut client = proxy.start(&Request::post("/v1/responses", body).key(&alice));
    client.head();
    client.event().unwrap();
    drop(client);
    wait_until("the log says that the client left", PATIENCE, || {
        proxy.log().contains("/v1/responses")
    });
    assert!(proxy.rows().is_empty());
    turnstile.allow(1);
    assert_eq!(get(&proxy, &alice, "/v1/responses/resp_1").status, 200);
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
}

#[test]
fn responses_that_are_not_stored_are_not_recorded() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    let asked = json!({"model": "m-1", "input": "x", "store": false});
    let id = id_of(&post(&proxy, &alice, "/v1/responses", &asked));
    assert_eq!(
        get(&proxy, &alice, &format!("/v1/responses/{id}")).status,
        404
    );
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
}

#[test]
fn objects_survive_a_kill() {
    let shelf = Shelf::start();
    let (mut proxy, alice, _) = two_users(&shelf);
    let id = new_response(&proxy, &alice);
    proxy.kill9();
    proxy.restart();
    assert_eq!(
        get(&proxy, &alice, &format!("/v1/responses/{id}")).status,
        200
    );
}

#[test]
fn a_response_with_a_long_picture_is_recorded() {
    let picture = "A".repeat(3 << 20);
    let body = json!({"id": "resp_long", "status": "completed", "output": [{"id": "ig_1", "result": picture}], "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}});
    // The members in the order in which OpenAI writes them.
    let body = format!(r#"{{"id":"resp_long",{}"#, &body.to_string()[1..]);
    let backend = Backend::json(body);
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (proxy, alice) = home.serve_alice();
    assert_eq!(
        post(&proxy, &alice, "/v1/responses", &json!({"model": "m"})).status,
        200
    );
    assert_eq!(get(&proxy, &alice, "/v1/responses/resp_long").status, 200);
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
}

#[test]
fn objects_after_a_long_picture_are_recorded() {
    let picture = "A".repeat(2 << 20);
    let body = format!(
        r#"{{"id":"resp_1","status":"completed","model":"m-2","output":[{{"id":"ig_1","type":"image_generation_call","result":"{picture}"}},
           {{"id":"ci_1","type":"code_interpreter_call","container_id":"cntr_1"}},{{"id":"ig_2","type":"image_generation_call","result":"{picture}"}},
           {{"id":"msg_1","type":"message"}}],"usage":{{"input_tokens":3,"output_tokens":4,"total_tokens":7}}}}"#
    );
    let answer = body.clone();
    let backend = Backend::start(move |request, wire| match request.target() {
        "/v1/responses?chunked" => {
            wire.head(
                "200 OK",
                &[
                    ("content-type", "application/json"),
                    ("transfer-encoding", "chunked"),
                ],
            );
            wire.chunks(answer.as_bytes().chunks(100_000));
            wire.end();
        }
        "/v1/responses" => wire.json(&answer),
        _ => wire.json("{}"),
    });
    for target in ["/v1/responses", "/v1/responses?chunked"] {
        let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
        let (alice, bob) = (home.user("alice"), home.user("bob"));
        let proxy = home.serve();
        let made = post(&proxy, &alice, target, &json!({"model": "m"}));
        assert_eq!((made.status, made.text() == body), (200, true));
        let row = proxy.only_row();
        assert_eq!(
            (row.tokens(), row.served_model.as_deref()),
            ([3, 4, 0, 0], Some("m-2"))
        );
        for follow in [
            json!({"input": [{"type": "item_reference", "id": "msg_1"}]}),
            json!({"input": [{"type": "image_generation_call", "id": "ig_2"}]}),
            json!({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}),
        ] {
            let used = |key: &str| post(&proxy, key, "/v1/responses/input_tokens", &follow).status;
            assert_eq!((used(&alice), used(&bob)), (200, 404), "{target}: {follow}");
        }
    }
}

#[test]
fn an_id_is_sent_only_after_its_object_is_recorded() {
    let turnstile = Arc::new(Turnstile::default());
    let gate = Arc::clone(&turnstile);
    let backend = Backend::start(move |request, wire| {
        if request.target() != "/v1/responses" {
            return wire.json("{}");
        }
        wire.head(
            "200 OK",
            &[
                ("content-type", "application/json"),
                ("transfer-encoding", "chunked"),
            ],
        );
        wire.chunk(r#"{"id":"resp_1","status":"completed","#);
        gate.pass();
        wire.chunk(r#""usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}"#);
        wire.end();
    });
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (proxy, alice) = home.serve_alice();
    let mut client = proxy.start(&Request::post("/v1/responses", r#"{"model":"m"}"#).key(&alice));
    client.head();
    let first = client.read_some().unwrap();
    assert!(first.starts_with(br#"{"id":"resp_1""#));
    assert_eq!(get(&proxy, &alice, "/v1/responses/resp_1").status, 200);
    turnstile.allow(1);
    assert!(client.rest().1);
    assert_eq!(proxy.only_row().tokens(), [3, 4, 0, 0]);
}

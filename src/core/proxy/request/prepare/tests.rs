use std::time::Instant;

use actix_web::http::{Method, StatusCode};
use bytes::Bytes;

use super::*;
use crate::proxy::routes::Endpoints;

const STREAM: &str = r#"{"model":"m","stream":true}"#;
const STREAM_ASKING: &str =
    r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#;

fn post(path: &str) -> Endpoint {
    let endpoints = Endpoints::with_extra("/v1/rerank").unwrap();
    endpoints.find(&Method::POST, path).unwrap().endpoint
}

fn prepared(
    path: &str,
    body: &str,
    stream_usage: StreamUsage,
    refusals: &UsageOptionRefusals,
) -> Result<PreparedRequest, ApiError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let body = BodyParts::from(Bytes::copy_from_slice(body.as_bytes()));
    runtime.block_on(PreparedRequest::of(
        post(path),
        &body,
        stream_usage,
        refusals,
        LimitEdits::default(),
    ))
}

/// Prepares a request that must be accepted, without any refusals.
#[track_caller]
fn accepted(path: &str, body: &str) -> PreparedRequest {
    let refusals = UsageOptionRefusals::default();
    prepared(path, body, StreamUsage::Ask, &refusals).unwrap()
}

fn text(body: &BodyParts) -> String {
    String::from_utf8(body.clone().joined().to_vec()).unwrap()
}

fn asks_for_usage(body: &BodyParts) -> bool {
    let json: serde_json::Value = serde_json::from_str(&text(body)).unwrap();
    json["stream_options"]["include_usage"] == true
}

#[test]
fn streamed_chats_and_completions_are_edited_to_ask_for_usage() {
    for path in ["/v1/chat/completions", "/v1/completions"] {
        let request = accepted(path, STREAM);
        assert!(asks_for_usage(&request.body), "{path}");
        assert_eq!(text(&request.unedited.unwrap()), STREAM, "{path}");
        let expected = request.expected;
        assert!(expected.stream);
        assert_eq!(expected.usage_only_events, UsageOnlyEvents::TakeOut);
        assert_eq!(request.model, "m");
    }
}

#[test]
fn no_other_body_is_edited() {
    for (path, body) in [
        ("/v1/chat/completions", r#"{"model":"m"}"#),
        ("/v1/chat/completions", r#"{"model":"m","stream":false}"#),
        ("/v1/chat/completions", STREAM_ASKING),
        ("/v1/responses", STREAM),
        ("/v1/messages", STREAM),
        ("/v1/embeddings", STREAM),
        ("/v1/rerank", STREAM),
    ] {
        let request = accepted(path, body);
        assert_eq!(text(&request.body), body, "{path}");
        assert!(request.unedited.is_none(), "{path}");
        let policy = request.expected.usage_only_events;
        assert_eq!(policy, UsageOnlyEvents::Pass, "{path}");
    }
    let refusals = UsageOptionRefusals::default();
    let leave = prepared(
        "/v1/chat/completions",
        STREAM,
        StreamUsage::Leave,
        &refusals,
    );
    assert_eq!(text(&leave.unwrap().body), STREAM);
}

#[test]
fn an_edit_of_the_client_s_own_options_is_not_taken_back() {
    let body = r#"{"model":"m","stream":true,"stream_options":{"include_usage":false}}"#;
    let request = accepted("/v1/chat/completions", body);
    assert!(asks_for_usage(&request.body));
    assert!(request.unedited.is_none());
}

#[test]
fn a_model_that_refused_the_option_is_sent_the_body_as_it_came() {
    let refusals = UsageOptionRefusals::default();
    refusals.insert("m", Instant::now());
    let request = prepared("/v1/chat/completions", STREAM, StreamUsage::Ask, &refusals).unwrap();
    assert_eq!(text(&request.body), STREAM);
    assert!(request.unedited.is_none());
    let policy = request.expected.usage_only_events;
    assert_eq!(policy, UsageOnlyEvents::Pass);
    let other = STREAM.replace(r#""m""#, r#""n""#);
    let request = prepared("/v1/chat/completions", &other, StreamUsage::Ask, &refusals).unwrap();
    assert!(asks_for_usage(&request.body));
}

#[test]
fn a_body_longer_than_a_worker_searches_is_prepared_alike() {
    let filler = "x".repeat(MAX_SEARCHED_BY_WORKER_BYTES);
    let body = format!(r#"{{"model":"m","stream":true,"user":"{filler}"}}"#);
    let request = accepted("/v1/chat/completions", &body);
    assert!(asks_for_usage(&request.body) && request.expected.stream);
    assert_eq!(request.body.len(), text(&request.body).len());
}

#[test]
fn a_body_that_cannot_be_read_is_400_except_on_extra_endpoints() {
    for body in ["", "{", "[]", "{\"stream\":true}{}"] {
        let refusals = UsageOptionRefusals::default();
        let refused = prepared("/v1/chat/completions", body, StreamUsage::Ask, &refusals);
        let error = refused.err().unwrap();
        assert_eq!(error.status(), StatusCode::BAD_REQUEST, "{body}");
        let extra = accepted("/v1/rerank", body);
        assert_eq!((text(&extra.body).as_str(), extra.is_json), (body, false));
    }
}

#[test]
fn references_and_storage_are_found() {
    let body = r#"{"model":"m","previous_response_id":"resp_1","store":false,"input":"x"}"#;
    let request = accepted("/v1/responses", body);
    let ids: Vec<&str> = request
        .references
        .iter()
        .map(|found| &*found.claim.id)
        .collect();
    assert_eq!(ids, ["resp_1"]);
    assert!(request.concerns_objects() && !request.leaves_items() && !request.chooses_id());
    let body = r#"{"model":"m","conversation":"conv_1","store":false,"input":"x"}"#;
    assert!(accepted("/v1/responses", body).leaves_items());
    let body = r#"{"model":"m","request_id":"mine","input":"x"}"#;
    assert!(accepted("/v1/responses", body).chooses_id());
    let chat = accepted("/v1/chat/completions", r#"{"model":"m"}"#);
    assert!(!chat.concerns_objects());
}

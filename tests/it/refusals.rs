//! Refusals have the status, body and headers that tell each kind of client what to do next.

use serde_json::Value;

use crate::harness::{ASK, Answer, Backend, CHAT, Home, Proxy, Request, assert_openai_error};

fn upgrade(target: &str, key: &str) -> Request {
    Request::get(target)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .key(key)
}

#[test]
fn a_websocket_at_a_path_served_by_post_is_426() {
    for mode in ["off", "private"] {
        let backend = Backend::json("{}");
        let (proxy, key) = Home::new(&backend)
            .set("STATEFUL_ENDPOINTS", mode)
            .serve_alice();
        for target in [
            "/v1/responses",
            "/v1/responses?model=m",
            "/v1/completions",
            CHAT,
        ] {
            let answer = proxy.send(&upgrade(target, &key));
            let error = assert_openai_error(&answer, 426);
            assert!(
                error["message"].as_str().unwrap().contains("POST"),
                "{error}"
            );
        }
        let answer = proxy.send(&upgrade("/v1/nothing", &key));
        assert_openai_error(&answer, 404);
        assert!(backend.requests().is_empty());
    }
}

#[test]
fn a_trailing_slash_is_an_unknown_url() {
    let backend = Backend::json("{}");
    let (proxy, key) = Home::new(&backend).serve_alice();
    for path in [
        "/v1/chat/completions/",
        "/v1/responses/",
        "/v1/messages/",
        "/v1/realtime/",
        "/v1/embeddings/",
        "/v1/chat/completions//",
        "/v1/responses%2F",
        "/v1/responses/%2f/",
    ] {
        for request in [Request::post(path, ASK), Request::get(path)] {
            let answer = proxy.send(&request.key(&key));
            let code = match path {
                "/v1/messages/" => anthropic_error(&answer, 404),
                _ => assert_openai_error(&answer, 404)["code"].clone(),
            };
            assert!(["unknown_url", "not_found_error"].contains(&code.as_str().unwrap()));
        }
    }
}

#[test]
fn a_message_says_what_is_wrong_with_a_key_or_a_body() {
    let backend = Backend::json("{}");
    let (proxy, key) = Home::new(&backend).serve_alice();
    let says = |request: Request, status: u16, words: &str| {
        let answer = proxy.send(&request);
        let error = assert_openai_error(&answer, status);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    };
    let chat = || Request::post(CHAT, ASK);
    let quoted = format!("\"{key}\"");
    says(chat().header("x-api-key", &quoted), 401, "quotes");
    says(
        chat().header("authorization", &format!("Bearer '{key}'")),
        401,
        "quotes",
    );
    let two = chat()
        .header("api-key", &key)
        .header("x-api-key", "llmp-other");
    says(two, 401, "two different keys");
    says(
        Request::post(CHAT, "")
            .key(&key)
            .header("content-type", "application/json"),
        400,
        "empty",
    );
    says(
        Request::new("PUT", "/v1/files/file-1").key(&key),
        405,
        "GET and DELETE only",
    );
    assert!(backend.requests().is_empty());
}

/// Checks Anthropic's shape; the error's type.
#[track_caller]
fn anthropic_error(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["type"], "error", "{answer:?}");
    assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    assert_eq!(body["request_id"].as_str(), answer.header("request-id"));
    assert_eq!(answer.header("x-request-id"), answer.header("request-id"));
    body["error"]["type"].clone()
}

#[test]
fn errors_at_anthropic_s_paths_have_anthropic_s_shape() {
    let backend = Backend::start(|_, wire| wire.close());
    let (proxy, key) = Home::new(&backend).serve_alice();
    let send = |request: Request| proxy.send(&request);
    for (request, status, kind) in [
        (
            Request::post("/v1/messages", "{").key(&key),
            400,
            "invalid_request_error",
        ),
        (
            Request::post("/v1/messages", "{}").key("llmp-x"),
            401,
            "authentication_error",
        ),
        (
            Request::post("/v1/messages/batches", "{}").key(&key),
            404,
            "not_found_error",
        ),
        (
            Request::get("/v1/messages").key(&key),
            405,
            "invalid_request_error",
        ),
        (
            Request::post("/v1/messages", r#"{"model":"m","messages":[]}"#).key(&key),
            502,
            "api_error",
        ),
    ] {
        assert_eq!(anthropic_error(&send(request), status), kind);
    }
    assert_eq!(proxy.cli(&["user", "forbid", "alice"]).code, Some(0));
    crate::harness::wait_until("the key is refused", crate::harness::PATIENCE, || {
        send(Request::post("/v1/messages/count_tokens", "{}").key(&key)).status == 403
    });
    assert_openai_error(&send(Request::post("/v1/messages2", "{}").key(&key)), 404);
}

fn says_never(proxy: &Proxy, request: &Request, status: u16) {
    let answer = proxy.send(request);
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("x-should-retry"), Some("false"), "{answer:?}");
}

#[test]
fn errors_that_a_retry_cannot_fix_say_so() {
    let backend = Backend::json("{}");
    let (proxy, key) = Home::new(&backend)
        .set("MAX_BODY_SIZE", "1KiB")
        .serve_alice();
    let long = format!(r#"{{"model":"{}"}}"#, "x".repeat(2_000));
    let encoded = Request::post(CHAT, ASK).header("content-encoding", "gzip");
    for (request, status) in [
        (Request::post(CHAT, ASK), 401),
        (Request::post(CHAT, ASK).key("llmp-wrong"), 401),
        (Request::post("/v1/nothing", ASK).key(&key), 404),
        (Request::get("/v1/responses").key(&key), 404),
        (Request::new("PUT", CHAT).key(&key), 405),
        (Request::post(CHAT, long).key(&key), 413),
        (encoded.key(&key), 415),
        (upgrade("/v1/responses", &key), 426),
        (Request::post(CHAT, "[]").key(&key), 400),
    ] {
        says_never(&proxy, &request, status);
    }
    assert_eq!(proxy.cli(&["user", "forbid", "alice"]).code, Some(0));
    crate::harness::wait_until("the key is refused", crate::harness::PATIENCE, || {
        proxy.chat(&key, ASK).status == 403
    });
    says_never(&proxy, &Request::post(CHAT, ASK).key(&key), 403);
}

#[test]
fn anthropic_s_request_id_is_booked_if_it_is_the_only_one() {
    for (headers, expected) in [
        (&[("request-id", "req_a")][..], "req_a"),
        (
            &[("request-id", "req_a"), ("x-request-id", "req_b")],
            "req_b",
        ),
    ] {
        let backend = Backend::start(move |_, wire| {
            let json = ("content-type", "application/json");
            wire.answer("200 OK", &[&[json], headers].concat(), "{}");
        });
        let (proxy, key) = Home::new(&backend).serve_alice();
        proxy.send(&Request::post("/v1/messages", "{}").key(&key));
        let row = proxy.only_row();
        assert_eq!(row.backend_request_id.as_deref(), Some(expected));
    }
}

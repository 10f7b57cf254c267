//! A request is sent once more without the usage option if the backend refuses the option.

use crate::harness::{
    ASK_STREAM, Backend, CHAT, DONE, Home, PATIENCE, Request, ask_stream, assert_openai_error,
    delta, wait_until,
};

const JSON: (&str, &str) = ("content-type", "application/json");
const REFUSAL: &str = r#"{"error":{"message":"Unknown parameter: 'stream_options'.","type":"invalid_request_error","param":"stream_options","code":null}}"#;

/// A backend that refuses `stream_options` with this status.
fn refusing(status: &'static str) -> Backend {
    Backend::start(move |request, wire| {
        if request.text().contains("stream_options") {
            return wire.answer(status, &[JSON], REFUSAL);
        }
        wire.sse(&[delta(" word"), delta(" word"), DONE.to_owned()]);
    })
}

#[test]
fn a_refused_option_is_left_out_and_the_model_remembered() {
    for status in ["400 Bad Request", "422 Unprocessable Content"] {
        let backend = refusing(status);
        let (proxy, key) = Home::new(&backend).serve_alice();
        let answer = proxy.chat(&key, ASK_STREAM);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.text(),
            [delta(" word"), delta(" word"), DONE.to_owned()].concat()
        );
        assert_eq!(backend.requests().len(), 2);
        assert_eq!(backend.last().text(), ASK_STREAM);
        let row = proxy.only_row();
        assert_eq!((row.output, row.labels()), (2, ["completed", "estimate"]));
        proxy.chat(&key, ASK_STREAM);
        assert_eq!(backend.requests().len(), 3, "the model is remembered");
        proxy.chat(&key, &ask_stream("another"));
        assert_eq!(backend.requests().len(), 5, "another may know the option");
        wait_until("each model is logged once", PATIENCE, || {
            proxy.log().matches("STREAM_USAGE").count() == 2
        });
        assert_eq!(proxy.rows().len(), 3);
    }
}

#[test]
fn a_refusal_of_the_client_s_own_option_is_passed_on() {
    let backend = refusing("400 Bad Request");
    let (proxy, key) = Home::new(&backend).serve_alice();
    let body = r#"{"model":"m","stream":true,"stream_options":{"x":1},"messages":[]}"#;
    let answer = proxy.chat(&key, body);
    assert_eq!((answer.status, answer.text().as_str()), (400, REFUSAL));
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn other_refusals_are_passed_unchanged() {
    let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(200_000));
    for (status, body) in [
        (
            "400 Bad Request",
            r#"{"error":{"message":"no such model"}}"#,
        ),
        ("422 Unprocessable Content", ""),
        ("400 Bad Request", &long),
        ("404 Not Found", REFUSAL),
    ] {
        let sent = body.to_owned();
        let backend = Backend::start(move |request, wire| {
            if request.model() == "chunked" {
                wire.head(status, &[JSON, ("transfer-encoding", "chunked")]);
                if !sent.is_empty() {
                    wire.chunk(&sent);
                }
                return wire.end();
            }
            wire.answer(status, &[JSON], &sent);
        });
        let (proxy, key) = Home::new(&backend).serve_alice();
        for model in ["m", "chunked"] {
            let answer = proxy.chat(&key, &ask_stream(model));
            assert_eq!(answer.status.to_string(), status[..3]);
            assert!(
                answer.clean && answer.text() == body,
                "{}",
                answer.text().len()
            );
        }
        assert_eq!(backend.requests().len(), 2);
        assert_eq!(proxy.rows().len(), 2);
    }
}

#[test]
fn a_refusal_that_breaks_off_breaks_off() {
    let backend = Backend::start(|_, wire| {
        wire.head("400 Bad Request", &[JSON, ("content-length", "500")]);
        wire.write("{\"error\":\"stream_options\"");
        wire.close();
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let answer = proxy
        .start(&Request::post(CHAT, ASK_STREAM).key(&key))
        .try_answer();
    assert!(answer.is_none_or(|answer| !answer.clean));
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_backend_that_is_down_on_the_retry_is_502() {
    let backend = Backend::start(|request, wire| {
        if request.text().contains("stream_options") {
            return wire.answer("400 Bad Request", &[JSON], REFUSAL);
        }
        wire.close();
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let answer = proxy.chat(&key, ASK_STREAM);
    assert_openai_error(&answer, 502);
    assert!(proxy.rows().is_empty(), "{:?}", proxy.rows());
}

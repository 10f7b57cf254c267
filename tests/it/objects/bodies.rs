//! A body must be JSON in UTF-8 and belong to its method. Other bodies are dropped or refused.

use serde_json::json;

use super::{Shelf, post, two_users};
use crate::harness::{Backend, Home, Proxy, Request, ask, assert_openai_error, chat_completion};

const RESPONSES: &str = "/v1/responses";

/// A request that a backend would find if it left the body before it unread.
const SMUGGLED: &str = "GET /v1/files HTTP/1.1\r\nX-Ignore: ";

fn with_body(method: &str, target: &str, body: &str) -> Request {
    let request = Request::new(method, target).header("content-length", &body.len().to_string());
    // The harness sends a body of its own accord with POST only.
    request.with_body(body)
}

#[test]
fn a_body_on_a_bodiless_method_is_dropped() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    let made = |path: &str| super::id_of(&post(&proxy, &alice, path, &json!({"model": "m"})));
    let response = format!("/v1/responses/{}", made("/v1/responses"));
    let container = format!("/v1/containers/{}", made("/v1/containers"));
    let upload = format!("/v1/uploads/{}/cancel", made("/v1/uploads"));
    for (method, target) in [
        ("GET", "/v1/models".to_owned()),
        ("GET", response.clone()),
        ("GET", "/v1/files".to_owned()),
        ("POST", format!("{response}/cancel")),
        ("POST", upload),
        ("DELETE", container),
        ("DELETE", response),
    ] {
        for body in [SMUGGLED, "{}", "null"] {
            proxy.send(&with_body(method, &target, body).key(&alice));
            let seen = shelf.backend.last();
            assert!(seen.body.is_empty(), "{method} {target}: {}", seen.text());
            assert_eq!(seen.header("transfer-encoding"), None);
            let length = (method == "POST").then_some("0");
            assert_eq!(seen.header("content-length"), length, "{}", seen.head);
        }
    }
}

#[test]
fn a_dropped_body_in_chunks_leaves_the_connection_usable() {
    let backend = Backend::json(r#"{"object":"list","data":[]}"#);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut connection = proxy.open();
    for _ in 0..2 {
        let request = Request::get("/v1/models").header("transfer-encoding", "chunked");
        connection.send(&request.with_body("5\r\nGET /\r\n0\r\n\r\n").key(&key));
        assert_eq!(connection.answer().status, 200);
        assert_eq!(backend.last().header("transfer-encoding"), None);
        assert!(backend.last().body.is_empty());
    }
    let long = "x".repeat(200_000);
    let answer = proxy.send(&with_body("GET", "/v1/models", &long).key(&key));
    assert_openai_error(&answer, 413);
}

#[test]
fn an_extra_endpoint_takes_no_body_with_get_head_or_delete() {
    let backend = Backend::json("{}");
    let (proxy, key) = Home::new(&backend)
        .set("EXTRA_ENDPOINTS", "/v1/rerank")
        .serve_alice();
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        for kind in ["application/json", "application/octet-stream"] {
            let request = with_body(method, "/v1/rerank", SMUGGLED).header("content-type", kind);
            let mut connection = proxy.open();
            connection.send(&request.key(&key));
            assert_eq!(connection.head().status, 400, "{method}");
        }
        let mut connection = proxy.open();
        connection.send(&Request::new(method, "/v1/rerank").key(&key));
        assert_eq!(connection.head().status, 200, "{method}");
    }
    let answer = proxy.send(&Request::post("/v1/rerank", r#"{"q":1}"#).key(&key));
    assert_eq!(
        (answer.status, backend.last().text().as_str()),
        (200, r#"{"q":1}"#)
    );
}

fn typed(target: &str, types: &[&str], key: &str, body: &[u8]) -> Request {
    let mut request = Request::post(target, body).without("content-type").key(key);
    for kind in types {
        request = request.header("content-type", kind);
    }
    request
}

#[test]
fn only_utf_8_json_is_accepted_as_json() {
    let backend = Backend::json("{}");
    let home = Home::new(&backend)
        .set("STATEFUL_ENDPOINTS", "private")
        .set("EXTRA_ENDPOINTS", "/v1/rerank");
    let (proxy, key) = home.serve_alice();
    let refused: [&[&str]; 25] = [
        &["application/x-www-form-urlencoded"],
        &["text/plain"],
        &["text/json"],
        &["multipart/form-data; boundary=XX"],
        &["application/json", "application/x-www-form-urlencoded"],
        &["application/json", "application/json"],
        &["application/x-www-form-urlencoded", "application/json"],
        &["application/json, application/x-www-form-urlencoded"],
        &["application/x-www-form-urlencoded, application/json"],
        &["application/x-www-form-urlencoded;+json"],
        &["application/x-www-form-urlencoded+json, a/b+json"],
        &["application/json; charset=utf-7"],
        &["application/json; charset=\"utf-7\""],
        &["application/json;charset=UTF-16"],
        &["application/json; charset=utf-16le"],
        &["application/json; charset=unicode_escape"],
        &["application/json; charset=utf-8; charset=utf-7"],
        &["application/json; charset=utf-8; Charset=utf-8"],
        &["application/json; charset*=utf-7''x"],
        &["application/json; charset*0=utf; charset*1=-7"],
        &["application/json; x=\"; charset=utf-7\""],
        &["application/json; xcharset=utf-7"],
        &["application/json; x=y charset=utf-7"],
        &["application/json charset=utf-7"],
        &[""],
    ];
    for types in refused {
        let answer = proxy.send(&typed(RESPONSES, types, &key, br#"{"model":"m"}"#));
        let error = assert_openai_error(&answer, 415);
        assert_eq!(error["code"], "unsupported_media_type", "{types:?}");
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("application/json")
        );
    }
    // Where forms and anything are taken, what calls itself JSON must be that.
    for target in ["/v1/images/edits", "/v1/rerank"] {
        for types in [
            &["application/json; charset=utf-7"][..],
            &["application/json", "application/x-www-form-urlencoded"],
            &["application/x-www-form-urlencoded", "application/json"],
            &["multipart/form-data; boundary=XX; charset=utf-7"],
        ] {
            let answer = proxy.send(&typed(target, types, &key, b"{}"));
            assert_eq!(answer.status, 415, "{target} {types:?}");
        }
    }
    let kind = "multipart/form-data; boundary=XX";
    for target in ["/v1/images/edits", "/v1/rerank"] {
        let request = typed(target, &[kind], &key, b"{}").header("connection", "content-type");
        assert_openai_error(&proxy.send(&request), 415);
    }
    assert!(backend.requests().is_empty());
}

#[test]
fn forwarded_bodies_are_labelled_as_json() {
    let backend = Backend::json(chat_completion(1, 1));
    let (proxy, key) = Home::new(&backend).serve_alice();
    let types: [&[&str]; 8] = [
        &[],
        &["application/json"],
        &["Application/JSON"],
        &["application/json; charset=utf-8"],
        &["application/json;charset=\"UTF-8\";"],
        &["application/json; charset=utf8"],
        &["application/json; version=1"],
        &["application/vnd.api+json"],
    ];
    for types in types {
        let body = ask("m");
        let target = "/v1/chat/completions";
        let answer = proxy.send(&typed(target, types, &key, body.as_bytes()));
        assert_eq!(answer.status, 200, "{types:?}: {}", answer.text());
        let seen = backend.last();
        assert_eq!(seen.all("content-type"), ["application/json"], "{types:?}");
        assert_eq!(seen.body, body.as_bytes());
    }
    let named = typed("/v1/chat/completions", &["application/json"], &key, b"{}")
        .header("connection", "content-type");
    assert_eq!(proxy.send(&named).status, 200);
    assert_eq!(backend.last().all("content-type"), ["application/json"]);
}

/// Both with stored objects closed and open.
fn in_both_modes(check: impl Fn(&Proxy, &str, &Backend)) {
    for setting in ["off", "private"] {
        let backend = Backend::json("{}");
        let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", setting);
        let (proxy, key) = home.serve_alice();
        check(&proxy, &key, &backend);
    }
}

#[test]
fn a_body_that_is_not_utf_8_is_refused_whatever_its_label() {
    let utf_16 = |little: bool| -> Vec<u8> {
        let units = r#"{"model":"m"}"#.encode_utf16();
        units
            .flat_map(|unit| {
                if little {
                    unit.to_le_bytes()
                } else {
                    unit.to_be_bytes()
                }
            })
            .collect()
    };
    let bodies: [Vec<u8>; 7] = [
        b"{\"model\":\"m\",\"user\":\"\xff\"}".to_vec(),
        b"{\"model\":\"m\",\"\xc0\xa0\":1}".to_vec(),
        b"{\"model\":\"m\",\"x\":\"\xed\xa0\x80\"}".to_vec(),
        b"\xef\xbb\xbf{\"model\":\"m\"}".to_vec(),
        utf_16(true),
        utf_16(false),
        b"{\"model\":\"m\"}\0".to_vec(),
    ];
    in_both_modes(|proxy, key, backend| {
        for target in ["/v1/chat/completions", RESPONSES, "/v1/embeddings"] {
            for body in &bodies {
                let answer = proxy.send(&Request::post(target, body.clone()).key(key));
                assert_openai_error(&answer, 400);
            }
        }
        assert!(backend.requests().is_empty());
        let text = "{\"model\":\"m\",\"input\":\"é日\u{1f600}\"}";
        assert_eq!(
            proxy.send(&Request::post(RESPONSES, text).key(key)).status,
            200
        );
    });
}

#[test]
fn no_request_may_override_its_method_or_path() {
    let backend = Backend::json("{}");
    let home = Home::new(&backend)
        .set("STATEFUL_ENDPOINTS", "private")
        .set("EXTRA_ENDPOINTS", "/v1/rerank");
    let (proxy, key) = home.serve_alice();
    for query in [
        "_method=DELETE",
        "_METHOD=DELETE",
        "a=b&_method=DELETE",
        "a=b;_method=DELETE",
        "%5Fmethod=DELETE",
        "%255fmethod=DELETE",
        "_method[]=DELETE",
        ".method=DELETE",
        "X-HTTP-Method-Override=DELETE",
        "x_http_method_override=DELETE",
        "x-http-method=DELETE",
        "X-Original-URL=/v1/files",
        "x-rewrite-url=/v1/files",
    ] {
        for path in ["/v1/models", "/v1/files", "/v1/rerank"] {
            let answer = proxy.send(&Request::get(&format!("{path}?{query}")).key(&key));
            assert_openai_error(&answer, 400);
        }
    }
    for name in [
        "_method",
        "_METHOD",
        "_Method",
        "X-HTTP-Method-Override",
        "x_http_method_override",
    ] {
        for target in [RESPONSES, "/v1/chat/completions", "/v1/rerank"] {
            let answer = post(&proxy, &key, target, &json!({"model": "m", name: "DELETE"}));
            assert_openai_error(&answer, 400);
        }
        let form = format!(
            "--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nDELETE\r\n--XX--\r\n"
        );
        let kind = "multipart/form-data; boundary=XX";
        for target in ["/v1/images/edits", "/v1/rerank"] {
            let answer = proxy.send(&typed(target, &[kind], &key, form.as_bytes()));
            assert_openai_error(&answer, 400);
        }
    }
    assert!(backend.requests().is_empty());
    let own_words = json!({"model": "m", "method": "x", "metadata": {"_method": "x"}});
    assert_eq!(post(&proxy, &key, RESPONSES, &own_words).status, 200);
    let query = Request::get("/v1/models?method=x&my_method=y").key(&key);
    assert_eq!(proxy.send(&query).status, 200);
}

#[test]
fn a_query_with_a_stored_object_s_id_is_refused() {
    let backend = Backend::json("{}");
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (proxy, key) = home.serve_alice();
    for query in [
        "previous_response_id=resp_1",
        "previousResponseId=resp_1",
        "a=b&file%5Fid=file-1",
        "file_ids[]=file-1",
        "conversation=conv_1",
        "conversation[id]=conv_1",
    ] {
        let target = format!("{RESPONSES}?{query}");
        let answer = post(&proxy, &key, &target, &json!({"model": "m"}));
        assert_openai_error(&answer, 400);
    }
    assert!(backend.requests().is_empty());
    let target = "/v1/responses?api-version=2025-01-01&include[]=x&order=asc";
    assert_eq!(
        post(&proxy, &key, target, &json!({"model": "m"})).status,
        200
    );
}

//! What the backend gets of a request.

use serde_json::json;

use crate::harness::{
    ASK, ASK_STREAM, BACKEND_KEY, Backend, CHAT, Home, Request, assert_openai_error,
    chat_completion,
};

#[test]
fn secrets_and_hop_by_hop_headers_are_removed() {
    let backend = Backend::json(chat_completion(1, 1));
    let (proxy, key) = Home::new(&backend).serve_alice();
    let kept_back = [
        ("api-key", key.as_str()),
        ("Cookie", "session=secret-1"),
        ("Forwarded", "for=secret-2"),
        ("X-Forwarded-For", "secret-3"),
        ("X-Forwarded-Host", "secret-4"),
        ("X-Forwarded-Proto", "secret-5"),
        ("X-Real-IP", "secret-6"),
        ("Proxy-Authorization", "Basic secret-7"),
        ("Proxy-Connection", "secret-8"),
        ("OpenAI-Organization", "secret-9"),
        ("OpenAI-Project", "secret-10"),
        ("Keep-Alive", "timeout=5, secret-11"),
        ("TE", "trailers, secret-12"),
        ("X-Named", "secret-13"),
    ];
    let mut request = Request::post(CHAT, ASK)
        .key(&key)
        .header("Connection", "keep-alive, X-Named");
    for (name, value) in kept_back {
        request = request.header(name, value);
    }
    assert_eq!(proxy.send(&request).status, 200);

    let seen = backend.last();
    for (name, _) in kept_back {
        assert_eq!(seen.header(name), None, "{name} crossed: {}", seen.head);
    }
    assert!(
        !seen.head.contains("secret-1") && !seen.head.contains(&key),
        "{}",
        seen.head
    );
    assert!(
        !seen
            .header("connection")
            .unwrap_or_default()
            .contains("X-Named"),
        "{}",
        seen.head
    );
    assert_eq!(seen.all("authorization"), [format!("Bearer {BACKEND_KEY}")]);
    assert_eq!(seen.all("host"), [backend.authority()]);
}

#[test]
fn the_clients_own_headers_cross_with_values_and_order() {
    let backend = Backend::json(chat_completion(1, 1));
    let (proxy, key) = Home::new(&backend).serve_alice();
    let crossing = [
        ("Content-Type", "application/json"),
        ("User-Agent", "OpenAI/Python 1.66.0"),
        ("Accept", "application/json"),
        ("OpenAI-Beta", "assistants=v2"),
        ("X-Stainless-Lang", "python"),
        ("X-Client-Request-Id", "0195-abc"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("X-Empty", ""),
        ("X-Odd", "a,b; c=\"d\"  e"),
    ];
    let mut request = Request::post(CHAT, ASK).without("content-type").key(&key);
    for (name, value) in crossing {
        request = request.header(name, value);
    }
    let request = request
        .header("X-Twice", "first")
        .header("X-Twice", "second");
    assert_eq!(proxy.send(&request).status, 200);

    let seen = backend.last();
    for (name, value) in crossing {
        assert_eq!(seen.all(name), [value], "{name}: {}", seen.head);
    }
    assert_eq!(seen.all("x-twice").join(", "), "first, second");
    assert_eq!(seen.all("content-length"), [ASK.len().to_string()]);
}

#[test]
fn the_backend_is_never_asked_for_a_coding_that_hides_the_usage() {
    let backend = Backend::json(chat_completion(1, 1));
    let (proxy, key) = Home::new(&backend).serve_alice();
    proxy.send(
        &Request::post(CHAT, ASK)
            .key(&key)
            .header("Accept-Encoding", "gzip, br, zstd"),
    );
    let seen = backend.last();
    assert!(
        matches!(seen.header("accept-encoding"), None | Some("identity")),
        "{}",
        seen.head
    );
}

#[test]
fn the_operator_s_organization_replaces_the_client_s() {
    let backend = Backend::json(chat_completion(1, 1));
    let home = Home::new(&backend)
        .set("OPENAI_ORG_ID", "org-ours")
        .set("OPENAI_PROJECT_ID", "proj-ours");
    let (proxy, key) = home.serve_alice();
    let request = Request::post(CHAT, ASK).key(&key);
    proxy.send(
        &request
            .header("OpenAI-Organization", "org-theirs")
            .header("OpenAI-Project", "proj-theirs"),
    );
    assert_eq!(backend.last().all("openai-organization"), ["org-ours"]);
    assert_eq!(backend.last().all("openai-project"), ["proj-ours"]);
}

#[test]
fn an_empty_backend_key_sends_no_authorization() {
    let backend = Backend::json(chat_completion(1, 1));
    let (proxy, key) = Home::new(&backend).set("OPENAI_API_KEY", "").serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    assert_eq!(backend.last().header("authorization"), None);
}

#[test]
fn the_azure_way_to_give_the_key_works() {
    let backend = Backend::json(chat_completion(1, 1));
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(
        proxy
            .send(&Request::post(CHAT, ASK).header("api-key", &key))
            .status,
        200
    );
    assert_eq!(backend.last().header("api-key"), None);
    assert_eq!(
        proxy
            .send(&Request::post(CHAT, ASK).header("api-key", "llmp-nobody"))
            .status,
        401
    );
}

#[test]
fn the_body_reaches_the_backend_byte_for_byte() {
    let backend = Backend::chats(1, 1);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let bodies = [
        "\r\n\t { \"model\" :\t\"m\" , \"messages\" : [ ] }\n\n ",
        r#"{"model":"a","model":"b","messages":[],"x":1,"x":2}"#,
        r#"{"temperature":1.0,"top_p":1e0,"seed":-0,"big":123456789012345678901234567890,"tiny":1E-400,"model":"m"}"#,
        r#"{"mod\u0065l":"\u006d\/","messages":[{"role":"user","content":"\ud83d\ude00 \u0000 é 😀"}]}"#,
        r#"{"unknown":{"stream":true,"stream_options":null},"messages":[{"stream":true}],"model":"m"}"#,
        r#"{"model":"m","stream":false,"stream_options":{"include_usage":true}}"#,
        r#"{"model":"m","stream":null}"#,
        r"{}",
        r#" {"stream_options" : {"include_usage" :true , "x":1.50} ,"model":"m","stream": true } "#,
        r#"{"stream":true,"stream_options":{"include_usage":false},"stream_options":{"include_usage":true},"model":"m"}"#,
    ];
    for body in bodies {
        let answer = proxy.chat(&key, body);
        assert_eq!(answer.status, 200, "{body}: {answer:?}");
        assert_eq!(backend.last().text(), body);
    }
}

#[test]
fn a_body_of_megabytes_reaches_the_backend_complete() {
    let backend = Backend::chats(1, 1);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let picture: Vec<String> = (0..300_000).map(|n| n.to_string()).collect();
    let picture = picture.join("iVBORw");
    let text = "A \"quoted\" word.\n".repeat(100_000);
    let messages =
        json!([{"role": "user", "content": [text, picture]}, {"role": "user", "content": text}]);
    for (options, edited) in [
        ("", ""),
        (
            r#","stream":true,"stream_options":{}"#,
            r#","stream":true,"stream_options":{"include_usage":true}"#,
        ),
    ] {
        let body = |options| format!(r#"{{"messages":{messages},"model":"m"{options}}}"#);
        assert_eq!(proxy.chat(&key, &body(options)).status, 200);
        assert!(
            backend.last().body == body(edited).as_bytes(),
            "the body changed on its way"
        );
    }
    assert_eq!(proxy.rows().len(), 2);
}

#[test]
fn a_body_sent_in_chunks_reaches_the_backend_complete() {
    let backend = Backend::json(chat_completion(1, 1));
    let (proxy, key) = Home::new(&backend).serve_alice();
    let (front, back) = ASK.split_at(20);
    let chunks = format!(
        "{:x}\r\n{front}\r\n{:x};ext=1\r\n{back}\r\n0\r\n\r\n",
        front.len(),
        back.len()
    );
    let request = Request::post(CHAT, chunks)
        .key(&key)
        .header("Transfer-Encoding", "chunked");
    assert_eq!(proxy.send(&request).status, 200);
    assert_eq!(backend.last().text(), ASK);
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it() {
    let backend = Backend::json(chat_completion(1, 1));
    let (proxy, key) = Home::new(&backend).serve_alice();
    let head = Request::post(CHAT, "")
        .key(&key)
        .header("Expect", "100-continue");
    let head = head.header("Content-Length", &ASK.len().to_string());
    let mut connection = proxy.start(&head);
    assert_eq!(connection.head().status, 100);
    connection.send_bytes(ASK.as_bytes());
    assert_eq!(connection.answer().status, 200);
    assert_eq!(backend.last().text(), ASK);
}

#[test]
fn an_h2c_upgrade_offer_is_removed() {
    let backend = Backend::json(chat_completion(1, 1));
    let (proxy, key) = Home::new(&backend).serve_alice();
    // What Java's HttpClient sends with its first request to a plain-text server.
    let request = Request::post(CHAT, ASK)
        .key(&key)
        .header("Connection", "Upgrade, HTTP2-Settings");
    let request = request
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA");
    let mut connection = proxy.start(&request);
    let answer = connection.answer();
    assert_eq!((answer.status, answer.text()), (200, chat_completion(1, 1)));
    assert_eq!(answer.all("connection"), ["close"], "as it is closed");
    assert!(connection.raw_rest().is_empty());
    assert_eq!(backend.last().header("upgrade"), None);
    assert_eq!(backend.last().header("http2-settings"), None);
    assert_eq!(backend.last().text(), ASK);
}

#[test]
fn requests_sent_in_one_packet_are_answered_in_order() {
    let backend =
        Backend::start(|request, wire| wire.json(&format!(r#"{{"for":"{}"}}"#, request.model())));
    let (proxy, key) = Home::new(&backend).serve_alice();
    let models = ["a", "b", "c", "d", "e"];
    let requests = models.map(|model| {
        Request::post(CHAT, crate::harness::ask(model))
            .key(&key)
            .bytes("localhost")
    });
    let mut connection = proxy.open();
    connection.send_bytes(&requests.concat());
    for model in models {
        assert_eq!(connection.answer().json()["for"], model);
    }
}

#[test]
fn path_and_query_go_on_as_they_came() {
    let backend = Backend::start(|request, wire| {
        wire.json(&format!(r#"{{"target":"{}"}}"#, request.target()));
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let target = "/v1/chat/completions?api-version=2024-10-21&q=%2Fa%20b+c&empty&=x";
    proxy.send(&Request::post(target, ASK).key(&key));
    assert_eq!(backend.last().target(), target);
    for target in [
        "/v1/models?limit=20",
        "/v1/models/ft:gpt-4.1:my-org::7p4lURel",
        "/v1/models/meta-llama%2FLlama-3.1-8B",
    ] {
        assert_eq!(
            proxy.send(&Request::get(target).key(&key)).status,
            200,
            "{target}"
        );
        assert_eq!(backend.last().target(), target);
    }
}

#[test]
fn a_backend_url_may_have_a_path_and_may_end_in_v1() {
    let backend = Backend::json(chat_completion(1, 1));
    let forms = [("/", CHAT), ("/v1", CHAT), ("/v1/", CHAT)];
    let prefixed = [
        ("/openai", "/openai/v1/chat/completions"),
        ("/a/b/", "/a/b/v1/chat/completions"),
    ];
    let both = [("/api/v1", "/api/v1/chat/completions")];
    for (suffix, expected) in forms.into_iter().chain(prefixed).chain(both) {
        let (proxy, key) = Home::with_backend_url(&(backend.url() + suffix)).serve_alice();
        assert_eq!(proxy.chat(&key, ASK_STREAM).status, 200, "{suffix}");
        assert_eq!(
            backend.last().target(),
            expected,
            "OPENAI_BACKEND_URL ends in {suffix}"
        );
    }
}

#[test]
fn a_path_that_could_mean_another_one_is_not_served() {
    let backend = Backend::json("{}");
    let (proxy, key) = Home::new(&backend).serve_alice();
    let strange = [
        "//v1/models",
        "/v1//models",
        "/v1/models//x",
        "/v1/./models",
        "/v1/models/.",
        "/v1/models/..",
        "/v1/models/../chat/completions",
        "/v1/%2e/models",
        "/v1/%2E%2e/admin/list_users",
        "/v1/models/%2e%2e",
        "/v1/models/.%2E/x",
        "/v1/models/a%2f..%2fb",
    ];
    for target in strange {
        let error = assert_openai_error(&proxy.send(&Request::get(target).key(&key)), 404);
        assert_eq!(error["code"], "unknown_url", "{target}");
        assert_eq!(error["type"], "invalid_request_error", "{target}");
    }
    assert!(backend.requests().is_empty());
}

#[test]
fn an_unknown_path_is_404_and_a_wrong_method_405() {
    let backend = Backend::json("{}");
    let (proxy, key) = Home::new(&backend).serve_alice();
    for target in [
        "/v1/nothing",
        "/v1",
        "/v1/chat",
        "/v1/chat/completionsx",
        "/v2/models",
    ] {
        let error = assert_openai_error(&proxy.send(&Request::get(target).key(&key)), 404);
        assert_eq!(error["code"], "unknown_url", "{target}");
    }
    let stored = proxy.send(&Request::get("/v1/responses").key(&key));
    assert_eq!(assert_openai_error(&stored, 404)["code"], "endpoint_closed");
    let wrong = [
        ("DELETE", CHAT),
        ("GET", "/v1/completions"),
        ("POST", "/v1/models"),
        ("PUT", "/v1/models/x"),
    ];
    for (method, target) in wrong {
        let answer = proxy.send(&Request::new(method, target).key(&key));
        assert_openai_error(&answer, 405);
        assert!(
            answer.header("allow").is_some(),
            "RFC 9110 section 15.5.6 wants Allow: {answer:?}"
        );
    }
    assert!(backend.requests().is_empty());
}

//! `OPENAI_BASE_URL` means what it means to SDKs, for every served path.

use crate::harness::{ASK, Backend, CHAT, Home, Request, chat_completion};

fn with_base(url: &str) -> Home {
    Home::with_backend_url("")
        .unset("OPENAI_BACKEND_URL")
        .set("OPENAI_BASE_URL", url)
}

#[test]
fn a_path_is_appended_to_the_base_url_without_its_v1() {
    let backend = Backend::json(chat_completion(1, 1));
    for (base, chat) in [
        ("", "/chat/completions"),
        ("/", "/chat/completions"),
        ("/v1", CHAT),
        ("/v1/", CHAT),
        ("/v1beta/openai", "/v1beta/openai/chat/completions"),
        ("/v1beta/openai/", "/v1beta/openai/chat/completions"),
        ("/api/paas/v4", "/api/paas/v4/chat/completions"),
        ("/a/v1/b", "/a/v1/b/chat/completions"),
    ] {
        let (proxy, key) = with_base(&(backend.url() + base)).serve_alice();
        assert_eq!(proxy.chat(&key, ASK).status, 200, "{base}");
        assert_eq!(backend.last().target(), chat, "{base}");
    }
}

#[test]
fn every_served_path_and_its_query_go_below_the_base_url() {
    let backend = Backend::json(r#"{"object":"list","data":[],"has_more":false}"#);
    let base = format!("{}/api/paas/v4", backend.url());
    let home = with_base(&base)
        .set("STATEFUL_ENDPOINTS", "private")
        .set("EXTRA_ENDPOINTS", "/v1/rerank,/tokenize,/v1x,/v1/score/*");
    let (proxy, key) = home.serve_alice();
    for (method, target, expected) in [
        ("GET", "/v1/models", "/api/paas/v4/models"),
        (
            "GET",
            "/v1/models/a%2Fb?x=/v1/y",
            "/api/paas/v4/models/a%2Fb?x=/v1/y",
        ),
        ("POST", "/v1/embeddings?q=1", "/api/paas/v4/embeddings?q=1"),
        ("POST", "/v1/messages", "/api/paas/v4/messages"),
        ("POST", "/v1/rerank", "/api/paas/v4/rerank"),
        ("POST", "/v1/score/v1/x", "/api/paas/v4/score/v1/x"),
        // What does not begin with /v1 is appended as it is.
        ("POST", "/tokenize", "/api/paas/v4/tokenize"),
        ("POST", "/v1x", "/api/paas/v4/v1x"),
    ] {
        let request = match method {
            "POST" => Request::post(target, ASK),
            _ => Request::get(target),
        };
        let answer = proxy.send(&request.key(&key));
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert_eq!(backend.last().target(), expected, "{target}");
    }
    // A request of the proxy's own.
    let list = proxy.send(&Request::get("/v1/files?purpose=batch").key(&key));
    assert_eq!(list.status, 200, "{list:?}");
    let target = backend.last().target().to_owned();
    assert!(target.starts_with("/api/paas/v4/files?"), "{target}");
}

#[test]
fn a_base_url_that_ends_in_v1_is_a_backend_url_that_does() {
    let backend = Backend::json(chat_completion(1, 1));
    let base = format!("{}/vllm/v1", backend.url());
    let home = with_base(&base).set("EXTRA_ENDPOINTS", "/tokenize");
    let (proxy, key) = home.serve_alice();
    for (target, expected) in [
        (CHAT, "/vllm/v1/chat/completions"),
        ("/tokenize", "/vllm/tokenize"),
    ] {
        let answer = proxy.send(&Request::post(target, ASK).key(&key));
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert_eq!(backend.last().target(), expected);
    }
}

#[test]
fn a_plain_http_proxy_gets_the_complete_base_url() {
    let forwarding = Backend::json(chat_completion(1, 1));
    let home = with_base("http://backend.invalid/v1beta/openai")
        .set("HTTP_PROXY", &forwarding.url())
        .set("EXTRA_ENDPOINTS", "/tokenize");
    let (proxy, key) = home.serve_alice();
    for (target, expected) in [
        (
            CHAT,
            "http://backend.invalid/v1beta/openai/chat/completions",
        ),
        ("/tokenize", "http://backend.invalid/v1beta/openai/tokenize"),
    ] {
        let answer = proxy.send(&Request::post(target, ASK).key(&key));
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert_eq!(forwarding.last().target(), expected);
        assert_eq!(forwarding.last().header("host"), Some("backend.invalid"));
    }
}

//! Programs in browsers: `CORS_ORIGINS`.

use crate::harness::{Answer, Backend, CHAT, Home, Proxy, Request};

const APP: &str = "https://app.example";

fn preflight(proxy: &Proxy, target: &str, origin: &str) -> Answer {
    let request = Request::new("OPTIONS", target)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "authorization,content-type,x-stainless-lang",
        );
    proxy.send(&request)
}

#[test]
fn a_listed_page_may_ask_and_read_and_no_other() {
    let backend = Backend::start(|_, wire| {
        wire.answer(
            "200 OK",
            &[
                ("content-type", "application/json"),
                ("access-control-allow-origin", "*"),
                ("access-control-allow-credentials", "true"),
            ],
            "{}",
        );
    });
    let (proxy, key) = Home::new(&backend)
        .set("CORS_ORIGINS", "https://app.example, http://localhost:5173")
        .serve_alice();
    for origin in [APP, "http://localhost:5173"] {
        for target in [CHAT, "/v1/usage"] {
            let answer = preflight(&proxy, target, origin);
            assert_eq!(answer.status, 204, "{answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            assert_eq!(
                answer.header("access-control-allow-headers"),
                Some("authorization,content-type,x-stainless-lang")
            );
            let methods = answer.header("access-control-allow-methods").unwrap();
            assert!(methods.contains("POST") && methods.contains("DELETE"));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
    }
    for (origin, allowed) in [
        (APP, Some(APP)),
        ("https://evil.example", None),
        ("null", None),
    ] {
        for request in [
            Request::post(CHAT, "{\"model\":\"m\",\"messages\":[]}").key(&key),
            // Errors must be read, too.
            Request::post(CHAT, "{").key(&key),
            Request::post(CHAT, "{}").key("sk-wrong"),
            Request::get("/v1/usage").key(&key),
        ] {
            let answer = proxy.send(&request.header("Origin", origin));
            assert_eq!(
                answer.header("access-control-allow-origin"),
                allowed,
                "{answer:?}"
            );
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            assert_eq!(answer.header("vary"), Some("Origin"));
        }
    }
    let refused = preflight(&proxy, CHAT, "https://evil.example");
    assert_eq!(refused.header("access-control-allow-origin"), None);
    for target in ["/admin/list_users", "/", "/metrics"] {
        let answer = preflight(&proxy, target, APP);
        assert_eq!(
            answer.header("access-control-allow-origin"),
            None,
            "{target}"
        );
        let answer = proxy.send(&Request::get(target).header("Origin", APP));
        assert_eq!(
            answer.header("access-control-allow-origin"),
            None,
            "{target}"
        );
    }
}

#[test]
fn a_star_allows_every_page_without_credentials() {
    let backend = Backend::chats(7, 3);
    let (proxy, key) = Home::new(&backend).set("CORS_ORIGINS", "*").serve_alice();
    assert_eq!(
        preflight(&proxy, CHAT, "https://any.example").header("access-control-allow-origin"),
        Some("*")
    );
    let answer = proxy.send(
        &Request::get("/v1/usage")
            .key(&key)
            .header("Origin", "https://any.example"),
    );
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("*"));
}

#[test]
fn without_the_setting_nothing_is_allowed() {
    let backend = Backend::chats(7, 3);
    let (proxy, _) = Home::new(&backend).serve_alice();
    let answer = preflight(&proxy, CHAT, APP);
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let refused = Home::new(&backend)
        .set("CORS_ORIGINS", "app.example")
        .refused();
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("CORS_ORIGINS"), "{refused:?}");
}

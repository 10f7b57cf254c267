//! Headers that concern one connection or one host, or that override the request, are removed in both directions.

use crate::harness::{
    ASK, ASK_STREAM, Backend, CHAT, Home, Request, chat_completion, counted_stream,
};

/// Sends a chat with these headers, each with the value `crossed`, and checks that none reaches the backend.
#[track_caller]
fn assert_none_crosses(names: &[&str], connection: Option<&str>) {
    let backend = Backend::json(chat_completion(1, 1));
    let (proxy, key) = Home::new(&backend).serve_alice();
    for name in names {
        let mut request = Request::post(CHAT, ASK).key(&key).header(name, "crossed");
        if let Some(connection) = connection {
            request = request.header("Connection", connection);
        }
        assert_eq!(proxy.send(&request).status, 200, "{name}");
        let seen = backend.last();
        assert!(!seen.head.contains("crossed"), "{name}: {}", seen.head);
    }
}

#[test]
fn hop_by_hop_headers_are_removed() {
    let names = [
        "HTTP2-Settings",
        "http2-settings",
        "Keep-Alive",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Alt-Used",
        "Proxy-Authorization",
        "Proxy-Anything",
    ];
    assert_none_crosses(&names, None);
    assert_none_crosses(&names, Some("HTTP2-Settings, TE, Keep-Alive"));
    assert_none_crosses(&["Upgrade"], Some("Upgrade, HTTP2-Settings"));
}

#[test]
fn headers_with_an_underscore_are_removed() {
    let names = [
        "X_Forwarded_For",
        "HTTP_X_API_KEY",
        "authorization_",
        "_",
        "OpenAI_Organization",
        "x-http_method-override",
        "content_length",
        "a-name-that-is-longer-than-sixteen-bytes_",
    ];
    assert_none_crosses(&names, None);
}

#[test]
fn headers_that_override_method_path_or_host_are_removed() {
    let names = [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Original-URL",
        "X-Original-URI",
        "X-Original-Method",
        "X-Original-Host",
        "X-Rewrite-URL",
        "X-Override-URL",
        "X-Envoy-Original-Path",
        "X-Forwarded",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Host",
        "X-HTTP-Host-Override",
    ];
    assert_none_crosses(&names, None);
}

#[test]
fn headers_about_the_backend_s_host_are_removed() {
    let staying = [
        ("Strict-Transport-Security", "max-age=31536000"),
        ("Alt-Svc", "h3=\":443\"; ma=86400"),
        ("Public-Key-Pins", "pin-sha256=\"x\"; max-age=9"),
        ("Public-Key-Pins-Report-Only", "pin-sha256=\"x\""),
        ("Expect-CT", "max-age=9"),
        ("NEL", "{\"report_to\":\"x\",\"max_age\":9}"),
        ("Report-To", "{\"group\":\"x\"}"),
        ("Reporting-Endpoints", "x=\"https://reports.example\""),
        ("Clear-Site-Data", "\"*\""),
        ("Server-Timing", "cache;desc=hit"),
        ("Origin-Agent-Cluster", "?1"),
        ("Accept-CH", "Sec-CH-UA"),
        ("Critical-CH", "Sec-CH-UA"),
        ("Service-Worker-Allowed", "/"),
        ("Set-Cookie", "a=b"),
        ("Set-Cookie2", "a=b"),
        ("WWW-Authenticate", "Bearer realm=\"backend\""),
        ("Authentication-Info", "x"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authentication-Info", "x"),
        ("X-Accel-Redirect", "/admin/list_users"),
        ("X-Sendfile", "/etc/passwd"),
        ("X-LiteSpeed-Location", "/etc/passwd"),
        ("HTTP2-Settings", "AAEAAEAA"),
    ];
    let crossing = [
        ("Server", "cloudflare"),
        ("X-Accel-Buffering", "no"),
        ("Access-Control-Expose-Headers", "X-Request-ID"),
        ("Content-Type", "application/json"),
        ("X_Odd", "kept"),
    ];
    let backend = Backend::start(move |request, wire| {
        let headers = [&staying[..], &crossing].concat();
        match request.model().as_str() {
            "refused" => wire.answer("403 Forbidden", &headers, "{}"),
            _ if request.asks_to_stream() => {
                let chunked = [("Transfer-Encoding", "chunked")];
                wire.head("200 OK", &[headers.as_slice(), &chunked].concat());
                wire.chunks(counted_stream(1, 1));
                wire.end();
            }
            _ => wire.answer("200 OK", &headers, chat_completion(1, 1)),
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for body in [ASK, ASK_STREAM, r#"{"model":"refused"}"#] {
        let answer = proxy.chat(&key, body);
        for (name, _) in staying {
            assert_eq!(answer.header(name), None, "{name}: {answer:?}");
        }
        for (name, value) in crossing {
            assert_eq!(answer.all(name), [value], "{name}: {answer:?}");
        }
    }
}

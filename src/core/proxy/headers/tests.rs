use super::*;
use actix_web::test::TestRequest;

fn head(own: &OwnHeaders, request: TestRequest) -> String {
    let head = own.head_for(&request.to_http_request(), BodyLength::Known(7));
    String::from_utf8(head).unwrap()
}

fn own(key: &str) -> OwnHeaders {
    let url = "http://backend:81/prefix/v1".parse().unwrap();
    OwnHeaders::new(&url, None, &Secret::new(key), Some("org-1"), None)
}

#[test]
fn credentials_addresses_and_hop_by_hop_headers_stay_here() {
    let mut request = TestRequest::post().uri("/v1/chat/completions?a=b%20c");
    for name in [
        "host",
        "authorization",
        "api-key",
        "x-api-key",
        "cookie",
        "forwarded",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "cf-pseudo-ipv4",
        "fastly-client-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-ms-original-url",
        "x-waws-unencoded-url",
        "x-request-uri",
        "method-override",
        "path-info",
        "script-name",
        "request-uri",
        "x-script-name",
        "x-verb",
        "x-path",
        "x-proxy-url",
        "x-tunnel-method",
        "x-replaced-path",
        "x-override-url",
        "x-forward-path",
        "x-orig-url",
        "x-matched-path",
        "x-middleware-rewrite",
        "x-accel-mapping",
        "http-method-override",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "expect",
        "accept-encoding",
        "openai-organization",
        "openai-project",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded",
        "x-original-uri",
        "x-envoy-original-path",
        "x_forwarded_for",
        "proxy-authorization",
        "http2-settings",
        "alt-used",
        "te",
        "upgrade",
        "x-named",
    ] {
        request = request.append_header((name, "client-value"));
    }
    request = request
        .append_header(("connection", "keep-alive, X-Named"))
        .append_header(("x-kept", "kept"))
        .append_header(("x-stainless-helper-method", "stream"))
        .append_header(("x-request-id", "mine"));
    let head = head(&own("sk-1"), request);
    assert!(
        head.starts_with(
            "POST /prefix/v1/chat/completions?a=b%20c HTTP/1.1\r\nhost: backend:81\r\n"
        ),
        "{head}"
    );
    assert!(!head.contains("client-value"), "{head}");
    for line in [
        "authorization: Bearer sk-1\r\n",
        "openai-organization: org-1\r\n",
        "x-kept: kept\r\n",
        "x-stainless-helper-method: stream\r\n",
        "x-request-id: mine\r\n",
        "content-length: 7\r\n\r\n",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
}

#[test]
fn headers_about_the_backend_s_host_are_dropped() {
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str| {
        headers.append(
            HeaderName::from_static(name),
            header::HeaderValue::from_static("x"),
        );
    };
    for name in [
        "alt-svc",
        "nel",
        "no-vary-search",
        "observe-browsing-topics",
        "refresh",
        "report-to",
        "server-timing",
        "set-cookie",
        "set-login",
        "speculation-rules",
        "strict-transport-security",
        "x-litespeed-location",
        "x-sendfile",
    ] {
        add(name);
    }
    let kept = [
        "content-type",
        "openai-processing-ms",
        "retry-after",
        "x-request-id",
    ];
    for name in kept {
        add(name);
    }
    let mut left: Vec<String> = keep_end_to_end(headers)
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    left.sort_unstable();
    assert_eq!(left, kept);
}

#[test]
fn an_empty_key_sends_no_authorization() {
    let request = TestRequest::get()
        .uri("/v1/models")
        .append_header(("authorization", "Bearer llmp-x"));
    assert!(!head(&own(""), request).contains("authorization"));
}

#[test]
fn a_plain_http_proxy_gets_the_complete_url() {
    let url: BackendUrl = "http://backend:81/p".parse().unwrap();
    let proxy = HttpProxy {
        host: "proxy".into(),
        port: 1,
        authorization: Some("Basic eA==".into()),
    };
    let own = OwnHeaders::new(&url, Some(&proxy), &Secret::new(""), None, None);
    let head = head(&own, TestRequest::get().uri("/v1/models"));
    assert!(
        head.starts_with("GET http://backend:81/p/v1/models HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("proxy-authorization: Basic eA==\r\n"));
}

//! Requests made to be two for one reader and one for another, and paths made to be another one: refused, or passed
//! on so that nobody can read them in two ways.

use std::io::ErrorKind;
use std::net::TcpListener;

use super::answer_for;
use crate::harness::{ASK, BACKEND_KEY, Backend, CHAT, Home, Proxy, Request, ask};

/// What a smuggler wants to have sent: a request within a request.
const INNER: &str = "GET /v1/models/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

fn answering() -> Backend {
    Backend::start(|request, wire| {
        if request.target() == CHAT {
            wire.json(&answer_for(&request.model()));
        } else {
            wire.json(&format!(r#"{{"target":"{}"}}"#, request.target()));
        }
    })
}

/// Sends bytes and behind them a last request that asks to close; returns the statuses of all answers that come.
#[track_caller]
fn send_raw(proxy: &Proxy, key: &str, bytes: &[u8]) -> Vec<String> {
    let last = format!(
        "GET /v1/models/last HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
    );
    let mut connection = proxy.open();
    connection.send_bytes(&[bytes, last.as_bytes()].concat());
    let rest = String::from_utf8_lossy(&connection.raw_rest()).into_owned();
    let statuses = rest.match_indices("HTTP/1.1 ");
    statuses
        .map(|(at, mark)| rest[at + mark.len()..][..3].to_owned())
        .collect()
}

/// How a chat request that is framed in a strange way goes.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Goes {
    /// Refused, and its connection ends: where the next request would begin is anybody's guess.
    Nowhere,
    /// Goes on as the one request that it is, and the one behind it too.
    Through,
}
use Goes::{Nowhere, Through};

/// Framing headers, the body, and what is to become of it. `{ask}` is a whole chat request of `{n}` bytes, `{x}` of
/// `{h}` hexadecimal; `{inner}` is the smuggled request.
const FRAMINGS: &[(&str, &str, Goes)] = &[
    // The good ones, so that the others are known to fail for what is wrong with them.
    ("Content-Length: {n}", "{ask}", Through),
    (
        "Transfer-Encoding: chunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n",
        Through,
    ),
    (
        "transfer-encoding: Chunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n",
        Through,
    ),
    // Two framings.
    (
        "Content-Length: {n}\r\nTransfer-Encoding: chunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    // Two lengths.
    (
        "Content-Length: {n}\r\nContent-Length: 0",
        "{ask}{inner}",
        Nowhere,
    ),
    (
        "Content-Length: 0\r\nContent-Length: {n}",
        "{ask}{inner}",
        Nowhere,
    ),
    (
        "Content-Length: {n}\r\nContent-Length: {n}",
        "{ask}{inner}",
        Nowhere,
    ),
    ("Content-Length: {n}, {n}", "{ask}{inner}", Nowhere),
    ("Content-Length: {n}, 0", "{ask}{inner}", Nowhere),
    // Lengths that readers differ on.
    ("Content-Length: +{n}", "{ask}{inner}", Nowhere),
    ("Content-Length: -1", "{ask}{inner}", Nowhere),
    ("Content-Length: 0x{h}", "{ask}{inner}", Nowhere),
    ("Content-Length: {n}.0", "{ask}{inner}", Nowhere),
    ("Content-Length: {n} 0", "{ask}{inner}", Nowhere),
    ("Content-Length: \"{n}\"", "{ask}{inner}", Nowhere),
    ("Content-Length:", "{ask}{inner}", Nowhere),
    (
        "Content-Length: 99999999999999999999999",
        "{ask}{inner}",
        Nowhere,
    ),
    ("Content-Length : {n}", "{ask}{inner}", Nowhere),
    ("Content-Length\t: {n}", "{ask}{inner}", Nowhere),
    (" Content-Length: {n}", "{ask}{inner}", Nowhere),
    ("X: y\r\n Content-Length: {n}", "{ask}{inner}", Nowhere),
    ("Content-Length: \r\n {n}", "{ask}{inner}", Nowhere),
    ("Content-Length: {n}\0", "{ask}{inner}", Nowhere),
    ("Content\0-Length: {n}", "{ask}{inner}", Nowhere),
    ("Content-Length: {n}\rX: y", "{ask}{inner}", Nowhere),
    // Codings that readers differ on.
    (
        "Transfer-Encoding: xchunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunkedx",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked, identity",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: identity, chunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: gzip, chunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked, chunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: identity\r\nContent-Length: {n}",
        "{ask}{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: gzip\r\nContent-Length: {n}",
        "{ask}{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: \"chunked\"",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked;q=1",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding:\u{b}chunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: \u{0}chunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding : chunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding:\r\n chunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "X: y\r\n\tTransfer-Encoding: chunked",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked\r\nX : y",
        "{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    // Chunks that readers differ on.
    (
        "Transfer-Encoding: chunked",
        "0x{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked",
        "+{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked",
        "-{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked",
        "{h}\n{ask}\n0\n\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked",
        "{h};a\n{inner}\r\n{ask}\r\n0\r\n\r\n",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked",
        "{h};a\rb\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked",
        "{h}\r\n{ask}XX0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked",
        "{h}\r\n{ask}0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked",
        "1000000000000000{h}\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked",
        "\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    (
        "Transfer-Encoding: chunked",
        "{h}\0\r\n{ask}\r\n0\r\n\r\n{inner}",
        Nowhere,
    ),
    // Unusual and clear: trailers are dropped, whatever they are.
    (
        "Transfer-Encoding: chunked",
        "{h}\r\n{ask}\r\n0\r\nX\r\n{inner}",
        Through,
    ),
    (
        "Transfer-Encoding: chunked",
        "{h};name=\"value\"\r\n{ask}\r\n0\r\n\r\n",
        Through,
    ),
    (
        "Transfer-Encoding: chunked",
        "0000{h}\r\n{ask}\r\n000\r\n\r\n",
        Through,
    ),
];

#[test]
fn ambiguous_framing_never_becomes_two_requests() {
    let backend = answering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let ask = ask("fine");
    let (n, h) = (ask.len().to_string(), format!("{:x}", ask.len()));
    let mut wrong = Vec::new();
    for (headers, body, goes) in FRAMINGS {
        let filled = |text: &str| {
            let text = text.replace("{ask}", &ask).replace("{inner}", INNER);
            text.replace("{n}", &n).replace("{h}", &h)
        };
        let request = format!(
            "POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n{}\r\n\r\n{}",
            filled(headers),
            filled(body)
        );
        let before = backend.requests().len();
        let statuses = send_raw(&proxy, &key, request.as_bytes());
        let seen = backend.requests().split_off(before);
        let targets: Vec<&str> = seen.iter().map(|request| request.target()).collect();
        let as_said = match goes {
            Nowhere => statuses.iter().all(|status| status.starts_with('4')) && seen.is_empty(),
            Through => {
                statuses == ["200", "200"]
                    && targets == [CHAT, "/v1/models/last"]
                    && seen[0].text() == ask
                    && seen[0].all("content-length") == [&n]
                    && seen[0].header("transfer-encoding").is_none()
            }
        };
        if !as_said {
            wrong.push(format!(
                "{headers:?} {body:?}: {goes:?}, but {statuses:?} and the backend saw {targets:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_ambiguous_head_is_refused_or_rewritten() {
    let backend = answering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let auth = format!("Authorization: Bearer {key}");
    let heads = [
        // Bare line feeds, carriage returns, NUL and control bytes, folding, white space.
        format!("GET /v1/models HTTP/1.1\nHost: x\n{auth}\n\n"),
        format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{auth}\r\nX: a\nY: b\r\n\r\n"),
        format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{auth}\r\nX: a\rY: b\r\n\r\n"),
        format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{auth}\r\nX: a\0b\r\n\r\n"),
        format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{auth}\r\nX\u{1}: a\r\n\r\n"),
        format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{auth}\r\nX: a\u{7f}b\r\n\r\n"),
        format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{auth}\r\nX: a\r\n b\r\n\r\n"),
        format!(
            "GET /v1/models HTTP/1.1\r\nHost: x\r\n{auth}\r\nX: a\r\n\tAuthorization: b\r\n\r\n"
        ),
        format!("GET /v1/models HTTP/1.1\r\n Host: x\r\n{auth}\r\n\r\n"),
        format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{auth}\r\nno colon\r\n\r\n"),
        format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{auth}\r\n: no name\r\n\r\n"),
        format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{auth}\r\nX Y: z\r\n\r\n"),
        // Request lines.
        format!("GET  /v1/models HTTP/1.1\r\nHost: x\r\n{auth}\r\n\r\n"),
        format!("GET /v1/models  HTTP/1.1\r\nHost: x\r\n{auth}\r\n\r\n"),
        format!("GET\t/v1/models\tHTTP/1.1\r\nHost: x\r\n{auth}\r\n\r\n"),
        format!("GET /v1/models HTTP/1.1 \r\nHost: x\r\n{auth}\r\n\r\n"),
        format!("GET /v1/models HTTP/1.1 HTTP/1.1\r\nHost: x\r\n{auth}\r\n\r\n"),
        format!("GET /v1/models HTTP/2.0\r\nHost: x\r\n{auth}\r\n\r\n"),
        format!("GET /v1/models HTTP/1.9\r\nHost: x\r\n{auth}\r\n\r\n"),
        format!("GET /v1/models HTTP/11\r\nHost: x\r\n{auth}\r\n\r\n"),
        format!("GET /v1/models\r\nHost: x\r\n{auth}\r\n\r\n"),
        format!("GET /v1/mod\0els HTTP/1.1\r\nHost: x\r\n{auth}\r\n\r\n"),
        format!("GET /v1/models/a\u{b}b HTTP/1.1\r\nHost: x\r\n{auth}\r\n\r\n"),
        format!("GET /v1/models/a b HTTP/1.1\r\nHost: x\r\n{auth}\r\n\r\n"),
        format!("GET /v1/models/\u{1b}[31m HTTP/1.1\r\nHost: x\r\n{auth}\r\n\r\n"),
        // No Host and two.
        format!("GET /v1/models HTTP/1.1\r\n{auth}\r\n\r\n"),
        format!("GET /v1/models HTTP/1.1\r\nHost: x\r\nHost: y\r\n{auth}\r\n\r\n"),
        // Two keys.
        format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{auth}\r\n{auth}\r\n\r\n"),
        format!(
            "GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer llmp-other\r\n{auth}\r\n\r\n"
        ),
        format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{auth}, Bearer llmp-other\r\n\r\n"),
        format!("GET /v1/models HTTP/1.1\r\nHost: x\r\napi-key: {key}\r\napi-key: {key}\r\n\r\n"),
    ];
    for head in &heads {
        let before = backend.requests().len();
        let statuses = send_raw(&proxy, &key, head.as_bytes());
        let seen = backend.requests().split_off(before);
        let passed: Vec<_> = seen
            .iter()
            .filter(|seen| seen.target() != "/v1/models/last")
            .collect();
        assert!(
            seen.len() <= statuses.len() && statuses.len() <= 2,
            "{head:?}: {statuses:?}"
        );
        assert!(
            statuses[0].starts_with('4') || passed.len() == 1,
            "{head:?}: {statuses:?}"
        );
        if let Some(passed) = passed.first() {
            eprintln!("passed: {head:?}");
            // As one clean request: every line ends in CRLF, and none is folded.
            assert_eq!(passed.target(), "/v1/models", "{head:?}");
            let lines = passed
                .head
                .strip_suffix("\r\n\r\n")
                .unwrap()
                .split("\r\n")
                .skip(1);
            for line in lines {
                let (name, value) = line.split_once(": ").unwrap();
                assert!(
                    !name.contains(|c: char| c.is_whitespace() || c.is_control()),
                    "{line:?}"
                );
                assert!(!value.contains(['\r', '\n', '\0']), "{line:?}");
            }
            assert_eq!(
                passed.all("authorization"),
                [format!("Bearer {BACKEND_KEY}")],
                "{head:?}"
            );
            assert_eq!(passed.all("host"), [backend.authority()], "{head:?}");
        }
    }
}

#[test]
fn two_keys_of_two_kinds_are_not_tried_one_after_the_other() {
    let backend = answering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    // The first kind decides.
    let request = Request::get("/v1/models")
        .key("llmp-unknown")
        .header("api-key", &key);
    assert_eq!(proxy.send(&request).status, 401);
    let doubled = Request::post(CHAT, ASK).key(&key).key(&key);
    assert_eq!(proxy.send(&doubled).status, 401);
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn no_client_adds_a_forbidden_header_in_whatever_spelling() {
    let backend = answering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let forbidden = [
        "Api-Key",
        "Cookie",
        "Forwarded",
        "X-Forwarded-For",
        "X-FORWARDED-HOST",
        "x-forwarded-Proto",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "Proxy-Authorization",
        "Proxy-Connection",
        "PROXY-anything",
        "OpenAI-Organization",
        "OPENAI-project",
        "TE",
        "Trailer",
        "Keep-Alive",
    ];
    let connections = [
        "",
        "keep-alive",
        "close, authorization, host, content-length, accept-encoding",
        "Authorization, Host, Content-Length, Transfer-Encoding, x-kept",
        "x-named, X-NAMED-2",
        ",,, ,x-named,",
        "\"authorization\"",
    ];
    for connection in connections {
        let mut request = Request::post(CHAT, ask("fine")).key(&key);
        for name in forbidden {
            request = request.header(name, "evil");
        }
        request = request
            .header("X-Named", "named")
            .header("X-Named-2", "named");
        if !connection.is_empty() {
            request = request.header("Connection", connection);
        }
        let answer = proxy.send(&request);
        assert_eq!(answer.status, 200, "{connection}: {answer:?}");
        let seen = backend.last();
        assert!(!seen.head.contains("evil"), "{connection}: {}", seen.head);
        let named = connection.to_lowercase().contains("x-named");
        assert_eq!(
            seen.header("x-named").is_none(),
            named,
            "{connection}: {}",
            seen.head
        );
        // What the proxy says itself can be named away by nobody.
        assert_eq!(seen.all("authorization"), [format!("Bearer {BACKEND_KEY}")]);
        assert_eq!(seen.all("host"), [backend.authority()]);
        assert_eq!(seen.all("content-length"), [ask("fine").len().to_string()]);
        assert_eq!(seen.all("connection").len(), 0, "{}", seen.head);
    }
    assert!(
        backend
            .requests()
            .iter()
            .all(|seen| !seen.head.contains(&key))
    );
}

/// Of the others, `h2c` has its test in `wire`.
#[test]
fn a_websocket_upgrade_swallows_no_following_request() {
    let backend = answering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    for connection in ["Upgrade", "keep-alive"] {
        let request = Request::post(CHAT, ask("fine")).key(&key);
        let request = request
            .header("Upgrade", "websocket")
            .header("Connection", connection);
        let statuses = send_raw(&proxy, &key, &request.bytes("localhost"));
        let seen = backend.requests();
        if statuses[0] == "200" {
            assert_eq!(statuses, ["200", "200"], "{connection}");
        } else {
            assert!(
                statuses.len() == 1 && statuses[0].starts_with('4'),
                "{connection}: {statuses:?}"
            );
        }
        for seen in seen {
            assert_eq!(seen.header("upgrade"), None);
            assert!(
                seen.text().is_empty() || seen.text() == ask("fine"),
                "{}",
                seen.text()
            );
        }
    }
}

// === Targets ===

#[test]
fn no_request_makes_the_proxy_talk_to_another_host() {
    let backend = answering();
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let other = trap.local_addr().unwrap();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let heads = [
        format!("GET http://{other}/v1/models HTTP/1.1\r\nHost: {other}\r\n"),
        format!("GET HTTP://{other}/v1/models HTTP/1.1\r\nHost: x\r\n"),
        format!("GET http://user:word@{other}/v1/models HTTP/1.1\r\nHost: {other}\r\n"),
        format!("GET http://{other} HTTP/1.1\r\nHost: {other}\r\n"),
        format!("CONNECT {other} HTTP/1.1\r\nHost: {other}\r\n"),
        format!("GET {other} HTTP/1.1\r\nHost: {other}\r\n"),
        format!("GET //{other}/v1/models HTTP/1.1\r\nHost: {other}\r\n"),
        format!("GET @{other}/v1/models HTTP/1.1\r\nHost: {other}\r\n"),
        format!("GET /v1/models@{other} HTTP/1.1\r\nHost: {other}\r\n"),
        format!("GET ?http://{other} HTTP/1.1\r\nHost: {other}\r\n"),
        format!("GET v1/models HTTP/1.1\r\nHost: {other}\r\n"),
        format!("OPTIONS * HTTP/1.1\r\nHost: {other}\r\n"),
        format!("GET * HTTP/1.1\r\nHost: {other}\r\n"),
        format!("GET /v1/models HTTP/1.1\r\nHost: {other}\r\n"),
        format!(
            "GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: {other}\r\nForwarded: host={other}\r\n"
        ),
        format!("GET file:///v1/models HTTP/1.1\r\nHost: {other}\r\n"),
    ];
    for head in heads {
        let before = backend.requests().len();
        let mut connection = proxy.open();
        connection.send_bytes(
            format!("{head}Authorization: Bearer {key}\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        let rest = String::from_utf8_lossy(&connection.raw_rest()).into_owned();
        // Without a path it is the page of this proxy.
        let refused = rest.starts_with("HTTP/1.1 4") || rest.contains("<h1>Sign in</h1>");
        let seen = backend.requests().split_off(before);
        assert_eq!(seen.len(), usize::from(!refused), "{head}: {rest}");
        if let Some(seen) = seen.first() {
            assert_eq!(
                (seen.target(), seen.all("host")),
                ("/v1/models", vec![&*backend.authority()]),
                "{head}"
            );
            assert!(!seen.head.contains(&other.to_string()), "{}", seen.head);
        }
    }
    assert_eq!(
        trap.accept().unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "nobody came"
    );
}

/// Paths that are not served, and a few that are, as they came.
const PATHS: &[&str] = &[
    "//v1/models",
    "/v1//models",
    "/v1/models//",
    "/v1/models/",
    "/./v1/models",
    "/v1/./models",
    "/v1/../v1/models",
    "/v1/../admin/list_users",
    "/v1/..%2fadmin/list_users",
    "/v1/%2e%2e/admin/list_users",
    "/v1/%2E%2E/admin/list_users",
    "/v1/.%2e/admin/list_users",
    "/v1/%252e%252e/admin/list_users",
    "/v1/models/../../admin/list_users",
    "/v1/models/..%2f..%2fadmin%2flist_users",
    "/v1/models/%2e%2e%2f%2e%2e%2fadmin%2flist_users",
    "/v1/models/..%5c..%5cadmin",
    "/v1/models/..%00/admin",
    "/v1/models/%c0%ae%c0%ae/admin",
    "/v1%2fmodels",
    "/v1%2Fchat%2Fcompletions",
    "/V1/models",
    "/v1/MODELS",
    "/v1/Chat/Completions",
    "/v1;x/models",
    "/v1/models;x=1",
    "/v1/models;/admin",
    "/%76%31/models",
    "/v1/%6dodels",
    "/v1/chat/completions/",
    "/v1/chat%2fcompletions",
    "/v1/chat/completions;",
    "/v1\\models",
    "\\v1\\models",
    "/v1/models/..\\admin",
    "/v1/models#/admin",
    "/v1/models/x#y",
    "/v1/models/%2",
    "/v1/models/%zz/%2e%2e",
    "/v1/engines/x/completions",
    "//",
    "/page/../admin/list_users",
    "/page/..%2fadmin/list_users",
    "/PAGE/users",
    "/%70age/users",
    "/page//users",
    "/page/users/",
    "/page;x/users",
    "/v1",
    "/v1/",
    "/v2/models",
    "/v1/chat",
    "/admin",
    "/admin/",
    "/admin/list_users",
    "/admin//list_users",
    "//admin/list_users",
    "/admin/./list_users",
    "/admin/../admin/list_users",
    "/ADMIN/list_users",
    "/Admin/List_Users",
    "/%61dmin/list_users",
    "/admin%2flist_users",
    "/admin/list_users/",
    "/admin;x/list_users",
    "/admin/list_users;x",
    "/admin/list%5fusers",
    "/health/../admin/list_users",
    "/health/",
    "/health/..%2fadmin",
    "/%68ealth/x",
];

#[test]
fn no_spelling_of_a_path_reaches_admin_or_another_endpoint() {
    let backend = answering();
    let home = Home::new(&backend).set("ADMIN_TOKEN", "0123456789abcdef0123456789abcdef");
    let (proxy, key) = home.serve_alice();
    for path in PATHS {
        for method in ["GET", "POST"] {
            let before = backend.requests().len();
            let mut connection = proxy.open();
            connection.send_bytes(format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            ).as_bytes());
            let rest = String::from_utf8_lossy(&connection.raw_rest()).into_owned();
            assert!(
                !rest.contains("alice") && !rest.contains("api_key\""),
                "{path}: {rest}"
            );
            let seen = backend.requests().split_off(before);
            let targets: Vec<_> = seen.iter().map(|seen| seen.target()).collect();
            // The model's name may be spelled in any way that has no second meaning; a fragment is cut or refused.
            let may_pass = method == "GET"
                && [
                    "/v1/models#/admin",
                    "/v1/models/x#y",
                    "/v1/models/%c0%ae%c0%ae/admin",
                    "/v1/models/%2",
                ]
                .contains(path);
            if may_pass && !seen.is_empty() {
                eprintln!("passed: {path} as {targets:?}");
                assert_eq!(seen.len(), 1, "{path}");
                assert!(
                    targets[0] == *path || path.starts_with(&format!("{}#", targets[0])),
                    "{path}: {targets:?}"
                );
            } else {
                assert!(
                    rest.starts_with("HTTP/1.1 4") && seen.is_empty(),
                    "{method} {path}: {rest} {targets:?}"
                );
            }
        }
    }
}

#[test]
fn a_query_carries_nothing_into_another_line() {
    let backend = answering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let query = "?a=%0d%0aX-Evil:%20b&b=/../admin&c=//x&d=http://x/&e=%00&f={}|\"&g=';--&h=\u{e9}";
    let mut connection = proxy.open();
    connection.send_bytes(
        format!("GET /v1/models{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n").as_bytes(),
    );
    let rest = String::from_utf8_lossy(&connection.raw_rest()).into_owned();
    let seen = backend.requests();
    if rest.starts_with("HTTP/1.1 4") {
        assert!(seen.is_empty());
    } else {
        assert_eq!(
            (seen.len(), seen[0].target()),
            (1, &*format!("/v1/models{query}"))
        );
        assert_eq!(seen[0].header("x-evil"), None);
    }
}

#[test]
fn a_dot_segment_with_a_parameter_is_a_dot_segment() {
    let backend = answering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    for path in [
        "/v1/models/..;/admin",
        "/v1/models/..;x=1/admin",
        "/v1/models/.;/x",
        "/v1/models/..%3b/admin/list_users",
        "/v1/models/%2e%2e%3B/x",
    ] {
        let answer = proxy.send(&Request::get(path).key(&key));
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    // A parameter elsewhere has no second meaning.
    assert_eq!(
        proxy
            .send(&Request::get("/v1/models/a;b=c..").key(&key))
            .status,
        200
    );
}

//! What the client gets of an answer, and when.

use std::sync::Arc;

use crate::harness::{
    ASK, ASK_STREAM, ASK_STREAM_USAGE, BACKEND_KEY, Backend, Home, Request, Turnstile, ask,
    assert_openai_error, chat_completion, counted_stream, delta,
};

#[test]
fn end_to_end_headers_cross_and_the_others_do_not() {
    let crossing = [
        ("Content-Type", "application/json"),
        ("Date", "Tue, 01 Jan 2030 00:00:00 GMT"),
        ("Server", "cloudflare"),
        ("X-Request-Id", "req_011abc"),
        ("OpenAI-Processing-Ms", "408"),
        ("OpenAI-Version", "2020-10-01"),
        ("OpenAI-Organization", "org-ours"),
        ("X-RateLimit-Remaining-Requests", "9999"),
        ("X-RateLimit-Reset-Tokens", "6ms"),
        ("CF-Ray", "91e0ab-FRA"),
        ("Access-Control-Expose-Headers", "X-Request-ID"),
        ("X-Multi", "a"),
        ("X-Multi", "b"),
    ];
    let staying = [
        ("Set-Cookie", "__cf_bm=secret"),
        ("Keep-Alive", "timeout=5"),
        ("X-Hop", "1"),
        ("Proxy-Authenticate", "Basic"),
        ("Trailer", "X-Sum"),
        ("Upgrade", "h2c"),
    ];
    let backend = Backend::start(move |request, wire| {
        let headers = [
            crossing.as_slice(),
            &staying,
            &[("Connection", "keep-alive, X-Hop")],
        ]
        .concat();
        if request.asks_to_stream() {
            wire.head(
                "200 OK",
                &[headers.as_slice(), &[("Transfer-Encoding", "chunked")]].concat(),
            );
            wire.chunks(counted_stream(1, 1));
            wire.end();
        } else {
            wire.answer("200 OK", &headers, chat_completion(1, 1));
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for body in [ASK, ASK_STREAM] {
        let answer = proxy.chat(&key, body);
        assert_eq!(answer.status, 200);
        for (name, _) in crossing {
            let expected: Vec<_> = crossing
                .iter()
                .filter(|(n, _)| *n == name)
                .map(|(_, value)| *value)
                .collect();
            assert_eq!(answer.all(name), expected, "{name}: {answer:?}");
        }
        for (name, _) in staying {
            assert_eq!(answer.header(name), None, "{answer:?}");
        }
        assert!(
            !answer
                .header("connection")
                .unwrap_or_default()
                .to_ascii_lowercase()
                .contains("x-hop")
        );
    }
}

#[test]
fn each_event_arrives_before_the_backend_sends_the_next_one() {
    for line_end in ["\n", "\r\n"] {
        let turnstile = Arc::new(Turnstile::default());
        let backend = Backend::start({
            let turnstile = turnstile.clone();
            move |_, wire| {
                wire.sse_head();
                for event in counted_stream(3, 20) {
                    if !turnstile.pass() {
                        return;
                    }
                    wire.chunk(event.replace('\n', line_end));
                }
                wire.end();
            }
        });
        let (proxy, key) = Home::new(&backend).serve_alice();
        // The client did not ask for usage: the hard case, in which the proxy looks for a chunk to take out.
        let mut connection =
            proxy.start(&Request::post(crate::harness::CHAT, ASK_STREAM).key(&key));
        assert_eq!(
            connection.head().status,
            200,
            "the head comes before the first event"
        );
        for text in ["Hello", " there"] {
            turnstile.allow(1);
            assert_eq!(
                connection.event().unwrap(),
                delta(text).replace('\n', line_end)
            );
        }
        turnstile.allow(2);
        let (rest, clean) = connection.rest();
        assert_eq!(
            (rest, clean),
            (
                format!("data: [DONE]{line_end}{line_end}").into_bytes(),
                true
            )
        );
    }
}

#[test]
fn part_of_an_event_passes_at_once_if_nothing_is_removed() {
    let turnstile = Arc::new(Turnstile::default());
    let (front, back) = (
        "data: {\"choices\":[{\"delta\":{\"cont",
        "ent\":\"Hi\"}}]}\n\ndata: [DONE]\n\n",
    );
    let backend = Backend::start({
        let turnstile = turnstile.clone();
        move |_, wire| {
            wire.sse_head();
            wire.chunk(front);
            turnstile.pass();
            wire.chunk(back);
            wire.end();
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut connection =
        proxy.start(&Request::post(crate::harness::CHAT, ASK_STREAM_USAGE).key(&key));
    connection.head();
    assert_eq!(connection.read_some().unwrap(), front.as_bytes());
    turnstile.allow(1);
    assert_eq!(connection.rest(), (back.as_bytes().to_vec(), true));
}

#[test]
fn an_answer_of_any_kind_and_size_passes_to_the_byte() {
    let bodies: [(&str, Vec<u8>); 5] = [
        (
            "application/json",
            b" \r\n{ \"a\" : 1.0, \"a\":2 } \n".to_vec(),
        ),
        ("application/json", b"this is not JSON".to_vec()),
        ("text/plain; charset=latin1", (0..=255).collect()),
        ("application/json", Vec::new()),
        (
            "application/json",
            format!("{{\"x\":\"{}\",\"usage\":null}}", "x".repeat(3_000_000)).into_bytes(),
        ),
    ];
    let served = bodies.clone();
    let backend = Backend::start(move |request, wire| {
        let (kind, body) = &served[request.model().parse::<usize>().unwrap() % 5];
        if request.json()["chunked"] == true {
            wire.head(
                "200 OK",
                &[("Content-Type", kind), ("Transfer-Encoding", "chunked")],
            );
            wire.chunks(body.chunks(10_007));
            wire.end();
        } else {
            wire.answer("200 OK", &[("Content-Type", kind)], body);
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for (index, (kind, body)) in bodies.iter().enumerate() {
        for framing in ["", r#","chunked":true"#] {
            let answer = proxy.chat(
                &key,
                &ask(&index.to_string())
                    .replace(",\"messages\"", &format!("{framing},\"messages\"")),
            );
            assert_eq!((answer.status, answer.clean), (200, true));
            assert_eq!(answer.header("content-type"), Some(*kind));
            assert!(
                answer.body == *body,
                "body {index}{framing} changed on its way"
            );
        }
    }
}

#[test]
fn the_backend_s_errors_are_passed_unchanged() {
    let error = r#"{ "error": {"message": "Rate limit reached for gpt-4.1", "type": "requests", "code": "rate_limit_exceeded"} }"#;
    let backend = Backend::start(move |request, wire| {
        let status = format!("{} Whatever", request.model());
        let headers = [
            ("Content-Type", "application/json"),
            ("Retry-After", "20"),
            ("x-request-id", "req_9"),
            ("x-should-retry", "true"),
        ];
        wire.answer(&status, &headers, error);
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for status in [400, 403, 404, 409, 422, 429, 500, 503, 529] {
        let answer = proxy.chat(&key, &ask(&status.to_string()));
        assert_eq!((answer.status, answer.text().as_str()), (status, error));
        assert_eq!(answer.header("retry-after"), Some("20"));
        assert_eq!(answer.header("x-request-id"), Some("req_9"));
        assert_eq!(answer.header("x-should-retry"), Some("true"));
    }
    assert_eq!(
        backend.requests().len(),
        9,
        "the proxy does not try again by itself"
    );
}

#[test]
fn a_refused_backend_key_is_502_without_the_backend_s_text() {
    let backend = Backend::start(|_, wire| {
        let quote =
            format!(r#"{{"error":{{"message":"Incorrect API key provided: {BACKEND_KEY}."}}}}"#);
        wire.answer(
            "401 Unauthorized",
            &[
                ("Content-Type", "application/json"),
                ("WWW-Authenticate", "Bearer sk-b"),
            ],
            quote,
        );
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for body in [ASK, ASK_STREAM] {
        let answer = proxy.chat(&key, body);
        let error = assert_openai_error(&answer, 502);
        assert_eq!(
            (&error["type"], &error["code"]),
            (&"server_error".into(), &"backend_credentials".into())
        );
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(answer.header("www-authenticate"), None);
        assert!(!format!("{answer:?}").contains("sk-"), "{answer:?}");
    }
    assert!(!proxy.log().contains(BACKEND_KEY), "{}", proxy.log());
}

#[test]
fn a_redirect_is_passed_on_and_not_followed() {
    let backend = Backend::start(|request, wire| {
        let location = format!("/elsewhere{}", request.model());
        wire.answer(
            "307 Temporary Redirect",
            &[("Location", &location)],
            "moved",
        );
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let answer = proxy.chat(&key, &ask("x"));
    assert_eq!((answer.status, answer.text().as_str()), (307, "moved"));
    assert_eq!(answer.header("location"), Some("/elsewherex"));
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn an_interim_answer_is_not_the_answer() {
    let backend = Backend::start(|_, wire| {
        wire.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n");
        wire.json(&chat_completion(4, 2));
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for _ in 0..2 {
        let answer = proxy.chat(&key, ASK);
        assert_eq!((answer.status, answer.text()), (200, chat_completion(4, 2)));
    }
}

#[test]
fn chunk_extensions_trailers_and_odd_spellings_are_understood() {
    let backend = Backend::start(|_, wire| {
        wire.write("HTTP/1.1 200 Fine Indeed\r\ncontent-type:application/json\r\nTRANSFER-ENCODING:  Chunked \r\n\r\n");
        wire.write("00005;name=value\r\n{\"a\":\r\n4\r\n 1 }\r\n0\r\nX-Sum: 1\r\n\r\n");
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for _ in 0..2 {
        let answer = proxy.chat(&key, ASK);
        assert_eq!(
            (answer.status, answer.text().as_str(), answer.clean),
            (200, "{\"a\": 1 }", true)
        );
    }
}

//! Answers in events are booked.

use std::io::Read;

use crate::harness::{
    ASK_STREAM, ASK_STREAM_USAGE, Backend, DONE, Home, Request, Row, counted_stream, delta, gzip,
    usage_event,
};

/// The row that one streamed chat leaves behind.
fn row_of(backend: &Backend, ask: &str) -> Row {
    let (proxy, key) = Home::new(backend).serve_alice();
    let answer = proxy.chat(&key, ask);
    assert_eq!((answer.status, answer.clean), (200, true), "{answer:?}");
    proxy.only_row()
}

fn with_usage(event: &str, input: u64, output: u64) -> String {
    event.replace(
        "}]}",
        &format!(r#"}}],"usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}}}"#),
    )
}

#[test]
fn a_stream_is_counted_whether_or_not_its_client_asked() {
    for ask in [ASK_STREAM, ASK_STREAM_USAGE] {
        let row = row_of(&Backend::sse(counted_stream(19, 10)), ask);
        assert_eq!(
            (row.tokens(), row.labels()),
            ([19, 10, 0, 0], ["completed", "backend"]),
            "{ask}"
        );
        assert_eq!(row.model.as_deref(), Some("gpt-4.1-mini"));
        assert_eq!(row.served_model.as_deref(), Some("gpt-4.1-mini-2025-04-14"));
    }
}

#[test]
fn the_details_of_a_streams_usage_are_counted() {
    let usage = usage_event(1117, 46).replace(
        r#""total_tokens""#,
        r#""prompt_tokens_details":{"cached_tokens":1024},"completion_tokens_details":{"reasoning_tokens":32},"total_tokens""#,
    );
    let row = row_of(
        &Backend::sse([delta("Hi"), usage, DONE.to_owned()]),
        ASK_STREAM,
    );
    assert_eq!(row.tokens(), [1117, 46, 1024, 32]);
}

#[test]
fn the_last_of_many_usages_in_a_stream_counts() {
    let deltas = (1..=20).map(|n| with_usage(&delta("word"), 19, n));
    let backend = Backend::sse(deltas.chain([usage_event(19, 20), DONE.to_owned()]));
    assert_eq!(row_of(&backend, ASK_STREAM).tokens(), [19, 20, 0, 0]);
}

#[test]
fn usage_in_the_last_chunk_with_content_counts() {
    let backend = Backend::sse([
        delta("Hi"),
        with_usage(&delta(" you"), 19, 2),
        DONE.to_owned(),
    ]);
    let row = row_of(&backend, ASK_STREAM);
    assert_eq!(
        (row.tokens(), row.source.as_str()),
        ([19, 2, 0, 0], "backend")
    );
}

#[test]
fn a_zero_in_a_stream_stays_zero() {
    let row = row_of(&Backend::sse(counted_stream(0, 0)), ASK_STREAM);
    assert_eq!((row.tokens(), row.source.as_str()), ([0; 4], "backend"));
}

#[test]
fn a_null_after_the_usage_does_not_take_it_back() {
    let null = r#"data: {"choices":[],"usage":null}"#.to_owned() + "\n\n";
    let backend = Backend::sse([delta("Hi"), usage_event(19, 10), null, DONE.to_owned()]);
    assert_eq!(row_of(&backend, ASK_STREAM).tokens(), [19, 10, 0, 0]);
}

#[test]
fn a_stream_without_usage_is_an_estimate_and_not_free() {
    let deltas = std::iter::repeat_n(delta(" word"), 100);
    for setting in ["ask", "leave"] {
        let backend = Backend::sse(deltas.clone().chain([DONE.to_owned()]));
        let (proxy, key) = Home::new(&backend)
            .set("STREAM_USAGE", setting)
            .serve_alice();
        proxy.chat(&key, ASK_STREAM);
        let row = proxy.only_row();
        assert_eq!(row.labels(), ["completed", "estimate"]);
        assert_eq!((row.input, row.output), (9, 100), "{row:?}");
    }
}

#[test]
fn usage_quoted_in_a_text_is_not_counted() {
    let quoting = delta(
        "\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":999,\"completion_tokens\":999}}\n\n",
    );
    let backend = Backend::sse([
        quoting.clone(),
        quoting,
        usage_event(19, 10),
        DONE.to_owned(),
    ]);
    assert_eq!(row_of(&backend, ASK_STREAM).tokens(), [19, 10, 0, 0]);
}

#[test]
fn every_known_spelling_of_a_stream_is_understood() {
    let events = counted_stream(19, 10);
    let spellings = [
        ("CRLF", events.concat().replace('\n', "\r\n")),
        (
            "no space after the colon",
            events.concat().replace("data: ", "data:"),
        ),
        ("no [DONE]", events[..3].concat()),
        (
            "no blank line at the end",
            events[..3].concat().trim_end().to_owned(),
        ),
        ("comments between", events.join(": ping\n\n")),
        (
            "other fields",
            events
                .concat()
                .replace("data: ", "event: message\nid: 1\ndata: "),
        ),
        (
            "spaces in the JSON",
            events.concat().replace("\"usage\":{", "\"usage\" : { "),
        ),
        ("a byte order mark", format!("\u{feff}{}", events.concat())),
    ];
    for (name, stream) in spellings {
        let row = row_of(&Backend::sse([stream]), ASK_STREAM);
        assert_eq!(
            (row.tokens(), row.labels()),
            ([19, 10, 0, 0], ["completed", "backend"]),
            "{name}"
        );
    }
}

#[test]
fn a_stream_is_counted_however_it_is_framed() {
    let stream = counted_stream(19, 10).concat();
    let expected = stream.replace(&usage_event(19, 10), "");
    for framing in ["Content-Length", "until close", "HTTP/1.0"] {
        let stream = stream.clone();
        let backend = Backend::start(move |_, wire| {
            let kind = ("Content-Type", "text/event-stream");
            match framing {
                "Content-Length" => wire.answer("200 OK", &[kind], &stream),
                "until close" => {
                    wire.head("200 OK", &[kind, ("Connection", "close")]);
                    wire.write(&stream);
                    wire.close();
                }
                _ => {
                    wire.write("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
                    wire.write(&stream);
                    wire.close();
                }
            }
        });
        let (proxy, key) = Home::new(&backend).serve_alice();
        let answer = proxy.chat(&key, ASK_STREAM);
        assert_eq!(
            (answer.text(), answer.clean),
            (expected.clone(), true),
            "{framing}"
        );
        let row = proxy.only_row();
        assert_eq!(
            (row.tokens(), row.labels()),
            ([19, 10, 0, 0], ["completed", "backend"]),
            "{framing}"
        );
    }
}

#[test]
fn a_compressed_stream_is_counted_and_unchanged() {
    let events = counted_stream(19, 10);
    let body = gzip(events.concat().as_bytes());
    let served = body.clone();
    let backend = Backend::start(move |_, wire| {
        let headers = [
            ("Content-Type", "text/event-stream"),
            ("Content-Encoding", "gzip"),
            ("Transfer-Encoding", "chunked"),
        ];
        wire.head("200 OK", &headers);
        wire.chunks(served.chunks(11));
        wire.end();
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let answer = proxy.chat(&key, ASK_STREAM_USAGE);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert!(
        answer.clean && answer.body == body,
        "the compressed bytes changed on their way"
    );
    // A client that did not ask must at least be able to read its events; whether the usage chunk could be taken out
    // of a compressed stream is not promised.
    let answer = proxy.chat(&key, ASK_STREAM);
    let mut text = answer.body.clone();
    if answer.header("content-encoding") == Some("gzip") {
        text.clear();
        flate2::read::MultiGzDecoder::new(&*answer.body)
            .read_to_end(&mut text)
            .unwrap();
    }
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.starts_with(&events[..2].concat()) && text.ends_with(DONE),
        "{text}"
    );
    let reported = ([19, 10, 0, 0], "backend".to_owned());
    assert_eq!(proxy.booked(), [reported.clone(), reported]);
}

#[test]
fn usage_at_the_end_of_an_oversized_event_is_counted() {
    let done = format!(
        r#"{{"type":"response.completed","response":{{"output":[{{"result":"{}"}}],"usage":{{"input_tokens":300,"output_tokens":40,"total_tokens":340}}}}}}"#,
        "iVBORw0K".repeat(200_000)
    );
    let backend = Backend::sse([format!("event: response.completed\ndata: {done}\n\n")]);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let ask = r#"{"model":"m","input":"x","stream":true}"#;
    let answer = proxy.send(&Request::post("/v1/responses", ask).key(&key));
    assert_eq!((answer.status, answer.clean), (200, true));
    let row = proxy.only_row();
    assert_eq!(
        (row.tokens(), row.source.as_str()),
        ([300, 40, 0, 0], "backend")
    );
}

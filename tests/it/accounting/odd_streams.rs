//! Streams that are short, slow or labelled as something else are booked.

use std::time::Duration;

use crate::harness::{
    ASK, ASK_STREAM, Backend, CHAT, DONE, Home, Request, chat_completion, counted_stream, delta,
};

#[test]
fn an_empty_stream_is_complete_and_booked_as_an_estimate() {
    for headers in [
        [
            ("Content-Type", "text/event-stream"),
            ("Content-Length", "0"),
        ],
        [
            ("Content-Type", "text/event-stream"),
            ("Transfer-Encoding", "chunked"),
        ],
    ] {
        let backend = Backend::start(move |_, wire| {
            wire.head("200 OK", &headers);
            if headers[1].0 == "Transfer-Encoding" {
                wire.end();
            }
        });
        let (proxy, key) = Home::new(&backend).serve_alice();
        let answer = proxy.chat(&key, ASK_STREAM);
        assert_eq!(
            (answer.status, answer.clean, answer.text().as_str()),
            (200, true, "")
        );
        let row = proxy.only_row();
        assert_eq!((row.labels(), row.output), (["completed", "estimate"], 0));
    }
}

#[test]
fn a_stream_labelled_plain_text_is_metered_like_any_stream() {
    let backend = Backend::start(|_, wire| {
        let body = counted_stream(19, 10).concat();
        wire.answer("200 OK", &[("Content-Type", "text/plain")], body);
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let answer = proxy.chat(&key, ASK_STREAM);
    assert!(answer.text().ends_with(DONE) && !answer.text().contains("prompt_tokens"));
    assert_eq!(proxy.only_row().tokens(), [19, 10, 0, 0]);
}

#[test]
fn a_plain_answer_in_pieces_passes_in_pieces_and_is_booked() {
    let body = chat_completion(19, 10);
    let (first, second) = body.split_at(40);
    let (first, second) = (first.to_owned(), second.to_owned());
    let backend = Backend::start(move |_, wire| {
        let length = (first.len() + second.len()).to_string();
        wire.head(
            "200 OK",
            &[
                ("Content-Type", "application/json"),
                ("Content-Length", &length),
            ],
        );
        wire.write(&first);
        std::thread::sleep(Duration::from_secs(1));
        wire.write(&second);
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut client = proxy.start(&Request::post(CHAT, ASK).key(&key));
    let asked = std::time::Instant::now();
    client.head();
    let piece = client.read_some().unwrap();
    assert!(
        asked.elapsed() < Duration::from_millis(900),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(piece, body.as_bytes()[..40]);
    let (rest, clean) = client.rest();
    assert_eq!((rest.as_slice(), clean), (&body.as_bytes()[40..], true));
    assert_eq!(proxy.only_row().tokens(), [19, 10, 0, 0]);
}

#[test]
fn many_events_in_one_read_all_arrive() {
    let backend = Backend::start(|_, wire| {
        wire.sse_head();
        let mut burst = Vec::new();
        for event in (0..200)
            .map(|n| delta(&format!("word{n} ")))
            .chain([DONE.to_owned()])
        {
            burst.extend(format!("{:x}\r\n{event}\r\n", event.len()).into_bytes());
        }
        burst.extend(b"0\r\n\r\n");
        wire.write(burst);
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let answer = proxy.chat(&key, ASK_STREAM);
    assert!(answer.clean && answer.text().contains("word199") && answer.text().ends_with(DONE));
}

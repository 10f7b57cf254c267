//! The usage chunk that only the proxy asked for is removed, and nothing else.

use crate::harness::{
    ASK_STREAM, ASK_STREAM_USAGE, Backend, DONE, Home, Proxy, counted_stream, delta, usage_event,
};

fn stream_of(events: &[String], body: &str) -> String {
    let backend = Backend::sse(events);
    let (proxy, key) = Home::new(&backend).serve_alice();
    received(&proxy, &key, body)
}

fn received(proxy: &Proxy, key: &str, body: &str) -> String {
    let answer = proxy.chat(key, body);
    assert_eq!((answer.status, answer.clean), (200, true), "{answer:?}");
    answer.text()
}

/// A delta as OpenAI sends it when usage was asked for.
fn delta_with_null_usage(text: &str) -> String {
    delta(text).replace("}]}", r#"}],"usage":null}"#)
}

#[test]
fn a_client_that_asked_gets_every_byte() {
    let events = [
        delta_with_null_usage("Hi"),
        usage_event(3, 1),
        DONE.to_owned(),
    ];
    assert_eq!(stream_of(&events, ASK_STREAM_USAGE), events.concat());
}

#[test]
fn a_client_that_did_not_ask_misses_only_the_usage_chunk() {
    let events = [
        delta_with_null_usage("Hi"),
        delta_with_null_usage(" you"),
        usage_event(3, 1),
        DONE.to_owned(),
    ];
    assert_eq!(
        stream_of(&events, ASK_STREAM),
        [&events[0], &events[1], DONE].concat()
    );
}

#[test]
fn a_usage_chunk_with_crlf_is_taken_out_with_its_blank_line() {
    let events = counted_stream(3, 1).map(|event| event.replace('\n', "\r\n"));
    assert_eq!(
        stream_of(&events, ASK_STREAM),
        [&*events[0], &*events[1], &*events[3]].concat()
    );
}

#[test]
fn a_usage_chunk_in_the_middle_of_a_read_is_taken_out() {
    let events = counted_stream(3, 1);
    let all_at_once = [events.concat()];
    assert_eq!(
        stream_of(&all_at_once, ASK_STREAM),
        [&*events[0], &*events[1], DONE].concat()
    );
}

#[test]
fn chunks_without_choices_that_carry_no_usage_stay() {
    let filter = r#"data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}],"model":"","object":""}"#.to_owned() + "\n\n";
    let null = r#"data: {"id":"1","choices":[],"usage":null}"#.to_owned() + "\n\n";
    let events = [
        filter.clone(),
        null.clone(),
        delta("Hi"),
        usage_event(3, 1),
        DONE.to_owned(),
    ];
    assert_eq!(
        stream_of(&events, ASK_STREAM),
        [&*filter, &*null, &delta("Hi"), DONE].concat()
    );
}

#[test]
fn usage_beside_content_stays() {
    let last = delta(" you").replace(
        "}]}",
        r#"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
    );
    let events = [delta("Hi"), last, DONE.to_owned()];
    assert_eq!(stream_of(&events, ASK_STREAM), events.concat());
}

#[test]
fn comments_and_other_fields_of_events_stay() {
    let events = [
        ": OPENROUTER PROCESSING\n\n".to_owned(),
        "retry: 3000\nid: 7\nevent: message\n".to_owned() + &delta("Hi"),
        "\n".to_owned(),
        "data: not json at all\n\n".to_owned(),
        usage_event(3, 1),
        DONE.to_owned(),
        ": bye\n\n".to_owned(),
    ];
    let expected = events
        .iter()
        .filter(|event| **event != usage_event(3, 1))
        .map(String::as_str)
        .collect::<String>();
    assert_eq!(stream_of(&events, ASK_STREAM), expected);
}

#[test]
fn a_text_that_quotes_a_usage_chunk_stays() {
    let quoted = delta(r#"data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":9}}"#);
    let events = [quoted.clone(), usage_event(3, 1), DONE.to_owned()];
    assert_eq!(stream_of(&events, ASK_STREAM), [&*quoted, DONE].concat());
}

#[test]
fn stream_usage_leave_keeps_an_unrequested_usage_chunk() {
    let events = counted_stream(3, 1);
    let backend = Backend::sse(&events);
    let (proxy, key) = Home::new(&backend)
        .set("STREAM_USAGE", "leave")
        .serve_alice();
    assert_eq!(received(&proxy, &key, ASK_STREAM), events.concat());
    assert_eq!(proxy.only_row().tokens(), [3, 1, 0, 0]);
}

#[test]
fn a_stream_cut_anywhere_reaches_the_client_the_same() {
    let events = counted_stream(3, 1);
    let stream = events.concat();
    let expected = [&*events[0], &*events[1], DONE].concat();
    let cut_at = std::sync::atomic::AtomicUsize::new(0);
    let backend = Backend::start({
        let stream = stream.clone();
        move |_, wire| {
            let at = cut_at.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            wire.sse(&[&stream[..at], &stream[at..]]);
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for at in 1..stream.len() {
        assert_eq!(
            received(&proxy, &key, ASK_STREAM),
            expected,
            "cut after byte {at}"
        );
    }
    assert!(proxy.rows().iter().all(|row| row.tokens() == [3, 1, 0, 0]));
}

#[test]
fn a_stream_that_comes_byte_by_byte_reaches_the_client_the_same() {
    for line_end in ["\n", "\r\n"] {
        let events = counted_stream(3, 1).map(|event| event.replace('\n', line_end));
        let stream = events.concat().into_bytes();
        let backend = Backend::sse(stream.chunks(1));
        let (proxy, key) = Home::new(&backend).serve_alice();
        assert_eq!(
            received(&proxy, &key, ASK_STREAM),
            [&*events[0], &*events[1], &*events[3]].concat()
        );
        assert_eq!(received(&proxy, &key, ASK_STREAM_USAGE), events.concat());
        assert!(
            proxy.rows().iter().all(|row| row.tokens() == [3, 1, 0, 0]),
            "{:?}",
            proxy.rows()
        );
    }
}

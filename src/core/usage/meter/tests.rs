use super::*;
use crate::{
    model::Usage,
    usage::{Content, Dialect},
};
use proptest::prelude::*;

fn usage_of(reading: &Reading) -> Option<Usage> {
    reading.counts().usage(Dialect::Completions, Content::Text)
}

fn run(mut meter: Meter, reads: &[&[u8]]) -> (Reading, Vec<u8>) {
    let mut out = Vec::new();
    for read in reads {
        meter.push(Bytes::copy_from_slice(read), &mut |bytes| {
            out.extend_from_slice(&bytes);
        });
    }
    meter.finish(&mut |bytes| out.extend_from_slice(&bytes));
    (meter.reading().clone(), out)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn usage_of_4() -> Usage {
    Usage {
        input: 3,
        output: 4,
        ..Usage::default()
    }
}

#[test]
fn gzip_is_read_and_passed_untouched() {
    let json = gzip(br#"{"usage":{"prompt_tokens":3,"completion_tokens":4}}"#);
    let halves = json.split_at(json.len() / 2);
    let (reading, out) = run(Meter::json(Encoding::Gzip, None), &[halves.0, halves.1]);
    assert_eq!((usage_of(&reading), out), (Some(usage_of_4()), json));
    let events = gzip(b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n");
    let (reading, out) = run(
        Meter::events(
            UsageOnlyEvents::TakeOut,
            Encoding::Gzip,
            &Templates::default(),
        ),
        &[&events],
    );
    assert_eq!(
        (usage_of(&reading), reading.done, out),
        (Some(usage_of_4()), true, events)
    );
}

/// `{"usage":{"prompt_tokens":3,"completion_tokens":4}}`, as the brotli and zstd command line tools
/// write it.
const BROTLI: &[u8] = b"\xa1\x90\x01\xc0o\xa4\x16k\xcep'\x90\x93\xa5\xfe\xac\xd1\xba\x90\x8c\xa1\x99\xd0\x81\x89\x1c86\xcf\x02\xa1\x83\xbfK\x98\x04\x97bx\xf8qTg\xd4z0\x06\x15>\xc8\xfe\x01";
const ZSTD: &[u8] = b"(\xb5/\xfd$3\x99\x01\x00{\x22usage\x22:{\x22prompt_tokens\x22:3,\x22completion_tokens\x22:4}}7}\x94\x08";

#[test]
fn brotli_and_zstd_are_read_however_they_are_split() {
    for (encoding, encoded) in [(Encoding::Brotli, BROTLI), (Encoding::Zstd, ZSTD)] {
        for cut in 0..=encoded.len() {
            let (reading, out) = run(
                Meter::json(encoding, None),
                &[&encoded[..cut], &encoded[cut..]],
            );
            assert_eq!(
                (usage_of(&reading), out.as_slice()),
                (Some(usage_of_4()), encoded),
                "{encoding:?} cut at {cut}"
            );
        }
    }
}

#[test]
fn broken_and_unknown_encodings_pass_unread() {
    for encoding in [
        Encoding::Gzip,
        Encoding::Deflate,
        Encoding::Brotli,
        Encoding::Zstd,
        Encoding::Unknown,
    ] {
        let (reading, out) = run(Meter::json(encoding, None), &[b"no such thing", b"{}"]);
        assert_eq!(
            (usage_of(&reading), out),
            (None, b"no such thing{}".to_vec())
        );
    }
}

#[test]
fn an_undecodable_body_counts_by_its_length() {
    for encoding in [Encoding::Brotli, Encoding::Zstd, Encoding::Unknown] {
        for mut meter in [
            Meter::json(encoding, None),
            Meter::events(UsageOnlyEvents::Pass, encoding, &Templates::default()),
        ] {
            for _ in 0..30 {
                meter.push(Bytes::from(vec![0xff; 100_000]), &mut |_| {});
            }
            meter.finish(&mut |_| {});
            let AnswerText::Text(text) = meter.take_generated() else {
                panic!("{encoding:?}: it is no JSON");
            };
            assert_eq!(text.unread_bytes(), 3_000_000, "{encoding:?}");
        }
    }
}

#[test]
fn a_few_bytes_that_decode_to_a_gigabyte_are_given_up() {
    let bomb = {
        let zeros = vec![b'0'; 64 * 1024 * 1024];
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&zeros).unwrap();
        encoder.finish().unwrap()
    };
    let mut meter = Meter::json(Encoding::Gzip, None);
    meter.push(Bytes::from(bomb), &mut |_| {});
    assert!(meter.decoder_broke);
}

#[test]
fn the_usage_of_a_long_answer_is_found_wherever_it_stands() {
    let filler = "x".repeat(100_000);
    let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":4}"#;
    for (before, after) in [(0, 30), (10, 20), (15, 15), (30, 0)] {
        let text = |n: usize| filler.repeat(n);
        let body = format!(
            r#"{{"a":"{}",{usage},"b":"{}"}}"#,
            text(before),
            text(after)
        );
        for length in [None, Some(body.len() as u64)] {
            for size in [7_001, 48, 65_536, body.len()] {
                let reads: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
                let (reading, out) = run(Meter::json(Encoding::Identity, length), &reads);
                assert_eq!(
                    usage_of(&reading),
                    Some(usage_of_4()),
                    "{before} before, {after} after, in pieces of {size}"
                );
                assert_eq!(out, body.as_bytes());
            }
        }
    }
}

#[test]
fn the_images_of_a_long_answer_are_counted() {
    let picture = format!(r#"{{"b64_json":"{}"}}"#, "x".repeat(700_000));
    let usage = r#""usage":{"input_tokens":3,"output_tokens":4}"#;
    let body = format!(r#"{{"data":[{picture},{picture},{picture}],{usage}}}"#);
    for chunk in [4_001, 16_384, 65_536] {
        let reads: Vec<&[u8]> = body.as_bytes().chunks(chunk).collect();
        let (reading, _) = run(Meter::json(Encoding::Identity, None), &reads);
        assert_eq!(
            (usage_of(&reading), reading.items),
            (Some(usage_of_4()), 3),
            "{chunk}"
        );
    }
}

#[test]
fn a_long_answer_s_objects_and_model_are_read_in_any_encoding() {
    let text = "x\\\\\\\"\\u00e9".repeat(200_000);
    let body = format!(
        r#"{{"id":"resp_1","output":[{{"id":"ig_1","result":"{text}"}},{{"id":"msg_1"}}],"model":"m","status":"completed"}}"#
    );
    let encoded = gzip(body.as_bytes());
    for (encoding, bytes, length) in [
        (Encoding::Identity, body.as_bytes(), Some(body.len() as u64)),
        (Encoding::Identity, body.as_bytes(), None),
        (Encoding::Gzip, &encoded, Some(encoded.len() as u64)),
    ] {
        for size in [61, 10_007, bytes.len()] {
            let mut meter = Meter::json(encoding, length).with_objects();
            for read in bytes.chunks(size) {
                meter.push(Bytes::copy_from_slice(read), &mut |_| {});
            }
            meter.finish(&mut |_| {});
            let stored = meter.stored().unwrap();
            assert_eq!(
                stored.items,
                ["ig_1", "msg_1"],
                "{encoding:?}, {length:?}, {size}"
            );
            assert!(stored.is_final());
            assert_eq!(meter.reading().model.as_deref(), Some("m"));
        }
    }
}

#[test]
fn the_last_usage_of_a_stream_counts() {
    let event = |n: u64| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}],\"usage\":{{\"prompt_tokens\":3,\"completion_tokens\":{n}}}}}\n\n"
        )
    };
    let stream = [event(1), event(2), event(4)].concat();
    let (reading, out) = run(
        Meter::events(
            UsageOnlyEvents::TakeOut,
            Encoding::Identity,
            &Templates::default(),
        ),
        &[stream.as_bytes()],
    );
    assert_eq!(usage_of(&reading), Some(usage_of_4()));
    assert_eq!(out, stream.as_bytes());
    assert!(reading.text.is_empty(), "all of it is counted");
}

fn events(stream: &str) -> Reading {
    let meter = Meter::events(
        UsageOnlyEvents::TakeOut,
        Encoding::Identity,
        &Templates::default(),
    );
    run(meter, &[stream.as_bytes()]).0
}

#[test]
fn text_after_the_last_count_is_uncounted() {
    const START: &str = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n";
    const TEXT: &str =
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"word \"}}\n\n";
    const END: &str = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":N}}\n\n";
    for (stream, is_complete, is_uncounted) in [
        (START.to_owned(), true, false),
        ([START, TEXT, TEXT].concat(), true, true),
        ([START, TEXT, &END.replace('N', "1")].concat(), true, false),
        (
            [START, TEXT, &END.replace('N', "2"), TEXT].concat(),
            true,
            true,
        ),
        // A 0 at the end is a count, before that it is none.
        ([START, TEXT, &END.replace('N', "0")].concat(), true, false),
        ([START, TEXT, &END.replace('N', "0")].concat(), false, true),
        ([&END.replace('N', "0"), TEXT].concat(), true, true),
    ] {
        let reading = events(&stream);
        assert_eq!(
            reading.has_uncounted_text(is_complete),
            is_uncounted,
            "{stream}"
        );
    }
    assert_eq!(
        events(&[START, TEXT, TEXT].concat()).text.kept(),
        "word word "
    );
}

#[test]
fn usage_in_a_vendor_s_place_counts_if_it_is_the_only_one() {
    const USAGE: &str = r#""usage":{"prompt_tokens":3,"completion_tokens":4}"#;
    const OTHER: &str = r#"{"prompt_tokens":30,"completion_tokens":40}"#;
    for event in [
        format!(r#"{{"choices":[{{"index":0,"delta":{{}},{USAGE}}}]}}"#),
        format!(r#"{{"choices":[],"x_groq":{{"id":"r",{USAGE}}}}}"#),
        format!(r#"{{"choices":[{{"delta":{{}},"usage":{OTHER}}}],{USAGE}}}"#),
        format!(r#"{{{USAGE},"x_vendor":{{"usage":{OTHER}}},"choices":[{{}}]}}"#),
    ] {
        let reading = events(&format!("data: {event}\n\n"));
        assert_eq!(usage_of(&reading), Some(usage_of_4()), "{event}");
        let (reading, _) = run(Meter::json(Encoding::Identity, None), &[event.as_bytes()]);
        assert_eq!(usage_of(&reading), Some(usage_of_4()), "{event}");
    }
}

#[test]
fn an_error_is_known_in_each_of_its_forms() {
    for (stream, is_error) in [
        ("data: {\"error\":{\"message\":\"x\"}}\n\n", true),
        ("data: {\"error\":\"x\"}\n\n", true),
        ("data: {\"type\":\"error\",\"code\":\"x\"}\n\n", true),
        ("data: {\"object\":\"error\",\"message\":\"x\"}\n\n", true),
        ("event: error\ndata: {\"message\":\"x\"}\n\n", true),
        (
            "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"x\"}}}\n\n",
            true,
        ),
        ("data: {\"error\":null,\"choices\":[]}\n\n", false),
        (
            "data: {\"type\":\"response.completed\",\"response\":{\"error\":null}}\n\n",
            false,
        ),
        (
            "data: {\"choices\":[{\"delta\":{\"content\":\"error\"}}]}\n\n",
            false,
        ),
    ] {
        assert_eq!(events(stream).is_error, is_error, "{stream}");
    }
}

#[test]
fn a_flood_of_base64_is_no_text() {
    let base64 = "iVBORw0KGgo/".repeat(100_000);
    for event in [
        format!(
            r#"{{"type":"response.image_generation_call.partial_image","partial_image_b64":"{base64}"}}"#
        ),
        format!(
            r#"{{"partial_image_b64":"{base64}","type":"response.image_generation_call.partial_image"}}"#
        ),
        format!(r#"{{"type":"response.audio.delta","delta":"{base64}"}}"#),
        format!(r#"{{"delta":"{base64}","type":"response.output_audio.delta"}}"#),
        format!(r#"{{"choices":[{{"delta":{{"audio":{{"data":"{base64}"}}}}}}]}}"#),
        format!(
            r#"{{"type":"response.output_text.done","text":"{}"}}"#,
            "a b ".repeat(300_000)
        ),
    ] {
        // Long, short, and broken off in the middle of either.
        for cut in [event.len(), event.len() - 200_000, 500_000] {
            let mut reading = events(&format!("data: {}", &event[..cut]));
            let bytes = reading.text.unread_bytes();
            assert!(bytes < 100, "{bytes} of {}, {cut}", &event[..50]);
            assert_eq!(reading.text.kept(), "");
            reading.text.clear();
        }
    }
    let words = "some words ".repeat(200_000);
    let event = format!(r#"{{"choices":[{{"delta":{{"content":"{words}"}}}}]}}"#);
    for cut in [event.len(), 900_000] {
        let reading = events(&format!("data: {}", &event[..cut]));
        let bytes = reading.text.unread_bytes();
        assert!(bytes.abs_diff(cut as u64) < 100, "{bytes} of {cut}");
    }
}

#[test]
fn the_usage_of_a_long_last_event_is_read_wherever_it_stands() {
    let text = "some words ".repeat(120_000);
    for event in [
        format!(
            r#"{{"type":"response.completed","response":{{"model":"m","usage":{{"input_tokens":3,"output_tokens":4}},"output":"{text}"}}}}"#
        ),
        format!(
            r#"{{"response":{{"output":[{{"text":"{text}"}}],"usage":{{"input_tokens":3,"output_tokens":4}},"x":"{text}"}},"type":"response.completed"}}"#
        ),
    ] {
        let reading = events(&format!("data: {event}\n\n"));
        assert_eq!(usage_of(&reading), Some(usage_of_4()));
        assert!(reading.done && !reading.has_uncounted_text(true));
    }
}

#[test]
fn an_answer_labelled_json_is_read_by_its_first_byte() {
    let undecided = || {
        Meter::undecided(
            UsageOnlyEvents::TakeOut,
            Encoding::Identity,
            &Templates::default(),
        )
    };
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n";
    let (reading, out) = run(undecided(), &[b"\n", usage.as_bytes(), b"data: [DONE]\n\n"]);
    assert_eq!(usage_of(&reading), Some(usage_of_4()));
    assert_eq!(out, b"\ndata: [DONE]\n\n");
    let json = br#" {"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
    let (reading, out) = run(undecided(), &[&json[..1], &json[1..]]);
    assert_eq!(
        (usage_of(&reading), &out[..]),
        (Some(usage_of_4()), &json[..])
    );
}

/// A stream of the responses API: its usage, and the calls of its tools in the order of
/// `UsageClasses`, and its tier.
fn of_responses(events: &[&str]) -> (Usage, [u64; 3], Option<String>) {
    let stream = format!("data: {}\n\n", events.join("\n\ndata: "));
    let meter = || {
        Meter::events(
            UsageOnlyEvents::Pass,
            Encoding::Identity,
            &Templates::default(),
        )
    };
    let read = |reads: &[&[u8]]| {
        let (reading, _) = run(meter(), reads);
        let mut calls = UsageClasses::default();
        reading.note_calls(&mut calls);
        let usage = reading.counts().usage(Dialect::Responses, Content::Text);
        (
            usage.unwrap_or_default(),
            [calls.web_searches, calls.file_searches, calls.code_calls],
            reading.service_tier().map(|tier| tier.as_str().to_owned()),
        )
    };
    let whole = read(&[stream.as_bytes()]);
    for size in [1, 7, 100] {
        let reads: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
        assert_eq!(read(&reads), whole, "in reads of {size} bytes");
    }
    whole
}

const CREATED: &str = r#"{"type":"response.created","response":{"id":"resp_1","service_tier":"auto","output":[],"usage":null}}"#;
const SEARCH_ADDED: &str = r#"{"type":"response.output_item.added","item":{"type":"web_search_call","id":"ws_1","status":"in_progress"}}"#;
const SEARCH_DONE: &str = r#"{"type":"response.output_item.done","item":{"type":"web_search_call","id":"ws_1","action":{"type":"search","query":"q"}}}"#;
const PAGE_DONE: &str = r#"{"item":{"type":"web_search_call","id":"ws_2","action":{"type":"open_page"}},"type":"response.output_item.done"}"#;
const CODE_DONE: &str = r#"{"type":"response.output_item.done","item":{"type":"code_interpreter_call","id":"ci_1","container_id":"cntr_1"}}"#;
const FILES_DONE: &str = r#"{"type":"response.output_item.done","item":{"type":"file_search_call","id":"fs_1","results":null}}"#;
const COMPLETED: &str = r#"{"type":"response.completed","response":{"id":"resp_1","service_tier":"flex","output":[
    {"type":"web_search_call","action":{"type":"search"}},{"type":"web_search_call","action":{"type":"open_page"}},
    {"type":"code_interpreter_call","container_id":"cntr_1"},{"type":"file_search_call"},{"type":"message"}],
    "usage":{"input_tokens":328,"input_tokens_details":{"cached_tokens":8,"cache_write_tokens":20},"output_tokens":52,"total_tokens":380}}}"#;

#[test]
fn calls_in_a_stream_are_counted_once() {
    let completed = COMPLETED.replace('\n', "");
    let all = [
        CREATED,
        SEARCH_ADDED,
        SEARCH_DONE,
        PAGE_DONE,
        CODE_DONE,
        CODE_DONE,
        FILES_DONE,
    ];
    let with_end = |end: &str| of_responses(&[&all[..], &[end]].concat());
    let flex = Some("flex".to_owned());
    let (usage, calls, tier) = with_end(&completed);
    assert_eq!((calls, &tier), ([1, 1, 1], &flex));
    assert_eq!((usage.input, usage.cached), (328, 8));
    assert_eq!(usage.classes.cache_write_5m, 20);

    let incomplete = completed.replace("response.completed", "response.incomplete");
    assert_eq!(with_end(&incomplete).1, [1, 1, 1]);
    let (_, calls, tier) = of_responses(&[CREATED, &completed]);
    assert_eq!((calls, &tier), ([1, 1, 1], &flex), "only the end has them");
    let empty = r#"{"type":"response.completed","response":{"output":[],"usage":{"input_tokens":1,"output_tokens":1}}}"#;
    assert_eq!(with_end(empty).1, [1, 1, 1], "only the events have them");
    let (_, calls, tier) = of_responses(&all);
    assert_eq!((calls, tier), ([1, 1, 1], None), "it breaks off");
    assert_eq!(of_responses(&[CREATED, SEARCH_ADDED]).1, [0, 0, 0]);
}

#[test]
fn the_tier_of_a_chat_s_chunks_is_known() {
    let chunk = |text: &str| {
        format!(
            r#"{{"id":"c","model":"gpt-5","service_tier":"priority","choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#
        )
    };
    let chunks = ["a", "b", "c"].map(chunk);
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let (_, _, tier) = of_responses(&chunks);
    assert_eq!(tier.as_deref(), Some("priority"));
}

#[test]
fn a_stream_of_messages_has_classes_from_both_ends() {
    let start = r#"{"type":"message_start","message":{"model":"c","usage":{"input_tokens":25,"cache_creation_input_tokens":300,"cache_read_input_tokens":7,
        "cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},"output_tokens":1,"service_tier":"priority"}}}"#.replace('\n', "");
    let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15,"server_tool_use":{"web_search_requests":2}}}"#;
    let stream = format!(
        "event: message_start\ndata: {start}\n\ndata: {delta}\n\ndata: {{\"type\":\"message_stop\"}}\n\n"
    );
    let meter = Meter::events(
        UsageOnlyEvents::Pass,
        Encoding::Identity,
        &Templates::default(),
    );
    let (reading, _) = run(meter, &[stream.as_bytes()]);
    let usage = reading
        .counts()
        .usage(Dialect::Messages, Content::Text)
        .unwrap();
    assert_eq!((usage.input, usage.output, usage.cached), (332, 15, 7));
    assert_eq!(
        usage.classes,
        UsageClasses {
            cache_write_5m: 100,
            cache_write_1h: 200,
            web_searches: 2,
            ..UsageClasses::default()
        }
    );
    assert_eq!(reading.service_tier(), Some(&ServiceTier::Priority));
}

#[test]
fn a_long_json_answer_has_its_classes() {
    let text = "words ".repeat(300_000);
    let json = format!(
        r#"{{"id":"resp_1","service_tier":"flex","output":[{{"type":"web_search_call","action":{{"type":"search"}}}},{{"type":"message","content":[{{"type":"output_text","text":"{text}"}}]}}],
            "usage":{{"input_tokens":328,"input_tokens_details":{{"cached_tokens":8,"cache_write_tokens":20}},"output_tokens":52,"total_tokens":380}}}}"#
    );
    for length in [None, Some(json.len() as u64)] {
        let meter = Meter::json(Encoding::Identity, length).with_objects();
        let reads: Vec<&[u8]> = json.as_bytes().chunks(10_000).collect();
        let (reading, _) = run(meter, &reads);
        let mut usage = reading
            .counts()
            .usage(Dialect::Responses, Content::Text)
            .unwrap();
        reading.note_calls(&mut usage.classes);
        assert_eq!(usage.classes.cache_write_5m, 20);
        assert_eq!(usage.classes.web_searches, 1);
        assert_eq!(reading.service_tier(), Some(&ServiceTier::Flex));
    }
}

proptest! {
    #[test]
    fn any_bytes_pass_in_any_encoding(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::properties::decode(&bytes);
    }
}

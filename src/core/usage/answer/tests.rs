use super::*;
use crate::{
    model::Usage,
    usage::{Content, Dialect},
};
use proptest::prelude::*;

fn usage(json: &str) -> Option<Usage> {
    usage_of(&read_answer(json.as_bytes()))
}

fn usage_of(answer: &Answer) -> Option<Usage> {
    answer.counts.usage(Dialect::Completions, Content::Text)
}

#[test]
fn openai_s_usage_is_read_completely() {
    let answer = read_answer(
            br#"{"id":"x","model":"gpt-4.1-mini-2025","choices":[{"message":{"role":"assistant","content":"hi"}}],
                "usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,
                "prompt_tokens_details":{"cached_tokens":7,"audio_tokens":0},
                "completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":0}}}"#,
        );
    let expected = Usage {
        input: 19,
        output: 10,
        cached: 7,
        reasoning: 3,
        ..Usage::default()
    };
    assert_eq!(usage_of(&answer), Some(expected));
    assert_eq!(answer.model.as_deref(), Some("gpt-4.1-mini-2025"));
}

#[test]
fn the_tier_is_read_beside_the_usage_or_in_it() {
    for (json, expected) in [
        (
            r#"{"service_tier":"default","usage":{"prompt_tokens":1}}"#,
            Some("default"),
        ),
        (r#"{"service_tier":"flex"}"#, Some("flex")),
        (r#"{"service_tier":"auto"}"#, None),
        (r#"{"service_tier":null}"#, None),
        (r#"{"service_tier":["flex"]}"#, None),
        (r#"{"service_tier":"on_demand"}"#, Some("on_demand")),
        (
            r#"{"usage":{"input_tokens":1,"service_tier":"standard"}}"#,
            Some("default"),
        ),
        (
            r#"{"type":"message_start","message":{"usage":{"input_tokens":1,"service_tier":"priority"}}}"#,
            Some("priority"),
        ),
        (
            r#"{"type":"response.completed","response":{"service_tier":"priority"}}"#,
            Some("priority"),
        ),
        (r#"{"metadata":{"service_tier":"flex"}}"#, None),
    ] {
        let tier = |answer: &Answer| answer.tier().map(|tier| tier.as_str().to_owned());
        assert_eq!(
            tier(&read_answer(json.as_bytes())).as_deref(),
            expected,
            "{json}"
        );
        let (_, event) = read_event(json.as_bytes(), &mut Text::default());
        assert_eq!(tier(&event).as_deref(), expected, "{json}");
    }
}

#[test]
fn a_zero_is_a_zero_and_details_may_be_null() {
    assert_eq!(
        usage(r#"{"usage":{"prompt_tokens":0,"completion_tokens":0}}"#),
        Some(Usage::default())
    );
    let expected = Usage {
        input: 5,
        ..Usage::default()
    };
    assert_eq!(
        usage(
            r#"{"usage":{"prompt_tokens":5,"completion_tokens":0,"prompt_tokens_details":null}}"#
        ),
        Some(expected)
    );
    assert_eq!(
        usage(r#"{"usage":{"prompt_tokens":5,"total_tokens":5}}"#),
        Some(expected)
    );
}

#[test]
fn a_malformed_usage_is_no_usage() {
    for json in [
        "{}",
        "[]",
        "null",
        "",
        r#"{"usage":null}"#,
        r#"{"usage":[1]}"#,
        r#"{"usage":"5"}"#,
        r#"{"usage":{}}"#,
        r#"{"usage":{"prompt_tokens":-1,"completion_tokens":-1}}"#,
        r#"{"usage":{"prompt_tokens":"5","completion_tokens":{}}}"#,
        r#"{"usage":{"prompt_tokens":1e300,"completion_tokens":99999999999999999999}}"#,
        r#"{"usage":{"prompt_tokens":1.5,"completion_tokens":true}}"#,
    ] {
        assert_eq!(usage(json), None, "{json}");
    }
}

#[test]
fn odd_neighbours_do_not_hide_usage() {
    let expected = Some(Usage {
        input: 1,
        output: 2,
        ..Usage::default()
    });
    for json in [
        r#"{"model":5,"choices":{"a":1},"usage":{"prompt_tokens":1,"completion_tokens":2.0}}"#,
        r#"{"\ud800":1,"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        r#"{"usage":null,"\u0075sage":{"input_tokens":1,"output_tokens":2}}"#,
        r#"{"choices":[null,1,"x",[{}]],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        r#"{"choices":[{"message":{"content":"cut \ud83d"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
    ] {
        assert_eq!(usage(json), expected, "{json}");
    }
}

#[test]
fn a_megabyte_of_unfinished_usage_objects_is_given_up_soon() {
    let unfinished = "{\"usage\":".repeat(1024 * 1024 / 9);
    let started = std::time::Instant::now();
    assert_eq!(usage(&unfinished), None);
    assert!(
        started.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn kinds_of_events_are_distinguished() {
    let kind = |data: &str| read_event(data.as_bytes(), &mut Text::default()).0;
    assert_eq!(kind(" [DONE] "), EventKind::Done);
    assert_eq!(
        kind(r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#),
        EventKind::UsageOnly
    );
    assert_eq!(kind(r#"{"choices":[],"usage":null}"#), EventKind::Content);
    assert_eq!(
        kind(r#"{"choices":[{"delta":{}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#),
        EventKind::Content
    );
    for choices in [
        "",
        r#""choices":null,"#,
        r#""object":"chat.completion.chunk","#,
    ] {
        let event = format!(r#"{{{choices}"usage":{{"prompt_tokens":1,"completion_tokens":2}}}}"#);
        assert_eq!(kind(&event), EventKind::UsageOnly, "{event}");
    }
    for other in [
        r#"{"choices":{},"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        r#"{"error":"x","usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        r#"{"type":"message_delta","usage":{"output_tokens":2,"input_tokens":1}}"#,
        r#"{"delta":"x","usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        r#"{"choices":[],"usage":{}}"#,
    ] {
        assert_eq!(kind(other), EventKind::Content, "{other}");
    }
}

#[test]
fn events_of_other_endpoints_are_read() {
    let read = |data: &str| read_event(data.as_bytes(), &mut Text::default());
    let (kind, answer) = read(
        r#"{"type":"response.completed","response":{"model":"gpt-4.1","output":[{"content":[{"text":"hello"}]}],"usage":{"input_tokens":36,
               "input_tokens_details":{"cached_tokens":6},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":9},"total_tokens":123}}}"#,
    );
    let expected = Usage {
        input: 36,
        output: 87,
        cached: 6,
        reasoning: 9,
        ..Usage::default()
    };
    assert_eq!((kind, usage_of(&answer)), (EventKind::Done, Some(expected)));
    assert_eq!(answer.model.as_deref(), Some("gpt-4.1"));
    for end in ["message_stop", "transcript.text.done", "speech.audio.done"] {
        assert_eq!(read(&format!(r#"{{"type":"{end}"}}"#)).0, EventKind::Done);
    }
    let (_, answer) = read(
        r#"{"type":"image_generation.completed","b64_json":"x","usage":{"input_tokens":5,"output_tokens":6,"total_tokens":11}}"#,
    );
    assert_eq!(answer.items, 1);
}

#[test]
fn the_text_of_events_is_joined_and_what_repeats_it_is_not() {
    let mut text = Text::default();
    for event in [
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"a"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"reasoning_content":"b","tool_calls":[{"index":0,"id":"x","function":{"arguments":"c"}}]}}]}"#,
        r#"{"choices":[{"text":"d","index":0,"logprobs":null}]}"#,
        r#"{"type":"response.output_text.delta","item_id":"x","delta":"e","obfuscation":"zzz"}"#,
        r#"{"type":"response.output_text.done","item_id":"x","text":"e"}"#,
        r#"{"type":"response.completed","response":{"output":[{"content":[{"text":"e"}]}]}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"f"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}"#,
        r#"{"delta":{"stop_reason":"end_turn"},"type":"message_delta"}"#,
    ] {
        read_event(event.as_bytes(), &mut text);
    }
    assert_eq!((text.kept(), text.unread_bytes()), ("abcdef", 0));
    let broken = br#"{"choices":[{"delta":{"content":"g"}}],"x":"\ud83d"#;
    read_event(broken, &mut text);
    assert_eq!(
        (text.kept(), text.unread_bytes()),
        ("abcdef", broken.len() as u64)
    );
}

#[test]
fn answers_of_other_endpoints_are_read() {
    let transcript = read_answer(br#"{"text":"hello","usage":{"type":"duration","seconds":12.5}}"#);
    assert_eq!(usage_of(&transcript).unwrap().audio_ms, 12_500);
    let verbose = read_answer(br#"{"task":"transcribe","duration":8.47,"text":"hello"}"#);
    assert_eq!(usage_of(&verbose).unwrap().audio_ms, 8_470);
    let images = read_answer(br#"{"created":1,"data":[{"url":"a"},{"url":"b"}]}"#);
    assert_eq!((images.items, usage_of(&images)), (2, None));
    let embedding =
        usage(r#"{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#);
    let reranked = usage(r#"{"results":[],"usage":{"total_tokens":8}}"#);
    let expected = Usage {
        input: 8,
        ..Usage::default()
    };
    assert_eq!((embedding, reranked), (Some(expected), Some(expected)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_event(&bytes, &mut Text::default());
    }

    #[test]
    fn any_counts_survive(input in 0..1_000_000_000_000u64, output in 0..1_000_000_000_000u64, cached in 0..1_000_000_000_000u64) {
        let cached = cached.min(input);
        let json = format!(r#"{{"usage":{{"prompt_tokens":{input},"completion_tokens":{output},"prompt_tokens_details":{{"cached_tokens":{cached}}}}}}}"#);
        prop_assert_eq!(usage(&json), Some(Usage { input, output, cached, ..Usage::default() }));
    }
}

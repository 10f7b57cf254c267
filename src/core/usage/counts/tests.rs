use super::*;

use proptest::prelude::*;

fn counts(json: &str) -> Counts {
    serde_json::from_str::<UsageObject>(json)
        .unwrap()
        .0
        .unwrap()
}

/// Input, output, cached and reasoning tokens.
fn read(dialect: Dialect, json: &str) -> [u64; 4] {
    let usage = counts(json).usage(dialect, Content::Text).unwrap();
    [usage.input, usage.output, usage.cached, usage.reasoning]
}

use Dialect::{Completions, Messages, Responses, Unknown};

#[test]
fn the_last_usage_of_a_piece_is_found() {
    let piece = br#"ull,"usage" : {"prompt_tokens":3,"completion_tokens":4}, "service_tier":"x","a":"\"usage\":{}"}"#;
    let found = find_counts(piece).and_then(|counts| counts.usage(Completions, Content::Text));
    let expected = Usage {
        input: 3,
        output: 4,
        ..Usage::default()
    };
    assert_eq!(found, Some(expected));
    assert_eq!(find_counts(br#""usage":{"prompt_tok"#), None);
}

#[test]
fn the_endpoint_s_own_names_take_precedence() {
    const OWN: &str = r#""prompt_tokens":12,"completion_tokens":22"#;
    const OTHER: &str = r#""input_tokens":12,"output_tokens":22"#;
    for beside in [
        r#""input_tokens":0,"output_tokens":0"#,
        r#""input_tokens":null,"output_tokens":null"#,
        r#""input_tokens":7,"output_tokens":8"#,
        r#""input_tokens":"x","output_tokens":[]"#,
    ] {
        for json in [format!("{{{OWN},{beside}}}"), format!("{{{beside},{OWN}}}")] {
            assert_eq!(read(Completions, &json), [12, 22, 0, 0], "{json}");
        }
        let beside = beside
            .replace("input", "prompt")
            .replace("output", "completion");
        for json in [
            format!("{{{OTHER},{beside}}}"),
            format!("{{{beside},{OTHER}}}"),
        ] {
            for dialect in [Responses, Messages] {
                assert_eq!(read(dialect, &json), [12, 22, 0, 0], "{json}");
            }
        }
    }
    let zeros = format!(r#"{{{OWN},"input_tokens":0,"output_tokens":0}}"#);
    assert_eq!(read(Unknown, &zeros), [12, 22, 0, 0]);
    for alias_only in [
        format!("{{{OTHER}}}"),
        format!(r#"{{"prompt_tokens":null,"completion_tokens":null,{OTHER}}}"#),
    ] {
        assert_eq!(read(Completions, &alias_only), [12, 22, 0, 0]);
    }
    let both_zero = r#"{"prompt_tokens":0,"completion_tokens":0,"input_tokens":0}"#;
    assert_eq!(read(Completions, both_zero), [0; 4]);
}

#[test]
fn details_under_two_names_count_once() {
    const COUNTS: &str = r#""prompt_tokens":12,"completion_tokens":22"#;
    for (details, expected) in [
        (
            r#""prompt_tokens_details":{"cached_tokens":5},"input_tokens_details":{"cached_tokens":0}"#,
            [12, 22, 5, 0],
        ),
        (
            r#""input_tokens_details":{"cached_tokens":0},"prompt_tokens_details":{"cached_tokens":5}"#,
            [12, 22, 5, 0],
        ),
        (
            r#""prompt_tokens_details":{"cached_tokens":5},"prompt_tokens_details":null"#,
            [12, 22, 5, 0],
        ),
        (
            r#""prompt_tokens_details":null,"input_tokens_details":{"cached_tokens":5}"#,
            [12, 22, 5, 0],
        ),
        (
            r#""completion_tokens_details":{"reasoning_tokens":9},"output_tokens_details":{"reasoning_tokens":0}"#,
            [12, 22, 0, 9],
        ),
        (
            r#""output_tokens_details":{"reasoning_tokens":9},"completion_tokens_details":{}"#,
            [12, 22, 0, 9],
        ),
        (
            r#""prompt_token_details":{"cached_tokens":5}"#,
            [12, 22, 5, 0],
        ),
        (r#""prompt_cache_hit_tokens":5"#, [12, 22, 5, 0]),
        (r#""num_cached_tokens":5"#, [12, 22, 5, 0]),
        (r#""num_cached_tokens":5,"cached_tokens":4"#, [12, 22, 4, 0]),
        (r#""cached_tokens":4,"num_cached_tokens":5"#, [12, 22, 4, 0]),
        (
            r#""prompt_cache_hit_tokens":5,"prompt_tokens_details":{"cached_tokens":4}"#,
            [12, 22, 4, 0],
        ),
    ] {
        let json = format!("{{{COUNTS},{details}}}");
        assert_eq!(read(Completions, &json), expected, "{json}");
    }
}

#[test]
fn anthropic_s_cache_tokens_count_as_input() {
    let apart = r#"{"input_tokens":10,"cache_creation_input_tokens":200,"cache_read_input_tokens":3000,"output_tokens":4}"#;
    for dialect in [Messages, Completions, Unknown, Responses] {
        assert_eq!(read(dialect, apart), [3210, 4, 3000, 0]);
    }
    let doubly_reported = r#"{"input_tokens":10,"output_tokens":4,"cache_read_input_tokens":3604,"input_tokens_details":{"cached_tokens":3604}}"#;
    assert_eq!(read(Messages, doubly_reported), [3614, 4, 3604, 0]);
    // More input than the cache had a part in is no sign of anything there.
    let long = r#"{"input_tokens":9000,"output_tokens":4,"cache_read_input_tokens":3000}"#;
    assert_eq!(read(Messages, long), [12_000, 4, 3000, 0]);
}

#[test]
fn tokens_that_openai_includes_are_not_added() {
    for (json, expected) in [
        (
            r#"{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920},
                   "cache_read_input_tokens":1920,"cache_creation_input_tokens":0}"#,
            [2006, 300, 1920, 0],
        ),
        (
            r#"{"cache_creation_input_tokens":66360,"cache_read_input_tokens":32445,"prompt_tokens":98805,"completion_tokens":3}"#,
            [98_805, 3, 32_445, 0],
        ),
        // They do not fit in.
        (
            r#"{"prompt_tokens":31,"completion_tokens":3,"cache_creation_input_tokens":1253}"#,
            [1284, 3, 0, 0],
        ),
        // The total says that they are not inside.
        (
            r#"{"prompt_tokens":500,"completion_tokens":3,"total_tokens":703,"cache_read_input_tokens":200}"#,
            [700, 3, 200, 0],
        ),
    ] {
        assert_eq!(read(Completions, json), expected, "{json}");
    }
    let responses = r#"{"input_tokens":2006,"output_tokens":300,"cache_read_input_tokens":1920,"input_tokens_details":{"cached_tokens":1920}}"#;
    assert_eq!(read(Responses, responses), [2006, 300, 1920, 0]);
    let by_alias = r#"{"input_tokens":2006,"output_tokens":300,"total_tokens":2306,"cache_read_input_tokens":1920}"#;
    assert_eq!(read(Completions, by_alias), [2006, 300, 1920, 0]);
}

#[test]
fn reasoning_is_added_to_output_if_the_total_includes_it() {
    for (json, expected) in [
        (
            r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}"#,
            [32, 103, 0, 94],
        ),
        (
            r#"{"prompt_tokens":32,"completion_tokens":0,"total_tokens":92,"completion_tokens_details":{"reasoning_tokens":60}}"#,
            [32, 60, 0, 60],
        ),
        (
            r#"{"prompt_tokens":32,"completion_tokens":103,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}"#,
            [32, 103, 0, 94],
        ),
        (
            r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":41,"reasoning_tokens":94}"#,
            [32, 9, 0, 9],
        ),
    ] {
        assert_eq!(read(Completions, json), expected, "{json}");
    }
}

#[test]
fn a_later_object_replaces_what_it_has_and_nothing_else() {
    const START: &str = r#"{"input_tokens":25,"cache_read_input_tokens":2000,"cache_creation_input_tokens":10,"output_tokens":1}"#;
    let merged = |dialect, objects: &[&str]| {
        let mut merged = Counts::default();
        for object in objects {
            merged.update(&counts(object));
        }
        let usage = merged.usage(dialect, Content::Text).unwrap();
        [usage.input, usage.output, usage.cached, usage.reasoning]
    };
    for (delta, expected) in [
        (r#"{"output_tokens":15}"#, [2035, 15, 2000, 0]),
        (
            r#"{"input_tokens":25,"output_tokens":15}"#,
            [2035, 15, 2000, 0],
        ),
        (
            r#"{"input_tokens":25,"output_tokens":15,"cache_read_input_tokens":null,"cache_creation_input_tokens":null}"#,
            [2035, 15, 2000, 0],
        ),
        (
            r#"{"input_tokens":25,"output_tokens":15,"cache_read_input_tokens":0}"#,
            [35, 15, 0, 0],
        ),
        ("{}", [2035, 1, 2000, 0]),
    ] {
        assert_eq!(merged(Messages, &[START, delta]), expected, "{delta}");
    }
    let other_names = [
        r#"{"prompt_tokens":10,"completion_tokens":0,"total_tokens":10}"#,
        r#"{"input_tokens":12,"output_tokens":30}"#,
    ];
    assert_eq!(merged(Completions, &other_names), [12, 30, 0, 0]);
}

fn classes(dialect: Dialect, content: Content, json: &str) -> UsageClasses {
    counts(json).usage(dialect, content).unwrap().classes
}

/// The example of a realtime response in OpenAI's API reference.
const REALTIME: &str = r#"{"total_tokens":253,"input_tokens":132,"output_tokens":121,
    "input_token_details":{"text_tokens":119,"audio_tokens":13,"image_tokens":0,"cached_tokens":64,
        "cached_tokens_details":{"text_tokens":64,"audio_tokens":0,"image_tokens":0}},
    "output_token_details":{"text_tokens":30,"audio_tokens":91}}"#;

/// The example of its beta, in which more is cached than came in.
const REALTIME_BETA: &str = r#"{"total_tokens":275,"input_tokens":127,"output_tokens":148,
    "input_token_details":{"cached_tokens":384,"text_tokens":119,"audio_tokens":8,
        "cached_tokens_details":{"text_tokens":128,"audio_tokens":256}},
    "output_token_details":{"text_tokens":36,"audio_tokens":112}}"#;

/// Its examples of images and of transcriptions.
const IMAGES: &str = r#"{"total_tokens":100,"input_tokens":50,"output_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}"#;
const TRANSCRIPTION: &str = r#"{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":10,"audio_tokens":4},"output_tokens":31,"total_tokens":45}"#;

#[test]
fn a_realtime_response_has_sound_and_pictures() {
    assert_eq!(read(Responses, REALTIME), [132, 121, 64, 0]);
    assert_eq!(
        classes(Responses, Content::Text, REALTIME),
        UsageClasses {
            audio_input: 13,
            audio_output: 91,
            ..UsageClasses::default()
        }
    );
    assert_eq!(read(Responses, REALTIME_BETA), [127, 148, 127, 0]);
    assert_eq!(
        classes(Responses, Content::Text, REALTIME_BETA),
        UsageClasses {
            audio_input: 8,
            cached_audio: 8,
            audio_output: 112,
            ..UsageClasses::default()
        }
    );
    let pictures = REALTIME
        .replace(r#""image_tokens":0}}"#, r#""image_tokens":15}}"#)
        .replace(r#""image_tokens":0"#, r#""image_tokens":20"#);
    let found = classes(Responses, Content::Text, &pictures);
    assert_eq!((found.image_input, found.cached_image), (20, 15));
}

#[test]
fn a_chat_has_sound_pictures_and_cache_writes() {
    let audio = r#"{"prompt_tokens":120,"completion_tokens":300,"total_tokens":420,
        "prompt_tokens_details":{"text_tokens":20,"audio_tokens":70,"image_tokens":30,"cached_tokens":10,"cache_write_tokens":50},
        "completion_tokens_details":{"text_tokens":40,"audio_tokens":250,"reasoning_tokens":10}}"#;
    assert_eq!(read(Completions, audio), [120, 300, 10, 10]);
    assert_eq!(
        classes(Completions, Content::Text, audio),
        UsageClasses {
            cache_write_5m: 50,
            audio_input: 70,
            image_input: 30,
            audio_output: 250,
            ..UsageClasses::default()
        }
    );
    let zeros = r#"{"prompt_tokens":19,"completion_tokens":10,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0,"cache_write_tokens":0},
        "completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0}}"#;
    assert!(counts(zeros).rare.is_zero(), "zeros cost no memory");
    assert_eq!(
        classes(Completions, Content::Text, zeros),
        UsageClasses::default()
    );
}

#[test]
fn tokens_without_details_are_what_the_endpoint_makes() {
    const BOTH: &str = r#"{"input_tokens":14,"output_tokens":101,"total_tokens":115}"#;
    let of = |content, json| {
        let found = classes(Responses, content, json);
        [
            found.audio_input,
            found.image_input,
            found.audio_output,
            found.image_output,
        ]
    };
    for (content, json, expected) in [
        (Content::Text, BOTH, [0, 0, 0, 0]),
        (Content::AudioInput, BOTH, [14, 0, 0, 0]),
        (Content::AudioOutput, BOTH, [0, 0, 101, 0]),
        (Content::ImageOutput, BOTH, [0, 0, 0, 101]),
        (Content::AudioInput, TRANSCRIPTION, [4, 0, 0, 0]),
        (Content::ImageOutput, IMAGES, [0, 40, 0, 50]),
        (
            Content::AudioInput,
            r#"{"input_tokens":14,"input_token_details":{"text_tokens":10},"output_tokens":1}"#,
            [4, 0, 0, 0],
        ),
        (
            Content::AudioInput,
            r#"{"input_tokens":14,"input_token_details":{"audio_tokens":0},"output_tokens":1}"#,
            [0, 0, 0, 0],
        ),
        (
            Content::ImageOutput,
            r#"{"input_tokens":50,"output_tokens":50,"output_tokens_details":{"image_tokens":42,"text_tokens":8}}"#,
            [0, 0, 0, 42],
        ),
        (
            Content::ImageOutput,
            r#"{"input_tokens":50,"output_tokens":50,"output_tokens_details":{"text_tokens":8}}"#,
            [0, 0, 0, 42],
        ),
    ] {
        assert_eq!(of(content, json), expected, "{content:?} {json}");
    }
    let seconds = counts(r#"{"type":"duration","seconds":8.5}"#);
    let usage = seconds.usage(Responses, Content::AudioInput).unwrap();
    assert_eq!((usage.audio_ms, usage.classes.audio_input), (8_500, 0));
}

/// Tokens written into a cache for five minutes and for an hour.
fn cache_writes(dialect: Dialect, json: &str) -> [u64; 2] {
    let found = classes(dialect, Content::Text, json);
    [found.cache_write_5m, found.cache_write_1h]
}

#[test]
fn anthropic_s_cache_writes_have_two_times() {
    const BASE: &str = r#""input_tokens":10,"cache_read_input_tokens":3000,"output_tokens":4"#;
    for (members, input, expected) in [
        (r#""cache_creation_input_tokens":300"#, 3310, [300, 0]),
        (
            r#""cache_creation_input_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200}"#,
            3310,
            [100, 200],
        ),
        (
            r#""cache_creation":{"ephemeral_1h_input_tokens":200,"ephemeral_5m_input_tokens":100},"cache_creation_input_tokens":300"#,
            3310,
            [100, 200],
        ),
        (
            r#""cache_creation_input_tokens":300,"cache_creation":null"#,
            3310,
            [300, 0],
        ),
        (
            r#""cache_creation_input_tokens":300,"cache_creation":{"ephemeral_1h_input_tokens":200}"#,
            3310,
            [100, 200],
        ),
        // The sum counts, and what is in the other class fits into it.
        (
            r#""cache_creation_input_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":9,"ephemeral_1h_input_tokens":900}"#,
            3310,
            [0, 300],
        ),
        (
            r#""cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200}"#,
            3310,
            [100, 200],
        ),
        (
            r#""cache_creation":{"ephemeral_5m_input_tokens":"x","ephemeral_1h_input_tokens":-2}"#,
            3010,
            [0, 0],
        ),
        (r#""cache_creation":[5]"#, 3010, [0, 0]),
    ] {
        let json = format!("{{{BASE},{members}}}");
        assert_eq!(read(Messages, &json), [input, 4, 3000, 0], "{json}");
        assert_eq!(cache_writes(Messages, &json), expected, "{json}");
    }
}

#[test]
fn gateways_report_cache_writes_in_the_details() {
    for (json, input, expected) in [
        (
            r#"{"input_tokens":328,"output_tokens":52,"input_tokens_details":{"cached_tokens":8,"cache_write_tokens":20}}"#,
            328,
            [20, 0],
        ),
        (
            r#"{"prompt_tokens":98805,"completion_tokens":3,"cache_creation_input_tokens":66360,"cache_read_input_tokens":32445,
                "prompt_tokens_details":{"cached_tokens":32445,"cache_creation_tokens":66360,
                    "cache_creation_token_details":{"ephemeral_5m_input_tokens":60000,"ephemeral_1h_input_tokens":6360}}}"#,
            98_805,
            [60_000, 6_360],
        ),
        // A cache is read before it is written: there is no room for more.
        (
            r#"{"prompt_tokens":100,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":90,"cache_write_tokens":20}}"#,
            100,
            [10, 0],
        ),
    ] {
        for dialect in [Completions, Responses] {
            assert_eq!(read(dialect, json)[0], input, "{json}");
            assert_eq!(cache_writes(dialect, json), expected, "{json}");
        }
    }
}

#[test]
fn searches_are_counted_where_usage_reports_them() {
    for (members, searches) in [
        (
            r#""server_tool_use":{"web_search_requests":3,"web_fetch_requests":9}"#,
            3,
        ),
        (r#""server_tool_use":null"#, 0),
        (r#""num_search_queries":2"#, 2),
        (r#""prompt_tokens_details":{"web_search_requests":1}"#, 1),
    ] {
        let json = format!(r#"{{"input_tokens":10,"output_tokens":4,{members}}}"#);
        for dialect in [Messages, Completions] {
            let found = classes(dialect, Content::Text, &json);
            assert_eq!(found.web_searches, searches, "{json}");
        }
    }
}

#[test]
fn thinking_is_reasoning() {
    let json = r#"{"input_tokens":10,"output_tokens":400,"output_tokens_details":{"thinking_tokens":350}}"#;
    assert_eq!(read(Messages, json), [10, 400, 0, 350]);
}

#[test]
fn iterations_that_are_billed_besides_are_added() {
    // The example of Anthropic's guide to compaction.
    let compacted = r#"{"input_tokens":23000,"output_tokens":1000,"iterations":[
        {"type":"compaction","input_tokens":180000,"output_tokens":3500},{"type":"message","input_tokens":23000,"output_tokens":1000}]}"#;
    assert_eq!(read(Messages, compacted), [203_000, 4_500, 0, 0]);
    let advised = r#"{"input_tokens":412,"output_tokens":531,"cache_read_input_tokens":5,"iterations":[
        {"type":"message","input_tokens":206,"output_tokens":200},
        {"type":"advisor_message","model":"other","input_tokens":823,"output_tokens":1612,"cache_read_input_tokens":20,
         "cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}},
        {"type":"message","input_tokens":206,"output_tokens":331}]}"#;
    assert_eq!(
        read(Messages, advised),
        [412 + 5 + 823 + 20 + 30, 531 + 1612, 25, 0]
    );
    assert_eq!(cache_writes(Messages, advised), [10, 20]);
    for no_extra in [
        // All are in the sums already.
        compacted.replacen("23000", "203000", 1).replacen("1000", "4500", 1),
        r#"{"input_tokens":203000,"output_tokens":4500,"iterations":[{"type":"message","input_tokens":203000,"output_tokens":4500}]}"#.to_owned(),
        r#"{"input_tokens":203000,"output_tokens":4500,"iterations":[{"type":"message","input_tokens":1,"output_tokens":1},{"type":"fallback_message","input_tokens":203000,"output_tokens":4500}]}"#.to_owned(),
        r#"{"input_tokens":203000,"output_tokens":4500,"iterations":[5,null,{"iterations":[{"type":"compaction","input_tokens":9}]}]}"#.to_owned(),
        r#"{"input_tokens":203000,"output_tokens":4500,"iterations":{"type":"compaction","input_tokens":9}}"#.to_owned(),
    ] {
        assert_eq!(read(Messages, &no_extra), [203_000, 4_500, 0, 0], "{no_extra}");
    }
}

#[test]
fn a_tier_is_read_and_the_fast_one_has_the_price() {
    for (members, expected) in [
        (r#""service_tier":"standard""#, Some("default")),
        (r#""service_tier":"priority""#, Some("priority")),
        (r#""service_tier":"batch""#, Some("batch")),
        (r#""service_tier":null"#, None),
        (r#""service_tier":5"#, None),
        (
            r#""service_tier":"standard","speed":"standard""#,
            Some("default"),
        ),
        (r#""service_tier":"standard","speed":"fast""#, Some("fast")),
        (r#""speed":"fast","service_tier":"standard""#, Some("fast")),
    ] {
        let json = format!(r#"{{"input_tokens":10,"output_tokens":4,{members}}}"#);
        let counts = counts(&json);
        let tier = counts.service_tier().map(ServiceTier::as_str);
        assert_eq!(tier, expected, "{json}");
    }
}

#[test]
fn later_classes_replace_earlier_ones_and_leave_the_rest() {
    let mut merged = counts(
        r#"{"input_tokens":25,"cache_creation_input_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},
            "output_tokens":1,"service_tier":"priority","server_tool_use":{"web_search_requests":1}}"#,
    );
    merged.update(&counts(
        r#"{"output_tokens":15,"cache_creation_input_tokens":300,"server_tool_use":{"web_search_requests":3}}"#,
    ));
    let usage = merged.usage(Messages, Content::Text).unwrap();
    let found = usage.classes;
    assert_eq!((usage.input, usage.output), (325, 15));
    assert_eq!((found.cache_write_5m, found.cache_write_1h), (100, 200));
    assert_eq!(found.web_searches, 3);
    assert_eq!(merged.service_tier(), Some(&ServiceTier::Priority));
    merged.update(&counts(
        r#"{"output_tokens":16,"server_tool_use":{"web_search_requests":0}}"#,
    ));
    let found = merged.usage(Messages, Content::Text).unwrap().classes;
    assert_eq!((found.web_searches, found.cache_write_1h), (0, 200));
}

proptest! {
    #[test]
    fn parts_are_never_larger_than_the_whole(
        counts in prop::collection::vec((0usize..26, 0u64..200), 0..14),
        dialect in prop::sample::select(vec![Completions, Responses, Messages, Unknown]),
        content in prop::sample::select(vec![Content::Text, Content::AudioInput, Content::AudioOutput, Content::ImageOutput]),
    ) {
        const NAMES: [&str; 26] = [
            r#""prompt_tokens":N"#, r#""input_tokens":N"#, r#""completion_tokens":N"#, r#""output_tokens":N"#,
            r#""total_tokens":N"#, r#""cached_tokens":N"#, r#""reasoning_tokens":N"#, r#""cache_read_input_tokens":N"#,
            r#""cache_creation_input_tokens":N"#, r#""num_cached_tokens":N"#,
            r#""prompt_tokens_details":{"cached_tokens":N}"#, r#""output_tokens_details":{"reasoning_tokens":N}"#,
            r#""input_tokens_details":{"audio_tokens":N}"#, r#""input_token_details":{"image_tokens":N}"#,
            r#""prompt_tokens_details":{"cached_tokens_details":{"audio_tokens":N}}"#,
            r#""prompt_tokens_details":{"cached_tokens_details":{"image_tokens":N}}"#,
            r#""input_tokens_details":{"text_tokens":N}"#, r#""prompt_tokens_details":{"cache_write_tokens":N}"#,
            r#""cache_creation":{"ephemeral_5m_input_tokens":N}"#, r#""cache_creation":{"ephemeral_1h_input_tokens":N}"#,
            r#""completion_tokens_details":{"audio_tokens":N}"#, r#""output_tokens_details":{"image_tokens":N}"#,
            r#""output_tokens_details":{"text_tokens":N}"#, r#""server_tool_use":{"web_search_requests":N}"#,
            r#""iterations":[{"type":"compaction","input_tokens":N,"cache_read_input_tokens":7}]"#,
            r#""iterations":[{"type":"message","output_tokens":N},{"type":"advisor_message","output_tokens":N}]"#,
        ];
        let members: Vec<String> = counts.iter().map(|(name, n)| NAMES[*name].replace('N', &n.to_string())).collect();
        let json = format!(r#"{{"usage":{{{}}}}}"#, members.join(","));
        if let Some(usage) = super::super::read_answer(json.as_bytes()).counts.usage(dialect, content) {
            let classes = usage.classes;
            let writes = classes.cache_write_5m + classes.cache_write_1h;
            for (part, whole) in [
                (usage.cached + writes, usage.input),
                (classes.audio_input + classes.image_input, usage.input),
                (classes.cached_audio + classes.cached_image, usage.cached),
                (classes.cached_audio, classes.audio_input),
                (classes.cached_image, classes.image_input),
                (usage.reasoning + classes.audio_output + classes.image_output, usage.output),
            ] {
                prop_assert!(part <= whole, "{} {:?}", json, usage);
            }
        }
    }
}

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
    let usage = counts(json).usage(dialect).unwrap();
    [usage.input, usage.output, usage.cached, usage.reasoning]
}

use Dialect::{Completions, Messages, Responses, Unknown};

#[test]
fn the_last_usage_of_a_piece_is_found() {
    let piece = br#"ull,"usage" : {"prompt_tokens":3,"completion_tokens":4}, "service_tier":"x","a":"\"usage\":{}"}"#;
    let found = find_counts(piece).and_then(|counts| counts.usage(Completions));
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
        let usage = merged.usage(dialect).unwrap();
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

proptest! {
    #[test]
    fn parts_are_never_larger_than_the_whole(
        counts in prop::collection::vec((0usize..12, 0u64..200), 0..10),
        dialect in prop::sample::select(vec![Completions, Responses, Messages, Unknown]),
    ) {
        const NAMES: [&str; 12] = [
            r#""prompt_tokens":N"#, r#""input_tokens":N"#, r#""completion_tokens":N"#, r#""output_tokens":N"#,
            r#""total_tokens":N"#, r#""cached_tokens":N"#, r#""reasoning_tokens":N"#, r#""cache_read_input_tokens":N"#,
            r#""cache_creation_input_tokens":N"#, r#""num_cached_tokens":N"#,
            r#""prompt_tokens_details":{"cached_tokens":N}"#, r#""output_tokens_details":{"reasoning_tokens":N}"#,
        ];
        let members: Vec<String> = counts.iter().map(|(name, n)| NAMES[*name].replace('N', &n.to_string())).collect();
        let json = format!("{{{}}}", members.join(","));
        if let Some(usage) = super::super::read_answer(format!(r#"{{"usage":{json}}}"#).as_bytes()).counts.usage(dialect) {
            prop_assert!(usage.cached <= usage.input && usage.reasoning <= usage.output, "{} {:?}", json, usage);
        }
    }
}

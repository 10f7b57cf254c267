//! The readers of usage, compared with what a JSON library finds.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::splits::each_split;
use crate::{
    model::{Usage, UsageClasses},
    usage::{
        AnswerText, Content, Dialect, Encoding, EventKind, Evidence, Input, Meter, Text, Tokenizer,
        read_answer, read_event,
    },
};

/// A count above this is no count.
const MAX_TOKENS: u64 = 1_000_000_000_000;

/// Promises that counts are numbers of the input, and that an answer in plain JSON is read as a
/// JSON library reads it, whether it comes at once, in parts or as an event.
pub fn usage(body: &[u8]) {
    let answer = read_answer(body);
    for dialect in [
        Dialect::Completions,
        Dialect::Responses,
        Dialect::Messages,
        Dialect::Unknown,
    ] {
        for content in [
            Content::Text,
            Content::AudioInput,
            Content::AudioOutput,
            Content::ImageOutput,
        ] {
            if let Some(usage) = answer.counts.usage(dialect, content) {
                has_parts_within_sums(usage);
            }
        }
    }
    let is_of_chat = !has_other_shapes(body);
    if is_of_chat && let Some(expected) = plain_reading(body) {
        let found = answer.counts.usage(Dialect::Completions, Content::Text);
        let without_classes = found.map(|usage| Usage {
            classes: UsageClasses::default(),
            ..usage
        });
        assert_eq!(without_classes, expected);
    }

    let (kind, event) = read_event(body, &mut Text::default());
    // What is not read need not be readable: nested too deeply, no Unicode, a number without end.
    let is_same = event == answer || serde_json::from_slice::<Value>(body).is_err();
    match kind {
        EventKind::Done => assert!(body.trim_ascii() == b"[DONE]" || !is_of_chat),
        EventKind::UsageOnly => assert!(is_same || !is_of_chat),
        EventKind::Content => assert!(is_same || !is_of_chat, "{event:?} {answer:?}"),
    }

    each_split(body, |reads| {
        let mut meter = Meter::json(Encoding::Identity, None);
        for read in reads {
            meter.push(Bytes::copy_from_slice(read), &mut |_| {});
        }
        meter.finish(&mut |_| {});
        let counts = meter.reading().counts();
        let is_same = *counts == answer.counts || Some(counts) == answer.vendor_counts.reported();
        assert!(is_same, "{counts:?} {answer:?}");
        assert_eq!(meter.reading().model, answer.model);
        assert_eq!(meter.reading().service_tier(), answer.tier());
        let mut classes = [UsageClasses::default(); 2];
        answer.calls.note_in(&mut classes[0]);
        meter.reading().note_calls(&mut classes[1]);
        assert_eq!(classes[0], classes[1]);
    });
    let _ = read_answer(&body[..body.len() / 2]);
    let _ = read_answer(&body[body.len() / 2..]);
    for input in [Input::Messages, Input::Plain] {
        let evidence = Evidence {
            body: vec![Bytes::copy_from_slice(body)],
            input,
            generated: AnswerText::Json(body.to_vec()),
        };
        let rough = evidence.usage(Tokenizer::RuleOfThumb);
        let usage = evidence.usage(Tokenizer::O200k);
        // Both count the same strings: there is text for both, or for none.
        assert_eq!(rough.input == 0, usage.input == 0);
        assert_eq!(rough.output == 0, usage.output == 0);
    }
}

/// Promises that no part is larger than its whole, and that the parts of a whole that do not
/// overlap fit into it together.
fn has_parts_within_sums(usage: Usage) {
    let classes = usage.classes;
    let UsageClasses {
        cache_write_5m,
        cache_write_1h,
        audio_input,
        image_input,
        cached_audio,
        cached_image,
        audio_output,
        image_output,
        ..
    } = classes;
    // Input may come with what was read from a cache and written into it, output with the
    // reasoning beside it, and both with what a compaction has used.
    let limits = [
        (usage.input, 7 * MAX_TOKENS),
        (usage.output, 3 * MAX_TOKENS),
        (usage.cached + cache_write_5m + cache_write_1h, usage.input),
        (audio_input + image_input, usage.input),
        (cached_audio + cached_image, usage.cached),
        (cached_audio, audio_input),
        (cached_image, image_input),
        (usage.reasoning + audio_output + image_output, usage.output),
        (usage.audio_ms, MAX_TOKENS),
        (classes.web_searches, MAX_TOKENS),
    ];
    assert!(
        limits.iter().all(|(count, limit)| count <= limit),
        "{usage:?}"
    );
}

/// Returns whether a document may have members of other endpoints, which an answer and an event
/// have differently.
fn has_other_shapes(body: &[u8]) -> bool {
    let names: [&[u8]; 15] = [
        b"\\",
        b"cache_",
        b"item\"",
        b"num_cached",
        b"error",
        b"seconds",
        b"duration",
        b"_token_details",
        b"response",
        b"message",
        b"type",
        b"delta",
        b"output\"",
        b"text",
        b"data",
    ];
    let content = b"content";
    names
        .iter()
        .copied()
        .chain([&content[..]])
        .any(|name| memchr::memmem::find(body, name).is_some())
}

/// The usage of an answer without doubled or escaped names, where there is only one way to read it.
#[allow(clippy::option_option)]
fn plain_reading(body: &[u8]) -> Option<Option<Usage>> {
    let names = [
        "\"usage\"",
        "\"prompt_tokens\"",
        "\"input_tokens\"",
        "\"completion_tokens\"",
        "\"output_tokens\"",
        "\"total_tokens\"",
        "\"cached_tokens\"",
        "\"reasoning_tokens\"",
        "\"prompt_tokens_details\"",
        "\"input_tokens_details\"",
        "\"completion_tokens_details\"",
        "\"output_tokens_details\"",
    ];
    let answer: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let is_plain = |name: &&str| {
        memchr::memmem::find_iter(body, name.as_bytes())
            .nth(1)
            .is_none()
    };
    if body.contains(&b'\\') || !names.iter().all(is_plain) {
        return None;
    }
    let Some(Value::Object(usage)) = answer.get("usage") else {
        return Some(None);
    };
    let either = |first: &str, second: &str| match (usage.get(first), usage.get(second)) {
        (Some(_), Some(_)) => None,
        (first, second) => Some(first.or(second)),
    };
    let input = either("prompt_tokens", "input_tokens")?.and_then(count);
    let output = either("completion_tokens", "output_tokens")?.and_then(count);
    let input_details = either("prompt_tokens_details", "input_tokens_details")?;
    let output_details = either("completion_tokens_details", "output_tokens_details")?;
    let cached = input_details.or(Some(&answer["usage"]));
    let reasoning = output_details.or(Some(&answer["usage"]));
    let is_nested = |details: Option<&Value>| {
        details.is_some_and(|details| details.to_string().contains("_details"))
    };
    if is_nested(input_details) || is_nested(output_details) {
        return None;
    }
    let total = usage.get("total_tokens").and_then(count);
    let (input, output) = match (input, output, total) {
        (Some(input), Some(output), _) => (input, output),
        (Some(input), None, total) => (input, total.map_or(0, |total| total.saturating_sub(input))),
        (None, Some(output), Some(total)) => (total.saturating_sub(output), output),
        (None, None, Some(total)) => (total, 0),
        _ => return Some(None),
    };
    let counted = |within: Option<&Value>, name: &str| {
        let direct = usage.get(name);
        let value = within.and_then(|details| details.get(name)).or(direct);
        value.and_then(count).unwrap_or(0)
    };
    let reasoning = counted(reasoning, "reasoning_tokens");
    let is_beside = reasoning > 0 && total == Some(input + output + reasoning);
    let output = if is_beside {
        output + reasoning
    } else {
        output
    };
    Some(Some(Usage {
        input,
        output,
        cached: counted(cached, "cached_tokens").min(input),
        reasoning: reasoning.min(output),
        ..Usage::default()
    }))
}

fn count(value: &Value) -> Option<u64> {
    let whole = value.as_f64().filter(|number| number.fract() == 0.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let from_float = whole
        .filter(|number| (0.0..=1e12).contains(number))
        .map(|number| number as u64);
    value
        .as_u64()
        .or(from_float)
        .filter(|count| *count <= MAX_TOKENS)
}

//! The usage object, as the many servers that speak OpenAI's API write it.
//!
//! OpenAI's API reference: `CompletionUsage` with `prompt_tokens`, `completion_tokens`, `prompt_tokens_details.cached_tokens`,
//! `completion_tokens_details.reasoning_tokens`. A member of the wrong type counts as not given and never spoils the rest.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::estimate::TextCount;
use crate::model::Usage;

/// A count above this is no count; sums of it over a ledger's life still fit an `i64`.
const MAX_TOKENS: u64 = 1_000_000_000_000;

/// What one JSON answer, or one event of a stream, says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// `None` when nothing usable was said.
    pub usage: Option<Usage>,
    /// The model that answered.
    pub model: Option<String>,
    /// The generated text that goes by.
    pub text: TextCount,
}

/// What an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Carries part of the answer, or something unknown.
    Content,
    /// The chunk that `stream_options.include_usage` adds: usage and an empty `choices`.
    UsageOnly,
    /// `[DONE]`
    Done,
}

/// Reads a whole JSON answer.
#[must_use]
pub fn read_answer(body: &[u8]) -> Answer {
    parse(body).0
}

/// Reads the data of one server-sent event.
#[must_use]
pub fn read_event(data: &[u8]) -> (EventKind, Answer) {
    if data.trim_ascii() == b"[DONE]" {
        return (EventKind::Done, Answer::default());
    }
    let (answer, choices) = parse(data);
    let kind = match choices {
        Some(0) if answer.usage.is_some() => EventKind::UsageOnly,
        _ => EventKind::Content,
    };
    (kind, answer)
}

/// Finds the last usage object in a piece of an answer too long to be held. The quotes of text inside a JSON string are
/// escaped, so the seven bytes `"usage"` are a member's name.
#[must_use]
pub fn find_usage(piece: &[u8]) -> Option<Usage> {
    const NAME: &[u8] = b"\"usage\"";
    memchr::memmem::rfind_iter(piece, NAME).find_map(|at| {
        let after = piece[at + NAME.len()..]
            .trim_ascii_start()
            .strip_prefix(b":")?;
        let mut values = serde_json::Deserializer::from_slice(after).into_iter::<Details>();
        values.next()?.ok()?.0?.into_usage()
    })
}

/// The answer, and how many choices it has where it has such a list.
fn parse(body: &[u8]) -> (Answer, Option<usize>) {
    let Ok(wire) = serde_json::from_slice::<WireAnswer<'_>>(body) else {
        // Cut short, or with a string that is no Unicode: the usage may stand there all the same.
        let answer = Answer {
            usage: find_usage(body),
            model: None,
            text: TextCount::of_bytes(body.len() as u64),
        };
        return (answer, None);
    };
    let answer = Answer {
        usage: wire.usage.and_then(WireUsage::into_usage),
        model: wire.model.0.map(Cow::into_owned),
        text: wire.choices.text,
    };
    (answer, wire.choices.count)
}

/// Members that may come twice or with any type: read by hand, the last one wins.
#[derive(Default)]
struct WireAnswer<'a> {
    usage: Option<WireUsage>,
    model: Lenient<Cow<'a, str>>,
    choices: Choices,
}

/// `None` when the value had another type.
struct Lenient<T>(Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

#[derive(Default)]
struct Choices {
    count: Option<usize>,
    text: TextCount,
}

#[derive(Default)]
struct WireUsage {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    reasoning: Option<u64>,
}

impl WireUsage {
    /// Input and output are what makes a usage; one of them may be known through the total.
    fn into_usage(self) -> Option<Usage> {
        let (input, output) = match (self.input, self.output, self.total) {
            (Some(input), Some(output), _) => (input, output),
            (Some(input), None, total) => (input, total.unwrap_or(input).saturating_sub(input)),
            (None, Some(output), Some(total)) => (total.saturating_sub(output), output),
            _ => return None,
        };
        Some(Usage {
            input,
            output,
            cached: self.cached.unwrap_or(0),
            reasoning: self.reasoning.unwrap_or(0),
            ..Usage::default()
        })
    }
}

impl<'de> Deserialize<'de> for WireAnswer<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = WireAnswer<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut answer = WireAnswer::default();
                while let Some(Name(name)) = map.next_key()? {
                    match name.as_ref() {
                        b"usage" => answer.usage = map.next_value::<Details>()?.0,
                        b"model" => answer.model = map.next_value()?,
                        b"choices" => answer.choices = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(answer)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A member name as bytes, unescaped, so that a lone surrogate in one does not end the reading.
pub struct Name<'a>(pub Cow<'a, [u8]>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }

            fn visit_borrowed_bytes<E: de::Error>(
                self,
                bytes: &'de [u8],
            ) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(bytes)))
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(bytes.to_owned())))
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text.as_bytes())))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.as_bytes().to_owned())))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Implements the visitor methods that turn every type but the wanted one into a default.
macro_rules! anything_else_is_default {
    ($($method:ident($type:ty)),*) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any JSON value")
        }
        $(fn $method<E: de::Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Default::default())
        })*
        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Default::default())
        }
    };
}

impl<'de> Deserialize<'de> for Lenient<Cow<'de, str>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Lenient<Cow<'de, str>>;

            anything_else_is_default!(
                visit_bool(bool),
                visit_i64(i64),
                visit_u64(u64),
                visit_f64(f64)
            );

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Lenient(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Lenient(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_seq(seq).map(|_| Lenient(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_map(map).map(|_| Lenient(None))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// A token count: a whole number from 0 to [`MAX_TOKENS`], also when written as `12.0`. Anything else is not given.
#[derive(Default)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl<'de> Visitor<'de> for Number {
            type Value = Count;

            anything_else_is_default!(visit_bool(bool), visit_str(&str), visit_i64(i64));

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Count((number <= MAX_TOKENS).then_some(number)))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
                #[allow(clippy::cast_precision_loss)]
                let whole = number.fract() == 0.0 && (0.0..=MAX_TOKENS as f64).contains(&number);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                Ok(Count(whole.then_some(number as u64)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_seq(seq).map(|_| Count(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_map(map).map(|_| Count(None))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// A usage object or one of its `…_details`: all counts found, whichever names the server uses. `None` when it is no object.
#[derive(Default)]
struct Details(Option<WireUsage>);

impl<'de> Deserialize<'de> for Details {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Details;

            anything_else_is_default!(
                visit_bool(bool),
                visit_str(&str),
                visit_i64(i64),
                visit_u64(u64),
                visit_f64(f64)
            );

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_seq(seq).map(|_| Details(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut usage = WireUsage::default();
                while let Some(Name(name)) = map.next_key()? {
                    match name.as_ref() {
                        b"prompt_tokens" | b"input_tokens" => {
                            usage.input = map.next_value::<Count>()?.0;
                        }
                        b"completion_tokens" | b"output_tokens" => {
                            usage.output = map.next_value::<Count>()?.0;
                        }
                        b"total_tokens" => usage.total = map.next_value::<Count>()?.0,
                        b"cached_tokens" => usage.cached = map.next_value::<Count>()?.0,
                        b"reasoning_tokens" => usage.reasoning = map.next_value::<Count>()?.0,
                        b"prompt_tokens_details" | b"input_tokens_details" => {
                            if let Details(Some(details)) = map.next_value()? {
                                usage.cached = details.cached.or(usage.cached);
                            }
                        }
                        b"completion_tokens_details" | b"output_tokens_details" => {
                            if let Details(Some(details)) = map.next_value()? {
                                usage.reasoning = details.reasoning.or(usage.reasoning);
                            }
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Details(Some(usage)))
            }
        }
        deserializer.deserialize_any(Members)
    }
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Choices;

            anything_else_is_default!(
                visit_bool(bool),
                visit_str(&str),
                visit_i64(i64),
                visit_u64(u64),
                visit_f64(f64)
            );

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut choices = Choices {
                    count: Some(0),
                    text: TextCount::default(),
                };
                while let Some(text) = seq.next_element::<TextCount>()? {
                    choices.count = choices.count.map(|count| count + 1);
                    choices.text.add(&text);
                }
                Ok(choices)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_map(map).map(|_| Choices::default())
            }
        }
        deserializer.deserialize_any(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usage(json: &str) -> Option<Usage> {
        read_answer(json.as_bytes()).usage
    }

    #[test]
    fn openai_s_usage_is_read_whole() {
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
        assert_eq!(answer.usage, Some(expected));
        assert_eq!(answer.model.as_deref(), Some("gpt-4.1-mini-2025"));
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
    fn what_is_no_usage_is_none() {
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
    fn the_last_usage_of_a_piece_is_found() {
        let piece = br#"ull,"usage" : {"prompt_tokens":3,"completion_tokens":4}, "service_tier":"x","a":"\"usage\":{}"}"#;
        assert_eq!(
            find_usage(piece),
            Some(Usage {
                input: 3,
                output: 4,
                ..Usage::default()
            })
        );
        assert_eq!(find_usage(br#""usage":{"prompt_tok"#), None);
    }

    #[test]
    fn events_are_told_apart() {
        let kind = |data: &str| read_event(data.as_bytes()).0;
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
        assert_eq!(
            kind(r#"{"usage":{"prompt_tokens":1,"completion_tokens":2}}"#),
            EventKind::Content
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_event(&bytes);
        }

        #[test]
        fn any_counts_survive(input in 0..MAX_TOKENS, output in 0..MAX_TOKENS, cached in 0..MAX_TOKENS) {
            let json = format!(r#"{{"usage":{{"prompt_tokens":{input},"completion_tokens":{output},"prompt_tokens_details":{{"cached_tokens":{cached}}}}}}}"#);
            prop_assert_eq!(usage(&json), Some(Usage { input, output, cached, ..Usage::default() }));
        }
    }
}

//! The usage object, as the many servers that speak OpenAI's or Anthropic's API write it.
//!
//! OpenAI's API reference: `CompletionUsage` with `prompt_tokens`, `completion_tokens`, `prompt_tokens_details.cached_tokens`,
//! `completion_tokens_details.reasoning_tokens`; `ResponseUsage` with `input_tokens` and `output_tokens`; transcriptions
//! are billed by tokens or by `seconds`. Anthropic's: `input_tokens` without `cache_read_input_tokens` and
//! `cache_creation_input_tokens`, which are input too.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::lenient::{Count, Name, Seconds, anything_else_is_default};
use crate::model::Usage;

/// Looking for a usage object in what is no JSON as a whole: a longer object is none, and only the last so many places are
/// tried. Without these a megabyte of `{"usage":{"usage":…` would be read a hundred thousand times.
const MAX_USAGE_BYTES: usize = 16 * 1024;
const MAX_USAGE_TRIES: usize = 256;

/// What usage objects have said; `None` is not said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    reasoning: Option<u64>,
    /// Anthropic's; not a part of `input`.
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    audio_ms: Option<u64>,
}

impl Counts {
    /// The usage, where enough was said to make one. One of input and output may be known through the total; a total
    /// alone is what rerankers say of their input.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        let tokens = match (self.input, self.output, self.total) {
            (Some(input), Some(output), _) => Some((input, output)),
            (Some(input), None, total) => {
                Some((input, total.unwrap_or(input).saturating_sub(input)))
            }
            (None, Some(output), Some(total)) => Some((total.saturating_sub(output), output)),
            (None, None, Some(total)) => Some((total, 0)),
            (None, _, None) => None,
        };
        if tokens.is_none() && self.audio_ms.is_none() {
            return None;
        }
        let (input, output) = tokens.unwrap_or_default();
        let cache_read = self.cache_read.unwrap_or(0);
        Some(Usage {
            input: input + cache_read + self.cache_written.unwrap_or(0),
            output,
            cached: self.cached.unwrap_or(0) + cache_read,
            reasoning: self.reasoning.unwrap_or(0),
            audio_ms: self.audio_ms.unwrap_or(0),
            images: 0,
        })
    }

    /// Takes in what a later usage object says: a whole one replaces all, a partial one what it names (Anthropic's
    /// `message_delta` has the output only).
    pub fn update(&mut self, later: &Self) {
        if later.usage().is_some() {
            *self = *later;
            return;
        }
        let pairs = [
            (&mut self.input, later.input),
            (&mut self.output, later.output),
            (&mut self.cached, later.cached),
            (&mut self.reasoning, later.reasoning),
            (&mut self.cache_read, later.cache_read),
            (&mut self.cache_written, later.cache_written),
        ];
        for (count, later) in pairs {
            *count = later.or(*count);
        }
    }

    /// The length of the audio that was transcribed, where no usage tells it.
    pub(super) fn or_audio_ms(mut self, audio_ms: Option<u64>) -> Self {
        if self.usage().is_none() {
            self.audio_ms = audio_ms;
        }
        self
    }
}

/// Finds the last usage object in a piece of an answer too long to be held. The quotes of text inside a JSON string are
/// escaped, so the seven bytes `"usage"` are a member's name.
#[must_use]
pub fn find_counts(piece: &[u8]) -> Option<Counts> {
    find_usage(piece).map(|(counts, _)| counts)
}

/// The same, and the object as it stands there.
#[must_use]
pub fn find_usage(piece: &[u8]) -> Option<(Counts, &[u8])> {
    const NAME: &[u8] = b"\"usage\"";
    let mut names = memchr::memmem::rfind_iter(piece, NAME).take(MAX_USAGE_TRIES);
    names.find_map(|at| {
        let after = &piece[at + NAME.len()..];
        let after = &after[..after.len().min(MAX_USAGE_BYTES)];
        let after = after.trim_ascii_start().strip_prefix(b":")?;
        let mut values = serde_json::Deserializer::from_slice(after).into_iter::<Details>();
        let counts = values.next()?.ok()?.0?;
        let object = &after[..values.byte_offset()];
        counts.usage().map(|_| (counts, object))
    })
}

/// A usage object or one of its `…_details`: all counts found, whichever names the server uses. `None` when it is no object.
#[derive(Default)]
pub(super) struct Details(pub(super) Option<Counts>);

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
                let mut usage = Counts::default();
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
                        b"cache_read_input_tokens" => {
                            usage.cache_read = map.next_value::<Count>()?.0;
                        }
                        b"cache_creation_input_tokens" => {
                            usage.cache_written = map.next_value::<Count>()?.0;
                        }
                        b"seconds" => usage.audio_ms = map.next_value::<Seconds>()?.0,
                        // In the singular for audio and realtime.
                        b"prompt_tokens_details"
                        | b"input_tokens_details"
                        | b"input_token_details" => {
                            if let Details(Some(details)) = map.next_value()? {
                                usage.cached = details.cached.or(usage.cached);
                            }
                        }
                        b"completion_tokens_details"
                        | b"output_tokens_details"
                        | b"output_token_details" => {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(json: &str) -> Counts {
        serde_json::from_str::<Details>(json).unwrap().0.unwrap()
    }

    fn find_usage(piece: &[u8]) -> Option<Usage> {
        find_counts(piece).and_then(|counts| counts.usage())
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
    fn what_anthropic_keeps_apart_is_input_too() {
        let usage = counts(
            r#"{"input_tokens":10,"cache_creation_input_tokens":200,"cache_read_input_tokens":3000,"output_tokens":4}"#,
        );
        let expected = Usage {
            input: 3210,
            output: 4,
            cached: 3000,
            ..Usage::default()
        };
        assert_eq!(usage.usage(), Some(expected));
    }

    #[test]
    fn a_later_partial_usage_fills_and_a_whole_one_replaces() {
        let mut said = Counts::default();
        said.update(&counts(
            r#"{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}"#,
        ));
        said.update(&Counts::default());
        said.update(&counts(r#"{"output_tokens":40}"#));
        let expected = Usage {
            input: 15,
            output: 40,
            cached: 5,
            ..Usage::default()
        };
        assert_eq!(said.usage(), Some(expected));
        said.update(&counts(r#"{"prompt_tokens":1,"completion_tokens":2}"#));
        let expected = Usage {
            input: 1,
            output: 2,
            ..Usage::default()
        };
        assert_eq!(said.usage(), Some(expected));
    }
}

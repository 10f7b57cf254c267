//! Estimates of tokens that no backend reported, from a request's body and the text that passed.
//! They are marked as estimates wherever they are stored.
//!
//! Framing by OpenAI's published figures (Cookbook, "How to count tokens with tiktoken"): three
//! tokens a message and one for its role, three for the beginning of the answer. Tools count as the
//! JSON that they are sent as.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::{
    answer::answer_text,
    strings::{MESSAGE_TOKENS, Strings, TextSink},
    text::Text,
    tokens::{Tally, Tokenizer, by_length},
};
use crate::{
    json::{PartReader, fold, for_each_member, skip_value},
    model::Usage,
};

/// The beginning of the answer, in a conversation.
const ANSWER_TOKENS: u64 = 3;

/// All that an estimate is made from. Counting takes up to a second, so it is never done on a
/// worker.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The body of the request, in the parts that it came in.
    pub body: Vec<Bytes>,
    pub input: Input,
    pub generated: AnswerText,
}

/// The meaning of a request's `input`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Input {
    /// A conversation that is answered.
    #[default]
    Messages,
    /// Text that is worked on, or its token ids.
    Plain,
}

/// The text that an answer generated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AnswerText {
    #[default]
    Nothing,
    /// The joined text of a stream.
    Text(Text),
    /// A JSON answer as it came, which contains the text.
    Json(Vec<u8>),
}

impl Evidence {
    /// Returns the number of bytes that this holds in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.body_bytes()
            + match &self.generated {
                AnswerText::Nothing => 0,
                AnswerText::Text(text) => text.kept().len(),
                AnswerText::Json(body) => body.len(),
            }
    }

    fn body_bytes(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }

    /// Returns the estimated input and output tokens.
    #[must_use]
    pub fn usage(&self, tokenizer: Tokenizer) -> Usage {
        let body: Cow<'_, [u8]> = match &self.body[..] {
            [whole] => Cow::Borrowed(whole),
            parts => Cow::Owned(parts.concat()),
        };
        Usage {
            input: input_tokens(&body, self.input, tokenizer),
            output: match &self.generated {
                AnswerText::Nothing => 0,
                AnswerText::Text(text) => tokenizer.count_stream(text),
                AnswerText::Json(body) => {
                    let mut tally = Tally::new(tokenizer, body.len() as u64);
                    read_or_weigh(body, answer_text(body, &mut tally), &tally)
                }
            },
            ..Usage::default()
        }
    }

    /// Returns a rough estimate by the length alone.
    #[must_use]
    pub fn usage_by_length(&self) -> Usage {
        Usage {
            input: by_length(self.body_bytes() as u64),
            output: by_length((self.bytes() - self.body_bytes()) as u64),
            ..Usage::default()
        }
    }
}

fn input_tokens(body: &[u8], input: Input, tokenizer: Tokenizer) -> u64 {
    let mut tally = Tally::new(tokenizer, body.len() as u64);
    let mut request = RequestReader {
        tally: &mut tally,
        input,
        is_conversation: false,
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = for_each_member(&mut json, &mut request).and_then(|()| json.end());
    if request.is_conversation {
        tally.tokens(ANSWER_TOKENS);
    }
    read_or_weigh(body, read, &tally)
}

/// Counts a body that cannot be read (cut short, lone surrogates, too deep) by its length, so that
/// it is not free.
fn read_or_weigh(body: &[u8], read: serde_json::Result<()>, tally: &Tally) -> u64 {
    read.map_or_else(|_| by_length(body.len() as u64), |()| tally.total())
}

/// Counts the members of a request of any endpoint that is estimated. The members show which
/// endpoint it is, in whatever case they are named. A doubled member counts twice.
struct RequestReader<'t> {
    tally: &'t mut Tally,
    input: Input,
    is_conversation: bool,
}

impl<'de> PartReader<'de> for RequestReader<'_> {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        let tally = &mut *self.tally;
        match (fold(name).as_ref(), self.input) {
            (b"messages", _) | (b"input", Input::Messages) => {
                self.is_conversation = true;
                object.next_value_seed(Strings::of_messages(tally))?;
            }
            (b"system" | b"instructions", Input::Messages) => {
                let before = tally.total();
                object.next_value_seed(Strings::of_text(tally))?;
                if tally.total() > before {
                    tally.tokens(MESSAGE_TOKENS);
                }
            }
            (b"prompt" | b"suffix" | b"input" | b"instructions", _) => {
                object.next_value_seed(Strings::of_prompt(tally))?;
            }
            (b"tools" | b"functions", _) => {
                let json = object.next_value::<&RawValue>()?.get();
                if json != "null" {
                    tally.text(json);
                }
            }
            _ => skip_value(object)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::samples::SAMPLES;
    use proptest::prelude::*;
    use serde_json::json;

    fn messages(body: &serde_json::Value) -> u64 {
        input_tokens(
            body.to_string().as_bytes(),
            Input::Messages,
            Tokenizer::O200k,
        )
    }

    fn plain(body: &serde_json::Value) -> u64 {
        input_tokens(body.to_string().as_bytes(), Input::Plain, Tokenizer::O200k)
    }

    #[test]
    fn a_short_chat_counts_what_openai_says_of_it() {
        // "Hello!" is two tokens; the answer's `usage` to this request says 9.
        let chat = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello!"}]});
        assert_eq!(messages(&chat), 9);
        let other_case = json!({"Me\u{17f}sages": [{"role": "user", "content": "Hello!"}]});
        assert_eq!(messages(&other_case), 9);
    }

    #[test]
    fn the_text_of_every_endpoint_counts_with_its_framing() {
        for sample in &SAMPLES {
            let (text, tokens) = (sample.text, sample.o200k);
            for (body, expected) in [
                (
                    json!({"messages": [{"role": "system", "content": text}, {"role": "user", "content": [{"type": "text", "text": text}]}]}),
                    2 * tokens + 11,
                ),
                (
                    json!({"system": text, "max_tokens": 100, "messages": [{"role": "user", "content": text}]}),
                    2 * tokens + 11,
                ),
                (
                    json!({"system": [{"type": "text", "text": text}], "messages": []}),
                    tokens + 7,
                ),
                (
                    json!({"instructions": text, "input": text}),
                    2 * tokens + 11,
                ),
                (
                    json!({"instructions": null, "input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]}),
                    tokens + 7,
                ),
                (json!({"prompt": text}), tokens),
                (json!({"prompt": [text, text], "suffix": text}), 3 * tokens),
                (json!({"prompt": [[1, 2, 3], [4]]}), 4),
            ] {
                assert_eq!(messages(&body), expected, "{body}");
            }
            for (body, expected) in [
                (json!({"input": text}), tokens),
                (json!({"input": [text, text]}), 2 * tokens),
                (json!({"input": [1, 2, 3]}), 3),
                (
                    json!({"input": text, "instructions": text, "voice": "alloy"}),
                    2 * tokens,
                ),
            ] {
                assert_eq!(plain(&body), expected, "{body}");
            }
        }
    }

    #[test]
    fn tools_count_as_their_json() {
        let sample = SAMPLES.iter().find(|sample| sample.name == "JSON").unwrap();
        let body = format!(
            r#"{{"tools":{},"functions":null,"messages":[]}}"#,
            sample.text
        );
        let count = input_tokens(body.as_bytes(), Input::Messages, Tokenizer::O200k);
        assert_eq!(count, sample.o200k + ANSWER_TOKENS);
    }

    #[test]
    fn a_picture_counts_by_its_size_and_not_its_base64() {
        let picture = "A".repeat(100_000);
        let body = json!({"messages": [{"role": "user", "content": [
            {"type": "text", "text": "Hello!"},
            {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{picture}")}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        ]}]});
        assert_eq!(messages(&body), 9 + 765 + 85);
    }

    #[test]
    fn unreadable_json_is_estimated_by_its_length() {
        for body in [
            &br#"{"messages":[{"content":"half a \ud83d"}]}"#[..],
            br#"{"messages":[{"content":"cut"#,
            br#"{"messages":[]} and more"#,
            b"[]",
            b"\xff",
        ] {
            let count = input_tokens(body, Input::Messages, Tokenizer::O200k);
            assert_eq!(count, (body.len() as u64).div_ceil(4));
        }
        assert_eq!(
            Evidence::default().usage(Tokenizer::O200k),
            Usage::default()
        );
    }

    #[test]
    fn a_json_answer_counts_by_its_text() {
        for sample in &SAMPLES {
            for answer in [
                json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": sample.text}, "token_ids": [1, 2]}]}),
                json!({"choices": [{"text": sample.text}], "object": "text_completion"}),
                json!({"output": [{"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": sample.text, "annotations": []}]}]}),
                json!({"type": "message", "role": "assistant", "content": [{"type": "text", "text": sample.text}]}),
            ] {
                let evidence = Evidence {
                    generated: AnswerText::Json(answer.to_string().into_bytes()),
                    ..Evidence::default()
                };
                assert_eq!(
                    evidence.usage(Tokenizer::O200k).output,
                    sample.o200k,
                    "{answer}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_body_has_an_estimate(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for input in [Input::Messages, Input::Plain] {
                let evidence = Evidence {
                    body: vec![Bytes::copy_from_slice(&bytes)],
                    input,
                    generated: AnswerText::Json(bytes.clone()),
                };
                for tokenizer in [Tokenizer::O200k, Tokenizer::RuleOfThumb] {
                    let _ = evidence.usage(tokenizer);
                }
            }
        }
    }
}

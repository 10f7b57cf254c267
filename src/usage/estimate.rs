//! Token estimates for answers whose usage nobody told: counted from the characters, by script.
//!
//! A rule of thumb, marked as an estimate wherever it is stored: per token about four ASCII characters, two and a half of
//! Cyrillic, Greek, Arabic and the like, one and a quarter of Chinese, Japanese, Korean; an emoji is one and a half tokens.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::lenient::Name;

/// In twentieths of a token, by the number of bytes that UTF-8 needs for the character.
const WEIGHT_BY_UTF8_LEN: [u64; 5] = [0, 5, 8, 16, 30];
const UNITS_PER_TOKEN: u64 = 20;
/// OpenAI's figure for one image at low detail; the size of the image is unknown here.
const IMAGE_TOKENS: u64 = 85;
/// What the chat format adds to each message (role and separators).
const MESSAGE_TOKENS: u64 = 4;

/// How much text went by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextCount {
    /// Twentieths of a token.
    units: u64,
    /// Tokens that are counted, not weighed: images, token ids.
    whole_tokens: u64,
    /// Pieces with text in them: a streaming server sends at most a few tokens in each, and at least one.
    pieces: u64,
}

impl TextCount {
    /// Text of which only the length is known.
    pub(super) fn of_bytes(bytes: u64) -> Self {
        Self {
            units: bytes.saturating_mul(WEIGHT_BY_UTF8_LEN[1]),
            ..Self::default()
        }
    }

    fn of(text: &str) -> Self {
        let units = if text.is_ascii() {
            text.len() as u64 * WEIGHT_BY_UTF8_LEN[1]
        } else {
            text.chars().map(|c| WEIGHT_BY_UTF8_LEN[c.len_utf8()]).sum()
        };
        Self {
            units,
            whole_tokens: 0,
            pieces: u64::from(!text.is_empty()),
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.units = self.units.saturating_add(other.units);
        self.whole_tokens = self.whole_tokens.saturating_add(other.whole_tokens);
        self.pieces = self.pieces.saturating_add(other.pieces);
    }

    /// Estimated tokens of text that came whole.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.whole_tokens
            .saturating_add(self.units.div_ceil(UNITS_PER_TOKEN))
    }

    /// Estimated tokens of text that came in pieces: never fewer than there were pieces.
    #[must_use]
    pub fn streamed_tokens(&self) -> u64 {
        self.tokens().max(self.pieces)
    }
}

/// Estimated input tokens of a request body for chat or completions.
#[must_use]
pub fn prompt_tokens(body: &[u8]) -> u64 {
    // What cannot be read this way (doubled members, lone surrogates) is weighed whole: nothing rides free.
    let by_length = || TextCount::of_bytes(body.len() as u64).tokens();
    serde_json::from_slice::<RequestText>(body).map_or_else(
        |_| by_length(),
        |prompt| {
            let mut sum = prompt.messages.text;
            for part in [prompt.prompt, prompt.tools, prompt.functions] {
                sum.add(&part);
            }
            let framing = prompt.messages.count.saturating_mul(MESSAGE_TOKENS);
            sum.tokens().saturating_add(framing)
        },
    )
}

#[derive(Deserialize)]
struct RequestText {
    #[serde(default)]
    messages: Messages,
    #[serde(default)]
    prompt: TextCount,
    #[serde(default)]
    tools: TextCount,
    #[serde(default)]
    functions: TextCount,
}

#[derive(Default)]
struct Messages {
    count: u64,
    text: TextCount,
}

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let messages = Vec::<TextCount>::deserialize(deserializer)?;
        let mut text = TextCount::default();
        for message in &messages {
            text.add(message);
        }
        Ok(Self {
            count: messages.len() as u64,
            text,
        })
    }
}

/// Counts all strings inside a JSON value but those that are no text for the model.
impl<'de> Deserialize<'de> for TextCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Strings)
    }
}

struct Strings;

impl<'de> Visitor<'de> for Strings {
    type Value = TextCount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TextCount, E> {
        Ok(TextCount::of(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<TextCount, A::Error> {
        let mut sum = TextCount::default();
        while let Some(part) = seq.next_element::<TextCount>()? {
            sum.add(&part);
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextCount, A::Error> {
        let mut sum = TextCount::default();
        while let Some(Name(name)) = map.next_key()? {
            match name.as_ref() {
                // Framing, not text.
                b"role" | b"type" | b"id" | b"index" | b"finish_reason" | b"tool_call_id"
                | b"logprobs" => {
                    map.next_value::<IgnoredAny>()?;
                }
                // Base64 and addresses would count for thousands.
                b"image_url" | b"input_audio" | b"file" | b"audio" | b"image" => {
                    if map.next_value::<Option<IgnoredAny>>()?.is_some() {
                        sum.whole_tokens += IMAGE_TOKENS;
                    }
                }
                _ => sum.add(&map.next_value()?),
            }
        }
        Ok(sum)
    }

    /// A number in a prompt is a token id.
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<TextCount, E> {
        Ok(TextCount {
            whole_tokens: 1,
            ..TextCount::default()
        })
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<TextCount, E> {
        Ok(TextCount::default())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<TextCount, E> {
        Ok(TextCount::default())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<TextCount, E> {
        Ok(TextCount::default())
    }

    fn visit_unit<E: de::Error>(self) -> Result<TextCount, E> {
        Ok(TextCount::default())
    }

    fn visit_none<E: de::Error>(self) -> Result<TextCount, E> {
        Ok(TextCount::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn english_is_about_four_characters_a_token() {
        let body = br#"{"messages":[{"role":"user","content":"The quick brown fox jumps over the lazy dog."}]}"#;
        // o200k counts 10 for the text, and the chat format adds a few.
        assert_eq!(prompt_tokens(body), 15);
    }

    #[test]
    fn an_image_counts_a_fixed_number_and_not_its_base64() {
        let picture = "A".repeat(100_000);
        let body = format!(
            r#"{{"messages":[{{"role":"user","content":[{{"type":"text","text":"what?"}},{{"type":"image_url","image_url":{{"url":"data:{picture}"}}}}]}}]}}"#
        );
        assert_eq!(prompt_tokens(body.as_bytes()), 85 + 2 + 4);
    }

    #[test]
    fn what_cannot_be_read_is_weighed_whole() {
        let doubled = br#"{"tools":null,"messages":[{"content":"hello"}],"tools":[]}"#;
        assert_eq!(prompt_tokens(doubled), (doubled.len() as u64).div_ceil(4));
    }

    #[test]
    fn token_ids_count_one_each() {
        assert_eq!(prompt_tokens(br#"{"prompt":[[1,2,3],[4]]}"#), 4);
    }

    #[test]
    fn streamed_pieces_are_at_least_a_token_each() {
        let mut sum = TextCount::default();
        for _ in 0..10 {
            sum.add(&TextCount::of("a"));
        }
        assert_eq!((sum.tokens(), sum.streamed_tokens()), (3, 10));
    }

    proptest! {
        #[test]
        fn any_body_has_an_estimate(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = prompt_tokens(&bytes);
        }
    }
}

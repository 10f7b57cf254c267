//! Finds the strings inside a JSON value that a model reads or writes. Names, ids and addresses are
//! not among them, and a picture or a file in base64 counts by a rule of its own.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    counts::{Counts, UsageObject},
    image::{Picture, is_base64},
};
use crate::json::{MaybeText, Name};

/// Tokens of a file or a sound of which nothing is known: no less than the smallest picture.
const MEDIA_TOKENS: u64 = 85;

/// Takes the text and tokens that are found.
pub(super) trait TextSink {
    /// Whether text is looked for.
    fn wants_text(&self) -> bool {
        true
    }
    /// Takes a text.
    fn text(&mut self, text: &str);
    /// Takes a text that stands where another string could be base64.
    fn perhaps_text(&mut self, text: &str) {
        self.text(text);
    }
    /// Takes tokens that are no text, such as those of a picture or a token id.
    fn tokens(&mut self, count: u64);
    /// Whether the members that are not read are passed to [`TextSink::filler`].
    fn wants_filler(&self) -> bool {
        false
    }
    /// Takes the JSON of a member that is not read.
    fn filler(&mut self, _json: &str) {}
    /// Whether the usage objects in choices are looked for.
    fn wants_usage(&self) -> bool {
        true
    }
    /// Takes the usage object that some servers put into a choice.
    fn usage(&mut self, _counts: &Counts) {}
}

/// A sink for readers that need neither the text nor anything in choices.
pub(super) struct NullSink;

/// A sink for readers that need the usage in choices, but no text.
pub(super) struct OnlyUsage;

impl TextSink for OnlyUsage {
    fn wants_text(&self) -> bool {
        false
    }
    fn text(&mut self, _: &str) {}
    fn tokens(&mut self, _: u64) {}
}

impl TextSink for NullSink {
    fn wants_text(&self) -> bool {
        false
    }
    fn wants_usage(&self) -> bool {
        false
    }
    fn text(&mut self, _: &str) {}
    fn tokens(&mut self, _: u64) {}
}

/// The framing of a message and of its role (OpenAI's Cookbook, "How to count tokens with
/// tiktoken").
pub(super) const MESSAGE_TOKENS: u64 = 4;

/// Walks through a JSON value of any type. It is a visitor of its own, because each type has a
/// meaning here.
pub(super) struct Strings<'t, T> {
    sink: &'t mut T,
    place: Place,
}

/// The meaning that a string has in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Text,
    /// An element of `choices`: text, and perhaps a usage object.
    Choice,
    /// A list of messages, or the text of a single one. Each has its framing.
    Messages,
    /// Text; and numbers are token ids.
    Prompt,
    /// A picture's address.
    Picture,
    /// Anthropic's `source` of a picture or a document; a bare string is text.
    Source,
    /// Speech of a model. Its sound counts by its words.
    Sound,
    /// Text, or base64.
    Data,
}

impl<'t, T: TextSink> Strings<'t, T> {
    pub(super) fn of_text(sink: &'t mut T) -> Self {
        Self {
            sink,
            place: Place::Text,
        }
    }

    /// The strings of one element of `choices`.
    pub(super) fn of_choice(sink: &'t mut T) -> Self {
        Self {
            sink,
            place: Place::Choice,
        }
    }

    /// The strings of a conversation, and the framing of its messages.
    pub(super) fn of_messages(sink: &'t mut T) -> Self {
        Self {
            sink,
            place: Place::Messages,
        }
    }

    /// The strings of a prompt, which may be token ids.
    pub(super) fn of_prompt(sink: &'t mut T) -> Self {
        Self {
            sink,
            place: Place::Prompt,
        }
    }

    fn within(&mut self, place: Place) -> Strings<'_, T> {
        Strings {
            sink: self.sink,
            place,
        }
    }
}

impl<'de, T: TextSink> DeserializeSeed<'de> for Strings<'_, T> {
    /// A picture is counted where its level of detail is known.
    type Value = Option<Picture>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if !self.sink.wants_text() {
            return IgnoredAny::deserialize(deserializer).map(|_| None);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: TextSink> Visitor<'de> for Strings<'_, T> {
    type Value = Option<Picture>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        match self.place {
            Place::Picture => return Ok(Some(Picture::of_url(text))),
            Place::Data if is_base64(text) => {
                let picture = Picture::of_base64(text);
                if picture.is_none() {
                    self.sink.tokens(MEDIA_TOKENS);
                }
                return Ok(picture);
            }
            Place::Data => self.sink.perhaps_text(text),
            Place::Messages => {
                self.sink.tokens(MESSAGE_TOKENS);
                self.sink.text(text);
            }
            _ => self.sink.text(text),
        }
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Self::Value, A::Error> {
        let is_conversation = self.place == Place::Messages;
        let place = if is_conversation {
            Place::Text
        } else {
            self.place
        };
        while let Some(found) = seq.next_element_seed(self.within(place))? {
            if is_conversation {
                self.sink.tokens(MESSAGE_TOKENS);
            }
            if let Some(picture) = found {
                self.sink.tokens(picture.tokens());
            }
        }
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        if self.place == Place::Messages {
            self.sink.tokens(MESSAGE_TOKENS);
        }
        let mut picture = None;
        let mut is_low = false;
        while let Some(Name(name)) = map.next_key()? {
            let place = match name.as_ref() {
                b"usage" if self.place == Place::Choice => {
                    if let UsageObject(Some(counts)) = map.next_value()? {
                        self.sink.usage(&counts);
                    }
                    continue;
                }
                // Framing, not text; or text once more.
                b"role"
                | b"type"
                | b"id"
                | b"index"
                | b"finish_reason"
                | b"native_finish_reason"
                | b"stop_reason"
                | b"matched_stop"
                | b"tool_call_id"
                | b"call_id"
                | b"file_id"
                | b"status"
                | b"media_type"
                | b"format"
                | b"logprobs"
                | b"token_ids"
                | b"annotations"
                | b"cache_control"
                | b"signature"
                | b"encrypted_content"
                | b"reasoning_details" => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                b"data" if self.place == Place::Sound => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                b"detail" => {
                    let MaybeText(detail) = map.next_value()?;
                    is_low = detail.as_deref() == Some("low");
                    continue;
                }
                b"input_audio" | b"file" => {
                    if map.next_value::<Option<IgnoredAny>>()?.is_some() {
                        self.sink.tokens(MEDIA_TOKENS);
                    }
                    continue;
                }
                b"image_url" | b"image" => Place::Picture,
                b"url" if matches!(self.place, Place::Picture | Place::Source) => Place::Picture,
                b"source" => Place::Source,
                b"audio" => Place::Sound,
                b"data" | b"file_data" | b"b64_json" | b"partial_image_b64" | b"result" => {
                    Place::Data
                }
                _ => Place::Text,
            };
            picture = map.next_value_seed(self.within(place))?.or(picture);
        }
        let Some(mut picture) = picture else {
            return Ok(None);
        };
        picture.is_low |= is_low;
        if self.place == Place::Picture {
            return Ok(Some(picture));
        }
        self.sink.tokens(picture.tokens());
        Ok(None)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
        if self.place == Place::Prompt {
            self.sink.tokens(1);
        }
        Ok(None)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Found {
        texts: Vec<String>,
        tokens: u64,
    }

    impl TextSink for Found {
        fn text(&mut self, text: &str) {
            self.texts.push(text.to_owned());
        }
        fn tokens(&mut self, count: u64) {
            self.tokens += count;
        }
    }

    fn found_in(place: Place, json: &str) -> (Vec<String>, u64) {
        let mut found = Found::default();
        let strings = Strings {
            sink: &mut found,
            place,
        };
        let mut json = serde_json::Deserializer::from_str(json);
        strings.deserialize(&mut json).unwrap();
        (found.texts, found.tokens)
    }

    fn found(json: &str) -> (Vec<String>, u64) {
        found_in(Place::Text, json)
    }

    #[test]
    fn words_are_found_and_framing_is_not() {
        let (texts, tokens) = found(
            r#"{"role":"assistant","content":[{"type":"text","text":"a"}],"tool_calls":[{"id":"call_1","type":"function","index":0,
               "function":{"name":"b","arguments":"c"}}],"finish_reason":"stop","logprobs":{"content":[{"token":"x"}]},"refusal":null,"n":5}"#,
        );
        assert_eq!((texts.join(""), tokens), ("abc".to_owned(), 0));
    }

    #[test]
    fn a_picture_counts_by_its_detail_wherever_that_stands() {
        let picture = "https://example.com/a.jpg";
        for (json, expected) in [
            (format!(r#"{{"image_url":{{"url":"{picture}"}}}}"#), 765),
            (
                format!(r#"{{"image_url":{{"detail":"low","url":"{picture}"}}}}"#),
                85,
            ),
            (format!(r#"{{"detail":"low","image_url":"{picture}"}}"#), 85),
            (
                format!(r#"{{"image_url":"{picture}","detail":"high"}}"#),
                765,
            ),
            (
                format!(r#"{{"type":"image","source":{{"type":"url","url":"{picture}"}}}}"#),
                765,
            ),
            (
                format!(r#"[{{"image":["{picture}","{picture}"]}}]"#),
                2 * 765,
            ),
            (r#"{"image_url":null}"#.to_owned(), 0),
        ] {
            assert_eq!(found(&json), (vec![], expected), "{json}");
        }
    }

    #[test]
    fn base64_is_no_text_and_text_in_its_place_is() {
        let base64 = "iVBORw0KGgoAAAANSUhEUgAAAgAAAAIA".repeat(1000);
        for (json, expected) in [
            (
                format!(
                    r#"{{"source":{{"type":"base64","media_type":"image/png","data":"{base64}"}}}}"#
                ),
                255,
            ),
            (
                format!(r#"{{"image_url":{{"url":"data:image/png;base64,{base64}"}}}}"#),
                255,
            ),
            (
                format!(r#"{{"input_audio":{{"data":"{base64}","format":"wav"}}}}"#),
                MEDIA_TOKENS,
            ),
            (
                format!(r#"{{"file":{{"filename":"a.pdf","file_data":"{base64}"}}}}"#),
                MEDIA_TOKENS,
            ),
            (
                format!(r#"{{"file_data":"data:application/pdf;base64,JVBE{base64}"}}"#),
                MEDIA_TOKENS,
            ),
            (format!(r#"{{"audio":{{"id":"a","data":"{base64}"}}}}"#), 0),
        ] {
            assert_eq!(found(&json), (vec![], expected), "{}", &json[..60]);
        }
        let document =
            r#"{"source":{"type":"text","media_type":"text/plain","data":"some words"}}"#;
        assert_eq!(found(document), (vec!["some words".to_owned()], 0));
        let spoken = r#"{"audio":{"transcript":"aloud","data":"UklGRg=="}}"#;
        assert_eq!(found(spoken), (vec!["aloud".to_owned()], 0));
    }

    #[test]
    fn numbers_are_token_ids_in_a_prompt_only() {
        assert_eq!(found_in(Place::Prompt, "[[1,2,3],[4]]"), (vec![], 4));
        assert_eq!(found_in(Place::Prompt, r#"["a",-1,2.5,{"b":3}]"#).1, 0);
        assert_eq!(found("[[1,2,3],[4]]"), (vec![], 0));
    }
}

//! Answers and events, as the many servers that speak OpenAI's or Anthropic's API write them: what
//! they say of usage, model and generated text. No tree is built, and a member of the wrong type
//! never spoils the rest.

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess},
};
use serde_json::value::RawValue;

use super::{
    calls::ToolCalls,
    counts::{Counts, UsageObject, VendorCounts, find_counts},
    slots::{SlotRecorder, Slots},
    strings::{NullSink, OnlyUsage, Strings, TextSink},
    text::Text,
};
use crate::{
    json::{
        EachPart, JsonType, MaybeText, PartReader, Seconds, for_each_member, skip_value, weight_of,
    },
    model::ServiceTier,
};

/// The content of a JSON answer, or of an event in a stream, as far as it matters for accounting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub counts: Counts,
    /// Usage in the places where single vendors put it: counts only where no server-wide one comes.
    pub vendor_counts: VendorCounts,
    /// Whether it reports that the request failed, whatever its status.
    pub is_error: bool,
    /// The model that answered.
    pub model: Option<String>,
    /// The class of service, beside the usage.
    pub service_tier: Option<ServiceTier>,
    /// Calls of tools in the whole output so far.
    pub calls: ToolCalls,
    /// The call that an event reports as done.
    pub done_call: ToolCalls,
    /// Elements of `data`: images, where images were asked for.
    pub items: u64,
}

impl Answer {
    /// Returns the class of service that the answer reports.
    #[must_use]
    pub fn tier(&self) -> Option<&ServiceTier> {
        self.counts.service_tier().or(self.service_tier.as_ref())
    }
}

/// The purpose of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Carries part of the answer, or something unknown.
    Content,
    /// The chunk that `stream_options.include_usage` adds: usage, and `choices` that are empty,
    /// null or missing.
    UsageOnly,
    /// `[DONE]`, or the event that ends a stream of another endpoint.
    Done,
}

/// Reads a complete JSON answer.
#[must_use]
pub fn read_answer(body: &[u8]) -> Answer {
    let Ok(mut wire) = parse(body, Shape::Answer, &mut NullSink) else {
        return unreadable(body);
    };
    // Usage in a choice counts only where there is no other, and hardly any answer has it there.
    let has_choices = wire.choices == Choices::Some;
    if has_choices
        && !wire.counts.is_reported()
        && memchr::memmem::find(body, b"\"usage\"").is_some()
    {
        match parse(body, Shape::Answer, &mut OnlyUsage) {
            Ok(again) => wire = again,
            Err(_) => return unreadable(body),
        }
    }
    Answer {
        is_error: wire.is_error(),
        counts: wire.counts.or_audio_ms(wire.duration.0),
        vendor_counts: wire.vendor_counts,
        service_tier: tier_of(&wire.service_tier),
        calls: wire.calls,
        done_call: ToolCalls::default(),
        model: wire.model.0.map(Cow::into_owned),
        items: wire.items,
    }
}

/// Returns whether an event carries text that no other event repeats. Only its beginning may be
/// known. Pictures, sound and the events that repeat at the end what came in deltas carry none.
pub(super) fn carries_text(data: &[u8]) -> bool {
    let mut name = EventName(None);
    let mut json = serde_json::Deserializer::from_slice(data);
    // Where it breaks off, what was read counts.
    let _ = for_each_member(&mut json, &mut name);
    name.0
        .is_none_or(|name| name.ends_with("delta") && !is_sound(&name))
}

/// Returns whether an event carries sound, which is base64 in `delta` or `audio` (OpenAI's API
/// reference, streaming events of responses and speech).
fn is_sound(name: &str) -> bool {
    name.ends_with("audio.delta")
}

/// Gives the text of a complete JSON answer to the sink.
pub(super) fn answer_text(body: &[u8], sink: &mut impl TextSink) -> serde_json::Result<()> {
    parse(body, Shape::Answer, sink).map(drop)
}

/// Reads the data of one server-sent event, and adds its generated text to `text`.
pub fn read_event(data: &[u8], text: &mut Text) -> (EventKind, Answer) {
    read_event_with_slots(data, text, &mut Slots::unwanted())
}

/// Reads an event as [`read_event`] does, and notes the slots in which another event of its kind
/// may differ.
pub(super) fn read_event_with_slots(
    data: &[u8],
    text: &mut Text,
    slots: &mut Slots<'_>,
) -> (EventKind, Answer) {
    if data.trim_ascii() == b"[DONE]" {
        return (EventKind::Done, Answer::default());
    }
    let before = text.mark();
    let mut parsed = parse(data, Shape::Event, &mut SlotRecorder { text, slots });
    if parsed.is_err() && slots.are_wanted() {
        // What is noted must be Unicode, what is passed over need not.
        slots.spoil();
        text.back_to(before);
        parsed = parse(data, Shape::Event, &mut SlotRecorder { text, slots });
    }
    let Ok(wire) = parsed else {
        text.back_to(before);
        if carries_text(data) {
            text.add_unread(weight_of(data));
        }
        return (EventKind::Content, unreadable(data));
    };
    let name = wire.name.0.as_deref().unwrap_or_default();
    // The first one's delta is a reason to stop, the others' is sound.
    if name == "message_delta" || is_sound(name) {
        text.back_to(before);
        slots.spoil();
    }
    let is_error = wire.is_error();
    let is_usage_only = wire.choices == Choices::None
        && name.is_empty()
        && wire.counts.is_reported()
        && !is_error
        && text.mark() == before;
    let kind = if ends_a_stream(name) {
        EventKind::Done
    } else if is_usage_only {
        EventKind::UsageOnly
    } else {
        EventKind::Content
    };
    let done_call = if name == "response.output_item.done" {
        wire.item
    } else {
        ToolCalls::default()
    };
    let answer = Answer {
        counts: wire.counts,
        vendor_counts: wire.vendor_counts,
        is_error,
        service_tier: tier_of(&wire.service_tier),
        calls: wire.calls,
        done_call,
        model: wire.model.0.map(Cow::into_owned),
        items: u64::from(matches!(
            name,
            "image_generation.completed" | "image_edit.completed"
        )),
    };
    (kind, answer)
}

fn tier_of(word: &MaybeText<'_>) -> Option<ServiceTier> {
    word.0.as_deref().and_then(ServiceTier::parse)
}

/// Returns whether an event ends its stream (OpenAI's API reference, streaming events of responses,
/// transcriptions and speech; Anthropic's, of messages).
fn ends_a_stream(name: &str) -> bool {
    matches!(
        name,
        "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "transcript.text.done"
            | "speech.audio.done"
            | "message_stop"
    )
}

/// Returns the usage of an answer that is cut short, or has a string that is no Unicode.
fn unreadable(body: &[u8]) -> Answer {
    let counts = find_counts(body);
    Answer {
        counts: counts.unwrap_or_default(),
        ..Answer::default()
    }
}

/// The shape of a document, which decides what members are generated text. Events that report the
/// end of something repeat what came in deltas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Answer,
    Event,
}

fn parse<'a>(
    body: &'a [u8],
    shape: Shape,
    sink: &mut impl TextSink,
) -> serde_json::Result<WireAnswer<'a>> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut reader = AnswerReader {
        shape,
        sink,
        answer: WireAnswer::default(),
    };
    for_each_member(&mut json, &mut reader)?;
    json.end()?;
    Ok(reader.answer)
}

/// The members of an answer. They may have any type, and of doubled ones the last counts.
#[derive(Default)]
struct WireAnswer<'a> {
    counts: Counts,
    vendor_counts: VendorCounts,
    model: MaybeText<'a>,
    service_tier: MaybeText<'a>,
    choices: Choices,
    /// Calls in `output`, here or in `response`.
    calls: ToolCalls,
    /// The call that is the `item` of an event.
    item: ToolCalls,
    /// `type`
    name: MaybeText<'a>,
    /// `object`
    object: MaybeText<'a>,
    /// `error`, here or in `response`.
    error: Presence,
    /// Elements of `data`.
    items: u64,
    duration: Seconds,
}

impl WireAnswer<'_> {
    /// Returns whether this is one of the forms of an error: OpenAI's, Anthropic's and vLLM's
    /// object `error`, the event `error` of the responses API, and the object that older versions
    /// of vLLM have.
    fn is_error(&self) -> bool {
        self.error.0
            || self.name.0.as_deref() == Some("error")
            || self.object.0.as_deref() == Some("error")
    }
}

/// The content of `choices`.
#[derive(Debug, Default, PartialEq, Eq)]
enum Choices {
    /// The member is missing, null or an empty list.
    #[default]
    None,
    Some,
}

/// Whether a member is there and has another value than null, false, 0 or an empty one.
#[derive(Default)]
struct Presence(bool);

/// Reads the members of an answer or an event.
struct AnswerReader<'a, 't, T> {
    shape: Shape,
    sink: &'t mut T,
    answer: WireAnswer<'a>,
}

impl<'de, T: TextSink> PartReader<'de> for AnswerReader<'de, '_, T> {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        let Self {
            shape,
            sink,
            answer,
        } = self;
        match (name, shape) {
            (b"usage", _) => {
                if let UsageObject(Some(counts)) = object.next_value()? {
                    answer.counts.update(&counts);
                }
            }
            (b"model", _) => answer.model = object.next_value()?,
            (b"choices", _) => {
                let mut choices = ChoicesReader {
                    sink: *sink,
                    counts: &mut answer.vendor_counts,
                    has_elements: false,
                };
                let json_type = object.next_value_seed(EachPart(&mut choices))?;
                answer.choices = match json_type {
                    JsonType::Null => Choices::None,
                    JsonType::List if !choices.has_elements => Choices::None,
                    JsonType::List | JsonType::Scalar | JsonType::Object => Choices::Some,
                };
            }
            (b"type", _) => answer.name = object.next_value()?,
            (b"object", _) => answer.object = object.next_value()?,
            (b"error", _) => answer.error = object.next_value()?,
            (b"service_tier", _) => answer.service_tier = object.next_value()?,
            (b"output", Shape::Answer) if !sink.wants_text() => {
                answer.calls = ToolCalls::read_output(object)?;
            }
            (b"item", Shape::Event) => answer.item = ToolCalls::read_item(object)?,
            (b"delta", Shape::Event) | (b"output" | b"content" | b"text", Shape::Answer) => {
                object.next_value_seed(Strings::of_text(*sink))?;
            }
            (b"data", _) => {
                let mut elements = ElementCount(0);
                object.next_value_seed(EachPart(&mut elements))?;
                answer.items = elements.0;
            }
            (b"duration", _) => answer.duration = object.next_value()?,
            // Events of responses and messages: the object that is made, as far as it is.
            (b"response" | b"message", _) => {
                let nested = NestedAnswer::read(object)?;
                answer.counts.update(&nested.counts);
                answer.error.0 |= nested.error.0;
                answer.calls = nested.calls;
                if nested.model.0.is_some() {
                    answer.model = nested.model;
                }
                if nested.service_tier.0.is_some() {
                    answer.service_tier = nested.service_tier;
                }
            }
            // A vendor's own member, such as `x_groq`.
            (name, _) if name.starts_with(b"x_") || name.starts_with(b"x-") => {
                let nested = NestedAnswer::read(object)?;
                answer.vendor_counts.update(&nested.counts);
            }
            _ if sink.wants_filler() => sink.filler(object.next_value::<&RawValue>()?.get()),
            _ => skip_value(object)?,
        }
        Ok(())
    }
}

/// The object inside an event, or a choice: nothing if it is no object.
#[derive(Default)]
struct NestedAnswer<'a> {
    counts: Counts,
    model: MaybeText<'a>,
    service_tier: MaybeText<'a>,
    calls: ToolCalls,
    error: Presence,
}

impl<'de> NestedAnswer<'de> {
    fn read<A: MapAccess<'de>>(object: &mut A) -> Result<Self, A::Error> {
        let mut nested = Self::default();
        object.next_value_seed(EachPart(&mut nested))?;
        Ok(nested)
    }
}

impl<'de> PartReader<'de> for NestedAnswer<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        match name {
            b"usage" => self.counts = object.next_value::<UsageObject>()?.0.unwrap_or_default(),
            b"model" => self.model = object.next_value()?,
            b"service_tier" => self.service_tier = object.next_value()?,
            b"output" => self.calls = ToolCalls::read_output(object)?,
            b"error" => self.error = object.next_value()?,
            _ => skip_value(object)?,
        }
        Ok(())
    }
}

/// Reads the elements of `choices`.
struct ChoicesReader<'t, T> {
    sink: &'t mut T,
    /// Gets the usage that a choice itself contains.
    counts: &'t mut VendorCounts,
    has_elements: bool,
}

impl<'de, T: TextSink> PartReader<'de> for ChoicesReader<'_, T> {
    fn element<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let is_there = if self.sink.wants_text() {
            let mut choice = TextAndUsage {
                sink: self.sink,
                counts: self.counts,
            };
            let strings = Strings::of_choice(&mut choice);
            list.next_element_seed(strings)?.is_some()
        } else if self.sink.wants_usage() {
            let mut choice = NestedAnswer::default();
            let found = list.next_element_seed(EachPart(&mut choice))?;
            self.counts.update(&choice.counts);
            found.is_some()
        } else {
            list.next_element::<IgnoredAny>()?.is_some()
        };
        self.has_elements |= is_there;
        Ok(is_there)
    }
}

/// Counts the elements of a list.
struct ElementCount(u64);

impl<'de> PartReader<'de> for ElementCount {
    fn element<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let is_there = list.next_element::<IgnoredAny>()?.is_some();
        self.0 += u64::from(is_there);
        Ok(is_there)
    }
}

/// Gives the text of a choice to the sink, and keeps its usage.
struct TextAndUsage<'t, T> {
    sink: &'t mut T,
    counts: &'t mut VendorCounts,
}

impl<T: TextSink> TextSink for TextAndUsage<'_, T> {
    fn text(&mut self, text: &str) {
        self.sink.text(text);
    }

    fn perhaps_text(&mut self, text: &str) {
        self.sink.perhaps_text(text);
    }

    fn tokens(&mut self, count: u64) {
        self.sink.tokens(count);
    }

    fn usage(&mut self, counts: &Counts) {
        self.counts.update(counts);
    }
}

/// The `type` of an event, as far as the event goes.
struct EventName(Option<String>);

impl<'de> PartReader<'de> for EventName {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        if name != b"type" {
            return skip_value(object);
        }
        let MaybeText(name) = object.next_value()?;
        self.0 = name.map(Cow::into_owned);
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        Ok(Self(!matches!(
            json,
            "null" | "false" | "\"\"" | "{}" | "[]" | "0"
        )))
    }
}

#[cfg(test)]
mod tests;

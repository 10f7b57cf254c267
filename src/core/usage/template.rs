//! Recognises events that repeat an earlier one with other strings in the same places. Most chunks
//! of a stream do. They contain nothing new but their text and are not parsed, because a comparison
//! costs a twentieth of that. Streams of one model share their templates, which then stay in the
//! processor's cache.

use std::{cell::RefCell, rc::Rc};

use smallvec::SmallVec;

use super::{
    answer::{Answer, EventKind, read_event_with_slots},
    counts::{Counts, VendorCounts},
    slots::{Slot, SlotContent, Slots, USUAL_SLOTS},
    strings::TextSink,
    text::Text,
};

/// The most templates of a thread: about eight models at a time, with two kinds of events each.
const MAX_TEMPLATES: usize = 16;

/// The recent templates of all streams of a thread. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Templates(Rc<RefCell<Vec<Rc<Template>>>>);

/// Reads the events of one stream, as [`read_event`](super::read_event) would each.
#[derive(Debug, Clone, Default)]
pub struct EventReader {
    /// The template of the last event that contained mere text.
    template: Option<Rc<Template>>,
    templates: Templates,
}

impl EventReader {
    pub(super) fn new(templates: Templates) -> Self {
        Self {
            template: None,
            templates,
        }
    }

    /// Reads an event's data, and adds its generated text to `text`. Returns `None` if it contains
    /// nothing else that is new.
    pub fn read(&mut self, data: &[u8], text: &mut Text) -> Option<(EventKind, Answer)> {
        let known = self.template.as_ref().and_then(|like| like.texts_of(data));
        if let Some(texts) = known {
            for piece in texts {
                text.text(piece);
            }
            return None;
        }
        let mut slots = Slots::in_event(data);
        let (kind, answer) = read_event_with_slots(data, text, &mut slots);
        let is_mere_text = kind == EventKind::Content
            && answer.counts == Counts::default()
            && answer.vendor_counts == VendorCounts::default()
            && answer.items == 0
            && answer.calls.is_empty()
            && answer.done_call.is_empty()
            && !answer.is_error;
        let has_text = |slots: &Slots| {
            slots
                .found
                .iter()
                .any(|slot| slot.content == SlotContent::Text)
        };
        if is_mere_text && !slots.is_spoiled && has_text(&slots) {
            self.template = Some(self.templates.of(data, slots));
        }
        Some((kind, answer))
    }
}

impl Templates {
    /// Returns the template for an event that was parsed: a known one, or a new one.
    fn of(&self, data: &[u8], slots: Slots<'_>) -> Rc<Template> {
        let mut recent = self.0.borrow_mut();
        let known = recent.iter().find(|like| like.texts_of(data).is_some());
        if let Some(known) = known {
            return Rc::clone(known);
        }
        if recent.len() == MAX_TEMPLATES {
            recent.remove(0);
        }
        let new = Rc::new(Template {
            data: data.to_owned(),
            slots: slots.found,
        });
        recent.push(Rc::clone(&new));
        new
    }
}

/// An event that was parsed, and the slots in which others may differ from it.
#[derive(Debug)]
struct Template {
    data: Vec<u8>,
    slots: SmallVec<[Slot; USUAL_SLOTS]>,
}

impl Template {
    /// Returns the texts in `data` if it is this event with other contents in its slots.
    fn texts_of<'d>(&self, data: &'d [u8]) -> Option<SmallVec<[&'d str; 2]>> {
        let mut texts = SmallVec::new();
        let (mut from, mut rest) = (0, data);
        for slots in self
            .slots
            .split_inclusive(|slot| slot.content == SlotContent::Text)
        {
            // What surrounds the text is the same most of the time.
            let end = slots
                .last()
                .filter(|slot| slot.content == SlotContent::Text);
            let end = end.map_or(self.data.len(), |slot| usize::from(slot.start));
            if let Some(same) = rest.strip_prefix(&self.data[from..end]) {
                (from, rest) = (end, same);
            }
            for &slot in slots {
                if usize::from(slot.start) < from {
                    continue;
                }
                let (length, inside) = self.fill(slot, from, rest)?;
                if slot.content == SlotContent::Text {
                    texts.push(std::str::from_utf8(&inside[..length]).ok()?);
                }
                (from, rest) = (usize::from(slot.end), &inside[length..]);
            }
        }
        (rest == &self.data[from..]).then_some(texts)
    }

    /// Returns the length of a slot's content in the event, and the rest of the event from there.
    /// `from` and `rest` are the places reached in template and event.
    fn fill<'d>(&self, slot: Slot, from: usize, rest: &'d [u8]) -> Option<(usize, &'d [u8])> {
        let inside = rest.strip_prefix(&self.data[from..usize::from(slot.start)])?;
        slot.content.length(inside).map(|length| (length, inside))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::read_event;
    use proptest::prelude::*;

    /// Reads events with one reader and each on its own: the text of both, and how many were not
    /// parsed. Another stream of the same events, which finds what the first has left, says the
    /// same.
    fn read(events: &[impl AsRef<[u8]>]) -> (Text, usize) {
        let templates = Templates::default();
        let first = read_like(events, &templates);
        assert_eq!(read_like(events, &templates), first);
        first
    }

    fn read_like(events: &[impl AsRef<[u8]>], templates: &Templates) -> (Text, usize) {
        let mut reader = EventReader::new(templates.clone());
        let (mut text, mut expected) = (Text::default(), Text::default());
        let mut compared = 0;
        let mut model = None;
        for event in events.iter().map(AsRef::as_ref) {
            let known = reader.template.as_ref();
            compared += usize::from(known.is_some_and(|like| like.texts_of(event).is_some()));
            let new = reader.read(event, &mut text);
            let (kind, answer) = new.unwrap_or((EventKind::Content, Answer::default()));
            let (expected_kind, expected_answer) = read_event(event, &mut expected);
            model = model.or(answer.model);
            assert_eq!(
                (kind, answer.counts, answer.items),
                (expected_kind, expected_answer.counts, expected_answer.items)
            );
            if let Some(said) = expected_answer.model {
                assert!(model.is_some(), "{said} was not read");
            }
            assert_eq!(text, expected, "{}", String::from_utf8_lossy(event));
        }
        (text, compared)
    }

    #[test]
    fn chunks_of_a_chat_are_parsed_once() {
        let chunk = |text: &str| {
            format!(
                r#"{{"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-5","choices":[{{"index":0,"delta":{{"content":"{text}"}},"logprobs":null,"finish_reason":null}}],"usage":null,"obfuscation":"x{text}"}}"#
            )
        };
        let (text, compared) = read(&["Hello", " wörld", "", "!"].map(chunk));
        assert_eq!(text.kept(), "Hello wörld!");
        assert_eq!(compared, 3);
        // An escape takes a parser, and the next one is alike again.
        let (text, compared) = read(&["a", r"\n", "b", r"\u00e9", "c"].map(chunk));
        assert_eq!(text.kept(), "a\nb\u{e9}c");
        assert_eq!(compared, 2);
    }

    #[test]
    fn streams_of_a_model_share_a_template_and_keep_their_model() {
        let event = |id: &str, model: &str| {
            format!(
                r#"{{"id":"{id}","model":"{model}","choices":[{{"delta":{{"content":"a"}}}}]}}"#
            )
        };
        let templates = Templates::default();
        let read = |id: &str, model: &str| {
            let mut reader = EventReader::new(templates.clone());
            let read = reader.read(event(id, model).as_bytes(), &mut Text::default());
            let (_, answer) = read.unwrap();
            (reader.template.unwrap(), answer.model)
        };
        let (first, model) = read("c1", "m");
        assert_eq!(model.as_deref(), Some("m"));
        let (second, model) = read("c2", "m");
        assert_eq!(model.as_deref(), Some("m"));
        assert!(Rc::ptr_eq(&first, &second));
        let (third, model) = read("c3", "n");
        assert_eq!(model.as_deref(), Some("n"));
        assert!(!Rc::ptr_eq(&first, &third));
        for model in 0..2 * MAX_TEMPLATES {
            read("c4", &model.to_string());
        }
        assert_eq!(templates.0.borrow().len(), MAX_TEMPLATES);
    }

    #[test]
    fn numbered_events_of_one_response_are_parsed_once() {
        let event = |number: u32| {
            format!(
                r#"{{"type":"response.output_text.delta","sequence_number":{number},"item_id":"msg_1","delta":"w{number} ","logprobs":[],"obfuscation":"abc"}}"#
            )
        };
        let (text, compared) = read(&[8, 9, 10, 11].map(event));
        assert_eq!(text.kept(), "w8 w9 w10 w11 ");
        assert_eq!(compared, 3);
    }

    #[test]
    fn another_event_is_parsed() {
        let events = [
            r#"{"model":"m","choices":[{"delta":{"content":"a"}}]}"#,
            r#"{"model":"m","choices":[{"delta":{"content":"b"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            r#"{"model":"m","choices":[{"delta":{"content":"c"}}]}"#,
            r#"{"model":"m","choices":[{"delta":{"content":"d"}}]} "#,
            r#"{"model":"m","choices":[{"delta":{"content":"e"}}]"#,
            r#"{"model":"m","choices":[{"delta":{"content":"f","x":"g"}}]}"#,
            r#"{"model":"m","choices":[{"delta":{"content":"	"}}]}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"}}"#,
            r#"{"type":"x","sequence_number":1,"delta":"a"}"#,
            r#"{"type":"x","sequence_number":01,"delta":"a"}"#,
            r#"{"type":"x","sequence_number":-1,"delta":"a"}"#,
            r#"{"type":"x","sequence_number":,"delta":"a"}"#,
            r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":0,"k":1,"l":2,"m":3,"delta":"a"}"#,
            r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":0,"k":1,"l":4,"m":3,"delta":"a"}"#,
            r#"{"a":"\u0041","delta":"a"}"#,
            r#"{"a":"A","delta":"a"}"#,
            r#"{"a":1.0,"delta":"a"}"#,
            r#"{"a":true,"delta":"a"}"#,
            r#"{"delta":{"data":"AAAA"}}"#,
            r#"{"delta":{"data":"hi there"}}"#,
            r#"{"delta":{"data":"/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJ"}}"#,
        ];
        let (_, compared) = read(&events);
        // None but "c" after "a", for the event between them is no template.
        assert_eq!(compared, 1);
    }

    #[test]
    fn unread_members_may_be_invalid_unicode() {
        let (text, _) = read(&[&b"{\"x\":\"\xff\",\"delta\":\"a\"}"[..]; 2]);
        assert_eq!(text.kept(), "aa");
    }

    #[test]
    fn a_text_that_is_no_unicode_is_parsed() {
        let (_, compared) = read(&[
            &b"{\"delta\":\"a\"}"[..],
            b"{\"delta\":\"\xff\"}",
            b"{\"delta\":\"b\"}",
        ]);
        assert_eq!(compared, 1);
    }

    proptest! {
        #[test]
        fn a_template_reads_what_a_parser_reads(
            shapes in prop::collection::vec((0usize..6, ".{0,6}|[\"\\\\a{}:,\u{1}]{0,6}", "[a-z0-9\"\\\\]{0,4}"), 1..12),
        ) {
            let events: Vec<String> = shapes
                .iter()
                .map(|(shape, text, other)| match shape {
                    0 => format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}],"obfuscation":"{other}"}}"#),
                    1 => format!(r#"{{"delta":"{text}","sequence_number":{other}}}"#),
                    2 => format!(r#"{{"choices":[{{"delta":{{"role":"{other}","content":"{text}"}}}}]}}"#),
                    3 => format!(r#"{{"delta":{{"data":"{text}","thinking":"{other}"}}}}"#),
                    4 => format!(r#"{{"type":"{other}","delta":"{text}"}}"#),
                    _ => text.clone(),
                })
                .collect();
            read(&events);
        }
    }
}

//! A JSON answer as it passes. A short one is held completely; of a long one only what is needed at
//! its end.

use super::{
    answer::{Answer, answer_text, read_answer},
    counts::{Counts, find_counts},
    estimate::AnswerText,
    objects::AnswerObjects,
    text::Text,
};
use crate::json::Outline;

/// The longest JSON answer that is read completely. A longer one is searched for usage as it
/// passes.
const MAX_JSON_BYTES: usize = 1024 * 1024;
/// Length of the end of a long answer that is held: no usage object is longer.
const TAIL_BYTES: usize = 16 * 1024;
/// Length of the beginning of an answer in which its own id is looked for.
const MAX_BEGINNING_BYTES: u64 = 32 * 1024;

/// A JSON answer, or what is held of a long one, so that a client that reads 50 MB slowly does not
/// cost a megabyte meanwhile.
#[derive(Default)]
pub(super) struct JsonBuffer {
    held: Vec<u8>,
    is_long: bool,
    /// The outline of a long answer if its objects are noted, or else only its weight.
    outline: Option<Box<Outline>>,
    /// Whether its beginning was searched for its own id.
    beginning_read: bool,
    /// The usage that a long answer has reported so far.
    counts: Option<Counts>,
    images: u64,
    notes_objects: bool,
    /// Number of bytes of `held` that were searched for images.
    searched: usize,
    total_bytes: u64,
}

impl JsonBuffer {
    /// Creates a buffer for an answer whose length may have been announced.
    pub(super) fn of_announced(length_bytes: Option<u64>) -> Self {
        Self {
            // What is encoded becomes longer still.
            is_long: length_bytes.is_some_and(|length| length > MAX_JSON_BYTES as u64),
            ..Self::default()
        }
    }

    /// Returns whether what is held contains a text.
    pub(super) fn contains(&self, text: &str) -> bool {
        memchr::memmem::find(&self.held, text.as_bytes()).is_some()
    }

    /// Returns whether the answer has generated text, or may have because it cannot be read.
    pub(super) fn has_text(&self) -> bool {
        let mut text = Text::default();
        self.is_long || answer_text(&self.held, &mut text).is_err() || !text.is_empty()
    }

    /// Hands over what an estimate is made from: the answer, or its length if it was not read or
    /// could not be decoded.
    pub(super) fn take_generated(&mut self, undecoded_bytes: u64) -> AnswerText {
        if self.is_long || undecoded_bytes > 0 {
            let weight = match &self.outline {
                Some(outline) => outline.weight(),
                None => self.total_bytes,
            };
            AnswerText::Text(Text::unread(weight + undecoded_bytes))
        } else {
            AnswerText::Json(std::mem::take(&mut self.held))
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], notes_objects: bool) {
        self.total_bytes = self.total_bytes.saturating_add(bytes.len() as u64);
        let becomes_long = !self.is_long && self.held.len() + bytes.len() > MAX_JSON_BYTES;
        self.held.extend_from_slice(bytes);
        self.is_long |= becomes_long;
        self.notes_objects = notes_objects;
        if self.is_long {
            self.outline(bytes);
            if self.held.len() > 2 * TAIL_BYTES {
                self.let_go();
            }
        }
        if becomes_long {
            self.held.shrink_to_fit();
        }
    }

    /// Adds to the outline, which keeps the ids of objects and counts what may be text.
    fn outline(&mut self, bytes: &[u8]) {
        if let Some(outline) = &mut self.outline {
            return outline.push(bytes);
        }
        let outline = if self.notes_objects {
            Outline::default()
        } else {
            Outline::of_weight()
        };
        self.outline.insert(Box::new(outline)).push(&self.held);
    }

    /// Notes the answer's own id as soon as it is there. It is looked for after each read, so not
    /// for long.
    pub(super) fn read_beginning(&mut self, stored: &mut AnswerObjects) {
        if self.beginning_read || stored.id.is_some() {
            return;
        }
        self.beginning_read = self.total_bytes > MAX_BEGINNING_BYTES;
        stored.read(self.objects());
    }

    /// Returns the JSON that the answer's objects are read from.
    pub(super) fn objects(&self) -> &[u8] {
        match &self.outline {
            Some(outline) => outline.json(),
            None => &self.held,
        }
    }

    /// Drops all but the end, in which a usage object may have begun.
    fn let_go(&mut self) {
        self.search();
        let gone = self.held.len().saturating_sub(TAIL_BYTES);
        self.held.drain(..gone);
        self.searched = self.held.len();
    }

    fn search(&mut self) {
        /// A member's name, like `"usage"` no part of any text.
        const IMAGE: &[u8] = b"\"b64_json\"";
        if let Some(counts) = find_counts(&self.held) {
            self.counts = Some(counts);
        }
        let from = self.searched.saturating_sub(IMAGE.len() - 1);
        self.images += memchr::memmem::find_iter(&self.held[from..], IMAGE).count() as u64;
        self.searched = self.held.len();
    }

    pub(super) fn read(&mut self) -> Answer {
        if !self.is_long {
            return read_answer(&self.held);
        }
        self.search();
        // What the outline has of the usage is in the counts already.
        let outline = self.outline.as_ref();
        let outlined = outline.map(|outline| read_answer(outline.json()));
        let Answer {
            model,
            service_tier,
            calls,
            ..
        } = outlined.unwrap_or_default();
        Answer {
            counts: self.counts.take().unwrap_or_default(),
            items: self.images,
            model,
            service_tier,
            calls,
            ..Answer::default()
        }
    }
}

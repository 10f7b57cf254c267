//! The slots of an event: strings and numbers whose content has no influence on how the rest of the
//! event is read. They are found while the event is parsed.

use memchr::memchr2;
use smallvec::SmallVec;

use super::{strings::TextSink, text::Text};

/// The longest event that becomes a template. A chunk has some 250 bytes.
const MAX_TEMPLATE_BYTES: usize = 1024;
/// The most slots in a template: text, and the strings and numbers around it that are not read.
const MAX_SLOTS: usize = 12;
pub(super) const USUAL_SLOTS: usize = 6;

/// A place in an event whose content has no influence on how the rest is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) start: u16,
    pub(super) end: u16,
    pub(super) content: SlotContent,
}

/// The kind of content that fits into a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotContent {
    /// The content of a string that is generated text.
    Text,
    /// The content of a string that is not read.
    Filler,
    /// A whole number that is not read.
    Number,
}

impl SlotContent {
    /// Returns the length of such content at the beginning of `bytes`; `None` if it must be parsed.
    pub(super) fn length(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Text | Self::Filler => {
                let length = memchr2(b'"', b'\\', bytes)?;
                // RFC 8259, section 7: control characters are no part of a string.
                let is_string = bytes[length] == b'"' && bytes[..length].iter().all(|b| *b >= b' ');
                is_string.then_some(length)
            }
            Self::Number => {
                let length = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
                is_whole_number(&bytes[..length]).then_some(length)
            }
        }
    }
}

/// Returns whether digits are a whole number, which has no leading zeros (RFC 8259, section 6).
fn is_whole_number(digits: &[u8]) -> bool {
    match digits {
        [] => false,
        [b'0', more @ ..] => more.is_empty(),
        _ => digits.iter().all(u8::is_ascii_digit),
    }
}

/// The slots of an event, noted while it is parsed.
pub(super) struct Slots<'a> {
    event: &'a [u8],
    pub(super) found: SmallVec<[Slot; USUAL_SLOTS]>,
    /// Whether the event has something that a template cannot have.
    pub(super) is_spoiled: bool,
}

impl<'a> Slots<'a> {
    pub(super) fn in_event(event: &'a [u8]) -> Self {
        Self {
            event,
            found: SmallVec::new(),
            is_spoiled: event.len() > MAX_TEMPLATE_BYTES,
        }
    }

    /// Creates slots for an event that is not compared with others.
    pub(super) fn unwanted() -> Self {
        Self {
            event: &[],
            found: SmallVec::new(),
            is_spoiled: true,
        }
    }

    pub(super) fn are_wanted(&self) -> bool {
        !self.is_spoiled
    }

    pub(super) fn spoil(&mut self) {
        self.is_spoiled = true;
    }

    /// Notes a text. One that had escapes is no part of the event, and spoils it.
    fn text(&mut self, text: &str) {
        if self.is_spoiled {
            return;
        }
        match self.slot(text, SlotContent::Text) {
            Some(slot) if self.found.len() < MAX_SLOTS => self.found.push(slot),
            _ => self.spoil(),
        }
    }

    /// Notes a JSON value that is not read. If it cannot be a slot, other events must have the same
    /// value.
    fn filler(&mut self, json: &str) {
        if self.is_spoiled || self.found.len() >= MAX_SLOTS - 1 {
            return;
        }
        let inside = json.strip_prefix('"').and_then(|s| s.strip_suffix('"'));
        let slot = match inside {
            Some(string) if !string.contains('\\') => self.slot(string, SlotContent::Filler),
            None if is_whole_number(json.as_bytes()) => self.slot(json, SlotContent::Number),
            _ => None,
        };
        self.found.extend(slot);
    }

    /// Returns the slot of a part of the event; `None` if the text is no part of it.
    fn slot(&self, part: &str, content: SlotContent) -> Option<Slot> {
        let start = part
            .as_ptr()
            .addr()
            .checked_sub(self.event.as_ptr().addr())?;
        let end = start.checked_add(part.len())?;
        (end <= self.event.len()).then_some(Slot {
            start: start.try_into().ok()?,
            end: end.try_into().ok()?,
            content,
        })
    }
}

/// A sink that adds the text of an event and notes its slots.
pub(super) struct SlotRecorder<'t, 'e> {
    pub(super) text: &'t mut Text,
    pub(super) slots: &'t mut Slots<'e>,
}

impl TextSink for SlotRecorder<'_, '_> {
    fn text(&mut self, text: &str) {
        self.text.text(text);
        self.slots.text(text);
    }

    fn perhaps_text(&mut self, text: &str) {
        self.text.text(text);
        self.slots.spoil();
    }

    fn tokens(&mut self, count: u64) {
        self.text.tokens(count);
        self.slots.spoil();
    }

    fn wants_filler(&self) -> bool {
        self.slots.are_wanted()
    }

    fn filler(&mut self, json: &str) {
        self.slots.filler(json);
    }
}

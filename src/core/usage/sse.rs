//! Incremental scanner of server-sent events (WHATWG HTML, section 9.2): finds each event's data
//! however the stream is split, and can take the usage-only event out of it. Everything else leaves
//! as it came.
//!
//! Only `data` lines are ever kept, and only they can be held back. Comments and other fields leave
//! with the read they came in; so where an event is taken out, an `event` line before its data has
//! left, and applies to no data.

mod lines;

use std::ops::Range;

use memchr::memchr2;

use smallvec::SmallVec;

use super::answer::EventKind;
use crate::json::Outline;

use lines::{
    ERROR_EVENT_LINE, MAX_EVENT_BYTES, UsualEvent, match_error, may_be_data, read_data, value_of,
};

/// The most unfinished data that is held back while events are taken out. A usage-only event has
/// some 400 bytes, so a longer one is let go.
const MAX_HELD_BYTES: usize = 64 * 1024;
/// The treatment of the event that the spliced-in option adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageOnlyEvents {
    Pass,
    TakeOut,
}

/// A finished event.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Its data, without the long strings if it is too long.
    pub data: &'a [u8],
    /// Length of the text that is missing in the data.
    pub left_out_bytes: u64,
    /// Whether the stream marks it as `error`.
    pub is_error_event: bool,
}

/// A piece of the stream that leaves the scanner. The pieces leave in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes held back from earlier reads.
    Held(Vec<u8>),
    /// A part of the read just pushed.
    Part(Range<usize>),
}

/// The state between two reads.
#[derive(Debug)]
pub struct Scanner {
    policy: UsageOnlyEvents,
    place: Place,
    /// The unfinished event from its first `data` line on, unless it is too long.
    carry: Vec<u8>,
    /// Whether `carry` has not left yet.
    is_held: bool,
    /// The outline of an unfinished event whose data is too long.
    outline: Option<Box<Outline>>,
    /// The last byte was a CR that ended a line: an LF right behind it belongs to that line and
    /// shares its fate.
    after_cr: Option<Fate>,
    /// Whether the unfinished event is `[DONE]`, which was handed over as soon as that line had
    /// ended.
    is_done: bool,
    /// Whether the unfinished event is marked as `error`.
    is_error_event: bool,
}

/// The place of the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The beginning of a line of an event that has no data so far.
    LineStart,
    /// A line that is no data, of an event without data so far. `matched` is the number of its
    /// bytes if all of them are those of [`ERROR_EVENT_LINE`].
    OtherLine { matched: Option<u8> },
    /// A line of an event from its first `data` line on.
    Data {
        line: DataLine,
        /// Whether the line has bytes so far.
        has_bytes: bool,
    },
}

/// The position of a line in the event's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DataLine {
    First,
    Further,
}

/// The decision whether a line leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    TakenOut,
    /// The line belongs to an event that is not finished.
    Undecided,
}

/// The progress in the read that is scanned.
struct Progress {
    /// The next byte to look at.
    at: usize,
    /// The first byte that was neither emitted nor taken out.
    emit_from: usize,
    /// The place where the unfinished event's data begins; 0 if it began in an earlier read.
    data_from: usize,
}

impl Scanner {
    #[must_use]
    pub fn new(policy: UsageOnlyEvents) -> Self {
        Self {
            policy,
            place: Place::LineStart,
            carry: Vec::new(),
            is_held: false,
            outline: None,
            after_cr: None,
            is_done: false,
            is_error_event: false,
        }
    }

    /// Scans one read. `on_event` gets each finished event that has data, `emit` what may leave
    /// now.
    pub fn push(
        &mut self,
        read: &[u8],
        on_event: &mut impl FnMut(Event<'_>) -> EventKind,
        emit: &mut impl FnMut(Piece),
    ) {
        if read.is_empty() {
            return;
        }
        let mut progress = Progress {
            at: 0,
            emit_from: 0,
            data_from: 0,
        };
        if let Some(fate) = self.after_cr.take()
            && read[0] == b'\n'
        {
            progress.at = 1;
            progress.emit_from = usize::from(fate == Fate::TakenOut);
        }
        while progress.at < read.len() {
            match self.place {
                Place::LineStart => self.start_line(read, &mut progress, on_event, emit),
                Place::OtherLine { matched } => self.pass_line(read, &mut progress, matched),
                Place::Data { line, has_bytes } => {
                    self.read_line(read, &mut progress, line, has_bytes, on_event, emit);
                }
            }
        }
        self.keep_unfinished(read, &progress, emit);
    }

    /// Ends the scan when the stream has ended. An event without its blank line still counts.
    pub fn finish(
        &mut self,
        on_event: &mut impl FnMut(Event<'_>) -> EventKind,
        emit: &mut impl FnMut(Piece),
    ) {
        if !matches!(self.place, Place::Data { .. }) {
            return;
        }
        if self.end_event(&[], on_event) != Fate::TakenOut {
            self.let_go(emit);
        }
        self.forget_event();
    }

    /// Scans from the beginning of a line of an event that has no data so far. Inlined, because
    /// nearly all events end here.
    #[inline]
    fn start_line(
        &mut self,
        read: &[u8],
        progress: &mut Progress,
        on_event: &mut impl FnMut(Event<'_>) -> EventKind,
        emit: &mut impl FnMut(Piece),
    ) {
        let rest = &read[progress.at..];
        if let Some(usual) = UsualEvent::find(rest) {
            let kind = on_event(Event {
                data: usual.data,
                left_out_bytes: 0,
                is_error_event: self.is_error_event || usual.is_error_event,
            });
            if self.takes_out(kind) {
                emit_part(progress.emit_from..progress.at + usual.data_line, emit);
                progress.emit_from = progress.at + usual.length;
            }
            self.is_error_event = false;
            progress.at += usual.length;
            return;
        }
        if may_be_data(rest) {
            progress.data_from = progress.at;
            self.place = Place::Data {
                line: DataLine::First,
                has_bytes: false,
            };
        } else {
            self.place = Place::OtherLine { matched: Some(0) };
        }
    }

    /// Passes a line that is no data.
    fn pass_line(&mut self, read: &[u8], progress: &mut Progress, matched: Option<u8>) {
        let rest = &read[progress.at..];
        let end = memchr2(b'\n', b'\r', rest);
        let line = &rest[..end.unwrap_or(rest.len())];
        let matched = matched.and_then(|matched| match_error(matched, line));
        let Some(end) = end else {
            self.place = Place::OtherLine { matched };
            progress.at = read.len();
            return;
        };
        if matched == Some(0) {
            // A blank line ends an event without data, which is none.
            self.is_error_event = false;
        } else if matched.is_some_and(|matched| usize::from(matched) == ERROR_EVENT_LINE.len()) {
            self.is_error_event = true;
        }
        self.place = Place::LineStart;
        progress.at += end;
        self.end_line(read, progress, Fate::Kept);
    }

    /// Scans a line of an event from its first data on.
    fn read_line(
        &mut self,
        read: &[u8],
        progress: &mut Progress,
        line: DataLine,
        has_bytes: bool,
        on_event: &mut impl FnMut(Event<'_>) -> EventKind,
        emit: &mut impl FnMut(Piece),
    ) {
        let rest = &read[progress.at..];
        let end = memchr2(b'\n', b'\r', rest);
        let has_bytes = has_bytes || end != Some(0);
        let Some(end) = end else {
            self.place = Place::Data { line, has_bytes };
            progress.at = read.len();
            return;
        };
        progress.at += end;
        if !has_bytes {
            // What ends with the blank line, without a second half of its line end.
            let event = progress.data_from..progress.at + 1;
            let fate = self.end_event(&read[event], on_event);
            if fate == Fate::TakenOut {
                emit_part(progress.emit_from..progress.data_from, emit);
            } else {
                self.let_go(emit);
            }
            self.forget_event();
            self.end_line(read, progress, fate);
            if fate == Fate::TakenOut {
                progress.emit_from = progress.at;
            }
            return;
        }
        self.place = Place::Data {
            line: DataLine::Further,
            has_bytes: false,
        };
        if line == DataLine::First {
            self.look_at_first_line(&read[progress.data_from..progress.at], on_event, emit);
        }
        self.end_line(read, progress, Fate::Undecided);
    }

    /// The first line of an event's data has ended; `rest` is what came of it in this read. It may
    /// turn out to be another field. `[DONE]` never turns out to be the usage event, and a client
    /// may take it for the end: it is handed over now.
    fn look_at_first_line(
        &mut self,
        rest: &[u8],
        on_event: &mut impl FnMut(Event<'_>) -> EventKind,
        emit: &mut impl FnMut(Piece),
    ) {
        /// Longer than a byte order mark, the field's name and `[DONE]`.
        const MAX_LOOKED_AT_BYTES: usize = 32;
        if self.outline.is_some() {
            return;
        }
        let parts = self.carry.iter().chain(rest).copied();
        let line: SmallVec<[u8; MAX_LOOKED_AT_BYTES]> = parts.take(MAX_LOOKED_AT_BYTES).collect();
        match value_of(&line) {
            None => {
                self.let_go(emit);
                self.carry.clear();
                self.place = Place::LineStart;
            }
            Some(data) if data.trim_ascii() == b"[DONE]" => {
                self.let_go(emit);
                self.is_done = true;
                on_event(Event {
                    data,
                    left_out_bytes: 0,
                    is_error_event: false,
                });
            }
            Some(_) => {}
        }
    }

    /// Moves behind a line's end, which may go on in the next read.
    fn end_line(&mut self, read: &[u8], progress: &mut Progress, fate: Fate) {
        let is_cr = read[progress.at] == b'\r';
        progress.at += 1;
        if is_cr {
            match read.get(progress.at) {
                Some(b'\n') => progress.at += 1,
                Some(_) => {}
                None => self.after_cr = Some(fate),
            }
        }
    }

    /// Keeps what stands behind the last finished event of a read, and lets leave what may.
    fn keep_unfinished(&mut self, read: &[u8], progress: &Progress, emit: &mut impl FnMut(Piece)) {
        if !matches!(self.place, Place::Data { .. }) {
            emit_part(progress.emit_from..read.len(), emit);
            return;
        }
        let rest = &read[progress.data_from..];
        let holds = self.policy == UsageOnlyEvents::TakeOut
            && !self.is_done
            && self.outline.is_none()
            && (self.is_held || self.carry.is_empty())
            && self.carry.len() + rest.len() <= MAX_HELD_BYTES;
        if holds {
            emit_part(progress.emit_from..progress.data_from, emit);
            self.is_held = true;
        } else {
            self.let_go(emit);
            emit_part(progress.emit_from..read.len(), emit);
        }
        if let Some(outline) = &mut self.outline {
            outline.push(rest);
        } else if self.carry.len() + rest.len() > MAX_EVENT_BYTES {
            let outline = self.outline.insert(Box::default());
            outline.push(&self.carry);
            outline.push(rest);
            self.carry = Vec::new();
        } else {
            self.carry.extend_from_slice(rest);
        }
    }

    /// Lets held bytes leave. They stay in `carry` to be read with the rest of their event.
    fn let_go(&mut self, emit: &mut impl FnMut(Piece)) {
        if std::mem::take(&mut self.is_held) && !self.carry.is_empty() {
            emit(Piece::Held(self.carry.clone()));
        }
    }

    /// Reads an event whose last bytes are `tail`.
    fn end_event(
        &mut self,
        tail: &[u8],
        on_event: &mut impl FnMut(Event<'_>) -> EventKind,
    ) -> Fate {
        if std::mem::take(&mut self.is_done) {
            return Fate::Kept;
        }
        let is_error_event = self.is_error_event;
        let is_long = self.outline.is_some() || self.carry.len() + tail.len() > MAX_EVENT_BYTES;
        if is_long {
            let mut outline = self.outline.take().unwrap_or_default();
            outline.push(&self.carry);
            outline.push(tail);
            let left_out_bytes = outline.weight().saturating_sub(outline.json().len() as u64);
            read_data(outline.json(), &mut |data| {
                on_event(Event {
                    data,
                    left_out_bytes,
                    is_error_event,
                })
            });
            return Fate::Kept;
        }
        let mut on_data = |data: &[u8]| {
            on_event(Event {
                data,
                left_out_bytes: 0,
                is_error_event,
            })
        };
        let kind = if self.carry.is_empty() {
            read_data(tail, &mut on_data)
        } else {
            read_data(&[&self.carry, tail].concat(), &mut on_data)
        };
        let is_complete = self.is_held || self.carry.is_empty();
        if is_complete && self.takes_out(kind) {
            Fate::TakenOut
        } else {
            Fate::Kept
        }
    }

    fn takes_out(&self, kind: EventKind) -> bool {
        kind == EventKind::UsageOnly && self.policy == UsageOnlyEvents::TakeOut
    }

    fn forget_event(&mut self) {
        self.place = Place::LineStart;
        self.carry.clear();
        self.is_held = false;
        self.outline = None;
        self.is_error_event = false;
    }
}

fn emit_part(range: Range<usize>, emit: &mut impl FnMut(Piece)) {
    if !range.is_empty() {
        emit(Piece::Part(range));
    }
}

#[cfg(test)]
mod tests;

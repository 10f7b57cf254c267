//! Incremental scanner of server-sent events (WHATWG HTML, section 9.2): finds each event's data however the stream is
//! split, and can take the usage-only event out of it. Everything else leaves as it came.

use std::ops::Range;

use memchr::memchr2;

use super::{EventKind, find_usage};

/// An event longer than this is passed on unread but for its end, where a usage object may stand.
const MAX_EVENT_BYTES: usize = 1024 * 1024;
const TAIL_BYTES: usize = 32 * 1024;
/// While taking events out, an unfinished event is held back until it is whole; a usage-only event has some 400 bytes,
/// so one longer than this is let go.
const MAX_HELD_BYTES: usize = 64 * 1024;

/// What happens to the event that the spliced-in option adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageOnlyEvents {
    Pass,
    TakeOut,
}

/// What leaves the scanner, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes held back from earlier reads.
    Held(Vec<u8>),
    /// A part of the read just pushed.
    Part(Range<usize>),
}

/// The state between two reads.
#[derive(Debug)]
// Independent facts about three different positions, not states of one machine.
#[allow(clippy::struct_excessive_bools)]
pub struct Scanner {
    policy: UsageOnlyEvents,
    /// The unfinished event's bytes from earlier reads, as far as they are kept; of one that is too long its end.
    carry: Vec<u8>,
    /// `carry` has not left yet.
    held: bool,
    /// The unfinished event is too long to be read.
    too_long: bool,
    /// Length of all that was too long to be read.
    unread_bytes: u64,
    /// The unfinished line has bytes.
    line_has_bytes: bool,
    /// The last byte was a CR that ended a line with bytes.
    after_cr: bool,
    /// The last byte was a CR that ended an event; an LF right behind it shares that event's fate.
    after_event: Option<Fate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    TakenOut,
    /// Too long to be read, and kept.
    Unread,
}

impl Scanner {
    #[must_use]
    pub fn new(policy: UsageOnlyEvents) -> Self {
        Self {
            policy,
            carry: Vec::new(),
            held: false,
            too_long: false,
            unread_bytes: 0,
            line_has_bytes: false,
            after_cr: false,
            after_event: None,
        }
    }

    /// Takes one read. `on_data` is given each finished event's data, `emit` what may leave now.
    pub fn push(
        &mut self,
        read: &[u8],
        on_data: &mut impl FnMut(&[u8]) -> EventKind,
        emit: &mut impl FnMut(Piece),
    ) {
        if read.is_empty() {
            return;
        }
        // Where the bytes begin that have not been emitted, and where the unfinished event begins.
        let mut keep_from = 0;
        let mut event_start = 0;
        let mut at = 0;
        if let Some(fate) = self.after_event.take()
            && read[0] == b'\n'
        {
            at = 1;
            event_start = 1;
            keep_from = usize::from(fate == Fate::TakenOut);
            self.count_line_feed(fate);
        }
        loop {
            if at == event_start
                && self.carry.is_empty()
                && let Some((length, data)) = usual_event(&read[at..])
            {
                at += length;
                let kind = on_data(data);
                if self.takes_out(kind) {
                    emit_part(keep_from..event_start, emit);
                    keep_from = at;
                }
                event_start = at;
                continue;
            }
            let Some(offset) = memchr2(b'\n', b'\r', &read[at..]) else {
                break;
            };
            let end_of_line = at + offset;
            let byte = read[end_of_line];
            if offset > 0 {
                self.line_has_bytes = true;
            } else if byte == b'\n' && self.after_cr {
                // The second half of a CRLF.
                self.after_cr = false;
                at += 1;
                continue;
            }
            at = end_of_line + 1;
            self.after_cr = byte == b'\r';
            if self.line_has_bytes {
                self.line_has_bytes = false;
                continue;
            }
            // A blank line ends the event.
            let fate = self.end_event(&read[event_start..at], on_data);
            if self.after_cr && read.get(at) == Some(&b'\n') {
                at += 1;
                self.after_cr = false;
                self.count_line_feed(fate);
            }
            match fate {
                Fate::Kept | Fate::Unread => self.let_go(emit),
                Fate::TakenOut => {
                    emit_part(keep_from..event_start, emit);
                    keep_from = at;
                }
            }
            self.forget_event();
            if std::mem::take(&mut self.after_cr) && at == read.len() {
                self.after_event = Some(fate);
            }
            event_start = at;
        }
        if at < read.len() {
            self.line_has_bytes = true;
            self.after_cr = false;
        }
        self.keep_unfinished(read, keep_from, event_start, emit);
    }

    /// The stream has ended; an event without its blank line still counts.
    pub fn finish(
        &mut self,
        on_data: &mut impl FnMut(&[u8]) -> EventKind,
        emit: &mut impl FnMut(Piece),
    ) {
        if self.end_event(&[], on_data) != Fate::TakenOut {
            self.let_go(emit);
        }
        self.forget_event();
    }

    /// Length of all events that were too long to be read.
    #[must_use]
    pub fn unread_bytes(&self) -> u64 {
        let end = if self.too_long { self.carry.len() } else { 0 };
        self.unread_bytes + end as u64
    }

    /// Deals with what the read left behind the last finished event.
    fn keep_unfinished(
        &mut self,
        read: &[u8],
        keep_from: usize,
        event_start: usize,
        emit: &mut impl FnMut(Piece),
    ) {
        let rest = &read[event_start..];
        let hold = self.policy == UsageOnlyEvents::TakeOut
            && !self.too_long
            && (self.held || self.carry.is_empty())
            && self.carry.len() + rest.len() <= MAX_HELD_BYTES;
        if hold {
            emit_part(keep_from..event_start, emit);
            self.held = !rest.is_empty() || self.held;
        } else {
            self.let_go(emit);
            emit_part(keep_from..read.len(), emit);
        }
        if self.too_long || self.carry.len() + rest.len() > MAX_EVENT_BYTES {
            self.too_long = !rest.is_empty() || self.too_long;
            self.keep_tail(rest);
        } else {
            self.carry.extend_from_slice(rest);
        }
    }

    /// Keeps the end of an event that is too long to be read; the rest is counted.
    fn keep_tail(&mut self, more: &[u8]) {
        self.carry.extend_from_slice(more);
        let gone = self.carry.len().saturating_sub(TAIL_BYTES);
        if gone > 0 {
            self.carry.drain(..gone);
            self.carry.shrink_to(2 * TAIL_BYTES);
            self.unread_bytes += gone as u64;
        }
    }

    /// Lets held bytes leave; they stay in `carry` to be read with the rest of their event.
    fn let_go(&mut self, emit: &mut impl FnMut(Piece)) {
        if std::mem::take(&mut self.held) && !self.carry.is_empty() {
            emit(Piece::Held(self.carry.clone()));
        }
    }

    fn end_event(&mut self, tail: &[u8], on_data: &mut impl FnMut(&[u8]) -> EventKind) -> Fate {
        if self.too_long || self.carry.len() + tail.len() > MAX_EVENT_BYTES {
            self.unread_bytes += (self.carry.len() + tail.len()) as u64;
            // What is held is still to leave: it stays as it is.
            let mut end = self.carry[self.carry.len().saturating_sub(TAIL_BYTES)..].to_vec();
            end.extend_from_slice(&tail[tail.len().saturating_sub(TAIL_BYTES)..]);
            let end = &end[end.len().saturating_sub(TAIL_BYTES)..];
            if let Some((_, usage)) = find_usage(end) {
                on_data(&[b"{\"usage\":", usage, b"}"].concat());
            }
            return Fate::Unread;
        }
        let kind = if self.carry.is_empty() {
            read_data(tail, on_data)
        } else {
            read_data(&[&self.carry, tail].concat(), on_data)
        };
        let whole = self.held || self.carry.is_empty();
        if whole && self.takes_out(kind) {
            Fate::TakenOut
        } else {
            Fate::Kept
        }
    }

    fn takes_out(&self, kind: EventKind) -> bool {
        kind == EventKind::UsageOnly && self.policy == UsageOnlyEvents::TakeOut
    }

    /// The LF of the CRLF that ended an event, whichever read it came in.
    fn count_line_feed(&mut self, fate: Fate) {
        self.unread_bytes += u64::from(fate == Fate::Unread);
    }

    fn forget_event(&mut self) {
        self.carry.clear();
        self.held = false;
        self.too_long = false;
    }
}

fn emit_part(range: Range<usize>, emit: &mut impl FnMut(Piece)) {
    if !range.is_empty() {
        emit(Piece::Part(range));
    }
}

/// The length and the data of the event that `read` begins with, where it is like nearly all: a `data` line, perhaps an
/// `event` line before it, and LFs. It takes one look for the line's end instead of five.
fn usual_event(read: &[u8]) -> Option<(usize, &[u8])> {
    const END: &[u8] = b"\n\n";
    let line_end = |line| memchr2(b'\n', b'\r', line);
    let mut rest = read;
    if rest.starts_with(b"event:") {
        let end = line_end(rest).filter(|end| rest[*end] == b'\n')?;
        rest = &rest[end + 1..];
    }
    let line = rest.strip_prefix(b"data: ")?;
    let (data, end) = line.split_at(line_end(line)?);
    let length = read.len() - end.len() + END.len();
    (end.starts_with(END) && length <= MAX_EVENT_BYTES).then_some((length, data))
}

/// The lines of an event without their ends; what stands between a CR and its LF is an empty one.
fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(event);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr2(b'\n', b'\r', text);
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

/// Joins the event's `data` lines and hands them over; an event without data is content of no interest.
fn read_data(event: &[u8], on_data: &mut impl FnMut(&[u8]) -> EventKind) -> EventKind {
    let event = event.strip_prefix(b"\xef\xbb\xbf").unwrap_or(event);
    let mut lines = lines(event)
        .filter_map(|line| line.strip_prefix(b"data:"))
        .map(|value| value.strip_prefix(b" ").unwrap_or(value));
    let Some(first) = lines.next() else {
        return EventKind::Content;
    };
    let Some(second) = lines.next() else {
        return on_data(first);
    };
    let mut joined = [first, b"\n", second].concat();
    for line in lines {
        joined.push(b'\n');
        joined.extend_from_slice(line);
    }
    on_data(&joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pushes a stream in the given pieces; returns the data seen and the bytes let through.
    fn scan(policy: UsageOnlyEvents, reads: &[&[u8]]) -> (Vec<String>, String) {
        let mut scanner = Scanner::new(policy);
        let (mut seen, mut out) = (Vec::new(), Vec::new());
        let mut on_data = |data: &[u8]| {
            seen.push(String::from_utf8_lossy(data).into_owned());
            if data == b"U" {
                EventKind::UsageOnly
            } else {
                EventKind::Content
            }
        };
        for read in reads {
            scanner.push(read, &mut on_data, &mut |piece| match piece {
                Piece::Held(bytes) => out.extend(bytes),
                Piece::Part(range) => out.extend(&read[range]),
            });
        }
        scanner.finish(&mut on_data, &mut |piece| {
            if let Piece::Held(bytes) = piece {
                out.extend(bytes);
            }
        });
        (seen, String::from_utf8(out).unwrap())
    }

    const STREAM: &[&str] = &[
        "data: a\n\n",
        ": note\n\n",
        "event: x\ndata:b\ndata: c\n\n",
        "data: U\n\n",
        "data: [DONE]\n\n",
    ];

    fn with_line_ends(line_end: &str, leave_out: &str) -> String {
        let kept: String = STREAM
            .iter()
            .filter(|event| leave_out.is_empty() || !event.contains(leave_out))
            .copied()
            .collect();
        kept.replace('\n', line_end)
    }

    #[test]
    fn any_split_and_any_line_end_give_the_same_events_and_bytes() {
        for line_end in ["\n", "\r\n", "\r"] {
            let stream = with_line_ends(line_end, "");
            let bytes = stream.as_bytes();
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let reads = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    let (seen, passed) = scan(UsageOnlyEvents::Pass, &reads);
                    assert_eq!(seen, ["a", "b\nc", "U", "[DONE]"]);
                    assert_eq!(passed, stream);
                    let (seen, kept) = scan(UsageOnlyEvents::TakeOut, &reads);
                    assert_eq!(seen, ["a", "b\nc", "U", "[DONE]"]);
                    assert_eq!(
                        kept,
                        with_line_ends(line_end, "U"),
                        "split at {first} and {second} of {stream:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_byte_alone_gives_the_same() {
        let stream = with_line_ends("\r\n", "");
        let reads: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        let (seen, kept) = scan(UsageOnlyEvents::TakeOut, &reads);
        assert_eq!(seen, ["a", "b\nc", "U", "[DONE]"]);
        assert_eq!(kept, with_line_ends("\r\n", "U"));
    }

    #[test]
    fn an_event_without_its_blank_line_counts_at_the_end() {
        assert_eq!(
            scan(UsageOnlyEvents::TakeOut, &[b"data: a\n\ndata: U"]),
            (vec!["a".into(), "U".into()], "data: a\n\n".into())
        );
        assert_eq!(
            scan(UsageOnlyEvents::TakeOut, &[b"data: a\n\ndata: b"]),
            (vec!["a".into(), "b".into()], "data: a\n\ndata: b".into())
        );
    }

    #[test]
    fn a_line_without_end_is_let_go_and_forgotten() {
        let mut scanner = Scanner::new(UsageOnlyEvents::TakeOut);
        let read = vec![b'x'; 50_000];
        let mut let_out = 0;
        for _ in 0..100 {
            scanner.push(&read, &mut |_| EventKind::Content, &mut |piece| {
                let_out += match piece {
                    Piece::Held(bytes) => bytes.len(),
                    Piece::Part(range) => range.len(),
                };
            });
            assert!(scanner.carry.len() <= MAX_EVENT_BYTES);
        }
        assert_eq!(scanner.unread_bytes(), 100 * read.len() as u64);
        assert_eq!(let_out, 100 * read.len());
    }

    #[test]
    fn a_long_event_is_as_long_however_its_end_is_split() {
        // Around the limit too: whether it is read must not depend on the split.
        for (start, end) in [("", "\r\n\r\n"), ("data: ", "\n\n")] {
            for length in MAX_EVENT_BYTES - 12..MAX_EVENT_BYTES + 4 {
                let stream = [start.as_bytes(), &vec![b'x'; length], end.as_bytes()].concat();
                let unread = |cut: usize| {
                    let (mut scanner, mut seen) = (Scanner::new(UsageOnlyEvents::TakeOut), 0);
                    let mut on_data = |data: &[u8]| {
                        seen += data.len();
                        EventKind::Content
                    };
                    for read in [&stream[..cut], &stream[cut..]] {
                        scanner.push(read, &mut on_data, &mut |_| {});
                    }
                    (scanner.unread_bytes(), seen)
                };
                for back in 1..=5 {
                    assert_eq!(
                        unread(stream.len() - back),
                        unread(stream.len()),
                        "{length} bytes after {start:?} cut {back} before the end"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_split_pass_unchanged(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "\r", "\n", "\n\n", "\r\n", " ", ":", "d", "a", "t", "U", "data", "data: ", "data:U", "data: U\n\n", "event: ", "[", "x", "\u{feff}",
                ]),
                0..60,
            ),
            cuts in prop::collection::vec(0usize..121, 0..6),
        ) {
            let bytes = parts.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let reads: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            // An event that comes byte by byte is read line by line, and not as a usual one.
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            let whole = scan(UsageOnlyEvents::Pass, &[&bytes]);
            prop_assert_eq!(whole.1.as_bytes(), &bytes[..]);
            prop_assert_eq!(scan(UsageOnlyEvents::Pass, &reads), whole.clone());
            prop_assert_eq!(scan(UsageOnlyEvents::Pass, &single), whole);
            let whole = scan(UsageOnlyEvents::TakeOut, &[&bytes]);
            prop_assert_eq!(scan(UsageOnlyEvents::TakeOut, &reads), whole.clone());
            prop_assert_eq!(scan(UsageOnlyEvents::TakeOut, &single), whole);
        }
    }
}

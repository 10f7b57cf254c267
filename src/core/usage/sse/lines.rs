//! The lines of server-sent events (WHATWG HTML, section 9.2.6): which are data, which mark an
//! error, and the form that nearly all events have.

use memchr::memchr2;

use crate::usage::answer::EventKind;

/// The longest data of an event that is read completely. Of longer data only the outline is kept
/// and read.
pub(super) const MAX_EVENT_BYTES: usize = 1024 * 1024;
const DATA: &[u8] = b"data:";
/// The byte order mark, which may stand at the beginning of a stream.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The line that marks an error event, without the optional space.
pub(super) const ERROR_EVENT_LINE: &[u8] = b"event:error";

/// An event in the form that nearly all have: a `data` line, perhaps an `event` line before it, and
/// LFs. It takes one search for the line's end instead of five.
pub(super) struct UsualEvent<'a> {
    pub(super) length: usize,
    /// The place where its `data` line begins.
    pub(super) data_line: usize,
    pub(super) data: &'a [u8],
    pub(super) is_error_event: bool,
}

impl<'a> UsualEvent<'a> {
    /// Returns the event that `read` begins with, if it is a usual one and complete.
    #[inline]
    pub(super) fn find(read: &'a [u8]) -> Option<Self> {
        const END: &[u8] = b"\n\n";
        let line_end = |line| memchr2(b'\n', b'\r', line);
        let mut data_line = 0;
        let mut is_error_event = false;
        if read.starts_with(b"event:") {
            let end = line_end(read).filter(|end| read[*end] == b'\n')?;
            is_error_event = match_error(0, &read[..end])
                .is_some_and(|matched| usize::from(matched) == ERROR_EVENT_LINE.len());
            data_line = end + 1;
        }
        let value = read[data_line..].strip_prefix(b"data: ")?;
        let (data, end) = value.split_at(line_end(value)?);
        let length = read.len() - end.len() + END.len();
        let is_usual = end.starts_with(END) && length - data_line <= MAX_EVENT_BYTES;
        is_usual.then_some(Self {
            length,
            data_line,
            data,
            is_error_event,
        })
    }
}

/// Returns how many bytes of [`ERROR_EVENT_LINE`] a line has so far; `None` if it is another line.
/// The first `matched` bytes came before this part of the line.
pub(super) fn match_error(matched: u8, line: &[u8]) -> Option<u8> {
    let mut matched = matched;
    for byte in line {
        let wanted = ERROR_EVENT_LINE.get(usize::from(matched));
        if Some(byte) == wanted {
            matched += 1;
        } else if !(matched == 6 && *byte == b' ') {
            return None;
        }
    }
    Some(matched)
}

/// Returns whether a line that begins with these bytes is data, or may be when more of it comes.
pub(super) fn may_be_data(rest: &[u8]) -> bool {
    let begins = |rest: &[u8], word: &[u8]| {
        let known = rest.len().min(word.len());
        rest[..known] == word[..known]
    };
    if rest[0] == BYTE_ORDER_MARK[0] {
        let behind = rest.get(BYTE_ORDER_MARK.len()..).unwrap_or_default();
        return begins(rest, BYTE_ORDER_MARK) && begins(behind, DATA);
    }
    begins(rest, DATA)
}

/// Returns the value of a `data` line; `None` for another field.
pub(super) fn value_of(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let value = line.strip_prefix(DATA)?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// Returns the lines of an event without their ends. Between a CR and its LF it returns an empty
/// line.
fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(event);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr2(b'\n', b'\r', text);
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

/// Joins the event's `data` lines and passes them to `on_data`. An event without data is content of
/// no interest.
pub(super) fn read_data(event: &[u8], on_data: &mut impl FnMut(&[u8]) -> EventKind) -> EventKind {
    let mut values = lines(event).filter_map(value_of);
    let Some(first) = values.next() else {
        return EventKind::Content;
    };
    let Some(second) = values.next() else {
        return on_data(first);
    };
    let mut joined = [first, b"\n", second].concat();
    for value in values {
        joined.push(b'\n');
        joined.extend_from_slice(value);
    }
    on_data(&joined)
}

//! The event scanner, compared with a plain reading of the whole stream.

use std::ops::Range;

use bytes::Bytes;

use super::each_split;
use crate::{
    model::Usage,
    usage::{
        Counts, Encoding, EventKind, Generated, Meter, Templates, Text, UsageOnlyEvents,
        find_counts, read_event,
    },
};

/// The scanner's limits: a longer event passes unread, a longer unfinished one is not held back.
const MAX_EVENT_BYTES: usize = 1024 * 1024;
const MAX_HELD_BYTES: usize = 64 * 1024;
/// Of a longer event the end is searched for its usage.
const TAIL_BYTES: usize = 32 * 1024;

/// However a stream is split, the same is read from it; passing lets out exactly what came in, taking out leaves out
/// exactly the usage-only events.
pub fn sse(input: &[u8]) {
    let stream = stretched(input);
    let events = events(&stream);
    let said = said_by(&stream, &events);
    let without_usage_only = |held_bytes: usize| -> Vec<u8> {
        let kept = events
            .iter()
            .filter(|event| event.kind != EventKind::UsageOnly || event.bytes.len() > held_bytes);
        kept.map(|event| &stream[event.bytes.clone()])
            .collect::<Vec<_>>()
            .concat()
    };
    // A long event is taken out where it comes in one read, and was let go where it did not.
    let taken_out = [
        without_usage_only(MAX_HELD_BYTES),
        without_usage_only(MAX_EVENT_BYTES),
    ];
    each_split(&stream, |reads| {
        let (seen, out) = scan(UsageOnlyEvents::Pass, reads);
        assert_eq!(seen, said);
        assert!(out == stream, "passing changed the stream");
        let (seen, out) = scan(UsageOnlyEvents::TakeOut, reads);
        assert_eq!(seen, said);
        assert!(
            taken_out.contains(&out),
            "taking out left {:?}",
            String::from_utf8_lossy(&out)
        );
    });
}

/// What a stream says: its last usage, its first model, its text, whether it is done.
type Said = (Option<Usage>, Option<String>, Generated, bool);

struct Event {
    bytes: Range<usize>,
    data: Option<Vec<u8>>,
    kind: EventKind,
}

impl Event {
    fn new(bytes: Range<usize>, data: Option<Vec<u8>>) -> Self {
        let kind = data.as_ref().map_or(EventKind::Content, |data| {
            read_event(data, &mut Text::default()).0
        });
        Self { bytes, data, kind }
    }
}

/// So that a seed can have a long event: the first `<66000>` and `<1050000>` stand for that many bytes.
fn stretched(input: &[u8]) -> Vec<u8> {
    let mut stream = input.to_vec();
    for (name, count) in [("<66000>", 66_000), ("<1050000>", 1_050_000)] {
        if let Some(at) = memchr::memmem::find(&stream, name.as_bytes()) {
            let filler = vec![b'x'; count];
            stream = [&stream[..at], &filler, &stream[at + name.len()..]].concat();
        }
    }
    stream
}

/// The events of a whole stream: lines end with CRLF, LF or CR, events with an empty line.
fn events(stream: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut data: Option<Vec<u8>> = None;
    let (mut start, mut at) = (0, 0);
    while at < stream.len() {
        let rest = &stream[at..];
        let (length, next) = match memchr::memchr2(b'\r', b'\n', rest) {
            Some(end) if rest[end..].starts_with(b"\r\n") => (end, at + end + 2),
            Some(end) => (end, at + end + 1),
            None => (rest.len(), stream.len()),
        };
        let mut line = &rest[..length];
        if line.is_empty() {
            events.push(Event::new(start..next, data.take()));
            start = next;
        }
        if at == start {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &mut data {
                Some(data) => data.extend([b"\n", value].concat()),
                None => data = Some(value.to_vec()),
            }
        }
        at = next;
    }
    if start < stream.len() {
        events.push(Event::new(start..stream.len(), data));
    }
    events
}

fn said_by(stream: &[u8], events: &[Event]) -> Said {
    let (mut counts, mut model, mut text, mut done) =
        (Counts::default(), None, Text::default(), false);
    for event in events {
        if event.bytes.len() > MAX_EVENT_BYTES {
            // Unread: its length is all that is known of it.
            text.add_unread(event.bytes.len() as u64);
            let end = event.bytes.end;
            let tail = &stream[event.bytes.start.max(end.saturating_sub(TAIL_BYTES))..end];
            counts.update(&find_counts(tail).unwrap_or_default());
            continue;
        }
        let Some(data) = &event.data else { continue };
        let (kind, answer) = read_event(data, &mut text);
        counts.update(&answer.counts);
        model = model.or(answer.model);
        done |= kind == EventKind::Done;
    }
    (counts.usage(), model, Generated::Text(text), done)
}

fn scan(policy: UsageOnlyEvents, reads: &[&[u8]]) -> (Said, Vec<u8>) {
    let mut meter = Meter::events(policy, Encoding::Identity, &Templates::default());
    let mut out = Vec::new();
    for read in reads {
        meter.push(Bytes::copy_from_slice(read), &mut |bytes| {
            out.extend_from_slice(&bytes);
        });
    }
    meter.finish(&mut |bytes| out.extend_from_slice(&bytes));
    let generated = meter.take_generated();
    let reading = meter.reading();
    let said = (
        reading.usage(),
        reading.model.clone(),
        generated,
        reading.done,
    );
    (said, out)
}

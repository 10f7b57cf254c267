//! The event scanner, compared with a plain reading of the whole stream.

use std::ops::Range;

use bytes::Bytes;

use super::splits::each_split;
use crate::{
    model::{ServiceTier, UsageClasses},
    usage::{
        AnswerText, Counts, Encoding, EventKind, Meter, Templates, Text, UsageOnlyEvents,
        read_event,
    },
};

/// The scanner's limits: of longer data only an outline is read, longer unfinished data is not held
/// back.
const MAX_EVENT_BYTES: usize = 1024 * 1024;
const MAX_HELD_BYTES: usize = 64 * 1024;

/// Promises that a stream gives the same however it is split, that passing lets out exactly what
/// came in, and that taking out leaves out exactly the data of usage-only events.
pub fn sse(input: &[u8]) {
    let stream = stretched(input);
    let events = events(&stream);
    let is_short = |event: &Event| event.bytes.len() <= MAX_EVENT_BYTES;
    let said = if events.iter().all(is_short) {
        said_by(&events)
    } else {
        scan(UsageOnlyEvents::Pass, &[&stream]).0
    };
    let without_usage_only = |held_bytes: usize| -> Vec<u8> {
        let mut kept = Vec::new();
        let mut from = 0;
        for event in &events {
            if event.kind == EventKind::UsageOnly && event.bytes.len() <= held_bytes {
                kept.extend_from_slice(&stream[from..event.bytes.start]);
                from = event.bytes.end;
            }
        }
        kept.extend_from_slice(&stream[from..]);
        kept
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

/// The content of a stream: its counts, calls and tier, its first model, its text that is not counted, whether it
/// is done and whether it failed.
type Said = (
    Counts,
    UsageClasses,
    Option<ServiceTier>,
    Option<String>,
    AnswerText,
    [bool; 2],
);

/// An event that has data.
struct Event {
    /// Its place in the stream, from the first line of its data on.
    bytes: Range<usize>,
    data: Vec<u8>,
    is_named_error: bool,
    kind: EventKind,
}

/// Replaces the first `<66000>` and `<1050000>` by that many bytes, so that a short seed can have a
/// long event.
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

/// The events of a whole stream that have data: lines end with CRLF, LF or CR, events with an empty
/// line.
fn events(stream: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut data: Option<(usize, Vec<u8>)> = None;
    let mut is_named_error = false;
    let mut at = 0;
    loop {
        let rest = &stream[at..];
        let (length, next) = match memchr::memchr2(b'\r', b'\n', rest) {
            Some(end) if rest[end..].starts_with(b"\r\n") => (end, at + end + 2),
            Some(end) => (end, at + end + 1),
            None => (rest.len(), stream.len()),
        };
        let line = &rest[..length];
        let is_end = rest.is_empty();
        if line.is_empty() {
            if let Some((start, data)) = data.take() {
                let kind = read_event(&data, &mut Text::default()).0;
                events.push(Event {
                    bytes: start..next,
                    data,
                    is_named_error,
                    kind: if is_named_error {
                        EventKind::Content
                    } else {
                        kind
                    },
                });
            }
            is_named_error = false;
        }
        if is_end {
            return events;
        }
        let value = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if let Some(value) = value.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &mut data {
                // What follows it in the same event is not read.
                Some((_, data)) if data.trim_ascii() == b"[DONE]" => {}
                Some((_, data)) => data.extend([b"\n", value].concat()),
                None => data = Some((at, value.to_vec())),
            }
        } else if data.is_none() && !line.is_empty() {
            let name = line.strip_prefix(b"event:");
            is_named_error |= name.is_some_and(|name| name.trim_ascii_start() == b"error");
        }
        at = next;
    }
}

fn said_by(events: &[Event]) -> Said {
    let mut meter = Meter::events(
        UsageOnlyEvents::Pass,
        Encoding::Identity,
        &Templates::default(),
    );
    for event in events {
        // One event at a time, in its plainest form.
        let name = if event.is_named_error {
            "event: error\n"
        } else {
            ""
        };
        let lines = event.data.split(|byte| *byte == b'\n');
        let lines: Vec<Vec<u8>> = lines.map(|line| [b"data: ", line].concat()).collect();
        let event = [name.as_bytes(), &lines.join(&b'\n'), b"\n\n"].concat();
        meter.push(Bytes::from(event), &mut |_| {});
    }
    said(&mut meter)
}

fn said(meter: &mut Meter) -> Said {
    meter.finish(&mut |_| {});
    let generated = meter.take_generated();
    let reading = meter.reading();
    let mut calls = UsageClasses::default();
    reading.note_calls(&mut calls);
    (
        reading.counts().clone(),
        calls,
        reading.service_tier().cloned(),
        reading.model.clone(),
        generated,
        [reading.done, reading.is_error],
    )
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
    (said(&mut meter), out)
}

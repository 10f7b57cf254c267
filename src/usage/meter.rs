//! The meter: looks at an answer as it passes, in whatever shape it comes, and says in the end what it used.

use std::io::{self, Write};

use bytes::Bytes;

use super::{
    answer::{Answer, EventKind, carries_text},
    counts::{Counts, VendorCounts},
    decode::{Decoder, Encoding},
    estimate::AnswerText,
    json_buffer::JsonBuffer,
    sse::{Event, Piece, Scanner, UsageOnlyEvents},
    stored::AnswerObjects,
    template::{EventReader, Templates},
    text::{Mark, Text},
};

/// What an answer has said so far.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Of a stream.
    events: EventReader,
    /// What a stream has generated since output tokens were last reported, for an estimate.
    text: Text,
    /// Where the text ended when the output was last reported as 0, or as no more than before: some servers report such a
    /// number in every event but the last.
    not_grown_at: Option<Mark>,
    /// `[DONE]` has come: nothing that matters follows.
    pub done: bool,
    /// The answer says that the request failed, whatever its status.
    pub is_error: bool,
    /// What the usage objects reported, in the usual place and in those of single vendors.
    counts: Counts,
    vendor_counts: VendorCounts,
    /// Images that came, where images were asked for.
    pub items: u64,
    pub model: Option<String>,
}

/// Looks at one answer.
pub struct Meter {
    decoder: Decoder<Sink>,
    /// Decoding failed once; the rest would be noise.
    decoder_broke: bool,
    /// Length of what passed encoded, and of what of it was decoded.
    encoded_bytes: u64,
    decoded_bytes: u64,
    finished: bool,
}

/// What each event of a stream touches lies together: with hundreds of streams it is in no cache.
struct Sink {
    shape: Shape,
    /// Where objects matter.
    stored: Option<Box<AnswerObjects>>,
    reading: Reading,
}

enum Shape {
    Events(Scanner),
    Json(Box<JsonBuffer>),
    /// An answer to a streamed request that is called JSON: its first byte tells which of the two it is.
    Undecided(UsageOnlyEvents),
    /// An answer that is not metered.
    Opaque,
}

impl Meter {
    /// For `text/event-stream`. Events are taken out of an unencoded stream only.
    #[must_use]
    pub fn events(policy: UsageOnlyEvents, encoding: Encoding, templates: &Templates) -> Self {
        let policy = match encoding {
            Encoding::Identity => policy,
            _ => UsageOnlyEvents::Pass,
        };
        let mut meter = Self::new(Shape::Events(Scanner::new(policy)), encoding);
        meter.decoder.sink_mut().reading.events = EventReader::new(templates.clone());
        meter
    }

    /// For a JSON answer; `length_bytes` where the backend has said it.
    #[must_use]
    pub fn json(encoding: Encoding, length_bytes: Option<u64>) -> Self {
        let buffer = JsonBuffer::of_announced(length_bytes);
        Self::new(Shape::Json(Box::new(buffer)), encoding)
    }

    /// For an answer that is called JSON where a stream was asked for, and may be either.
    #[must_use]
    pub fn undecided(policy: UsageOnlyEvents, encoding: Encoding, templates: &Templates) -> Self {
        let mut meter = Self::events(policy, encoding, templates);
        if encoding == Encoding::Identity {
            meter.decoder.sink_mut().shape = Shape::Undecided(policy);
        } else {
            meter.decoder.sink_mut().shape = Shape::Json(Box::default());
        }
        meter
    }

    /// For an answer without tokens: everything passes, nothing is read.
    #[must_use]
    pub fn opaque() -> Self {
        Self::new(Shape::Opaque, Encoding::Unknown)
    }

    fn new(shape: Shape, encoding: Encoding) -> Self {
        let sink = Sink {
            shape,
            reading: Reading::default(),
            stored: None,
        };
        Self {
            decoder: Decoder::new(encoding, sink),
            decoder_broke: false,
            encoded_bytes: 0,
            decoded_bytes: 0,
            finished: false,
        }
    }

    #[must_use]
    pub fn is_of_events(&self) -> bool {
        matches!(self.decoder.sink().shape, Shape::Events(_))
    }

    /// Makes the meter note the stored objects that the answer speaks of.
    #[must_use]
    pub fn with_objects(mut self) -> Self {
        self.decoder.sink_mut().stored = Some(Box::default());
        self
    }

    /// The objects that the answer spoke of, where they are noted.
    #[must_use]
    pub fn stored(&self) -> Option<&AnswerObjects> {
        self.decoder.sink().stored.as_deref()
    }

    /// The same as far as a JSON answer has come that goes on in parts: its own id stands in its beginning, and is known
    /// before that leaves.
    #[must_use]
    pub fn objects_so_far(&mut self) -> Option<&AnswerObjects> {
        let sink = self.decoder.sink_mut();
        if let (Shape::Json(buffer), Some(stored)) = (&mut sink.shape, &mut sink.stored) {
            buffer.read_beginning(stored);
        }
        sink.stored.as_deref()
    }

    /// Looks at one read and hands on, through `emit`, what of it may leave now.
    pub fn push(&mut self, read: Bytes, emit: &mut impl FnMut(Bytes)) {
        if let Decoder::Identity(sink) = &mut self.decoder {
            sink.decide(&read);
        }
        if let Decoder::Identity(Sink {
            shape: Shape::Events(scanner),
            reading,
            stored,
        }) = &mut self.decoder
        {
            let mut on_event = |event: Event<'_>| reading.event(event, stored.as_deref_mut());
            let mut leaves_whole = false;
            scanner.push(&read, &mut on_event, &mut |piece| match piece {
                Piece::Held(bytes) => emit(Bytes::from(bytes)),
                Piece::Part(range) if range.len() == read.len() => leaves_whole = true,
                Piece::Part(range) => emit(read.slice(range)),
            });
            if leaves_whole {
                emit(read);
            }
            return;
        }
        self.encoded_bytes += read.len() as u64;
        if !self.decoder_broke {
            self.decoder_broke = self.decoder.write(&read).is_err();
            if !self.decoder_broke && !self.decoder.decodes_at_end() {
                self.decoded_bytes = self.encoded_bytes;
            }
        }
        emit(read);
    }

    /// The answer has ended, or no more of it will come. Once is enough.
    pub fn finish(&mut self, emit: &mut impl FnMut(Bytes)) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        if !self.decoder_broke {
            self.decoder_broke = self.decoder.finish().is_err();
            if !self.decoder_broke {
                self.decoded_bytes = self.encoded_bytes;
            }
        }
        let Sink {
            shape,
            reading,
            stored,
        } = self.decoder.sink_mut();
        match shape {
            Shape::Events(scanner) => {
                let mut on_event = |event: Event<'_>| reading.event(event, stored.as_deref_mut());
                scanner.finish(&mut on_event, &mut |piece| {
                    if let Piece::Held(bytes) = piece {
                        emit(Bytes::from(bytes));
                    }
                });
            }
            Shape::Json(buffer) => {
                if let Some(stored) = stored {
                    stored.read(buffer.objects());
                }
                reading.take_over(buffer.read());
            }
            Shape::Undecided(_) | Shape::Opaque => {}
        }
    }

    /// Whether some text stands in a JSON answer, or in what is held of it.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        match &self.decoder.sink().shape {
            Shape::Json(buffer) => buffer.contains(text),
            Shape::Events(_) | Shape::Undecided(_) | Shape::Opaque => false,
        }
    }

    /// Whether a JSON answer has generated text, or may have because it cannot be read. It is parsed for this.
    #[must_use]
    pub fn has_text_in_json(&self) -> bool {
        match &self.decoder.sink().shape {
            Shape::Json(buffer) => self.encoded_bytes > self.decoded_bytes || buffer.has_text(),
            Shape::Events(_) | Shape::Undecided(_) | Shape::Opaque => false,
        }
    }

    #[must_use]
    pub fn reading(&self) -> &Reading {
        &self.decoder.sink().reading
    }

    /// Hands over what was generated so far, for an estimate; of what was too long to be read, its length.
    #[must_use]
    pub fn take_generated(&mut self) -> AnswerText {
        let undecoded = self.encoded_bytes - self.decoded_bytes;
        let Sink { shape, reading, .. } = self.decoder.sink_mut();
        match shape {
            Shape::Events(_) => {
                let mut text = std::mem::take(&mut reading.text);
                text.add_unread(undecoded);
                AnswerText::Text(text)
            }
            Shape::Json(buffer) => buffer.take_generated(undecoded),
            Shape::Undecided(_) | Shape::Opaque => AnswerText::Nothing,
        }
    }
}

impl Sink {
    /// Decides by its first byte what an undecided answer is: a JSON value begins with none that a stream begins with.
    fn decide(&mut self, read: &[u8]) {
        if let Shape::Undecided(policy) = self.shape
            && let Some(first) = read.trim_ascii_start().first()
        {
            self.shape = if matches!(first, b'{' | b'[') {
                Shape::Json(Box::default())
            } else {
                Shape::Events(Scanner::new(policy))
            };
        }
    }
}

impl Reading {
    /// What the answer reported.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        match self.vendor_counts.reported() {
            Some(counts) if !self.counts.is_reported() => counts,
            _ => &self.counts,
        }
    }

    /// Whether a stream has generated something that no reported count can include. A whole answer's last count is one, even 0.
    #[must_use]
    pub fn has_uncounted_text(&self, is_complete: bool) -> bool {
        let is_counted = is_complete && self.not_grown_at == Some(self.text.mark());
        !self.text.is_empty() && !is_counted
    }

    fn event(&mut self, event: Event<'_>, stored: Option<&mut AnswerObjects>) -> EventKind {
        let Event {
            data,
            left_out_bytes,
            is_error_event,
        } = event;
        if let Some(stored) = stored {
            stored.read_event(data);
        }
        self.is_error |= is_error_event;
        if left_out_bytes > 0 && carries_text(data) {
            self.text.add_unread(left_out_bytes);
        }
        let Some((kind, answer)) = self.events.read(data, &mut self.text) else {
            return EventKind::Content;
        };
        self.done |= kind == EventKind::Done;
        self.take_over(answer);
        if is_error_event {
            return EventKind::Content;
        }
        kind
    }

    /// Takes in what an answer or an event says; later words replace earlier ones.
    fn take_over(&mut self, answer: Answer) {
        let output = answer.counts.reported_output().or_else(|| {
            let is_usual = self.counts.is_reported();
            let of_vendor = answer.vendor_counts.reported();
            of_vendor
                .and_then(Counts::reported_output)
                .filter(|_| !is_usual)
        });
        if let Some(output) = output {
            if output > self.counts().reported_output().unwrap_or(0) {
                // What is reported covers all that came before it.
                self.text.clear();
                self.not_grown_at = None;
            } else {
                self.not_grown_at = Some(self.text.mark());
            }
        }
        self.counts.update(&answer.counts);
        self.vendor_counts.take_over(answer.vendor_counts);
        self.is_error |= answer.is_error;
        self.items = self.items.saturating_add(answer.items);
        if self.model.is_none() {
            self.model = answer.model;
        }
    }
}

/// Decoded bytes come in here.
impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self {
            shape,
            reading,
            stored,
        } = self;
        match shape {
            Shape::Events(scanner) => {
                let mut on_event = |event: Event<'_>| reading.event(event, stored.as_deref_mut());
                scanner.push(bytes, &mut on_event, &mut |_| {});
            }
            Shape::Json(buffer) => buffer.push(bytes, stored.is_some()),
            Shape::Undecided(_) | Shape::Opaque => {}
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Usage, usage::Dialect};
    use proptest::prelude::*;

    fn usage_of(reading: &Reading) -> Option<Usage> {
        reading.counts().usage(Dialect::Completions)
    }

    fn run(mut meter: Meter, reads: &[&[u8]]) -> (Reading, Vec<u8>) {
        let mut out = Vec::new();
        for read in reads {
            meter.push(Bytes::copy_from_slice(read), &mut |bytes| {
                out.extend_from_slice(&bytes);
            });
        }
        meter.finish(&mut |bytes| out.extend_from_slice(&bytes));
        (meter.reading().clone(), out)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const USAGE_OF_4: Usage = Usage {
        input: 3,
        output: 4,
        cached: 0,
        reasoning: 0,
        audio_ms: 0,
        images: 0,
    };

    #[test]
    fn gzip_is_read_and_passed_untouched() {
        let json = gzip(br#"{"usage":{"prompt_tokens":3,"completion_tokens":4}}"#);
        let halves = json.split_at(json.len() / 2);
        let (reading, out) = run(Meter::json(Encoding::Gzip, None), &[halves.0, halves.1]);
        assert_eq!((usage_of(&reading), out), (Some(USAGE_OF_4), json));
        let events = gzip(b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n");
        let (reading, out) = run(
            Meter::events(
                UsageOnlyEvents::TakeOut,
                Encoding::Gzip,
                &Templates::default(),
            ),
            &[&events],
        );
        assert_eq!(
            (usage_of(&reading), reading.done, out),
            (Some(USAGE_OF_4), true, events)
        );
    }

    /// `{"usage":{"prompt_tokens":3,"completion_tokens":4}}`, as the brotli and zstd command line tools write it.
    const BROTLI: &[u8] = b"\xa1\x90\x01\xc0o\xa4\x16k\xcep'\x90\x93\xa5\xfe\xac\xd1\xba\x90\x8c\xa1\x99\xd0\x81\x89\x1c86\xcf\x02\xa1\x83\xbfK\x98\x04\x97bx\xf8qTg\xd4z0\x06\x15>\xc8\xfe\x01";
    const ZSTD: &[u8] = b"(\xb5/\xfd$3\x99\x01\x00{\x22usage\x22:{\x22prompt_tokens\x22:3,\x22completion_tokens\x22:4}}7}\x94\x08";

    #[test]
    fn brotli_and_zstd_are_read_however_they_are_split() {
        for (encoding, encoded) in [(Encoding::Brotli, BROTLI), (Encoding::Zstd, ZSTD)] {
            for cut in 0..=encoded.len() {
                let (reading, out) = run(
                    Meter::json(encoding, None),
                    &[&encoded[..cut], &encoded[cut..]],
                );
                assert_eq!(
                    (usage_of(&reading), out.as_slice()),
                    (Some(USAGE_OF_4), encoded),
                    "{encoding:?} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn broken_and_unknown_encodings_pass_unread() {
        for encoding in [
            Encoding::Gzip,
            Encoding::Deflate,
            Encoding::Brotli,
            Encoding::Zstd,
            Encoding::Unknown,
        ] {
            let (reading, out) = run(Meter::json(encoding, None), &[b"no such thing", b"{}"]);
            assert_eq!(
                (usage_of(&reading), out),
                (None, b"no such thing{}".to_vec())
            );
        }
    }

    #[test]
    fn what_cannot_be_decoded_counts_by_its_length() {
        for encoding in [Encoding::Brotli, Encoding::Zstd, Encoding::Unknown] {
            for mut meter in [
                Meter::json(encoding, None),
                Meter::events(UsageOnlyEvents::Pass, encoding, &Templates::default()),
            ] {
                for _ in 0..30 {
                    meter.push(Bytes::from(vec![0xff; 100_000]), &mut |_| {});
                }
                meter.finish(&mut |_| {});
                let AnswerText::Text(text) = meter.take_generated() else {
                    panic!("{encoding:?}: it is no JSON");
                };
                assert_eq!(text.unread_bytes(), 3_000_000, "{encoding:?}");
            }
        }
    }

    #[test]
    fn a_few_bytes_that_decode_to_a_gigabyte_are_given_up() {
        let bomb = {
            let zeros = vec![b'0'; 64 * 1024 * 1024];
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(&zeros).unwrap();
            encoder.finish().unwrap()
        };
        let mut meter = Meter::json(Encoding::Gzip, None);
        meter.push(Bytes::from(bomb), &mut |_| {});
        assert!(meter.decoder_broke);
    }

    #[test]
    fn the_usage_of_a_long_answer_is_found_wherever_it_stands() {
        let filler = "x".repeat(100_000);
        let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":4}"#;
        for (before, after) in [(0, 30), (10, 20), (15, 15), (30, 0)] {
            let text = |n: usize| filler.repeat(n);
            let body = format!(
                r#"{{"a":"{}",{usage},"b":"{}"}}"#,
                text(before),
                text(after)
            );
            for length in [None, Some(body.len() as u64)] {
                for size in [7_001, 48, 65_536, body.len()] {
                    let reads: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
                    let (reading, out) = run(Meter::json(Encoding::Identity, length), &reads);
                    assert_eq!(
                        usage_of(&reading),
                        Some(USAGE_OF_4),
                        "{before} before, {after} after, in pieces of {size}"
                    );
                    assert_eq!(out, body.as_bytes());
                }
            }
        }
    }

    #[test]
    fn the_images_of_a_long_answer_are_counted() {
        let picture = format!(r#"{{"b64_json":"{}"}}"#, "x".repeat(700_000));
        let usage = r#""usage":{"input_tokens":3,"output_tokens":4}"#;
        let body = format!(r#"{{"data":[{picture},{picture},{picture}],{usage}}}"#);
        for chunk in [4_001, 16_384, 65_536] {
            let reads: Vec<&[u8]> = body.as_bytes().chunks(chunk).collect();
            let (reading, _) = run(Meter::json(Encoding::Identity, None), &reads);
            assert_eq!(
                (usage_of(&reading), reading.items),
                (Some(USAGE_OF_4), 3),
                "{chunk}"
            );
        }
    }

    #[test]
    fn the_objects_and_the_model_of_a_long_answer_are_read_in_any_encoding() {
        let text = "x\\\\\\\"\\u00e9".repeat(200_000);
        let body = format!(
            r#"{{"id":"resp_1","output":[{{"id":"ig_1","result":"{text}"}},{{"id":"msg_1"}}],"model":"m","status":"completed"}}"#
        );
        let encoded = gzip(body.as_bytes());
        for (encoding, bytes, length) in [
            (Encoding::Identity, body.as_bytes(), Some(body.len() as u64)),
            (Encoding::Identity, body.as_bytes(), None),
            (Encoding::Gzip, &encoded, Some(encoded.len() as u64)),
        ] {
            for size in [61, 10_007, bytes.len()] {
                let mut meter = Meter::json(encoding, length).with_objects();
                for read in bytes.chunks(size) {
                    meter.push(Bytes::copy_from_slice(read), &mut |_| {});
                }
                meter.finish(&mut |_| {});
                let stored = meter.stored().unwrap();
                assert_eq!(
                    stored.items,
                    ["ig_1", "msg_1"],
                    "{encoding:?}, {length:?}, {size}"
                );
                assert!(stored.is_final());
                assert_eq!(meter.reading().model.as_deref(), Some("m"));
            }
        }
    }

    #[test]
    fn the_last_usage_of_a_stream_counts() {
        let event = |n: u64| {
            format!(
                "data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}],\"usage\":{{\"prompt_tokens\":3,\"completion_tokens\":{n}}}}}\n\n"
            )
        };
        let stream = [event(1), event(2), event(4)].concat();
        let (reading, out) = run(
            Meter::events(
                UsageOnlyEvents::TakeOut,
                Encoding::Identity,
                &Templates::default(),
            ),
            &[stream.as_bytes()],
        );
        assert_eq!(usage_of(&reading), Some(USAGE_OF_4));
        assert_eq!(out, stream.as_bytes());
        assert!(reading.text.is_empty(), "all of it is counted");
    }

    fn events(stream: &str) -> Reading {
        let meter = Meter::events(
            UsageOnlyEvents::TakeOut,
            Encoding::Identity,
            &Templates::default(),
        );
        run(meter, &[stream.as_bytes()]).0
    }

    #[test]
    fn text_behind_the_last_count_is_uncounted() {
        const START: &str = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n";
        const TEXT: &str =
            "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"word \"}}\n\n";
        const END: &str = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":N}}\n\n";
        for (stream, is_complete, is_uncounted) in [
            (START.to_owned(), true, false),
            ([START, TEXT, TEXT].concat(), true, true),
            ([START, TEXT, &END.replace('N', "1")].concat(), true, false),
            (
                [START, TEXT, &END.replace('N', "2"), TEXT].concat(),
                true,
                true,
            ),
            // A 0 at the end is a count, before that it is none.
            ([START, TEXT, &END.replace('N', "0")].concat(), true, false),
            ([START, TEXT, &END.replace('N', "0")].concat(), false, true),
            ([&END.replace('N', "0"), TEXT].concat(), true, true),
        ] {
            let reading = events(&stream);
            assert_eq!(
                reading.has_uncounted_text(is_complete),
                is_uncounted,
                "{stream}"
            );
        }
        assert_eq!(
            events(&[START, TEXT, TEXT].concat()).text.kept(),
            "word word "
        );
    }

    #[test]
    fn usage_in_a_vendor_s_place_counts_where_there_is_no_other() {
        const USAGE: &str = r#""usage":{"prompt_tokens":3,"completion_tokens":4}"#;
        const OTHER: &str = r#"{"prompt_tokens":30,"completion_tokens":40}"#;
        for event in [
            format!(r#"{{"choices":[{{"index":0,"delta":{{}},{USAGE}}}]}}"#),
            format!(r#"{{"choices":[],"x_groq":{{"id":"r",{USAGE}}}}}"#),
            format!(r#"{{"choices":[{{"delta":{{}},"usage":{OTHER}}}],{USAGE}}}"#),
            format!(r#"{{{USAGE},"x_vendor":{{"usage":{OTHER}}},"choices":[{{}}]}}"#),
        ] {
            let reading = events(&format!("data: {event}\n\n"));
            assert_eq!(usage_of(&reading), Some(USAGE_OF_4), "{event}");
            let (reading, _) = run(Meter::json(Encoding::Identity, None), &[event.as_bytes()]);
            assert_eq!(usage_of(&reading), Some(USAGE_OF_4), "{event}");
        }
    }

    #[test]
    fn an_error_is_known_in_each_of_its_forms() {
        for (stream, is_error) in [
            ("data: {\"error\":{\"message\":\"x\"}}\n\n", true),
            ("data: {\"error\":\"x\"}\n\n", true),
            ("data: {\"type\":\"error\",\"code\":\"x\"}\n\n", true),
            ("data: {\"object\":\"error\",\"message\":\"x\"}\n\n", true),
            ("event: error\ndata: {\"message\":\"x\"}\n\n", true),
            (
                "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"x\"}}}\n\n",
                true,
            ),
            ("data: {\"error\":null,\"choices\":[]}\n\n", false),
            (
                "data: {\"type\":\"response.completed\",\"response\":{\"error\":null}}\n\n",
                false,
            ),
            (
                "data: {\"choices\":[{\"delta\":{\"content\":\"error\"}}]}\n\n",
                false,
            ),
        ] {
            assert_eq!(events(stream).is_error, is_error, "{stream}");
        }
    }

    #[test]
    fn a_flood_of_base64_is_no_text() {
        let base64 = "iVBORw0KGgo/".repeat(100_000);
        for event in [
            format!(
                r#"{{"type":"response.image_generation_call.partial_image","partial_image_b64":"{base64}"}}"#
            ),
            format!(
                r#"{{"partial_image_b64":"{base64}","type":"response.image_generation_call.partial_image"}}"#
            ),
            format!(r#"{{"type":"response.audio.delta","delta":"{base64}"}}"#),
            format!(r#"{{"delta":"{base64}","type":"response.output_audio.delta"}}"#),
            format!(r#"{{"choices":[{{"delta":{{"audio":{{"data":"{base64}"}}}}}}]}}"#),
            format!(
                r#"{{"type":"response.output_text.done","text":"{}"}}"#,
                "a b ".repeat(300_000)
            ),
        ] {
            // Long, short, and broken off in the middle of either.
            for cut in [event.len(), event.len() - 200_000, 500_000] {
                let mut reading = events(&format!("data: {}", &event[..cut]));
                let bytes = reading.text.unread_bytes();
                assert!(bytes < 100, "{bytes} of {}, {cut}", &event[..50]);
                assert_eq!(reading.text.kept(), "");
                reading.text.clear();
            }
        }
        let words = "some words ".repeat(200_000);
        let event = format!(r#"{{"choices":[{{"delta":{{"content":"{words}"}}}}]}}"#);
        for cut in [event.len(), 900_000] {
            let reading = events(&format!("data: {}", &event[..cut]));
            let bytes = reading.text.unread_bytes();
            assert!(bytes.abs_diff(cut as u64) < 100, "{bytes} of {cut}");
        }
    }

    #[test]
    fn the_usage_of_a_long_last_event_is_read_wherever_it_stands() {
        let text = "some words ".repeat(120_000);
        for event in [
            format!(
                r#"{{"type":"response.completed","response":{{"model":"m","usage":{{"input_tokens":3,"output_tokens":4}},"output":"{text}"}}}}"#
            ),
            format!(
                r#"{{"response":{{"output":[{{"text":"{text}"}}],"usage":{{"input_tokens":3,"output_tokens":4}},"x":"{text}"}},"type":"response.completed"}}"#
            ),
        ] {
            let reading = events(&format!("data: {event}\n\n"));
            assert_eq!(usage_of(&reading), Some(USAGE_OF_4));
            assert!(reading.done && !reading.has_uncounted_text(true));
        }
    }

    #[test]
    fn an_answer_called_json_is_what_its_first_byte_says() {
        let undecided = || {
            Meter::undecided(
                UsageOnlyEvents::TakeOut,
                Encoding::Identity,
                &Templates::default(),
            )
        };
        let usage =
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n";
        let (reading, out) = run(undecided(), &[b"\n", usage.as_bytes(), b"data: [DONE]\n\n"]);
        assert_eq!(usage_of(&reading), Some(USAGE_OF_4));
        assert_eq!(out, b"\ndata: [DONE]\n\n");
        let json = br#" {"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        let (reading, out) = run(undecided(), &[&json[..1], &json[1..]]);
        assert_eq!(
            (usage_of(&reading), &out[..]),
            (Some(USAGE_OF_4), &json[..])
        );
    }

    proptest! {
        #[test]
        fn any_bytes_pass_in_any_encoding(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            crate::properties::decode(&bytes);
        }
    }
}

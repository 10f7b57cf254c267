//! The meter: reads an answer as it passes, in whatever shape it comes, and reports in the end what
//! it used.

use std::io::{self, Write};

use bytes::Bytes;

use super::{
    answer::{Answer, EventKind, carries_text},
    calls::ToolCalls,
    counts::{Content, Counts, Dialect, VendorCounts},
    decode::{Decoder, Encoding},
    estimate::AnswerText,
    json_buffer::JsonBuffer,
    objects::AnswerObjects,
    sse::{Event, Piece, Scanner, UsageOnlyEvents},
    template::{EventReader, Templates},
    text::{Mark, StreamProgress, Text},
};
use crate::model::{ServiceTier, UsageClasses};

/// The content of an answer so far.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Reads the events of a stream.
    events: EventReader,
    /// The text that a stream has generated since output tokens were last reported, for an
    /// estimate.
    text: Text,
    /// The end of the text when the output was last reported as 0, or as no more than before. Some
    /// servers report such a number in every event but the last.
    not_grown_at: Option<Mark>,
    /// Whether `[DONE]` has come, so that nothing that matters follows.
    pub done: bool,
    /// Whether the answer reports that the request failed, whatever its status.
    pub is_error: bool,
    /// The reported usage, in the usual place and in those of single vendors.
    counts: Counts,
    vendor_counts: VendorCounts,
    /// The class of service, beside the usage.
    service_tier: Option<ServiceTier>,
    /// Calls of tools, as the whole output lists them, and as they were reported one by one.
    calls: ToolCalls,
    done_calls: ToolCalls,
    /// Images that came, where images were asked for.
    pub items: u64,
    pub model: Option<String>,
}

/// Reads one answer as it passes.
pub struct Meter {
    decoder: Decoder<Sink>,
    /// Whether decoding failed, so that the rest would be noise.
    decoder_broke: bool,
    /// Length of what passed encoded, and of what of it was decoded.
    encoded_bytes: u64,
    decoded_bytes: u64,
    finished: bool,
}

/// The state that each event of a stream touches. It lies together because with hundreds of streams
/// it is in no cache.
struct Sink {
    shape: Shape,
    /// The objects that the answer contains, if they are noted.
    stored: Option<Box<AnswerObjects>>,
    reading: Reading,
}

enum Shape {
    Events(Scanner),
    Json(Box<JsonBuffer>),
    /// An answer to a streamed request that is declared as JSON. Its first byte decides which of
    /// the two it is.
    Undecided(UsageOnlyEvents),
    /// An answer that is not metered.
    Opaque,
}

impl Meter {
    /// Creates a meter for `text/event-stream`. Events are taken out of an unencoded stream only.
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

    /// Creates a meter for a JSON answer, with its length if the backend has announced it.
    #[must_use]
    pub fn json(encoding: Encoding, length_bytes: Option<u64>) -> Self {
        let buffer = JsonBuffer::of_announced(length_bytes);
        Self::new(Shape::Json(Box::new(buffer)), encoding)
    }

    /// Creates a meter for an answer that is declared as JSON although a stream was asked for, and
    /// may be either.
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

    /// Creates a meter for an answer without tokens, which reads nothing.
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

    /// Returns whether the answer is read as a stream of events.
    #[must_use]
    pub fn is_of_events(&self) -> bool {
        matches!(self.decoder.sink().shape, Shape::Events(_))
    }

    /// Makes the meter note the stored objects that the answer contains.
    #[must_use]
    pub fn with_objects(mut self) -> Self {
        self.decoder.sink_mut().stored = Some(Box::default());
        self
    }

    /// Returns the objects that the answer contains, if they are noted.
    #[must_use]
    pub fn stored(&self) -> Option<&AnswerObjects> {
        self.decoder.sink().stored.as_deref()
    }

    /// Returns the objects of an answer that is still coming. The id of a JSON answer stands in its
    /// beginning, and is known before that leaves.
    #[must_use]
    pub fn objects_so_far(&mut self) -> Option<&AnswerObjects> {
        let sink = self.decoder.sink_mut();
        if let (Shape::Json(buffer), Some(stored)) = (&mut sink.shape, &mut sink.stored) {
            buffer.read_beginning(stored);
        }
        sink.stored.as_deref()
    }

    /// Reads one piece of the answer and passes to `emit` what may leave now.
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

    /// Ends the reading when the answer has ended or no more of it will come. Further calls do
    /// nothing.
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

    /// Returns whether a JSON answer, or what is held of it, contains a text.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        match &self.decoder.sink().shape {
            Shape::Json(buffer) => buffer.contains(text),
            Shape::Events(_) | Shape::Undecided(_) | Shape::Opaque => false,
        }
    }

    /// Returns whether a JSON answer has generated text, or may have because it cannot be read. It
    /// is parsed for this.
    #[must_use]
    pub fn has_text_in_json(&self) -> bool {
        match &self.decoder.sink().shape {
            Shape::Json(buffer) => self.encoded_bytes > self.decoded_bytes || buffer.has_text(),
            Shape::Events(_) | Shape::Undecided(_) | Shape::Opaque => false,
        }
    }

    /// Returns the content of the answer so far.
    #[must_use]
    pub fn reading(&self) -> &Reading {
        &self.decoder.sink().reading
    }

    /// Returns how far a stream is.
    #[must_use]
    pub fn progress(&self, dialect: Dialect, content: Content) -> StreamProgress {
        let reading = self.reading();
        let reported = reading.counts().usage(dialect, content);
        StreamProgress {
            reported_tokens: reported.map_or(0, |usage| usage.output),
            text_bytes: reading.text.len_bytes(),
            media_tokens: reading.text.media_tokens(),
        }
    }

    /// Returns some of the text of a stream; `None` if there is none.
    #[must_use]
    pub fn sample(&self) -> Option<String> {
        self.reading().text.sample()
    }

    /// Hands over the text so far for an estimate, or the length of what was too long to be read.
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
    /// Decides by its first byte what an undecided answer is: a JSON value begins with none that a
    /// stream begins with.
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
    /// Returns the usage that the answer reported.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        match self.vendor_counts.reported() {
            Some(counts) if !self.counts.is_reported() => counts,
            _ => &self.counts,
        }
    }

    /// Returns the class of service that the answer reported last.
    #[must_use]
    pub fn service_tier(&self) -> Option<&ServiceTier> {
        self.counts().service_tier().or(self.service_tier.as_ref())
    }

    /// Notes the calls of tools in the usage of the answer.
    pub fn note_calls(&self, classes: &mut UsageClasses) {
        self.calls.note_in(classes);
        self.done_calls.note_in(classes);
    }

    /// Returns whether a stream has generated text that no reported count can include. The last
    /// count of a complete answer includes all, even if it is 0.
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

    /// Takes in an answer or an event. Later values replace earlier ones.
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
        self.done_calls.add(answer.done_call);
        if !answer.calls.is_empty() {
            self.calls = answer.calls;
        }
        if answer.service_tier.is_some() {
            self.service_tier = answer.service_tier;
        }
        if self.model.is_none() {
            self.model = answer.model;
        }
    }
}

/// Takes decoded bytes.
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
mod tests;

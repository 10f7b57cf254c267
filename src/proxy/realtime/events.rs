//! What the backend's events mean for the ledger (OpenAI's API reference, realtime server events).

use std::time::Instant;

use crate::{
    model::Usage,
    usage::{Content, Dialect, Text, read_event, transcription_model},
};

/// A response that is being made.
pub struct Responding {
    pub since: Instant,
    /// The text so far, for an estimate if the client leaves or the backend does not report what
    /// the response used.
    pub text: Text,
}

/// The meaning of a server event for the ledger.
pub enum Part {
    /// The usage that the backend reported, and when its response began.
    Reported(Instant, Usage),
    /// The end of a response without reported usage.
    Unreported(Responding),
    /// The transcription of what the user said, and its usage if it was reported.
    Transcription(Option<Usage>),
    /// The transcription model that the session names.
    Session(Option<String>),
}

/// Reads a server event. It may begin or end the response that is being made.
pub fn read_server_event(
    message: &[u8],
    responding: &mut Option<Responding>,
    opened_at: Instant,
) -> Option<Part> {
    let says = |word: &str| memchr::memmem::find(message, word.as_bytes()).is_some();
    let begun = |since| Responding {
        since,
        text: Text::default(),
    };
    if says("\"response.created\"") {
        *responding = Some(begun(Instant::now()));
        return None;
    }
    if says("session.created\"") || says("session.updated\"") {
        return Some(Part::Session(transcription_model(message)));
    }
    if says("input_audio_transcription.completed\"") {
        let (_, event) = read_event(message, &mut Text::default());
        let usage = event.counts.usage(Dialect::Responses, Content::AudioInput);
        return Some(Part::Transcription(usage));
    }
    let is_done = says("\"response.done\"");
    let has_usage = says("\"usage\"");
    // Audio is long and contains no text.
    let has_text = responding.is_some() && says(".delta\"") && !says("audio.delta\"");
    if !has_usage && !has_text && !is_done {
        return None;
    }
    let mut no_text = Text::default();
    let text = match responding {
        Some(responding) if has_text => &mut responding.text,
        _ => &mut no_text,
    };
    let (_, event) = read_event(message, text);
    let usage = event.counts.usage(Dialect::Responses, Content::Text);
    if !is_done {
        return usage.map(|usage| Part::Reported(Instant::now(), usage));
    }
    let done = responding.take().unwrap_or_else(|| begun(opened_at));
    Some(match usage {
        Some(usage) => Part::Reported(done.since, usage),
        None => Part::Unreported(done),
    })
}

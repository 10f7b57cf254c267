//! What the backend's events mean for the ledger (OpenAI's API reference, realtime server events).

use std::time::Instant;

use crate::{
    model::Usage,
    usage::{Content, Dialect, SessionModels, Text, read_event, session_models},
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
    /// A response begins.
    Begun,
    /// The usage that the backend reported, and when its response began.
    Reported(Instant, Usage),
    /// The end of a response without reported usage.
    Unreported(Responding),
    /// The transcription of what the user said, and its usage if it was reported.
    Transcription(Option<Usage>),
    /// The models that the session names.
    Session(SessionModels),
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
        return Some(Part::Begun);
    }
    if says("session.created\"") || says("session.updated\"") {
        return Some(Part::Session(session_models(message)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_and_a_transcription_have_their_classes() {
        // The examples of OpenAI's API reference.
        let done = br#"{"event_id":"event_1","type":"response.done","response":{"object":"realtime.response","id":"resp_1","status":"completed",
            "output":[],"usage":{"total_tokens":253,"input_tokens":132,"output_tokens":121,
                "input_token_details":{"text_tokens":119,"audio_tokens":13,"image_tokens":0,"cached_tokens":64,
                    "cached_tokens_details":{"text_tokens":64,"audio_tokens":0,"image_tokens":0}},
                "output_token_details":{"text_tokens":30,"audio_tokens":91}}}}"#;
        let part = read_server_event(done, &mut None, Instant::now());
        let Some(Part::Reported(_, usage)) = part else {
            panic!("a response");
        };
        assert_eq!((usage.input, usage.cached, usage.output), (132, 64, 121));
        let classes = usage.classes;
        assert_eq!((classes.audio_input, classes.audio_output), (13, 91));

        let transcribed = |usage: &str| {
            let event = format!(
                r#"{{"type":"conversation.item.input_audio_transcription.completed","item_id":"msg_1","transcript":"Hello","usage":{usage}}}"#
            );
            match read_server_event(event.as_bytes(), &mut None, Instant::now()) {
                Some(Part::Transcription(Some(usage))) => {
                    [usage.input, usage.classes.audio_input, usage.audio_ms]
                }
                _ => panic!("a transcription"),
            }
        };
        let details = r#"{"type":"tokens","total_tokens":48,"input_tokens":38,"input_token_details":{"text_tokens":10,"audio_tokens":28},"output_tokens":10}"#;
        assert_eq!(transcribed(details), [38, 28, 0]);
        let plain = r#"{"total_tokens":22,"input_tokens":13,"output_tokens":9}"#;
        assert_eq!(transcribed(plain), [13, 13, 0]);
        let seconds = r#"{"type":"duration","seconds":2.5}"#;
        assert_eq!(transcribed(seconds), [0, 0, 2_500]);
    }
}

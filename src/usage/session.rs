//! Reads from the events of a realtime session which model transcribes its user's speech.

use serde::Deserialize;

/// A `session.created` or `session.updated` event, as far as it matters. OpenAI's API reference has
/// the transcription in `audio.input`, its beta had it in the session itself.
#[derive(Deserialize)]
struct SessionEvent {
    session: Session,
}

#[derive(Deserialize)]
struct Session {
    input_audio_transcription: Option<Transcription>,
    audio: Option<Audio>,
}

#[derive(Deserialize)]
struct Audio {
    input: Option<AudioInput>,
}

#[derive(Deserialize)]
struct AudioInput {
    transcription: Option<Transcription>,
}

#[derive(Deserialize)]
struct Transcription {
    model: Option<String>,
}

/// Returns the model that transcribes in a session from this event on; `None` if the event contains
/// none.
#[must_use]
pub fn transcription_model(event: &[u8]) -> Option<String> {
    let SessionEvent { session } = serde_json::from_slice(event).ok()?;
    let in_audio = session.audio.and_then(|audio| audio.input?.transcription);
    in_audio.or(session.input_audio_transcription)?.model
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_found_where_either_version_has_it() {
        for (session, model) in [
            (
                r#"{"model":"gpt-realtime","audio":{"input":{"transcription":{"model":"whisper-1"}}}}"#,
                Some("whisper-1"),
            ),
            (
                r#"{"input_audio_transcription":{"model":"gpt-4o-transcribe","language":null}}"#,
                Some("gpt-4o-transcribe"),
            ),
            (
                r#"{"audio":{"input":{"transcription":null}},"input_audio_transcription":null}"#,
                None,
            ),
            (r#"{"audio":5}"#, None),
            ("null", None),
        ] {
            let event = format!(r#"{{"type":"session.updated","session":{session}}}"#);
            let found = transcription_model(event.as_bytes());
            assert_eq!(found.as_deref(), model, "{session}");
        }
    }
}

//! Reads from the events of a realtime session which models it uses.

use serde::Deserialize;

/// A `session.created` or `session.updated` event, as far as it matters. OpenAI's API reference has
/// the transcription in `audio.input`, its beta had it in the session itself.
#[derive(Deserialize)]
struct SessionEvent {
    session: Session,
}

#[derive(Deserialize)]
struct Session {
    model: Option<String>,
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

/// The models of a session from an event on; `None` where the event contains none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionModels {
    /// The model that answers.
    pub model: Option<String>,
    /// The model that transcribes what the user says.
    pub transcription: Option<String>,
}

/// Returns the models that an event contains.
#[must_use]
pub fn session_models(event: &[u8]) -> SessionModels {
    let Ok(SessionEvent { session }) = serde_json::from_slice(event) else {
        return SessionModels::default();
    };
    let in_audio = session.audio.and_then(|audio| audio.input?.transcription);
    let transcription = in_audio.or(session.input_audio_transcription);
    SessionModels {
        model: session.model,
        transcription: transcription.and_then(|transcription| transcription.model),
    }
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
            let found = session_models(event.as_bytes());
            assert_eq!(found.transcription.as_deref(), model, "{session}");
            let is_named = session.contains("gpt-realtime");
            assert_eq!(found.model.is_some(), is_named, "{session}");
        }
    }
}

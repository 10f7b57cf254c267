//! The ids of stored objects in an answer, in the shapes of OpenAI's API reference. An answer that
//! breaks off is read as far as it goes, and a long one from its outline.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::json::{EachPart, MaybeText, PartReader, for_each_part, skip_value};

/// The longest id. No backend's is longer.
const MAX_ID_BYTES: usize = 256;

/// The most ids of one kind in one answer. Each new one is compared with those before, and a
/// backend may send a megabyte of them.
const MAX_IDS: usize = 2_000;

/// The objects that an answer, or the events of a stream so far, contained.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerObjects {
    /// The answer's own `id`, or that of `response` in an event.
    pub id: Option<String>,
    /// Its `status`.
    pub status: Option<String>,
    /// Whether the answer reports that it goes on in the background.
    pub background: bool,
    /// Whether the status was once `queued`: only what goes on without its client is.
    pub was_queued: bool,
    /// Whether the answer came in events.
    pub is_stream: bool,
    /// Ids of the elements of `output` or `data`.
    pub items: Vec<String>,
    /// `container_id` of the elements of `output`.
    pub containers: Vec<String>,
    /// Ids of the files that a batch wrote, or that an upload became.
    pub files: Vec<String>,
    /// Ids of the sound in a chat's answer: in `message`, or streamed in `delta`, of the elements
    /// of `choices`.
    pub audio: Vec<String>,
}

impl AnswerObjects {
    /// Reads a JSON answer, or its beginning.
    pub fn read(&mut self, json: &[u8]) {
        let mut json = serde_json::Deserializer::from_slice(json);
        // Where it breaks off, what was read counts.
        let _ = for_each_part(&mut json, &mut ObjectReader(self, Level::Top));
    }

    /// Reads the data of an event if it may matter: if no id is known yet, or the event has a
    /// `response`, an `item` or `audio`, which few have.
    pub fn read_event(&mut self, data: &[u8]) {
        self.is_stream = true;
        let has = |name: &[u8]| memchr::memmem::find(data, name).is_some();
        if self.id.is_none() || has(b"\"response\"") || has(b"\"item\"") || has(b"\"audio\"") {
            self.read(data);
        }
    }

    /// Returns whether a response or batch is done, so that it uses nothing more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self.status.as_deref(),
            Some("completed" | "failed" | "incomplete" | "cancelled" | "expired")
        )
    }
}

/// Returns whether a text can be an object's id. Other characters could be read in two ways in a
/// path.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:~".contains(&byte);
    !text.is_empty()
        && text.len() <= MAX_ID_BYTES
        && text.bytes().all(is_plain)
        && !text.bytes().all(|byte| byte == b'.')
}

/// The place of a JSON object in an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Top,
    /// `response` of an event.
    Response,
    /// An element of `output` or `data`, or the `item` of an event.
    Element,
    /// `environment` of an element: where its commands ran.
    Environment,
    /// `file` of an upload.
    File,
    /// An element of `choices`.
    Choice,
    /// `message` or `delta` of a choice.
    Message,
    /// `audio` of a message.
    Audio,
}

/// Reads an object of an answer into what is known so far.
struct ObjectReader<'s>(&'s mut AnswerObjects, Level);
/// Reads `output`, `data` or `choices`, whose elements stand at the level.
struct ElementsReader<'s>(&'s mut AnswerObjects, Level);

impl<'de> PartReader<'de> for ObjectReader<'_> {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        let Self(stored, level) = self;
        let level = *level;
        let is_complete = matches!(level, Level::Top | Level::Response);
        match name {
            b"id" => {
                let Some(id) = read_id(object)? else {
                    return Ok(());
                };
                match level {
                    Level::Top | Level::Response => stored.id = Some(id),
                    Level::Element => add(&mut stored.items, id),
                    Level::File => add(&mut stored.files, id),
                    Level::Audio => add(&mut stored.audio, id),
                    Level::Environment | Level::Choice | Level::Message => {}
                }
            }
            b"status" if is_complete => {
                let MaybeText(status) = object.next_value()?;
                stored.was_queued |= status.as_deref() == Some("queued");
                stored.status = status.map(Cow::into_owned);
            }
            b"background" if is_complete => {
                let json = object.next_value::<&RawValue>()?.get();
                stored.background |= json == "true";
            }
            b"output" if is_complete => read_elements(object, stored, Level::Element)?,
            b"data" if level == Level::Top => {
                read_elements(object, stored, Level::Element)?;
            }
            b"choices" if level == Level::Top => {
                read_elements(object, stored, Level::Choice)?;
            }
            b"message" | b"delta" if level == Level::Choice => {
                read_object(object, stored, Level::Message)?;
            }
            b"audio" if level == Level::Message => {
                read_object(object, stored, Level::Audio)?;
            }
            b"response" if level == Level::Top => {
                read_object(object, stored, Level::Response)?;
            }
            b"file" if level == Level::Top => {
                read_object(object, stored, Level::File)?;
            }
            b"output_file_id" | b"error_file_id" if level == Level::Top => {
                if let Some(id) = read_id(object)? {
                    add(&mut stored.files, id);
                }
            }
            b"item" if level == Level::Top => {
                read_object(object, stored, Level::Element)?;
            }
            b"environment" if level == Level::Element => {
                read_object(object, stored, Level::Environment)?;
            }
            b"container_id" if matches!(level, Level::Element | Level::Environment) => {
                if let Some(id) = read_id(object)? {
                    add(&mut stored.containers, id);
                }
            }
            _ => skip_value(object)?,
        }
        Ok(())
    }
}

impl<'de> PartReader<'de> for ElementsReader<'_> {
    fn element<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let mut object = ObjectReader(self.0, self.1);
        Ok(list.next_element_seed(EachPart(&mut object))?.is_some())
    }
}

/// Reads a string that can be an id; `None` for any other value.
fn read_id<'de, A: MapAccess<'de>>(object: &mut A) -> Result<Option<String>, A::Error> {
    let MaybeText(id) = object.next_value()?;
    Ok(id.filter(|id| is_id(id)).map(Cow::into_owned))
}

fn read_object<'de, A: MapAccess<'de>>(
    object: &mut A,
    stored: &mut AnswerObjects,
    level: Level,
) -> Result<(), A::Error> {
    let mut reader = ObjectReader(stored, level);
    object.next_value_seed(EachPart(&mut reader)).map(drop)
}

fn read_elements<'de, A: MapAccess<'de>>(
    object: &mut A,
    stored: &mut AnswerObjects,
    level: Level,
) -> Result<(), A::Error> {
    let mut reader = ElementsReader(stored, level);
    object.next_value_seed(EachPart(&mut reader)).map(drop)
}

/// Adds an id unless it is there already: the events of a stream repeat the same ids.
fn add(ids: &mut Vec<String>, id: String) {
    if ids.len() < MAX_IDS && !ids.contains(&id) {
        ids.push(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> AnswerObjects {
        let mut stored = AnswerObjects::default();
        stored.read(json.as_bytes());
        stored
    }

    fn texts(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn a_response_s_id_status_items_and_containers_are_found() {
        let stored = read(
            r#"{"id":"resp_1","object":"response","status":"completed","output":[{"id":"rs_1","type":"reasoning"},
               {"type":"code_interpreter_call","id":"ci_1","container_id":"cntr_1"},{"id":"msg_1","content":[{"id":"no"}]}],
               "metadata":{"id":"no"}}"#,
        );
        assert_eq!(stored.id.as_deref(), Some("resp_1"));
        assert!(stored.is_final());
        assert_eq!(stored.items, texts(&["rs_1", "ci_1", "msg_1"]));
        assert_eq!(stored.containers, texts(&["cntr_1"]));
    }

    #[test]
    fn files_of_a_batch_and_an_upload_are_found() {
        let batch = read(
            r#"{"id":"batch_1","status":"finalizing","output_file_id":"file-o","error_file_id":null}"#,
        );
        assert_eq!(batch.files, texts(&["file-o"]));
        assert!(!batch.is_final());
        let upload =
            read(r#"{"id":"upload_1","status":"completed","file":{"id":"file-u","status":"x"}}"#);
        assert_eq!(
            (upload.id.as_deref(), upload.files),
            (Some("upload_1"), texts(&["file-u"]))
        );
        assert_eq!(upload.status.as_deref(), Some("completed"));
    }

    #[test]
    fn events_with_a_response_count_and_repeat() {
        let mut stored = AnswerObjects::default();
        stored.read_event(br#"{"type":"response.created","response":{"id":"resp_1","status":"in_progress","output":[]}}"#);
        stored.read_event(br#"{"type":"response.output_text.delta","delta":"x","id":"no"}"#);
        stored.read_event(br#"{"type":"response.output_item.done","item":{"id":"sh_1","environment":{"container_id":"cntr_1"}}}"#);
        assert_eq!(
            (&stored.items, &stored.containers),
            (&texts(&["sh_1"]), &texts(&["cntr_1"]))
        );
        assert_eq!(stored.id.as_deref(), Some("resp_1"));
        assert!(!stored.is_final());
        for _ in 0..2 {
            stored.read_event(br#"{"type":"response.completed","response":{"id":"resp_1","status":"completed","output":[{"id":"msg_1"}]}}"#);
        }
        assert!(stored.is_final());
        assert_eq!(stored.items, texts(&["sh_1", "msg_1"]));
    }

    #[test]
    fn the_id_of_a_chat_s_audio_is_found() {
        let whole = read(
            r#"{"id":"chatcmpl-1","audio":{"id":"no"},"choices":[{"id":"no","message":{"id":"no","audio":{"id":"audio_1","data":"AA=="}}},
               {"message":{"audio":null}}]}"#,
        );
        assert_eq!(
            (whole.audio, whole.items),
            (texts(&["audio_1"]), texts(&[]))
        );
        let mut stored = AnswerObjects::default();
        for _ in 0..2 {
            stored.read_event(
                br#"{"choices":[{"delta":{"audio":{"id":"audio_1","transcript":"h"}}}]}"#,
            );
        }
        assert_eq!(stored.audio, texts(&["audio_1"]));
    }

    #[test]
    fn truncated_json_is_read_as_far_as_it_goes() {
        let cut =
            read(r#"{"id":"resp_1","status":"completed","output":[{"id":"ig_1","result":"iVBORw0"#);
        assert_eq!(cut.id.as_deref(), Some("resp_1"));
        assert_eq!(cut.items, texts(&["ig_1"]));
        for json in [
            "",
            "[]",
            "5",
            r#"{"id":5}"#,
            r#"{"id":"../x"}"#,
            r#"{"id":".."}"#,
            r#"{"id":""}"#,
        ] {
            assert_eq!(read(json), AnswerObjects::default(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            AnswerObjects::default().read(&[b"{\"id\":\"a\",\"output\":[", &bytes[..]].concat());
        }
    }
}

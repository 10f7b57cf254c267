//! Which stored objects a request's body refers to, as the backend would read it. All users share the backend's key, so such
//! an object may be another user's.

use std::fmt;

use actix_web::http::StatusCode;
use serde::{
    Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    model::{Claim, ObjectKind},
    proxy::ApiError,
    usage::Name,
};

/// The members whose strings are ids, or lists of them, and of what.
const MEMBERS: [(&str, ObjectKind); 16] = [
    ("previous_response_id", ObjectKind::Response),
    ("conversation", ObjectKind::Conversation),
    ("file_id", ObjectKind::File),
    ("file_ids", ObjectKind::File),
    ("input_file_id", ObjectKind::File),
    ("image_file_id", ObjectKind::File),
    ("vector_store_id", ObjectKind::VectorStore),
    ("vector_store_ids", ObjectKind::VectorStore),
    ("container", ObjectKind::Container),
    ("container_id", ObjectKind::Container),
    ("response_id", ObjectKind::Response),
    ("batch_id", ObjectKind::Batch),
    ("upload_id", ObjectKind::Upload),
    ("part_ids", ObjectKind::Part),
    ("video_id", ObjectKind::Video),
    ("input_video_id", ObjectKind::Video),
];
/// Inside these an `id` is one of an object.
const HOLDERS: [(&str, ObjectKind); 6] = [
    ("conversation", ObjectKind::Conversation),
    ("container", ObjectKind::Container),
    ("video", ObjectKind::Video),
    ("character", ObjectKind::Character),
    ("characters", ObjectKind::Character),
    (AUDIO, ObjectKind::Audio),
];
/// `audio` of a chat's messages, which elsewhere is something else.
const AUDIO: &str = "messages.audio";
/// Inside these an object is an item of a conversation, which the backend may know by its `id`.
const ITEMS: [&str; 2] = ["input", "items"];
const ITEM_DEPTH: usize = 3;
/// The users' own words and descriptions of tools; what looks like a reference in them is none. Annotations and results are
/// text about files, of one's own earlier answers.
const FREE: [&str; 7] = [
    "metadata",
    "attributes",
    "parameters",
    "input_schema",
    "schema",
    "annotations",
    "results",
];
/// Each level is read once more, so that nothing in it is missed; a body that takes more readings than this is refused.
/// SDKs put what is long some six levels deep.
const MAX_READINGS: usize = 16;
const MAX_DEPTH: usize = 100;
/// Vector stores take 500 files at once.
const MAX_REFERENCES: usize = 2_000;

/// One reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub member: String,
    pub claim: Claim,
}

/// What a form's field of this name refers to: `file_id`, `video[id]`, or a `video` that is no file and so may be an object.
#[must_use]
pub fn of_field(name: &str, is_file: bool) -> Option<ObjectKind> {
    let mut parts = name
        .split(['[', '.'])
        .map(|part| part.trim_end_matches(']'));
    let is_simple = !name.contains(['[', '.']);
    parts.find_map(|part| {
        let is_reference = part == "input_reference" && is_simple;
        let holder = kind_in(&HOLDERS, part).or(is_reference.then_some(ObjectKind::File));
        kind_in(&MEMBERS, part).or(holder.filter(|_| !(is_file && is_simple)))
    })
}

fn kind_in(table: &[(&str, ObjectKind)], name: &str) -> Option<ObjectKind> {
    let known = table.iter().find(|(known, _)| *known == name);
    known.map(|(_, kind)| *kind)
}

/// All references in a body.
///
/// # Errors
/// 400 when the body cannot be searched: it is no UTF-8, nested too deeply, or refers to too much.
pub fn references(body: &[u8]) -> Result<Vec<Reference>, ApiError> {
    if !may_refer(body) {
        return Ok(Vec::new());
    }
    // A backend may be more lenient: what cannot be read here may be read there.
    let text = std::str::from_utf8(body).map_err(|_| unsearchable("is not UTF-8"))?;
    let whole = serde_json::from_str::<&RawValue>(text)
        .map_err(|_| unsearchable("cannot be read as JSON"))?;
    let mut search = Search {
        found: Vec::new(),
        left_bytes: body.len().saturating_mul(MAX_READINGS),
        problem: None,
    };
    search.value(whole, "", 0);
    match search.problem {
        Some(problem) => Err(unsearchable(problem)),
        None => Ok(search.found),
    }
}

/// A quick look, which most bodies end with: each name has an underscore but for a few, and may be escaped.
fn may_refer(body: &[u8]) -> bool {
    memchr::memchr3_iter(b'_', b'\\', b'"', body).any(|at| {
        let rest = &body[at + 1..];
        match body[at] {
            b'_' => rest.starts_with(b"id") || rest.starts_with(b"reference"),
            b'\\' => rest.starts_with(b"u00"),
            _ => match rest.first() {
                Some(b'i') => rest.starts_with(b"id\""),
                Some(b'c' | b'v') => HOLDERS.iter().any(|(name, _)| {
                    rest.strip_prefix(name.as_bytes())
                        .is_some_and(|rest| rest.first() == Some(&b'"'))
                }),
                _ => false,
            },
        }
    })
}

struct Search {
    found: Vec<Reference>,
    left_bytes: usize,
    /// Ends the search.
    problem: Option<&'static str>,
}

impl Search {
    fn value(&mut self, value: &RawValue, member: &str, depth: usize) {
        let json = value.get();
        let first = json.as_bytes().first();
        if first == Some(&b'"') {
            if let Some(kind) = kind_in(&MEMBERS, member) {
                self.take(member, value, kind, true);
            }
            return;
        }
        // The arguments of a tool that was used; a list is a conversation.
        let is_arguments = member == "input" && first == Some(&b'{') && depth > 2;
        if !matches!(first, Some(b'[' | b'{')) || FREE.contains(&member) || is_arguments {
            return;
        }
        // Bounds the work and the stack.
        match self.left_bytes.checked_sub(json.len()) {
            Some(left_bytes) if depth < MAX_DEPTH => self.left_bytes = left_bytes,
            _ => self.problem = Some("is nested too deeply"),
        }
        if self.problem.is_some() {
            return;
        }
        let within = Within {
            search: self,
            member,
            depth: depth + 1,
        };
        let mut deserializer = serde_json::Deserializer::from_str(json);
        if deserializer.deserialize_any(within).is_err() {
            self.problem.get_or_insert("cannot be read as JSON");
        }
    }

    fn take(&mut self, member: &str, value: &RawValue, kind: ObjectKind, is_looked_up: bool) {
        let Some(id) = text_of(value) else {
            return;
        };
        if self.found.len() == MAX_REFERENCES {
            self.problem = Some("refers to more than 2,000 stored objects");
            return;
        }
        self.found.push(Reference {
            member: member.to_owned(),
            claim: Claim {
                id,
                kind,
                is_looked_up,
            },
        });
    }
}

/// A list or an object, gone through without being collected.
struct Within<'s, 'm> {
    search: &'s mut Search,
    member: &'m str,
    depth: usize,
}

impl<'de> Visitor<'de> for Within<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            self.search.value(element, self.member, self.depth);
            if self.search.problem.is_some() {
                return Err(de::Error::custom("ended"));
            }
        }
        Ok(())
    }

    /// All members, doubled ones too: which of them counts is the backend's business.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self {
            search,
            member,
            depth,
        } = self;
        let mut item = Item::default();
        let mut ids: Vec<&RawValue> = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            let value: &RawValue = map.next_value()?;
            let name = String::from_utf8_lossy(&name);
            if name == "id" {
                match kind_in(&HOLDERS, member) {
                    Some(kind) => search.take(member, value, kind, true),
                    None => ids.push(value),
                }
            } else if depth == 1 && name == "request_id" {
                // vLLM makes it the id of the response.
                search.take("request_id", value, ObjectKind::Response, false);
            }
            item.note(&name, value);
            let name = match (member, name.as_ref()) {
                // What a user fills into a prompt is text, or an object that says what it is.
                ("variables", _) => "",
                ("messages", "audio") if depth == ITEM_DEPTH => AUDIO,
                (_, name) => name,
            };
            search.value(value, name, depth);
            if search.problem.is_some() {
                return Err(de::Error::custom("ended"));
            }
        }
        // An element of a list in the request itself.
        if item.is_reference || depth == ITEM_DEPTH && ITEMS.contains(&member) {
            for id in ids {
                search.take("id", id, ObjectKind::Item, item.is_looked_up());
            }
        }
        Ok(())
    }
}

/// What an object says of itself, should it be an item.
#[derive(Default)]
struct Item {
    is_reference: bool,
    /// `type`, when it is another one.
    kind: Option<String>,
    has_content: bool,
}

impl Item {
    fn note(&mut self, name: &str, value: &RawValue) {
        match name {
            "type" => match text_of(value) {
                Some(kind) if kind == "item_reference" => self.is_reference = true,
                kind => self.kind = kind,
            },
            "content" | "encrypted_content" | "result" => {
                self.has_content |= value.get() != "null";
            }
            _ => {}
        }
    }

    /// Whether the backend takes the item from where it keeps it: OpenAI's API reference, `ItemReferenceParam`, of which only
    /// the id is required; its guide to images, for those; reasoning without its encrypted form.
    fn is_looked_up(&self) -> bool {
        self.is_reference
            || !self.has_content
                && matches!(
                    self.kind.as_deref(),
                    None | Some("image_generation_call" | "reasoning")
                )
    }
}

fn text_of(value: &RawValue) -> Option<String> {
    let Name(text) = serde_json::from_str(value.get()).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn unsearchable(problem: &str) -> ApiError {
    ApiError::invalid_request(
        StatusCode::BAD_REQUEST,
        None,
        format!("The request body {problem}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(body: &str) -> Vec<String> {
        let references = references(body.as_bytes()).unwrap();
        references
            .into_iter()
            .map(|reference| reference.claim.id)
            .collect()
    }

    #[test]
    fn references_are_found_wherever_they_stand() {
        for body in [
            r#"{"previous_response_id":"x"}"#,
            r#"{"conversation":"x"}"#,
            r#"{"conversation":{"id":"x"}}"#,
            r#"{"input":[{"content":[{"type":"input_file","file_id":"x"}]}]}"#,
            r#"{"messages":[{"content":[{"type":"file","file":{"file_id":"x"}}]}]}"#,
            r#"{"tools":[{"type":"file_search","vector_store_ids":["x"]}]}"#,
            r#"{"tools":[{"type":"code_interpreter","container":"x"}]}"#,
            r#"{"tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["x"]}}]}"#,
            r#"{"input":[{"type":"item_reference","id":"x"}]}"#,
            r#"{"input":[{"id":"x","type":"item\u005freference","type":"item_reference"}]}"#,
            r#"{"previous\u005fresponse\u005fid":"x"}"#,
            r#"{"conversation":"\u0078"}"#,
            r#"{"video":{"id":"x"},"prompt":"more"}"#,
            r#"{"characters":[{"id":"x"}]}"#,
            r#"{"input":[{"id":"x"}]}"#,
            r#"{"input":[{"type":null,"id":"x"}]}"#,
            r#"{"input":[{"type":"image_generation_call","id":"x"}]}"#,
            r#"{"input":[{"type":"reasoning","id":"x","summary":[]}]}"#,
            r#"{"items":[{"id":"x","role":"user","content":"hi"}]}"#,
            r#"{"request_id":"x","previous_response_id":null}"#,
            r#"{"messages":[{"role":"assistant","audio":{"id":"x"}},{"role":"user","content":"hi"}]}"#,
            r#"{"prompt":{"id":"p","variables":{"a":{"type":"input_file","file_id":"x"}}}}"#,
        ] {
            assert_eq!(found(body), ["x"], "{body}");
        }
        let twice = r#"{"file_id":"x","file_id":"y"}"#;
        assert_eq!(found(twice), ["x", "y"]);
    }

    #[test]
    fn what_is_no_reference_is_none() {
        for body in [
            "{}",
            r#"{"previous_response_id":null,"conversation":null}"#,
            r#"{"messages":[{"content":"the \"file_id\":\"x\" of it"}]}"#,
            r#"{"tools":[{"parameters":{"properties":{"file_id":{"type":"string"}}}}]}"#,
            r#"{"metadata":{"conversation":"chat 17","video_id":"yt-1"}}"#,
            r#"{"prompt":{"id":"p","variables":{"conversation":"Hello"}}}"#,
            r#"{"messages":[{"content":[{"type":"tool_use","id":"t","input":{"file_id":"x","items":[{"id":"y"}]}}]}]}"#,
            r#"{"input":[{"content":[{"annotations":[{"file_id":"cfile_1"}]}]}]}"#,
            r#"{"messages":[{"tool_calls":[{"id":"call_1","type":"function"}]}]}"#,
            r#"{"prompt":{"id":"pmpt_1"}}"#,
            r#"{"audio":{"voice":{"id":"v"},"id":"x"},"messages":[{"content":[{"audio":{"id":"y"}}]}]}"#,
        ] {
            assert_eq!(found(body), Vec::<String>::new(), "{body}");
        }
    }

    #[test]
    fn only_what_the_backend_looks_up_must_be_known() {
        for (body, is_looked_up) in [
            (r#"{"input":[{"id":"x"}]}"#, true),
            (
                r#"{"input":[{"type":"message","id":"x","content":[]}]}"#,
                false,
            ),
            (r#"{"input":[{"type":"reasoning","id":"x"}]}"#, true),
            (
                r#"{"input":[{"type":"reasoning","id":"x","encrypted_content":"y"}]}"#,
                false,
            ),
            (
                r#"{"input":[{"type":"image_generation_call","id":"x","result":null}]}"#,
                true,
            ),
            (
                r#"{"input":[{"type":"function_call","id":"x","arguments":"{}"}]}"#,
                false,
            ),
            (r#"{"request_id":"x"}"#, false),
            (r#"{"file_id":"x"}"#, true),
        ] {
            let found = references(body.as_bytes()).unwrap();
            assert_eq!(found.len(), 1, "{body}");
            assert_eq!(found[0].claim.is_looked_up, is_looked_up, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_searched_is_refused() {
        for body in [
            &b"{\"user\":\"\xff\",\"previous_response_id\":\"x\"}"[..],
            b"{\"previous_response_id\":\"x\"",
            format!(r#"{{"file_ids":[{}"x"]}}"#, r#""a","#.repeat(5_000)).as_bytes(),
        ] {
            assert_eq!(references(body).unwrap_err().status(), 400);
        }
    }

    #[test]
    fn what_is_too_deep_is_refused() {
        let deep = format!(
            r#"{{"a":{}{},"file_id":"x"}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(references(deep.as_bytes()).unwrap_err().status(), 400);
    }

    proptest! {
        #[test]
        fn any_bytes_are_searched_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = references(&[b"{\"file_id\":", &bytes[..]].concat());
        }
    }
}

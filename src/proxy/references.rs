//! Which stored objects a request's body refers to, as the backend would read it. All users share the backend's key, so such
//! an object may be another user's.

use std::fmt;

use actix_web::http::StatusCode;
use serde::{
    Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{proxy::ApiError, usage::Name};

/// The members whose strings are ids, or lists of them.
const MEMBERS: [&str; 16] = [
    "previous_response_id",
    "conversation",
    "file_id",
    "file_ids",
    "input_file_id",
    "image_file_id",
    "vector_store_id",
    "vector_store_ids",
    "container",
    "container_id",
    "response_id",
    "batch_id",
    "upload_id",
    "part_ids",
    "video_id",
    "input_video_id",
];
/// Inside these an `id` is one of an object.
const HOLDERS: [&str; 5] = [
    "conversation",
    "container",
    "video",
    "character",
    "characters",
];
/// Each level is read once more, so that nothing in it is missed; a body that takes more readings than this is refused.
/// SDKs put what is long some six levels deep.
const MAX_READINGS: usize = 16;
const MAX_DEPTH: usize = 100;

/// One reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub member: String,
    pub id: String,
}

/// Whether a form's field of this name refers to stored objects: `file_id`, `video[id]`, or a `video` that is no file and so may
/// be an object.
#[must_use]
pub fn is_field(name: &str, is_file: bool) -> bool {
    let mut parts = name
        .split(['[', '.'])
        .map(|part| part.trim_end_matches(']'));
    parts.any(|part| {
        let holds = HOLDERS.contains(&part) || part == "input_reference";
        MEMBERS.contains(&part) || holds && !is_file
    })
}

/// All references in a body.
///
/// # Errors
/// 400 when the body is nested too deeply to be searched.
pub fn references(body: &[u8]) -> Result<Vec<Reference>, ApiError> {
    if !may_refer(body) {
        return Ok(Vec::new());
    }
    let text = std::str::from_utf8(body).ok();
    let Some(whole) = text.and_then(|text| serde_json::from_str::<&RawValue>(text).ok()) else {
        return Ok(Vec::new());
    };
    let mut search = Search {
        found: Vec::new(),
        left_bytes: body.len().saturating_mul(MAX_READINGS),
    };
    search.value(whole, "", 0)?;
    Ok(search.found)
}

/// A quick look, which most bodies end with: each name has an underscore but for a few, and may be escaped.
fn may_refer(body: &[u8]) -> bool {
    memchr::memchr3_iter(b'_', b'\\', b'"', body).any(|at| {
        let rest = &body[at + 1..];
        match body[at] {
            b'_' => rest.starts_with(b"id") || rest.starts_with(b"reference"),
            b'\\' => rest.starts_with(b"u00"),
            _ => {
                matches!(rest.first(), Some(b'c' | b'v'))
                    && HOLDERS.iter().any(|name| {
                        rest.strip_prefix(name.as_bytes())
                            .is_some_and(|rest| rest.first() == Some(&b'"'))
                    })
            }
        }
    })
}

struct Search {
    found: Vec<Reference>,
    left_bytes: usize,
}

impl Search {
    fn value(&mut self, value: &RawValue, member: &str, depth: usize) -> Result<(), ApiError> {
        let json = value.get();
        match json.as_bytes().first() {
            Some(b'"') if MEMBERS.contains(&member) => self.take(member, value),
            Some(b'[') => {
                self.pay(json, depth)?;
                for element in list(json) {
                    self.value(element, member, depth + 1)?;
                }
            }
            Some(b'{') => {
                self.pay(json, depth)?;
                let members = members(json);
                let is_item = members.iter().any(|(name, value)| {
                    name == "type" && text_of(value).as_deref() == Some("item_reference")
                });
                for (name, value) in &members {
                    if name == "id" && HOLDERS.contains(&member) {
                        self.take(member, value);
                    } else if name == "id" && is_item {
                        self.take(name, value);
                    }
                    self.value(value, name, depth + 1)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, member: &str, value: &RawValue) {
        if let Some(id) = text_of(value) {
            self.found.push(Reference {
                member: member.to_owned(),
                id,
            });
        }
    }

    /// Bounds the work and the stack.
    fn pay(&mut self, json: &str, depth: usize) -> Result<(), ApiError> {
        let left_bytes = self.left_bytes.checked_sub(json.len());
        self.left_bytes = left_bytes
            .filter(|_| depth < MAX_DEPTH)
            .ok_or_else(too_deep)?;
        Ok(())
    }
}

fn text_of(value: &RawValue) -> Option<String> {
    let Name(text) = serde_json::from_str(value.get()).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn too_deep() -> ApiError {
    ApiError::invalid_request(
        StatusCode::BAD_REQUEST,
        None,
        "The request body is nested too deeply.",
    )
}

fn list(json: &str) -> Vec<&RawValue> {
    struct Elements;
    impl<'de> Visitor<'de> for Elements {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = seq.next_element()? {
                elements.push(element);
            }
            Ok(elements)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_seq(Elements).unwrap_or_default()
}

/// All members, doubled ones too: which of them counts is the backend's business.
fn members(json: &str) -> Vec<(String, &RawValue)> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(Name(name)) = map.next_key()? {
                members.push((
                    String::from_utf8_lossy(&name).into_owned(),
                    map.next_value()?,
                ));
            }
            Ok(members)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_map(Members).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(body: &str) -> Vec<String> {
        let references = references(body.as_bytes()).unwrap();
        references
            .into_iter()
            .map(|reference| reference.id)
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
            r#"{"input":[{"type":"message","id":"msg_1","content":[]}]}"#,
            r#"{"prompt":{"id":"pmpt_1"}}"#,
        ] {
            assert_eq!(found(body), Vec::<String>::new(), "{body}");
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

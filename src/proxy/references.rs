//! Which stored objects a request's body refers to, as the backend would read it. All users share the backend's key, so such
//! an object may be another user's.

mod item;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt};

use actix_web::http::StatusCode;
use serde::{
    Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    model::{Claim, ObjectKind},
    proxy::{ApiError, request::Excerpt},
    usage::{Name, fold, fold_text, strip_folded},
};

use item::{Item, ItemKind};

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
/// vLLM makes it the id of the response.
pub const REQUEST_ID: &str = "request_id";
/// These are files in a form, so a string in their place may be an id.
const FILES_OF_FORMS: [(&str, ObjectKind); 1] = [("input_reference", ObjectKind::File)];
/// Inside these an object is an item of a conversation, which the backend may know by its `id`.
const ITEMS: [&str; 2] = ["input", "items"];
const ITEM_DEPTH: usize = 3;
/// The users' own words and descriptions of tools; what looks like a reference in them is none. Annotations and results are
/// text about files, of one's own earlier answers. To the letter: a name in another case is looked into.
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
    /// Its name, folded.
    pub member: String,
    pub claim: Claim,
}

/// What a form's field of this name refers to: `file_id`, `video[id]`, or a `video` that is no file and so may be an object.
#[must_use]
pub fn of_field(name: &str, is_file: bool) -> Option<ObjectKind> {
    let name = fold_text(name);
    let mut parts = name
        .split(['[', '.'])
        .map(|part| part.trim_end_matches(']'));
    let is_simple = !name.contains(['[', '.']);
    parts.find_map(|part| {
        let file = kind_in(&FILES_OF_FORMS, part).filter(|_| is_simple);
        let holder = kind_in(&HOLDERS, part).or(file);
        kind_in(&MEMBERS, part).or(holder.filter(|_| !(is_file && is_simple)))
    })
}

/// How an endpoint takes its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    AsJson,
    /// As a form or as JSON: what the fields of a form refer to, the members of the same name do.
    AsForm,
}

impl Taken {
    fn kind_of(self, member: &str) -> Option<ObjectKind> {
        let of_form = || kind_in(&HOLDERS, member).or(kind_in(&FILES_OF_FORMS, member));
        match self {
            Self::AsJson => kind_in(&MEMBERS, member),
            Self::AsForm => kind_in(&MEMBERS, member).or_else(of_form),
        }
    }
}

fn kind_in(table: &[(&str, ObjectKind)], name: &str) -> Option<ObjectKind> {
    let known = table.iter().find(|(known, _)| *known == name);
    known.map(|(_, kind)| *kind)
}

/// All references in a body.
///
/// # Errors
/// 400 when the body cannot be searched: it is no UTF-8, nested too deeply, or refers to too much.
pub fn references(body: &Excerpt<'_>, taken: Taken) -> Result<Vec<Reference>, ApiError> {
    let body = body.json();
    if !may_refer(body) {
        return Ok(Vec::new());
    }
    // A backend may be more lenient: what cannot be read here may be read there.
    let text = std::str::from_utf8(body).map_err(|_| unsearchable("is not UTF-8"))?;
    let whole = serde_json::from_str::<&RawValue>(text)
        .map_err(|_| unsearchable("cannot be read as JSON"))?;
    let mut search = Search {
        taken,
        found: Vec::new(),
        left_bytes: body.len().saturating_mul(MAX_READINGS),
        problem: None,
    };
    search.value(whole, Member::default(), 0);
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
            b'_' => strip_folded(rest, "id")
                .or(strip_folded(rest, "reference"))
                .is_some(),
            // A plain character, or one that folds to such.
            b'\\' => [&b"u00"[..], b"u017", b"u212"]
                .iter()
                .any(|code| rest.starts_with(code)),
            _ => match rest.first().map(u8::to_ascii_lowercase) {
                Some(b'i') => strip_folded(rest, "id\"").is_some(),
                Some(b'c' | b'v') => HOLDERS.iter().any(|(name, _)| {
                    strip_folded(rest, name).is_some_and(|rest| rest.first() == Some(&b'"'))
                }),
                _ => false,
            },
        }
    })
}

/// The member that a value belongs to, or the list that it is in.
#[derive(Clone, Copy, Default)]
struct Member<'n> {
    /// Folded.
    name: &'n str,
    /// It was written like that. Only then is a value passed over.
    is_exact: bool,
}

impl Member<'_> {
    fn is(self, name: &str) -> bool {
        self.is_exact && self.name == name
    }

    fn is_free(self) -> bool {
        self.is_exact && FREE.contains(&self.name)
    }
}

struct Search {
    taken: Taken,
    found: Vec<Reference>,
    left_bytes: usize,
    /// Ends the search.
    problem: Option<&'static str>,
}

impl Search {
    fn value(&mut self, value: &RawValue, member: Member<'_>, depth: usize) {
        let json = value.get();
        let first = json.as_bytes().first();
        if first == Some(&b'"') {
            if let Some(kind) = self.taken.kind_of(member.name) {
                self.take(member.name, value, kind, true);
            }
            return;
        }
        // The arguments of a tool that was used; a list is a conversation.
        let is_arguments = member.is("input") && first == Some(&b'{') && depth > 2;
        if !matches!(first, Some(b'[' | b'{')) || member.is_free() || is_arguments {
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
    member: Member<'m>,
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
            let folded = fold(&name);
            let is_exact = matches!(folded, Cow::Borrowed(_));
            let folded = String::from_utf8_lossy(&folded);
            let name = folded.as_ref();
            if name == "id" {
                match kind_in(&HOLDERS, member.name) {
                    Some(kind) => search.take(member.name, value, kind, true),
                    None => ids.push(value),
                }
            } else if depth == 1 && name == REQUEST_ID {
                search.take(REQUEST_ID, value, ObjectKind::Response, false);
            }
            item.note(Member { name, is_exact }, value);
            let name = match (member.name, name) {
                // What a user fills into a prompt is text, or an object that says what it is.
                ("variables", _) if member.is_exact => "",
                ("messages", "audio") if depth == ITEM_DEPTH => AUDIO,
                (_, name) => name,
            };
            search.value(value, Member { name, is_exact }, depth);
            if search.problem.is_some() {
                return Err(de::Error::custom("ended"));
            }
        }
        // An element of a list in the request itself.
        if item.kind == ItemKind::Reference || depth == ITEM_DEPTH && ITEMS.contains(&member.name) {
            for id in ids {
                search.take("id", id, ObjectKind::Item, item.is_looked_up());
            }
        }
        Ok(())
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

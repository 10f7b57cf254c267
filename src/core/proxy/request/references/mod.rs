//! Finds the stored objects that a request's body refers to, as the backend would read it. All
//! users share the backend's key, so that such an object may be another user's.

mod item;
#[cfg(test)]
mod tests;

use actix_web::http::StatusCode;
use serde::de::{self, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::{
    json::{Excerpt, JsonType, LooseName, PartReader, for_each_part, text_of},
    model::{Claim, ObjectKind},
    proxy::error::ApiError,
};

use item::{Item, ItemKind};

/// Members whose strings are ids, or lists of ids, and the kind of object. Other spellings of a
/// name count too ([`LooseName`]).
const MEMBERS: [Known; 16] = [
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
/// Members in which an `id` is the id of an object.
const HOLDERS: [Known; 5] = [
    ("conversation", ObjectKind::Conversation),
    ("container", ObjectKind::Container),
    ("video", ObjectKind::Video),
    ("character", ObjectKind::Character),
    ("characters", ObjectKind::Character),
];
/// The member of a chat's message in which an `id` is the id of audio. Elsewhere `audio` means
/// something else.
const AUDIO: &str = "messages.audio";
/// The member that vLLM takes as the id of the response.
pub const REQUEST_ID: &str = "request_id";
/// Members that are files in a form, so that a string in their place may be an id.
const FILES_OF_FORMS: [Known; 1] = [("input_reference", ObjectKind::File)];
/// Members in which an object is an item of a conversation. The backend may know it by its `id`.
const ITEMS: [&str; 2] = ["input", "items"];
/// Depth of a member of a chat's message, in which [`AUDIO`] is.
const MESSAGE_DEPTH: usize = 3;
/// Members that hold the users' own words, and descriptions of tools: what looks like a reference
/// in them is none. Annotations and results are text about files, in earlier answers; `env` and
/// `headers` are for a shell and a server of tools, and `chat_template_kwargs` for vLLM's template.
/// Only the exact spelling counts; a value under another spelling is searched.
const FREE: [&str; 12] = [
    "metadata",
    "env",
    "headers",
    "chat_template_kwargs",
    "input_examples",
    "arguments",
    "attributes",
    "parameters",
    "input_schema",
    "schema",
    "annotations",
    "results",
];
/// Members whose members describe other members: a value under `file_id` in one is no id. Only the
/// exact spelling counts.
const DESCRIPTIONS: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
/// Most readings of a body. Each level is read once more, so that nothing in it is missed, and SDKs
/// put long values some six levels deep. A body that takes more is refused.
const MAX_READINGS: usize = 16;
const MAX_DEPTH: usize = 100;
/// Most references of a body. Vector stores take 500 files at once.
const MAX_REFERENCES: usize = 2_000;

/// A reference to a stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The member's name, as the API spells it.
    pub member: String,
    pub claim: Claim,
}

/// Returns what a form's field of this name refers to: `file_id`, `video[id]`, or a `video` that is
/// no file and so may be an object. PHP takes blanks, dots and lone brackets in a name for
/// underscores, so that the name counts as a whole and by its parts.
#[must_use]
pub fn of_field(name: &str, is_file: bool) -> Option<ObjectKind> {
    let whole = LooseName::of(without_indices(name).as_bytes());
    let (_, kind) = if let Some(known) = known(&MEMBERS, whole) {
        known
    } else if let Some(known) = known(&HOLDERS, whole).or(known(&FILES_OF_FORMS, whole)) {
        return (!is_file).then_some(known.1);
    } else {
        let parts = name.split(['[', '.', ']']);
        let mut parts = parts.map(|part| LooseName::of(part.as_bytes()));
        parts.find_map(|part| known(&MEMBERS, part).or(known(&HOLDERS, part)))?
    };
    Some(kind)
}

/// Returns the name of a list without the places in it: `file_ids[]`, `file_ids[0]`, `file_ids.0`.
fn without_indices(mut name: &str) -> &str {
    let is_index = |place: &str| place.bytes().all(|byte| byte.is_ascii_digit());
    loop {
        let bracketed = name
            .strip_suffix(']')
            .and_then(|rest| rest.rsplit_once('['));
        match bracketed.or(name.rsplit_once('.')) {
            Some((list, place)) if is_index(place) => name = list,
            _ => return name,
        }
    }
}

/// Returns whether a parameter of a query would name a stored object, for a backend that takes
/// parameters for members.
#[must_use]
pub fn is_of_query(name: &str) -> bool {
    let parts = name.split(['[', '.', ']']).chain([name]);
    parts
        .map(|part| LooseName::of(part.as_bytes()))
        .any(|part| known(&MEMBERS, part).is_some())
}

/// Ways in which an endpoint takes its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    AsJson,
    /// As a form, or as JSON whose members refer to what the fields of the form refer to.
    AsForm,
}

impl Taken {
    fn known(self, member: LooseName) -> Option<Known> {
        let of_form = || known(&HOLDERS, member).or(known(&FILES_OF_FORMS, member));
        match self {
            Self::AsJson => known(&MEMBERS, member),
            Self::AsForm => known(&MEMBERS, member).or_else(of_form),
        }
    }
}

/// A member as the tables spell it, and the kind of object it refers to.
type Known = (&'static str, ObjectKind);

fn known(table: &[Known], name: LooseName) -> Option<Known> {
    table.iter().find(|(known, _)| name.is(known)).copied()
}

/// Returns all references in a body.
///
/// # Errors
/// 400 if the body cannot be searched, because it is nested too deeply or refers to too much, and
/// if something else is in the place of an id or an item.
pub fn references(body: &Excerpt<'_>, taken: Taken) -> Result<Vec<Reference>, ApiError> {
    let body = body.json();
    if !may_refer(body.as_bytes()) {
        return Ok(Vec::new());
    }
    search(body, taken)
}

fn search(body: &str, taken: Taken) -> Result<Vec<Reference>, ApiError> {
    let whole = serde_json::from_str::<&RawValue>(body)
        .map_err(|_| Problem::Body("cannot be read as JSON").into_error())?;
    let mut search = Search {
        taken,
        found: Vec::new(),
        left_bytes: body.len().saturating_mul(MAX_READINGS),
        problem: None,
    };
    search.value(whole, Member::default(), 0);
    match search.problem {
        Some(problem) => Err(problem.into_error()),
        None => Ok(search.found),
    }
}

/// Returns whether some member's name is one that the search stops at, or may be one when its
/// escapes are read. This is a quick look, and most bodies need no other. A name ends with a quote
/// before a colon.
fn may_refer(body: &[u8]) -> bool {
    memchr::memchr_iter(b':', body).any(|colon| {
        let before = body[..colon].trim_ascii_end();
        let name_end = before.strip_suffix(b"\"");
        // An escaped quote ends no name.
        name_end.is_some_and(|text| {
            may_end_known(text) && !is_escaped(text) && last_name(text).is_none_or(may_be_known)
        })
    })
}

/// Returns whether a name ends like one of the known names, or other than with two plain letters or
/// digits. Most names need no closer look.
fn may_end_known(text: &[u8]) -> bool {
    const ENDS: [&[u8; 2]; 7] = [b"id", b"ds", b"on", b"er", b"eo", b"rs", b"ce"];
    /// Bytes from which on an escape makes one of the last two characters of a name.
    const LONGEST_END: usize = 7;
    let Some(end) = text.last_chunk::<2>() else {
        return true;
    };
    let end = end.map(|byte| byte.to_ascii_lowercase());
    let is_plain = end.iter().all(u8::is_ascii_alphanumeric);
    !is_plain
        || ENDS.contains(&&end)
        || text[text.len().saturating_sub(LONGEST_END)..].contains(&b'\\')
}

/// Returns the name at the end of a text, behind its quote, or `None` if that quote cannot easily
/// be told from an escaped one.
fn last_name(text: &[u8]) -> Option<&[u8]> {
    let (before, name) = text.split_at(memchr::memrchr(b'"', text)? + 1);
    (!is_escaped(&before[..before.len() - 1])).then_some(name)
}

/// Returns whether some bytes end with a backslash that is not itself escaped.
fn is_escaped(before: &[u8]) -> bool {
    before.last() == Some(&b'\\')
        && before
            .rsplit(|byte| *byte != b'\\')
            .next()
            .is_some_and(|backslashes| backslashes.len() % 2 == 1)
}

fn may_be_known(name: &[u8]) -> bool {
    name.iter().any(|byte| *byte == b'\\' || *byte < b' ') || is_known(LooseName::of(name))
}

fn is_known(name: LooseName) -> bool {
    let tables = [&MEMBERS[..], &HOLDERS, &FILES_OF_FORMS];
    name.is("id")
        || name.is("request_id")
        || tables.iter().any(|table| known(table, name).is_some())
}

/// Returns whether a server that ends a name at its first NUL reads one that the search looks for.
fn hides_known(name: &[u8]) -> bool {
    const LOOKED_FOR: [&str; 6] = ["type", "input", "items", "messages", "audio", "background"];
    let Some(end) = memchr::memchr(0, name) else {
        return false;
    };
    [name, &name[..end]].into_iter().any(|name| {
        let loose = LooseName::of(name);
        is_known(loose) || LOOKED_FOR.iter().any(|known| loose.is(known))
    })
}

/// The member to which a value belongs, or to which the list belongs that contains it.
#[derive(Clone, Copy, Default)]
struct Member<'n> {
    /// The name as it is written. Only an exact spelling lets a value be passed over.
    name: &'n str,
    loose: LooseName,
    /// What the `id` of an object in it refers to.
    holder: Option<Known>,
    /// Lists between the member and the value.
    lists: usize,
    /// The member belongs to one of [`DESCRIPTIONS`].
    is_described: bool,
}

impl<'n> Member<'n> {
    fn new(name: &'n str) -> Self {
        let loose = LooseName::of(name.as_bytes());
        Self {
            name,
            loose,
            holder: known(&HOLDERS, loose),
            lists: 0,
            is_described: false,
        }
    }

    fn in_list(self) -> Self {
        Self {
            lists: self.lists + 1,
            ..self
        }
    }

    fn is_free(self) -> bool {
        FREE.contains(&self.name)
    }

    /// Returns whether the values of a member at the top of the request are items, at this depth.
    fn has_items(self, depth: usize) -> bool {
        depth == self.lists + 1 && ITEMS.iter().any(|known| self.loose.is(known))
    }
}

/// Reasons why a search ends.
#[derive(Debug, Clone, Copy)]
enum Problem {
    /// A text that says what is wrong with the body.
    Body(&'static str),
    /// Something else than text is in the place of an id.
    Id(&'static str),
}

impl Problem {
    fn into_error(self) -> ApiError {
        match self {
            Self::Body(problem) => ApiError::invalid_request(
                StatusCode::BAD_REQUEST,
                None,
                format!("The request body {problem}."),
            ),
            Self::Id(member) => ApiError::invalid_request(
                StatusCode::BAD_REQUEST,
                Some("invalid_type"),
                format!("`{member}` names a stored object: it must be a string without control characters."),
            )
            .with_param(member),
        }
    }
}

struct Search {
    taken: Taken,
    found: Vec<Reference>,
    left_bytes: usize,
    /// Why the search ended, if it did.
    problem: Option<Problem>,
}

impl Search {
    fn value(&mut self, value: &RawValue, member: Member<'_>, depth: usize) {
        let json = value.get();
        let first = json.as_bytes().first().copied().unwrap_or_default();
        if member.is_free() {
            return;
        }
        if let Some(known) = self.taken.known(member.loose) {
            let holds_objects = member.holder.is_some() || FILES_OF_FORMS.contains(&known);
            match first {
                b'[' if member.lists == 0 => {}
                b'{' if holds_objects => {}
                _ if member.is_described && first != b'"' => {}
                _ => return self.take(known, value, true),
            }
        }
        if first == b'{' && member.lists > 1 && member.has_items(depth) {
            self.problem = Some(Problem::Body("has an item in a list within a list"));
            return;
        }
        // These are the arguments of a tool that was used. If `input` is a list, it is a
        // conversation.
        let is_arguments = member.name == "input" && first == b'{' && depth > 2;
        if !matches!(first, b'[' | b'{') || is_arguments {
            return;
        }
        // This bounds the work and the stack.
        match self.left_bytes.checked_sub(json.len()) {
            Some(left_bytes) if depth < MAX_DEPTH => self.left_bytes = left_bytes,
            _ => self.problem = Some(Problem::Body("is nested too deeply")),
        }
        if self.problem.is_some() {
            return;
        }
        let mut within = Within {
            search: self,
            member,
            depth: depth + 1,
            item: Item::default(),
            ids: Vec::new(),
        };
        match for_each_part(&mut serde_json::Deserializer::from_str(json), &mut within) {
            Ok(JsonType::Object) => within.end_object(),
            Ok(_) => {}
            Err(_) => {
                self.problem
                    .get_or_insert(Problem::Body("cannot be read as JSON"));
            }
        }
    }

    /// Takes an id. `null` is none. A value that is no text is refused, because a backend might
    /// make text of it.
    fn take(&mut self, (member, kind): Known, value: &RawValue, is_looked_up: bool) {
        if value.get() == "null" {
            return;
        }
        // A server that is written in C may end a text at a NUL.
        let Some(id) = text_of(value.get()).filter(|id| !id.contains(char::is_control)) else {
            self.problem = Some(Problem::Id(member));
            return;
        };
        if self.found.len() == MAX_REFERENCES {
            self.problem = Some(Problem::Body("refers to more than 2,000 stored objects"));
            return;
        }
        self.found.push(Reference {
            member: member.to_owned(),
            claim: Claim {
                id: id.into_owned(),
                kind,
                is_looked_up,
            },
        });
    }
}

/// Searches the elements of a list or the members of an object, without collecting them. A problem
/// ends the reading.
struct Within<'de, 's, 'm> {
    search: &'s mut Search,
    member: Member<'m>,
    depth: usize,
    /// What the object says of itself so far.
    item: Item,
    ids: Vec<&'de RawValue>,
}

impl Within<'_, '_, '_> {
    fn go_on<E: de::Error>(&self) -> Result<(), E> {
        if self.search.problem.is_some() {
            return Err(E::custom("ended"));
        }
        Ok(())
    }

    /// Takes the ids of an object when all its members have been read.
    fn end_object(self) {
        // The value is an element of a list in the request itself, or in the place of the list.
        let is_item = self.member.lists < 2 && self.member.has_items(self.depth - 1);
        if self.item.kind == ItemKind::Reference || is_item {
            for id in self.ids {
                let known = ("id", ObjectKind::Item);
                self.search.take(known, id, self.item.is_looked_up());
            }
        }
    }
}

impl<'de> PartReader<'de> for Within<'de, '_, '_> {
    fn element<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let Some(element) = list.next_element()? else {
            return Ok(false);
        };
        let member = self.member.in_list();
        self.search.value(element, member, self.depth);
        self.go_on().map(|()| true)
    }

    /// Searches each member, doubled ones too, because the backend decides which of them counts.
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        let value: &RawValue = object.next_value()?;
        let Self {
            search,
            member,
            depth,
            ..
        } = self;
        if hides_known(name) {
            search.problem = Some(Problem::Body("has a NUL in the name of a member"));
            return self.go_on();
        }
        let name = String::from_utf8_lossy(name);
        let mut below = Member::new(&name);
        if below.loose.is("id") {
            match member.holder {
                Some(known) => search.take(known, value, true),
                None => self.ids.push(value),
            }
        } else if *depth == 1 && below.loose.is(REQUEST_ID) {
            search.take((REQUEST_ID, ObjectKind::Response), value, false);
        }
        below.is_described = DESCRIPTIONS.contains(&member.name);
        self.item.note(below, value);
        if member.name == "variables" {
            // A user fills text into a prompt, or an object that says what it is.
            below = Member::default();
        } else if *depth == MESSAGE_DEPTH && below.loose.is("audio") && member.loose.is("messages")
        {
            below.holder = Some((AUDIO, ObjectKind::Audio));
        }
        search.value(value, below, *depth);
        self.go_on()
    }
}

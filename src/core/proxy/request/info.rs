//! Looks into a request's body without building a tree.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use actix_web::http::StatusCode;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::{
    member::{Member, is_true},
    overrides::is_override,
    splice::{Splice, output_splice, splice_of},
};
use crate::{
    json::{Excerpt, LooseName, PartReader, fold, for_each_member, skip_value, text_of},
    model::ServiceTier,
    proxy::error::ApiError,
};

/// Longest model name that is kept, in characters.
const MAX_MODEL_CHARS: usize = 200;

/// What the proxy must know of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyInfo {
    /// The model that is asked for, without control characters and shortened.
    pub model: String,
    pub stream: bool,
    pub storage: StorageOptions,
    /// The class of service that is asked for.
    pub service_tier: Option<ServiceTier>,
    /// A member of this body makes some frameworks take the request for another.
    pub overrides_request: bool,
    /// The edit that makes a streamed request ask for usage. `None` if it asks by itself or is no
    /// stream.
    pub splice: Option<Splice>,
    /// The client itself sends the member that the edit is about.
    pub sends_stream_options: bool,
    pub output: AskedOutput,
    /// The edit that writes a limit of output into the body; `None` if none was asked for.
    pub cap: Option<Splice>,
    /// Further models that the backend may take instead, as gateways know them: `models` and
    /// `fallbacks`. An entry without a readable name is empty.
    pub further_models: Vec<String>,
}

/// What a request says of how much output it asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AskedOutput {
    pub max_tokens: NamedLimit,
    pub max_completion_tokens: NamedLimit,
    pub max_output_tokens: NamedLimit,
    /// Number of answers: `n` or `best_of`, times the number of prompts. 0 if nothing says so.
    pub choices: u64,
}

/// A limit of output that a request names. Most readers of JSON ignore a name in another case, and
/// some take it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NamedLimit {
    /// The limit for readers to whom a name in another case is another name.
    pub exact: TokenLimit,
    /// The largest limit that any reader sees.
    pub largest: TokenLimit,
}

impl NamedLimit {
    fn of(member: Member<'_>) -> Self {
        Self {
            exact: TokenLimit::of([member.exact, None]),
            largest: TokenLimit::of([member.exact, member.folded]),
        }
    }
}

/// A limit of output, as it stands in a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenLimit {
    /// The member is missing or null.
    #[default]
    Unnamed,
    /// The largest of the numbers that readers may see.
    Tokens(u64),
    /// The member has no number.
    Unreadable,
}

impl TokenLimit {
    /// Returns the number, if it is one.
    #[must_use]
    pub fn tokens(self) -> Option<u64> {
        match self {
            Self::Tokens(tokens) => Some(tokens),
            Self::Unnamed | Self::Unreadable => None,
        }
    }

    fn of(values: [Option<&RawValue>; 2]) -> Self {
        let values = values.into_iter().flatten();
        values.fold(Self::Unnamed, |limit, value| match (limit, number(value)) {
            (limit, _) if value.get() == "null" => limit,
            (Self::Unreadable, _) | (_, None) => Self::Unreadable,
            (Self::Tokens(known), Some(tokens)) => Self::Tokens(known.max(tokens)),
            (Self::Unnamed, Some(tokens)) => Self::Tokens(tokens),
        })
    }
}

fn number(value: &RawValue) -> Option<u64> {
    whole_number(value.get().trim_matches('"'))
}

/// Returns a number as lenient backends read it: whole, or with a fraction, which is rounded up.
pub fn whole_number(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    // Tokens are no money, and a number beyond 2^53 is more than any backend makes.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (number >= 0.0).then(|| number.ceil() as u64)
}

/// What the backend is asked to store of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StorageOptions {
    /// `background` of a response: the answer is made without the client, who asks for it later.
    pub background: bool,
    /// `store`, if it is true or false.
    pub store: Option<bool>,
    /// A chat's answer has audio, and the next request may refer to it.
    pub audio: bool,
}

/// Looks into a body as the backend would read it: member names with escapes count, and the last of
/// duplicates. A name in another case is another name to most backends and the same to some. So a
/// request streams if it does so in either reading, and runs in the background if any spelling of
/// the name says so, even `backGround`. `store` counts in its exact spelling only, because nothing
/// is lost by taking an answer for stored.
///
/// # Errors
/// 400 if the body is no JSON object.
pub fn inspect(body: &Excerpt<'_>) -> Result<BodyInfo, ApiError> {
    inspect_for_cap(body, |_| None)
}

/// Looks into a body as [`inspect`] does. `cap_of` is told what the body says of its output, and
/// returns the limit of output to write into it, with the name that its endpoint has for it.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_for_cap(
    body: &Excerpt<'_>,
    cap_of: impl FnOnce(&AskedOutput) -> Option<(&'static str, i64)>,
) -> Result<BodyInfo, ApiError> {
    let members = members_of(body.json()).map_err(|error| {
        // Only the whole body has the right column of the error.
        let whole = String::from_utf8_lossy(&body.whole()).into_owned();
        not_an_object(&members_of(&whole).err().unwrap_or(error))
    })?;
    let stream = members.stream.is_true();
    let splice = if stream {
        splice_of(body.json().as_bytes(), members.stream_options)
    } else {
        None
    };
    let model = members.model.exact.or(members.model.folded);
    let mut model = model.map_or_else(String::new, |value| clean_model(value.get()));
    if model.starts_with(' ') && model.trim().is_empty() {
        model.clear();
    }
    let output = AskedOutput {
        max_tokens: NamedLimit::of(members.max_tokens),
        max_completion_tokens: NamedLimit::of(members.max_completion_tokens),
        max_output_tokens: NamedLimit::of(members.max_output_tokens),
        choices: choices_of(&members),
    };
    let cap = cap_of(&output).and_then(|(name, cap)| {
        let value = match name {
            "max_tokens" => members.max_tokens,
            "max_completion_tokens" => members.max_completion_tokens,
            _ => members.max_output_tokens,
        };
        output_splice(body.json().as_bytes(), name, value, cap)
    });
    Ok(BodyInfo {
        model,
        stream,
        storage: StorageOptions {
            background: members.background,
            store: members.store.and_then(|value| match value.get() {
                "false" => Some(false),
                other => is_true(other).then_some(true),
            }),
            audio: asks_audio(members.audio, members.modalities),
        },
        service_tier: members.service_tier.and_then(tier_of),
        overrides_request: members.overrides_request,
        splice: splice.map(|splice| splice.in_whole(body)),
        sends_stream_options: members.stream_options.folded.is_some(),
        output,
        cap: cap.map(|splice| splice.in_whole(body)),
        further_models: members.further_models,
    })
}

fn members_of(json: &str) -> serde_json::Result<Members<'_>> {
    let mut members = Members::default();
    let mut json = serde_json::Deserializer::from_str(json);
    for_each_member(&mut json, &mut members)?;
    json.end()?;
    Ok(members)
}

/// Returns the 400 for a body that is not UTF-8, which every JSON text is (RFC 8259 section 8.1).
/// Lenient servers guess another encoding.
pub fn not_utf_8() -> ApiError {
    ApiError::invalid_request(
        StatusCode::BAD_REQUEST,
        None,
        "The request body is not UTF-8; send JSON in UTF-8.",
    )
}

fn not_an_object(error: &serde_json::Error) -> ApiError {
    let message = if error.is_data() {
        "The request body must be a JSON object.".to_owned()
    } else if error.is_eof() && (error.line(), error.column()) == (1, 0) {
        "The request body is empty. It must be a JSON object.".to_owned()
    } else {
        format!(
            "We could not parse the JSON body of your request (line {}, column {}). The body must be a JSON object.",
            error.line(),
            error.column()
        )
    };
    ApiError::invalid_request(StatusCode::BAD_REQUEST, None, message)
}

/// Returns how many answers a request asks for.
fn choices_of(members: &Members<'_>) -> u64 {
    let count = |member: Member<'_>| match NamedLimit::of(member).largest {
        TokenLimit::Tokens(count) => count,
        TokenLimit::Unnamed | TokenLimit::Unreadable => 0,
    };
    let each = count(members.n).max(count(members.best_of));
    // Each text, or each list of tokens, of a list of prompts has its answers.
    let prompts = members.prompt.filter(|value| value.get().starts_with('['));
    let prompts =
        prompts.and_then(|value| serde_json::from_str::<Vec<&RawValue>>(value.get()).ok());
    let is_list = |prompts: &Vec<&RawValue>| {
        let first = prompts.first();
        first.is_some_and(|first| first.get().starts_with(['"', '[']))
    };
    match prompts.filter(is_list) {
        Some(prompts) => each.max(1).saturating_mul(prompts.len() as u64),
        None => each,
    }
}

/// The members that matter, as they stand in the body.
#[derive(Default)]
struct Members<'a> {
    max_tokens: Member<'a>,
    max_completion_tokens: Member<'a>,
    max_output_tokens: Member<'a>,
    n: Member<'a>,
    best_of: Member<'a>,
    prompt: Option<&'a RawValue>,
    model: Member<'a>,
    stream: Member<'a>,
    stream_options: Member<'a>,
    /// Some readers take the first of doubled members, so that any of them counts.
    background: bool,
    store: Option<&'a RawValue>,
    service_tier: Option<&'a RawValue>,
    audio: Option<&'a RawValue>,
    modalities: Option<&'a RawValue>,
    overrides_request: bool,
    further_models: Vec<String>,
}

impl<'de> PartReader<'de> for Members<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        let folded = fold(name);
        let is_exact = matches!(folded, Cow::Borrowed(_));
        match folded.as_ref() {
            b"model" => self.model.note(object.next_value()?, is_exact),
            b"stream" => self.stream.note(object.next_value()?, is_exact),
            b"background" => self.background |= next_is_true(object)?,
            b"stream_options" => self.stream_options.note(object.next_value()?, is_exact),
            b"store" if is_exact => self.store = Some(object.next_value()?),
            b"service_tier" if is_exact => self.service_tier = Some(object.next_value()?),
            b"audio" => self.audio = Some(object.next_value()?),
            b"modalities" => self.modalities = Some(object.next_value()?),
            b"max_tokens" => self.max_tokens.note(object.next_value()?, is_exact),
            b"max_completion_tokens" => {
                self.max_completion_tokens
                    .note(object.next_value()?, is_exact);
            }
            b"max_output_tokens" => self.max_output_tokens.note(object.next_value()?, is_exact),
            b"n" => self.n.note(object.next_value()?, is_exact),
            b"best_of" => self.best_of.note(object.next_value()?, is_exact),
            b"models" | b"fallbacks" => {
                let list: &RawValue = object.next_value()?;
                add_models(&mut self.further_models, list);
            }
            b"prompt" if is_exact => self.prompt = Some(object.next_value()?),
            // Other names that begin with a letter mean nothing to a lenient reader, unless they
            // begin with one of these.
            [b'a'..=b'z', ..] if !matches!(folded.first(), Some(b'b' | b'h' | b'x')) => {
                skip_value(object)?;
            }
            _ if LooseName::of(name).is("background") => self.background |= next_is_true(object)?,
            _ => {
                self.overrides_request |= is_override(name);
                skip_value(object)?;
            }
        }
        Ok(())
    }
}

/// Adds the names in a list of models, with an empty name for an entry that is not a text.
fn add_models(models: &mut Vec<String>, list: &RawValue) {
    let entries = serde_json::from_str::<Vec<&RawValue>>(list.get()).unwrap_or_default();
    models.extend(entries.into_iter().map(|entry| {
        let is_text = entry.get().starts_with('"');
        if is_text {
            clean_model(entry.get())
        } else {
            String::new()
        }
    }));
}

fn next_is_true<'de, A: MapAccess<'de>>(object: &mut A) -> Result<bool, A::Error> {
    Ok(is_true(object.next_value::<&RawValue>()?.get()))
}

/// Returns the class of service that a request asks for. Two words have other names in answers
/// (OpenAI's and Anthropic's API references, `service_tier`).
fn tier_of(value: &RawValue) -> Option<ServiceTier> {
    match text_of(value.get())?.as_ref() {
        "standard_only" => Some(ServiceTier::Default),
        "fast" => Some(ServiceTier::Priority),
        word => ServiceTier::parse(word),
    }
}

/// Returns whether a chat asks for audio: by `audio`, which chooses a voice, or by a word of
/// `modalities`. OpenAI's API wants both, other backends may accept one.
fn asks_audio(audio: Option<&RawValue>, modalities: Option<&RawValue>) -> bool {
    let has = |value: Option<&RawValue>, first: char, word: &str| {
        value.is_some_and(|value| value.get().starts_with(first) && value.get().contains(word))
    };
    has(audio, '{', "") || has(modalities, '[', "\"audio\"")
}

/// Returns a model name that is fit for tables and logs: control characters and lone surrogates are
/// replaced, and a long name is cut. Empty for null.
fn clean_model(json: &str) -> String {
    if json == "null" {
        return String::new();
    }
    let name = json.strip_prefix('"').and_then(|s| s.strip_suffix('"'));
    if let Some(name) = name.filter(|name| is_clean(name) && !name.contains('\\')) {
        return name.to_owned();
    }
    // A value that is no string is kept as it was written.
    clean_text(&text_of(json).unwrap_or(Cow::Borrowed(json)))
}

/// Returns the beginning of a text, with control characters replaced by U+FFFD.
pub fn clean_text(text: &str) -> String {
    if is_clean(text) {
        return text.to_owned();
    }
    text.chars()
        .take(MAX_MODEL_CHARS)
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Returns whether a name needs no cleaning, as nearly all names.
fn is_clean(text: &str) -> bool {
    text.len() <= MAX_MODEL_CHARS && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

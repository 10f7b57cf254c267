//! The two edits of a body: one makes a streamed request ask for its usage, the other names the
//! limit of output that its user has.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::member::Member;
use crate::{
    json::{Excerpt, PartReader, fold, for_each_member, skip_value},
    proxy::body::BodyParts,
};

/// An edit that replaces the bytes of a range and leaves everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    range: Range<usize>,
    text: Bytes,
}

impl Splice {
    /// Returns the edited body, of which a long one is not copied.
    #[must_use]
    pub fn apply(self, body: &BodyParts) -> BodyParts {
        body.replaced(&self.range, self.text)
    }

    /// Returns the place of the body that is replaced.
    #[cfg(any(test, fuzzing))]
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Makes both edits, at places of the body as it came. The one that is further behind is made
    /// first, so that the place of the other is still right.
    #[must_use]
    pub fn apply_both(self, other: Self, body: &BodyParts) -> BodyParts {
        let (first, last) = if self.range.start <= other.range.start {
            (self, other)
        } else {
            (other, self)
        };
        first.apply(&last.apply(body))
    }

    /// Returns the edit of the complete body, for an edit that was found in an excerpt of it.
    #[must_use]
    pub fn in_whole(self, body: &Excerpt<'_>) -> Self {
        Self {
            range: body.place(self.range.start)..body.place(self.range.end),
            ..self
        }
    }
}

/// Finds the edit that makes a body ask for usage.
pub fn splice_of(body: &[u8], stream_options: Member<'_>) -> Option<Splice> {
    if stream_options.is_odd {
        let asks = |options: Option<&RawValue>| options.is_some_and(asks_usage);
        let both_ask = asks(stream_options.exact) && asks(stream_options.folded);
        return if both_ask { None } else { splice_at_end(body) };
    }
    let Some(options) = stream_options.exact else {
        let after_brace = body.iter().position(|byte| *byte == b'{')? + 1;
        return Some(Splice {
            range: after_brace..after_brace,
            text: Bytes::from_static(br#""stream_options":{"include_usage":true},"#),
        });
    };
    let span = span_in(body, options);
    match options.get().as_bytes().first() {
        Some(b'n') => Some(Splice {
            range: span,
            text: Bytes::from_static(br#"{"include_usage":true}"#),
        }),
        Some(b'{') => splice_into_options(body, options, span),
        // The backend will refuse options that are no object.
        _ => None,
    }
}

/// Finds the edit that makes a body name a limit of output. The member is missing or null.
pub fn output_splice(body: &[u8], name: &str, value: Member<'_>, limit: i64) -> Option<Splice> {
    if let Some(null) = value.exact.filter(|_| !value.is_odd) {
        return Some(Splice {
            range: span_in(body, null),
            text: Bytes::from(limit.to_string()),
        });
    }
    if value.folded.is_some() {
        // It comes after the member in another case, so that it counts for every kind of reader.
        let brace = body.iter().rposition(|byte| *byte == b'}')?;
        return Some(Splice {
            range: brace..brace,
            text: Bytes::from(format!(r#","{name}":{limit}"#)),
        });
    }
    let after_brace = body.iter().position(|byte| *byte == b'{')? + 1;
    let is_empty = body[after_brace..].trim_ascii_start().starts_with(b"}");
    let comma = if is_empty { "" } else { "," };
    // Each request of a user with such a limit comes here, unless it names one.
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(limit);
    let mut text = String::with_capacity(name.len() + digits.len() + comma.len() + 3);
    for part in ["\"", name, "\":", digits, comma] {
        text.push_str(part);
    }
    Some(Splice {
        range: after_brace..after_brace,
        text: Bytes::from(text),
    })
}

/// Appends options at the end of a body. If the last ones are under a name in another case, ours
/// come after them, so that they count for every kind of reader.
fn splice_at_end(body: &[u8]) -> Option<Splice> {
    let brace = body.iter().rposition(|byte| *byte == b'}')?;
    Some(Splice {
        range: brace..brace,
        text: Bytes::from_static(br#","stream_options":{"include_usage":true}"#),
    })
}

/// Returns whether options ask for usage for readers of either kind.
fn asks_usage(options: &RawValue) -> bool {
    UsageOptions::parse(options).is_some_and(|found| found.include_usage.both_true())
}

fn splice_into_options(body: &[u8], options: &RawValue, span: Range<usize>) -> Option<Splice> {
    let UsageOptions {
        include_usage,
        has_members,
    } = UsageOptions::parse(options)?;
    if include_usage.both_true() {
        return None;
    }
    if include_usage.is_odd {
        let brace = span.end - 1;
        return Some(Splice {
            range: brace..brace,
            text: Bytes::from_static(br#","include_usage":true"#),
        });
    }
    match (include_usage.exact, has_members) {
        (Some(value), _) => Some(Splice {
            range: span_in(body, value),
            text: Bytes::from_static(b"true"),
        }),
        (None, has_members) => {
            let after_brace = span.start + 1;
            let text: &[u8] = if has_members {
                br#""include_usage":true,"#
            } else {
                br#""include_usage":true"#
            };
            Some(Splice {
                range: after_brace..after_brace,
                text: Bytes::from_static(text),
            })
        }
    }
}

/// The last `include_usage` of some options, and whether they have any member.
#[derive(Default)]
struct UsageOptions<'a> {
    include_usage: Member<'a>,
    has_members: bool,
}

impl<'a> UsageOptions<'a> {
    /// Returns `None` if the options are no object.
    fn parse(options: &'a RawValue) -> Option<Self> {
        let mut found = Self::default();
        let mut json = serde_json::Deserializer::from_str(options.get());
        for_each_member(&mut json, &mut found).ok()?;
        Some(found)
    }
}

impl<'de> PartReader<'de> for UsageOptions<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        self.has_members = true;
        let folded = fold(name);
        if folded.as_ref() != b"include_usage" {
            return skip_value(object);
        }
        let is_exact = matches!(folded, Cow::Borrowed(_));
        self.include_usage.note(object.next_value()?, is_exact);
        Ok(())
    }
}

/// Returns the range of a raw value in the body from which it was read.
fn span_in(body: &[u8], value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - body.as_ptr().addr();
    start..start + value.get().len()
}

//! The one edit of a body: a streamed request is made to ask for its usage.

use std::{borrow::Cow, fmt, ops::Range};

use bytes::Bytes;
use serde::{
    Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{excerpt::Excerpt, member::Member};
use crate::{
    proxy::body::BodyParts,
    usage::{Name, fold},
};

/// The bytes of a range are replaced, everything else stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    range: Range<usize>,
    text: &'static str,
}

impl Splice {
    /// The edited body; nothing of it is copied.
    #[must_use]
    pub fn apply(&self, body: &BodyParts) -> BodyParts {
        body.replaced(&self.range, Bytes::from_static(self.text.as_bytes()))
    }

    /// The same edit of a whole body, found in an excerpt of it.
    pub fn in_whole(self, body: &Excerpt<'_>) -> Self {
        Self {
            range: body.place(self.range.start)..body.place(self.range.end),
            ..self
        }
    }
}

/// Where and how the body must change to ask for usage.
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
            text: r#""stream_options":{"include_usage":true},"#,
        });
    };
    let span = span_in(body, options);
    match options.get().as_bytes().first() {
        Some(b'n') => Some(Splice {
            range: span,
            text: r#"{"include_usage":true}"#,
        }),
        Some(b'{') => splice_into_options(body, options, span),
        // Not an object: the backend will say so.
        _ => None,
    }
}

/// Where the options are last named in another case, ours come behind them: so they count for each kind of reader.
fn splice_at_end(body: &[u8]) -> Option<Splice> {
    let brace = body.iter().rposition(|byte| *byte == b'}')?;
    Some(Splice {
        range: brace..brace,
        text: r#","stream_options":{"include_usage":true}"#,
    })
}

/// Whether options ask for usage in either reading of their names.
fn asks_usage(options: &RawValue) -> bool {
    include_usage(options).is_some_and(|(found, _)| found.both_true())
}

fn splice_into_options(body: &[u8], options: &RawValue, span: Range<usize>) -> Option<Splice> {
    let (found, has_members) = include_usage(options)?;
    if found.both_true() {
        return None;
    }
    if found.is_odd {
        let brace = span.end - 1;
        return Some(Splice {
            range: brace..brace,
            text: r#","include_usage":true"#,
        });
    }
    match (found.exact, has_members) {
        (Some(value), _) => Some(Splice {
            range: span_in(body, value),
            text: "true",
        }),
        (None, has_members) => {
            let after_brace = span.start + 1;
            let text = if has_members {
                r#""include_usage":true,"#
            } else {
                r#""include_usage":true"#
            };
            Some(Splice {
                range: after_brace..after_brace,
                text,
            })
        }
    }
}

/// The last `include_usage` of some options, and whether they have any member.
fn include_usage(options: &RawValue) -> Option<(Member<'_>, bool)> {
    struct IncludeUsage;
    impl<'de> Visitor<'de> for IncludeUsage {
        type Value = (Member<'de>, bool);

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut found, mut any) = (Member::default(), false);
            while let Some(Name(name)) = map.next_key()? {
                any = true;
                let folded = fold(&name);
                if folded.as_ref() == b"include_usage" {
                    found.note(map.next_value()?, matches!(folded, Cow::Borrowed(_)));
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok((found, any))
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(options.get());
    deserializer.deserialize_map(IncludeUsage).ok()
}

/// Where a raw value stands in the body it was read from.
fn span_in(body: &[u8], value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - body.as_ptr().addr();
    start..start + value.get().len()
}

//! JSON values as hostile or careless servers write them: a value of the wrong type counts as
//! missing and never spoils the rest.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The largest number that is a count. Sums of such counts over a ledger's life still fit an `i64`.
const MAX_COUNT: u64 = 1_000_000_000_000;

/// The unescaped bytes of a string, such as a member's name. They need not be Unicode, so that a
/// lone surrogate in one name does not end the reading.
pub struct Name<'a>(pub Cow<'a, [u8]>);

/// Returns the text of a JSON string, with U+FFFD in the place of lone surrogates; `None` for any
/// other value.
#[must_use]
pub fn text_of(json: &str) -> Option<Cow<'_, str>> {
    match serde_json::from_str(json).ok()? {
        Name(Cow::Borrowed(bytes)) => Some(String::from_utf8_lossy(bytes)),
        Name(Cow::Owned(bytes)) => Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())),
    }
}

/// A string, or `None` for a value of another type.
#[derive(Default)]
pub struct MaybeText<'a>(pub Option<Cow<'a, str>>);

/// A token count, or `None` for anything else. A count is a whole number from 0 to [`MAX_COUNT`],
/// also if written as `12.0`.
#[derive(Default)]
pub struct Count(pub Option<u64>);

/// A duration in milliseconds, from a number of seconds; or `None` for anything else. Some servers
/// write the duration of an audio file as a string.
#[derive(Default)]
pub struct Seconds(pub Option<u64>);

/// A string or a number, borrowed from the document where it has no escapes.
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Whole(u64),
    Float(f64),
    /// A negative whole number, a truth value, null, a list or an object.
    Other,
}

impl<'de> Deserialize<'de> for MaybeText<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => Some(text),
            Scalar::Whole(_) | Scalar::Float(_) | Scalar::Other => None,
        }))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Scalar::deserialize(deserializer)? {
            Scalar::Whole(number) => (number <= MAX_COUNT).then_some(number),
            Scalar::Float(number) => {
                #[allow(clippy::cast_precision_loss)]
                let is_count = number.fract() == 0.0 && (0.0..=MAX_COUNT as f64).contains(&number);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                is_count.then_some(number as u64)
            }
            Scalar::Text(_) | Scalar::Other => None,
        }))
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = match Scalar::deserialize(deserializer)? {
            #[allow(clippy::cast_precision_loss)]
            Scalar::Whole(number) => Some(number as f64),
            Scalar::Float(number) => Some(number),
            Scalar::Text(text) => text.parse().ok(),
            Scalar::Other => None,
        };
        #[allow(clippy::cast_precision_loss)]
        let in_range = seconds.filter(|s| (0.0..=(MAX_COUNT / 1000) as f64).contains(s));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(Self(in_range.map(|s| (s * 1000.0).round() as u64)))
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Whole(number))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Float(number))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_map(object).map(|_| Scalar::Other)
    }
}

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Name(Cow::Borrowed(bytes)))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Name(Cow::Owned(bytes.to_owned())))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Borrowed(text.as_bytes())))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Owned(text.as_bytes().to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_type_is_missing() {
        for (json, text, count, seconds) in [
            (r#""a\n""#, Some("a\n"), None, None),
            (r#""2.5""#, Some("2.5"), None, Some(2_500)),
            ("12", None, Some(12), Some(12_000)),
            ("12.0", None, Some(12), Some(12_000)),
            ("1.5", None, None, Some(1_500)),
            ("-1", None, None, None),
            ("1000000000001", None, None, None),
            ("1e300", None, None, None),
            ("null", None, None, None),
            ("true", None, None, None),
            (r#"["a"]"#, None, None, None),
            (r#"{"a":1}"#, None, None, None),
        ] {
            let found: MaybeText<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(found.0.as_deref(), text, "{json}");
            assert_eq!(
                serde_json::from_str::<Count>(json).unwrap().0,
                count,
                "{json}"
            );
            assert_eq!(
                serde_json::from_str::<Seconds>(json).unwrap().0,
                seconds,
                "{json}"
            );
        }
    }
}

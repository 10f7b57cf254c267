//! Goes through the members of an object, or the elements of a list, as a parser comes to them.
//! Each reader of JSON in this program is a [`PartReader`]; the one visitor that drives it is here.

use std::fmt;

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::Name;

/// Reads the parts of a JSON value one by one. Parts that a reader has no method for are passed
/// over.
///
/// The methods are generic over serde's access, whose type a parser keeps to itself; a closure
/// cannot be, so a reader is a type with its state.
pub trait PartReader<'de> {
    /// Reads the value of one member, which must be taken from `object` exactly once. Doubled
    /// members come as often as they stand there.
    ///
    /// # Errors
    /// If the parser fails. An error that the reader returns ends the reading.
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        let _ = name;
        skip_value(object)
    }

    /// Reads the next element of a list. Returns whether there was one.
    ///
    /// # Errors
    /// The errors of [`PartReader::member`].
    fn element<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        Ok(list.next_element::<IgnoredAny>()?.is_some())
    }
}

/// The type of a JSON value, as far as readers make a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonType {
    Null,
    /// A string, a number or a truth value.
    Scalar,
    List,
    Object,
}

/// Reads the members of an object, in their order.
///
/// # Errors
/// If the value is no object, or the parser or the reader fails. What was read before that stays in
/// the reader.
#[inline]
pub fn for_each_member<'de, D: Deserializer<'de>>(
    value: D,
    reader: &mut impl PartReader<'de>,
) -> Result<(), D::Error> {
    value.deserialize_map(EachPart(reader)).map(drop)
}

/// Reads the members or elements of a value of any type, and passes over one that has none. Returns
/// the type.
///
/// # Errors
/// If the parser or the reader fails. What was read before that stays in the reader.
#[inline]
pub fn for_each_part<'de, D: Deserializer<'de>>(
    value: D,
    reader: &mut impl PartReader<'de>,
) -> Result<JsonType, D::Error> {
    value.deserialize_any(EachPart(reader))
}

/// Passes over the value of a member.
///
/// # Errors
/// If the parser fails.
#[inline]
pub fn skip_value<'de, A: MapAccess<'de>>(object: &mut A) -> Result<(), A::Error> {
    object.next_value::<IgnoredAny>().map(drop)
}

/// Lets a reader read the value that is next in an object or a list, as [`for_each_part`] does.
pub struct EachPart<'r, R>(pub &'r mut R);

impl<'de, R: PartReader<'de>> DeserializeSeed<'de> for EachPart<'_, R> {
    type Value = JsonType;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<JsonType, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de, R: PartReader<'de>> Visitor<'de> for EachPart<'_, R> {
    type Value = JsonType;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<JsonType, A::Error> {
        while let Some(Name(name)) = object.next_key()? {
            self.0.member(&name, &mut object)?;
        }
        Ok(JsonType::Object)
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<JsonType, A::Error> {
        while self.0.element(&mut list)? {}
        Ok(JsonType::List)
    }

    fn visit_unit<E: de::Error>(self) -> Result<JsonType, E> {
        Ok(JsonType::Null)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<JsonType, E> {
        Ok(JsonType::Scalar)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<JsonType, E> {
        Ok(JsonType::Scalar)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<JsonType, E> {
        Ok(JsonType::Scalar)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<JsonType, E> {
        Ok(JsonType::Scalar)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<JsonType, E> {
        Ok(JsonType::Scalar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Deserializer;

    /// Notes the names of members that are numbers, and counts elements.
    #[derive(Debug, Default, PartialEq)]
    struct Notes {
        names: Vec<String>,
        elements: usize,
    }

    impl<'de> PartReader<'de> for Notes {
        fn member<A: MapAccess<'de>>(
            &mut self,
            name: &[u8],
            object: &mut A,
        ) -> Result<(), A::Error> {
            self.names.push(String::from_utf8_lossy(name).into_owned());
            if name == b"list" {
                object.next_value_seed(EachPart(self)).map(drop)
            } else {
                skip_value(object)
            }
        }

        fn element<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
            let is_there = list.next_element::<IgnoredAny>()?.is_some();
            self.elements += usize::from(is_there);
            Ok(is_there)
        }
    }

    #[test]
    fn each_member_and_element_comes_once_and_in_order() {
        let mut notes = Notes::default();
        let json = r#"{"b":1,"a":{"c":[2]},"list":[3,{"d":4},[5]],"\u0062":null}"#;
        for_each_member(&mut Deserializer::from_str(json), &mut notes).unwrap();
        assert_eq!(notes.names, ["b", "a", "list", "b"]);
        assert_eq!(notes.elements, 3);
    }

    #[test]
    fn a_value_of_another_type_is_an_error_or_says_its_type() {
        for (json, expected) in [
            ("null", JsonType::Null),
            ("true", JsonType::Scalar),
            ("-1", JsonType::Scalar),
            ("1", JsonType::Scalar),
            ("1.5", JsonType::Scalar),
            (r#""a\n""#, JsonType::Scalar),
            ("[1]", JsonType::List),
        ] {
            let mut notes = Notes::default();
            let any = for_each_part(&mut Deserializer::from_str(json), &mut notes);
            assert_eq!(any.unwrap(), expected, "{json}");
            assert!(for_each_member(&mut Deserializer::from_str(json), &mut notes).is_err());
        }
    }

    #[test]
    fn members_read_before_the_document_broke_off_are_kept() {
        let mut notes = Notes::default();
        let cut = r#"{"a":1,"list":[1,2,"#;
        assert!(for_each_member(&mut Deserializer::from_str(cut), &mut notes).is_err());
        assert_eq!((notes.names.len(), notes.elements), (2, 2));
    }
}

//! A JSON document that passes in pieces, kept without its long strings: base64 pictures and texts are nearly all of a long
//! answer, and what names its objects is short. It reads nothing but quotes, so that what is no JSON does no harm.

use memchr::{memchr, memchr2};

/// A longer string becomes an empty one. Ids and names of models are shorter, however they are escaped.
const MAX_STRING_BYTES: usize = 512;
/// What is kept; the document is cut off there.
const MAX_BYTES: usize = 1024 * 1024;

/// The document so far.
#[derive(Debug, Default)]
pub(super) struct Outline {
    kept: Vec<u8>,
    string: Option<OpenString>,
    is_full: bool,
}

/// A string that has begun and not ended.
#[derive(Debug, Clone, Copy)]
struct OpenString {
    /// Where its text begins in what is kept.
    start: usize,
    /// It is too long: its text is gone, and what follows of it goes too.
    is_emptied: bool,
    /// The last byte was a backslash, and no escaped one itself.
    is_escaped: bool,
}

impl Outline {
    /// What is kept so far.
    pub(super) fn json(&self) -> &[u8] {
        &self.kept
    }

    /// Takes the next piece.
    pub(super) fn push(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() && !self.is_full {
            let taken = match self.string {
                None => self.take_between(piece),
                Some(string) => self.take_text(string, piece),
            };
            piece = &piece[taken..];
        }
    }

    /// Takes what stands between two strings, and the quote that begins the second; how many bytes that is.
    fn take_between(&mut self, piece: &[u8]) -> usize {
        let quote = memchr(b'"', piece);
        let end = quote.map_or(piece.len(), |at| at + 1);
        self.keep(&piece[..end]);
        if quote.is_some() {
            self.string = Some(OpenString {
                start: self.kept.len(),
                is_emptied: false,
                is_escaped: false,
            });
        }
        end
    }

    /// Takes of a string what reaches to its end or behind a backslash; how many bytes that is.
    fn take_text(&mut self, string: OpenString, piece: &[u8]) -> usize {
        if string.is_escaped {
            self.keep_text(string, &piece[..1], false);
            return 1;
        }
        match memchr2(b'"', b'\\', piece) {
            Some(at) if piece[at] == b'"' => {
                self.keep_text(string, &piece[..at], false);
                self.string = None;
                self.keep(b"\"");
                at + 1
            }
            Some(at) => {
                self.keep_text(string, &piece[..=at], true);
                at + 1
            }
            None => {
                self.keep_text(string, piece, false);
                piece.len()
            }
        }
    }

    /// Keeps more of a string's text, unless that makes it too long.
    fn keep_text(&mut self, mut string: OpenString, text: &[u8], is_escaped: bool) {
        string.is_escaped = is_escaped;
        if self.kept.len() - string.start + text.len() > MAX_STRING_BYTES {
            string.is_emptied = true;
            self.kept.truncate(string.start);
        }
        if !string.is_emptied {
            self.keep(text);
        }
        self.string = Some(string);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_BYTES - self.kept.len();
        self.is_full |= bytes.len() > room;
        let bytes = &bytes[..bytes.len().min(room)];
        if self.kept.capacity() - self.kept.len() < bytes.len() {
            // Doubled as usual, but never beyond the limit: a slow reader keeps it for long.
            let more = bytes.len().max(self.kept.len()).min(room);
            self.kept.reserve_exact(more);
        }
        self.kept.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn outline<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<u8> {
        let mut outline = Outline::default();
        pieces.into_iter().for_each(|piece| outline.push(piece));
        outline.kept
    }

    /// The same by a tree.
    fn without_long_strings(value: &mut Value) {
        match value {
            // Two of the bytes are quotes.
            Value::String(text)
                if Value::from(&**text).to_string().len() - 2 > MAX_STRING_BYTES =>
            {
                text.clear();
            }
            Value::Array(list) => list.iter_mut().for_each(without_long_strings),
            Value::Object(members) => members.values_mut().for_each(without_long_strings),
            _ => {}
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = ("[a\"\\\\\n\u{e9}\u{1f600}]{0,3}", 0..600_usize);
        let leaf = prop_oneof![
            any::<i32>().prop_map(Value::from),
            Just(Value::Null),
            text.prop_map(|(text, times)| Value::from(text.repeat(times))),
        ];
        leaf.prop_recursive(4, 20, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a\"\\\\]{0,4}", inner, 0..5)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    #[test]
    fn long_strings_are_emptied_and_the_rest_stays() {
        let long = format!(r"{}\\", r#"\""#.repeat(MAX_STRING_BYTES));
        let just_short = "x".repeat(MAX_STRING_BYTES);
        let json = format!(r#"{{ "a\"":"{long}","b":["{just_short}",1e2,"{just_short}y"]}}"#);
        let expected = format!(r#"{{ "a\"":"","b":["{just_short}",1e2,""]}}"#);
        for size in 1..5 {
            assert_eq!(outline(json.as_bytes().chunks(size)), expected.as_bytes());
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let json = [&b"[1"[..], &b",12345678".repeat(MAX_BYTES / 4)].concat();
        let kept = outline(json.chunks(60_000));
        assert_eq!(
            (&kept[..], kept.capacity()),
            (&json[..MAX_BYTES], MAX_BYTES)
        );
        let strings = br#""x","#.repeat(MAX_BYTES);
        assert_eq!(outline([&strings[..]]), strings[..MAX_BYTES]);
    }

    proptest! {
        #[test]
        fn the_value_is_the_same_but_for_long_strings(mut value in any_value(), size in 1..700_usize) {
            let json = value.to_string();
            without_long_strings(&mut value);
            let kept = outline(json.as_bytes().chunks(size));
            prop_assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), value);
        }

        #[test]
        fn any_bytes_pass_in_any_pieces(
            bytes in prop::collection::vec(prop::sample::select(&b"\"\\a{"[..]), 0..3_000),
            size in 1..700_usize,
        ) {
            prop_assert_eq!(outline(bytes.chunks(size)), outline([&bytes[..]]));
        }
    }
}

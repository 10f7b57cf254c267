//! A JSON document that passes in pieces, kept without its long strings: base64 pictures and texts
//! are nearly all of a long answer, while names, ids and counts are short. Only quotes are looked
//! for, so that anything else than JSON does no harm.
//!
//! The length of the long strings that may be text is counted; base64 is never text.

use memchr::{memchr, memchr2};

/// The longest string that is kept; a longer one becomes empty. Ids and names of models are
/// shorter, however they are escaped.
const MAX_STRING_BYTES: usize = 512;
/// Length of the beginning of a string that tells base64 from text.
const MAX_JUDGED_BYTES: u64 = 4 * 1024;
/// The largest outline. The rest of the document is cut off.
const MAX_BYTES: usize = 1024 * 1024;

/// The outline of the document so far.
#[derive(Debug, Default)]
pub struct Outline {
    kept: Vec<u8>,
    string: Option<OpenString>,
    /// Length of the document without its long strings of base64.
    weight: u64,
    mode: OutlineMode,
}

/// The part of the document that is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum OutlineMode {
    /// The outline, until it is too long.
    #[default]
    Outline,
    /// Nothing: only the weight is counted from here on.
    Weight,
}

/// A string that has begun and not ended.
#[derive(Debug, Clone, Copy)]
struct OpenString {
    /// The place in the outline where its text begins.
    start: usize,
    length: u64,
    /// Whether it is too long, so that its text was removed and the rest of it is left out.
    is_emptied: bool,
    /// Whether the last byte was a backslash that is not escaped itself.
    is_escaped: bool,
    /// Whether it has characters that neither base64 nor the beginning of a `data:` URL has.
    is_text: bool,
}

impl OpenString {
    fn is_media(&self) -> bool {
        self.is_emptied && !self.is_text
    }
}

/// Returns the length of a document in bytes without its long strings of base64.
pub fn weight_of(document: &[u8]) -> u64 {
    let mut outline = Outline::of_weight();
    outline.push(document);
    outline.weight()
}

impl Outline {
    /// Returns the outline so far.
    pub fn json(&self) -> &[u8] {
        &self.kept
    }

    /// Creates an outline that keeps nothing and counts the weight.
    pub fn of_weight() -> Self {
        Self {
            mode: OutlineMode::Weight,
            ..Self::default()
        }
    }

    /// Returns the length in bytes of the document so far without its long strings of base64.
    pub fn weight(&self) -> u64 {
        let open = self.string.as_ref();
        let open = open.filter(|string| !string.is_media());
        self.weight + open.map_or(0, |string| string.length)
    }

    /// Takes the next piece.
    pub fn push(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let taken = match self.string {
                None => self.take_between(piece),
                Some(string) => self.take_text(string, piece),
            };
            piece = &piece[taken..];
        }
    }

    /// Takes what stands between two strings, and the quote that begins the second. Returns the
    /// number of bytes taken.
    fn take_between(&mut self, piece: &[u8]) -> usize {
        let quote = memchr(b'"', piece);
        let end = quote.map_or(piece.len(), |at| at + 1);
        self.keep(&piece[..end]);
        self.weight += end as u64;
        if quote.is_some() {
            self.string = Some(OpenString {
                start: self.kept.len(),
                length: 0,
                is_emptied: false,
                is_escaped: false,
                is_text: false,
            });
        }
        end
    }

    /// Takes the part of a string that reaches to its end or behind a backslash. Returns the number
    /// of bytes taken.
    fn take_text(&mut self, mut string: OpenString, piece: &[u8]) -> usize {
        if string.is_escaped {
            // PHP escapes the slashes of base64; no other escape stands in it.
            string.is_text |= piece[0] != b'/';
            self.keep_text(string, &piece[..1], false);
            return 1;
        }
        match memchr2(b'"', b'\\', piece) {
            Some(at) if piece[at] == b'"' => {
                let string = self.keep_text(string, &piece[..at], false);
                if !string.is_media() {
                    self.weight += string.length;
                }
                self.string = None;
                self.keep(b"\"");
                self.weight += 1;
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

    /// Keeps more of a string's text, unless that makes it too long. Returns the string as it is
    /// then.
    fn keep_text(&mut self, mut string: OpenString, text: &[u8], is_escaped: bool) -> OpenString {
        string.is_escaped = is_escaped;
        let unjudged = MAX_JUDGED_BYTES.saturating_sub(string.length);
        let judged = text.len().min(usize::try_from(unjudged).unwrap_or(0));
        string.is_text = string.is_text || !text[..judged].iter().all(|byte| is_of_media(*byte));
        string.length += text.len() as u64;
        if string.length > MAX_STRING_BYTES as u64 && !string.is_emptied {
            string.is_emptied = true;
            self.kept.truncate(string.start);
        }
        if !string.is_emptied {
            self.keep(text);
        }
        self.string = Some(string);
        string
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.mode == OutlineMode::Weight {
            return;
        }
        let room = MAX_BYTES - self.kept.len();
        if bytes.len() > room {
            self.mode = OutlineMode::Weight;
        }
        let bytes = &bytes[..bytes.len().min(room)];
        if self.kept.capacity() - self.kept.len() < bytes.len() {
            // Doubled as usual, but never beyond the limit: a slow reader keeps it for long.
            let more = bytes.len().max(self.kept.len()).min(room);
            self.kept.reserve_exact(more);
        }
        self.kept.extend_from_slice(bytes);
    }
}

/// Returns whether a byte occurs in base64 of either alphabet, or in the beginning of a `data:`
/// URL.
fn is_of_media(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=-_\\:;,.".contains(&byte)
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

    /// Empties the long strings of a tree, for comparison.
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
    fn an_outline_has_a_bounded_size() {
        let json = [&b"[1"[..], &b",12345678".repeat(MAX_BYTES / 4)].concat();
        let kept = outline(json.chunks(60_000));
        assert_eq!(
            (&kept[..], kept.capacity()),
            (&json[..MAX_BYTES], MAX_BYTES)
        );
        let strings = br#""x","#.repeat(MAX_BYTES);
        assert_eq!(outline([&strings[..]]), strings[..MAX_BYTES]);
    }

    #[test]
    fn long_base64_has_no_weight_and_text_has() {
        let base64 = "iVBORw0KGgo+/".repeat(1_000);
        let escaped = base64.replace('/', r"\/");
        let around = r#"{"a":"","b":1}"#.len() as u64;
        for (string, weight) in [
            (base64.clone(), 0),
            (escaped, 0),
            (format!("data:image/png;base64,{base64}="), 0),
            (base64[..100].to_owned(), 100),
            ("some words ".repeat(1_000), 11_000),
            (r"\u4e2d\u6587".repeat(1_000), 12_000),
            ("\u{4e2d}".repeat(1_000), 3_000),
        ] {
            let json = format!(r#"{{"a":"{string}","b":1}}"#);
            assert_eq!(
                weight_of(json.as_bytes()),
                around + weight,
                "{}",
                &json[..60]
            );
            let cut = json.len() - r#"","b":1}"#.len();
            let expected = r#"{"a":""#.len() as u64 + weight;
            assert_eq!(weight_of(&json.as_bytes()[..cut]), expected, "cut off");
        }
    }

    proptest! {
        #[test]
        fn the_weight_is_the_same_in_any_pieces(
            parts in prop::collection::vec(prop::sample::select(vec!["\"", "\\", "AAAA", " ", "/", "é"]), 0..40),
            size in 1..700_usize,
        ) {
            let json: String = parts.iter().map(|part| part.repeat(200)).collect();
            let mut outline = Outline::of_weight();
            json.as_bytes().chunks(size).for_each(|piece| outline.push(piece));
            prop_assert_eq!(outline.weight(), weight_of(json.as_bytes()));
        }

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

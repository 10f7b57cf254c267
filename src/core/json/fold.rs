//! Member names as the most lenient backend compares them. Go's `encoding/json` takes a name in any
//! case, by Unicode's simple folding; protobuf's JSON, Spring and Pydantic's aliases take `fileId`
//! for `file_id`; most others take a name to the letter. Where a name makes this proxy look at a
//! value, all of them count.

use std::borrow::Cow;

/// The two characters that fold to an ASCII letter (Unicode's `CaseFolding.txt`): long s, and the
/// sign for kelvin.
const FOLDED: [(&[u8], u8); 2] = [("\u{17f}".as_bytes(), b's'), ("\u{212a}".as_bytes(), b'k')];

/// Returns a name with its letters folded to ASCII's small ones. It is borrowed if that changes
/// nothing, as with nearly all names.
#[must_use]
pub fn fold(name: &[u8]) -> Cow<'_, [u8]> {
    let is_folded = |byte: &u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    if name.iter().all(is_folded) {
        return Cow::Borrowed(name);
    }
    let mut folded = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((byte, after)) = first(rest) {
        folded.push(byte);
        rest = after;
    }
    if folded == name {
        return Cow::Borrowed(name);
    }
    Cow::Owned(folded)
}

/// Returns a text with its letters folded as [`fold`] folds them.
#[must_use]
pub fn fold_text(name: &str) -> Cow<'_, str> {
    match fold(name.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(name),
        Cow::Owned(folded) => Cow::Owned(String::from_utf8_lossy(&folded).into_owned()),
    }
}

/// A name by its letters and digits alone, folded: `previousResponseId`, `PREVIOUS_RESPONSE_ID` and
/// `previous-response-id` are one name. No copy is made on the heap.
#[derive(Clone, Copy, Default)]
pub struct LooseName {
    letters: [u8; MAX_LETTERS],
    count: usize,
}

/// Letters and digits of the longest known name, and some more.
const MAX_LETTERS: usize = 24;

impl LooseName {
    /// Makes a loose name. One that is longer than all known ones, or has a quote, a backslash or a
    /// letter that is not ASCII's, equals no other.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let mut loose = Self::default();
        let mut rest = name;
        while let Some((byte, after)) = first(rest) {
            rest = after;
            if byte.is_ascii_alphanumeric() {
                let Some(place) = loose.letters.get_mut(loose.count) else {
                    return Self::default();
                };
                *place = byte;
                loose.count += 1;
            } else if !byte.is_ascii() || matches!(byte, b'"' | b'\\') {
                return Self::default();
            }
        }
        loose
    }

    /// Compares with a name in small letters, digits and underscores.
    #[must_use]
    pub fn is(&self, known: &str) -> bool {
        let known = known.bytes().filter(|byte| *byte != b'_');
        known.eq(self.letters[..self.count].iter().copied())
    }

    /// Returns whether the letters end like this word, which has no underscores.
    #[must_use]
    pub fn ends_with(&self, word: &str) -> bool {
        self.letters[..self.count].ends_with(word.as_bytes())
    }
}

/// Splits off the first character, folded, or the first byte of a character that does not fold.
fn first(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (byte, after) = bytes.split_first()?;
    if !byte.is_ascii() {
        for (sign, letter) in FOLDED {
            if let Some(after) = bytes.strip_prefix(sign) {
                return Some((letter, after));
            }
        }
    }
    Some((byte.to_ascii_lowercase(), after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_folded_as_go_folds_it() {
        for (name, folded) in [
            ("file_id", "file_id"),
            ("File_ID", "file_id"),
            ("previou\u{17f}_RE\u{17f}ponse_id", "previous_response_id"),
            ("\u{212a}ind", "kind"),
            ("Größe\u{17f}", "größes"),
            ("日本", "日本"),
            ("", ""),
        ] {
            assert_eq!(fold_text(name), folded);
            let is_borrowed = matches!(fold(name.as_bytes()), Cow::Borrowed(_));
            assert_eq!(is_borrowed, name == folded, "{name}");
        }
    }

    #[test]
    fn a_loose_name_is_its_letters() {
        for name in [
            "previous_response_id",
            "previousResponseId",
            "PreviousResponseID",
            "PREVIOUS_RESPONSE_ID",
            "previous-response-id",
            "_previous__response id.",
            "previou\u{17f}Re\u{17f}ponse\0Id\n",
        ] {
            let loose = LooseName::of(name.as_bytes());
            assert!(loose.is("previous_response_id"), "{name}");
            assert!(loose.ends_with("id") && !loose.is("response_id"));
        }
        for name in [
            "",
            "previous_response_idx",
            "previous\"response_id",
            "previous\\response_id",
            "previous_response_íd",
            "xx_previous_response_id_xx",
        ] {
            assert!(!LooseName::of(name.as_bytes()).is("previous_response_id"));
        }
        assert!(LooseName::of(&[b'a'; 1000]).is(""));
    }

    proptest! {
        /// Go folds exactly these of the characters that Unicode lowers or raises to an ASCII
        /// letter.
        #[test]
        fn any_name_is_folded_like_its_characters(name in "[a-cksA-CKS_\u{17f}\u{212a}é日]{0,12}") {
            let plain: String = name.chars().map(|c| match c {
                '\u{17f}' => 's',
                '\u{212a}' => 'k',
                c => c.to_ascii_lowercase(),
            }).collect();
            prop_assert_eq!(fold_text(&name), plain.as_str());
            prop_assert!(LooseName::of(name.as_bytes()).is(&plain) || !plain.is_ascii());
        }
    }
}

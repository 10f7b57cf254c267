//! Member names as the most lenient backend compares them. Go's `encoding/json` takes a name in any case, by Unicode's
//! simple folding; most others take it to the letter. Where a name makes this proxy look at a value, both count.

use std::borrow::Cow;

/// The two characters that fold to an ASCII letter (Unicode's `CaseFolding.txt`): long s, and the sign for kelvin.
const FOLDED: [(&[u8], u8); 2] = [("\u{17f}".as_bytes(), b's'), ("\u{212a}".as_bytes(), b'k')];

/// A name with its letters folded to ASCII's small ones; borrowed when that changes nothing, as with nearly all names.
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

/// The same for text.
#[must_use]
pub fn fold_text(name: &str) -> Cow<'_, str> {
    match fold(name.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(name),
        Cow::Owned(folded) => Cow::Owned(String::from_utf8_lossy(&folded).into_owned()),
    }
}

/// What follows a folded word at the beginning of some bytes.
#[must_use]
pub fn strip_folded<'b>(bytes: &'b [u8], word: &str) -> Option<&'b [u8]> {
    word.bytes().try_fold(bytes, |rest, expected| {
        let (byte, after) = first(rest)?;
        (byte == expected).then_some(after)
    })
}

/// The first character, folded, or a byte of one that does not fold; and what follows.
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
    fn a_word_is_stripped_in_any_case() {
        assert_eq!(
            strip_folded("Conver\u{17f}ation\"x".as_bytes(), "conversation"),
            Some(&b"\"x"[..])
        );
        assert_eq!(strip_folded(b"vide", "video"), None);
        assert_eq!(strip_folded(b"vid30", "video"), None);
    }

    proptest! {
        /// Of the characters that Unicode lowers or raises to an ASCII letter these are all that Go folds.
        #[test]
        fn any_name_is_folded_like_its_characters(name in "[a-cksA-CKS_\u{17f}\u{212a}é日]{0,12}") {
            let plain: String = name.chars().map(|c| match c {
                '\u{17f}' => 's',
                '\u{212a}' => 'k',
                c => c.to_ascii_lowercase(),
            }).collect();
            prop_assert_eq!(fold_text(&name), plain.as_str());
            prop_assert!(strip_folded(name.as_bytes(), &plain).is_some_and(<[u8]>::is_empty) || !plain.is_ascii());
        }
    }
}

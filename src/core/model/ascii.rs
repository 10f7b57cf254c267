//! Looking at the characters of a text, eight at once: log lines and names are looked at for each request.

/// A byte in each place of a word.
const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Returns whether a text has ASCII characters only, from the space to the tilde: none is a control
/// character.
#[must_use]
pub fn is_printable_ascii(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let mut bad = 0;
    for word in words {
        let word = u64::from_ne_bytes(*word);
        // The highest bit of each byte says what is wrong: not ASCII, DEL, or below the space. Only
        // a byte that is wrong itself can carry into the next.
        bad |=
            word | word.wrapping_add(eight(0x80 - 0x7f)) | !word.wrapping_add(eight(0x80 - 0x20));
    }
    bad & eight(0x80) == 0 && rest.iter().all(|byte| (b' '..=b'~').contains(byte))
}

/// Returns whether a text has ASCII characters only. The standard library looks at the end of a text
/// byte by byte, which is most of a short one.
#[must_use]
pub fn is_ascii(text: &[u8]) -> bool {
    let (blocks, end) = text.as_chunks::<64>();
    let (words, rest) = end.as_chunks::<8>();
    let of_words = words.iter().map(|word| u64::from_ne_bytes(*word));
    let all = of_words.fold(0, |all, word| all | word);
    all & eight(0x80) == 0 && rest.is_ascii() && blocks.as_flattened().is_ascii()
}

/// Returns whether a text has ASCII characters only, none of them a capital letter.
#[must_use]
pub fn is_small_ascii(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let mut bad = 0;
    for word in words {
        let word = u64::from_ne_bytes(*word);
        // Without the highest bits no byte carries into the next.
        let low = word & !eight(0x80);
        let from_a = low.wrapping_add(eight(0x80 - b'A'));
        let beyond_z = low.wrapping_add(eight(0x80 - b'Z' - 1));
        bad |= word | from_a & !beyond_z;
    }
    let is_small = |byte: &u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    bad & eight(0x80) == 0 && rest.iter().all(is_small)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_is_told_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..20 {
                let mut text = [b'a'; 20];
                text[place] = byte;
                let is_printable = (0x20..0x7f).contains(&byte);
                assert_eq!(is_printable_ascii(&text), is_printable, "{byte} at {place}");
                assert_eq!(is_ascii(&text), byte < 128, "{byte} at {place}");
                let is_small = byte < 128 && !byte.is_ascii_uppercase();
                assert_eq!(is_small_ascii(&text), is_small, "{byte} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_as_each_byte_by_itself(text in prop::collection::vec(prop_oneof![9 => 0x1e..0x21_u8, 9 => 0x7d..0x82_u8, 1 => any::<u8>()], 0..40)) {
            let each = text.iter().all(|byte| (0x20..0x7f).contains(byte));
            prop_assert_eq!(is_printable_ascii(&text), each);
        }

        #[test]
        fn small_letters_are_as_each_byte_by_itself(text in prop::collection::vec(prop_oneof![9 => 0x3f..0x43_u8, 9 => 0x58..0x5d_u8, 1 => any::<u8>()], 0..40)) {
            let each = text.iter().all(|byte| *byte < 128 && !byte.is_ascii_uppercase());
            prop_assert_eq!(is_small_ascii(&text), each);
        }
    }
}

//! A quick estimate of the input tokens of a body, upwards: what is reserved before a request goes
//! to the backend. It looks at each byte once and has no vocabulary.
//!
//! Weights were chosen so that the samples of `samples.rs`, code, numbers, base64 and random letters
//! stay below the estimate for both vocabularies of OpenAI's models; English comes out at some 1.3
//! times its tokens, with the JSON around it.

/// Weights are in twelfths of a token.
const PARTS: u64 = 12;
/// A word: its first letter stands for the token that any word has.
const WORD: u64 = 8;
const LETTER: u64 = 2;
/// A letter behind the seventh of a word: rare and made-up words have more tokens.
const LONG_WORD_LETTER: u64 = 6;
const WORD_LETTERS: u64 = 7;
/// A capital letter behind a small one begins a token, and so does a letter behind a digit.
const CHANGE: u64 = 12;
/// Both vocabularies have tokens of one to three digits: the first of three, and the others.
const DIGIT: u64 = 12;
const FURTHER_DIGIT: u64 = 6;
const DIGITS_OF_TOKEN: u64 = 3;
/// A sign behind a letter or a digit is a token; others often share one.
const SIGN_AFTER_WORD: u64 = 12;
const SIGN: u64 = 9;
const BLANK: u64 = 2;
/// A byte of a character that is not ASCII, which has two to four.
const BEYOND_ASCII: u64 = 7;
/// A byte of a script that the vocabularies hardly have: no text has more than a token a byte.
const RARE_SCRIPT: u64 = 12;
/// A value that is not text, such as a picture in base64: its tokens do not follow from its length.
/// OpenAI counts at most about this for a picture in high detail (guide "Images and vision").
const FILE_TOKENS: u64 = 2_000;
/// Bytes of base64 for a token of a longer file beyond that: sound of 16 kbit a second, or pages of
/// a document, have no more.
const FILE_BYTES_PER_TOKEN: u64 = 200;

/// Returns an estimate of a body's input tokens that is hardly ever too low. `left_out` are the
/// lengths in bytes of what the text does not show of its longest values.
/// Random letters may have a tenth more.
#[must_use]
pub fn input_bound(text: &str, left_out: impl IntoIterator<Item = usize>) -> u64 {
    let bytes = text.as_bytes();
    let mut twelfths: u64 = 0;
    // Letters and digits of the run that goes on.
    let (mut letters, mut digits): (u64, u64) = (0, 0);
    let mut of_script = BEYOND_ASCII;
    let mut previous = b' ';
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let weight = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {
                letters += 1;
                let is_change = byte.is_ascii_uppercase() && previous.is_ascii_lowercase()
                    || previous.is_ascii_digit();
                if is_change {
                    CHANGE
                } else if letters == 1 || byte.is_ascii_uppercase() {
                    WORD
                } else if letters > WORD_LETTERS {
                    LONG_WORD_LETTER
                } else {
                    LETTER
                }
            }
            b'0'..=b'9' => {
                digits += 1;
                if digits % DIGITS_OF_TOKEN == 1 {
                    DIGIT
                } else {
                    FURTHER_DIGIT
                }
            }
            // A quote in a text has a backslash before it, so that this one is JSON's.
            b'"' => 0,
            0..=b' ' => BLANK,
            128..192 => of_script,
            192.. => {
                let is_rare = is_of_rare_script(byte, bytes.get(at + 1).copied().unwrap_or(0));
                of_script = if is_rare { RARE_SCRIPT } else { BEYOND_ASCII };
                of_script
            }
            _ if previous.is_ascii_alphanumeric() => SIGN_AFTER_WORD,
            _ => SIGN,
        };
        if !byte.is_ascii_alphabetic() {
            letters = 0;
        }
        if !byte.is_ascii_digit() {
            digits = 0;
        }
        twelfths += weight;
        previous = byte;
        at += 1;
        if byte.is_ascii_lowercase() {
            // The rest of the word in one step: most of a text are such letters.
            let rest = bytes[at..]
                .iter()
                .take_while(|byte| byte.is_ascii_lowercase());
            let rest = rest.count();
            at += rest;
            let short = WORD_LETTERS.saturating_sub(letters).min(rest as u64);
            twelfths += short * LETTER + (rest as u64 - short) * LONG_WORD_LETTER;
            letters += rest as u64;
        }
    }
    let files = left_out
        .into_iter()
        .map(|bytes| FILE_TOKENS + bytes as u64 / FILE_BYTES_PER_TOKEN);
    (twelfths / PARTS).saturating_add(files.sum())
}

/// Returns whether a character belongs to a script of which texts were measured to have more than
/// seven twelfths of a token a byte, by the first two bytes of its UTF-8: rare Latin and Syriac to
/// N'Ko, Ethiopic and its neighbours, Tifinagh to Coptic, Yi to the end of its block, private
/// characters, and all beyond the first 65,536.
fn is_of_rare_script(first: u8, second: u8) -> bool {
    match (first, second) {
        (0xc6..=0xcb | 0xd4 | 0xdc..=0xdf | 0xea | 0xee, _) => true,
        (0xe1, second) => !(0xb8..).contains(&second),
        (0xe2, second) => second >= 0xa0,
        (first, _) => first >= 0xf0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{samples::SAMPLES, tokens::Tokenizer};
    use proptest::prelude::*;

    fn tokens(text: &str) -> u64 {
        let count = |tokenizer: Tokenizer| tokenizer.count(text);
        count(Tokenizer::O200k).max(count(Tokenizer::Cl100k))
    }

    fn body(text: &str) -> String {
        serde_json::json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]})
            .to_string()
    }

    #[test]
    fn samples_stay_below_the_estimate() {
        for sample in SAMPLES {
            let text = sample.text.repeat(20);
            let (bound, tokens) = (input_bound(&body(&text), []), tokens(&text) + 7);
            assert!(bound >= tokens, "{bound} {tokens} {:?}", sample.text);
        }
    }

    #[test]
    fn each_letter_of_a_word_has_its_weight() {
        let word = WORD + 6 * LETTER + 3 * LONG_WORD_LETTER + BLANK;
        let text = "abcdefghij ".repeat(24);
        assert_eq!(input_bound(&text, []), 24 * word / PARTS);
        let mixed = WORD + LETTER + CHANGE + 3 * LETTER + BLANK;
        assert_eq!(input_bound(&"xyZabc ".repeat(24), []), 24 * mixed / PARTS);
    }

    #[test]
    fn a_left_out_picture_counts_as_one() {
        assert_eq!(input_bound("{}", [1_000_000]), 1 + FILE_TOKENS + 5_000);
    }

    proptest! {
        #[test]
        fn made_up_text_stays_near_the_estimate(
            text in prop_oneof![
                "[a-z]{1,80}", "[A-Za-z0-9+/]{1,200}", "[0-9 ,.]{1,100}", "[0-9a-f]{1,100}", "[ -~]{1,200}",
                "([0-9][#%&;:]){1,100}", "[\\u{a000}-\\u{a48c}]{1,80}", "[\\u{1200}-\\u{137f}]{1,80}",
                "[\\u{12000}-\\u{12399}]{1,80}", "[\\u{2d30}-\\u{2d67}]{1,80}", "[\\u{7c0}-\\u{7ea}]{1,80}",
            ]
        ) {
            let bound = input_bound(&body(&text), []);
            prop_assert!(bound + bound / 10 >= tokens(&text), "{bound} {} {text:?}", tokens(&text));
        }
    }
}

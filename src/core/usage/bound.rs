//! A quick estimate of the input tokens of a body, upwards: what is reserved before a request goes
//! to the backend. It looks at each byte once and has no vocabulary.
//!
//! Weights were chosen so that the samples of `samples.rs`, code, numbers, base64 and random letters
//! stay below the estimate for both vocabularies of OpenAI's models; English comes out at some 1.3
//! times its tokens, with the JSON around it.

use crate::model::is_ascii;

/// Weights are in twelfths of a token.
const PARTS: u64 = 12;
/// A word: its first letter stands for the token that any word has.
const WORD: u8 = 8;
const LETTER: u8 = 2;
/// A letter behind the seventh of a word: rare and made-up words have more tokens.
const LONG_WORD_LETTER: u8 = 6;
const WORD_LETTERS: u8 = 7;
/// A capital letter behind a small one begins a token, and so does a letter behind a digit.
const CHANGE: u8 = 12;
/// Both vocabularies have tokens of one to three digits: the first of three, and the others.
const DIGIT: u8 = 12;
const FURTHER_DIGIT: u8 = 6;
const DIGITS_OF_TOKEN: u8 = 3;
/// A sign behind a letter or a digit is a token; others often share one.
const SIGN_AFTER_WORD: u8 = 12;
const SIGN: u8 = 9;
const BLANK: u8 = 2;
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

/// Classes of bytes: the columns of [`STEPS`].
const SMALL: u8 = 0;
const CAPITAL: u8 = 1;
const NUMERAL: u8 = 2;
const QUOTE: u8 = 3;
const WHITE: u8 = 4;
const OTHER: u8 = 5;
const NOT_ASCII: u8 = 6;
/// Columns of a row, some of which are not used.
const COLUMNS: u8 = 1 << COLUMN_BITS;
const COLUMN_BITS: u32 = 3;

/// Rows of [`STEPS`]: what was read last. A letter's row also says how many letters of its word were
/// read, up to [`WORD_LETTERS`], and a digit's its place in a token of three.
const OUTSIDE: u8 = 0;
const AFTER_SMALL: u8 = OUTSIDE + 1;
const AFTER_CAPITAL: u8 = AFTER_SMALL + WORD_LETTERS;
const AFTER_DIGIT: u8 = AFTER_CAPITAL + WORD_LETTERS;
const ROWS: u8 = AFTER_DIGIT + DIGITS_OF_TOKEN;

/// The lowest bits say where the row begins that the next byte, or pair of bytes, is looked up in; the
/// weight begins at [`WEIGHT_SHIFT`]. So weights are added up without taking the two apart.
type Step = u64;
const WEIGHT_SHIFT: u32 = 32;
/// After this many bytes the sum of the lowest bits does not yet reach the bits of the weights. It is
/// even.
const BYTES_A_SUM: usize = 1 << 20;

static CLASSES: [u8; 256] = classes();
/// The rules above as a table. It has a place for each value of the index, so that no bound is checked.
static STEPS: [Step; 256] = steps();
/// The table for two bytes at once: a byte takes five instructions, a sixth of what the rules take by
/// themselves.
static PAIRS: [Step; PAIR_PLACES] = pairs();
/// [`CLASSES`], at the place of the first byte in the index of [`PAIRS`].
static FIRST_CLASSES: [u8; 256] = first_classes();
/// The power of two above the number of rows and pairs of columns.
const PAIR_PLACES: usize = 2_048;
const PAIRS_A_ROW: u8 = COLUMNS * COLUMNS;

/// Returns an estimate of a body's input tokens that is hardly ever too low. `left_out` are the
/// lengths in bytes of what the text does not show of its longest values.
/// Random letters may have a tenth more.
#[must_use]
pub fn input_bound(text: &str, left_out: impl IntoIterator<Item = usize>) -> u64 {
    let twelfths = if is_ascii(text.as_bytes()) {
        ascii_twelfths(text.as_bytes())
    } else {
        twelfths(text.as_bytes())
    };
    let files = left_out
        .into_iter()
        .map(|bytes| FILE_TOKENS + bytes as u64 / FILE_BYTES_PER_TOKEN);
    (twelfths / PARTS).saturating_add(files.sum())
}

/// Adds up the weights of ASCII, two bytes at once. It has the weights that [`twelfths`] has.
fn ascii_twelfths(bytes: &[u8]) -> u64 {
    let mut twelfths: u64 = 0;
    let mut last: Step = 0;
    for bytes in bytes.chunks(BYTES_A_SUM) {
        let mut sum: u64 = 0;
        let mut add = |first: u8, second: u8| {
            let row = place_in(last) % PAIR_PLACES;
            let first = usize::from(FIRST_CLASSES[usize::from(first)]);
            last = PAIRS[row | first | class_of(second)];
            sum += last;
        };
        // Compilers that look for small code do not unroll it themselves.
        let (eights, rest) = bytes.as_chunks::<8>();
        for [a, b, c, d, e, f, g, h] in eights {
            add(*a, *b);
            add(*c, *d);
            add(*e, *f);
            add(*g, *h);
        }
        let (pairs, rest) = rest.as_chunks::<2>();
        for [first, second] in pairs {
            add(*first, *second);
        }
        // Only the last chunk has an odd number of bytes.
        for byte in rest {
            let row = (place_in(last) % PAIR_PLACES) >> COLUMN_BITS;
            sum += STEPS[(row | class_of(*byte)) % STEPS.len()];
        }
        twelfths += sum >> WEIGHT_SHIFT;
    }
    twelfths
}

fn class_of(byte: u8) -> usize {
    CLASSES[usize::from(byte)].into()
}

#[expect(clippy::cast_possible_truncation, reason = "the lowest bits are taken")]
fn place_in(step: Step) -> usize {
    step as usize
}

#[expect(clippy::cast_possible_truncation, reason = "it is the lowest byte")]
const fn next_row(step: Step) -> u8 {
    step as u8
}

fn twelfths(bytes: &[u8]) -> u64 {
    let mut sum: u64 = 0;
    let mut of_script = BEYOND_ASCII;
    let mut row = OUTSIDE;
    for (at, &byte) in bytes.iter().enumerate() {
        let class = CLASSES[usize::from(byte)];
        if class == NOT_ASCII {
            if byte >= 192 {
                let second = bytes.get(at + 1).copied().unwrap_or(0);
                let is_rare = is_of_rare_script(byte, second);
                of_script = if is_rare { RARE_SCRIPT } else { BEYOND_ASCII };
            }
            sum += of_script;
            row = OUTSIDE;
            continue;
        }
        let step = STEPS[usize::from(row | class)];
        sum += step >> WEIGHT_SHIFT;
        row = next_row(step);
    }
    sum
}

const fn classes() -> [u8; 256] {
    let mut classes = [OTHER; 256];
    let mut byte: u8 = 0;
    loop {
        classes[byte as usize] = match byte {
            b'a'..=b'z' => SMALL,
            b'A'..=b'Z' => CAPITAL,
            b'0'..=b'9' => NUMERAL,
            // A quote in a text has a backslash before it, so that this one is JSON's.
            b'"' => QUOTE,
            0..=b' ' => WHITE,
            128.. => NOT_ASCII,
            _ => OTHER,
        };
        if byte == u8::MAX {
            return classes;
        }
        byte += 1;
    }
}

const fn first_classes() -> [u8; 256] {
    let mut classes = classes();
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] <<= COLUMN_BITS;
        byte += 1;
    }
    classes
}

const fn steps() -> [Step; 256] {
    let mut steps = [0; 256];
    let mut row = OUTSIDE;
    while row < ROWS {
        let mut class = SMALL;
        while class < NOT_ASCII {
            let (weight, next) = step(row, class);
            steps[(row * COLUMNS + class) as usize] =
                (weight as Step) << WEIGHT_SHIFT | (next * COLUMNS) as Step;
            class += 1;
        }
        row += 1;
    }
    steps
}

const fn pairs() -> [Step; PAIR_PLACES] {
    let mut pairs = [0; PAIR_PLACES];
    let mut row = OUTSIDE;
    while row < ROWS {
        let mut pair = 0;
        while pair < PAIRS_A_ROW {
            let (first, second) = (pair / COLUMNS, pair % COLUMNS);
            if first < NOT_ASCII && second < NOT_ASCII {
                let (weight, next) = step(row, first);
                let (further, next) = step(next, second);
                let place = row as usize * PAIRS_A_ROW as usize + pair as usize;
                let weight = (weight + further) as Step;
                let row = next as Step * PAIRS_A_ROW as Step;
                pairs[place] = weight << WEIGHT_SHIFT | row;
            }
            pair += 1;
        }
        row += 1;
    }
    pairs
}

/// Returns the weight of a byte behind what was read last, and the row for the next.
const fn step(row: u8, class: u8) -> (u8, u8) {
    let is_small = AFTER_SMALL <= row && row < AFTER_CAPITAL;
    let is_capital = AFTER_CAPITAL <= row && row < AFTER_DIGIT;
    let is_digit = row >= AFTER_DIGIT;
    // Letters of the word so far, up to a bound, and digits of the token.
    let letters = match row {
        _ if is_small => row - AFTER_SMALL + 1,
        _ if is_capital => row - AFTER_CAPITAL + 1,
        _ => 0,
    };
    let digits = if is_digit { row - AFTER_DIGIT + 1 } else { 0 };
    let further = if letters < WORD_LETTERS {
        letters
    } else {
        WORD_LETTERS - 1
    };
    match class {
        SMALL => {
            let weight = match letters {
                0 if is_digit => CHANGE,
                0 => WORD,
                WORD_LETTERS.. => LONG_WORD_LETTER,
                _ => LETTER,
            };
            (weight, AFTER_SMALL + further)
        }
        CAPITAL => {
            let is_change = is_small || is_digit;
            let weight = if is_change { CHANGE } else { WORD };
            (weight, AFTER_CAPITAL + further)
        }
        NUMERAL if digits == 0 || digits == DIGITS_OF_TOKEN => (DIGIT, AFTER_DIGIT),
        NUMERAL => (FURTHER_DIGIT, AFTER_DIGIT + digits),
        QUOTE => (0, OUTSIDE),
        WHITE => (BLANK, OUTSIDE),
        _ if row == OUTSIDE => (SIGN, OUTSIDE),
        _ => (SIGN_AFTER_WORD, OUTSIDE),
    }
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
        let word = u64::from(WORD + 6 * LETTER + 3 * LONG_WORD_LETTER + BLANK);
        let text = "abcdefghij ".repeat(24);
        assert_eq!(input_bound(&text, []), 24 * word / PARTS);
        let mixed = u64::from(WORD + LETTER + CHANGE + 3 * LETTER + BLANK);
        assert_eq!(input_bound(&"xyZabc ".repeat(24), []), 24 * mixed / PARTS);
    }

    #[test]
    fn a_left_out_picture_counts_as_one() {
        assert_eq!(input_bound("{}", [1_000_000]), 1 + FILE_TOKENS + 5_000);
    }

    /// The weights byte by byte, without a table.
    fn by_rules(text: &str) -> u64 {
        let bytes = text.as_bytes();
        let (mut twelfths, mut letters, mut digits) = (0, 0, 0);
        let (mut previous, mut of_script) = (b' ', BEYOND_ASCII);
        for (at, &byte) in bytes.iter().enumerate() {
            letters = if byte.is_ascii_alphabetic() {
                letters + 1
            } else {
                0
            };
            digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
            let is_change = byte.is_ascii_uppercase() && previous.is_ascii_lowercase()
                || previous.is_ascii_digit();
            twelfths += match byte {
                192.. => {
                    let is_rare = is_of_rare_script(byte, bytes[at + 1]);
                    of_script = if is_rare { RARE_SCRIPT } else { BEYOND_ASCII };
                    of_script
                }
                128.. => of_script,
                _ => u64::from(match byte {
                    _ if letters > 0 && is_change => CHANGE,
                    _ if letters == 1 || byte.is_ascii_uppercase() => WORD,
                    _ if letters > WORD_LETTERS => LONG_WORD_LETTER,
                    _ if letters > 0 => LETTER,
                    b'0'..=b'9' if digits % DIGITS_OF_TOKEN == 1 => DIGIT,
                    b'0'..=b'9' => FURTHER_DIGIT,
                    b'"' => 0,
                    0..=b' ' => BLANK,
                    _ if previous.is_ascii_alphanumeric() => SIGN_AFTER_WORD,
                    _ => SIGN,
                }),
            };
            previous = byte;
        }
        twelfths / PARTS
    }

    proptest! {
        #[test]
        fn the_table_says_what_the_rules_say(
            text in prop_oneof!["[abAB12,\" \u{e9}\u{1200}]{0,100}", "[a-cA-C0-2]{0,100}", any::<String>()]
        ) {
            prop_assert_eq!(input_bound(&text, []), by_rules(&text));
        }

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

//! An excerpt of a body: what has to be read of it. Nearly all of a picture is base64, in which no
//! value begins or ends. Without excerpts a request of 1 MB took three times as many instructions when
//! this was made (5.7 million instead of 1.9), and a fifth more time.

use std::{borrow::Cow, ops::Range, str::Utf8Error};

use smallvec::SmallVec;
use wide::u8x16;

/// Runs are looked for in steps of this length, so that what is kept of one at each end is at least
/// as long.
const BLOCK_BYTES: usize = 1024;
/// Shorter ones are not worth it.
const MIN_RUN_BLOCKS: usize = 8;
/// Length of the beginning of a block that shows of most blocks that they are no part of a run.
const PROBE_BYTES: usize = 32;

/// A body without the middle of its long runs: stretches of bytes that are all inside one string,
/// number or word. What is taken out of the middle of one changes that value and nothing around it.
/// A value that was cut is of no interest: names, ids and options are shorter than what is kept of
/// it.
#[derive(Debug)]
pub struct Excerpt<'b> {
    parts: SmallVec<[&'b [u8]; 1]>,
    kept: Cow<'b, str>,
    /// The places in the body of what was left out.
    cuts: Vec<Range<usize>>,
}

impl<'b> Excerpt<'b> {
    /// Makes the excerpt of a body in one part or several, which runs are looked for within.
    ///
    /// # Errors
    /// If the body is not UTF-8. A run has ASCII characters only and borders on such, so what is
    /// kept of the body is UTF-8 just where the body is.
    pub fn of(parts: impl IntoIterator<Item = &'b [u8]>) -> Result<Self, Utf8Error> {
        let parts: SmallVec<[_; 1]> = parts.into_iter().collect();
        let mut cuts = Vec::new();
        let mut before = 0;
        for part in &parts {
            cuts.extend(
                middles_of_runs(part).map(|middle| before + middle.start..before + middle.end),
            );
            before += part.len();
        }
        let kept = match &parts[..] {
            [] => Cow::default(),
            [whole] if cuts.is_empty() => Cow::Borrowed(std::str::from_utf8(whole)?),
            parts => {
                let kept = String::from_utf8(without(parts, &cuts));
                Cow::Owned(kept.map_err(|error| error.utf8_error())?)
            }
        };
        Ok(Self { parts, kept, cuts })
    }

    /// Returns the excerpt, which is JSON if the body is.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.kept
    }

    /// Returns the lengths in bytes of what was left out.
    pub fn left_out(&self) -> impl Iterator<Item = usize> {
        self.cuts.iter().map(Range::len)
    }

    /// Returns a copy of the body as it came.
    pub fn whole(&self) -> Vec<u8> {
        self.parts.concat()
    }

    /// Returns the place in the body for a place between two values of [`json`](Self::json).
    pub fn place(&self, mut place: usize) -> usize {
        for cut in &self.cuts {
            if place <= cut.start {
                break;
            }
            place += cut.len();
        }
        place
    }
}

/// Finds what is left out of each long run: all but its first block and its last.
fn middles_of_runs(part: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut blocks = part.chunks_exact(BLOCK_BYTES).enumerate();
    std::iter::from_fn(move || {
        loop {
            let (first, _) = blocks.find(|(_, block)| is_of_run(block) && is_of_string(block))?;
            let more = blocks.by_ref().take_while(|(_, block)| is_of_run(block));
            let run = first..first + 1 + more.count();
            if run.len() >= MIN_RUN_BLOCKS {
                return Some((run.start + 1) * BLOCK_BYTES..(run.end - 1) * BLOCK_BYTES);
            }
        }
    })
}

/// The bytes of all parts but for the cuts, none of which goes from one part into the next.
fn without(parts: &[&[u8]], cuts: &[Range<usize>]) -> Vec<u8> {
    let all: usize = parts.iter().map(|part| part.len()).sum();
    let mut kept = Vec::with_capacity(all - cuts.iter().map(Range::len).sum::<usize>());
    let mut cuts = cuts.iter().peekable();
    let mut before = 0;
    for part in parts {
        let mut from = 0;
        while let Some(cut) = cuts.next_if(|cut| cut.start < before + part.len()) {
            kept.extend_from_slice(&part[from..cut.start - before]);
            from = cut.end - before;
        }
        kept.extend_from_slice(&part[from..]);
        before += part.len();
    }
    kept
}

/// Outside strings only a number is as long as a block, and must not be cut: what is left of it, or
/// of what a lenient reader takes for more than a number, could be another thing. With this block
/// kept, the excerpt is JSON just where the body is.
fn is_of_string(block: &[u8]) -> bool {
    let is_of_word = |byte: &u8| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E');
    block.iter().any(is_of_word)
}

/// Returns whether all bytes are such that neither a string nor a number, a word, a list or an
/// object begins or ends in them: base64 in both its alphabets, and what lies between their letters
/// in ASCII. No quote, backslash, comma, bracket, white space or control character, and nothing
/// that is not ASCII.
fn is_of_run(block: &[u8]) -> bool {
    let (probe, _) = block.split_at(PROBE_BYTES);
    are_inner(probe) && are_inner(block)
}

/// Returns whether all bytes may be in a run.
fn are_inner(bytes: &[u8]) -> bool {
    let (vectors, rest) = bytes.as_chunks::<16>();
    let (fours, others) = vectors.as_chunks::<4>();
    let mut extremes = Extremes::default();
    // Four a turn, because the turn costs as much as a vector.
    for [first, second, third, fourth] in fours {
        extremes.take(*first);
        extremes.take(*second);
        extremes.take(*third);
        extremes.take(*fourth);
    }
    for vector in others {
        extremes.take(*vector);
    }
    extremes.are_inner() && rest.iter().all(|byte| is_inner(*byte))
}

fn is_inner(byte: u8) -> bool {
    matches!(byte, b'+'..=b'z') && !matches!(byte, b',' | b'[' | b'\\' | b']')
}

/// Minima and maxima over all vectors, place by place: a few instructions for sixteen bytes. The compiler
/// would find them by itself only if link-time optimisation were set to speed.
struct Extremes {
    lowest: u8x16,
    highest: u8x16,
    /// The distance above a comma, modulo 256: what lies below it is far above.
    nearest_comma: u8x16,
    /// The distance above the first of `[\]`.
    nearest_bracket: u8x16,
}

impl Default for Extremes {
    fn default() -> Self {
        Self {
            lowest: u8x16::splat(u8::MAX),
            highest: u8x16::splat(u8::MIN),
            nearest_comma: u8x16::splat(u8::MAX),
            nearest_bracket: u8x16::splat(u8::MAX),
        }
    }
}

impl Extremes {
    #[inline]
    fn take(&mut self, vector: [u8; 16]) {
        let vector = u8x16::new(vector);
        self.lowest = self.lowest.min(vector);
        self.highest = self.highest.max(vector);
        self.nearest_comma = self.nearest_comma.min(vector - u8x16::splat(b','));
        self.nearest_bracket = self.nearest_bracket.min(vector - u8x16::splat(b'['));
    }

    fn are_inner(&self) -> bool {
        let are_at_least = |values: u8x16, least| values.max(u8x16::splat(least)) == values;
        are_at_least(self.lowest, b'+')
            && self.highest.min(u8x16::splat(b'z')) == self.highest
            && are_at_least(self.nearest_comma, 1)
            && are_at_least(self.nearest_bracket, b']' - b'[' + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Length of what is kept of a long run at each end.
    const KEPT_BYTES: usize = BLOCK_BYTES;

    #[test]
    fn every_byte_is_told_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..100 {
                let mut bytes = [b'a'; 100];
                bytes[place] = byte;
                assert_eq!(are_inner(&bytes), is_inner(byte), "{byte} at {place}");
            }
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let run = ("[A-Za-z0-9+/=_.:-]", 0..20_000_usize).prop_map(|(text, n)| text.repeat(n));
        let text = ("[a, \"\\\\\n\u{e9}\u{1f600}\\[\\]{}]{1,3}", 0..3_000_usize);
        let text = text.prop_map(|(text, n)| text.repeat(n));
        let text = prop_oneof![
            run.clone(),
            text.clone(),
            (run, text).prop_map(|(a, b)| a + &b)
        ];
        let leaf = prop_oneof![
            text.clone().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            Just(Value::Null)
        ];
        leaf.prop_recursive(3, 8, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"]{0,4}", inner, 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    /// Returns whether two texts differ in the middle of long runs only.
    fn is_shortened(kept: &str, whole: &str) -> bool {
        kept == whole
            || whole.len() > MIN_RUN_BLOCKS * BLOCK_BYTES
                && kept.len() >= 2 * KEPT_BYTES
                && kept.len() < whole.len()
                && whole.starts_with(&kept[..KEPT_BYTES.min(kept.len())])
    }

    fn says_the_same(kept: &Value, whole: &Value) -> bool {
        match (kept, whole) {
            (Value::String(kept), Value::String(whole)) => is_shortened(kept, whole),
            (Value::Array(kept), Value::Array(whole)) => {
                kept.len() == whole.len()
                    && kept
                        .iter()
                        .zip(whole)
                        .all(|(kept, whole)| says_the_same(kept, whole))
            }
            (Value::Object(kept), Value::Object(whole)) => {
                kept.len() == whole.len()
                    && kept
                        .iter()
                        .zip(whole)
                        .all(|((name, kept), (whole_name, whole))| {
                            name == whole_name && says_the_same(kept, whole)
                        })
            }
            _ => kept == whole,
        }
    }

    #[test]
    fn little_of_a_picture_is_kept() {
        let picture = "iVBORw0KGgo".repeat(100_000);
        let body = format!(r#"{{"image_url":"data:image/png;base64,{picture}"}}"#);
        let excerpt = Excerpt::of([body.as_bytes()]).unwrap();
        assert!(excerpt.json().len() < 5 * KEPT_BYTES);
    }

    #[test]
    fn a_byte_that_may_end_a_value_is_not_part_of_a_run() {
        for byte in 0..=u8::MAX {
            let separates = byte <= b' ' || !byte.is_ascii() || br#""'#*\,[]{}"#.contains(&byte);
            let of_base64 = byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte);
            for place in [0, PROBE_BYTES, BLOCK_BYTES - 1] {
                let mut block = [b'A'; BLOCK_BYTES];
                block[place] = byte;
                let is_of_run = is_of_run(&block);
                assert!(!(is_of_run && separates), "{byte}");
                assert!(is_of_run || !of_base64, "{byte}");
            }
        }
    }

    fn is_json(json: &[u8]) -> bool {
        serde_json::from_slice::<serde::de::IgnoredAny>(json).is_ok()
    }

    #[test]
    fn shortening_keeps_the_validity_of_json() {
        let digits = "1".repeat(MIN_RUN_BLOCKS * BLOCK_BYTES);
        let some = &digits[..BLOCK_BYTES - 1];
        // Without its middle the first ends in a point, and an exponent follows. The others are
        // members, or the beginning of some, to lenient readers.
        for (value, is_number) in [
            (format!("{some}.{digits}e5{some}"), true),
            (
                format!("{digits};previous_response_id=x;stream=true;y={digits}"),
                false,
            ),
            (format!("{digits}//{digits}"), false),
        ] {
            // A block may begin at any byte of the value: every place near the ends of a block,
            // some of those between.
            let between = (64..BLOCK_BYTES - 64).step_by(13);
            for blanks in (0..64).chain(between).chain(BLOCK_BYTES - 64..BLOCK_BYTES) {
                let body = format!("{{\"file_id\":\"x\",\"y\":{}{value}}}", " ".repeat(blanks));
                let excerpt = Excerpt::of([body.as_bytes()]).unwrap();
                assert_eq!(is_json(excerpt.json().as_bytes()), is_number);
            }
        }
    }

    proptest! {
        #[test]
        fn an_excerpt_is_json_if_and_only_if_the_body_is(
            blanks in 0..2 * BLOCK_BYTES,
            stretches in prop::collection::vec(("[1.eEAt:;/,\" -]", 1..12_000_usize), 1..5),
            ones in prop::collection::vec(0..2_000_usize, 5),
            quote in prop_oneof![Just(""), Just("\"")],
        ) {
            let value: String = stretches
                .iter()
                .zip(ones)
                .map(|((text, times), ones)| text.repeat(*times) + &"1".repeat(ones) + text + &"1".repeat(ones))
                .collect();
            let body = format!("{{\"x\":{}{quote}{value}{quote}}}", " ".repeat(blanks));
            let excerpt = Excerpt::of([body.as_bytes()]).unwrap();
            prop_assert_eq!(is_json(excerpt.json().as_bytes()), is_json(body.as_bytes()));
        }

        #[test]
        fn an_excerpt_equals_the_body_except_for_long_strings(value in any_value(), split: prop::sample::Index) {
            let whole = value.to_string();
            let (first, second) = whole.as_bytes().split_at(split.index(whole.len()));
            let excerpt = Excerpt::of([first, second]).unwrap();
            let kept: Value = serde_json::from_str(excerpt.json()).unwrap();
            prop_assert!(says_the_same(&kept, &value), "{kept}");
        }

        #[test]
        fn an_excerpt_is_utf_8_if_and_only_if_the_body_is(
            pieces in prop::collection::vec(
                (prop::sample::select(vec![&b"A"[..], b"\xc3\xa9", b"\xc3", b"\xff", b"\xe6\x97\xa5"]), 0..12_000_usize),
                1..5,
            ),
            split: prop::sample::Index,
        ) {
            let piece = |(bytes, times): &(&[u8], usize)| bytes.repeat(if bytes == b"A" { *times } else { times % 3 });
            let whole: Vec<u8> = pieces.iter().flat_map(piece).collect();
            let (first, second) = whole.split_at(split.index(whole.len() + 1));
            let is_utf_8 = std::str::from_utf8(&whole).is_ok();
            prop_assert_eq!(Excerpt::of([first, second]).is_ok(), is_utf_8);
            prop_assert_eq!(Excerpt::of([&whole[..]]).is_ok(), is_utf_8);
        }

        #[test]
        fn each_place_maps_back_to_the_body(parts in prop::collection::vec((0..20_000_usize, 0..2_000_usize), 0..4)) {
            let parts: Vec<Vec<u8>> = parts
                .iter()
                .zip(b'a'..)
                .map(|((run, rest), letter)| [vec![letter; *run], vec![b' '; *rest]].concat())
                .collect();
            let whole = parts.concat();
            let excerpt = Excerpt::of(parts.iter().map(AsRef::as_ref)).unwrap();
            prop_assert_eq!(excerpt.whole(), &whole[..]);
            for (place, byte) in excerpt.json().bytes().enumerate() {
                let is_cut = excerpt.cuts.iter().any(|cut| cut.start == excerpt.place(place));
                prop_assert!(is_cut || whole[excerpt.place(place)] == byte);
            }
            prop_assert_eq!(excerpt.place(excerpt.json().len()), whole.len());
        }
    }
}

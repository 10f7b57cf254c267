//! A body as far as it must be read: nearly all of a picture is base64, in which nothing begins and nothing ends, and reading
//! it as JSON took a fifth of such a request's time.

use std::{borrow::Cow, ops::Range};

/// Runs are looked for in steps of this length, so that what is kept of one at each end is at least as long.
const BLOCK_BYTES: usize = 1024;
/// Shorter ones are not worth it.
const MIN_RUN_BLOCKS: usize = 8;
/// What shows of most blocks that they are no part of a run.
const PROBE_BYTES: usize = 32;

/// A body without the middle of its long runs: stretches of bytes that are all inside one string, number or word. What is
/// taken out of the middle of one changes that value and nothing around it. A value that was cut is of no interest: names,
/// ids and options are shorter than what is kept of it.
#[derive(Debug)]
pub struct Excerpt<'b> {
    whole: &'b [u8],
    kept: Cow<'b, [u8]>,
    cuts: Vec<Cut>,
}

/// Bytes that were taken out.
#[derive(Debug)]
struct Cut {
    /// Where they would stand in what is kept.
    at: usize,
    length: usize,
}

impl<'b> Excerpt<'b> {
    #[must_use]
    pub fn of(whole: &'b [u8]) -> Self {
        let mut excerpt = Self {
            whole,
            kept: Cow::Borrowed(whole),
            cuts: Vec::new(),
        };
        let mut kept_to = 0;
        let mut blocks = whole.chunks_exact(BLOCK_BYTES).enumerate();
        while let Some((first, _)) = blocks.find(|(_, block)| is_of_run(block)) {
            let more = blocks.by_ref().take_while(|(_, block)| is_of_run(block));
            let run = first..first + 1 + more.count();
            if run.len() >= MIN_RUN_BLOCKS {
                let middle = (run.start + 1) * BLOCK_BYTES..(run.end - 1) * BLOCK_BYTES;
                excerpt.cut(kept_to, &middle);
                kept_to = middle.end;
            }
        }
        if let Cow::Owned(kept) = &mut excerpt.kept {
            kept.extend_from_slice(&whole[kept_to..]);
        }
        excerpt
    }

    /// Keeps what stands before some bytes, and leaves these out.
    fn cut(&mut self, kept_to: usize, bytes: &Range<usize>) {
        if self.cuts.is_empty() {
            self.kept = Cow::Owned(Vec::new());
        }
        let kept = self.kept.to_mut();
        kept.extend_from_slice(&self.whole[kept_to..bytes.start]);
        self.cuts.push(Cut {
            at: kept.len(),
            length: bytes.len(),
        });
    }

    /// JSON if the body is.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.kept
    }

    /// The body as it came.
    pub(super) fn whole(&self) -> &'b [u8] {
        self.whole
    }

    /// Where something that stands between two values of [`json`](Self::json) stands in the body.
    pub(super) fn place(&self, place: usize) -> usize {
        let before = self.cuts.iter().take_while(|cut| cut.at < place);
        place + before.map(|cut| cut.length).sum::<usize>()
    }
}

/// Whether all bytes are such that neither a string nor a number, a word, a list or an object begins or ends in them.
fn is_of_run(block: &[u8]) -> bool {
    // Without branches, so that it is compiled to whole registers.
    let all = |bytes: &[u8]| bytes.iter().fold(true, |all, byte| all & is_inner(*byte));
    all(&block[..PROBE_BYTES]) && all(block)
}

/// Base64 in both alphabets, and what lies between their letters in ASCII: no quote, backslash, comma, bracket, white space,
/// control character, and nothing that is not ASCII.
fn is_inner(byte: u8) -> bool {
    byte == b'+' || matches!(byte, b'-'..=b'Z') || matches!(byte, b'^'..=b'z')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// What is kept of a long run at each end.
    const KEPT_BYTES: usize = BLOCK_BYTES;

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
                prop::collection::btree_map(text.clone(), inner, 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    /// Whether a text is another one, but for the middle of long runs.
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
                            is_shortened(name, whole_name) && says_the_same(kept, whole)
                        })
            }
            _ => kept == whole,
        }
    }

    #[test]
    fn of_a_picture_little_is_kept() {
        let picture = "iVBORw0KGgo".repeat(100_000);
        let body = format!(r#"{{"image_url":"data:image/png;base64,{picture}"}}"#);
        assert!(Excerpt::of(body.as_bytes()).json().len() < 5 * KEPT_BYTES);
    }

    #[test]
    fn what_may_end_a_value_is_no_part_of_a_run() {
        for byte in 0..=u8::MAX {
            let separates = byte <= b' ' || !byte.is_ascii() || br#""\,[]{}"#.contains(&byte);
            assert!(!(is_inner(byte) && separates), "{byte}");
            assert_eq!(is_of_run(&[byte; BLOCK_BYTES]), is_inner(byte), "{byte}");
            let mut block = [b'A'; BLOCK_BYTES];
            block[BLOCK_BYTES - 1] = byte;
            assert_eq!(is_of_run(&block), is_inner(byte), "{byte}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_says_the_same_but_for_what_is_long(value in any_value()) {
            let whole = value.to_string();
            let excerpt = Excerpt::of(whole.as_bytes());
            let kept: Value = serde_json::from_slice(excerpt.json()).unwrap();
            prop_assert!(says_the_same(&kept, &value), "{kept}");
        }

        #[test]
        fn each_place_is_found_again(parts in prop::collection::vec((0..20_000_usize, 0..2_000_usize), 0..4)) {
            let whole: String = parts.iter().map(|(run, rest)| "A".repeat(*run) + &" ".repeat(*rest)).collect();
            let excerpt = Excerpt::of(whole.as_bytes());
            for (place, byte) in excerpt.json().iter().enumerate() {
                let is_cut = excerpt.cuts.iter().any(|cut| cut.at == place);
                prop_assert!(is_cut || whole.as_bytes()[excerpt.place(place)] == *byte);
            }
            prop_assert_eq!(excerpt.place(excerpt.json().len()), whole.len());
        }
    }
}

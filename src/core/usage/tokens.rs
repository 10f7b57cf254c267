//! Tokens of a text: by the byte-pair encoding of the model, or by a rule of thumb where there is
//! no time for that.

use std::cell::OnceCell;

use tiktoken::CoreBpe;

use super::{strings::TextSink, text::Text};

/// The longest piece in which a text is counted. The time for one unbroken run of letters or spaces
/// grows faster than the run (n log n), and so does its memory. A cut costs a token at most, one in
/// 4,000.
const MAX_PIECE_BYTES: usize = 16 * 1024;
/// Length of the end of a piece in which the beginning of a word is looked for, so that most cuts
/// cost no token.
const MAX_BACK_BYTES: usize = 256;
/// Length of the beginning of a text that is counted completely, some 115,000 tokens of English. Of
/// the rest, evenly spread pieces are counted that together have about this length again. Measured,
/// release build: 2 ms for a MiB of English, 0.15 s of spaces or of one letter, 1.1 s of random
/// characters of all scripts, which is the worst that was found, and the most that a request costs.
const WHOLE_BYTES: u64 = 512 * 1024;

/// Bytes per token if nothing but the length is known.
const BYTES_PER_TOKEN: u64 = 4;
/// The rule of thumb, in twentieths of a token, by the number of bytes that UTF-8 needs for the
/// character: per token about four ASCII characters, two and a half of Cyrillic, Greek, Arabic and
/// the like, one and a quarter of Chinese, Japanese, Korean; an emoji is one and a half tokens.
const WEIGHT_BY_UTF8_LEN: [u64; 5] = [0, 5, 8, 16, 30];
const UNITS_PER_TOKEN: u64 = 20;

thread_local! {
    /// The vocabulary, which the first count loads in 60 ms and the end of the counting thread
    /// frees. Measured: 36 MB for the first one, 52 MB for both, while a server is under way.
    static O200K: OnceCell<CoreBpe> = const { OnceCell::new() };
    static CL100K: OnceCell<CoreBpe> = const { OnceCell::new() };
}

/// A way to count tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokenizer {
    /// The encoding of GPT-4o and everything later, and the nearest one for other vendors' models.
    O200k,
    /// The encoding of GPT-4, GPT-3.5 and the embedding models.
    Cl100k,
    /// A fast estimate by the characters, which is off by a third at times.
    RuleOfThumb,
}

impl Tokenizer {
    /// Returns the tokenizer of the model that was asked for or, if that name is unknown, of the
    /// one that answered.
    #[must_use]
    pub fn of_models(asked: &str, served: Option<&str>) -> Self {
        Self::of_model(asked)
            .or_else(|| Self::of_model(served?))
            .unwrap_or(Self::O200k)
    }

    /// Returns the encoding that OpenAI's own tokenizer assigns by the beginning of a name
    /// (tiktoken, `model.py`).
    fn of_model(name: &str) -> Option<Self> {
        // `openai/gpt-4o` of the gateways, `ft:gpt-4o:org::id` of fine-tuned ones.
        let name = name.strip_prefix("ft:").unwrap_or(name);
        let name = name.rsplit('/').next().unwrap_or(name);
        let begins = |with: &[&str]| {
            with.iter().any(|beginning| {
                name.get(..beginning.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(beginning))
            })
        };
        let o200k = [
            "gpt-4o", "gpt-4.", "gpt-5", "gpt-oss", "chatgpt-", "o1", "o3", "o4",
        ];
        let cl100k = [
            "gpt-4",
            "gpt-3.5",
            "gpt-35",
            "text-embedding-",
            "davinci-002",
            "babbage-002",
        ];
        if begins(&o200k) {
            Some(Self::O200k)
        } else if begins(&cl100k) {
            Some(Self::Cl100k)
        } else {
            None
        }
    }

    /// Returns the tokens in a mebibyte of text like this; `None` for no text.
    #[must_use]
    pub fn tokens_per_mebibyte(self, sample: &str) -> Option<u64> {
        if sample.is_empty() {
            return None;
        }
        Some((self.count(sample) << 20) / sample.len() as u64)
    }

    pub(super) fn count(self, piece: &str) -> u64 {
        let (vocabulary, load): (_, fn() -> CoreBpe) = match self {
            Self::O200k => (&O200K, tiktoken::encoding::o200k_base),
            Self::Cl100k => (&CL100K, tiktoken::encoding::cl100k_base),
            Self::RuleOfThumb => return weigh(piece),
        };
        vocabulary.with(|vocabulary| vocabulary.get_or_init(load).count(piece) as u64)
    }

    /// Counts the tokens of a stream's text.
    #[must_use]
    pub(super) fn count_stream(self, text: &Text) -> u64 {
        let mut tally = Tally::new(self, text.kept().len() as u64);
        tally.text(text.kept());
        tally.skip(text.further_bytes());
        tally
            .total()
            .saturating_add(text.media_tokens())
            .saturating_add(by_length(text.unread_bytes()))
    }
}

/// Returns the tokens of bytes that could not be read.
pub(super) fn by_length(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

fn weigh(text: &str) -> u64 {
    let units: u64 = if text.is_ascii() {
        text.len() as u64 * WEIGHT_BY_UTF8_LEN[1]
    } else {
        text.chars().map(|c| WEIGHT_BY_UTF8_LEN[c.len_utf8()]).sum()
    };
    units.div_ceil(UNITS_PER_TOKEN)
}

/// Counts strings, each for itself.
pub(super) struct Tally {
    tokenizer: Tokenizer,
    /// Beyond the part that is counted completely, one piece in this many is counted.
    stride: u64,
    pieces: u64,
    tokens: u64,
    whole: Sample,
    spread: Sample,
    skipped_bytes: u64,
}

/// Counted text, from which the tokens of skipped text are extrapolated.
#[derive(Default)]
struct Sample {
    bytes: u64,
    tokens: u64,
}

impl Tally {
    /// Creates a tally for strings that have at most `total_bytes` together.
    pub(super) fn new(tokenizer: Tokenizer, total_bytes: u64) -> Self {
        Self {
            tokenizer,
            stride: total_bytes.div_ceil(WHOLE_BYTES).max(1),
            pieces: 0,
            tokens: 0,
            whole: Sample::default(),
            spread: Sample::default(),
            skipped_bytes: 0,
        }
    }

    /// Adds text that cannot be counted because it was not kept.
    fn skip(&mut self, bytes: u64) {
        self.skipped_bytes = self.skipped_bytes.saturating_add(bytes);
    }

    pub(super) fn total(&self) -> u64 {
        let sample = if self.spread.bytes > 0 {
            &self.spread
        } else {
            &self.whole
        };
        let skipped = if sample.bytes == 0 {
            by_length(self.skipped_bytes)
        } else {
            let product = u128::from(self.skipped_bytes) * u128::from(sample.tokens);
            u64::try_from(product.div_ceil(u128::from(sample.bytes))).unwrap_or(u64::MAX)
        };
        self.tokens.saturating_add(skipped)
    }
}

impl TextSink for Tally {
    fn text(&mut self, text: &str) {
        for piece in pieces(text) {
            let bytes = piece.len() as u64;
            let sample = if self.whole.bytes < WHOLE_BYTES {
                &mut self.whole
            } else {
                self.pieces += 1;
                if !self.pieces.is_multiple_of(self.stride) {
                    self.skipped_bytes += bytes;
                    continue;
                }
                &mut self.spread
            };
            let tokens = self.tokenizer.count(piece);
            sample.bytes += bytes;
            sample.tokens += tokens;
            self.tokens = self.tokens.saturating_add(tokens);
        }
    }

    fn tokens(&mut self, count: u64) {
        self.tokens = self.tokens.saturating_add(count);
    }
}

/// Cuts a text into pieces, before a word if one begins near the end of a piece.
fn pieces(mut rest: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut cut = rest.floor_char_boundary(MAX_PIECE_BYTES);
        if cut < rest.len() {
            let back = rest.floor_char_boundary(cut - MAX_BACK_BYTES);
            cut = rest[back..cut].rfind(' ').map_or(cut, |space| back + space);
        }
        let (piece, after) = rest.split_at(cut);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::samples::SAMPLES;
    use proptest::prelude::*;

    fn total(tokenizer: Tokenizer, text: &str) -> u64 {
        let mut tally = Tally::new(tokenizer, text.len() as u64);
        tally.text(text);
        tally.total()
    }

    fn is_within_5_percent(count: u64, truth: u64) -> bool {
        count.abs_diff(truth) * 20 <= truth
    }

    #[test]
    fn every_sample_is_counted_as_other_tokenizers_count_it() {
        for sample in &SAMPLES {
            assert_eq!(
                total(Tokenizer::O200k, sample.text),
                sample.o200k,
                "{}",
                sample.name
            );
            assert_eq!(
                total(Tokenizer::Cl100k, sample.text),
                sample.cl100k,
                "{}",
                sample.name
            );
        }
    }

    #[test]
    fn a_long_text_is_counted_within_5_percent_however_long_it_is() {
        // Longer than a piece, than what is counted completely, and many times that.
        for bytes in [100_000, 2_000_000, 9_000_000] {
            for sample in &SAMPLES {
                let times = bytes / sample.text.len() / SAMPLES.len();
                let text = format!("{}\n", sample.text).repeat(times.max(2));
                let once = sample.o200k + 1;
                let count = total(Tokenizer::O200k, &text);
                let truth = once * times.max(2) as u64;
                assert!(
                    is_within_5_percent(count, truth),
                    "{}: {count}, {truth}",
                    sample.name
                );
            }
        }
    }

    #[test]
    fn a_text_of_many_languages_is_counted_within_5_percent() {
        let paragraphs: String = SAMPLES
            .iter()
            .map(|sample| format!("{}\n\n", sample.text).repeat(400))
            .collect();
        let truth: u64 = SAMPLES.iter().map(|sample| 400 * (sample.o200k + 1)).sum();
        let count = total(Tokenizer::O200k, &paragraphs);
        assert!(paragraphs.len() as u64 > 2 * WHOLE_BYTES);
        assert!(is_within_5_percent(count, truth), "{count}, {truth}");
    }

    #[test]
    fn text_beyond_the_kept_part_of_a_stream_counts_alike() {
        for sample in &SAMPLES {
            let mut text = Text::default();
            let times = 200_000 / sample.text.len() as u64;
            for _ in 0..times {
                text.text(sample.text);
                text.text("\n");
            }
            let truth = times * (sample.o200k + 1);
            let count = Tokenizer::O200k.count_stream(&text);
            assert!(
                is_within_5_percent(count, truth),
                "{}: {count}, {truth}",
                sample.name
            );
        }
    }

    #[test]
    fn the_encoding_follows_the_requested_or_the_served_model() {
        use Tokenizer::*;
        for (asked, served, expected) in [
            ("gpt-4o-mini", None, O200k),
            ("gpt-4.1", None, O200k),
            ("gpt-5-nano", Some("gpt-4-0613"), O200k),
            ("o3", None, O200k),
            ("chatgpt-4o-latest", None, O200k),
            ("openai/gpt-oss-120b", None, O200k),
            ("gpt-4", None, Cl100k),
            ("gpt-4-turbo", Some("gpt-4o"), Cl100k),
            ("GPT-3.5-Turbo", None, Cl100k),
            ("ft:gpt-3.5-turbo-0125:org::id", None, Cl100k),
            ("ft:gpt-4o:org::id", None, O200k),
            ("azure/gpt-35-turbo", None, Cl100k),
            ("text-embedding-3-small", None, Cl100k),
            ("our-alias", Some("gpt-4-0613"), Cl100k),
            ("meta-llama/Llama-3.1-8B", Some("llama"), O200k),
            ("", None, O200k),
            ("gpt-é", None, O200k),
        ] {
            assert_eq!(
                Tokenizer::of_models(asked, served),
                expected,
                "{asked} {served:?}"
            );
        }
    }

    #[test]
    fn no_run_without_a_break_costs_more_than_its_length() {
        let random = |seed: u32, make: fn(u32) -> char| {
            let mut state = seed;
            let mut next = move || {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state
            };
            (0..60_000).map(|_| make(next())).collect::<String>()
        };
        for text in [
            "a".repeat(200_000),
            " ".repeat(200_000),
            "\n".repeat(200_000),
            "漢".repeat(60_000),
            "e\u{301}".repeat(60_000),
            random(1, |n| char::from_u32(0x4e00 + n % 20_000).unwrap_or('x')),
            random(2, |n| char::from_u32(n % 0x11_0000).unwrap_or('x')),
        ] {
            let started = std::time::Instant::now();
            let count = total(Tokenizer::O200k, &text);
            let took = started.elapsed();
            assert!(count > 0 && count <= text.len() as u64);
            // Unoptimised, on a busy machine; were it quadratic, minutes.
            assert!(
                took < std::time::Duration::from_secs(10),
                "{took:?} for {:?}",
                text.chars().next()
            );
        }
    }

    #[test]
    fn pieces_are_short_whole_and_begin_with_words() {
        let text = "some words ".repeat(10_000);
        let cut: Vec<&str> = pieces(&text).collect();
        assert_eq!(cut.concat(), text);
        assert!(cut.iter().all(|piece| piece.len() <= MAX_PIECE_BYTES));
        assert!(cut[1..].iter().all(|piece| piece.starts_with(' ')));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_has_a_count(text in "\\PC{0,60}", repeat in 1usize..300) {
            let text = text.repeat(repeat);
            prop_assert_eq!(pieces(&text).collect::<String>(), text.clone());
            for tokenizer in [Tokenizer::O200k, Tokenizer::Cl100k, Tokenizer::RuleOfThumb] {
                // No token is shorter than a byte.
                prop_assert!(tokenizer == Tokenizer::RuleOfThumb || total(tokenizer, &text) <= text.len() as u64);
                prop_assert_eq!(total(tokenizer, &text) == 0, text.is_empty());
            }
        }
    }
}

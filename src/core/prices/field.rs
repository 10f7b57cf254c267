//! The grammar of the names that prices have in LiteLLM's file: what is priced, from which length
//! of the input on, and for which class of service. `input_cost_per_token_above_272k_tokens_flex`
//! is the price of input tokens, above 272,000 tokens of input, for the tier `flex`.
//!
//! Names that are not of this grammar, such as `ocr_cost_per_page`, price what the ledger does not
//! count.

use std::fmt::Write as _;

/// The word of the tier that batches have.
pub const BATCHES: &str = "batches";

/// The name of a price, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field {
    pub stem: Stem,
    /// The price holds if the input has more tokens than this; 0 if it has no threshold.
    pub above_tokens: u32,
    /// The class of service, or `batches`.
    pub tier: Option<Box<str>>,
}

macro_rules! stems {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What a price is for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Stem {
            $($(#[$doc])* $name,)*
        }

        impl Stem {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the name of the price without threshold and tier.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

stems! {
    Input = "input_cost_per_token",
    Output = "output_cost_per_token",
    CacheRead = "cache_read_input_token_cost",
    /// DeepSeek's name for [`Stem::CacheRead`], which goes before it.
    CacheHit = "input_cost_per_token_cache_hit",
    CacheReadAudio = "cache_read_input_audio_token_cost",
    CacheReadImage = "cache_read_input_image_token_cost",
    CacheWrite = "cache_creation_input_token_cost",
    CacheWrite1h = "cache_creation_input_token_cost_above_1hr",
    /// The price of OpenAI's long-lived cache. A model has this one or the one for an hour.
    CacheWrite12h = "cache_creation_input_token_cost_above_12hr",
    Reasoning = "output_cost_per_reasoning_token",
    AudioInput = "input_cost_per_audio_token",
    ImageInput = "input_cost_per_image_token",
    AudioOutput = "output_cost_per_audio_token",
    ImageOutput = "output_cost_per_image_token",
    InputSecond = "input_cost_per_second",
    OutputSecond = "output_cost_per_second",
    InputAudioSecond = "input_cost_per_audio_per_second",
    InputImage = "input_cost_per_image",
    OutputImage = "output_cost_per_image",
    InputRequest = "input_cost_per_request",
    OutputRequest = "output_cost_per_request",
    InputQuery = "input_cost_per_query",
    /// The ledger counts no characters; it is kept so that a price shows whole.
    InputCharacter = "input_cost_per_character",
    OutputCharacter = "output_cost_per_character",
    /// An object of three sizes in LiteLLM's file, or one price.
    WebSearch = "search_context_cost_per_query",
    FileSearch1k = "file_search_cost_per_1k_calls",
    CodeSession = "code_interpreter_cost_per_session",
}

impl Stem {
    /// Returns whether the unit is a token, so that people read its price by the million.
    #[must_use]
    pub fn is_per_token(self) -> bool {
        self.as_str().contains("token")
    }
}

impl Field {
    #[must_use]
    pub const fn of(stem: Stem) -> Self {
        Self {
            stem,
            above_tokens: 0,
            tier: None,
        }
    }

    /// Takes a name apart; `None` for one that is not of the grammar. Threshold and tier may come
    /// in either order.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let stems = Stem::ALL.iter().filter_map(|stem| {
            let rest = name.strip_prefix(stem.as_str())?;
            (rest.is_empty() || rest.starts_with('_')).then_some((*stem, rest))
        });
        // `input_cost_per_image_token` is not the price of an image for the tier `token`.
        let (stem, mut rest) = stems.min_by_key(|(_, rest)| rest.len())?;
        let mut field = Self::of(stem);
        while let Some(suffix) = rest.strip_prefix('_') {
            if let Some((tokens, after)) = threshold(suffix) {
                if field.above_tokens != 0 {
                    return None;
                }
                field.above_tokens = tokens;
                rest = after;
            } else if let Some((tier, after)) = tier(suffix) {
                if field.tier.is_some() {
                    return None;
                }
                field.tier = Some(tier.into());
                rest = after;
            } else {
                return None;
            }
        }
        rest.is_empty().then_some(field)
    }

    /// Returns the name, with the threshold before the tier.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = self.stem.as_str().to_owned();
        match self.above_tokens {
            0 => {}
            tokens if tokens % 1000 == 0 => {
                let _ = write!(name, "_above_{}k_tokens", tokens / 1000);
            }
            tokens => {
                let _ = write!(name, "_above_{tokens}_tokens");
            }
        }
        if let Some(tier) = &self.tier {
            name.push('_');
            name.push_str(tier);
        }
        name
    }
}

/// Splits `above_272k_tokens` off. A threshold of 0 or of more than 2³² tokens is none.
fn threshold(text: &str) -> Option<(u32, &str)> {
    let text = text.strip_prefix("above_")?;
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u32 = text[..end].parse().ok()?;
    let (number, rest) = match text[end..].strip_prefix('k') {
        Some(rest) => (number.checked_mul(1000)?, rest),
        None => (number, &text[end..]),
    };
    let rest = rest.strip_prefix("_tokens")?;
    let is_end = rest.is_empty() || rest.starts_with('_');
    (number > 0 && is_end).then_some((number, rest))
}

/// Splits off the word of a tier. `720p` and `1K` are sizes of pictures, and no tiers.
fn tier(text: &str) -> Option<(&str, &str)> {
    let end = text.find('_').unwrap_or(text.len());
    let word = &text[..end];
    let is_word = word.starts_with(|c: char| c.is_ascii_lowercase())
        && word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (is_word && word != "above").then_some((word, &text[end..]))
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(stem: Stem, above_tokens: u32, tier: Option<&str>) -> Field {
        Field {
            stem,
            above_tokens,
            tier: tier.map(Into::into),
        }
    }

    #[test]
    fn a_name_is_taken_apart() {
        use Stem::*;
        for (name, expected) in [
            ("input_cost_per_token", field(Input, 0, None)),
            ("input_cost_per_token_cache_hit", field(CacheHit, 0, None)),
            ("input_cost_per_image", field(InputImage, 0, None)),
            ("input_cost_per_image_token", field(ImageInput, 0, None)),
            (
                "input_cost_per_image_token_batches",
                field(ImageInput, 0, Some("batches")),
            ),
            (
                "cache_creation_input_token_cost_above_12hr_above_272k_tokens_flex",
                field(CacheWrite12h, 272_000, Some("flex")),
            ),
            (
                "cache_creation_input_token_cost_above_1hr_ultrafast",
                field(CacheWrite1h, 0, Some("ultrafast")),
            ),
            (
                "cache_creation_input_token_cost_above_100k_tokens",
                field(CacheWrite, 100_000, None),
            ),
            (
                "input_cost_per_token_priority_above_200k_tokens",
                field(Input, 200_000, Some("priority")),
            ),
            (
                "output_cost_per_token_above_128_tokens",
                field(Output, 128, None),
            ),
        ] {
            assert_eq!(Field::parse(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn a_name_of_another_grammar_is_unknown() {
        for name in [
            "",
            "_",
            "cost",
            "max_tokens",
            "ocr_cost_per_page",
            "input_cost_per_tokens",
            "input_cost_per_video_per_second_above_15s_interval",
            "output_cost_per_second_1080p",
            "output_cost_per_image_1K",
            "input_cost_per_token_",
            "input_cost_per_token__flex",
            "input_cost_per_token_flex_priority",
            "input_cost_per_token_above_flex",
            "input_cost_per_token_above_k_tokens",
            "input_cost_per_token_above_0k_tokens",
            "input_cost_per_token_above_4294968k_tokens",
            "input_cost_per_token_above_99999999999k_tokens",
            "input_cost_per_token_above_1k_tokens_above_2k_tokens",
            "cache_creation_input_token_cost_above_24hr",
        ] {
            assert_eq!(Field::parse(name), None, "{name}");
        }
    }

    pub fn any_field() -> impl Strategy<Value = Field> {
        let above = prop_oneof![
            Just(0),
            1..=u32::MAX,
            (1..4_000_000_u32).prop_map(|k| k * 1000)
        ];
        let tier = prop::option::of("[a-z][a-z0-9]{0,10}".prop_filter("reserved", |word| {
            !["above", "token", "cache"].contains(&word.as_str())
        }));
        (prop::sample::select(Stem::ALL), above, tier)
            .prop_map(|(stem, above, tier)| field(stem, above, tier.as_deref()))
    }

    proptest! {
        #[test]
        fn any_combination_has_one_meaning_in_either_order(any in any_field()) {
            let name = any.name();
            prop_assert_eq!(Field::parse(&name), Some(any.clone()), "{}", name);
            if let (Some(tier), 1..) = (&any.tier, any.above_tokens) {
                let plain = Field { tier: None, ..any.clone() }.name();
                let threshold = plain.strip_prefix(any.stem.as_str()).unwrap();
                let turned = format!("{}_{tier}{threshold}", any.stem.as_str());
                prop_assert_eq!(Field::parse(&turned), Some(any.clone()), "{}", turned);
            }
        }

        #[test]
        fn any_words_are_a_field_or_unknown(
            words in prop::collection::vec(prop::sample::select(vec![
                "input", "output", "cost", "per", "token", "cache", "read", "creation", "above",
                "272k", "1hr", "tokens", "flex", "image", "audio", "é", "", "0k", "second",
            ]), 0..9)
        ) {
            let name = words.join("_");
            if let Some(found) = Field::parse(&name) {
                prop_assert_eq!(Field::parse(&found.name()), Some(found));
            }
        }
    }
}

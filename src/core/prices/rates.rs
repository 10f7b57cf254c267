//! Which price counts for what, for one answer: the choice between the prices of a model by length
//! of the input, class of service and batch, and the price of what has none of its own.

use super::{
    field::{BATCHES, Stem},
    model_price::ModelPrice,
    tables::Provider,
};
use crate::model::ServiceTier;

/// A price of one unit in quarters of a femto-dollar: half the price of a batch, which is half the
/// ordinary one, is still whole.
pub type Rate = i128;

/// Quarters in a femto-dollar.
pub const QUARTERS: i128 = 4;

/// What distinguishes the prices of one model.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a> {
    /// All tokens of the input, cached or not.
    pub input_tokens: u64,
    pub tier: Option<&'a ServiceTier>,
    pub is_batch: bool,
}

/// The prices that count. `None` where the model has none that could.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    pub input: Option<Rate>,
    pub cached: Option<Rate>,
    pub cached_audio: Option<Rate>,
    pub cached_image: Option<Rate>,
    pub cache_write_5m: Option<Rate>,
    pub cache_write_1h: Option<Rate>,
    pub audio_input: Option<Rate>,
    pub image_input: Option<Rate>,
    pub output: Option<Rate>,
    pub reasoning: Option<Rate>,
    pub audio_output: Option<Rate>,
    pub image_output: Option<Rate>,
    /// A second of audio.
    pub second: Option<Rate>,
    pub image: Option<Rate>,
    /// The request itself.
    pub request: Option<Rate>,
    pub web_search: Option<Rate>,
    /// A thousand searches of files.
    pub file_search_1k: Option<Rate>,
    pub code_session: Option<Rate>,
}

/// Anthropic's price of a search of the web: 10 dollars a thousand with all models, some of which
/// LiteLLM's file has without it. OpenAI's differs from model to model, so that it has none here.
const ANTHROPIC_WEB_SEARCH: Rate = 10_000_000_000_000 * QUARTERS;
/// OpenAI's price of a thousand searches of files: 2.50 dollars with all models, which is why
/// models do not have it. LiteLLM's constant `OPENAI_FILE_SEARCH_COST_PER_1K_CALLS` says the same.
const OPENAI_FILE_SEARCH_1K: Rate = 2_500_000_000_000_000 * QUARTERS;
/// OpenAI's price of a container of the code interpreter: 0.03 dollars with all models. LiteLLM's
/// file has it as the entry `openai/container`.
const OPENAI_CODE_SESSION: Rate = 30_000_000_000_000 * QUARTERS;

/// A price that was chosen, and how closely it fits.
#[derive(Debug, Clone, Copy)]
struct Choice {
    rate: Rate,
    fit: (u32, bool),
}

impl Rates {
    /// Chooses the prices of a model.
    #[must_use]
    pub fn choose(price: &ModelPrice, conditions: Conditions<'_>) -> Self {
        let chosen = choose(price, conditions);
        let own = |stem: Stem| chosen[stem as usize].map(|choice| choice.rate);
        let by = |provider: Provider, rate: Rate| (price.provider() == provider).then_some(rate);

        let input = own(Stem::Input);
        // SPEC: cached input costs half where no price says otherwise. LiteLLM takes the whole.
        let half_input = input.map(|rate| rate / 2);
        let cached = own(Stem::CacheRead).or(own(Stem::CacheHit)).or(half_input);
        // Only Anthropic charges more for writing into a cache, and each of its models says so.
        let cache_write_5m = own(Stem::CacheWrite).or(input);
        // Anthropic's long-lived cache lives for an hour, OpenAI's for twelve.
        let long_write = own(Stem::CacheWrite1h).or(own(Stem::CacheWrite12h));
        // What only has pictures or sound as output: each token of it is of that kind.
        let output = own(Stem::Output)
            .or(own(Stem::ImageOutput))
            .or(own(Stem::AudioOutput));
        // A price of the tier or of long inputs goes before one of reasoning that is ordinary.
        let fit = |stem: Stem| chosen[stem as usize].map(|choice| choice.fit);
        let reasoning = own(Stem::Reasoning).filter(|_| fit(Stem::Reasoning) >= fit(Stem::Output));
        let second = own(Stem::OutputSecond)
            .filter(|rate| *rate > 0)
            .or(own(Stem::InputSecond))
            .or(own(Stem::InputAudioSecond))
            .or(own(Stem::OutputSecond));
        let requests = [Stem::InputRequest, Stem::OutputRequest, Stem::InputQuery];
        let request = requests
            .into_iter()
            .filter_map(own)
            .reduce(Rate::saturating_add);
        Self {
            input,
            cached,
            cached_audio: own(Stem::CacheReadAudio).or(cached),
            cached_image: own(Stem::CacheReadImage).or(cached),
            cache_write_5m,
            cache_write_1h: long_write.or(cache_write_5m),
            audio_input: own(Stem::AudioInput).or(input),
            image_input: own(Stem::ImageInput).or(input),
            output,
            reasoning: reasoning.or(output),
            audio_output: own(Stem::AudioOutput).or(output),
            image_output: own(Stem::ImageOutput).or(output),
            second,
            image: own(Stem::OutputImage).or(own(Stem::InputImage)),
            request,
            web_search: own(Stem::WebSearch).or(by(Provider::Anthropic, ANTHROPIC_WEB_SEARCH)),
            file_search_1k: own(Stem::FileSearch1k).or(by(Provider::OpenAi, OPENAI_FILE_SEARCH_1K)),
            code_session: own(Stem::CodeSession).or(by(Provider::OpenAi, OPENAI_CODE_SESSION)),
        }
    }

    /// Returns whether the model has a price for anything that the ledger counts. One that is
    /// priced by characters has none.
    #[must_use]
    pub fn is_priced(&self) -> bool {
        [self.input, self.cached, self.output, self.second]
            .into_iter()
            .chain([self.image, self.request, self.web_search])
            .chain([self.audio_input, self.image_input])
            .any(|rate| rate.is_some())
    }
}

/// Returns the price of each stem that fits best. The highest threshold that the input exceeds goes
/// before the tier, as LiteLLM has it: a price above 272,000 tokens also holds for a tier that has
/// no such price. With batches it is the other way round.
fn choose(price: &ModelPrice, conditions: Conditions<'_>) -> [Option<Choice>; Stem::ALL.len()] {
    let is_batch = conditions.is_batch || conditions.tier.is_some_and(is_batch_word);
    let tier = if is_batch {
        Some(BATCHES)
    } else {
        conditions.tier.map(suffix)
    };
    let mut chosen = [None; Stem::ALL.len()];
    let mut best = [None; Stem::ALL.len()];
    let mut has_batches = false;
    for (field, amount) in price.fields() {
        has_batches |= field.tier.as_deref() == Some(BATCHES);
        let is_own = field.tier.is_some();
        if (is_own && field.tier.as_deref() != tier)
            || !exceeds(price, conditions, field.above_tokens)
        {
            continue;
        }
        let fit = (field.above_tokens, is_own);
        let rank = (is_batch && is_own, fit);
        let place = field.stem as usize;
        if best[place].is_none_or(|best| rank > best) {
            best[place] = Some(rank);
            let rate = Rate::from(amount.femto_usd()) * QUARTERS;
            chosen[place] = Some(Choice { rate, fit });
        }
    }
    if is_batch {
        for stem in Stem::ALL {
            if let Some(choice) = &mut chosen[*stem as usize]
                && !choice.fit.1
                && is_halved_in_batches(*stem, has_batches)
            {
                choice.rate /= 2;
            }
        }
    }
    chosen
}

/// Returns whether a price that is not one of batches is halved for a batch. All providers sell
/// tokens in batches for half, and LiteLLM reckons so. Cached input is the exception: where a model
/// has prices of batches, but none of cached input, that one is the ordinary price.
fn is_halved_in_batches(stem: Stem, has_batches: bool) -> bool {
    match stem {
        Stem::CacheRead | Stem::CacheHit | Stem::CacheReadAudio | Stem::CacheReadImage => {
            !has_batches
        }
        Stem::Input
        | Stem::Output
        | Stem::CacheWrite
        | Stem::CacheWrite1h
        | Stem::CacheWrite12h
        | Stem::Reasoning
        | Stem::AudioInput
        | Stem::ImageInput
        | Stem::AudioOutput
        | Stem::ImageOutput => true,
        _ => false,
    }
}

fn exceeds(price: &ModelPrice, conditions: Conditions<'_>, threshold: u32) -> bool {
    let threshold = u64::from(threshold);
    threshold == 0
        || conditions.input_tokens > threshold
        || (price.provider() == Provider::Xai && conditions.input_tokens == threshold)
}

/// Returns whether the tier is what Anthropic says of an answer in a batch.
fn is_batch_word(tier: &ServiceTier) -> bool {
    matches!(tier.as_str(), "batch" | BATCHES)
}

/// Returns the suffix that a tier has in names of prices. `fast` is OpenAI's other word for
/// `priority`, says LiteLLM. The ordinary tier has no prices under its word.
fn suffix(tier: &ServiceTier) -> &str {
    match tier.as_str() {
        "fast" => "priority",
        word => word,
    }
}

//! What an answer costs: each class of its usage times its price, rounded once.

use super::{
    model_price::ModelPrice,
    rates::{Conditions, QUARTERS, Rate, Rates},
};
use crate::model::{NanoUsd, ServiceTier, Usage};

/// The unit of sums is a thousandth of a [`Rate`], so that milliseconds and prices of a thousand
/// calls are whole.
const PARTS: i128 = 1000;
/// Femto-dollars in a nano-dollar.
const FEMTOS: i128 = 1_000_000;
/// The most that an answer costs: a million dollars. A larger amount comes of a wrong price or wrong
/// usage, and a few of them would not fit into a sum.
const MAX_COST: NanoUsd = NanoUsd(1_000_000_000_000_000);

/// Tokens of an answer, each in exactly one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct TokenClasses {
    text_input: u64,
    audio_input: u64,
    image_input: u64,
    cached_text: u64,
    cached_audio: u64,
    cached_image: u64,
    written_5m: u64,
    written_for_hour: u64,
    text_output: u64,
    reasoning: u64,
    audio_output: u64,
    image_output: u64,
}

impl ModelPrice {
    /// Returns what an answer with this usage costs, or `None` if the model has no price for a part
    /// of it: such an answer is not free. Prices of a request count once, whatever the usage is, so
    /// an answer that nobody is billed for must not be asked about.
    #[must_use]
    pub fn cost(
        &self,
        usage: &Usage,
        tier: Option<&ServiceTier>,
        is_batch: bool,
    ) -> Option<NanoUsd> {
        let conditions = Conditions {
            input_tokens: usage.input,
            tier,
            is_batch,
        };
        let rates = Rates::choose(self, conditions);
        if !rates.is_priced() {
            return None;
        }
        Some(round(sum(&rates, usage)?))
    }
}

/// The price of a model, with the choice made that fits nearly all answers: no class of service but
/// the default, no batch, and an input below all thresholds. It costs a third of choosing anew.
#[derive(Debug, Clone)]
pub struct PreparedPrice {
    price: ModelPrice,
    /// `None` if the model has no price for anything that is counted.
    ordinary: Option<Rates>,
    /// The least number of input tokens at which another price may count.
    threshold_tokens: u64,
}

impl PreparedPrice {
    #[must_use]
    pub fn new(price: ModelPrice) -> Self {
        let ordinary = Rates::choose(
            &price,
            Conditions {
                input_tokens: 0,
                tier: None,
                is_batch: false,
            },
        );
        let thresholds = price.fields().map(|(field, _)| field.above_tokens);
        let lowest = thresholds.filter(|tokens| *tokens > 0).min();
        Self {
            ordinary: ordinary.is_priced().then_some(ordinary),
            threshold_tokens: lowest.map_or(u64::MAX, u64::from),
            price,
        }
    }

    /// Returns what [`ModelPrice::cost`] returns.
    #[must_use]
    pub fn cost(
        &self,
        usage: &Usage,
        tier: Option<&ServiceTier>,
        is_batch: bool,
    ) -> Option<NanoUsd> {
        if !self.is_ordinary(usage.input, tier, is_batch) {
            return self.price.cost(usage, tier, is_batch);
        }
        Some(round(sum(self.ordinary.as_ref()?, usage)?))
    }

    /// Returns what [`PreparedPrice::cost`] returns for text without anything else.
    #[must_use]
    pub fn cost_of_text(
        &self,
        input: u64,
        output: u64,
        tier: Option<&ServiceTier>,
        is_batch: bool,
    ) -> Option<NanoUsd> {
        if !self.is_ordinary(input, tier, is_batch) {
            let usage = Usage {
                input,
                output,
                ..Usage::default()
            };
            return self.price.cost(&usage, tier, is_batch);
        }
        let rates = self.ordinary.as_ref()?;
        let mut whole = Sum(Some(0));
        whole.add(input, rates.input.as_ref());
        whole.add(output, rates.output.as_ref());
        whole.add(1, rates.request.as_ref().or(Some(&0)));
        Some(round(whole.0?.saturating_mul(PARTS)))
    }

    fn is_ordinary(&self, input: u64, tier: Option<&ServiceTier>, is_batch: bool) -> bool {
        matches!(tier, None | Some(ServiceTier::Default))
            && !is_batch
            && input < self.threshold_tokens
    }
}

/// Adds up in thousandths of a rate's unit.
fn sum(rates: &Rates, usage: &Usage) -> Option<i128> {
    let tokens = TokenClasses::of(usage);
    let classes = &usage.classes;
    // A container of the code interpreter serves all calls of an answer.
    let code_sessions = classes.code_calls.min(1);
    let mut whole = Sum(Some(0));
    whole.add(tokens.text_input, rates.input.as_ref());
    whole.add(tokens.audio_input, rates.audio_input.as_ref());
    whole.add(tokens.image_input, rates.image_input.as_ref());
    whole.add(tokens.cached_text, rates.cached.as_ref());
    whole.add(tokens.cached_audio, rates.cached_audio.as_ref());
    whole.add(tokens.cached_image, rates.cached_image.as_ref());
    whole.add(tokens.written_5m, rates.cache_write_5m.as_ref());
    whole.add(tokens.written_for_hour, rates.cache_write_1h.as_ref());
    whole.add(tokens.text_output, rates.output.as_ref());
    whole.add(tokens.reasoning, rates.reasoning.as_ref());
    whole.add(tokens.audio_output, rates.audio_output.as_ref());
    whole.add(tokens.image_output, rates.image_output.as_ref());
    whole.add(usage.images, rates.image.as_ref());
    whole.add(classes.web_searches, rates.web_search.as_ref());
    whole.add(code_sessions, rates.code_session.as_ref());
    whole.add(1, rates.request.as_ref().or(Some(&0)));
    let mut thousandths = Sum(Some(whole.0?.saturating_mul(PARTS)));
    thousandths.add(usage.audio_ms, rates.second.as_ref());
    thousandths.add(classes.file_searches, rates.file_search_1k.as_ref());
    thousandths.0
}

/// A sum of what was used, `None` if some of it has no price. What was not used needs none.
struct Sum(Option<i128>);

impl Sum {
    /// Most classes are empty, so that this is looked at before anything else.
    #[inline]
    fn add(&mut self, count: u64, rate: Option<&Rate>) {
        if count > 0 {
            self.add_used(count, rate);
        }
    }

    #[inline(never)]
    fn add_used(&mut self, count: u64, rate: Option<&Rate>) {
        let cost = rate.map(|rate| rate.saturating_mul(i128::from(count)));
        self.0 = self.0.zip(cost).map(|(sum, cost)| sum.saturating_add(cost));
    }
}

/// Rounds half up to nano-dollars, at most [`MAX_COST`].
fn round(sum: i128) -> NanoUsd {
    const UNIT: i64 = 4_000_000_000;
    const { assert!(UNIT as i128 == PARTS * QUARTERS * FEMTOS) };
    let raised = sum.saturating_add(i128::from(UNIT / 2));
    // Nearly all sums are below two dollars: they fit into 64 bits, which are divided at once.
    let nanos = match i64::try_from(raised) {
        Ok(raised) => raised / UNIT,
        Err(_) => i64::try_from(raised / i128::from(UNIT)).unwrap_or(i64::MAX),
    };
    NanoUsd(nanos).min(MAX_COST)
}

impl TokenClasses {
    /// Takes the parts out of their sums. Parts that are larger than their sum are cut, so that no
    /// token counts twice: first what was cached or written, then sound, then pictures.
    fn of(usage: &Usage) -> Self {
        let classes = &usage.classes;
        let mut input = usage.input;
        let cached = take(&mut input, usage.cached);
        let written_5m = take(&mut input, classes.cache_write_5m);
        let written_for_hour = take(&mut input, classes.cache_write_1h);
        let mut cached_text = cached;
        let cached_audio = classes.cached_audio.min(classes.audio_input);
        let cached_audio = take(&mut cached_text, cached_audio);
        let cached_image = classes.cached_image.min(classes.image_input);
        let cached_image = take(&mut cached_text, cached_image);
        let audio_input = take(&mut input, classes.audio_input - cached_audio);
        let image_input = take(&mut input, classes.image_input - cached_image);
        let mut output = usage.output;
        let audio_output = take(&mut output, classes.audio_output);
        let image_output = take(&mut output, classes.image_output);
        let reasoning = take(&mut output, usage.reasoning);
        Self {
            text_input: input,
            audio_input,
            image_input,
            cached_text,
            cached_audio,
            cached_image,
            written_5m,
            written_for_hour,
            text_output: output,
            reasoning,
            audio_output,
            image_output,
        }
    }
}

/// Takes a part out of what is left of its sum, and returns how much of it was there.
fn take(left: &mut u64, part: u64) -> u64 {
    let taken = part.min(*left);
    *left -= taken;
    taken
}

#[cfg(test)]
mod tests;

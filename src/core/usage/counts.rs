//! The usage object, as the many servers that speak OpenAI's or Anthropic's API write it.
//!
//! OpenAI's API reference: `CompletionUsage` with `prompt_tokens`, `completion_tokens`,
//! `prompt_tokens_details.cached_tokens`, `completion_tokens_details.reasoning_tokens`;
//! `ResponseUsage` with `input_tokens` and `output_tokens`; transcriptions are billed by tokens or
//! by `seconds`. Anthropic's: `input_tokens` without `cache_read_input_tokens` and
//! `cache_creation_input_tokens`, which are input too. Gateways fill in several of these at once,
//! so each number is kept under the name that it came with until the endpoint says which name
//! counts. The classes that few answers have are in [`rare`].

mod rare;

use serde::{Deserialize, Deserializer, de::MapAccess};

use crate::{
    json::{Count, EachPart, JsonType, MaybeText, PartReader, Seconds, for_each_part, skip_value},
    model::{ServiceTier, Usage, UsageClasses},
};

pub use rare::Content;
use rare::{Class, Iterations, Part, RareCounts, Totals};

/// Limits of the search for a usage object in text that is no complete JSON: its longest length,
/// and how many places are tried from the end. Without these a megabyte of `{"usage":{"usage":…`
/// would be read a hundred thousand times.
const MAX_USAGE_BYTES: usize = 16 * 1024;
const MAX_USAGE_TRIES: usize = 256;

/// Anthropic's `speed` of an answer that has a price of its own.
const FAST: &str = "fast";

/// The API that an endpoint belongs to: which names its usage objects have, and what they mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Chat, completions, embeddings: `prompt_tokens` and `completion_tokens`. What came from a
    /// cache is included.
    #[default]
    Completions,
    /// Responses, images, audio, realtime: `input_tokens` and `output_tokens`. What came from a
    /// cache is included.
    Responses,
    /// Anthropic's messages: `input_tokens` and `output_tokens`. What a cache had a part in is
    /// reported beside the input.
    Messages,
    /// An endpoint of the backend's own.
    Unknown,
}

/// Counts that usage objects have reported; `None` where none has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    input: AliasedCount,
    output: AliasedCount,
    total: Option<u64>,
    /// Cached and reasoning tokens of the `…_details`, under the names of the object that they were
    /// in.
    cached: AliasedCount,
    reasoning: AliasedCount,
    /// Cached and reasoning tokens outside of any details, under whichever name.
    plain_cached: Option<u64>,
    plain_reasoning: Option<u64>,
    /// Anthropic's counts of tokens read from a cache and written into it.
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    audio_ms: Option<u64>,
    rare: RareCounts,
    /// Anthropic's `service_tier`, or the `speed` that has a price of its own.
    tier: Option<ServiceTier>,
}

/// Counts in the places where single vendors put them, which few answers have: nothing is stored
/// for the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VendorCounts(Option<Box<Counts>>);

/// A count under the two names that OpenAI's APIs have for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct AliasedCount {
    /// `prompt_tokens`, `completion_tokens`.
    completions: Option<u64>,
    /// `input_tokens`, `output_tokens`.
    responses: Option<u64>,
}

/// Counts in the ledger's meaning. A count that was not reported is `None`, or 0 if it is a part of
/// another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportedCounts {
    /// Input tokens, including those read from a cache or written into it.
    pub input: Option<u64>,
    /// Output tokens, including the reasoning tokens.
    pub output: Option<u64>,
    pub cached: u64,
    pub reasoning: u64,
    pub audio_ms: Option<u64>,
    pub classes: UsageClasses,
}

impl AliasedCount {
    /// Returns the number under the endpoint's own name, or else under the other.
    fn of(self, dialect: Dialect) -> Option<u64> {
        match dialect {
            Dialect::Completions => self.completions.or(self.responses),
            Dialect::Responses | Dialect::Messages => self.responses.or(self.completions),
            // Neither name is the endpoint's own: a 0 is the one that a gateway filled in.
            Dialect::Unknown => self.completions.max(self.responses),
        }
    }

    fn is_reported(self) -> bool {
        self.completions.is_some() || self.responses.is_some()
    }

    /// Replaces both names where a later object has either: they are one number.
    fn update(&mut self, later: Self) {
        if later.is_reported() {
            *self = later;
        }
    }
}

impl Counts {
    /// Returns whether enough was reported to make a usage: input, a total, or a length of audio.
    #[must_use]
    pub fn is_reported(&self) -> bool {
        self.input.is_reported() || self.total.is_some() || self.audio_ms.is_some()
    }

    /// Returns the output tokens if the object reports them, if only by the total.
    pub(super) fn reported_output(&self) -> Option<u64> {
        let output = self.output.of(Dialect::Unknown);
        output.or_else(|| {
            let input = self.input.of(Dialect::Unknown).unwrap_or(0);
            self.total.map(|total| total.saturating_sub(input))
        })
    }

    /// Returns the tokens that were written into a cache by Anthropic's names.
    fn cache_written(&self) -> Option<u64> {
        let [five, hour] = [Class::CacheWrite5m, Class::CacheWrite1h].map(|c| self.rare.get(c));
        let split =
            (five.is_some() || hour.is_some()).then(|| five.unwrap_or(0) + hour.unwrap_or(0));
        self.cache_written.or(split)
    }

    /// Returns the class of service, if the usage object has one.
    #[must_use]
    pub fn service_tier(&self) -> Option<&ServiceTier> {
        self.tier.as_ref()
    }

    /// Returns the counts in the meaning of an endpoint's names. One of input and output may be
    /// known through the total. A total alone is the input, which is what rerankers report.
    #[must_use]
    pub fn reported(&self, dialect: Dialect, content: Content) -> ReportedCounts {
        let cache = self.cache_read.unwrap_or(0) + self.cache_written().unwrap_or(0);
        let output = self.output.of(dialect);
        let input = self.input.of(dialect).map(|input| {
            if cache > 0 && self.is_cache_beside(dialect, input, output, cache) {
                input + cache
            } else {
                input
            }
        });
        let (input, output) = match (input, output, self.total) {
            (Some(input), None, Some(total)) => (Some(input), Some(total.saturating_sub(input))),
            (None, Some(output), Some(total)) => (Some(total.saturating_sub(output)), Some(output)),
            (None, None, Some(total)) => (Some(total), Some(0)),
            other => (other.0, other.1),
        };
        let reasoning = self.reasoning.of(dialect).or(self.plain_reasoning);
        let reasoning = reasoning.unwrap_or(0);
        // Some backends count reasoning beside the output, and their total says so.
        let output = match (input, output, self.total) {
            (Some(input), Some(output), Some(total))
                if reasoning > 0 && total == input + output + reasoning =>
            {
                Some(output + reasoning)
            }
            _ => output,
        };
        let details = self.cached.of(dialect).or(self.plain_cached);
        let cached = match dialect {
            Dialect::Messages => self.cache_read.or(details),
            _ => details.or(self.cache_read),
        };
        let mut totals = Totals {
            input: input.unwrap_or(0),
            output: output.unwrap_or(0),
            cached: cached.unwrap_or(0),
            reasoning,
            cache_write: self
                .cache_written()
                .unwrap_or(0)
                .max(self.rare.count(Class::CacheWrite)),
            cache_write_1h: self.rare.count(Class::CacheWrite1h),
        };
        let is_counted = input.is_some() && output.is_some();
        if dialect == Dialect::Messages && is_counted && !self.rare.is_zero() {
            self.add_extra_iterations(&mut totals);
        }
        // Parts are never larger than their sum, whatever a backend writes.
        totals.cached = totals.cached.min(totals.input);
        totals.reasoning = totals.reasoning.min(totals.output);
        ReportedCounts {
            input: input.map(|_| totals.input),
            output: output.map(|_| totals.output),
            cached: totals.cached,
            reasoning: totals.reasoning,
            audio_ms: self.audio_ms,
            classes: self.rare.classes(totals, content),
        }
    }

    /// Adds the iterations that are billed besides, unless the counts include them already, as a
    /// gateway may write them.
    fn add_extra_iterations(&self, totals: &mut Totals) {
        let input = self.input.of(Dialect::Messages).unwrap_or(0);
        let output = self.output.of(Dialect::Messages).unwrap_or(0);
        if input + output >= self.rare.count(Class::IterationTokens) {
            return;
        }
        let cache_read = self.rare.count(Class::ExtraCacheRead);
        let cache_write = self.rare.count(Class::ExtraCacheWrite);
        totals.input += self.rare.count(Class::ExtraInput) + cache_read + cache_write;
        totals.output += self.rare.count(Class::ExtraOutput);
        totals.cached += cache_read;
        totals.cache_write += cache_write;
        totals.cache_write_1h += self.rare.count(Class::ExtraCacheWrite1h);
    }

    /// Returns whether cached tokens are reported beside the input and not inside it. That is
    /// Anthropic's meaning. With OpenAI's names they are inside, unless they would not fit there or
    /// the total proves otherwise.
    fn is_cache_beside(
        &self,
        dialect: Dialect,
        input: u64,
        output: Option<u64>,
        cache: u64,
    ) -> bool {
        if input < cache {
            return true;
        }
        let output = output.unwrap_or(0);
        let totals_to = |sum: u64| self.total == Some(sum);
        let is_anthropic_s_name = match dialect {
            Dialect::Messages => self.input.responses.is_some(),
            Dialect::Responses => false,
            Dialect::Completions | Dialect::Unknown => self.input.completions.is_none(),
        };
        if !is_anthropic_s_name {
            return totals_to(input + cache + output);
        }
        dialect == Dialect::Messages || !totals_to(input + output)
    }

    /// Returns the usage if enough was reported to make one. A missing count is 0.
    #[must_use]
    pub fn usage(&self, dialect: Dialect, content: Content) -> Option<Usage> {
        if !self.is_reported() {
            return None;
        }
        Some(self.reported(dialect, content).usage())
    }

    /// Takes in a later usage object. Its counts replace earlier ones and leave the rest:
    /// Anthropic's `message_delta` may have the output only, or repeat some of `message_start`.
    pub fn update(&mut self, later: &Self) {
        // A total belongs to the counts that it came with.
        if later.input.is_reported() || later.output.is_reported() {
            self.total = None;
        }
        self.input.update(later.input);
        self.output.update(later.output);
        let reports_cached = later.cached.is_reported() || later.plain_cached.is_some();
        if reports_cached {
            (self.cached, self.plain_cached) = (later.cached, later.plain_cached);
        }
        if later.reasoning.is_reported() || later.plain_reasoning.is_some() {
            (self.reasoning, self.plain_reasoning) = (later.reasoning, later.plain_reasoning);
        }
        let pairs = [
            (&mut self.total, later.total),
            (&mut self.cache_read, later.cache_read),
            (&mut self.cache_written, later.cache_written),
            (&mut self.audio_ms, later.audio_ms),
        ];
        for (count, later) in pairs {
            *count = later.or(*count);
        }
        self.rare.update(&later.rare);
        self.set_tier(later.tier.clone());
    }

    /// Sets the class of service, unless the speed is known, which has the higher price.
    fn set_tier(&mut self, tier: Option<ServiceTier>) {
        let is_fast = self.tier.as_ref().is_some_and(|tier| tier.as_str() == FAST);
        if !is_fast && tier.is_some() {
            self.tier = tier;
        }
    }

    /// Sets the length of the audio that was transcribed, if no usage reports it.
    pub(super) fn or_audio_ms(mut self, audio_ms: Option<u64>) -> Self {
        if !self.is_reported() {
            self.audio_ms = audio_ms;
        }
        self
    }
}

impl VendorCounts {
    /// Returns the counts if they make a usage.
    #[must_use]
    pub fn reported(&self) -> Option<&Counts> {
        self.0.as_deref().filter(|counts| counts.is_reported())
    }

    /// Takes in the counts of a later usage object.
    pub(super) fn update(&mut self, later: &Counts) {
        if *later != Counts::default() {
            self.0.get_or_insert_default().update(later);
        }
    }

    /// Takes in the counts of a later event.
    pub(super) fn take_over(&mut self, later: Self) {
        if let Some(later) = later.0 {
            self.update(&later);
        }
    }
}

impl ReportedCounts {
    /// Returns the counts as a usage, with 0 for what was not reported.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            input: self.input.unwrap_or(0),
            output: self.output.unwrap_or(0),
            cached: self.cached,
            reasoning: self.reasoning,
            audio_ms: self.audio_ms.unwrap_or(0),
            images: 0,
            classes: self.classes,
        }
    }
}

/// Finds the last usage object in a piece of an answer that is no complete JSON. The quotes of text
/// inside a JSON string are escaped, so the seven bytes `"usage"` are a member's name.
#[must_use]
pub fn find_counts(piece: &[u8]) -> Option<Counts> {
    const NAME: &[u8] = b"\"usage\"";
    let mut names = memchr::memmem::rfind_iter(piece, NAME).take(MAX_USAGE_TRIES);
    names.find_map(|at| {
        let after = &piece[at + NAME.len()..];
        let after = &after[..after.len().min(MAX_USAGE_BYTES)];
        let after = after.trim_ascii_start().strip_prefix(b":")?;
        let mut values = serde_json::Deserializer::from_slice(after).into_iter::<UsageObject>();
        let counts = values.next()?.ok()?.0?;
        counts.is_reported().then_some(counts)
    })
}

/// A usage object or one of its `…_details`: all counts found, whichever names the server uses.
/// `None` when it is no object.
#[derive(Default)]
pub(super) struct UsageObject(pub(super) Option<Counts>);

impl<'de> Deserialize<'de> for UsageObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut counts = Counts::default();
        let json_type = for_each_part(deserializer, &mut counts)?;
        Ok(Self((json_type == JsonType::Object).then_some(counts)))
    }
}

/// Reads the members of a usage object or of one of its details. A null counts as not reported, and
/// replaces nothing.
impl<'de> PartReader<'de> for Counts {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        let count = match name {
            b"prompt_tokens" => &mut self.input.completions,
            b"input_tokens" => &mut self.input.responses,
            b"completion_tokens" => &mut self.output.completions,
            b"output_tokens" => &mut self.output.responses,
            b"total_tokens" => &mut self.total,
            b"cached_tokens" => &mut self.plain_cached,
            b"reasoning_tokens" => &mut self.plain_reasoning,
            b"cache_read_input_tokens" => &mut self.cache_read,
            b"cache_creation_input_tokens" => &mut self.cache_written,
            b"prompt_cache_hit_tokens" | b"num_cached_tokens" => {
                let Count(count) = object.next_value()?;
                self.plain_cached = self.plain_cached.or(count);
                return Ok(());
            }
            b"seconds" => {
                let Seconds(audio_ms) = object.next_value()?;
                self.audio_ms = audio_ms.or(self.audio_ms);
                return Ok(());
            }
            // In the singular for audio and realtime, and with some vendors.
            b"prompt_tokens_details" | b"prompt_token_details" => {
                let details = self.rare.read_part(Part::Input, object)?;
                self.cached.completions = details.cached.or(self.cached.completions);
                return Ok(());
            }
            b"input_tokens_details" | b"input_token_details" => {
                let details = self.rare.read_part(Part::Input, object)?;
                self.cached.responses = details.cached.or(self.cached.responses);
                return Ok(());
            }
            b"completion_tokens_details" => {
                let details = self.rare.read_part(Part::Output, object)?;
                self.reasoning.completions = details.reasoning.or(self.reasoning.completions);
                return Ok(());
            }
            b"output_tokens_details" | b"output_token_details" => {
                let details = self.rare.read_part(Part::Output, object)?;
                self.reasoning.responses = details.reasoning.or(self.reasoning.responses);
                return Ok(());
            }
            b"cache_creation" => {
                return self.rare.read_part(Part::CacheCreation, object).map(drop);
            }
            b"server_tool_use" => {
                return self.rare.read_part(Part::ServerToolUse, object).map(drop);
            }
            // Perplexity's name.
            b"num_search_queries" => return self.rare.read_count(Class::WebSearches, object),
            b"iterations" => {
                let mut iterations = Iterations::default();
                if object.next_value_seed(EachPart(&mut iterations))? == JsonType::List {
                    iterations.write_to(&mut self.rare);
                }
                return Ok(());
            }
            b"service_tier" => {
                let MaybeText(word) = object.next_value()?;
                let tier = word.and_then(|word| ServiceTier::parse(&word));
                self.set_tier(tier);
                return Ok(());
            }
            // The other speed is the usual one, and says nothing.
            b"speed" => {
                let MaybeText(word) = object.next_value()?;
                if word.as_deref() == Some(FAST) {
                    self.tier = ServiceTier::parse(FAST);
                }
                return Ok(());
            }
            _ => return skip_value(object),
        };
        *count = object.next_value::<Count>()?.0.or(*count);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! The classes of usage that few answers have, and the objects inside a usage object that report
//! them. Most answers report them as 0: a 0 is only marked as reported, and costs no memory.

use serde::de::{MapAccess, SeqAccess};

use super::Counts;
use crate::{
    json::{Count, EachPart, MaybeText, PartReader, skip_value},
    model::UsageClasses,
};

/// The largest sum of tokens over a list, which is that of a single count.
const MAX_SUM: u64 = 1_000_000_000_000;

/// A class of usage, as usage objects have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Tokens that were written into a cache, as the details of the input report them.
    CacheWrite,
    CacheWrite5m,
    CacheWrite1h,
    TextInput,
    AudioInput,
    ImageInput,
    CachedAudio,
    CachedImage,
    TextOutput,
    AudioOutput,
    ImageOutput,
    WebSearches,
    /// Anthropic's `iterations`: input and output of all of them.
    IterationTokens,
    /// Tokens of iterations that the counts around them do not include: input, output, and those
    /// that were read from a cache or written into it.
    ExtraInput,
    ExtraOutput,
    ExtraCacheRead,
    ExtraCacheWrite,
    ExtraCacheWrite1h,
}

const CLASSES: usize = Class::ExtraCacheWrite1h as usize + 1;

/// The counts of the classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RareCounts {
    /// A bit for each class that was reported.
    reported: u32,
    /// `None` if no class was reported with more than 0.
    counts: Option<Box<[u64; CLASSES]>>,
}

impl RareCounts {
    /// Returns a count; `None` if it was not reported.
    pub(super) fn get(&self, class: Class) -> Option<u64> {
        let is_reported = self.reported & bit(class) != 0;
        is_reported.then(|| self.count(class))
    }

    /// Returns a count, which is 0 if it was not reported.
    pub(super) fn count(&self, class: Class) -> u64 {
        self.counts
            .as_ref()
            .map_or(0, |counts| counts[class as usize])
    }

    /// Returns whether all classes are 0.
    pub(super) fn is_zero(&self) -> bool {
        self.counts.is_none()
    }

    /// Sets a count. Where one usage object has the same class under two names, the larger count
    /// is the class's: gateways fill in the other name with 0.
    fn set(&mut self, class: Class, count: u64) {
        self.reported |= bit(class);
        if count > 0 {
            let counts = self.counts.get_or_insert_default();
            counts[class as usize] = counts[class as usize].max(count);
        }
    }

    fn set_sum(&mut self, class: Class, sum: u64) {
        self.set(class, sum.min(MAX_SUM));
    }

    /// Replaces what a later usage object reports, and leaves the rest.
    pub(super) fn update(&mut self, later: &Self) {
        self.reported |= later.reported;
        if self.counts.is_none() && later.counts.is_none() {
            return;
        }
        let counts = self.counts.get_or_insert_default();
        for (index, count) in counts.iter_mut().enumerate() {
            if later.reported & (1 << index) != 0 {
                *count = later.counts.as_ref().map_or(0, |later| later[index]);
            }
        }
    }
}

const fn bit(class: Class) -> u32 {
    1 << class as u32
}

/// The content of an answer whose usage object may not say what kind of tokens it counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Content {
    /// Tokens are text unless the usage object says otherwise.
    #[default]
    Text,
    /// Transcriptions: input is sound unless it is reported as text.
    AudioInput,
    /// Speech: output is sound unless it is reported as text.
    AudioOutput,
    /// Images: output is pictures unless it is reported as text (OpenAI's API reference, images:
    /// `output_tokens` without details are tokens of the picture).
    ImageOutput,
}

/// Tokens that are known before their classes are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Totals {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cached: u64,
    pub(super) reasoning: u64,
    /// Tokens that were written into any cache.
    pub(super) cache_write: u64,
    /// Part of `cache_write`.
    pub(super) cache_write_1h: u64,
}

impl RareCounts {
    /// Returns the classes, of which no part is larger than its whole. Where the parts do not fit
    /// together, the first of them counts: read from a cache before written into one, an hour
    /// before five minutes; reasoning before sound before pictures.
    pub(super) fn classes(&self, totals: Totals, content: Content) -> UsageClasses {
        let Totals {
            input,
            output,
            cached,
            reasoning,
            ..
        } = totals;
        let cache_write = totals.cache_write.min(input - cached);
        let cache_write_1h = totals.cache_write_1h.min(cache_write);
        let or_rest = |class, whole: u64, text, is_rest: bool| match self.get(class) {
            Some(count) => count,
            None if is_rest => whole.saturating_sub(self.count(text)),
            None => 0,
        };
        let audio_input = or_rest(
            Class::AudioInput,
            input,
            Class::TextInput,
            content == Content::AudioInput,
        )
        .min(input);
        let image_input = self.count(Class::ImageInput).min(input - audio_input);
        let cached_audio = self.count(Class::CachedAudio).min(cached.min(audio_input));
        let cached_image = self
            .count(Class::CachedImage)
            .min((cached - cached_audio).min(image_input));
        let rest = output - reasoning;
        let audio_output = or_rest(
            Class::AudioOutput,
            rest,
            Class::TextOutput,
            content == Content::AudioOutput,
        )
        .min(rest);
        let rest = rest - audio_output;
        let image_output = or_rest(
            Class::ImageOutput,
            rest,
            Class::TextOutput,
            content == Content::ImageOutput,
        )
        .min(rest);
        UsageClasses {
            cache_write_5m: cache_write - cache_write_1h,
            cache_write_1h,
            audio_input,
            image_input,
            cached_audio,
            cached_image,
            audio_output,
            image_output,
            web_searches: self.count(Class::WebSearches),
            ..UsageClasses::default()
        }
    }
}

/// The meaning of an object inside a usage object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The details of the input.
    Input,
    /// The details of the output.
    Output,
    /// `cached_tokens_details`, inside those of the input.
    Cached,
    /// Anthropic's `cache_creation`, by the time that the cache lives.
    CacheCreation,
    /// Anthropic's `server_tool_use`.
    ServerToolUse,
}

/// Reads the members of an object inside a usage object.
pub(super) struct PartCounts<'c> {
    part: Part,
    rare: &'c mut RareCounts,
    cached: Option<u64>,
    reasoning: Option<u64>,
}

/// Cached and reasoning tokens among the details of input and output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Details {
    pub(super) cached: Option<u64>,
    pub(super) reasoning: Option<u64>,
}

impl RareCounts {
    /// Reads an object inside a usage object, or passes over another value.
    pub(super) fn read_part<'de, A: MapAccess<'de>>(
        &mut self,
        part: Part,
        object: &mut A,
    ) -> Result<Details, A::Error> {
        let mut counts = PartCounts {
            part,
            rare: self,
            cached: None,
            reasoning: None,
        };
        object.next_value_seed(EachPart(&mut counts))?;
        Ok(Details {
            cached: counts.cached,
            reasoning: counts.reasoning,
        })
    }

    /// Reads the count of a class.
    pub(super) fn read_count<'de, A: MapAccess<'de>>(
        &mut self,
        class: Class,
        object: &mut A,
    ) -> Result<(), A::Error> {
        if let Count(Some(count)) = object.next_value()? {
            self.set(class, count);
        }
        Ok(())
    }
}

impl<'de> PartReader<'de> for PartCounts<'_> {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        let class = match (self.part, name) {
            (Part::Input, b"cached_tokens") => {
                self.cached = object.next_value::<Count>()?.0.or(self.cached);
                return Ok(());
            }
            (Part::Input, b"prompt_cache_hit_tokens" | b"num_cached_tokens") => {
                self.cached = self.cached.or(object.next_value::<Count>()?.0);
                return Ok(());
            }
            // The second is Anthropic's.
            (Part::Output, b"reasoning_tokens" | b"thinking_tokens") => {
                self.reasoning = object.next_value::<Count>()?.0.or(self.reasoning);
                return Ok(());
            }
            (Part::Input, b"cached_tokens_details") => {
                return self.rare.read_part(Part::Cached, object).map(drop);
            }
            // The names of OpenAI and OpenRouter, and of LiteLLM.
            (Part::Input, b"cache_write_tokens" | b"cache_creation_tokens") => Class::CacheWrite,
            (Part::Input, b"cache_creation_token_details") => {
                return self.rare.read_part(Part::CacheCreation, object).map(drop);
            }
            (Part::CacheCreation, b"ephemeral_5m_input_tokens") => Class::CacheWrite5m,
            (Part::CacheCreation, b"ephemeral_1h_input_tokens") => Class::CacheWrite1h,
            (Part::Input, b"text_tokens") => Class::TextInput,
            (Part::Input, b"audio_tokens") => Class::AudioInput,
            (Part::Input, b"image_tokens") => Class::ImageInput,
            (Part::Cached, b"audio_tokens") => Class::CachedAudio,
            (Part::Cached, b"image_tokens") => Class::CachedImage,
            (Part::Output, b"text_tokens") => Class::TextOutput,
            (Part::Output, b"audio_tokens") => Class::AudioOutput,
            (Part::Output, b"image_tokens") => Class::ImageOutput,
            // LiteLLM has it among the details.
            (Part::ServerToolUse | Part::Input, b"web_search_requests") => Class::WebSearches,
            _ => return skip_value(object),
        };
        self.rare.read_count(class, object)
    }
}

/// Anthropic's `iterations` (API reference, beta messages, usage): one entry for each time that a
/// model was asked. The counts around them are the sum of the entries of the request's own model.
/// Entries of a compaction and of an advisor are billed besides.
#[derive(Default)]
pub(super) struct Iterations {
    tokens: u64,
    extra: [u64; 5],
}

/// One entry of the list.
#[derive(Default)]
struct Iteration {
    counts: Counts,
    is_extra: bool,
}

impl Iterations {
    /// Writes the sums to the counts that the list is a part of.
    pub(super) fn write_to(&self, rare: &mut RareCounts) {
        let [input, output, cache_read, cache_write, cache_write_1h] = self.extra;
        rare.set_sum(Class::IterationTokens, self.tokens);
        rare.set_sum(Class::ExtraInput, input);
        rare.set_sum(Class::ExtraOutput, output);
        rare.set_sum(Class::ExtraCacheRead, cache_read);
        rare.set_sum(Class::ExtraCacheWrite, cache_write);
        rare.set_sum(Class::ExtraCacheWrite1h, cache_write_1h);
    }

    fn add(&mut self, entry: &Iteration) {
        let counts = &entry.counts;
        let input = counts.input.responses.unwrap_or(0);
        let output = counts.output.responses.unwrap_or(0);
        self.tokens = self.tokens.saturating_add(input.saturating_add(output));
        if entry.is_extra {
            let added = [
                input,
                output,
                counts.cache_read.unwrap_or(0),
                counts.cache_written().unwrap_or(0),
                counts.rare.count(Class::CacheWrite1h),
            ];
            for (sum, added) in self.extra.iter_mut().zip(added) {
                *sum = sum.saturating_add(added);
            }
        }
    }
}

impl<'de> PartReader<'de> for Iterations {
    fn element<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let mut entry = Iteration::default();
        let is_there = list.next_element_seed(EachPart(&mut entry))?.is_some();
        self.add(&entry);
        Ok(is_there)
    }
}

impl<'de> PartReader<'de> for Iteration {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        match name {
            b"type" => {
                let MaybeText(word) = object.next_value()?;
                self.is_extra = matches!(word.as_deref(), Some("compaction" | "advisor_message"));
                Ok(())
            }
            // An entry has no entries.
            b"iterations" => skip_value(object),
            _ => self.counts.member(name, object),
        }
    }
}

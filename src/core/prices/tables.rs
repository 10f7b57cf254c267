//! The prices of many models, kept compact: one text of all names, sorted, and one list of all
//! prices, with the names of the fields in a table.

use std::{cmp::Ordering, ops::Range};

use super::{field::Field, unit::UnitPrice};

/// The maker of a model, as far as it makes a difference for a price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Provider {
    #[default]
    Other,
    /// Its searches of the web cost the same with all models.
    Anthropic,
    /// Its searches of files and containers cost the same with all models.
    OpenAi,
    /// Its thresholds hold from their number on, not above it.
    Xai,
}

/// Lengths that a model can take, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelLimits {
    pub max_input_tokens: Option<u32>,
    pub max_output_tokens: Option<u32>,
}

/// The tables. A model is an index into them.
#[derive(Default)]
pub struct Tables {
    /// The names of all models, one after the other, in the order of their bytes.
    names: Box<str>,
    models: Box<[Model]>,
    /// The price of each place: which field, an index into `fields`, and how much.
    kinds: Box<[u16]>,
    amounts: Box<[UnitPrice]>,
    fields: Box<[Field]>,
}

#[derive(Debug, Clone, Copy)]
struct Model {
    name_end: u32,
    prices_end: u32,
    /// 0 if it is not known.
    max_input_tokens: u32,
    max_output_tokens: u32,
    provider: Provider,
}

/// What a reader knows of one model.
pub struct ModelDraft {
    pub name: Box<str>,
    /// Fields by their index in the table, each once.
    pub prices: Vec<(u16, UnitPrice)>,
    pub limits: ModelLimits,
    pub provider: Provider,
}

impl Provider {
    /// The word of LiteLLM's file, which the others have no use for.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Other => None,
            Self::Anthropic => Some("anthropic"),
            Self::OpenAi => Some("openai"),
            Self::Xai => Some("xai"),
        }
    }

    #[must_use]
    pub fn parse(word: &str) -> Self {
        let mut known = [Self::Anthropic, Self::OpenAi, Self::Xai].into_iter();
        let found = known.find(|provider| provider.as_str() == Some(word));
        found.unwrap_or_default()
    }
}

impl Tables {
    /// Puts models together. Of two with one name, the later counts.
    pub fn of_drafts(mut models: Vec<ModelDraft>, fields: Vec<Field>) -> Self {
        models.reverse();
        // The sort is stable, so that the later of two is kept.
        models.sort_by(|a, b| a.name.cmp(&b.name));
        models.dedup_by(|a, b| a.name == b.name);
        let names_bytes = models.iter().map(|model| model.name.len()).sum();
        let count = models.iter().map(|model| model.prices.len()).sum();
        let mut names = String::with_capacity(names_bytes);
        let (mut kinds, mut amounts) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let packed: Box<[Model]> = models
            .into_iter()
            .map(|model| {
                names.push_str(&model.name);
                for (kind, amount) in model.prices {
                    kinds.push(kind);
                    amounts.push(amount);
                }
                Model {
                    name_end: length(names.len()),
                    prices_end: length(amounts.len()),
                    max_input_tokens: model.limits.max_input_tokens.unwrap_or(0),
                    max_output_tokens: model.limits.max_output_tokens.unwrap_or(0),
                    provider: model.provider,
                }
            })
            .collect();
        Self {
            names: names.into(),
            models: packed,
            kinds: kinds.into(),
            amounts: amounts.into(),
            fields: fields.into(),
        }
    }

    /// Returns the index of the model of exactly this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        // A binary search over the names, without a list of them.
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.name(middle).cmp(name) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// Returns the number of models.
    #[must_use]
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Returns the bytes that the tables take on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let tiers = self.fields.iter().filter_map(|field| field.tier.as_ref());
        self.names.len()
            + size_of_val(&*self.models)
            + size_of_val(&*self.kinds)
            + size_of_val(&*self.amounts)
            + size_of_val(&*self.fields)
            + tiers.map(|tier| tier.len()).sum::<usize>()
    }

    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        let range = self.range(index, |model| model.name_end);
        self.names.get(range).unwrap_or_default()
    }

    pub fn prices(&self, index: usize) -> impl Iterator<Item = (&Field, UnitPrice)> {
        let range = self.range(index, |model| model.prices_end);
        let kinds = &self.kinds[range.clone()];
        let fields = kinds.iter().map(|kind| &self.fields[usize::from(*kind)]);
        fields.zip(self.amounts[range].iter().copied())
    }

    #[must_use]
    pub fn limits(&self, index: usize) -> ModelLimits {
        let model = &self.models[index];
        let known = |tokens: u32| (tokens > 0).then_some(tokens);
        ModelLimits {
            max_input_tokens: known(model.max_input_tokens),
            max_output_tokens: known(model.max_output_tokens),
        }
    }

    #[must_use]
    pub fn provider(&self, index: usize) -> Provider {
        self.models[index].provider
    }

    /// Returns the part of a list that belongs to a model.
    fn range(&self, index: usize, end: fn(&Model) -> u32) -> Range<usize> {
        let end_of = |index: usize| end(&self.models[index]) as usize;
        let start = index.checked_sub(1).map_or(0, end_of);
        start..end_of(index)
    }
}

/// A document is at most 64 MB long, so nothing in it is longer.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

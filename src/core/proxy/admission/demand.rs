//! The most that a request can use: what is reserved in budgets and taken from rates before it goes
//! to the backend.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::proxy::{
    accounting::numbers::searches_always,
    request::AskedUsage,
    routes::{Body, CHAT, Endpoint, Metering},
};
use crate::{
    limits::{Amounts, Demand, UserRules},
    model::{NanoUsd, ServiceTier, Usage, UsageClasses},
    prices::{PreparedPrice, PriceBook},
};

/// Output of a request that names no limit, if its user and model have none either.
pub const DEFAULT_OUTPUT_TOKENS: u64 = 4_096;
/// Output of one image: a large one in high quality (OpenAI's guide "Image generation", table of
/// output tokens).
const IMAGE_OUTPUT_TOKENS: u64 = 6_240;
/// Bytes of a second of sound at 32 kbit a second, below which hardly any file of speech is; and the
/// tokens of a second (OpenAI's guide "Realtime costs": a token for 100 ms of a user's sound).
const SOUND_BYTES_PER_SECOND: u64 = 4_000;
const SOUND_TOKENS_PER_SECOND: u64 = 10;
/// Models whose prices are kept. Clients choose names.
const MAX_MODELS: usize = 1_000;

/// A demand, and whether the price of its model is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PricedDemand {
    pub demand: Demand,
    /// The price is known, or no limit asks for it.
    pub is_priced: bool,
}

/// Whose request is priced, and how.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a> {
    pub endpoint: Endpoint,
    pub model: &'a str,
    pub tier: Option<&'a ServiceTier>,
    pub is_batch: bool,
    /// Unix time in milliseconds, which decides about the price.
    pub at_ms: i64,
}

/// Prices and limits of models for admission. The book is loaded only while limits need it.
#[derive(Default)]
pub struct PriceDesk {
    state: Mutex<DeskState>,
}

#[derive(Default)]
struct DeskState {
    book: Option<Arc<PriceBook>>,
    known: HashMap<Arc<str>, Arc<KnownModel>>,
    /// The model that was asked for last, and so probably is the next: comparing a name is cheaper
    /// than hashing it.
    last: Option<(Arc<str>, Arc<KnownModel>)>,
    /// Unix times in milliseconds between which no price begins to hold.
    valid_ms: (i64, i64),
}

struct KnownModel {
    price: Option<PreparedPrice>,
    max_output_tokens: Option<u64>,
    /// Sound or pictures cost more than text.
    has_dearer_sound: bool,
    has_dearer_pictures: bool,
    /// A chat with it searches the web, whatever the request says.
    searches_always: bool,
}

impl PriceDesk {
    /// Takes new prices, or none if no limit needs them.
    pub fn set_book(&self, book: Option<Arc<PriceBook>>) {
        *self.lock() = DeskState {
            book,
            ..DeskState::default()
        };
    }

    /// Returns the most that a request can use.
    #[must_use]
    pub fn demand(
        &self,
        rules: &UserRules,
        conditions: Conditions<'_>,
        asked: &AskedUsage,
    ) -> PricedDemand {
        let Conditions { endpoint, .. } = conditions;
        if !endpoint.is_booked() && !conditions.is_batch {
            return PricedDemand {
                demand: Demand::default(),
                is_priced: true,
            };
        }
        let mut demand = Demand {
            amounts: Amounts {
                requests: 1,
                ..Amounts::default()
            },
            is_metered: true,
        };
        if !rules.counts_tokens() {
            return PricedDemand {
                demand,
                is_priced: true,
            };
        }
        let mut state = self.lock();
        let model = state.model(conditions.model, conditions.at_ms);
        let most = most_tokens(
            rules,
            endpoint,
            asked,
            model.and_then(|m| m.max_output_tokens),
        );
        // What uses tokens at all uses one at least, so that a limit of nothing blocks it.
        demand.amounts.tokens = signed(most.input.saturating_add(most.output)).max(1);
        let mut is_priced = true;
        if rules.has_usd_budget() {
            let cost = model.and_then(|model| model.most_cost(most, conditions, asked));
            is_priced = cost.is_some();
            demand.amounts.nano_usd = cost.unwrap_or_default().0;
        }
        PricedDemand { demand, is_priced }
    }

    fn lock(&self) -> MutexGuard<'_, DeskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeskState {
    fn model(&mut self, name: &str, at_ms: i64) -> Option<&KnownModel> {
        let book = self.book.as_ref()?;
        if !(self.valid_ms.0..self.valid_ms.1).contains(&at_ms) {
            self.known.clear();
            self.last = None;
            self.valid_ms = book.valid_ms(at_ms);
        }
        let is_last = |(last, _): &(Arc<str>, _)| **last == *name;
        if !self.last.as_ref().is_some_and(is_last) {
            let found = if let Some((name, model)) = self.known.get_key_value(name) {
                (Arc::clone(name), Arc::clone(model))
            } else {
                if self.known.len() >= MAX_MODELS {
                    self.known.clear();
                }
                let model = Arc::new(KnownModel::find(book, name, at_ms));
                let name: Arc<str> = name.into();
                self.known.insert(Arc::clone(&name), Arc::clone(&model));
                (name, model)
            };
            self.last = Some(found);
        }
        self.last.as_ref().map(|(_, model)| &**model)
    }
}

impl KnownModel {
    fn find(book: &PriceBook, name: &str, at_ms: i64) -> Self {
        let price = book
            .find(name, None, at_ms)
            .map(|found| PreparedPrice::new(found.price));
        let of = |classes: UsageClasses| {
            let usage = Usage {
                input: 1_000_000,
                output: 1_000_000,
                classes,
                ..Usage::default()
            };
            price
                .as_ref()
                .and_then(|price| price.cost(&usage, None, false))
        };
        let text = of(UsageClasses::default());
        let is_dearer = |classes| of(classes).is_some_and(|cost| Some(cost) > text);
        Self {
            has_dearer_sound: is_dearer(UsageClasses {
                audio_input: 1_000_000,
                audio_output: 1_000_000,
                ..UsageClasses::default()
            }),
            has_dearer_pictures: is_dearer(UsageClasses {
                image_input: 1_000_000,
                image_output: 1_000_000,
                ..UsageClasses::default()
            }),
            searches_always: searches_always(name, None),
            price,
            max_output_tokens: book.limits(name, None).max_output_tokens.map(u64::from),
        }
    }

    /// Returns the largest cost of the ways in which the tokens may be split into classes; `None`
    /// if the model has no price for any.
    fn most_cost(
        &self,
        most: MostTokens,
        conditions: Conditions<'_>,
        asked: &AskedUsage,
    ) -> Option<NanoUsd> {
        let price = self.price.as_ref()?;
        let MostTokens { input, output } = most;
        let (tier, is_batch) = (conditions.tier, conditions.is_batch);
        let cost = |usage: &Usage| price.cost(usage, tier, is_batch);
        let of_classes = |classes: UsageClasses| {
            cost(&Usage {
                input,
                output,
                classes,
                ..Usage::default()
            })
        };
        let searches = self.searches_always && conditions.endpoint.path == CHAT;
        let text = UsageClasses {
            web_searches: u64::from(searches),
            ..UsageClasses::default()
        };
        let mut most = if searches {
            of_classes(text)
        } else {
            price.cost_of_text(input, output, tier, is_batch)
        };
        if asked.writes_cache {
            most = most.max(of_classes(UsageClasses {
                cache_write_1h: input,
                ..text
            }));
        }
        if self.has_dearer_sound {
            most = most.max(of_classes(UsageClasses {
                audio_input: input,
                audio_output: output,
                ..text
            }));
        }
        if self.has_dearer_pictures {
            most = most.max(of_classes(UsageClasses {
                image_input: input,
                image_output: output,
                ..text
            }));
        }
        // Some models bill sound by time and images by number, and have no price for tokens then.
        if asked.form_bytes > 0 {
            most = most.max(cost(&Usage {
                audio_ms: asked.form_bytes.saturating_mul(1_000) / SOUND_BYTES_PER_SECOND,
                ..Usage::default()
            }));
        }
        if conditions.endpoint.metering == Metering::Images {
            most = most.max(cost(&Usage {
                images: asked.choices.max(1),
                ..Usage::default()
            }));
        }
        most
    }
}

/// The most tokens that a request can use.
#[derive(Clone, Copy)]
struct MostTokens {
    input: u64,
    output: u64,
}

/// Returns the most tokens that a request can use.
fn most_tokens(
    rules: &UserRules,
    endpoint: Endpoint,
    asked: &AskedUsage,
    model_limit: Option<u64>,
) -> MostTokens {
    let choices = asked.choices.max(1);
    let output = match endpoint.metering {
        _ if endpoint.body == Body::Socket => model_limit.unwrap_or(DEFAULT_OUTPUT_TOKENS),
        Metering::Images => IMAGE_OUTPUT_TOKENS.saturating_mul(choices),
        // A backend of the operator's own may answer with text too.
        _ if endpoint.metering == Metering::Text || endpoint.body == Body::Any => {
            // The limit of the user is written into requests of known endpoints only.
            let cap = rules
                .output_cap()
                .filter(|_| endpoint.own_output_limit().is_some())
                .and_then(|cap| u64::try_from(cap.number).ok());
            let each = smaller(smaller(asked.max_output_tokens, cap), model_limit);
            each.unwrap_or(DEFAULT_OUTPUT_TOKENS.max(asked.loose_output_tokens))
                .saturating_mul(choices)
        }
        Metering::Text | Metering::Free | Metering::Input | Metering::AsReported => 0,
    };
    let sound = asked.form_bytes.saturating_mul(SOUND_TOKENS_PER_SECOND) / SOUND_BYTES_PER_SECOND;
    MostTokens {
        input: asked.input_tokens.saturating_add(sound),
        output,
    }
}

/// Returns the smaller of two limits, either of which may not be there.
fn smaller(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

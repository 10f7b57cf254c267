//! What a look-alike has given out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use serde_json::{Value, json};

/// Tokens as OpenAI reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(clippy::struct_field_names)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cached_tokens: u64,
    pub reasoning_tokens: u64,
}

impl Usage {
    /// Returns the form of chat completions and legacy completions.
    pub(super) fn to_json(self) -> Value {
        json!({
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens, "audio_tokens": 0},
        })
    }

    /// Returns the form of the Responses API.
    pub(super) fn to_response_json(self) -> Value {
        json!({
            "input_tokens": self.input_tokens,
            "input_tokens_details": {"cached_tokens": self.cached_tokens},
            "output_tokens": self.output_tokens,
            "output_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
            "total_tokens": self.input_tokens + self.output_tokens,
        })
    }
}

/// What was given out. A request counts when it is answered with 200, tokens when the client has
/// their final number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub in_flight: u64,
    pub total: Sums,
    /// Sums of each model, by its name in the request.
    pub models: BTreeMap<String, Sums>,
}

/// Requests and their tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    pub requests: u64,
    #[serde(flatten)]
    pub usage: Usage,
}

impl Sums {
    fn add(&mut self, requests: u64, usage: Usage) {
        self.requests += requests;
        self.usage.input_tokens += usage.input_tokens;
        self.usage.output_tokens += usage.output_tokens;
        self.usage.cached_tokens += usage.cached_tokens;
        self.usage.reasoning_tokens += usage.reasoning_tokens;
    }
}

#[derive(Default)]
pub(super) struct Stats(Mutex<Totals>);

impl Stats {
    pub(super) fn lock(&self) -> MutexGuard<'_, Totals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request from its arrival until its last byte has left or its client is gone.
pub(super) struct Served {
    stats: Arc<Stats>,
    model: String,
}

impl Served {
    pub(super) fn begin(stats: &Arc<Stats>, model: &str) -> Self {
        stats.lock().in_flight += 1;
        Self {
            stats: stats.clone(),
            model: model.to_owned(),
        }
    }

    pub(super) fn count(&self, requests: u64, usage: Usage) {
        let mut totals = self.stats.lock();
        totals.total.add(requests, usage);
        totals
            .models
            .entry(self.model.clone())
            .or_default()
            .add(requests, usage);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stats.lock().in_flight -= 1;
    }
}

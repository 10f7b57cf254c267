//! Remembers the models whose backend refuses to be asked for usage in a stream.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Time after which a model that has refused the option is asked again.
const MEMORY: Duration = Duration::from_secs(3600);
/// Most models that are remembered, because a client may invent names.
const MAX_MODELS: usize = 1_000;

/// Models whose backend refused `stream_options` within the last hour. Shared by all workers.
#[derive(Default)]
pub struct UsageOptionRefusals {
    /// Set with the first refusal. It saves the look into the map until then.
    is_used: AtomicBool,
    models: Mutex<HashMap<String, Instant>>,
}

impl UsageOptionRefusals {
    /// Returns whether a model has refused the option lately.
    #[must_use]
    pub fn contains(&self, model: &str) -> bool {
        self.is_used.load(Ordering::Relaxed) && self.contains_at(model, Instant::now())
    }

    fn contains_at(&self, model: &str, now: Instant) -> bool {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let refused_at = models.get(model);
        refused_at.is_some_and(|at| now.saturating_duration_since(*at) < MEMORY)
    }

    /// Notes that a model has refused. Returns whether that is news.
    pub fn insert(&self, model: &str, now: Instant) -> bool {
        self.is_used.store(true, Ordering::Relaxed);
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.retain(|_, at| now.saturating_duration_since(*at) < MEMORY);
        if models.len() >= MAX_MODELS {
            return false;
        }
        models.insert(model.to_owned(), now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_remembered_for_an_hour_and_bounded() {
        let refusals = UsageOptionRefusals::default();
        let now = Instant::now();
        assert!(!refusals.contains("m"));
        assert!(refusals.insert("m", now));
        assert!(!refusals.insert("m", now), "no news");
        assert!(refusals.contains("m") && !refusals.contains("n"));
        assert!(!refusals.contains_at("m", now + MEMORY));
        for model in 0..2 * MAX_MODELS {
            refusals.insert(&model.to_string(), now);
        }
        let models = refusals.models.lock().unwrap();
        assert_eq!(models.len(), MAX_MODELS);
    }
}

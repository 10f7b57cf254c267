//! Limits of a key, and of the keys of one user together, because a key has none of its own here.

use super::{
    budget::{self, Windowed},
    record::Record,
};
use crate::{
    import::{Notes, decimal::scaled, error::BadCell},
    model::{Limit, LimitKind, LimitValue},
};

/// Rates, and the columns that have them.
const RATES: [(&str, LimitKind); 3] = [
    ("rpm_limit", LimitKind::RequestsPerMinute),
    ("tpm_limit", LimitKind::TokensPerMinute),
    ("max_parallel_requests", LimitKind::Concurrent),
];
/// The largest rate, as everywhere here.
const MAX_RATE: i64 = 1_000_000_000_000;
/// Words in the list of models that stand for no list.
const ALL_MODELS: [&str; 3] = [TEAM_MODELS, "all-proxy-models", "*"];
const TEAM_MODELS: &str = "all-team-models";
/// The word in the list of models that stands for none.
const NO_MODELS: &str = "no-default-models";

const INEXACT: &str =
    "budgets whose time has no counterpart: the same amount for the next longer time";
const OF_TEAM: &str = "keys that may use the models of their team: set them on the group";

/// Returns the limits of a key. What is not the same here is noted.
///
/// # Errors
/// The name of a column that cannot be read: a key must not lose a limit by that.
pub(super) fn limits_of(record: &Record, notes: &mut Notes) -> Result<Vec<Limit>, &'static str> {
    let mut limits = Vec::new();
    if let Some(most) = amount(record, "max_budget", 9, Limit::MAX_BUDGET)? {
        let duration = record.limit("budget_duration");
        let window = duration.map_or(Windowed::TOTAL, budget::window_of);
        if !window.is_exact {
            notes.add(INEXACT, || {
                let (there, here) = (duration.unwrap_or_default(), window.word());
                format!("{}: {there} → {here}", record.place())
            });
        }
        limits.push(window.limit(most));
        // LiteLLM lets models without a price through.
        limits.push(limit(LimitKind::AllowUnpriced, LimitValue::Amount(1)));
    }
    for (column, kind) in RATES {
        if let Some(most) = amount(record, column, 0, MAX_RATE)? {
            limits.push(limit(kind, LimitValue::Amount(most)));
        }
    }
    let models = record.list("models");
    let has = |word: &str| models.iter().any(|model| model == word);
    if has(TEAM_MODELS) {
        notes.add(OF_TEAM, || record.place());
    }
    if has(NO_MODELS) {
        let all = LimitValue::Patterns(vec!["*".to_owned()]);
        limits.push(limit(LimitKind::DenyModels, all));
    } else if !models.is_empty() && !ALL_MODELS.into_iter().any(has) {
        limits.push(limit(LimitKind::Models, patterns(&models)));
    }
    Ok(limits)
}

/// Returns an amount times ten to the power of `places`, `max` at most. A negative one is none at all,
/// and one without an end is no limit.
fn amount(
    record: &Record,
    column: &'static str,
    places: i64,
    max: i64,
) -> Result<Option<i64>, &'static str> {
    let Some(text) = record.limit(column) else {
        return Ok(None);
    };
    match scaled(text, places) {
        Ok(amount) => Ok(Some(amount.clamp(0, max))),
        Err(BadCell::TooLarge) => Ok(Some(max)),
        Err(_) if text.eq_ignore_ascii_case("infinity") => Ok(None),
        Err(_) => Err(column),
    }
}

fn limit(kind: LimitKind, value: LimitValue) -> Limit {
    Limit {
        kind,
        value,
        is_watched: false,
    }
}

/// Returns names as patterns. A comma would part one name into two, and a star stands for it, too.
fn patterns(names: &[String]) -> LimitValue {
    let mut patterns: Vec<String> = names.iter().map(|name| name.replace(',', "*")).collect();
    patterns.sort();
    patterns.dedup();
    LimitValue::Patterns(patterns)
}

/// The limits of the keys of one user.
#[derive(Debug, Default)]
pub(super) struct Merged {
    keys: usize,
    /// For each kind of limit the number of keys that have it, and the limit of all together.
    limits: Vec<(usize, Limit)>,
}

impl Merged {
    pub(super) fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// Adds the limits of a further key: amounts are summed, and lists of models joined.
    pub(super) fn add(&mut self, limits: Vec<Limit>) {
        self.keys += 1;
        for limit in limits {
            let mut known = self.limits.iter_mut();
            match known.find(|(_, known)| known.kind == limit.kind) {
                Some((count, known)) => {
                    *count += 1;
                    join(limit.kind, &mut known.value, limit.value);
                }
                None => self.limits.push((1, limit)),
            }
        }
    }

    /// Returns the limits that all keys have, and those that only some have: as one of them has none,
    /// all together have none.
    pub(super) fn split(self) -> (Vec<Limit>, Vec<Limit>) {
        let (mut of_all, mut of_some) = (Vec::new(), Vec::new());
        for (count, limit) in self.limits {
            if count == self.keys || limit.kind == LimitKind::AllowUnpriced {
                of_all.push(limit);
            } else {
                of_some.push(limit);
            }
        }
        (of_all, of_some)
    }
}

fn join(kind: LimitKind, value: &mut LimitValue, other: LimitValue) {
    let max = match kind {
        LimitKind::Budget(..) => Limit::MAX_BUDGET,
        LimitKind::AllowUnpriced => 1,
        _ => MAX_RATE,
    };
    match (value, other) {
        (LimitValue::Amount(sum), LimitValue::Amount(amount)) => {
            *sum = sum.saturating_add(amount).min(max);
        }
        (LimitValue::Patterns(all), LimitValue::Patterns(more)) => {
            all.extend(more);
            all.sort();
            all.dedup();
        }
        _ => {}
    }
}

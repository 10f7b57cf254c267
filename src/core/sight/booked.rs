//! What the ledger's thread has booked: tokens and cost by model, tokens by user and second, and
//! how long commits take. That thread alone writes it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use super::{
    histogram::Histogram,
    minute::Minute,
    models::{KnownModels, ModelNames},
};
use crate::model::{NanoUsd, Usage};

/// A row that was committed.
#[derive(Debug, Clone, Copy)]
pub struct BookedRow<'a> {
    pub user_id: i64,
    pub model: &'a str,
    pub status: u16,
    pub usage: &'a Usage,
    /// `None` if the model has no price.
    pub cost: Option<NanoUsd>,
}

/// Sums over rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BookedSums {
    pub rows: u64,
    pub usage: Usage,
    pub cost: NanoUsd,
    /// Rows that used something and have no cost.
    pub unpriced: u64,
}

impl BookedSums {
    /// Adds other sums.
    pub fn add_sums(&mut self, other: &Self) {
        self.rows += other.rows;
        self.usage = self.usage.saturating_add(other.usage);
        self.cost = self.cost.saturating_add(other.cost);
        self.unpriced += other.unpriced;
    }

    fn add(&mut self, row: &BookedRow<'_>) {
        self.rows += 1;
        self.usage = self.usage.saturating_add(*row.usage);
        match row.cost {
            Some(cost) => self.cost = self.cost.saturating_add(cost),
            None if *row.usage != Usage::default() => self.unpriced += 1,
            None => {}
        }
    }
}

/// What was booked since the server started.
#[derive(Debug, Clone, Default)]
pub struct LedgerSums {
    /// Sums of each model; models beyond the first 200 share `other`.
    pub by_model: Vec<(Arc<str>, BookedSums)>,
    /// Durations of commits.
    pub commits: Histogram,
}

/// What the ledger's thread counts.
#[derive(Debug)]
pub struct LedgerSight {
    clock_start: Instant,
    state: Mutex<State>,
    names: Arc<ModelNames>,
}

#[derive(Debug)]
struct State {
    models: KnownModels,
    /// At the place of the model's id.
    by_model: Vec<BookedSums>,
    by_user: FxHashMap<i64, UserSums>,
    commits: Histogram,
}

#[derive(Debug, Default)]
struct UserSums {
    sums: BookedSums,
    minute: Minute,
}

impl LedgerSight {
    pub(super) fn new(clock_start: Instant, names: Arc<ModelNames>) -> Self {
        Self {
            clock_start,
            state: Mutex::new(State {
                models: KnownModels::new(Arc::clone(&names)),
                by_model: Vec::new(),
                by_user: FxHashMap::default(),
                commits: Histogram::default(),
            }),
            names,
        }
    }

    /// Counts rows that were committed together.
    pub fn count<'a>(&self, rows: impl Iterator<Item = BookedRow<'a>>) {
        let second = self.clock_start.elapsed().as_secs();
        let mut state = self.lock();
        for row in rows {
            // A row without usage is an error answer, whose model may be misspelt.
            let is_served = (200..300).contains(&row.status) || *row.usage != Usage::default();
            let place = state.models.id(row.model, is_served).index();
            if place >= state.by_model.len() {
                state.by_model.resize(place + 1, BookedSums::default());
            }
            state.by_model[place].add(&row);
            let user = state.by_user.entry(row.user_id).or_default();
            user.sums.add(&row);
            let tokens = row.usage.input.saturating_add(row.usage.output);
            let counts = user.minute.at(second);
            counts.tokens = counts.tokens.saturating_add(tokens);
        }
    }

    /// Notes how long a commit took.
    pub fn note_commit(&self, duration: Duration) {
        self.lock().commits.observe(duration);
    }

    /// Returns the sums since the server started.
    #[must_use]
    pub fn sums(&self) -> LedgerSums {
        let names = self.names.all();
        let state = self.lock();
        let by_model = state.by_model.iter().zip(names);
        LedgerSums {
            by_model: by_model
                .filter(|(sums, _)| sums.rows > 0)
                .map(|(sums, name)| (name, *sums))
                .collect(),
            commits: state.commits,
        }
    }

    /// Returns the sums of each user since the server started, by id. The ledger's thread waits
    /// meanwhile, about a millisecond for 20,000 users.
    #[must_use]
    pub fn user_sums(&self) -> Vec<(i64, BookedSums)> {
        let state = self.lock();
        let users = state.by_user.iter();
        users.map(|(id, user)| (*id, user.sums)).collect()
    }

    /// Returns the tokens of each user that were booked in the minute that ends with a second.
    pub(super) fn tokens_in_minute(&self, second: u64) -> Vec<(i64, u64)> {
        let mut state = self.lock();
        let users = state.by_user.iter_mut().filter_map(|(id, user)| {
            user.minute.forget_before(second);
            let tokens = user.minute.sum(second).tokens;
            (tokens > 0).then_some((*id, tokens))
        });
        users.collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_by_model_and_user() {
        let sight = LedgerSight::new(Instant::now(), Arc::default());
        let usage = Usage {
            input: 7,
            output: 3,
            ..Usage::default()
        };
        let row = |user_id, model, cost| BookedRow {
            user_id,
            model,
            status: 200,
            usage: &usage,
            cost,
        };
        let misspelt = BookedRow {
            status: 404,
            usage: &Usage::default(),
            ..row(1, "gtp", Some(NanoUsd(0)))
        };
        let rows = [
            row(1, "a", Some(NanoUsd(5))),
            row(2, "a", Some(NanoUsd(6))),
            row(2, "b", None),
            misspelt,
        ];
        sight.count(rows.into_iter());
        let sums = sight.sums();
        let of = |name: &str| sums.by_model.iter().find(|(n, _)| &**n == name).unwrap().1;
        assert_eq!(
            (of("a").rows, of("a").cost, of("a").usage.input),
            (2, NanoUsd(11), 14)
        );
        assert_eq!((of("b").unpriced, of("b").cost), (1, NanoUsd(0)));
        assert_eq!(of("other").rows, 1, "no client makes values out of nothing");
        let mut users = sight.user_sums();
        users.sort_unstable_by_key(|(id, _)| *id);
        let rows: Vec<_> = users.iter().map(|(id, sums)| (*id, sums.rows)).collect();
        assert_eq!(rows, [(1, 2), (2, 2)]);
        let mut tokens = sight.tokens_in_minute(0);
        tokens.sort_unstable();
        assert_eq!(tokens, [(1, 10), (2, 20)]);
        assert_eq!(sight.tokens_in_minute(60), []);
    }
}

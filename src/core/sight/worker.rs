//! What one worker sees: its live requests, what its users did in the last minute, its last errors
//! and its counters. Its own thread writes it; others lock it for a moment when somebody asks.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;
use slab::Slab;

use super::{
    errors::{RecentError, RecentErrors},
    histogram::Histogram,
    minute::Minute,
    models::{KnownModels, ModelId, ModelNames},
};

/// The number of users from which on those are forgotten that did nothing in the last minute.
const MANY_USERS: usize = 20_000;

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestState {
    /// Its body comes in, and it is looked into.
    Reading,
    /// It waits in line for a place at the backend.
    Waiting,
    /// It is at the backend, or its answer passes.
    Running,
}

/// One worker's view.
#[derive(Debug)]
pub struct WorkerSight {
    pub(super) clock_start: Instant,
    names: Arc<ModelNames>,
    state: Mutex<WorkerState>,
}

#[derive(Debug)]
pub(super) struct WorkerState {
    pub(super) live: Slab<LiveEntry>,
    pub(super) users: FxHashMap<i64, UserState>,
    pub(super) errors: RecentErrors,
    pub(super) models: KnownModels,
    /// Ended requests by endpoint, model and status.
    pub(super) requests: FxHashMap<(&'static str, ModelId, u16), u64>,
    /// Refused requests by reason.
    pub(super) refused: FxHashMap<&'static str, u64>,
    pub(super) latencies: Latencies,
}

/// Durations of requests.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latencies {
    pub(super) wait: Histogram,
    pub(super) duration: Histogram,
    pub(super) first_byte: Histogram,
    pub(super) overhead: Histogram,
}

/// A request that is live.
#[derive(Debug)]
pub(super) struct LiveEntry {
    pub(super) user_id: i64,
    pub(super) endpoint: &'static str,
    pub(super) model: LiveModel,
    pub(super) started: Instant,
    pub(super) state: RequestState,
    pub(super) output_tokens: Option<u64>,
    /// Status of the answer; 0 before its head has come.
    pub(super) status: u16,
}

/// The model of a live request: a name is kept only if it has no id.
#[derive(Debug)]
pub(super) enum LiveModel {
    Known(ModelId),
    Named(Box<str>),
}

#[derive(Debug)]
pub(super) struct UserState {
    pub(super) minute: Minute,
    pub(super) last_seen: Instant,
}

/// A live request as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestView {
    pub user_id: i64,
    pub endpoint: Cow<'static, str>,
    /// Empty if the request names none, or is not known yet.
    pub model: String,
    pub age: Duration,
    pub state: RequestState,
    /// About how many tokens have passed so far; `None` if that is not known.
    pub output_tokens: Option<u64>,
    /// Status of the answer; `None` before its head has come.
    pub status: Option<u16>,
}

/// Key of the counter of ended requests: endpoint, model, status.
pub type RequestsKey = (&'static str, Arc<str>, u16);

/// Counters of workers.
#[derive(Debug, Clone, Default)]
pub struct WorkerSums {
    pub requests: FxHashMap<RequestsKey, u64>,
    pub refused: FxHashMap<&'static str, u64>,
    pub wait: Histogram,
    pub duration: Histogram,
    pub first_byte: Histogram,
    pub overhead: Histogram,
}

impl WorkerSight {
    pub(super) fn new(clock_start: Instant, names: Arc<ModelNames>) -> Self {
        Self {
            clock_start,
            state: Mutex::new(WorkerState {
                live: Slab::new(),
                users: FxHashMap::default(),
                errors: RecentErrors::default(),
                models: KnownModels::new(Arc::clone(&names)),
                requests: FxHashMap::default(),
                refused: FxHashMap::default(),
                latencies: Latencies::default(),
            }),
            names,
        }
    }

    /// Adds the counters of this worker to sums.
    pub(super) fn add_to(&self, sums: &mut WorkerSums) {
        let names = self.names.all();
        let state = self.lock();
        for ((endpoint, model, status), count) in &state.requests {
            let name = names.get(model.index()).cloned().unwrap_or_default();
            *sums.requests.entry((endpoint, name, *status)).or_default() += count;
        }
        for (reason, count) in &state.refused {
            *sums.refused.entry(reason).or_default() += count;
        }
        sums.wait.add(&state.latencies.wait);
        sums.duration.add(&state.latencies.duration);
        sums.first_byte.add(&state.latencies.first_byte);
        sums.overhead.add(&state.latencies.overhead);
    }

    /// Returns the live requests of this worker.
    pub(super) fn requests(&self, now: Instant) -> Vec<RequestView> {
        let names = self.names.all();
        let state = self.lock();
        let live = state.live.iter();
        live.map(|(_, entry)| RequestView {
            user_id: entry.user_id,
            endpoint: entry.endpoint.into(),
            model: match &entry.model {
                LiveModel::Known(id) => names.get(id.index()).map_or("", |name| name).to_owned(),
                LiveModel::Named(name) => name.to_string(),
            },
            age: now.saturating_duration_since(entry.started),
            state: entry.state,
            output_tokens: entry.output_tokens,
            status: (entry.status != 0).then_some(entry.status),
        })
        .collect()
    }

    /// Returns how many requests are live, and how many of them wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        let waits = |entry: &LiveEntry| entry.state == RequestState::Waiting;
        let waiting = state.live.iter().filter(|(_, entry)| waits(entry)).count();
        (state.live.len(), waiting)
    }

    /// Calls `see` with each user of this worker: id, counts of the last minute, last request.
    pub(super) fn each_user(
        &self,
        second: u64,
        mut see: impl FnMut(i64, super::MinuteCounts, Instant),
    ) {
        for (id, user) in &mut self.lock().users {
            user.minute.forget_before(second);
            see(*id, user.minute.sum(second), user.last_seen);
        }
    }

    /// Returns the last errors of this worker.
    pub(super) fn errors(&self) -> Vec<RecentError> {
        self.lock().errors.iter().cloned().collect()
    }

    /// The state is valid after each of its steps, so that a poisoned lock is ignored.
    pub(super) fn lock(&self) -> MutexGuard<'_, WorkerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn second_of(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.clock_start).as_secs()
    }
}

impl WorkerState {
    /// Returns the state of a user who is active now.
    pub(super) fn user(&mut self, id: i64, now: Instant, second: u64) -> &mut UserState {
        if self.users.len() >= MANY_USERS && !self.users.contains_key(&id) {
            self.users.retain(|_, user| {
                user.minute.forget_before(second);
                !user.minute.is_empty()
            });
        }
        let user = self.users.entry(id).or_insert_with(|| UserState {
            minute: Minute::default(),
            last_seen: now,
        });
        user.last_seen = now;
        user
    }
}

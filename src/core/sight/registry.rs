//! All workers' and the ledger's views, and what is made of them when somebody asks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    booked::LedgerSight,
    errors::{RecentError, joined},
    minute::MinuteCounts,
    models::ModelNames,
    worker::{RequestState, RequestView, WorkerSight, WorkerSums},
};

/// What a server is doing, and has done since it started.
#[derive(Debug)]
pub struct Sight {
    clock_start: Instant,
    names: Arc<ModelNames>,
    workers: Mutex<Vec<Arc<WorkerSight>>>,
    ledger: Arc<LedgerSight>,
}

/// What a server is doing at a moment.
#[derive(Debug, Default)]
pub struct LiveSnapshot {
    /// The longest running first.
    pub requests: Vec<RequestView>,
    /// Activity of each user by id.
    pub users: HashMap<i64, UserActivity>,
    /// The newest first.
    pub errors: Vec<RecentError>,
}

/// What one user is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserActivity {
    /// Live requests, those that wait included.
    pub in_flight: u64,
    pub waiting: u64,
    /// Sums of the last minute.
    pub minute: MinuteCounts,
    /// Time since the last request; `None` if there was none since the server started.
    pub last_seen: Option<Duration>,
}

impl LiveSnapshot {
    /// Counts the live requests for their users.
    pub fn count_requests(&mut self) {
        for request in &self.requests {
            let user = self.users.entry(request.user_id).or_default();
            user.in_flight += 1;
            user.waiting += u64::from(request.state == RequestState::Waiting);
        }
    }
}

impl Default for Sight {
    fn default() -> Self {
        let (clock_start, names) = (Instant::now(), Arc::<ModelNames>::default());
        Self {
            clock_start,
            ledger: Arc::new(LedgerSight::new(clock_start, Arc::clone(&names))),
            workers: Mutex::default(),
            names,
        }
    }
}

impl Sight {
    /// Adds a worker.
    #[must_use]
    pub fn worker(&self) -> Arc<WorkerSight> {
        let worker = Arc::new(WorkerSight::new(self.clock_start, Arc::clone(&self.names)));
        self.lock().push(Arc::clone(&worker));
        worker
    }

    /// Returns what the ledger's thread counts.
    #[must_use]
    pub fn ledger(&self) -> &Arc<LedgerSight> {
        &self.ledger
    }

    /// Returns how many requests are live, and how many of them wait.
    #[must_use]
    pub fn in_flight_and_waiting(&self) -> (usize, usize) {
        let counts = self.workers().into_iter().map(|worker| worker.counts());
        counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Returns the counters of all workers together.
    #[must_use]
    pub fn sums(&self) -> WorkerSums {
        let mut sums = WorkerSums::default();
        for worker in self.workers() {
            worker.add_to(&mut sums);
        }
        sums
    }

    /// Returns what the server is doing now.
    #[must_use]
    pub fn snapshot(&self) -> LiveSnapshot {
        let now = Instant::now();
        let second = now.saturating_duration_since(self.clock_start).as_secs();
        let mut snapshot = LiveSnapshot::default();
        let mut errors = Vec::new();
        for worker in self.workers() {
            snapshot.requests.extend(worker.requests(now));
            errors.extend(worker.errors());
            worker.each_user(second, |id, minute, last_seen| {
                let user = snapshot.users.entry(id).or_default();
                user.minute.add(&minute);
                let ago = now.saturating_duration_since(last_seen);
                user.last_seen = Some(user.last_seen.map_or(ago, |known| known.min(ago)));
            });
        }
        for (id, tokens) in self.ledger.tokens_in_minute(second) {
            snapshot.users.entry(id).or_default().minute.tokens += tokens;
        }
        snapshot.count_requests();
        snapshot
            .requests
            .sort_by_key(|request| std::cmp::Reverse(request.age));
        snapshot.errors = joined(errors);
        snapshot
    }

    fn workers(&self) -> Vec<Arc<WorkerSight>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<WorkerSight>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::RequestId, sight::Refused};

    const CHAT: &str = "/v1/chat/completions";

    #[test]
    fn a_request_is_seen_from_its_beginning_to_its_end() {
        let sight = Sight::default();
        let (one, two) = (sight.worker(), sight.worker());
        let first = one.enter(CHAT, RequestId::new(0));
        assert_eq!(
            sight.in_flight_and_waiting(),
            (0, 0),
            "nobody knows whose it is"
        );
        first.identified(7);
        first.asks_for_turn("gpt-4.1");
        first.waits();
        let second = two.enter(CHAT, RequestId::new(0));
        second.identified(7);
        assert_eq!(sight.in_flight_and_waiting(), (2, 1));
        first.has_turn();
        first.sent();
        first.answered(200);
        first.set_output_tokens(12);
        let snapshot = sight.snapshot();
        let request = &snapshot.requests[0];
        assert_eq!((request.user_id, &*request.model), (7, "gpt-4.1"));
        assert_eq!(
            (request.state, request.status),
            (RequestState::Running, Some(200))
        );
        assert_eq!(request.output_tokens, Some(12));
        let user = snapshot.users[&7];
        assert_eq!(
            (user.in_flight, user.waiting, user.minute.requests),
            (2, 0, 2)
        );
        assert!(user.minute.mean_first_byte_ms().is_some());
        drop((first, second));
        assert_eq!(sight.in_flight_and_waiting(), (0, 0));
        let sums = sight.sums();
        assert_eq!(sums.requests[&(CHAT, "gpt-4.1".into(), 200)], 1);
        assert_eq!(sums.requests[&(CHAT, "".into(), 499)], 1);
        assert_eq!(sums.duration.counts.iter().sum::<u64>(), 2);
        assert_eq!(sums.wait.counts.iter().sum::<u64>(), 1);
    }

    #[test]
    fn a_refusal_counts_for_its_user_and_by_its_reason() {
        let sight = Sight::default();
        let worker = sight.worker();
        let refused = Refused {
            status: 429,
            code: "rate_limit_exceeded",
            reason: Some("requests_per_minute"),
            message: "too fast",
        };
        for user_id in [Some(7), Some(7), None] {
            let request = worker.enter(CHAT, RequestId::new(0));
            if let Some(id) = user_id {
                request.identified(id);
            }
            request.refused(refused);
        }
        let unknown = Refused {
            reason: Some("unknown_url"),
            ..refused
        };
        worker.refused_path(unknown, RequestId::new(0));
        let snapshot = sight.snapshot();
        assert_eq!(snapshot.users[&7].minute.refused, 2);
        let counts: u64 = snapshot.errors.iter().map(|error| error.count).sum();
        assert_eq!((snapshot.errors.len(), counts), (3, 4));
        let sums = sight.sums();
        assert_eq!(sums.refused["requests_per_minute"], 3);
        assert_eq!(sums.requests[&(CHAT, "".into(), 429)], 3);
        assert_eq!(sums.requests[&("other", "".into(), 429)], 1);
    }
}

//! What is used and reserved of every limit, and the one step that admits a request: all limits are
//! looked at, then all are taken from, under the caller's lock. Budgets are in `windows.rs`, rates in
//! `rates.rs`, and what several nodes share in `nodes.rs`.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::{
    amounts::Amounts,
    bucket::Bucket,
    leases::Leases,
    refusal::{Reason, Refusal},
    rules::{BudgetRule, LimitTable, NumberRule, Owner, UserRules},
};
use crate::model::{BudgetWindow, Calendar, LimitKind, LimitScope};

pub use rates::RateState;
use windows::OpenWindow;
pub use windows::{BudgetCheck, WindowStart, Windows};

/// Pause after which a client tries again that its own requests in flight keep out.
pub const CONCURRENT_RETRY_MS: u64 = 1_000;

/// A moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Unix time in milliseconds, which decides about windows.
    pub unix_ms: i64,
    /// Milliseconds of a clock that never goes back, which rates use.
    pub clock_ms: u64,
}

/// The most that a request can use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    pub amounts: Amounts,
    /// The request may get a row of the ledger, so that budgets and rates of tokens apply.
    pub is_metered: bool,
}

impl Demand {
    /// Adds another demand.
    pub fn add(&mut self, other: &Self) {
        self.amounts += other.amounts;
        self.is_metered |= other.is_metered;
    }
}

/// What an admitted request has taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    owners: SmallVec<[Owner; 2]>,
    amounts: Amounts,
    /// Windows in which the amounts are reserved, with their beginnings.
    windows: SmallVec<[(BudgetWindow, i64); 4]>,
    /// Owners from whose bucket a request was taken.
    requests_from: SmallVec<[Owner; 2]>,
    tokens_from: SmallVec<[Owner; 2]>,
}

impl Grant {
    /// Returns what is reserved.
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        self.amounts
    }
}

/// Sums over all owners, all of which are 0 when nothing is in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimiterCounts {
    pub in_flight: u64,
    pub reserved: Amounts,
}

/// What is used and reserved of all limits.
#[derive(Debug)]
pub struct Limiter {
    windows: Windows,
    open: SmallVec<[OpenWindow; 4]>,
    owners: FxHashMap<Owner, OwnerState>,
    group_of: FxHashMap<i64, i64>,
    refused: FxHashMap<(LimitScope, LimitKind), u64>,
    /// The newest row and adjustment that were booked.
    counted: (i64, i64),
    /// What this node may use of budgets that other nodes use too.
    leases: Option<Leases>,
    /// Number of nodes that share rates and concurrency, this one included.
    nodes: i64,
    /// What stored objects may still use, where several nodes read that from the database: Unix times
    /// in milliseconds that decide about windows, and amounts.
    stored: FxHashMap<Owner, Vec<(i64, Amounts)>>,
}

#[derive(Debug, Default)]
struct OwnerState {
    in_flight: u64,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

impl Limiter {
    #[must_use]
    pub fn new(calendar: Calendar) -> Self {
        Self {
            windows: Windows::new(calendar),
            open: SmallVec::new(),
            owners: FxHashMap::default(),
            group_of: FxHashMap::default(),
            refused: FxHashMap::default(),
            counted: (0, 0),
            leases: None,
            nodes: 1,
            stored: FxHashMap::default(),
        }
    }

    /// Admits a request, or says which limit it does not pass. Nothing is taken then.
    ///
    /// # Errors
    /// [`Refusal`] of the first limit in the order budgets, rates, concurrency.
    pub fn admit(
        &mut self,
        rules: &UserRules,
        demand: &Demand,
        at: Moment,
    ) -> Result<Grant, Box<Refusal>> {
        self.roll(at.unix_ms);
        self.fill_buckets(rules, at.clock_ms);
        if let Some(refusal) = self.find_refusal(rules, demand, at) {
            return Err(Box::new(refusal));
        }
        Ok(self.take(rules, demand))
    }

    fn find_refusal(&mut self, rules: &UserRules, demand: &Demand, at: Moment) -> Option<Refusal> {
        if demand.is_metered {
            for rule in &rules.budgets {
                if let Some(refusal) = self.check_budget(rule, demand, at) {
                    return Some(refusal);
                }
            }
        }
        let tokens = if demand.is_metered {
            demand.amounts.tokens
        } else {
            0
        };
        for (rate_rules, amount) in [(&rules.request_rates, 1), (&rules.token_rates, tokens)] {
            for rule in rate_rules {
                if amount > 0
                    && let Some(refusal) = self.check_rate(rule, amount, at)
                {
                    return Some(refusal);
                }
            }
        }
        for rule in &rules.concurrent {
            let in_flight = self
                .owners
                .get(&rule.owner)
                .map_or(0, |owner| owner.in_flight);
            let in_flight = i64::try_from(in_flight).unwrap_or(i64::MAX);
            if in_flight >= self.share(rule.number) {
                let refusal = Refusal {
                    source: rule.source.clone(),
                    reason: Reason::Concurrent,
                    limit: rule.number,
                    used: in_flight,
                    reserved: 0,
                    requested: 1,
                    needs_lease: false,
                    resets_at_ms: None,
                };
                if let Some(refusal) = self.refuse(refusal, rule.is_watched) {
                    return Some(refusal);
                }
            }
        }
        None
    }

    fn check_budget(&mut self, rule: &BudgetRule, demand: &Demand, at: Moment) -> Option<Refusal> {
        let requested = demand.amounts.of(rule.unit);
        let check = self.budget(rule, at.unix_ms)?;
        let with_this = check.used.saturating_add(requested);
        let mut needs_lease = false;
        // A budget of nothing blocks, also what costs nothing.
        let reason = if with_this > check.limit || check.limit <= 0 {
            Reason::BudgetUsedUp
        } else if with_this.saturating_add(check.reserved) > check.limit {
            Reason::BudgetInFlight
        } else if rule.is_watched || self.has_lease(rule, &check, requested, at.clock_ms) {
            return None;
        } else {
            needs_lease = true;
            Reason::BudgetInFlight
        };
        let refusal = Refusal {
            source: rule.source.clone(),
            reason,
            limit: check.limit,
            used: check.used,
            reserved: check.reserved,
            requested,
            needs_lease,
            resets_at_ms: check.resets_at_ms,
        };
        if needs_lease {
            return Some(refusal);
        }
        self.refuse(refusal, rule.is_watched)
    }

    fn check_rate(&mut self, rule: &NumberRule, amount: i64, at: Moment) -> Option<Refusal> {
        let bucket = self.bucket(rule)?;
        // What is larger than this node's share goes into debt, which the share pays.
        let wait_ms = if amount <= rule.number {
            bucket.wait_ms(amount.min(self.share(rule.number)))
        } else {
            None
        };
        let reason = match wait_ms {
            Some(0) => return None,
            Some(retry_after_ms) => Reason::Rate { retry_after_ms },
            None => Reason::LargerThanBucket,
        };
        let until_full = i64::try_from(bucket.reset_ms()).unwrap_or(i64::MAX);
        let refusal = Refusal {
            source: rule.source.clone(),
            reason,
            limit: rule.number,
            used: rule.number - self.of_all(bucket.remaining(), rule.number),
            reserved: 0,
            requested: amount,
            needs_lease: false,
            resets_at_ms: Some(at.unix_ms.saturating_add(until_full)),
        };
        self.refuse(refusal, rule.is_watched)
    }

    /// Counts a refusal. One of a limit that is only watched is none.
    fn refuse(&mut self, refusal: Refusal, is_watched: bool) -> Option<Refusal> {
        let source = &refusal.source;
        *self.refused.entry((source.scope, source.kind)).or_default() += 1;
        (!is_watched).then_some(refusal)
    }

    /// Counts a refusal that was decided elsewhere, such as that of a model.
    pub fn count_refusal(&mut self, scope: LimitScope, kind: LimitKind) {
        *self.refused.entry((scope, kind)).or_default() += 1;
    }

    /// Returns how many requests a limit has refused, or would have refused if it is only watched,
    /// since the process started.
    #[must_use]
    pub fn refused(&self, scope: LimitScope, kind: LimitKind) -> u64 {
        self.refused.get(&(scope, kind)).copied().unwrap_or(0)
    }

    fn take(&mut self, rules: &UserRules, demand: &Demand) -> Grant {
        let amounts = if demand.is_metered {
            demand.amounts
        } else {
            Amounts::default()
        };
        let mut grant = Grant {
            owners: owners_of(rules),
            amounts,
            windows: SmallVec::new(),
            requests_from: SmallVec::new(),
            tokens_from: SmallVec::new(),
        };
        if demand.is_metered {
            for open in &mut self.open {
                grant.windows.push((open.window, open.start_ms));
                for owner in &grant.owners {
                    open.tallies.entry(*owner).or_default().reserved += amounts;
                }
            }
        }
        for rule in &rules.request_rates {
            if let Some(bucket) = self.bucket_mut(rule) {
                bucket.take(1);
                grant.requests_from.push(rule.owner);
            }
        }
        for rule in &rules.token_rates {
            if demand.is_metered
                && let Some(bucket) = self.bucket_mut(rule)
            {
                bucket.take(amounts.tokens);
                grant.tokens_from.push(rule.owner);
            }
        }
        for owner in &grant.owners {
            self.owners.entry(*owner).or_default().in_flight += 1;
        }
        grant
    }

    /// Reserves amounts without asking: they were reserved before the process was started again. It
    /// takes nothing from rates and is no request in flight.
    pub fn restore(&mut self, rules: &UserRules, amounts: Amounts, at: Moment) -> Grant {
        let mut grant = Grant {
            owners: owners_of(rules),
            amounts,
            windows: SmallVec::new(),
            requests_from: SmallVec::new(),
            tokens_from: SmallVec::new(),
        };
        for open in &mut self.open {
            if (open.start_ms..open.end_ms).contains(&at.unix_ms) {
                grant.windows.push((open.window, open.start_ms));
                for owner in &grant.owners {
                    open.tallies.entry(*owner).or_default().reserved += amounts;
                }
            }
        }
        grant
    }

    /// Raises what a request has reserved, when more is known of it. All or nothing, as in
    /// [`Limiter::admit`].
    ///
    /// # Errors
    /// [`Refusal`]; what was reserved before stays.
    pub fn raise(
        &mut self,
        rules: &UserRules,
        grant: &mut Grant,
        more: Amounts,
        at: Moment,
    ) -> Result<(), Box<Refusal>> {
        self.roll(at.unix_ms);
        self.fill_buckets(rules, at.clock_ms);
        let demand = Demand {
            amounts: more,
            is_metered: true,
        };
        for rule in &rules.budgets {
            if let Some(refusal) = self.check_budget(rule, &demand, at) {
                return Err(Box::new(refusal));
            }
        }
        for rule in &rules.token_rates {
            if more.tokens > 0
                && let Some(refusal) = self.check_rate(rule, more.tokens, at)
            {
                return Err(Box::new(refusal));
            }
        }
        for open in &mut self.open {
            let is_same = |(window, start): &(BudgetWindow, i64)| {
                (*window, *start) == (open.window, open.start_ms)
            };
            if grant.windows.iter().any(is_same) {
                for owner in &grant.owners {
                    open.tallies.entry(*owner).or_default().reserved += more;
                }
            }
        }
        for owner in &grant.tokens_from {
            let state = self.owners.get_mut(owner);
            if let Some(bucket) = state.and_then(|state| state.tokens.as_mut()) {
                bucket.take(more.tokens);
            }
        }
        grant.amounts += more;
        Ok(())
    }

    /// Takes back what was reserved, when the row of the request is in the ledger or there is none.
    /// `tokens` is what was used, and a request that failed gives back what it took from rates.
    pub fn finish(&mut self, grant: &Grant, tokens: i64, has_failed: bool) {
        for (window, start_ms) in &grant.windows {
            let same =
                |open: &&mut OpenWindow| (open.window, open.start_ms) == (*window, *start_ms);
            if let Some(open) = self.open.iter_mut().find(same) {
                for owner in &grant.owners {
                    if let Entry::Occupied(mut tally) = open.tallies.entry(*owner) {
                        tally.get_mut().reserved -= grant.amounts;
                    }
                }
            }
        }
        for owner in &grant.tokens_from {
            let state = self.owners.get_mut(owner);
            if let Some(bucket) = state.and_then(|state| state.tokens.as_mut()) {
                match grant.amounts.tokens - tokens {
                    more if more < 0 => bucket.take(-more),
                    less => bucket.give_back(less),
                }
            }
        }
        if has_failed {
            for owner in &grant.requests_from {
                let state = self.owners.get_mut(owner);
                if let Some(bucket) = state.and_then(|state| state.requests.as_mut()) {
                    bucket.give_back(1);
                }
            }
        }
    }

    /// Ends the time of a request in flight.
    pub fn leave(&mut self, owners: &[Owner]) {
        for owner in owners {
            if let Some(state) = self.owners.get_mut(owner) {
                state.in_flight = state.in_flight.saturating_sub(1);
                if state.in_flight == 0 && state.requests.is_none() && state.tokens.is_none() {
                    self.owners.remove(owner);
                }
            }
        }
    }

    /// Returns how many requests of an owner are in flight.
    #[must_use]
    pub fn in_flight(&self, owner: Owner) -> u64 {
        self.owners.get(&owner).map_or(0, |state| state.in_flight)
    }

    /// Returns the sums over all owners.
    #[must_use]
    pub fn counts(&self) -> LimiterCounts {
        let mut counts = LimiterCounts::default();
        for (owner, state) in &self.owners {
            if matches!(owner, Owner::User(_)) {
                counts.in_flight += state.in_flight;
            }
        }
        // All windows hold the same reservations, but for those that began meanwhile.
        let longest = self.open.iter().min_by_key(|open| open.start_ms);
        for (owner, tally) in longest.into_iter().flat_map(|open| &open.tallies) {
            if matches!(owner, Owner::User(_)) {
                counts.reserved += tally.reserved;
            }
        }
        counts
    }
}

impl Grant {
    /// Returns those whose request this is.
    #[must_use]
    pub fn owners(&self) -> &[Owner] {
        &self.owners
    }
}

fn owners_of(rules: &UserRules) -> SmallVec<[Owner; 2]> {
    let group = rules.group_id.map(Owner::Group);
    std::iter::once(Owner::User(rules.user_id))
        .chain(group)
        .collect()
}

mod nodes;
mod rates;
mod windows;

#[cfg(test)]
mod tests;

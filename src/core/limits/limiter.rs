//! What is used and reserved of every limit, and the one step that admits a request: all limits are
//! looked at, then all are taken from, under the caller's lock. What it has taken is in `grant.rs`, budgets
//! are in `windows.rs`, rates in `rates.rs`, and what several nodes share in `nodes.rs`.

use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::{
    amounts::Amounts,
    bucket::Bucket,
    leases::Leases,
    refusal::{Reason, Refusal},
    rules::{BudgetRule, LimitTable, NumberRule, Owner, UserRules},
};
use crate::model::{BudgetWindow, Calendar, LimitKind, LimitScope};

use open_windows::{OpenWindows, Tally, WindowStarts};

pub use grant::{Grant, Owners};
pub use rates::RateState;
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
    open: OpenWindows,
    /// All that is counted of an owner lies together, so that a request looks for it once.
    owners: IndexMap<Owner, OwnerState, FxBuildHasher>,
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
    /// What is used and reserved in the open windows, in the order of [`BudgetWindow`]. It is nothing
    /// in the others.
    tallies: [Tally; WINDOWS],
}

/// The number of kinds of windows.
const WINDOWS: usize = BudgetWindow::ALL.len();

/// Where the states of a request's owners are, until the next owner is added or removed.
#[derive(Clone, Copy)]
struct Places {
    user: usize,
    /// That of the user without a group.
    group: usize,
}

impl Places {
    fn of(self, owner: Owner) -> usize {
        match owner {
            Owner::User(_) => self.user,
            Owner::Group(_) => self.group,
        }
    }
}

/// What is counted of a request's owners, as far as anything is.
#[derive(Clone, Copy)]
struct States<'l> {
    user: Option<&'l OwnerState>,
    group: Option<&'l OwnerState>,
}

impl<'l> States<'l> {
    fn of(self, owner: Owner) -> Option<&'l OwnerState> {
        match owner {
            Owner::User(_) => self.user,
            Owner::Group(_) => self.group,
        }
    }
}

impl Limiter {
    #[must_use]
    pub fn new(calendar: Calendar) -> Self {
        Self {
            windows: Windows::new(calendar),
            open: OpenWindows::default(),
            owners: IndexMap::default(),
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
        let places = self.places_of(Owners::of(rules));
        self.fill_buckets(rules, places, at.clock_ms);
        if let Some(refusal) = self.find_refusal(rules, places, demand, at) {
            return Err(Box::new(refusal));
        }
        Ok(self.take(rules, places, demand))
    }

    /// Returns the places of a request's owners, who are there from now on.
    fn places_of(&mut self, owners: Owners) -> Places {
        let mut place = |owner: Owner| match self.owners.get_index_of(&owner) {
            Some(place) => place,
            None => self.owners.insert_full(owner, OwnerState::default()).0,
        };
        let user = place(Owner::User(owners.user_id));
        let group = owners.group_id.map_or(user, |id| place(Owner::Group(id)));
        Places { user, group }
    }

    fn states_of(&self, rules: &UserRules) -> States<'_> {
        let group = rules.group_id.map(Owner::Group);
        States {
            user: self.owners.get(&Owner::User(rules.user_id)),
            group: group.and_then(|group| self.owners.get(&group)),
        }
    }

    fn find_refusal(
        &mut self,
        rules: &UserRules,
        places: Places,
        demand: &Demand,
        at: Moment,
    ) -> Option<Refusal> {
        if demand.is_metered {
            for rule in &rules.budgets {
                if let Some(refusal) = self.check_budget(rule, places, demand, at) {
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
                    && let Some(refusal) = self.check_rate(rule, places, amount, at)
                {
                    return Some(refusal);
                }
            }
        }
        for rule in &rules.concurrent {
            let in_flight = self.owners[places.of(rule.owner)].in_flight;
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

    fn check_budget(
        &mut self,
        rule: &BudgetRule,
        places: Places,
        demand: &Demand,
        at: Moment,
    ) -> Option<Refusal> {
        let requested = demand.amounts.of(rule.unit);
        let state = &self.owners[places.of(rule.owner)];
        if self.has_room(rule, state, requested) {
            return None;
        }
        let check = self.budget_in(rule, Some(state), at.unix_ms)?;
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

    /// Returns whether a budget that only this node uses has room for a request, in a window that has not
    /// ended. The rest of [`Limiter::check_budget`] says the same, and why not.
    fn has_room(&self, rule: &BudgetRule, state: &OwnerState, requested: i64) -> bool {
        let tally = &state.tallies[rule.window as usize];
        let used = tally.used.of(rule.unit).saturating_add(requested);
        self.leases.is_none()
            && self.stored.is_empty()
            && rule.amount > 0
            && used.saturating_add(tally.reserved.of(rule.unit)) <= rule.amount
    }

    fn check_rate(
        &mut self,
        rule: &NumberRule,
        places: Places,
        amount: i64,
        at: Moment,
    ) -> Option<Refusal> {
        let bucket = self.owners[places.of(rule.owner)].bucket(rule)?;
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

    fn take(&mut self, rules: &UserRules, places: Places, demand: &Demand) -> Grant {
        let owners = Owners::of(rules);
        let amounts = if demand.is_metered {
            demand.amounts
        } else {
            Amounts::default()
        };
        let mut grant = Grant::new(owners, amounts);
        if demand.is_metered {
            grant.starts = self.open.starts();
        }
        for owner in owners.each() {
            let state = &mut self.owners[places.of(owner)];
            state.in_flight += 1;
            state.reserve(&grant.starts, amounts);
        }
        for rule in &rules.request_rates {
            if let Some(bucket) = self.owners[places.of(rule.owner)].bucket_mut(rule) {
                bucket.take(1);
                grant.requests_from.note(rule.owner);
            }
        }
        for rule in rules.token_rates.iter().filter(|_| demand.is_metered) {
            if let Some(bucket) = self.owners[places.of(rule.owner)].bucket_mut(rule) {
                bucket.take(amounts.tokens);
                grant.tokens_from.note(rule.owner);
            }
        }
        grant
    }

    /// Reserves amounts without asking: they were reserved before the process was started again. It
    /// takes nothing from rates and is no request in flight.
    pub fn restore(&mut self, rules: &UserRules, amounts: Amounts, at: Moment) -> Grant {
        let mut grant = Grant::new(Owners::of(rules), amounts);
        for open in self.open.iter().filter(|open| open.has(at.unix_ms)) {
            grant.starts.set(open.window, open.start_ms);
        }
        let places = self.places_of(grant.owners);
        for owner in grant.owners.each() {
            self.owners[places.of(owner)].reserve(&grant.starts, amounts);
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
        let places = self.places_of(grant.owners);
        self.fill_buckets(rules, places, at.clock_ms);
        let demand = Demand {
            amounts: more,
            is_metered: true,
        };
        for rule in &rules.budgets {
            if let Some(refusal) = self.check_budget(rule, places, &demand, at) {
                return Err(Box::new(refusal));
            }
        }
        for rule in &rules.token_rates {
            if more.tokens > 0
                && let Some(refusal) = self.check_rate(rule, places, more.tokens, at)
            {
                return Err(Box::new(refusal));
            }
        }
        let still = self.open.starts().shared_with(&grant.starts);
        for owner in grant.owners.each() {
            let state = &mut self.owners[places.of(owner)];
            state.reserve(&still, more);
            if let Some(bucket) = &mut state.tokens
                && grant.tokens_from.has(owner)
            {
                bucket.take(more.tokens);
            }
        }
        grant.amounts += more;
        Ok(())
    }

    /// Takes back what was reserved, when the row of the request is in the ledger or there is none.
    /// `tokens` is what was used, and a request that failed gives back what it took from rates.
    pub fn finish(&mut self, grant: &Grant, tokens: i64, has_failed: bool) {
        let still = self.open.starts().shared_with(&grant.starts);
        for owner in grant.owners.each() {
            let Some(state) = self.owners.get_mut(&owner) else {
                continue;
            };
            for tally in still.of(&mut state.tallies) {
                tally.reserved -= grant.amounts;
            }
            if let Some(bucket) = &mut state.tokens
                && grant.tokens_from.has(owner)
            {
                match grant.amounts.tokens - tokens {
                    more if more < 0 => bucket.take(-more),
                    less => bucket.give_back(less),
                }
            }
            if let Some(bucket) = &mut state.requests
                && has_failed
                && grant.requests_from.has(owner)
            {
                bucket.give_back(1);
            }
        }
    }

    /// Ends the time of a request in flight.
    pub fn leave(&mut self, owners: Owners) {
        for owner in owners.each() {
            if let Some(state) = self.owners.get_mut(&owner) {
                state.in_flight = state.in_flight.saturating_sub(1);
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
        if let Some(longest) = self.open.iter().min_by_key(|open| open.start_ms) {
            for (owner, state) in &self.owners {
                if matches!(owner, Owner::User(_)) {
                    counts.reserved += state.tallies[longest.window as usize].reserved;
                }
            }
        }
        counts
    }
}

impl OwnerState {
    /// Returns whether it is as that of an owner who is not there.
    fn is_nothing(&self) -> bool {
        let has_buckets = self.requests.is_some() || self.tokens.is_some();
        self.in_flight == 0 && !has_buckets && self.tallies == [Tally::default(); WINDOWS]
    }

    /// Reserves amounts in some windows.
    fn reserve(&mut self, windows: &WindowStarts, amounts: Amounts) {
        for tally in windows.of(&mut self.tallies) {
            tally.reserved += amounts;
        }
    }
}

mod grant;
mod nodes;
mod open_windows;
mod rates;
mod windows;

#[cfg(test)]
mod tests;

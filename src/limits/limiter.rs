//! What is used and reserved of every limit, and the one step that admits a request: all limits are
//! looked at, then all are taken from, under the caller's lock.

use std::collections::{HashMap, hash_map::Entry};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::{
    amounts::Amounts,
    bucket::Bucket,
    leases::Leases,
    refusal::{Reason, Refusal},
    rules::{BudgetRule, LimitTable, NumberRule, Owner, UserRules},
};
use crate::model::{BudgetUnit, BudgetWindow, Calendar, LimitKind, LimitScope, Period};

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

/// A limit of requests or tokens as its user sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateState {
    pub limit: i64,
    pub remaining: i64,
    pub reset_ms: u64,
}

/// A window that has to be read from the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowStart {
    pub window: BudgetWindow,
    /// Unix time in milliseconds.
    pub start_ms: i64,
}

/// What is used and reserved of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetCheck {
    pub limit: i64,
    pub used: i64,
    /// Reserved by requests in flight and by stored objects.
    pub reserved: i64,
    /// The part of stored objects, if several nodes read that from the database.
    pub stored: i64,
    /// Unix time in milliseconds at which the window begins.
    pub start_ms: i64,
    /// Unix time in milliseconds; `None` for a total.
    pub resets_at_ms: Option<i64>,
}

/// Sums over all owners, all of which are 0 when nothing is in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimiterCounts {
    pub in_flight: u64,
    pub reserved: Amounts,
}

/// Where the windows of budgets begin and end.
#[derive(Debug, Clone)]
pub struct Windows(Calendar);

impl Windows {
    #[must_use]
    pub fn new(calendar: Calendar) -> Self {
        Self(calendar)
    }

    /// Returns the first millisecond of the window that has a moment, and the first behind it.
    #[must_use]
    pub fn span(&self, window: BudgetWindow, unix_ms: i64) -> (i64, i64) {
        let kind = match window {
            BudgetWindow::Day => Period::Day,
            BudgetWindow::Week => Period::Week,
            BudgetWindow::Month => Period::Month,
            BudgetWindow::Total => return (i64::MIN, i64::MAX),
        };
        let range = self.0.range(kind, unix_ms, 0);
        let end_ms = range
            .end_ms()
            .map_or(i64::MAX, |last| last.saturating_add(1));
        (range.start_ms().unwrap_or(i64::MIN), end_ms)
    }
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

/// What all owners have used in a window.
#[derive(Debug)]
struct OpenWindow {
    window: BudgetWindow,
    start_ms: i64,
    end_ms: i64,
    tallies: FxHashMap<Owner, Tally>,
    /// Whether what is used is known. It is not while no budget has the window: that is kept for
    /// what is reserved in it.
    is_read: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    used: Amounts,
    reserved: Amounts,
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

    /// Returns the windows that the budgets of a table need and that have not been read.
    #[must_use]
    pub fn missing_windows(&self, table: &LimitTable, unix_ms: i64) -> Vec<WindowStart> {
        let is_read = |window| {
            let mut open = self.open.iter();
            open.any(|open| open.window == window && open.is_read)
        };
        let missing = table.windows().iter().filter(|window| !is_read(**window));
        missing
            .map(|window| WindowStart {
                window: *window,
                start_ms: self.windows.span(*window, unix_ms).0,
            })
            .collect()
    }

    /// Takes what each user has used since the beginning of a window. What is reserved stays.
    pub fn load_window(
        &mut self,
        WindowStart { window, start_ms }: WindowStart,
        used: impl IntoIterator<Item = (i64, Amounts)>,
    ) {
        let end_ms = match window {
            BudgetWindow::Total => i64::MAX,
            _ => self.windows.span(window, start_ms).1,
        };
        let mut tallies: FxHashMap<Owner, Tally> = FxHashMap::default();
        let before = self.open.iter().position(|open| open.window == window);
        let before = before.map(|place| self.open.remove(place));
        for (owner, tally) in before
            .filter(|open| open.start_ms == start_ms)
            .iter()
            .flat_map(|open| &open.tallies)
        {
            if tally.reserved != Amounts::default() {
                tallies.entry(*owner).or_default().reserved = tally.reserved;
            }
        }
        for (user_id, amounts) in used {
            tallies.entry(Owner::User(user_id)).or_default().used = amounts;
        }
        let mut open = OpenWindow {
            window,
            start_ms,
            end_ms,
            tallies,
            is_read: true,
        };
        open.sum_groups(&self.group_of);
        self.open.push(open);
    }

    /// Takes the groups of all users, and forgets windows that no budget has. What was used and
    /// reserved before stays. A window in which something is reserved is kept, so that its budgets
    /// know of it if they are set again before the requests end.
    pub fn set_groups(&mut self, table: &LimitTable, group_of: HashMap<i64, i64>) {
        for open in &mut self.open {
            open.is_read &= table.windows().contains(&open.window);
        }
        self.open.retain(|open| open.is_read || open.has_reserved());
        let group_of = group_of.into_iter().collect();
        if self.group_of != group_of {
            self.group_of = group_of;
            for open in &mut self.open {
                open.sum_groups(&self.group_of);
            }
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

    /// Adds a row of the ledger, or what an adjustment adds to one, to what its user has used.
    pub fn book(&mut self, user_id: i64, started_at_ms: i64, amounts: Amounts) {
        let group = self.group_of.get(&user_id).copied();
        for open in &mut self.open {
            if !(open.start_ms..open.end_ms).contains(&started_at_ms) {
                continue;
            }
            open.tallies.entry(Owner::User(user_id)).or_default().used += amounts;
            if let Some(group) = group {
                open.tallies.entry(Owner::Group(group)).or_default().used += amounts;
            }
        }
    }

    /// Notes the newest row and adjustment that are booked.
    pub fn note_counted(&mut self, row_id: i64, adjustment_id: i64) {
        self.counted.0 = self.counted.0.max(row_id);
        self.counted.1 = self.counted.1.max(adjustment_id);
    }

    /// Returns the newest row and adjustment that were booked.
    #[must_use]
    pub fn counted(&self) -> (i64, i64) {
        self.counted
    }

    /// Begins windows anew whose time is over.
    pub fn roll(&mut self, unix_ms: i64) {
        for open in &mut self.open {
            if unix_ms >= open.end_ms {
                (open.start_ms, open.end_ms) = self.windows.span(open.window, unix_ms);
                open.tallies.clear();
            }
        }
    }

    /// Returns what is used and reserved of a budget; `None` while its window has not been read.
    #[must_use]
    pub fn budget(&self, rule: &BudgetRule, now_ms: i64) -> Option<BudgetCheck> {
        let open = self.open.iter().find(|open| open.window == rule.window)?;
        let tally = open.tallies.get(&rule.owner).copied().unwrap_or_default();
        let is_over = now_ms >= open.end_ms;
        let (used, reserved) = if is_over {
            (0, 0)
        } else {
            (tally.used.of(rule.unit), tally.reserved.of(rule.unit))
        };
        let (start_ms, end_ms) = if is_over {
            self.windows.span(open.window, now_ms)
        } else {
            (open.start_ms, open.end_ms)
        };
        let stored = self.stored_of(rule, start_ms);
        Some(BudgetCheck {
            limit: rule.limit_at(now_ms),
            used,
            reserved: reserved.saturating_add(stored),
            stored,
            start_ms,
            resets_at_ms: (end_ms != i64::MAX).then_some(end_ms),
        })
    }

    /// Returns what a user may still do, in requests and in tokens: the rate with the least left, or
    /// else the budget.
    #[must_use]
    pub fn rate_states(&mut self, rules: &UserRules, at: Moment) -> [Option<RateState>; 2] {
        self.fill_buckets(rules, at.clock_ms);
        [BudgetUnit::Requests, BudgetUnit::Tokens].map(|unit| self.state_of(rules, unit, at))
    }

    /// Returns what a user may still do in one unit.
    #[must_use]
    pub fn rate_state(
        &mut self,
        rules: &UserRules,
        unit: BudgetUnit,
        at: Moment,
    ) -> Option<RateState> {
        self.fill_buckets(rules, at.clock_ms);
        self.state_of(rules, unit, at)
    }

    fn state_of(&self, rules: &UserRules, unit: BudgetUnit, at: Moment) -> Option<RateState> {
        let rates = match unit {
            BudgetUnit::Usd => return None,
            BudgetUnit::Tokens => &rules.token_rates,
            BudgetUnit::Requests => &rules.request_rates,
        };
        let enforced = rates.iter().filter(|rule| !rule.is_watched);
        let of_rates = enforced.filter_map(|rule| {
            let bucket = self.bucket(rule)?;
            Some(RateState {
                limit: rule.number,
                remaining: self.of_all(bucket.remaining(), rule.number),
                reset_ms: bucket.reset_ms(),
            })
        });
        let tightest = of_rates.min_by_key(|state| state.remaining);
        if tightest.is_some() {
            return tightest;
        }
        let budgets = rules
            .budgets
            .iter()
            .filter(|rule| rule.unit == unit && !rule.is_watched);
        let of_budgets = budgets.filter_map(|rule| {
            let check = self.budget(rule, at.unix_ms)?;
            let left = check
                .limit
                .saturating_sub(check.used)
                .saturating_sub(check.reserved);
            let reset_ms = check.resets_at_ms.map_or(0, |end| end - at.unix_ms);
            Some(RateState {
                limit: check.limit,
                remaining: left.max(0),
                reset_ms: u64::try_from(reset_ms).unwrap_or(0),
            })
        });
        of_budgets.min_by_key(|state| state.remaining)
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

    /// Returns what each user has used in each open window, in no order.
    pub fn used(&self) -> impl Iterator<Item = (WindowStart, i64, Amounts)> {
        let read = self.open.iter().filter(|open| open.is_read);
        read.flat_map(|open| {
            let start = WindowStart {
                window: open.window,
                start_ms: open.start_ms,
            };
            open.tallies
                .iter()
                .filter_map(move |(owner, tally)| match owner {
                    Owner::User(id) => Some((start, *id, tally.used)),
                    Owner::Group(_) => None,
                })
        })
    }

    fn fill_buckets(&mut self, rules: &UserRules, clock_ms: u64) {
        for rule in rules.request_rates.iter().chain(&rules.token_rates) {
            let state = self.owners.entry(rule.owner).or_default();
            let bucket = match rule.source.kind {
                LimitKind::RequestsPerMinute => &mut state.requests,
                _ => &mut state.tokens,
            };
            let share = nodes::share_of(rule.number, self.nodes);
            bucket
                .get_or_insert_with(|| Bucket::full(share, clock_ms))
                .advance(share, clock_ms);
        }
    }

    fn bucket(&self, rule: &NumberRule) -> Option<&Bucket> {
        let state = self.owners.get(&rule.owner)?;
        match rule.source.kind {
            LimitKind::RequestsPerMinute => state.requests.as_ref(),
            _ => state.tokens.as_ref(),
        }
    }

    fn bucket_mut(&mut self, rule: &NumberRule) -> Option<&mut Bucket> {
        let state = self.owners.get_mut(&rule.owner)?;
        match rule.source.kind {
            LimitKind::RequestsPerMinute => state.requests.as_mut(),
            _ => state.tokens.as_mut(),
        }
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

impl OpenWindow {
    fn has_reserved(&self) -> bool {
        let mut tallies = self.tallies.values();
        tallies.any(|tally| tally.reserved != Amounts::default())
    }

    /// Sums up what the users of each group have used. What a group has reserved stays.
    fn sum_groups(&mut self, group_of: &FxHashMap<i64, i64>) {
        for (owner, tally) in &mut self.tallies {
            if matches!(owner, Owner::Group(_)) {
                tally.used = Amounts::default();
            }
        }
        let users: Vec<(i64, Amounts)> = self
            .tallies
            .iter()
            .filter_map(|(owner, tally)| match owner {
                Owner::User(id) => Some((*group_of.get(id)?, tally.used)),
                Owner::Group(_) => None,
            })
            .collect();
        for (group, used) in users {
            self.tallies.entry(Owner::Group(group)).or_default().used += used;
        }
    }
}

mod nodes;

#[cfg(test)]
mod tests;

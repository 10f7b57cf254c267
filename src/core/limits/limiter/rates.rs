//! Rates: the buckets of users and groups, and what their users see of them.

use super::{Limiter, Moment, OwnerState, Places, States, nodes};
use crate::{
    limits::{
        bucket::Bucket,
        rules::{NumberRule, UserRules},
    },
    model::{BudgetUnit, LimitKind},
};

/// A limit of requests or tokens as its user sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateState {
    pub limit: i64,
    pub remaining: i64,
    pub reset_ms: u64,
}

impl Limiter {
    /// Returns what a user may still do, in requests and in tokens: the rate with the least left, or
    /// else the budget.
    #[must_use]
    pub fn rate_states(&self, rules: &UserRules, at: Moment) -> [Option<RateState>; 2] {
        let states = self.states_of(rules);
        [BudgetUnit::Requests, BudgetUnit::Tokens]
            .map(|unit| self.rate_state_in(rules, states, unit, at))
    }

    /// Returns what a user may still do in one unit.
    #[must_use]
    pub fn rate_state(&self, rules: &UserRules, unit: BudgetUnit, at: Moment) -> Option<RateState> {
        self.rate_state_in(rules, self.states_of(rules), unit, at)
    }

    fn rate_state_in(
        &self,
        rules: &UserRules,
        states: States<'_>,
        unit: BudgetUnit,
        at: Moment,
    ) -> Option<RateState> {
        let rates = match unit {
            BudgetUnit::Usd => return None,
            BudgetUnit::Tokens => &rules.token_rates,
            BudgetUnit::Requests => &rules.request_rates,
        };
        let enforced = rates.iter().filter(|rule| !rule.is_watched);
        let of_rates = enforced.map(|rule| {
            let share = self.share(rule.number);
            let state = states.of(rule.owner);
            let bucket = match state.and_then(|state| state.bucket(rule)) {
                Some(bucket) => bucket.at(share, at.clock_ms),
                None => Bucket::full(share, at.clock_ms),
            };
            RateState {
                limit: rule.number,
                remaining: self.of_all(bucket.remaining(), rule.number),
                reset_ms: bucket.reset_ms(),
            }
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
            let check = self.budget_in(rule, states.of(rule.owner), at.unix_ms)?;
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

    pub(super) fn fill_buckets(&mut self, rules: &UserRules, places: Places, clock_ms: u64) {
        for rule in rules.request_rates.iter().chain(&rules.token_rates) {
            let state = &mut self.owners[places.of(rule.owner)];
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
}

impl OwnerState {
    pub(super) fn bucket(&self, rule: &NumberRule) -> Option<&Bucket> {
        match rule.source.kind {
            LimitKind::RequestsPerMinute => self.requests.as_ref(),
            _ => self.tokens.as_ref(),
        }
    }

    pub(super) fn bucket_mut(&mut self, rule: &NumberRule) -> Option<&mut Bucket> {
        match rule.source.kind {
            LimitKind::RequestsPerMinute => self.requests.as_mut(),
            _ => self.tokens.as_mut(),
        }
    }
}

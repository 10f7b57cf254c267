//! Raises an alert when a budget is used up to a threshold: once for each budget, window, limit and
//! threshold, which the database remembers.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::{
    alerts::{Alert, AlertSink, BudgetScope},
    limits::{BudgetCheck, BudgetRule, Owner, SharedLimits},
    model::{BudgetUnit, BudgetWindow, Limit, LimitKind, LimitValue, now_ms},
    store::{alerts, sql::Connection},
};

/// The thresholds, in percent of the budget.
const THRESHOLDS: [u8; 4] = [LOWEST, 80, 95, 100];
const LOWEST: u8 = 50;

/// What was raised, so that the database is asked once for each threshold.
#[derive(Default)]
pub(super) struct Thresholds {
    raised: HashMap<BudgetKey, Raised>,
}

/// A budget: its owner, unit and window.
type BudgetKey = (Owner, BudgetUnit, BudgetWindow);

/// The highest threshold that was raised in a window, under a limit.
struct Raised {
    start_ms: i64,
    limit: i64,
    percent: u8,
}

impl Thresholds {
    /// Looks at all budgets of some users.
    pub(super) fn check(
        &mut self,
        connection: &Connection,
        shared: &SharedLimits,
        sink: &AlertSink,
        users: impl IntoIterator<Item = i64>,
    ) {
        let mut users = users.into_iter().peekable();
        if users.peek().is_none() {
            return;
        }
        let (table, now_ms) = (shared.table(), now_ms());
        for user_id in users {
            let Some(rules) = table.of_user(user_id) else {
                continue;
            };
            // The database is asked once for each threshold, and then without the lock.
            let full: SmallVec<[(&BudgetRule, BudgetCheck); 2]> =
                shared.with(|limiter| limiter.budgets_beyond(LOWEST, rules, now_ms).collect());
            for (rule, check) in full {
                self.check_budget(connection, sink, rule, &check);
            }
        }
    }

    fn check_budget(
        &mut self,
        connection: &Connection,
        sink: &AlertSink,
        rule: &BudgetRule,
        check: &BudgetCheck,
    ) {
        let mut thresholds = THRESHOLDS.into_iter().rev();
        let Some(highest) = thresholds.find(|percent| check.has_reached(*percent)) else {
            return;
        };
        let key = (rule.owner, rule.unit, rule.window);
        let known = self
            .raised
            .get(&key)
            .filter(|raised| (raised.start_ms, raised.limit) == (check.start_ms, check.limit));
        let known = known.map_or(0, |raised| raised.percent);
        for percent in THRESHOLDS {
            if percent <= known || percent > highest {
                continue;
            }
            let alert = alert_of(rule, check, percent);
            match alerts::raise(connection, &alert, now_ms()) {
                Ok(true) => sink.wake(),
                Ok(false) => {}
                // It is tried again with the next row.
                Err(error) => {
                    log::error!("ledger: cannot raise the alert of a budget: {error}");
                    return;
                }
            }
        }
        self.raised.insert(
            key,
            Raised {
                start_ms: check.start_ms,
                limit: check.limit,
                percent: highest,
            },
        );
    }
}

fn alert_of(rule: &BudgetRule, check: &BudgetCheck, percent: u8) -> Alert {
    let (scope, subject_id) = match rule.owner {
        Owner::User(id) => (BudgetScope::User, id),
        Owner::Group(id) => (BudgetScope::Group, id),
    };
    let budget = Limit {
        kind: LimitKind::Budget(rule.unit, rule.window),
        value: LimitValue::Amount(check.limit),
        is_watched: rule.is_watched,
    };
    let unit = match rule.unit {
        BudgetUnit::Usd => "USD",
        other => other.as_str(),
    };
    Alert::BudgetThreshold {
        scope,
        subject_id,
        name: rule.source.name.to_string(),
        budget: budget.to_string(),
        window_start_ms: (check.start_ms != i64::MIN).then_some(check.start_ms),
        resets_at_ms: check.resets_at_ms,
        percent,
        used: rule.unit.format(check.used),
        limit: format!("{} {unit}", rule.unit.format(check.limit)),
        is_watched: rule.is_watched,
    }
}

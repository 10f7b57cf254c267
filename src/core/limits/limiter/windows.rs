//! What is used and reserved of budgets, window by window.

use std::collections::HashMap;

use rustc_hash::FxHashMap;

use super::{
    Amounts, BudgetRule, LimitTable, Limiter, Owner, OwnerState, Owners, UserRules,
    open_windows::{OpenWindow, Tally},
};
use crate::model::{BudgetWindow, Calendar, Period};

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

impl Limiter {
    /// Returns the windows that the budgets of a table need and that have not been read.
    #[must_use]
    pub fn missing_windows(&self, table: &LimitTable, unix_ms: i64) -> Vec<WindowStart> {
        let is_read = |window| self.open.of(window).is_some_and(|open| open.is_read);
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
        let before = self.open.of(window);
        let is_same = before.is_some_and(|open| open.start_ms == start_ms);
        for state in self.owners.values_mut() {
            let tally = &mut state.tallies[window as usize];
            tally.used = Amounts::default();
            if !is_same {
                tally.reserved = Amounts::default();
            }
        }
        for (user_id, amounts) in used {
            self.tally_mut(Owner::User(user_id), window).used = amounts;
        }
        self.open.set(OpenWindow {
            window,
            start_ms,
            end_ms,
            is_read: true,
        });
        self.sum_groups(window);
    }

    /// Takes the groups of all users, and forgets windows that no budget has. What was used and
    /// reserved before stays. A window in which something is reserved is kept, so that its budgets
    /// know of it if they are set again before the requests end.
    pub fn set_groups(&mut self, table: &LimitTable, group_of: HashMap<i64, i64>) {
        let open: Vec<OpenWindow> = self.open.iter().copied().collect();
        for mut open in open {
            open.is_read &= table.windows().contains(&open.window);
            let mut states = self.owners.values();
            let has_reserved = |state: &OwnerState| {
                state.tallies[open.window as usize].reserved != Amounts::default()
            };
            if open.is_read || states.any(has_reserved) {
                self.open.set(open);
            } else {
                self.open.close(open.window);
                self.clear(open.window);
            }
        }
        let group_of = group_of.into_iter().collect();
        if self.group_of != group_of {
            self.group_of = group_of;
            for window in BudgetWindow::ALL {
                self.sum_groups(window);
            }
        }
        self.forget_owners();
    }

    /// Adds a row of the ledger, or what an adjustment adds to one, to what its user has used.
    pub fn book(&mut self, user_id: i64, started_at_ms: i64, amounts: Amounts) {
        if self.open.is_empty() {
            return;
        }
        let group_id = self.group_of.get(&user_id).copied();
        let owners = Owners { user_id, group_id };
        let places = self.places_of(owners);
        for owner in owners.each() {
            let state = &mut self.owners[places.of(owner)];
            for (tally, open) in state.tallies.iter_mut().zip(&self.open.of) {
                if open.is_some_and(|open| open.has(started_at_ms)) {
                    tally.used += amounts;
                }
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
        if unix_ms < self.open.first_end_ms {
            return;
        }
        for window in BudgetWindow::ALL {
            let Some(open) = self.open.of(window).filter(|open| unix_ms >= open.end_ms) else {
                continue;
            };
            let (start_ms, end_ms) = self.windows.span(window, unix_ms);
            self.open.set(OpenWindow {
                start_ms,
                end_ms,
                ..open
            });
            self.clear(window);
        }
        self.forget_owners();
    }

    /// Returns what is used and reserved of a budget; `None` while its window has not been read.
    #[must_use]
    pub fn budget(&self, rule: &BudgetRule, now_ms: i64) -> Option<BudgetCheck> {
        self.budget_in(rule, self.owners.get(&rule.owner), now_ms)
    }

    /// Returns what is used and reserved of those budgets of a user of which so many percent are used.
    pub fn budgets_beyond<'r>(
        &self,
        percent: u8,
        rules: &'r UserRules,
        now_ms: i64,
    ) -> impl Iterator<Item = (&'r BudgetRule, BudgetCheck)> {
        let states = self.states_of(rules);
        let part = i64::from(percent);
        rules.budgets.iter().filter_map(move |rule| {
            let state = states.of(rule.owner)?;
            let used = state.tallies[rule.window as usize].used.of(rule.unit);
            // What raises a budget only makes it harder to reach.
            if used / part < rule.amount / 100 {
                return None;
            }
            let check = self.budget_in(rule, Some(state), now_ms)?;
            check.has_reached(percent).then_some((rule, check))
        })
    }

    /// As [`Limiter::budget`], with the state of the budget's owner.
    pub(super) fn budget_in(
        &self,
        rule: &BudgetRule,
        state: Option<&OwnerState>,
        now_ms: i64,
    ) -> Option<BudgetCheck> {
        let open = self.open.of(rule.window)?;
        let is_over = now_ms >= open.end_ms;
        let tally = match state {
            Some(state) if !is_over => state.tallies[rule.window as usize],
            _ => Tally::default(),
        };
        let (start_ms, end_ms) = if is_over {
            self.windows.span(open.window, now_ms)
        } else {
            (open.start_ms, open.end_ms)
        };
        let stored = self.stored_of(rule, start_ms);
        Some(BudgetCheck {
            limit: rule.limit_at(now_ms),
            used: tally.used.of(rule.unit),
            reserved: tally.reserved.of(rule.unit).saturating_add(stored),
            stored,
            start_ms,
            resets_at_ms: (end_ms != i64::MAX).then_some(end_ms),
        })
    }

    /// Returns what each user has used in each open window, in no order.
    pub fn used(&self) -> impl Iterator<Item = (WindowStart, i64, Amounts)> {
        let read = self.open.iter().filter(|open| open.is_read);
        read.flat_map(|open| {
            let start = WindowStart {
                window: open.window,
                start_ms: open.start_ms,
            };
            self.owners.iter().filter_map(move |(owner, state)| {
                let used = state.tallies[start.window as usize].used;
                match owner {
                    Owner::User(id) if used != Amounts::default() => Some((start, *id, used)),
                    _ => None,
                }
            })
        })
    }

    fn tally_mut(&mut self, owner: Owner, window: BudgetWindow) -> &mut Tally {
        &mut self.owners.entry(owner).or_default().tallies[window as usize]
    }

    fn clear(&mut self, window: BudgetWindow) {
        for state in self.owners.values_mut() {
            state.tallies[window as usize] = Tally::default();
        }
    }

    /// Forgets the owners of whom nothing is known.
    fn forget_owners(&mut self) {
        self.owners.retain(|_, state| !state.is_nothing());
    }

    /// Sums up what the users of each group have used. What a group has reserved stays.
    fn sum_groups(&mut self, window: BudgetWindow) {
        let mut sums: FxHashMap<i64, Amounts> = FxHashMap::default();
        for (owner, state) in &mut self.owners {
            let tally = &mut state.tallies[window as usize];
            match owner {
                Owner::Group(_) => tally.used = Amounts::default(),
                Owner::User(id) => {
                    if let Some(group) = self.group_of.get(id) {
                        *sums.entry(*group).or_default() += tally.used;
                    }
                }
            }
        }
        for (group, used) in sums {
            if used != Amounts::default() {
                self.tally_mut(Owner::Group(group), window).used = used;
            }
        }
    }
}

impl BudgetCheck {
    /// Returns whether so many percent of the budget are used.
    #[must_use]
    pub fn has_reached(&self, percent: u8) -> bool {
        let (used, limit) = (i128::from(self.used), i128::from(self.limit));
        limit > 0 && used * 100 >= limit * i128::from(percent)
    }
}

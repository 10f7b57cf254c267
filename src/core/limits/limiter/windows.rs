//! What is used and reserved of budgets, window by window.

use std::collections::HashMap;

use rustc_hash::FxHashMap;

use super::{Amounts, BudgetRule, LimitTable, Limiter, Owner};
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

/// What all owners have used in a window.
#[derive(Debug)]
pub(super) struct OpenWindow {
    pub(super) window: BudgetWindow,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) tallies: FxHashMap<Owner, Tally>,
    /// Whether what is used is known. It is not while no budget has the window: that is kept for
    /// what is reserved in it.
    pub(super) is_read: bool,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) used: Amounts,
    pub(super) reserved: Amounts,
}

impl Limiter {
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

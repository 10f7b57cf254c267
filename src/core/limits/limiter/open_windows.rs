//! Which windows are open, and what an owner has in each.

use super::{Amounts, WINDOWS};
use crate::model::BudgetWindow;

/// A window in which something is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenWindow {
    pub(super) window: BudgetWindow,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    /// Whether what is used is known. It is not while no budget has the window: that is kept for
    /// what is reserved in it.
    pub(super) is_read: bool,
}

/// The windows in which something is counted.
#[derive(Debug)]
pub(super) struct OpenWindows {
    /// The windows themselves, in the order of [`BudgetWindow`].
    pub(super) of: [Option<OpenWindow>; WINDOWS],
    /// When each of them begins: that is all that the end of a request compares.
    starts: WindowStarts,
    /// Unix time in milliseconds at which the first of them ends.
    pub(super) first_end_ms: i64,
}

/// Some windows by their beginnings, in the order of [`BudgetWindow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WindowStarts([i64; WINDOWS]);

impl WindowStarts {
    /// Stands for a window that is none of them. No window begins at the end of time.
    const CLOSED: i64 = i64::MAX;

    pub(super) fn set(&mut self, window: BudgetWindow, start_ms: i64) {
        self.0[window as usize] = start_ms;
    }

    /// Returns those that are also among others.
    pub(super) fn shared_with(mut self, others: &Self) -> Self {
        for (start_ms, other_ms) in self.0.iter_mut().zip(others.0) {
            if *start_ms != other_ms {
                *start_ms = Self::CLOSED;
            }
        }
        self
    }

    /// Returns what belongs to these windows of something that each kind of window has.
    pub(super) fn of<'t>(
        &self,
        each: &'t mut [Tally; WINDOWS],
    ) -> impl Iterator<Item = &'t mut Tally> {
        let with_starts = each.iter_mut().zip(self.0);
        with_starts.filter_map(|(tally, start_ms)| (start_ms != Self::CLOSED).then_some(tally))
    }
}

impl Default for WindowStarts {
    fn default() -> Self {
        Self([Self::CLOSED; WINDOWS])
    }
}

/// What an owner has used and reserved in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) used: Amounts,
    pub(super) reserved: Amounts,
}

impl OpenWindow {
    /// Returns whether a Unix time in milliseconds is in the window.
    pub(super) fn has(&self, unix_ms: i64) -> bool {
        (self.start_ms..self.end_ms).contains(&unix_ms)
    }
}

impl Default for OpenWindows {
    fn default() -> Self {
        Self {
            of: [None; WINDOWS],
            starts: WindowStarts::default(),
            first_end_ms: i64::MAX,
        }
    }
}

impl OpenWindows {
    pub(super) fn of(&self, window: BudgetWindow) -> Option<OpenWindow> {
        self.of[window as usize]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &OpenWindow> {
        self.of.iter().flatten()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    pub(super) fn starts(&self) -> WindowStarts {
        self.starts
    }

    pub(super) fn set(&mut self, open: OpenWindow) {
        self.of[open.window as usize] = Some(open);
        self.starts.set(open.window, open.start_ms);
        self.note_first_end();
    }

    pub(super) fn close(&mut self, window: BudgetWindow) {
        self.of[window as usize] = None;
        self.starts.set(window, WindowStarts::CLOSED);
        self.note_first_end();
    }

    fn note_first_end(&mut self) {
        let ends = self.iter().map(|open| open.end_ms);
        self.first_end_ms = ends.min().unwrap_or(i64::MAX);
    }
}

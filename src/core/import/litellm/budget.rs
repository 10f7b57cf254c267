//! LiteLLM's budget durations, such as `30d`, and the windows that budgets have here.
//!
//! LiteLLM resets `1d` and `24h` at midnight, `7d` on Monday and `30d` on the first of the month, which
//! is what windows do here. Any other duration gets the next longer window: with the same amount, no
//! more can be spent than before.

use crate::model::{BudgetUnit, BudgetWindow, Limit, LimitKind, LimitValue, Period};

const DAY_S: u64 = 86_400;

/// The window of a budget, and whether it is the same as in LiteLLM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Windowed {
    window: BudgetWindow,
    pub(super) is_exact: bool,
}

impl Windowed {
    /// The window of a budget without a duration.
    pub(super) const TOTAL: Self = Self {
        window: BudgetWindow::Total,
        is_exact: true,
    };

    /// Returns the budget of an amount in nano-dollars.
    pub(super) fn limit(self, amount: i64) -> Limit {
        Limit {
            kind: LimitKind::Budget(BudgetUnit::Usd, self.window),
            value: LimitValue::Amount(amount.min(Limit::MAX_BUDGET)),
            is_watched: false,
        }
    }

    /// Returns the period of the window; `None` for one without an end.
    pub(super) fn period(self) -> Option<Period> {
        match self.window {
            BudgetWindow::Day => Some(Period::Day),
            BudgetWindow::Week => Some(Period::Week),
            BudgetWindow::Month => Some(Period::Month),
            BudgetWindow::Total => None,
        }
    }

    pub(super) fn word(self) -> &'static str {
        self.window.as_str()
    }
}

/// Returns the window for a duration.
pub(super) fn window_of(duration: &str) -> Windowed {
    let text = duration.trim().to_ascii_lowercase();
    let word = match text.as_str() {
        "daily" | "1d" | "24h" => Some(BudgetWindow::Day),
        "weekly" | "7d" | "1w" => Some(BudgetWindow::Week),
        "monthly" | "30d" | "1mo" => Some(BudgetWindow::Month),
        _ => None,
    };
    if let Some(window) = word {
        return Windowed {
            window,
            is_exact: true,
        };
    }
    let window = match seconds_of(&text) {
        Some(0) | None => BudgetWindow::Total,
        Some(..=DAY_S) => BudgetWindow::Day,
        Some(seconds) if seconds <= 7 * DAY_S => BudgetWindow::Week,
        Some(seconds) if seconds <= 31 * DAY_S => BudgetWindow::Month,
        Some(_) => BudgetWindow::Total,
    };
    Windowed {
        window,
        is_exact: false,
    }
}

fn seconds_of(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().ok()?;
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" | "hr" => 3_600,
        "d" => DAY_S,
        "w" => 7 * DAY_S,
        // A month here is a calendar month, so only one month of theirs is as long.
        "mo" => 31 * DAY_S,
        _ => return None,
    };
    number.checked_mul(unit_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_gets_the_same_window_or_the_next_longer_one() {
        use BudgetWindow::*;
        for (duration, window, is_exact) in [
            ("1d", Day, true),
            ("24h", Day, true),
            ("7d", Week, true),
            ("1w", Week, true),
            ("30d", Month, true),
            ("1mo", Month, true),
            ("monthly", Month, true),
            ("30s", Day, false),
            ("1h", Day, false),
            ("2d", Week, false),
            ("14d", Month, false),
            ("28d", Month, false),
            ("90d", Total, false),
            ("2mo", Total, false),
            ("0d", Total, false),
            ("soon", Total, false),
            ("99999999999999999999d", Total, false),
        ] {
            let found = window_of(duration);
            assert_eq!(
                (found.window, found.is_exact),
                (window, is_exact),
                "{duration}"
            );
        }
        assert_eq!(
            window_of("30d").limit(5_000_000_000).to_string(),
            "5usd/month"
        );
    }
}

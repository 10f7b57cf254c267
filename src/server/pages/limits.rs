//! Limits and budgets as people read them.

use serde_json::Value;

use super::{
    chart::PartBar,
    format::{self, count, percent, usd},
};
use crate::{
    admin::{FullestBudget, LimitEntry},
    model::{Calendar, NanoUsd, Period, now_ms},
};

/// The part of a window that must have passed before a forecast means anything.
const MIN_PASSED: f64 = 0.05;

/// A limit of a user.
pub(super) struct LimitLine {
    pub(super) what: String,
    /// Whose limit it is.
    pub(super) scope: String,
    pub(super) value: String,
    /// How much of it is used; empty if that is hidden or not counted.
    pub(super) used: String,
    pub(super) left: String,
    pub(super) resets: String,
    pub(super) bar: Option<PartBar>,
    pub(super) is_watched: bool,
}

impl LimitLine {
    /// Returns the line of a limit. `own_name` is the user's: what the user has needs no name.
    pub(super) fn of(entry: &LimitEntry, calendar: &Calendar) -> Self {
        let unit = entry.unit.as_deref();
        let amount = |value: &Option<Value>| match (value, unit) {
            (Some(value), Some(unit)) => amount_text(value, unit),
            (Some(value), None) => value.as_i64().map(count).unwrap_or_default(),
            (None, _) => String::new(),
        };
        let what = match (entry.kind.as_str(), &entry.window, unit) {
            ("budget", Some(window), Some(unit)) => budget_name(unit, window),
            ("extra", _, _) => "Extra".to_owned(),
            ("requests_per_minute", _, _) => "Requests per minute".to_owned(),
            ("tokens_per_minute", _, _) => "Tokens per minute".to_owned(),
            ("concurrent", _, _) => "Requests at once".to_owned(),
            ("models", _, _) => "Models".to_owned(),
            ("deny_models", _, _) => "Models denied".to_owned(),
            ("max_output_tokens", _, _) => "Output tokens of a request".to_owned(),
            ("weight", _, _) => "Weight in the queue".to_owned(),
            ("unpriced", _, _) => "Models without a price".to_owned(),
            (other, _, _) => other.replace('_', " "),
        };
        let value = match (&entry.limit, entry.value.as_str()) {
            (Some(_), _) => amount(&entry.limit),
            (None, "") => "not shown".to_owned(),
            (None, text) => text.to_owned(),
        };
        let ratio = number_of(entry.used.as_ref(), unit).zip(number_of(entry.limit.as_ref(), unit));
        Self {
            what,
            scope: match (entry.scope.as_str(), &entry.name) {
                ("group", Some(name)) if !name.is_empty() => format!("group {name}"),
                ("everybody", _) => "everybody".to_owned(),
                _ => "own".to_owned(),
            },
            value,
            used: amount(&entry.used),
            left: amount(&entry.left),
            resets: entry
                .resets_at
                .as_deref()
                .map(|at| clock(calendar, at))
                .unwrap_or_default(),
            bar: ratio.map(|(used, limit)| PartBar::of_budget(percent(part(used, limit)))),
            is_watched: entry.is_watched,
        }
    }
}

/// A budget, with what is used of it.
pub(super) struct BudgetLine {
    /// Whose budget it is.
    pub(super) name: String,
    pub(super) is_group: bool,
    pub(super) what: String,
    pub(super) used: String,
    pub(super) limit: String,
    pub(super) percent: u32,
    /// What will be used at the end of the window if it goes on as it went, in percent.
    pub(super) forecast: Option<u32>,
    pub(super) is_watched: bool,
    /// It is the budget of the user's group.
    pub(super) is_shared: bool,
    pub(super) bar: PartBar,
}

impl BudgetLine {
    /// Returns the budget of which a user has used the largest part.
    pub(super) fn of_user(name: &str, budget: &FullestBudget, calendar: &Calendar) -> Self {
        Self {
            name: name.to_owned(),
            is_group: false,
            what: budget_name(&budget.unit, &budget.window),
            used: amount_text(&budget.used, &budget.unit),
            limit: amount_text(&budget.limit, &budget.unit),
            percent: percent(budget.ratio),
            forecast: forecast(budget.ratio, &budget.window, calendar),
            is_watched: budget.is_watched,
            is_shared: budget.scope == "group",
            bar: PartBar::of_budget(percent(budget.ratio)),
        }
    }

    /// Returns the budget that is set on a user or a group; `None` for another limit.
    pub(super) fn of_entry(entry: &LimitEntry, calendar: &Calendar) -> Option<Self> {
        let (unit, window) = (entry.unit.as_deref()?, entry.window.as_deref()?);
        if entry.kind != "budget" {
            return None;
        }
        let (used, limit) = (entry.used.as_ref()?, entry.limit.as_ref()?);
        let ratio = part(
            number_of(Some(used), Some(unit))?,
            number_of(Some(limit), Some(unit))?,
        );
        Some(Self {
            name: entry.name.clone()?,
            is_group: entry.scope == "group",
            what: budget_name(unit, window),
            used: amount_text(used, unit),
            limit: amount_text(limit, unit),
            percent: percent(ratio),
            forecast: forecast(ratio, window, calendar),
            is_watched: entry.is_watched,
            is_shared: false,
            bar: PartBar::of_budget(percent(ratio)),
        })
    }
}

/// Returns a moment in UTC ISO 8601 by the clock of the configured time zone.
pub(super) fn clock(calendar: &Calendar, iso: &str) -> String {
    calendar
        .parse_time(iso)
        .map_or_else(|| iso.to_owned(), |ms| calendar.clock_time(ms))
}

fn budget_name(unit: &str, window: &str) -> String {
    let unit = if unit == "usd" { "dollars" } else { unit };
    let (first, rest) = unit.split_at(1);
    let what = format!("{}{rest}", first.to_uppercase());
    match window {
        "total" => format!("{what} in total"),
        window => format!("{what} a {window}"),
    }
}

fn amount_text(value: &Value, unit: &str) -> String {
    match unit {
        "usd" => usd(NanoUsd(number_of(Some(value), Some("usd")).unwrap_or(0))),
        _ => format::short(value.as_u64().unwrap_or(0)),
    }
}

/// Returns an amount as a number, in billionths for dollars.
fn number_of(value: Option<&Value>, unit: Option<&str>) -> Option<i64> {
    match (value?, unit) {
        (Value::String(text), Some("usd")) => text.parse().ok().map(|NanoUsd(amount)| amount),
        (value, _) => value.as_i64(),
    }
}

#[allow(clippy::cast_precision_loss)] // no amount is computed from it
fn part(used: i64, limit: i64) -> f64 {
    if limit <= 0 {
        return 1.0;
    }
    used as f64 / limit as f64
}

/// Returns which part will be used at the end of the window. `None` if the window has no end, or has
/// only begun.
#[allow(clippy::cast_precision_loss)] // for people to look at
fn forecast(ratio: f64, window: &str, calendar: &Calendar) -> Option<u32> {
    let kind = match window {
        "day" => Period::Day,
        "week" => Period::Week,
        "month" => Period::Month,
        _ => return None,
    };
    let now_ms = now_ms();
    let range = calendar.range(kind, now_ms, 0);
    let (start_ms, end_ms) = (range.start_ms()?, range.end_ms()?);
    let passed = (now_ms - start_ms) as f64 / (end_ms - start_ms).max(1) as f64;
    (passed >= MIN_PASSED).then(|| percent(ratio / passed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_their_unit() {
        assert_eq!(budget_name("usd", "month"), "Dollars a month");
        assert_eq!(budget_name("tokens", "total"), "Tokens in total");
        let usd = Value::from("12.500000000");
        assert_eq!(amount_text(&usd, "usd"), "$12.50");
        assert_eq!(number_of(Some(&usd), Some("usd")), Some(12_500_000_000));
        assert_eq!(
            amount_text(&Value::from(2_000_000), "tokens"),
            "2.00\u{202f}M"
        );
        assert!((part(0, 0) - 1.0).abs() < f64::EPSILON);
        assert_eq!(forecast(0.5, "total", &Calendar::default()), None);
    }
}

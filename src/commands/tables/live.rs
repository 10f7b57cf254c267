//! The list of users with what they do now.

use crate::admin::LiveUser;
use crate::commands::listing::{
    Cell, Column,
    ColumnKind::{Name, Number, Text},
    Listing,
};

pub(in crate::commands) fn live_users(users: &[LiveUser]) -> Listing {
    let number = |number: u64| Cell::number(i64::try_from(number).unwrap_or(i64::MAX));
    let row = |user: &LiveUser| {
        let budget = user.budget.as_ref();
        vec![
            Cell::text(&user.name),
            number(user.in_flight),
            number(user.waiting),
            number(user.requests_per_minute),
            number(user.tokens_per_minute),
            match user.time_to_first_byte_ms {
                Some(ms) => number(ms),
                None => Cell::optional(None::<String>),
            },
            number(user.refused_per_minute),
            Cell {
                shown: user.cost_today.rounded(),
                plain: user.cost_today.to_string(),
            },
            Cell::optional(budget.map(|budget| percent(budget.ratio))),
            Cell::optional(user.forbidden.then_some("forbidden")),
        ]
    };
    Listing {
        columns: vec![
            Column::new("user", "name", Name),
            Column::new("run", "in_flight", Number),
            Column::new("wait", "waiting", Number).rank(3),
            Column::new("req/m", "requests_per_minute", Number),
            Column::new("tok/m", "tokens_per_minute", Number),
            Column::new("ttfb ms", "time_to_first_byte_ms", Number).rank(4),
            Column::new("ref/m", "refused_per_minute", Number).rank(2),
            Column::new("today $", "cost_today", Number),
            Column::new("budget", "budget", Number),
            Column::new("keys", "keys", Text)
                .rank(1)
                .shown_if(users.iter().any(|user| user.forbidden)),
        ],
        rows: users.iter().map(row).collect(),
        total: None,
    }
}

/// Writes a ratio in whole percent. What is not quite full is not called full.
pub(in crate::commands) fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent > 9999.0 {
        return ">9999%".to_owned();
    }
    let whole = if percent < 100.0 {
        percent.floor()
    } else {
        percent.round()
    };
    format!("{whole:.0}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_is_not_full_is_not_called_full() {
        let texts = [0.0, 0.004, 0.999, 1.0, 1.504, 1e9].map(percent);
        assert_eq!(texts, ["0%", "0%", "99%", "100%", "150%", ">9999%"]);
    }
}

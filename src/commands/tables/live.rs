//! The list of users with what they do now.

use super::dollars;
use crate::admin::LiveUser;
use crate::commands::{
    listing::{
        Cell, Column,
        ColumnKind::{Name, Number, Text},
        Listing,
    },
    top::percent,
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
                shown: dollars(user.cost_today),
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

//! What an import brings.

use crate::{
    admin::{ImportSummary, ImportedUser},
    commands::listing::{
        Cell, Column,
        ColumnKind::{Name, Number, Text},
        Listing,
    },
    model::NanoUsd,
};

/// Counts what comes and what is here already.
pub(in crate::commands) fn import_counts(summary: &ImportSummary) -> Listing {
    let number = |count: u64| Cell::number(i64::try_from(count).unwrap_or(i64::MAX));
    let nothing = || Cell::optional(None::<String>);
    let line = |what: &str, comes: Cell, known: Cell| vec![Cell::text(what), comes, known];
    Listing {
        columns: vec![
            Column::new("what", "what", Text),
            Column::new(
                if summary.is_dry_run {
                    "would come"
                } else {
                    "came"
                },
                "new",
                Number,
            ),
            Column::new("here already", "known", Number),
        ],
        rows: vec![
            line(
                "users",
                Cell::number(summary.new_users),
                Cell::number(summary.known_users),
            ),
            line(
                "keys",
                Cell::number(summary.new_keys),
                Cell::number(summary.known_keys),
            ),
            line("groups", Cell::number(summary.new_groups), nothing()),
            line("limits", Cell::number(summary.new_limits), nothing()),
            line(
                "usage rows",
                number(summary.new_rows),
                number(summary.known_rows),
            ),
            line("input tokens", number(summary.input_tokens), nothing()),
            line("cached tokens", number(summary.cached_tokens), nothing()),
            line("output tokens", number(summary.output_tokens), nothing()),
            line("cost $", dollars(summary.cost_usd), nothing()),
            line(
                "rows without a price",
                number(summary.unpriced_rows),
                nothing(),
            ),
        ],
        total: None,
    }
}

/// Lists users with what comes of them.
pub(in crate::commands) fn imported_users(users: &[&ImportedUser]) -> Listing {
    let has_group = users.iter().any(|user| user.group.is_some());
    let has_limits = users.iter().any(|user| !user.limits.is_empty());
    let number = |count: u64| Cell::number(i64::try_from(count).unwrap_or(i64::MAX));
    let row = |user: &&ImportedUser| {
        let status = match (user.is_deleted, user.is_active) {
            (true, _) => "deleted",
            (false, true) => "active",
            (false, false) => "forbidden",
        };
        let keys = match user.new_keys.as_slice() {
            [] => "-".to_owned(),
            [key] => key.clone(),
            keys => format!("{} keys", keys.len()),
        };
        vec![
            Cell::text(&user.username),
            Cell::optional(user.group.as_deref()),
            Cell::text(keys),
            Cell::optional(short(&user.limits)),
            number(user.new_rows),
            dollars(user.cost_usd),
            Cell::text(status),
        ]
    };
    Listing {
        columns: vec![
            Column::new("user", "username", Name),
            Column::new("group", "group", Name)
                .rank(2)
                .shown_if(has_group),
            Column::new("keys", "keys", Text).rank(3),
            Column::new("limits", "limits", Name)
                .rank(4)
                .shown_if(has_limits),
            Column::new("rows", "rows", Number).rank(1),
            Column::new("cost $", "cost_usd", Number),
            Column::new("status", "status", Text).rank(1),
        ],
        rows: users.iter().map(row).collect(),
        total: None,
    }
}

/// Returns the budgets, which begin with their amounts, and how many further limits there are.
fn short(limits: &[String]) -> Option<String> {
    let (budgets, others): (Vec<&String>, Vec<&String>) = limits
        .iter()
        .partition(|limit| limit.starts_with(|c: char| c.is_ascii_digit()));
    let mut texts: Vec<String> = budgets.into_iter().cloned().collect();
    let count = others
        .iter()
        .filter(|limit| !limit.starts_with("unpriced"))
        .count();
    if count > 0 {
        texts.push(format!("+{count}"));
    }
    (!texts.is_empty()).then(|| texts.join(" "))
}

fn dollars(amount: NanoUsd) -> Cell {
    Cell {
        shown: amount.rounded(),
        plain: amount.to_string(),
    }
}

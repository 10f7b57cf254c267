//! The list of limits.

use serde_json::Value;

use crate::admin::{AuditCheck, AuditReport, LimitEntry, TriedLimits};
use crate::commands::listing::{
    Cell, Column,
    ColumnKind::{Name, Number, Text},
    Listing,
};

pub(in crate::commands) fn limits(limits: &[LimitEntry]) -> Listing {
    let has = |value: fn(&LimitEntry) -> bool| limits.iter().any(value);
    let has_refused = has(|limit| limit.refused.is_some_and(|refused| refused > 0));
    let row = |limit: &LimitEntry| {
        let whose = match limit.scope.as_str() {
            "everybody" => "everybody".to_owned(),
            scope => format!("{scope} {}", limit.name.as_deref().unwrap_or("-")),
        };
        vec![
            Cell::text(whose),
            Cell::text(in_words(limit)),
            Cell::text(&limit.kind),
            Cell::text(&limit.value),
            amount(limit.used.as_ref()),
            amount(limit.reserved.as_ref()),
            amount(limit.left.as_ref()),
            Cell::optional(limit.resets_at.as_deref()),
            Cell::optional(limit.extra.as_deref()),
            Cell::optional(limit.refused.map(|refused| refused.to_string())),
        ]
    };
    Listing {
        columns: vec![
            Column::new("of", "of", Name),
            Column::new("limit", "", Name),
            Column::new("kind", "kind", Text).shown_if(false),
            Column::new("value", "value", Text).shown_if(false),
            Column::new("used", "used", Number),
            Column::new("reserved", "reserved", Number)
                .rank(3)
                .shown_if(has(|limit| limit.reserved.is_some())),
            Column::new("left", "left", Number),
            Column::new("resets", "resets_at", Text).rank(2),
            Column::new("extra", "extra", Text)
                .rank(4)
                .shown_if(has(|limit| limit.extra.is_some())),
            Column::new("refused", "refused", Number)
                .rank(1)
                .shown_if(has_refused),
        ],
        rows: limits.iter().map(row).collect(),
        total: None,
    }
}

/// Writes a limit in a few words.
fn in_words(limit: &LimitEntry) -> String {
    let value = &limit.value;
    let words = match limit.kind.as_str() {
        _ if value.is_empty() => limit.kind.replace('_', " "),
        "requests_per_minute" => format!("{value} requests/minute"),
        "tokens_per_minute" => format!("{value} tokens/minute"),
        "concurrent" => format!("{value} at once"),
        "models" => format!("models {value}"),
        "deny_models" => format!("not {value}"),
        "max_output_tokens" => format!("{value} output tokens"),
        "weight" => format!("weight {value}"),
        "unpriced" => format!("{value} unpriced models"),
        "extra" => format!("extra {value}"),
        _ => value.clone(),
    };
    let raised = if limit.extra.is_some() {
        " + extra"
    } else {
        ""
    };
    let watched = if limit.is_watched { " (watched)" } else { "" };
    format!("{words}{raised}{watched}")
}

/// Lists what each limit would have refused.
pub(in crate::commands) fn tried_limits(tried: &TriedLimits) -> Listing {
    let rows = tried.limits.iter().map(|limit| {
        vec![
            Cell::text(limit.kind.replace('_', " ")),
            Cell::text(&limit.value),
            count(limit.refused),
            Cell::optional(limit.first_at.as_deref()),
            Cell::optional(limit.last_at.as_deref()),
        ]
    });
    Listing {
        columns: vec![
            Column::new("limit", "kind", Text),
            Column::new("value", "value", Name),
            Column::new("refused", "refused", Number),
            Column::new("first", "first_at", Text).rank(1),
            Column::new("last", "last_at", Text).rank(2),
        ],
        rows: rows.collect(),
        total: None,
    }
}

/// Lists the users of whom requests would have been refused.
pub(in crate::commands) fn tried_users(tried: &TriedLimits) -> Listing {
    let rows = tried.users.iter().map(|user| {
        vec![
            Cell::text(&user.username),
            count(user.requests),
            count(user.refused),
        ]
    });
    Listing {
        columns: vec![
            Column::new("user", "username", Name),
            Column::new("requests", "requests", Number),
            Column::new("refused", "refused", Number),
        ],
        rows: rows.collect(),
        total: None,
    }
}

fn count(count: u64) -> Cell {
    Cell::number(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Lists the comparisons of an audit.
pub(in crate::commands) fn audit(report: &AuditReport) -> Listing {
    let row = |check: &AuditCheck| {
        vec![
            Cell::text(&check.name),
            count(check.compared),
            count(check.different),
        ]
    };
    Listing {
        columns: vec![
            Column::new("check", "name", Name),
            Column::new("compared", "compared", Number),
            Column::new("different", "different", Number),
        ],
        rows: report.checks.iter().map(row).collect(),
        total: None,
    }
}

/// Returns the cell of an amount: dollars without needless zeros on a terminal.
fn amount(value: Option<&Value>) -> Cell {
    match value {
        None => Cell::optional(None::<String>),
        Some(Value::String(text)) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let fraction = fraction.trim_end_matches('0');
            Cell {
                shown: format!("{whole}.{fraction:0<2}"),
                plain: text.clone(),
            }
        }
        Some(Value::Number(number)) => Cell::number(number.as_i64().unwrap_or(i64::MAX)),
        Some(other) => Cell::text(other.to_string()),
    }
}

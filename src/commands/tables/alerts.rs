//! The list of alerts.

use crate::commands::listing::{
    Cell, Column,
    ColumnKind::{Name, Text},
    Listing,
};
use crate::store::alerts::{AlertEntry, DeliveryEntry};

/// Lists alerts. The states of all webhooks are one word.
pub(in crate::commands) fn alerts(alerts: &[AlertEntry]) -> Listing {
    let row = |alert: &AlertEntry| {
        let errors = alert.deliveries.iter().filter_map(|delivery| {
            let error = delivery.last_error.as_deref()?;
            Some(format!("{}: {error}", delivery.webhook))
        });
        let errors: Vec<String> = errors.collect();
        vec![
            Cell::text(&alert.id),
            Cell::text(&alert.at),
            Cell::text(&alert.event),
            Cell::text(&alert.text),
            Cell::optional(states(&alert.deliveries)),
            Cell::optional((!errors.is_empty()).then(|| errors.join("; "))),
        ]
    };
    Listing {
        columns: vec![
            Column::new("id", "id", Text).rank(1),
            Column::new("time", "at", Text),
            // The text says it.
            Column::new("event", "event", Text).shown_if(false),
            Column::new("text", "text", Name),
            Column::new("sent", "state", Text),
            Column::new("error", "error", Name).shown_if(false),
        ],
        rows: alerts.iter().map(row).collect(),
        total: None,
    }
}

/// Returns the state of all webhooks: `sent`, `pending`, `failed`, or `sent 1/2` if they differ.
fn states(deliveries: &[DeliveryEntry]) -> Option<String> {
    let counts = ["sent", "pending", "failed"].map(|state| {
        let count = deliveries.iter().filter(|delivery| delivery.state == state);
        (state, count.count())
    });
    let some: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    match &some[..] {
        [] => None,
        [(state, _)] => Some((*state).to_owned()),
        _ => Some(format!("sent {}/{}", counts[0].1, deliveries.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str, states: &[(&str, Option<&str>)]) -> AlertEntry {
        AlertEntry {
            id: "00112233aabbccdd".to_owned(),
            at: "2026-11-29T18:00:00Z".to_owned(),
            event: "budget_threshold".to_owned(),
            text: text.to_owned(),
            payload: serde_json::Map::new(),
            deliveries: states
                .iter()
                .map(|(state, error)| DeliveryEntry {
                    webhook: "https://hooks.slack.com".to_owned(),
                    state: (*state).to_owned(),
                    attempts: 1,
                    next_attempt_at: None,
                    last_error: error.map(str::to_owned),
                    sent_at: None,
                })
                .collect(),
        }
    }

    #[test]
    fn alerts_fit_eighty_columns() {
        let text = "alice has used 80 % of 20usd/month (16.02 of 20.00 USD); it resets at 2026-12-01T00:00:00Z";
        let all = [
            entry(text, &[("sent", None)]),
            entry("x", &[("sent", None), ("pending", Some("status 500"))]),
            entry("y", &[]),
        ];
        insta::assert_snapshot!(alerts(&all).boxed(Some(80)), @"
        ┌──────────────────┬──────────────────────┬─────────────────────────┬──────────┐
        │ id               ┆ time                 ┆ text                    ┆ sent     │
        ╞══════════════════╪══════════════════════╪═════════════════════════╪══════════╡
        │ 00112233aabbccdd ┆ 2026-11-29T18:00:00Z ┆ alice has used 80 % of  ┆ sent     │
        │                  ┆                      ┆ 20usd/month (16.02 of   ┆          │
        │                  ┆                      ┆ 20.00 USD); it resets   ┆          │
        │                  ┆                      ┆ at 2026-12-01T00:00:00Z ┆          │
        │ 00112233aabbccdd ┆ 2026-11-29T18:00:00Z ┆ x                       ┆ sent 1/2 │
        │ 00112233aabbccdd ┆ 2026-11-29T18:00:00Z ┆ y                       ┆ -        │
        └──────────────────┴──────────────────────┴─────────────────────────┴──────────┘
        ");
    }
}

//! The lists of prices, and of what repricing changes.

use crate::commands::listing::{
    Cell, Column,
    ColumnKind::{Name, Number, Text},
    Listing,
};
use crate::{
    admin::{PriceEntry, UnpricedModel},
    model::NanoUsd,
    store::reprice::RepricedModel,
};

/// Lists the prices of several models.
pub(in crate::commands) fn prices(prices: &[PriceEntry]) -> Listing {
    let row = |price: &PriceEntry| {
        vec![
            Cell::text(&price.model),
            Cell::optional(price.input_usd_per_million.as_deref()),
            Cell::optional(price.cached_usd_per_million.as_deref()),
            Cell::optional(price.output_usd_per_million.as_deref()),
            Cell::text(&price.source),
            Cell::optional(price.from.as_deref()),
        ]
    };
    let has_time = prices.iter().any(|price| price.from.is_some());
    Listing {
        columns: vec![
            Column::new("model", "model", Name),
            Column::new("input $/M", "input_usd_per_million", Number).rank(1),
            Column::new("cached $/M", "cached_usd_per_million", Number).rank(3),
            Column::new("output $/M", "output_usd_per_million", Number).rank(1),
            Column::new("source", "source", Text).rank(2),
            Column::new("from", "from", Text).rank(4).shown_if(has_time),
        ],
        rows: prices.iter().map(row).collect(),
        total: None,
    }
}

/// Lists all details of the price of one model.
pub(in crate::commands) fn price(price: &PriceEntry) -> Listing {
    let mut rows = vec![vec![Cell::text("model"), Cell::text(&price.model)]];
    if let Some(model) = &price.priced_as {
        rows.push(vec![Cell::text("priced as"), Cell::text(model)]);
    }
    rows.push(vec![Cell::text("source"), Cell::text(&price.source)]);
    if let Some(from) = &price.from {
        rows.push(vec![Cell::text("from"), Cell::text(from)]);
    }
    for (title, dollars) in [
        ("input $/M", &price.input_usd_per_million),
        ("cached $/M", &price.cached_usd_per_million),
        ("output $/M", &price.output_usd_per_million),
    ] {
        if let Some(dollars) = dollars {
            rows.push(vec![Cell::text(title), Cell::text(dollars)]);
        }
    }
    let fields = price.fields.iter();
    rows.extend(fields.map(|(name, usd)| vec![Cell::text(name), Cell::text(usd)]));
    Listing {
        columns: vec![
            Column::new("price", "price", Name),
            Column::new("value", "value", Text),
        ],
        rows,
        total: None,
    }
}

/// Lists the models whose requests have no cost.
pub(in crate::commands) fn unpriced(models: &[UnpricedModel]) -> Listing {
    let row = |model: &UnpricedModel| {
        let tokens = i64::try_from(model.total_tokens).unwrap_or(i64::MAX);
        let advice = if model.has_price { "reprice" } else { "none" };
        vec![
            Cell::text(&model.model),
            Cell::number(model.unpriced_requests),
            Cell::number(tokens),
            Cell::text(advice),
        ]
    };
    Listing {
        columns: vec![
            Column::new("model", "model", Name),
            Column::new("unpriced", "unpriced_requests", Number),
            Column::new("tokens", "total_tokens", Number).rank(2),
            Column::new("price", "price", Text).rank(1),
        ],
        rows: models.iter().map(row).collect(),
        total: None,
    }
}

/// Lists what pricing anew changes.
pub(in crate::commands) fn repriced(models: &[RepricedModel]) -> Listing {
    let amount = |amount: NanoUsd| Cell {
        shown: amount.rounded(),
        plain: amount.to_string(),
    };
    let row = |model: &RepricedModel| {
        vec![
            Cell::text(&model.model),
            Cell::number(model.changed_rows),
            amount(model.cost_before_usd),
            amount(model.cost_after_usd),
            Cell::number(model.unpriced_rows),
        ]
    };
    Listing {
        columns: vec![
            Column::new("model", "model", Name),
            Column::new("changed", "changed_rows", Number).rank(1),
            Column::new("before $", "cost_before_usd", Number).rank(2),
            Column::new("after $", "cost_after_usd", Number),
            Column::new("unpriced", "unpriced_rows", Number).rank(3),
        ],
        rows: models.iter().map(row).collect(),
        total: None,
    }
}

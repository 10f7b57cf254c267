//! Answers of OpenAI's API of costs and usage: `GET /v1/organization/costs` and
//! `/v1/organization/usage/completions` (the API reference, Administration, Usage).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Figures, Statement, StatementError, StatementKind};
use crate::model::scaled;

/// The path below `/v1` at which costs are asked for.
pub const COSTS_PATH: &str = "/organization/costs";
const SECONDS_PER_DAY: i64 = 86_400;
const NANO_PLACES: i64 = 9;

/// A page of buckets.
#[derive(Deserialize)]
#[allow(clippy::struct_field_names)]
struct Page {
    data: Vec<Bucket>,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    next_page: Option<String>,
}

#[derive(Deserialize)]
struct Bucket {
    start_time: i64,
    // Older answers say `result`.
    #[serde(alias = "result")]
    results: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    amount: Option<Amount>,
    #[serde(default)]
    line_item: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    num_model_requests: Option<i64>,
    #[serde(default)]
    input_tokens: Option<i64>,
    #[serde(default)]
    input_cached_tokens: Option<i64>,
    #[serde(default)]
    output_tokens: Option<i64>,
}

#[derive(Deserialize)]
struct Amount {
    /// As it is written: a number, or a text with one.
    value: Box<RawValue>,
    #[serde(default)]
    currency: Option<String>,
}

/// A page of costs, and where the next one is.
pub struct CostPage {
    pub statement: Statement,
    pub next_page: Option<String>,
}

impl CostPage {
    /// Reads a page.
    ///
    /// # Errors
    /// [`StatementError`] if it is none.
    pub fn read(json: &str) -> Result<Self, StatementError> {
        let page = parse(json)?;
        let next_page = page.next_page.clone().filter(|_| page.has_more);
        let statement = statement(StatementKind::Costs, [page])?;
        Ok(Self {
            statement,
            next_page,
        })
    }
}

/// Reads a page, or a list of pages.
pub(super) fn read(json: &str) -> Result<Statement, StatementError> {
    let pages: Vec<Page> = if json.trim_start().starts_with('[') {
        serde_json::from_str(json).map_err(|error| StatementError::Json(error.to_string()))?
    } else {
        vec![parse(json)?]
    };
    if pages.last().is_some_and(|page| page.has_more) {
        let problem = "it is one page of several: put all of them into a list";
        return Err(StatementError::Json(problem.to_owned()));
    }
    let mut entries = pages.iter().flat_map(|page| &page.data);
    let has_amounts =
        entries.any(|bucket| bucket.results.iter().any(|entry| entry.amount.is_some()));
    let kind = if has_amounts {
        StatementKind::Costs
    } else {
        StatementKind::Usage
    };
    statement(kind, pages)
}

fn parse(json: &str) -> Result<Page, StatementError> {
    serde_json::from_str(json).map_err(|error| StatementError::Json(error.to_string()))
}

fn statement(
    kind: StatementKind,
    pages: impl IntoIterator<Item = Page>,
) -> Result<Statement, StatementError> {
    let mut statement = Statement::empty(kind);
    for bucket in pages.into_iter().flat_map(|page| page.data) {
        let day = bucket.start_time.div_euclid(SECONDS_PER_DAY);
        statement.add_day(day);
        for entry in bucket.results {
            let figures = Figures {
                requests: entry.num_model_requests.unwrap_or(0),
                input_tokens: entry.input_tokens.unwrap_or(0),
                cached_tokens: entry.input_cached_tokens.unwrap_or(0),
                output_tokens: entry.output_tokens.unwrap_or(0),
                nano_usd: entry.amount.as_ref().map_or(Ok(0), nano_usd)?,
            };
            let item = entry.line_item.as_deref().unwrap_or_default();
            let model = entry.model.as_deref().unwrap_or(model_of_item(item));
            statement.add(day, model, &figures);
        }
    }
    Ok(statement)
}

fn nano_usd(amount: &Amount) -> Result<i64, StatementError> {
    if let Some(currency) = &amount.currency
        && !currency.eq_ignore_ascii_case("usd")
    {
        return Err(StatementError::Currency(currency.clone()));
    }
    let text = amount.value.get().trim_matches('"');
    scaled(text, NANO_PLACES)
        .map_err(|_| StatementError::Json(format!("the amount {text:?} is no number")))
}

/// Returns the model of a line item such as `gpt-4o-mini-2024-07-18, cached input`. Other items, such
/// as `web search tool calls`, stand for themselves.
pub(super) fn model_of_item(item: &str) -> &str {
    item.split_once(", ").map_or(item, |(model, _)| model)
}

//! What a user sees: their own usage and what is left of their limits, and nothing of anybody else.

use std::sync::Arc;

use actix_web::HttpResponse;
use askama::Template;

use super::{
    PageError, Visit,
    chart::{self, Chart},
    figures::HistoryWindow,
    frame::{Place, render},
    limits::LimitLine,
    overview::{Ranking, Tile, tiles},
};
use crate::{
    admin::AdminContext,
    proxy::{admission::auth::Caller, error::ApiError},
    server::own_usage::usage_of,
};

#[derive(Template)]
#[template(path = "own.html")]
struct Own {
    name: String,
    group: Option<String>,
    today: Tile,
    month: Tile,
    limits: Vec<LimitLine>,
    hides_numbers: bool,
    cost: Chart,
    tokens: Chart,
    models: Ranking,
    is_empty: bool,
}

/// Answers with a user's own page.
pub(super) async fn page(visit: &Visit, caller: Arc<Caller>) -> Result<HttpResponse, ApiError> {
    let hides_numbers = visit.worker.shared.admission.limits.hides_numbers;
    visit
        .page(Place::Own, move |context, _| {
            content(context, &caller, hides_numbers)
        })
        .await
}

fn content(
    context: &AdminContext,
    caller: &Caller,
    hides_numbers: bool,
) -> Result<String, PageError> {
    let calendar = &context.calendar;
    let window = HistoryWindow::new(calendar);
    let query = format!("since={}&by=day,model", window.since());
    let usage = usage_of(context, caller, &query, hides_numbers)?;
    let history = window.history(calendar, &usage.usage);
    let (today, month) = tiles(&history);
    Ok(render(&Own {
        name: usage.username,
        group: usage.group,
        today,
        month,
        limits: usage
            .limits
            .iter()
            .map(|entry| LimitLine::of(entry, calendar))
            .collect(),
        hides_numbers,
        cost: chart::of_cost(&history.days),
        tokens: chart::of_tokens(&history.days),
        models: Ranking::new("Models in 30 days", "Model", &history.models),
        is_empty: history.total().is_nothing(),
    })?)
}

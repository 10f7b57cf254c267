//! The operator's first page: what was used, what is left, and what happens now.

use actix_web::HttpResponse;
use askama::Template;

use super::{
    PageError, Visit,
    chart::{self, Chart, PartBar},
    figures::{Figures, History, Named},
    format::{of, short, span, usd},
    frame::{Place, render},
    limits::{BudgetLine, clock},
};
use crate::{
    admin::{AdminContext, ListLimits, LiveActivity, ShowLive},
    model::{Calendar, grouped},
    proxy::error::ApiError,
    store::reports::Totals,
};

/// Entries of each list.
const TOP: usize = 8;
const LIVE_REQUESTS: i64 = 20;
const LIVE_ERRORS: i64 = 10;
/// All users, to find the fullest budgets among them.
const ALL_USERS: i64 = 10_000;
/// The part of a budget, in percent, from which it is nearly used up.
const NEARLY: u32 = 80;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    today: Tile,
    month: Tile,
    cost: Chart,
    tokens: Chart,
    budgets: Vec<BudgetLine>,
    users: Ranking,
    groups: Ranking,
    models: Ranking,
    live: Live,
    as_of: String,
    /// There are no users yet, or they have used nothing.
    is_empty: bool,
}

/// The sums of a day or a month.
pub(super) struct Tile {
    pub(super) title: &'static str,
    /// `day` or `month`.
    pub(super) span: &'static str,
    pub(super) cost: String,
    pub(super) requests: String,
    pub(super) tokens: String,
    pub(super) unpriced: Option<String>,
    pub(super) forecast: Option<String>,
    /// How many budgets of this kind of window are used up or nearly so.
    pub(super) budgets: Option<String>,
    pub(super) is_alarming: bool,
}

impl Tile {
    fn new(
        title: &'static str,
        span: &'static str,
        totals: &Totals,
        forecast: Option<String>,
    ) -> Self {
        let unpriced = u64::try_from(totals.unpriced_requests).unwrap_or(0);
        Self {
            title,
            span,
            cost: usd(totals.cost),
            requests: of(
                u64::try_from(totals.requests).unwrap_or(0),
                "request",
                "requests",
            ),
            tokens: format!("{} tokens", short(totals.tokens())),
            unpriced: (unpriced > 0).then(|| of(unpriced, "request", "requests")),
            forecast,
            budgets: None,
            is_alarming: false,
        }
    }

    fn with_budgets(mut self, ratios: &[(String, u32)]) -> Self {
        let of_window: Vec<u32> = ratios
            .iter()
            .filter(|(window, _)| window == self.span)
            .map(|(_, percent)| *percent)
            .collect();
        if of_window.is_empty() {
            return self;
        }
        let full = of_window.iter().filter(|percent| **percent >= 100).count();
        let near = of_window
            .iter()
            .filter(|percent| **percent >= NEARLY)
            .count()
            - full;
        let all = of(of_window.len() as u64, "budget", "budgets");
        self.budgets = Some(match (full, near) {
            (0, 0) => format!("{all}, all below {NEARLY} %"),
            (0, near) => format!("{all}, {near} above {NEARLY} %"),
            (full, 0) => format!("{all}, {full} used up"),
            (full, near) => format!("{all}, {full} used up, {near} above {NEARLY} %"),
        });
        self.is_alarming = full > 0;
        self
    }
}

/// Returns the tiles of a history.
pub(super) fn tiles(history: &History) -> (Tile, Tile) {
    let today = history.today_forecast.map(usd);
    let month = history.month_forecast.map(usd);
    (
        Tile::new("Today", "day", &history.today, today),
        Tile::new("This month", "month", &history.month, month),
    )
}

/// A list of what has cost most.
pub(super) struct Ranking {
    pub(super) title: &'static str,
    pub(super) noun: &'static str,
    pub(super) lines: Vec<RankLine>,
    /// How many more there are.
    pub(super) more: usize,
    pub(super) has_pages: bool,
}

pub(super) struct RankLine {
    pub(super) name: String,
    pub(super) href: Option<String>,
    pub(super) cost: String,
    pub(super) tokens: String,
    pub(super) requests: String,
    pub(super) bar: PartBar,
}

impl Ranking {
    pub(super) fn new(title: &'static str, noun: &'static str, named: &[Named]) -> Self {
        // Without prices, tokens tell more.
        let has_cost = named.iter().any(|named| named.totals.cost.0 > 0);
        let size = |totals: &Totals| {
            if has_cost {
                u64::try_from(totals.cost.0).unwrap_or(0)
            } else {
                totals.tokens()
            }
        };
        let most = named.first().map_or(0, |named| size(&named.totals));
        let lines = named.iter().take(TOP).map(|named| RankLine {
            name: named.name.clone(),
            href: None,
            cost: usd(named.totals.cost),
            tokens: short(named.totals.tokens()),
            requests: grouped(u64::try_from(named.totals.requests).unwrap_or(0)),
            bar: PartBar::of_rank(size(&named.totals), most),
        });
        Self {
            title,
            noun,
            lines: lines.collect(),
            more: named.len().saturating_sub(TOP),
            has_pages: false,
        }
    }

    fn of_users(named: &[Named]) -> Self {
        let mut ranking = Self::new("Top users", "User", named);
        for line in &mut ranking.lines {
            line.href = Some(super::format::user_href(&line.name));
        }
        ranking.has_pages = true;
        ranking
    }
}

/// What happens now.
#[derive(Template)]
#[template(path = "live.html")]
struct Live {
    at: String,
    in_flight: String,
    waiting: String,
    requests: String,
    tokens: String,
    refused: String,
    running: Vec<RunningLine>,
    more: u64,
    errors: Vec<ErrorLine>,
}

struct RunningLine {
    user: String,
    href: String,
    model: String,
    endpoint: String,
    state: String,
    age: String,
    tokens: String,
}

struct ErrorLine {
    at: String,
    user: String,
    endpoint: String,
    status: u16,
    code: String,
    message: String,
    count: u64,
    request_id: String,
}

impl Live {
    fn of(live: &LiveActivity, calendar: &Calendar) -> Self {
        let running = live.requests.iter().map(|request| RunningLine {
            user: request.user.clone(),
            href: super::format::user_href(&request.user),
            model: request.model.clone().unwrap_or_else(|| "–".to_owned()),
            endpoint: request.endpoint.clone(),
            state: match request.state.as_str() {
                "running" if request.output_tokens.is_some() => "answering",
                "running" => "at the backend",
                "waiting" => "waiting",
                _ => "arriving",
            }
            .to_owned(),
            age: span(request.duration_ms),
            tokens: request
                .output_tokens
                .map_or_else(|| "–".to_owned(), |tokens| format!("≈ {}", grouped(tokens))),
        });
        let errors = live.errors.iter().map(|error| ErrorLine {
            at: clock(calendar, &error.at),
            user: error
                .user
                .clone()
                .unwrap_or_else(|| "no valid key".to_owned()),
            endpoint: error.endpoint.clone(),
            status: error.status,
            code: error.code.clone(),
            message: error.message.clone(),
            count: error.count,
            request_id: error.request_id.clone().unwrap_or_default(),
        });
        let at = clock(calendar, &live.now);
        let running: Vec<RunningLine> = running.collect();
        Self {
            at: at.split(' ').next_back().unwrap_or_default().to_owned(),
            in_flight: grouped(live.in_flight),
            waiting: grouped(live.waiting),
            requests: grouped(live.requests_per_minute),
            tokens: short(live.tokens_per_minute),
            refused: grouped(live.refused_per_minute),
            more: live.in_flight.saturating_sub(running.len() as u64),
            running,
            errors: errors.collect(),
        }
    }
}

/// Answers with the first page of an operator.
pub(super) async fn page(visit: &Visit) -> Result<HttpResponse, ApiError> {
    visit.operator()?;
    let answer = visit.page(Place::Overview, content).await;
    visit.refresh_figures();
    answer
}

/// Answers with the live figures alone.
pub(super) async fn live(visit: &Visit) -> Result<HttpResponse, ApiError> {
    visit.operator()?;
    let live = visit.run(question(0, None)).await?;
    let html = render(&Live::of(&live, &visit.parts.context.calendar))?;
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(html))
}

fn question(users: i64, sort: Option<&str>) -> ShowLive {
    ShowLive {
        users: Some(users),
        requests: Some(LIVE_REQUESTS),
        errors: Some(LIVE_ERRORS),
        sort: sort.map(str::to_owned),
        filter: None,
        all: Some(true),
    }
}

fn content(context: &AdminContext, figures: &Figures) -> Result<String, PageError> {
    let calendar = &context.calendar;
    let live = context.run(question(ALL_USERS, Some("budget")))?;
    let limits = context.run(ListLimits::default())?;
    let overall = figures.overall(context)?;
    let of_users = live.users.iter().filter_map(|user| {
        let budget = user.budget.as_ref()?;
        let is_default = budget.scope == "everybody";
        is_default.then(|| {
            (
                budget.window.clone(),
                BudgetLine::of_user(&user.name, budget, calendar),
            )
        })
    });
    let set = limits.limits.iter().filter_map(|entry| {
        let line = BudgetLine::of_entry(entry, calendar)?;
        Some((entry.window.clone().unwrap_or_default(), line))
    });
    let mut budgets: Vec<(String, BudgetLine)> = of_users.chain(set).collect();
    let ratios: Vec<(String, u32)> = budgets
        .iter()
        .map(|(window, line)| (window.clone(), line.percent))
        .collect();
    budgets.sort_by(|(_, one), (_, other)| {
        let by_ratio = other.percent.cmp(&one.percent);
        by_ratio.then_with(|| one.name.cmp(&other.name))
    });
    budgets.truncate(TOP);
    let history = &overall.history;
    let (today, month) = tiles(history);
    Ok(render(&Overview {
        today: today.with_budgets(&ratios),
        month: month.with_budgets(&ratios),
        cost: chart::of_cost(&history.days),
        tokens: chart::of_tokens(&history.days),
        budgets: budgets.into_iter().map(|(_, line)| line).collect(),
        users: Ranking::of_users(&overall.users),
        groups: Ranking::new("Top groups", "Group", &overall.groups),
        models: Ranking::new("Top models", "Model", &history.models),
        live: Live::of(&live, calendar),
        as_of: calendar.clock_time(history.at_ms),
        is_empty: history.total().is_nothing(),
    })?)
}

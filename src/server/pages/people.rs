//! The operator's pages of users: all of them, with search, and one with everything about it.

use std::collections::HashMap;

use actix_web::HttpResponse;
use askama::Template;

use super::{
    PageError, Visit,
    chart::{self, Chart},
    figures::{Figures, MonthByUser, history_of_user},
    format::{count, of, short, span, usd},
    frame::{Place, render},
    limits::{BudgetLine, LimitLine, clock},
    overview::{Ranking, Tile, tiles},
    session::Session,
};
use crate::{
    admin::{
        AdminContext, ListGroups, ListLimits, ListRequests, ListUsers, LiveUser, ShowLive, ShowUser,
    },
    model::Calendar,
    proxy::error::ApiError,
    store::{
        keys::{KeyEntry, KeyState},
        users::UserEntry,
    },
};

pub(super) const LIST: &str = "/page/users";

/// Users on a page.
const PAGE_SIZE: usize = 50;
const MAX_LIVE_USERS: i64 = 10_000;
/// Requests that the page of a user shows, and how far back they are looked for.
const LAST_REQUESTS: i64 = 20;
const LAST_REQUESTS_SINCE: &str = "24h";

#[derive(Template)]
#[template(path = "users.html")]
struct Users {
    csrf: String,
    query: String,
    sort: Sort,
    only_forbidden: bool,
    groups: Vec<String>,
    lines: Vec<UserLine>,
    /// Users that the search found.
    found: usize,
    found_text: String,
    all: usize,
    first: usize,
    last: usize,
    previous: Option<String>,
    next: Option<String>,
    links: Vec<(Sort, String)>,
}

struct UserLine {
    name: String,
    href: String,
    group: String,
    is_active: bool,
    has_key: bool,
    key: String,
    last_used: String,
    today: String,
    month: String,
    month_tokens: String,
    budget: Option<BudgetLine>,
}

/// The order of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Name,
    Today,
    Month,
    Budget,
}

impl Sort {
    const ALL: [Self; 4] = [Self::Name, Self::Today, Self::Month, Self::Budget];

    fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Today => "today",
            Self::Month => "month",
            Self::Budget => "budget",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Today => "cost today",
            Self::Month => "cost this month",
            Self::Budget => "fullest budget",
        }
    }
}

/// What the list was asked for.
struct Search {
    query: String,
    sort: Sort,
    only_forbidden: bool,
    /// From 0.
    page: usize,
}

impl Search {
    fn parse(query: &str) -> Self {
        let fields: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let sort = fields.get("sort").map(String::as_str);
        let page = fields
            .get("page")
            .and_then(|page| page.parse::<usize>().ok());
        Self {
            query: fields
                .get("q")
                .map(|text| text.trim().to_owned())
                .unwrap_or_default(),
            sort: Sort::ALL
                .into_iter()
                .find(|known| Some(known.word()) == sort)
                .unwrap_or(Sort::Name),
            only_forbidden: fields.contains_key("forbidden"),
            page: page.unwrap_or(1).saturating_sub(1),
        }
    }

    /// Returns the address of another page or order of the same search.
    fn href(&self, sort: Sort, page: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if !self.query.is_empty() {
            query.append_pair("q", &self.query);
        }
        if sort != Sort::Name {
            query.append_pair("sort", sort.word());
        }
        if self.only_forbidden {
            query.append_pair("forbidden", "1");
        }
        if page > 0 {
            query.append_pair("page", &(page + 1).to_string());
        }
        let query = query.finish();
        if query.is_empty() {
            return LIST.to_owned();
        }
        format!("{LIST}?{query}")
    }

    /// Returns whether a user is looked for: by a part of the name or the group, in any case of
    /// letters.
    fn finds(&self, user: &UserEntry, lowercase: &str) -> bool {
        if self.only_forbidden && user.is_active {
            return false;
        }
        let has = |text: &str| text.to_lowercase().contains(lowercase);
        lowercase.is_empty() || has(&user.username) || user.group.as_deref().is_some_and(has)
    }
}

/// Answers with the list of users.
pub(super) async fn list(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let session = visit.operator()?.clone();
    let search = Search::parse(visit.request.query_string());
    let answer = visit
        .page(Place::Users, move |context, figures| {
            list_content(context, figures, &session, &search)
        })
        .await;
    visit.refresh_figures();
    answer
}

fn list_content(
    context: &AdminContext,
    figures: &Figures,
    session: &Session,
    search: &Search,
) -> Result<String, PageError> {
    let users = context.run(ListUsers::default())?.users;
    let all = users.len();
    let months = figures.months(context)?;
    let live = context.run(ShowLive {
        users: Some(MAX_LIVE_USERS),
        requests: Some(0),
        errors: Some(0),
        sort: Some("budget".to_owned()),
        filter: None,
        all: Some(true),
    })?;
    let live: HashMap<&str, &LiveUser> = live
        .users
        .iter()
        .map(|user| (user.name.as_str(), user))
        .collect();
    let lowercase = search.query.to_lowercase();
    let mut found: Vec<UserEntry> = users
        .into_iter()
        .filter(|user| search.finds(user, &lowercase))
        .collect();
    sort(&mut found, search.sort, &live, &months);
    let pages = found.len().div_ceil(PAGE_SIZE).max(1);
    let page = search.page.min(pages - 1);
    let first = page * PAGE_SIZE;
    let shown = found.iter().skip(first).take(PAGE_SIZE);
    let lines: Vec<UserLine> = shown
        .map(|user| user_line(user, live.get(user.username.as_str()), &months, context))
        .collect();
    let groups = context.run(ListGroups::default())?.groups;
    let links = Sort::ALL.map(|sort| (sort, search.href(sort, 0)));
    Ok(render(&Users {
        csrf: session.csrf.clone(),
        query: search.query.clone(),
        sort: search.sort,
        only_forbidden: search.only_forbidden,
        groups: groups.into_iter().map(|group| group.name).collect(),
        found: found.len(),
        found_text: of(found.len() as u64, "user", "users"),
        all,
        first: first + 1,
        last: first + lines.len(),
        lines,
        previous: (page > 0).then(|| search.href(search.sort, page - 1)),
        next: (page + 1 < pages).then(|| search.href(search.sort, page + 1)),
        links: links.into(),
    })?)
}

fn sort(users: &mut [UserEntry], by: Sort, live: &HashMap<&str, &LiveUser>, months: &MonthByUser) {
    let today = |user: &UserEntry| live.get(user.username.as_str()).map(|live| live.cost_today);
    let budget = |user: &UserEntry| {
        let live = live.get(user.username.as_str());
        let budget = live.and_then(|live| live.budget.as_ref());
        budget.map_or(-1.0, |budget| budget.ratio)
    };
    users.sort_by(|one, other| {
        let largest_first = match by {
            Sort::Name => std::cmp::Ordering::Equal,
            Sort::Today => today(other).cmp(&today(one)),
            Sort::Month => {
                let cost = |user: &UserEntry| months.of(&user.username).cost;
                cost(other).cmp(&cost(one))
            }
            Sort::Budget => budget(other).total_cmp(&budget(one)),
        };
        let name = |user: &UserEntry| user.username.to_lowercase();
        largest_first.then_with(|| name(one).cmp(&name(other)))
    });
}

fn user_line(
    user: &UserEntry,
    live: Option<&&LiveUser>,
    months: &MonthByUser,
    context: &AdminContext,
) -> UserLine {
    let calendar = &context.calendar;
    let month = months.of(&user.username);
    let budget = live.and_then(|live| live.budget.as_ref());
    UserLine {
        href: super::format::user_href(&user.username),
        name: user.username.clone(),
        group: user.group.clone().unwrap_or_default(),
        is_active: user.is_active,
        has_key: user.active_keys > 0,
        key: user.key.clone().unwrap_or_default(),
        last_used: to_the_minute(calendar, user.last_used_at.as_deref()),
        today: live.map_or_else(String::new, |live| usd(live.cost_today)),
        month: usd(month.cost),
        month_tokens: short(month.tokens()),
        budget: budget.map(|budget| BudgetLine::of_user(&user.username, budget, calendar)),
    }
}

/// Returns a moment without its seconds; `never` for none.
fn to_the_minute(calendar: &Calendar, iso: Option<&str>) -> String {
    let Some(iso) = iso else {
        return "never".to_owned();
    };
    let at = clock(calendar, iso);
    let end = at.rfind(':').unwrap_or(at.len());
    at[..end].to_owned()
}

#[derive(Template)]
#[template(path = "user.html")]
struct User {
    csrf: String,
    name: String,
    group: Option<String>,
    is_active: bool,
    created: String,
    last_used: String,
    keys: Vec<KeyLine>,
    limits: Vec<LimitLine>,
    has_own_budget: bool,
    today: Tile,
    month: Tile,
    cost: Chart,
    tokens: Chart,
    models: Ranking,
    requests: Vec<RequestLine>,
}

struct KeyLine {
    key: String,
    label: String,
    status: &'static str,
    works: bool,
    created: String,
    last_used: String,
    expires: String,
}

struct RequestLine {
    at: String,
    endpoint: String,
    model: String,
    status: u16,
    outcome: String,
    tokens: String,
    cost: String,
    duration: String,
}

/// Answers with the page of a user.
pub(super) async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let session = visit.operator()?.clone();
    let query = url::form_urlencoded::parse(visit.request.query_string().as_bytes());
    let name = query.into_owned().find(|(field, _)| field == "name");
    let name = name.map(|(_, name)| name).unwrap_or_default();
    visit
        .page(Place::User, move |context, _| {
            user_content(context, &session, name)
        })
        .await
}

fn user_content(
    context: &AdminContext,
    session: &Session,
    name: String,
) -> Result<String, PageError> {
    let calendar = &context.calendar;
    let shown = context.run(ShowUser {
        username: Some(name),
    })?;
    let user = shown.user;
    let history = history_of_user(context, &user.username)?;
    let limits = context.run(ListLimits {
        username: Some(user.username.clone()),
        group: None,
    })?;
    let requests = context.run(ListRequests {
        username: Some(user.username.clone()),
        since: Some(LAST_REQUESTS_SINCE.to_owned()),
        limit: Some(LAST_REQUESTS),
        ..ListRequests::default()
    })?;
    let requests = requests.requests.iter().rev().map(|request| {
        let booked = request.booked.as_ref();
        let cost = booked.map(|booked| booked.cost_usd);
        RequestLine {
            at: to_the_minute(calendar, Some(&request.at)),
            endpoint: request.endpoint.clone(),
            model: booked
                .map(|booked| booked.model.clone())
                .unwrap_or_default(),
            status: request.status,
            outcome: request.error.as_ref().map_or_else(
                || request.outcome.replace('_', " "),
                |error| error.code.clone(),
            ),
            tokens: booked
                .map(|booked| count(booked.input_tokens.saturating_add(booked.output_tokens)))
                .unwrap_or_default(),
            cost: match cost {
                Some(Some(cost)) => usd(cost),
                Some(None) => "no price".to_owned(),
                None => String::new(),
            },
            duration: booked
                .and_then(|booked| u64::try_from(booked.duration_ms).ok())
                .map(span)
                .unwrap_or_default(),
        }
    });
    let (today, month) = tiles(&history);
    let is_own_budget =
        |entry: &crate::admin::LimitEntry| entry.scope == "user" && entry.kind == "budget";
    Ok(render(&User {
        csrf: session.csrf.clone(),
        group: user.group.clone(),
        is_active: user.is_active,
        created: to_the_minute(calendar, Some(&user.created_at)),
        last_used: to_the_minute(calendar, user.last_used_at.as_deref()),
        keys: shown
            .keys
            .iter()
            .rev()
            .map(|key| key_line(key, calendar))
            .collect(),
        has_own_budget: limits.limits.iter().any(is_own_budget),
        limits: limits
            .limits
            .iter()
            .map(|entry| LimitLine::of(entry, calendar))
            .collect(),
        today,
        month,
        cost: chart::of_cost(&history.days),
        tokens: chart::of_tokens(&history.days),
        models: Ranking::new("Models in 30 days", "Model", &history.models),
        requests: requests.collect(),
        name: user.username,
    })?)
}

fn key_line(key: &KeyEntry, calendar: &Calendar) -> KeyLine {
    KeyLine {
        key: key.key.clone(),
        label: key.label.clone().unwrap_or_default(),
        status: match key.status {
            KeyState::Active => "works",
            KeyState::Expired => "expired",
            KeyState::Revoked => "revoked",
            KeyState::Forbidden => "forbidden",
        },
        works: key.status == KeyState::Active,
        created: to_the_minute(calendar, Some(&key.created_at)),
        last_used: to_the_minute(calendar, key.last_used_at.as_deref()),
        expires: key.expires_at.as_deref().map_or_else(
            || "never".to_owned(),
            |at| to_the_minute(calendar, Some(at)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_the_search_and_escapes_names() {
        let search = Search::parse("q=+A%26b%22+&sort=month&page=3&forbidden=1");
        assert_eq!(search.query, "A&b\"");
        assert_eq!((search.sort, search.page), (Sort::Month, 2));
        assert_eq!(
            search.href(Sort::Month, 3),
            "/page/users?q=A%26b%22&sort=month&forbidden=1&page=4"
        );
        assert_eq!(Search::parse("page=0&sort=x").href(Sort::Name, 0), LIST);
        assert_eq!(
            super::super::format::user_href("a/b c&\"<>"),
            "/page/user?name=a%2Fb+c%26%22%3C%3E"
        );
    }
}

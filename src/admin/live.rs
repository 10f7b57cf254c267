//! What a server is doing now: live requests, what users did in the last minute and cost today, and
//! the last errors.

use std::{cmp::Ordering, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    AdminContext, AdminError, Member, Method, Operation,
    limits::{limits_by_ledger, scope_word},
    today::{SumsOfToday, UserOfToday},
};
use crate::{
    limits::{BudgetCheck, BudgetRule, SharedLimits},
    model::{BudgetUnit, NanoUsd, format_utc, now_ms},
    sight::{LiveSnapshot, RequestState, UserActivity},
    store::{
        activity,
        requests::{self, RequestFilter, RequestKind},
    },
};

/// Number of entries of each list if no other is asked for.
const DEFAULT_LIMIT: i64 = 100;
/// The most entries that a list has.
const MAX_LIMIT: i64 = 10_000;
/// How far back errors are looked for in the database.
const ERRORS_MS: i64 = 3_600_000;

/// Shows what the server is doing now.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ShowLive {
    /// The most users that are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<i64>,
    /// The most requests that are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<i64>,
    /// The most errors that are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<i64>,
    /// What users are sorted by: a word of [`SortLiveBy`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// Only users whose name or group contains this, in whatever case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Users who did nothing today are listed too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// What users are sorted by: the largest first, names from A to Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortLiveBy {
    InFlight,
    Waiting,
    Requests,
    Tokens,
    FirstByte,
    Refused,
    Cost,
    Budget,
    Name,
}

impl SortLiveBy {
    /// The words of all orders.
    pub const WORDS: [(&'static str, Self); 9] = [
        ("in_flight", Self::InFlight),
        ("waiting", Self::Waiting),
        ("requests", Self::Requests),
        ("tokens", Self::Tokens),
        ("first_byte", Self::FirstByte),
        ("refused", Self::Refused),
        ("cost", Self::Cost),
        ("budget", Self::Budget),
        ("name", Self::Name),
    ];

    /// Returns the order that a word stands for.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let mut words = Self::WORDS.iter();
        words.find(|(known, _)| *known == word).map(|(_, by)| *by)
    }

    /// Compares two users. Those that are equal come by what costs today, then by name.
    #[must_use]
    pub fn compare(self, one: &LiveUser, other: &LiveUser) -> Ordering {
        let largest_first = match self {
            Self::InFlight => other.in_flight.cmp(&one.in_flight),
            Self::Waiting => other.waiting.cmp(&one.waiting),
            Self::Requests => other.requests_per_minute.cmp(&one.requests_per_minute),
            Self::Tokens => other.tokens_per_minute.cmp(&one.tokens_per_minute),
            Self::FirstByte => other.time_to_first_byte_ms.cmp(&one.time_to_first_byte_ms),
            Self::Refused => other.refused_per_minute.cmp(&one.refused_per_minute),
            Self::Cost => other.cost_today.cmp(&one.cost_today),
            Self::Budget => {
                let ratio = |user: &LiveUser| user.budget.as_ref().map_or(-1.0, |b| b.ratio);
                ratio(other).total_cmp(&ratio(one))
            }
            Self::Name => Ordering::Equal,
        };
        largest_first
            .then_with(|| match self {
                Self::Name => Ordering::Equal,
                _ => other.cost_today.cmp(&one.cost_today),
            })
            .then_with(|| one.name.cmp(&other.name))
    }
}

/// Answer to `live`: what a server is doing now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LiveActivity {
    /// UTC ISO 8601, as all times here.
    pub now: String,
    /// Whether a server says this. The database alone knows of no waiting requests, of others when
    /// they have run for a second, and of the newest errors.
    pub is_live: bool,
    /// Live requests of identified users, those that wait included.
    pub in_flight: u64,
    pub waiting: u64,
    pub requests_per_minute: u64,
    pub tokens_per_minute: u64,
    pub refused_per_minute: u64,
    /// What all requests since midnight in `TIME_ZONE` cost, as far as their models have prices.
    pub cost_today: NanoUsd,
    /// Number of users that could be listed.
    pub users_total: usize,
    pub users: Vec<LiveUser>,
    /// The longest running first.
    pub requests: Vec<LiveRequestEntry>,
    /// The newest first.
    pub errors: Vec<LiveError>,
}

/// One user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LiveUser {
    pub name: String,
    pub group: Option<String>,
    pub in_flight: u64,
    pub waiting: u64,
    /// Requests that came in the last minute, refused ones included.
    pub requests_per_minute: u64,
    /// Input and output tokens that were booked in the last minute.
    pub tokens_per_minute: u64,
    /// Mean of the last minute. `None` if no answer began.
    pub time_to_first_byte_ms: Option<u64>,
    pub refused_per_minute: u64,
    /// The user's keys may not be used.
    pub forbidden: bool,
    pub cost_today: NanoUsd,
    /// The budget of which the largest part is used.
    pub budget: Option<FullestBudget>,
    /// The last request since the server started.
    pub last_seen: Option<String>,
}

/// The budget of a user of which the largest part is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FullestBudget {
    /// Whose budget it is: `user`, `group` or `everybody`.
    pub scope: String,
    /// `day`, `week`, `month` or `total`.
    pub window: String,
    /// `usd`, `tokens` or `requests`.
    pub unit: String,
    /// A decimal text for dollars, else a number.
    pub used: serde_json::Value,
    pub limit: serde_json::Value,
    /// Used by limit; 1 for a limit of 0.
    pub ratio: f64,
    pub is_watched: bool,
}

/// A live request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LiveRequestEntry {
    pub started_at: String,
    pub duration_ms: u64,
    pub user: String,
    pub endpoint: String,
    /// `None` if the request names none, or is not read yet.
    pub model: Option<String>,
    /// `reading`, `waiting` or `running`.
    pub state: String,
    /// Status of the answer; `None` before its head has come.
    pub status: Option<u16>,
    /// About how many tokens of a stream have passed; `None` if that is not known.
    pub output_tokens: Option<u64>,
}

/// An error that a client got.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LiveError {
    /// When the newest came.
    pub at: String,
    /// Number of errors of the same user, endpoint, status and code.
    pub count: u64,
    /// `None` if the request had no valid key.
    pub user: Option<String>,
    pub endpoint: String,
    pub status: u16,
    pub code: String,
    pub message: String,
    /// The id of the newest answer.
    pub request_id: Option<String>,
}

impl Operation for ShowLive {
    type Answer = LiveActivity;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/live";
    const MEMBERS: &'static [Member] = &[
        Member::number("users"),
        Member::number("requests"),
        Member::number("errors"),
        Member::text("sort"),
        Member::text("filter"),
        Member::flag("all"),
    ];

    fn run(self, context: &AdminContext) -> Result<LiveActivity, AdminError> {
        let most_users = limit("users", self.users)?;
        let most_requests = limit("requests", self.requests)?;
        let most_errors = limit("errors", self.errors)?;
        let sort = match self.sort.as_deref() {
            None => SortLiveBy::InFlight,
            Some(word) => SortLiveBy::parse(word).ok_or_else(|| {
                let words = SortLiveBy::WORDS.map(|(word, _)| word).join(", ");
                AdminError::field("sort", format!("sort must be one of {words}"))
            })?,
        };
        let today = context.today.read(context)?;
        let now_ms = now_ms();
        let (snapshot, errors) = match &context.sight {
            Some(sight) => {
                let snapshot = sight.snapshot();
                let errors = listed_errors(&today, &snapshot, most_errors);
                (snapshot, errors)
            }
            None => by_ledger(context, &today, now_ms, most_errors)?,
        };
        let mut users = listed_users(&today, &snapshot, now_ms, self.all == Some(true));
        if let Some(filter) = self.filter.as_deref().map(str::trim) {
            let filter = filter.to_lowercase();
            let contains = |text: &str| text.to_lowercase().contains(&filter);
            users.retain(|(_, user)| {
                contains(&user.name) || user.group.as_deref().is_some_and(contains)
            });
        }
        let users_total = users.len();
        let limits = match &context.limits {
            Some(limits) => Arc::clone(limits),
            None => limits_by_ledger(context)?,
        };
        let add_budgets = |users: &mut [(i64, LiveUser)]| {
            for (id, user) in users {
                user.budget = fullest_budget(&limits, *id, now_ms);
            }
        };
        if sort == SortLiveBy::Budget {
            add_budgets(&mut users);
        }
        users.sort_by(|(_, one), (_, other)| sort.compare(one, other));
        users.truncate(most_users);
        if sort != SortLiveBy::Budget {
            add_budgets(&mut users);
        }
        let sum = |of: fn(&UserActivity) -> u64| snapshot.users.values().map(of).sum();
        Ok(LiveActivity {
            now: format_utc(now_ms),
            is_live: context.sight.is_some(),
            in_flight: sum(|user| user.in_flight),
            waiting: sum(|user| user.waiting),
            requests_per_minute: sum(|user| user.minute.requests),
            tokens_per_minute: sum(|user| user.minute.tokens),
            refused_per_minute: sum(|user| user.minute.refused),
            cost_today: today.total,
            users_total,
            users: users.into_iter().map(|(_, user)| user).collect(),
            requests: listed_requests(&today, &snapshot, now_ms, most_requests),
            errors,
        })
    }
}

fn limit(field: &'static str, number: Option<i64>) -> Result<usize, AdminError> {
    let number = number.unwrap_or(DEFAULT_LIMIT);
    usize::try_from(number)
        .ok()
        .filter(|_| (0..=MAX_LIMIT).contains(&number))
        .ok_or_else(|| {
            let message = format!("{field} must be a number from 0 to {MAX_LIMIT}");
            AdminError::field(field, message)
        })
}

fn listed_users(
    today: &SumsOfToday,
    snapshot: &LiveSnapshot,
    now_ms: i64,
    is_all: bool,
) -> Vec<(i64, LiveUser)> {
    let mut users = Vec::new();
    for (id, name) in &today.users {
        let activity = snapshot.users.get(id).copied().unwrap_or_default();
        let cost_today = today.costs.get(id).copied();
        let is_active = activity.last_seen.is_some() || cost_today.is_some();
        if !is_active && (!is_all || name.is_deleted) {
            continue;
        }
        users.push((*id, live_user(name, &activity, cost_today, now_ms)));
    }
    users
}

fn live_user(
    name: &UserOfToday,
    activity: &UserActivity,
    cost_today: Option<NanoUsd>,
    now_ms: i64,
) -> LiveUser {
    let last_seen = activity.last_seen.map(|ago| format_utc(now_ms - ms(ago)));
    LiveUser {
        name: name.name.clone(),
        group: name.group.clone(),
        in_flight: activity.in_flight,
        waiting: activity.waiting,
        requests_per_minute: activity.minute.requests,
        tokens_per_minute: activity.minute.tokens,
        time_to_first_byte_ms: activity.minute.mean_first_byte_ms(),
        refused_per_minute: activity.minute.refused,
        forbidden: !name.is_active,
        cost_today: cost_today.unwrap_or_default(),
        budget: None,
        last_seen,
    }
}

fn listed_requests(
    today: &SumsOfToday,
    snapshot: &LiveSnapshot,
    now_ms: i64,
    most: usize,
) -> Vec<LiveRequestEntry> {
    let requests = snapshot.requests.iter().take(most);
    requests
        .map(|request| LiveRequestEntry {
            started_at: format_utc(now_ms - ms(request.age)),
            duration_ms: u64::try_from(request.age.as_millis()).unwrap_or(u64::MAX),
            user: today.name(request.user_id),
            endpoint: request.endpoint.to_string(),
            model: (!request.model.is_empty()).then(|| request.model.clone()),
            state: match request.state {
                RequestState::Reading => "reading",
                RequestState::Waiting => "waiting",
                RequestState::Running => "running",
            }
            .to_owned(),
            status: request.status,
            output_tokens: request.output_tokens,
        })
        .collect()
}

fn listed_errors(today: &SumsOfToday, snapshot: &LiveSnapshot, most: usize) -> Vec<LiveError> {
    let errors = snapshot.errors.iter().take(most);
    errors
        .map(|error| LiveError {
            at: format_utc(error.at_ms),
            count: error.count,
            user: (error.user_id != 0).then(|| today.name(error.user_id)),
            endpoint: error.endpoint.to_owned(),
            status: error.status,
            code: error.code.to_owned(),
            message: error.message.clone(),
            request_id: Some(error.request_id.to_string()),
        })
        .collect()
}

/// Returns what the database says of the last minute, and the last errors.
fn by_ledger(
    context: &AdminContext,
    today: &SumsOfToday,
    now_ms: i64,
    most_errors: usize,
) -> Result<(LiveSnapshot, Vec<LiveError>), AdminError> {
    let mut connection = context.connection()?;
    let snapshot = activity::last_minute(&mut connection, now_ms)?;
    let failed = RequestFilter {
        user_id: None,
        status: (400, 599),
        limit: most_errors.max(1),
    };
    let (failed, _) = requests::since(&mut connection, now_ms - ERRORS_MS, failed)?;
    let newest = failed.into_iter().rev().take(most_errors);
    let errors = newest.map(|request| {
        let (code, message) = match request.kind {
            RequestKind::Refused { code, message } => (code, message),
            RequestKind::Booked(booked) => (booked.outcome, String::new()),
        };
        LiveError {
            at: format_utc(request.at_ms),
            count: 1,
            user: request.user_id.map(|id| today.name(id)),
            endpoint: request.endpoint,
            status: request.status,
            code,
            message,
            request_id: request.request_id.map(|id| id.to_string()),
        }
    });
    Ok((snapshot, errors.collect()))
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Returns the budget of a user of which the largest part is used.
fn fullest_budget(limits: &SharedLimits, user_id: i64, now_ms: i64) -> Option<FullestBudget> {
    let rules = limits.of_user(user_id)?;
    let budgets = limits.with(|limiter| {
        let budgets = rules.budgets.iter();
        let checked = budgets.filter_map(|rule| Some((rule, limiter.budget(rule, now_ms)?)));
        checked.collect::<Vec<_>>()
    });
    let budgets = budgets.iter();
    budgets
        .map(|(rule, check)| FullestBudget::of(rule, check))
        .max_by(|one, other| one.ratio.total_cmp(&other.ratio))
}

impl FullestBudget {
    fn of(rule: &BudgetRule, check: &BudgetCheck) -> Self {
        let amount = |amount: i64| match rule.unit {
            BudgetUnit::Usd => serde_json::json!(NanoUsd(amount)),
            BudgetUnit::Tokens | BudgetUnit::Requests => serde_json::json!(amount),
        };
        Self {
            scope: scope_word(rule.source.scope).to_owned(),
            window: rule.window.as_str().to_owned(),
            unit: rule.unit.as_str().to_owned(),
            used: amount(check.used),
            limit: amount(check.limit),
            ratio: ratio(check.used, check.limit),
            is_watched: rule.is_watched,
        }
    }
}

/// Returns which part of a budget is used, for people to look at.
#[allow(clippy::cast_precision_loss)] // no amount is computed from it
pub(super) fn ratio(used: i64, limit: i64) -> f64 {
    if limit <= 0 {
        return 1.0;
    }
    used as f64 / limit as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, in_flight: u64, cost_today: i64) -> LiveUser {
        LiveUser {
            name: name.to_owned(),
            group: None,
            in_flight,
            waiting: 0,
            requests_per_minute: 0,
            tokens_per_minute: 0,
            time_to_first_byte_ms: None,
            refused_per_minute: 0,
            forbidden: false,
            cost_today: NanoUsd(cost_today),
            budget: None,
            last_seen: None,
        }
    }

    #[test]
    fn users_are_sorted_by_the_column_then_cost_then_name() {
        let mut users = [
            user("b", 1, 5),
            user("c", 2, 0),
            user("a", 1, 9),
            user("d", 1, 5),
        ];
        let mut order = |by: SortLiveBy| {
            users.sort_by(|one, other| by.compare(one, other));
            users.each_ref().map(|user| user.name.clone()).concat()
        };
        assert_eq!(order(SortLiveBy::InFlight), "cabd");
        assert_eq!(order(SortLiveBy::Cost), "abdc");
        assert_eq!(order(SortLiveBy::Name), "abcd");
    }

    #[test]
    fn a_budget_of_nothing_is_full() {
        assert!((ratio(0, 0) - 1.0).abs() < f64::EPSILON);
        assert!((ratio(1, 4) - 0.25).abs() < f64::EPSILON);
    }
}

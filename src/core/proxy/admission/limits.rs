//! Limits of users as requests meet them: which models, how much output, what is reserved, and the
//! answer to a request that is refused.

use std::sync::Arc;

use actix_web::http::{
    StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::json;

use super::{
    demand::PriceDesk,
    rate_headers::{self, span_text},
};
use crate::proxy::{
    error::{ApiError, shortened},
    request::{TokenLimit, asked::OutputLimit},
    routes::Endpoint,
};
use crate::{
    limits::{
        BudgetCheck, CONCURRENT_RETRY_MS, LimitSource, Moment, Reason, Refusal, SharedLimits,
        UserRules,
    },
    model::{BudgetUnit, BudgetWindow, LimitKind, LimitScope, NanoUsd, format_seconds, now_ms},
};

/// Pause after which a request comes again that only requests in flight keep out.
const IN_FLIGHT_RETRY_MS: u64 = 2_000;

/// The limits of all users, and what is needed to apply them to requests.
pub struct RequestLimits {
    pub shared: Arc<SharedLimits>,
    pub prices: PriceDesk,
    /// Answers to clients contain no figures.
    pub hides_numbers: bool,
}

impl RequestLimits {
    /// Returns the limits of a user; `None` without any, as for most users of most servers.
    #[must_use]
    pub fn of_user(&self, user_id: i64) -> Option<Arc<UserRules>> {
        self.shared.of_user(user_id)
    }

    /// Checks what a request names: its model and its limit of output.
    ///
    /// # Errors
    /// 404 for a model that is not allowed, 400 for too much output.
    pub fn check(
        &self,
        rules: &UserRules,
        endpoint: Endpoint,
        model: &str,
        output_limit: Option<OutputLimit>,
    ) -> Result<(), ApiError> {
        if !model.is_empty() || endpoint.is_booked() {
            self.check_model(rules, model)?;
        }
        match output_limit.map(|asked| (asked.member, asked.limit.largest)) {
            Some((_, TokenLimit::Unnamed)) | None => Ok(()),
            Some((member, largest)) => self.check_output(rules, member, largest.tokens()),
        }
    }

    /// Checks whether a user may use a model. An empty name is that of a request that names none.
    ///
    /// # Errors
    /// 404 as OpenAI's API answers for a model that it does not have.
    pub fn check_model(&self, rules: &UserRules, model: &str) -> Result<(), ApiError> {
        for rule in rules.models.iter().filter(|rule| !rule.allows(model)) {
            let source = &rule.source;
            self.shared
                .with(|limiter| limiter.count_refusal(source.scope, source.kind));
            if !rule.is_watched {
                return Err(model_refused(source, model));
            }
        }
        Ok(())
    }

    /// Checks the limit of output that a request names.
    ///
    /// # Errors
    /// 400 for one that is larger than the user's, or cannot be read (`None`).
    fn check_output(
        &self,
        rules: &UserRules,
        member: &'static str,
        asked: Option<u64>,
    ) -> Result<(), ApiError> {
        for rule in &rules.output_caps {
            let is_within =
                |asked: u64| i64::try_from(asked).is_ok_and(|asked| asked <= rule.number);
            if asked.is_some_and(is_within) {
                continue;
            }
            let source = &rule.source;
            self.shared
                .with(|limiter| limiter.count_refusal(source.scope, source.kind));
            if !rule.is_watched {
                let number = if asked.is_some() {
                    ""
                } else {
                    "a whole number, "
                };
                let message = if self.hides_numbers {
                    format!("`{member}` is more than {} may ask for.", owner(source))
                } else {
                    format!(
                        "`{member}` must be {number}at most {}, which is the limit of {}.",
                        rule.number,
                        owner(source)
                    )
                };
                return Err(
                    ApiError::invalid_request(StatusCode::BAD_REQUEST, None, message)
                        .with_param(member)
                        .with_limit(
                            source.kind.name(),
                            if self.hides_numbers {
                                details(source, &[])
                            } else {
                                details(source, &[("limit", json!(rule.number))])
                            },
                        ),
                );
            }
        }
        Ok(())
    }

    /// Refuses a model without a price, unless the user may use such.
    ///
    /// # Errors
    /// 403.
    pub fn check_unpriced(&self, rules: &UserRules, model: &str) -> Result<(), ApiError> {
        let mut budgets = rules.budgets.iter();
        let budget = budgets.find(|rule| rule.unit == BudgetUnit::Usd && !rule.is_watched);
        let Some(budget) = budget.filter(|_| !rules.allows_unpriced) else {
            return Ok(());
        };
        let source = &budget.source;
        self.shared
            .with(|limiter| limiter.count_refusal(source.scope, LimitKind::AllowUnpriced));
        let name = if model.is_empty() {
            "the model, which the request does not name".to_owned()
        } else {
            format!("the model `{}`", shown_model(model))
        };
        let message = format!(
            "There is no price for {name}, and {} has a budget in dollars. The operator of this proxy can set a price, or allow models without one.",
            owner(source)
        );
        Err(ApiError::forbidden("model_not_priced", message)
            .with_param("model")
            .with_limit("model_not_priced", details(source, &[])))
    }

    /// Makes the answer to a request that a limit refuses.
    #[must_use]
    pub fn refused(&self, rules: &UserRules, refusal: &Refusal) -> ApiError {
        let (kind, code) = match (refusal.reason, refusal.source.kind) {
            (Reason::BudgetUsedUp, _) => ("insufficient_quota", "insufficient_quota"),
            (_, LimitKind::TokensPerMinute) => ("tokens", "rate_limit_exceeded"),
            _ => ("requests", "rate_limit_exceeded"),
        };
        let mut error = ApiError::too_many_requests(kind, code, self.message_of(refusal));
        error = match refusal.reason {
            Reason::BudgetUsedUp => {
                let until_ms = refusal.resets_at_ms.map(|end_ms| end_ms - now_ms());
                let error = error.never_retry();
                match until_ms {
                    Some(until_ms) => error.with_wait_ms(u64::try_from(until_ms).unwrap_or(0)),
                    None => error,
                }
            }
            Reason::BudgetInFlight => error.with_wait_ms(IN_FLIGHT_RETRY_MS),
            Reason::Rate { retry_after_ms } => error.with_exact_wait_ms(retry_after_ms),
            Reason::Concurrent if refusal.limit == 0 => error.never_retry(),
            Reason::Concurrent => error.with_exact_wait_ms(CONCURRENT_RETRY_MS),
            Reason::LargerThanBucket => error.never_retry(),
        };
        let mut headers = Vec::new();
        let at = self.shared.moment(now_ms());
        self.each_rate_header(rules, at, |name, value| headers.push((name, value)));
        for (name, value) in headers {
            error = error.with_header(name, value);
        }
        error.with_limit(refusal.source.kind.name(), self.details_of(refusal))
    }

    /// Gives the headers by which a user learns what is left of rates to `take`.
    fn each_rate_header(
        &self,
        rules: &UserRules,
        at: Moment,
        take: impl FnMut(HeaderName, HeaderValue),
    ) {
        if !self.hides_numbers {
            let states = self.shared.with(|limiter| limiter.rate_states(rules, at));
            rate_headers::each(states, take);
        }
    }

    /// Puts the user's own figures at a moment in the place of the backend's, which are those of the
    /// shared key.
    pub fn replace_rate_headers(&self, rules: &UserRules, at: Moment, headers: &mut HeaderMap) {
        rate_headers::rename_those_of_backend(headers);
        // None of the names is there any more, and `append` takes half of what `insert` takes.
        self.each_rate_header(rules, at, |name, value| headers.append(name, value));
    }

    fn message_of(&self, refusal: &Refusal) -> String {
        let source = &refusal.source;
        let whose = whose(source);
        let resets = refusal.resets_at_ms.map_or_else(String::new, |end_ms| {
            format!(" It resets at {}.", format_seconds(end_ms))
        });
        if self.hides_numbers {
            return match refusal.reason {
                Reason::BudgetUsedUp => format!("The budget {whose} is used up.{resets}"),
                Reason::BudgetInFlight => format!(
                    "Requests in flight may use up the budget {whose}. Try again when they have ended."
                ),
                Reason::LargerThanBucket => {
                    format!("The request is larger than the rate limit {whose}.")
                }
                Reason::Rate { .. } => format!("The rate limit {whose} is reached."),
                Reason::Concurrent => {
                    format!("The limit of requests at the same time {whose} is reached.")
                }
            };
        }
        let figures = Figures(refusal);
        let advice = match source.kind {
            LimitKind::Budget(BudgetUnit::Requests, _) => "Send fewer requests at once.",
            _ => "Ask for less output, or name a smaller limit for it.",
        };
        match refusal.reason {
            _ if refusal.limit == 0 => format!(
                "The limit {} {whose} is 0, which lets no request pass.",
                figures.kind()
            ),
            Reason::BudgetUsedUp if refusal.used >= refusal.limit => format!(
                "The budget {whose} is used up: {} of {} are used.{resets}",
                figures.used(),
                figures.limit()
            ),
            Reason::BudgetUsedUp => format!(
                "The budget {whose} leaves too little for this request: {} of {} are used, and the request may use {}. {advice}{resets}",
                figures.used(),
                figures.limit(),
                figures.requested()
            ),
            Reason::BudgetInFlight if refusal.needs_lease => format!(
                "Other servers have set the rest of the budget {whose} aside: {} of {} are used, {} are reserved here, and this request may use {}. Try again in a moment.",
                figures.used(),
                figures.limit(),
                figures.reserved(),
                figures.requested()
            ),
            Reason::BudgetInFlight => format!(
                "Requests in flight may use up the budget {whose}: {} of {} are used, {} are reserved, and this request may use {}. Try again when they have ended.",
                figures.used(),
                figures.limit(),
                figures.reserved(),
                figures.requested()
            ),
            Reason::LargerThanBucket => format!(
                "The request may use {}, and the limit {whose} is {} a minute. {advice}",
                figures.requested(),
                figures.limit()
            ),
            Reason::Rate { retry_after_ms } => format!(
                "The limit {whose} of {} a minute is reached: the request needs {}. Try again in {}.",
                figures.limit(),
                figures.requested(),
                span_text(retry_after_ms)
            ),
            Reason::Concurrent => format!(
                "The limit {whose} of {} requests at the same time is reached. Try again when one has ended.",
                refusal.limit
            ),
        }
    }

    fn details_of(&self, refusal: &Refusal) -> serde_json::Value {
        let resets_at = refusal.resets_at_ms.map(format_seconds);
        let source = &refusal.source;
        if self.hides_numbers {
            return details(source, &[("resets_at", json!(resets_at))]);
        }
        let amount = |amount| amount_json(source.kind, amount);
        details(
            source,
            &[
                ("limit", amount(refusal.limit)),
                ("used", amount(refusal.used)),
                ("reserved", amount(refusal.reserved)),
                ("requested", amount(refusal.requested)),
                ("resets_at", json!(resets_at)),
            ],
        )
    }
}

/// The figures of a refusal, with their units.
struct Figures<'r>(&'r Refusal);

impl Figures<'_> {
    fn of(&self, amount: i64) -> String {
        match self.0.source.kind {
            LimitKind::Budget(BudgetUnit::Usd, _) => {
                format!("{} USD", BudgetUnit::Usd.format(amount))
            }
            LimitKind::Budget(BudgetUnit::Tokens, _) | LimitKind::TokensPerMinute => {
                counted(amount, "token")
            }
            _ => counted(amount, "request"),
        }
    }

    /// Names the limit in a sentence.
    fn kind(&self) -> String {
        match self.0.source.kind {
            LimitKind::Budget(unit, window) => {
                let unit = unit.as_str().replace("usd", "USD");
                match window {
                    BudgetWindow::Total => format!("of {unit} in total"),
                    window => format!("of {unit} a {}", window.as_str()),
                }
            }
            LimitKind::TokensPerMinute => "of tokens a minute".to_owned(),
            LimitKind::RequestsPerMinute => "of requests a minute".to_owned(),
            _ => "of requests at the same time".to_owned(),
        }
    }

    fn limit(&self) -> String {
        self.of(self.0.limit)
    }

    fn used(&self) -> String {
        self.of(self.0.used)
    }

    fn reserved(&self) -> String {
        self.of(self.0.reserved)
    }

    fn requested(&self) -> String {
        self.of(self.0.requested)
    }
}

fn counted(amount: i64, one: &str) -> String {
    let ending = if amount == 1 { "" } else { "s" };
    format!("{amount} {one}{ending}")
}

fn model_refused(source: &LimitSource, model: &str) -> ApiError {
    let message = if model.is_empty() {
        format!(
            "The request names no model, and only some models are allowed for {}. Name one of them; GET /v1/models lists them.",
            owner(source)
        )
    } else {
        let name = shown_model(model);
        format!(
            "The model `{name}` does not exist or is not allowed for {}. GET /v1/models lists the models that are.",
            owner(source)
        )
    };
    ApiError::invalid_request(StatusCode::NOT_FOUND, Some("model_not_found"), message)
        .with_param("model")
        .with_limit(source.kind.name(), details(source, &[]))
}

/// Returns as much of a model's name as a message shows.
fn shown_model(model: &str) -> &str {
    shortened(model, 200)
}

/// Names the user or group that a limit belongs to.
fn owner(source: &LimitSource) -> String {
    match source.scope {
        LimitScope::User(_) | LimitScope::Everybody => format!("the user {}", source.name),
        LimitScope::Group(_) => format!("the group {}", source.name),
    }
}

/// Says whose limit it is, behind the word that it is about.
fn whose(source: &LimitSource) -> String {
    format!("of {}", owner(source))
}

/// Returns the member `llmproxy` of an error: which limit it is, and its figures.
fn details(source: &LimitSource, figures: &[(&str, serde_json::Value)]) -> serde_json::Value {
    let scope = match source.scope {
        LimitScope::User(_) => "user",
        LimitScope::Group(_) => "group",
        LimitScope::Everybody => "everybody",
    };
    let mut members = serde_json::Map::new();
    members.insert("scope".to_owned(), json!(scope));
    members.insert("name".to_owned(), json!(source.name.as_ref()));
    members.insert("kind".to_owned(), json!(source.kind.name()));
    if let LimitKind::Budget(unit, window) = source.kind {
        members.insert("unit".to_owned(), json!(unit.as_str()));
        members.insert("window".to_owned(), json!(window.as_str()));
    }
    for (name, value) in figures {
        members.insert((*name).to_owned(), value.clone());
    }
    serde_json::Value::Object(members)
}

/// Returns an amount as JSON has it: dollars are decimal strings.
#[must_use]
pub fn amount_json(kind: LimitKind, amount: i64) -> serde_json::Value {
    match kind {
        LimitKind::Budget(BudgetUnit::Usd, _) => json!(NanoUsd(amount)),
        _ => json!(amount),
    }
}

/// Returns what is left of a budget: never less than nothing.
#[must_use]
pub fn left_of(check: &BudgetCheck) -> i64 {
    let left = check.limit.saturating_sub(check.used);
    left.saturating_sub(check.reserved).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_no_plural() {
        assert_eq!(counted(1, "request"), "1 request");
        assert_eq!(counted(0, "token"), "0 tokens");
        assert_eq!(counted(20, "token"), "20 tokens");
    }
}

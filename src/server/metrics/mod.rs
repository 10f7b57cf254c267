//! `GET /metrics`: what the server is doing and has done, for Prometheus. Everything is added up when
//! it is asked for, on the blocking pool; no request does more for it than `sight` does anyway.

mod families;
mod process;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    web,
};
use ipnet::IpNet;

use super::{AdminParts, Readiness, admin::unavailable};
use crate::{
    admin::{AdminContext, budget_ratios},
    limits::SharedLimits,
    model::{RequestId, now_ms},
    proxy::{
        accounting::access_log::{log_admin, peer_of},
        backend::Connector,
        error::{ApiError, ErrorShape, name_request},
    },
    sight::{BookedSums, Sight},
    store::{ledger::Ledger, users},
};
use families::{Figures, UserFigures};
use process::ProcessFigures;

/// What metrics are made of.
pub struct MetricsParts {
    pub sight: Arc<Sight>,
    pub ledger: Ledger,
    pub limits: Arc<SharedLimits>,
    pub connector: Arc<Connector>,
    pub readiness: Arc<Readiness>,
    /// Reads the names of users.
    pub context: AdminContext,
    /// Networks that need no token.
    pub networks: Vec<IpNet>,
    /// Users have time series of their own.
    pub shows_users: bool,
    pub started_at: SystemTime,
    /// Names of users by id, as they were last read. It is locked while an answer is made, so that
    /// one is made at a time.
    pub names: Mutex<HashMap<i64, String>>,
}

/// Forms of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    OpenMetrics,
    /// Prometheus' older text format, in which the name of a counter includes `_total`.
    Text,
}

impl Format {
    /// Chooses the form for the header `Accept`. It is OpenMetrics unless `text/plain` is asked for and
    /// OpenMetrics is not, as by scrapers that do not know it.
    fn of(headers: &HeaderMap) -> Self {
        let mut accepted = headers
            .get_all(header::ACCEPT)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|range| range.split(';').next().unwrap_or_default().trim());
        let mut has_text = false;
        let is_open_metrics = accepted.any(|media_type| {
            has_text |= media_type.eq_ignore_ascii_case("text/plain");
            media_type.eq_ignore_ascii_case("application/openmetrics-text")
        });
        if has_text && !is_open_metrics {
            Self::Text
        } else {
            Self::OpenMetrics
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Answers `GET /metrics`.
pub(super) async fn handle(
    request: HttpRequest,
    parts: web::Data<MetricsParts>,
    admin: web::Data<AdminParts>,
) -> HttpResponse {
    let id = RequestId::new(now_ms());
    let mut response = match serve(&request, &parts, &admin).await {
        Ok(response) => response,
        Err(error) => {
            if error.status() == StatusCode::UNAUTHORIZED {
                admin.throttle.slow_down(peer_of(&request).address()).await;
            }
            let response = error.to_response(ErrorShape::OpenAi, id);
            log_admin(&request, &response, id);
            response
        }
    };
    name_request(&mut response, id);
    response
}

async fn serve(
    request: &HttpRequest,
    parts: &web::Data<MetricsParts>,
    admin: &AdminParts,
) -> Result<HttpResponse, ApiError> {
    check_access(request, parts, admin)?;
    let format = Format::of(request.headers());
    let parts = web::Data::clone(parts);
    let text = web::block(move || parts.text(format)).await;
    let Ok(Ok(text)) = text else {
        return Err(unavailable());
    };
    Ok(HttpResponse::Ok()
        .content_type(format.content_type())
        .body(text))
}

/// Checks that the peer may read metrics: it is in one of the networks, or may call the admin API.
fn check_access(
    request: &HttpRequest,
    parts: &MetricsParts,
    admin: &AdminParts,
) -> Result<(), ApiError> {
    let peer = peer_of(request).address();
    if peer.is_some_and(|peer| parts.networks.iter().any(|network| network.contains(&peer))) {
        return Ok(());
    }
    admin.access.check(request).map_err(|error| {
        if error.status() == StatusCode::UNAUTHORIZED {
            ApiError::unauthorized(
                "invalid_admin_token",
                "Metrics need the admin token: Authorization: Bearer ADMIN_TOKEN. METRICS_ALLOW lists networks that need none.",
            )
        } else {
            ApiError::forbidden(
                "metrics_closed",
                "Metrics are open to this machine only. List the networks that may read them in METRICS_ALLOW, \
                 or set ADMIN_TOKEN and send it as 'Authorization: Bearer ...'.",
            )
        }
    })
}

impl MetricsParts {
    /// Returns all figures as text. It blocks.
    fn text(&self, format: Format) -> Result<String, std::fmt::Error> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let ledger = self.sight.ledger();
        let users = self
            .shows_users
            .then(|| self.users(&ledger.user_sums(), &mut names));
        let (in_flight, waiting) = self.sight.in_flight_and_waiting();
        let started_at = self.started_at.duration_since(UNIX_EPOCH);
        let figures = Figures {
            format,
            sums: self.sight.sums(),
            booked: ledger.sums(),
            users,
            in_flight,
            waiting,
            backlog: self.ledger.backlog(),
            connections: self.connector.open_connections(),
            is_ready: self.readiness.known_problem().is_none(),
            budgets: budget_ratios(&self.limits, now_ms(), self.shows_users),
            process: ProcessFigures::read(),
            started_at: started_at.unwrap_or(Duration::ZERO),
        };
        figures.into_text()
    }

    /// Returns what each user has used, by name. If the names cannot be read, they are those that
    /// were known last.
    fn users(
        &self,
        by_user: &[(i64, BookedSums)],
        names: &mut HashMap<i64, String>,
    ) -> Vec<UserFigures> {
        let read = self.context.read(|connection| users::names(connection));
        match read {
            Ok(read) => {
                let known = read.into_iter().filter(|(_, user)| !user.is_deleted);
                *names = known.map(|(id, user)| (id, user.username)).collect();
            }
            Err(error) => log::warn!("metrics: cannot read the names of users: {error}"),
        }
        // A deleted user's name may be another's now. All of them share a name, and add up.
        let name_of = |id: &i64| names.get(id).map_or("(deleted)", |name| name);
        let mut users: HashMap<&str, BookedSums> = HashMap::new();
        for (id, sums) in by_user {
            users.entry(name_of(id)).or_default().add_sums(sums);
        }
        let mut users: Vec<UserFigures> = users
            .into_iter()
            .map(|(name, sums)| (name.to_owned(), sums))
            .collect();
        users.sort_by(|(one, _), (other, _)| one.cmp(other));
        users
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn format(accept: &[&str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        }
        Format::of(&headers)
    }

    #[test]
    fn the_older_form_is_for_those_who_ask_for_nothing_newer() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for accept in [&[][..], &["*/*"], &["text/html, */*;q=0.8"], &[prometheus]] {
            assert_eq!(format(accept), Format::OpenMetrics, "{accept:?}");
        }
        for accept in [
            &["text/plain"][..],
            &["text/plain;version=0.0.4;q=1, */*;q=0.1"],
        ] {
            assert_eq!(format(accept), Format::Text, "{accept:?}");
        }
        let both = ["text/plain;q=0.5", "application/openmetrics-text"];
        assert_eq!(format(&both), Format::OpenMetrics);
    }
}

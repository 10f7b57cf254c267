//! `GET /v1/usage`: what the user of a key has used, and nobody else.

use actix_web::{HttpRequest, HttpResponse, http::Method, web};
use serde::{Deserialize, Serialize};

use super::{AdminParts, admin};
use crate::{
    admin::{AdminContext, AdminError, LimitEntry, Member, Window},
    model::{Dimension, Period, RequestId, now_ms},
    proxy::{
        admission::auth::Caller,
        error::{ApiError, ErrorShape, name_request},
        state::Worker,
    },
    store::reports::{self, Ranking, Scope, SplitCosts, SplitReport, Totals},
};

/// The path of a user's own usage.
pub(super) const PATH: &str = "/v1/usage";

/// Answer to `GET /v1/usage`.
#[derive(Debug, Serialize, Deserialize)]
pub struct OwnUsage {
    pub object: String,
    pub username: String,
    /// The key of the request: its number and its first and last characters.
    pub key_id: i64,
    pub group: Option<String>,
    /// The time zone of days and months.
    pub time_zone: String,
    pub total: Totals,
    /// A line for each combination of values that was used.
    pub usage: Vec<SplitCosts>,
    /// The limits that apply to the user, with what is left of them unless the operator hides it.
    #[serde(default)]
    pub limits: Vec<LimitEntry>,
}

impl OwnUsage {
    /// Returns the lines as a report.
    #[must_use]
    pub fn into_report(self) -> SplitReport {
        SplitReport {
            costs: self.usage,
            total: self.total,
        }
    }
}

/// The parameters of the query.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Query {
    #[serde(flatten)]
    window: Window,
    #[serde(default)]
    by: Option<String>,
}

const PARAMETERS: &[Member] = &[
    Member::text("last_hours"),
    Member::text("start_time"),
    Member::text("end_time"),
    Member::text("period"),
    Member::text("since"),
    Member::text("by"),
];

/// Answers a user about the user's own usage.
pub(super) async fn handle(
    request: HttpRequest,
    worker: web::Data<Worker>,
    parts: web::Data<AdminParts>,
) -> HttpResponse {
    let cors = worker.shared.cors.as_ref();
    if let Some(response) = cors.and_then(|cors| cors.preflight(&request)) {
        return response;
    }
    let id = RequestId::new(now_ms());
    let mut response = match serve(&request, &worker, &parts).await {
        Ok(usage) => HttpResponse::Ok().json(usage),
        Err(error) => {
            if error.status() == 401 {
                let peer = crate::proxy::accounting::access_log::peer_of(&request);
                parts.throttle.slow_down(peer.address()).await;
            }
            error.log_cause(id);
            error.to_response(ErrorShape::OpenAi, id)
        }
    };
    name_request(&mut response, id);
    if let Some(cors) = cors {
        cors.allow(&request, response.headers_mut());
    }
    response
}

async fn serve(
    request: &HttpRequest,
    worker: &Worker,
    parts: &web::Data<AdminParts>,
) -> Result<OwnUsage, ApiError> {
    if request.method() != Method::GET {
        return Err(ApiError::method_not_allowed("GET"));
    }
    let admission = &worker.shared.admission;
    let arrival = admission.identify(request.headers()).await?;
    let caller = std::sync::Arc::clone(&arrival.caller);
    let query = request.query_string().to_owned();
    let context = parts.context.clone();
    let hides_numbers = admission.limits.hides_numbers;
    let answered = web::block(move || usage_of(&context, &caller, &query, hides_numbers)).await;
    match answered {
        Ok(result) => result.map_err(admin::of_admin),
        Err(_) => Err(admin::unavailable()),
    }
}

/// Returns what a user sees of the own usage. It blocks.
///
/// # Errors
/// [`AdminError`] if the query is wrong or the database fails.
pub(super) fn usage_of(
    context: &AdminContext,
    caller: &Caller,
    query: &str,
    hides_numbers: bool,
) -> Result<OwnUsage, AdminError> {
    let query: Query = crate::admin::of_query_members(query, PARAMETERS)?;
    let by = Dimension::parse_list(query.by.as_deref().unwrap_or("day,model"))
        .map_err(|error| AdminError::field("by", error.to_string()))?;
    let is_own = |dimension: &Dimension| {
        matches!(
            dimension,
            Dimension::Model
                | Dimension::Key
                | Dimension::Endpoint
                | Dimension::Period(Period::Hour | Period::Day | Period::Week | Period::Month)
        )
    };
    if by.is_empty() || !by.iter().all(is_own) {
        let message = "by must be day, model, key, endpoint, hour, week or month";
        return Err(AdminError::field("by", message));
    }
    let scope = Scope {
        range: query.window.parse(&context.calendar)?,
        calendar: context.calendar.clone(),
        user_id: Some(caller.id),
        ..Scope::default()
    };
    let mut limits = context.limits_of_user(caller.id)?;
    if hides_numbers {
        limits = limits
            .into_iter()
            .map(LimitEntry::without_figures)
            .collect();
    }
    let (report, user) = context.read(|connection| {
        let report = reports::split_report(connection, &scope, &by, Ranking::default())?;
        let user = crate::store::users::entry(connection, caller.id)?;
        Ok((report, user))
    })?;
    Ok(OwnUsage {
        object: "usage".to_owned(),
        username: user.username,
        key_id: caller.key_id,
        group: user.group,
        time_zone: context.calendar.zone_name().to_owned(),
        total: report.total,
        usage: report.costs,
        limits,
    })
}

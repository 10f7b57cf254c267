//! The HTTP admin API. It calls the store functions of the command line and answers with the JSON
//! of `--json`.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, Scope, http::StatusCode, web};
use serde::Serialize;

use super::AdminParts;
use crate::{
    model::{ApiKey, Dimension, TimeError, TimeRange, UserName, now_ms},
    proxy::{
        accounting::access_log::{log_admin, peer_of},
        error::{ApiError, ErrorShape},
        request::payload,
    },
    store::{
        Store, StoreError,
        costs::{self, Split},
        users::{self, KeyAccess, UserList, UserSelector},
    },
};

/// Largest body of a request. A user name and a key have less than 1 KiB.
const MAX_BODY_BYTES: usize = 64 * 1024;

type Parts = web::Data<AdminParts>;

/// Serves all paths below `/admin`.
pub fn routes() -> Scope {
    web::scope("/admin").default_service(web::to(handle))
}

/// An action of the admin API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    GenerateKey,
    ListUsers,
    ListCosts,
    SetAccess(KeyAccess),
}

/// A route of the admin API: method, path, action.
type Route = (&'static str, &'static str, Action);

/// Every route. No other path below `/admin` is served, and a test compares this table with
/// docs/openapi.json.
const ROUTES: [Route; 5] = [
    ("POST", "/admin/gen_key", Action::GenerateKey),
    ("GET", "/admin/list_users", Action::ListUsers),
    ("GET", "/admin/list_costs", Action::ListCosts),
    (
        "POST",
        "/admin/forbid_key",
        Action::SetAccess(KeyAccess::Forbidden),
    ),
    (
        "POST",
        "/admin/allow_key",
        Action::SetAccess(KeyAccess::Allowed),
    ),
];

/// Lists method and path of every route.
pub fn admin_routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|(method, path, _)| (*method, *path))
}

async fn handle(request: HttpRequest, mut payload: web::Payload, parts: Parts) -> HttpResponse {
    let result = serve(&request, &mut payload, parts.clone()).await;
    let response = match result {
        Ok(response) => response,
        Err(error) => {
            if error.status() == StatusCode::UNAUTHORIZED {
                parts.throttle.slow_down(peer_of(&request).address()).await;
            }
            payload::drain_body(request.headers(), &mut payload).await;
            error.to_response(ErrorShape::OpenAi)
        }
    };
    log_admin(&request, &response);
    response
}

async fn serve(
    request: &HttpRequest,
    payload: &mut web::Payload,
    parts: Parts,
) -> Result<HttpResponse, ApiError> {
    parts.access.check(request)?;
    let path = request.uri().path();
    let (method, _, action) = ROUTES
        .iter()
        .find(|(_, served, _)| *served == path)
        .ok_or_else(|| ApiError::unknown_url(request.method().as_str(), path))?;
    if request.method() != method {
        return Err(ApiError::method_not_allowed(*method));
    }
    match *action {
        Action::ListUsers => {
            let users = blocking(parts, |store| users::list(&*store.connection()?)).await?;
            Ok(json(&UserList::from(users)))
        }
        Action::ListCosts => list_costs(request, parts).await,
        Action::GenerateKey => {
            let fields =
                read_fields(request, payload, parts.max_body_bytes.min(MAX_BODY_BYTES)).await?;
            let name = fields.username.ok_or_else(|| missing("username"))?;
            let storage = parts.key_storage;
            let name =
                UserName::parse(&name).map_err(|error| bad_field("username", error.to_string()))?;
            Ok(json(
                &changing_users(parts, move |connection| {
                    users::add(connection, &name, storage)
                })
                .await?,
            ))
        }
        Action::SetAccess(access) => {
            let fields =
                read_fields(request, payload, parts.max_body_bytes.min(MAX_BODY_BYTES)).await?;
            let who = match (fields.username, fields.api_key) {
                (Some(name), None) => UserSelector::Name(name.trim().to_owned()),
                (None, Some(key)) => UserSelector::Key(ApiKey::from_text(key.trim())),
                (None, None) => {
                    return Err(bad_field("username", "username or api_key is missing"));
                }
                (Some(_), Some(_)) => {
                    return Err(bad_field("username", "send username or api_key, not both"));
                }
            };
            Ok(json(
                &changing_users(parts, move |connection| {
                    users::set_access(connection, &who, access)
                })
                .await?,
            ))
        }
    }
}

async fn list_costs(request: &HttpRequest, parts: Parts) -> Result<HttpResponse, ApiError> {
    let query = CostsQuery::parse(request.query_string())?;
    let (range, username) = (query.range, query.username);
    match query.split {
        CostsSplit::Users(split) => {
            let report = blocking(parts, move |store| {
                costs::report(&mut *store.connection()?, range, split, username.as_deref())
            });
            Ok(json(&report.await?))
        }
        CostsSplit::By(by) => {
            let report = blocking(parts, move |store| {
                costs::split_report(&mut *store.connection()?, range, &by, username.as_deref())
            });
            Ok(json(&report.await?))
        }
    }
}

/// The query of `list_costs`, parsed.
struct CostsQuery {
    range: TimeRange,
    split: CostsSplit,
    username: Option<String>,
}

/// How a report splits the sums.
enum CostsSplit {
    Users(Split),
    By(Vec<Dimension>),
}

impl CostsQuery {
    /// Parses a query. Unknown parameters are ignored. If a parameter is repeated, the last one
    /// counts.
    fn parse(query: &str) -> Result<Self, ApiError> {
        let value = |name: &str| {
            url::form_urlencoded::parse(query.as_bytes())
                .filter(|(key, _)| key == name)
                .last()
                .map(|(_, value)| value.into_owned())
        };
        let range = TimeRange::parse(
            value("last_hours").as_deref(),
            value("start_time").as_deref(),
            value("end_time").as_deref(),
            now_ms(),
        )
        .map_err(|error: TimeError| bad_field(error.field(), error.to_string()))?;
        let split = match value("by_model")
            .map(|text| text.trim().to_ascii_lowercase())
            .as_deref()
        {
            None | Some("false" | "0" | "no" | "off") => Split::None,
            Some("true" | "1" | "yes" | "on") => Split::ByModel,
            Some(_) => return Err(bad_field("by_model", "by_model must be true or false")),
        };
        let by = Dimension::parse_list(&value("by").unwrap_or_default())
            .map_err(|error| bad_field("by", error.to_string()))?;
        if !by.is_empty() && split == Split::ByModel {
            return Err(bad_field("by", "by and by_model cannot be used together"));
        }
        Ok(Self {
            range,
            split: if by.is_empty() {
                CostsSplit::Users(split)
            } else {
                CostsSplit::By(by)
            },
            username: value("username"),
        })
    }
}

/// The members of a request body.
struct Fields {
    username: Option<String>,
    api_key: Option<String>,
}

/// Reads a JSON body. Other types are refused, because a web page can send a form to any address,
/// but JSON only if the server allows it.
async fn read_fields(
    request: &HttpRequest,
    payload: &mut web::Payload,
    limit_bytes: usize,
) -> Result<Fields, ApiError> {
    if !request
        .content_type()
        .trim()
        .eq_ignore_ascii_case("application/json")
    {
        return Err(ApiError::invalid_request(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Some("unsupported_media_type"),
            "Send JSON with the header Content-Type: application/json.",
        ));
    }
    let body = payload::read_body(request.headers(), payload, limit_bytes, |_| Ok(())).await?;
    let body = body.joined();
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&body)
        .map_err(|error| {
            ApiError::invalid_request(
                StatusCode::BAD_REQUEST,
                Some("invalid_json"),
                // The message of serde may quote the body, and the body may contain a key.
                format!(
                    "The body must be a JSON object (problem at line {}, column {}).",
                    error.line(),
                    error.column()
                ),
            )
        })?;
    let text = |name: &'static str| match members.get(name) {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(serde_json::Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(bad_field(name, format!("{name} must be a string"))),
    };
    Ok(Fields {
        username: text("username")?,
        api_key: text("api_key")?,
    })
}

fn missing(field: &'static str) -> ApiError {
    bad_field(field, format!("{field} is missing"))
}

fn bad_field(field: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::invalid_request(StatusCode::BAD_REQUEST, Some("invalid_value"), message)
        .with_param(field)
}

fn json(value: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(value)
}

/// Runs a store call on the blocking pool.
async fn blocking<T: Send + 'static>(
    parts: Parts,
    call: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let result =
        web::block(move || call(&parts.store).map_err(|error| parts.store.explain(error))).await;
    match result {
        Ok(result) => result.map_err(|error| of_store(&error)),
        Err(_) => Err(unavailable()),
    }
}

/// Runs a store call that changes users, and updates the keys of this process before it returns.
async fn changing_users<T: Send + 'static>(
    parts: Parts,
    call: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let keys = std::sync::Arc::clone(&parts.keys);
    blocking(parts, move |store| {
        let connection = store.connection()?;
        let changed = call(&connection)?;
        // The change is in the database. The ledger's thread refreshes the keys within 250 ms
        // anyway.
        if let Err(error) = keys.refresh(|| users::list(&connection)) {
            log::error!(
                "admin: cannot refresh the keys: error={:?}",
                error.to_string()
            );
        }
        Ok(changed)
    })
    .await
}

fn of_store(error: &StoreError) -> ApiError {
    match error {
        StoreError::NameTaken { .. } => ApiError::invalid_request(
            StatusCode::CONFLICT,
            Some("username_taken"),
            error.to_string(),
        )
        .with_param("username"),
        StoreError::UnknownUser { .. } => {
            ApiError::invalid_request(StatusCode::NOT_FOUND, Some("unknown_user"), "No such user.")
                .with_param("username")
        }
        StoreError::UnknownKey => {
            ApiError::invalid_request(StatusCode::NOT_FOUND, Some("unknown_key"), "No such key.")
                .with_param("api_key")
        }
        other => {
            log::error!(
                "admin: cannot use the database: error={:?}",
                other.to_string()
            );
            unavailable()
        }
    }
}

fn unavailable() -> ApiError {
    ApiError::server(
        StatusCode::SERVICE_UNAVAILABLE,
        "database_unavailable",
        "The database cannot be used at the moment; the server's log says why.",
    )
    .retry_after(5)
}

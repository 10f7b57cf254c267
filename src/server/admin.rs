//! The HTTP admin API: one route for each operation of [`crate::admin`].

use actix_web::{HttpMessage, HttpRequest, HttpResponse, Scope, http::StatusCode, web};

use super::AdminParts;
use crate::{
    admin::{self, AdminContext, AdminError, Method, Operation},
    model::{RequestId, now_ms, without_keys},
    proxy::{
        accounting::access_log::{log_admin, peer_of},
        error::{ApiError, ErrorShape, name_request},
        request::payload,
    },
    store::StoreError,
};

/// Code of the error that has a line for each entry which cannot be used.
pub const INVALID_ENTRIES: &str = "invalid_entries";

type Parts = web::Data<AdminParts>;

/// Serves all paths below `/admin`.
pub fn routes() -> Scope {
    web::scope("/admin").default_service(web::to(handle))
}

/// A route of the admin API.
struct Route {
    method: &'static str,
    path: &'static str,
    max_body_bytes: usize,
    answer: fn(&AdminContext, &Input) -> Result<Vec<u8>, AdminError>,
}

/// The members of an operation, as they came.
enum Input {
    Query(String),
    Body(Vec<u8>),
}

impl Route {
    const fn of<O: Operation>() -> Self {
        Self {
            method: match O::METHOD {
                Method::Get => "GET",
                Method::Post => "POST",
            },
            path: O::PATH,
            max_body_bytes: O::MAX_BODY_BYTES,
            answer: answer::<O>,
        }
    }
}

/// Every route. No other path below `/admin` is served, and a test compares this table with
/// docs/openapi.json.
static ROUTES: [Route; 36] = [
    Route::of::<admin::GenerateKey>(),
    Route::of::<admin::AddUsers>(),
    Route::of::<admin::ListUsers>(),
    Route::of::<admin::ShowUser>(),
    Route::of::<admin::SetUser>(),
    Route::of::<admin::RenameUser>(),
    Route::of::<admin::DeleteUser>(),
    Route::of::<admin::ForbidKey>(),
    Route::of::<admin::AllowKey>(),
    Route::of::<admin::AddKey>(),
    Route::of::<admin::ListKeys>(),
    Route::of::<admin::RotateKey>(),
    Route::of::<admin::SetKey>(),
    Route::of::<admin::RevokeKey>(),
    Route::of::<admin::HashKeys>(),
    Route::of::<admin::AddGroup>(),
    Route::of::<admin::ListGroups>(),
    Route::of::<admin::ShowGroup>(),
    Route::of::<admin::SetGroup>(),
    Route::of::<admin::RenameGroup>(),
    Route::of::<admin::DeleteGroup>(),
    Route::of::<admin::SetLimits>(),
    Route::of::<admin::ListLimits>(),
    Route::of::<admin::TryLimits>(),
    Route::of::<admin::Audit>(),
    Route::of::<admin::ListRequests>(),
    Route::of::<admin::ExplainRequest>(),
    Route::of::<admin::ListCosts>(),
    Route::of::<admin::ListPrices>(),
    Route::of::<admin::CheckPrices>(),
    Route::of::<admin::SetPrice>(),
    Route::of::<admin::UnsetPrice>(),
    Route::of::<admin::Reprice>(),
    Route::of::<admin::ShowLive>(),
    Route::of::<admin::ListAlerts>(),
    Route::of::<admin::TestAlert>(),
];

/// Lists method and path of every route.
pub fn admin_routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|route| (route.method, route.path))
}

/// Reads an operation, runs it and returns its JSON. It blocks.
fn answer<O: Operation>(context: &AdminContext, input: &Input) -> Result<Vec<u8>, AdminError> {
    let operation: O = match input {
        Input::Query(query) => admin::of_query(query)?,
        Input::Body(body) => admin::of_body(body)?,
    };
    let answer = context.run(operation)?;
    serde_json::to_vec(&answer).map_err(|error| AdminError::NotAnObject(error.to_string()))
}

async fn handle(request: HttpRequest, mut payload: web::Payload, parts: Parts) -> HttpResponse {
    let id = RequestId::new(now_ms());
    let result = serve(&request, &mut payload, parts.clone()).await;
    let mut response = match result {
        Ok(response) => response,
        Err(error) => {
            if error.status() == StatusCode::UNAUTHORIZED {
                parts.throttle.slow_down(peer_of(&request).address()).await;
            }
            payload::drain_body(request.headers(), &mut payload).await;
            error.log_cause(id);
            error.to_response(ErrorShape::OpenAi, id)
        }
    };
    name_request(&mut response, id);
    log_admin(&request, &response, id);
    response
}

async fn serve(
    request: &HttpRequest,
    payload: &mut web::Payload,
    parts: Parts,
) -> Result<HttpResponse, ApiError> {
    parts.access.check(request)?;
    let path = request.uri().path();
    let route = ROUTES
        .iter()
        .find(|route| route.path == path)
        .ok_or_else(|| ApiError::unknown_url(request.method().as_str(), path))?;
    if request.method() != route.method {
        return Err(ApiError::method_not_allowed(route.method));
    }
    let input = if route.method == "GET" {
        Input::Query(request.query_string().to_owned())
    } else {
        let limit_bytes = parts.max_body_bytes.min(route.max_body_bytes);
        Input::Body(read_body(request, payload, limit_bytes).await?)
    };
    let answered = web::block(move || (route.answer)(&parts.context, &input)).await;
    match answered {
        Ok(Ok(json)) => Ok(HttpResponse::Ok()
            .content_type("application/json")
            .body(json)),
        Ok(Err(error)) => Err(of_admin(error)),
        Err(_) => Err(unavailable()),
    }
}

/// Reads a JSON body. Other types are refused, because a web page can send a form to any address,
/// but JSON only if the server allows it.
async fn read_body(
    request: &HttpRequest,
    payload: &mut web::Payload,
    limit_bytes: usize,
) -> Result<Vec<u8>, ApiError> {
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
    Ok(body.joined().to_vec())
}

pub(super) fn of_admin(error: AdminError) -> ApiError {
    // What the input quotes may be a key.
    let bad = |code, message: String| {
        ApiError::invalid_request(StatusCode::BAD_REQUEST, Some(code), without_keys(&message))
    };
    match error {
        AdminError::Field { field, message } => bad("invalid_value", message).with_param(field),
        AdminError::UnknownMember(message) => bad("unknown_parameter", message),
        AdminError::NotAnObject(message) => bad("invalid_json", message),
        error @ AdminError::Entries(_) => {
            bad(INVALID_ENTRIES, error.to_string()).with_param("users")
        }
        // Files are imported where a command runs; no request does that.
        error @ (AdminError::Prices(_) | AdminError::Import { .. }) => {
            log::error!("admin: {error}");
            unavailable()
        }
        AdminError::Store(error) => of_store(&error),
    }
}

fn of_store(error: &StoreError) -> ApiError {
    let (status, code, param) = match error {
        StoreError::NameTaken { .. } => (StatusCode::CONFLICT, "username_taken", "username"),
        StoreError::NameIsKey => (StatusCode::CONFLICT, "name_is_key", "name"),
        StoreError::GroupTaken { .. } => (StatusCode::CONFLICT, "group_taken", "name"),
        StoreError::KeyTaken => (StatusCode::CONFLICT, "key_taken", "key"),
        StoreError::NotInGroup { .. } => (StatusCode::CONFLICT, "not_in_group", "remove"),
        StoreError::UnknownUser { .. } => (StatusCode::NOT_FOUND, "unknown_user", "username"),
        StoreError::UnknownGroup { .. } => (StatusCode::NOT_FOUND, "unknown_group", "group"),
        StoreError::UnknownKey => (StatusCode::NOT_FOUND, "unknown_key", "api_key"),
        StoreError::NoSetPrice { .. } => (StatusCode::NOT_FOUND, "unknown_price", "model"),
        StoreError::UnknownRequest => (StatusCode::NOT_FOUND, "unknown_request", "request_id"),
        StoreError::UnknownKeyId { .. } => (StatusCode::NOT_FOUND, "unknown_key", "key_id"),
        other => {
            log::error!(
                "admin: cannot use the database: error={:?}",
                other.to_string()
            );
            return unavailable();
        }
    };
    let message = without_keys(&error.to_string());
    ApiError::invalid_request(status, Some(code), message).with_param(param)
}

pub(super) fn unavailable() -> ApiError {
    ApiError::server(
        StatusCode::SERVICE_UNAVAILABLE,
        "database_unavailable",
        "The database cannot be used at the moment; the server's log says why.",
    )
    .retry_after(5)
}

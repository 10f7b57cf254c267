//! How a request's body is taken depends on its endpoint, its method and its type.

use actix_web::{
    HttpRequest,
    http::{Method, StatusCode},
};

use super::{media_type, payload};
use crate::proxy::{
    error::ApiError,
    routes::{self, Endpoint},
};

/// Ways to take a request's body.
pub enum BodyKind {
    /// The request should have none.
    None,
    /// The body is read to its end and looked into.
    Read,
    /// The body goes out as it comes in.
    Upload,
}

impl BodyKind {
    /// Chooses how a request's body is taken.
    ///
    /// # Errors
    /// 415 for a body of a type that the endpoint does not take or that could be read in two ways,
    /// 400 for a body of a method that takes none.
    pub fn of(request: &HttpRequest, endpoint: Endpoint) -> Result<Self, ApiError> {
        let headers = request.headers();
        let (is_form, is_any) = match endpoint.body {
            routes::Body::Plain | routes::Body::Socket => return Ok(Self::None),
            routes::Body::Form => (true, false),
            routes::Body::Any => (false, true),
            _ => (false, false),
        };
        if is_any {
            refuse_body_without_meaning(request)?;
        }
        let (kind, check) = if !(is_form || is_any) || media_type::is_json(headers) {
            (Self::Read, media_type::check_json(headers))
        } else if is_form {
            (Self::Upload, media_type::check_form(headers))
        } else {
            (Self::Upload, media_type::check_any(headers))
        };
        match check {
            // If there is no body, its type does not matter.
            Err(error) if payload::announces_body(headers) => Err(error),
            _ => Ok(kind),
        }
    }
}

/// Refuses a body of a method that gives it no meaning, because a server may leave it unread (RFC
/// 9110 sections 9.3.1, 9.3.2 and 9.3.5). At an operator's own endpoint the backend might give it
/// one, so that it is refused and not dropped.
fn refuse_body_without_meaning(request: &HttpRequest) -> Result<(), ApiError> {
    let takes_body = [Method::POST, Method::PUT, Method::PATCH].contains(request.method());
    if takes_body || !payload::announces_body(request.headers()) {
        return Ok(());
    }
    Err(ApiError::invalid_request(
        StatusCode::BAD_REQUEST,
        Some("body_not_supported"),
        "This proxy passes on a body with POST, PUT and PATCH only.",
    ))
}

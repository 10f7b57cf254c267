//! Finds the endpoint of a request.

use actix_web::{HttpRequest, http::Method};

use super::{payload, query};
use crate::proxy::{
    error::ApiError,
    routes::{Endpoints, Route},
};

/// Finds the endpoint of a request.
///
/// # Errors
/// 404 for a path that is not served, 405 for another method, 400 for a query that the endpoint
/// does not take, 426 for an offer of a WebSocket.
pub fn route<'r>(endpoints: &Endpoints, request: &'r HttpRequest) -> Result<Route<'r>, ApiError> {
    let path = request.uri().path();
    let found = endpoints
        .find(request.method(), path)
        .and_then(|found| query::check(request.query_string(), &found.endpoint).map(|()| found));
    let takes_post = || endpoints.find(&Method::POST, path).is_ok();
    match found {
        Err(_) if payload::offers_websocket(request.headers()) && takes_post() => {
            Err(ApiError::no_websocket())
        }
        other => other,
    }
}

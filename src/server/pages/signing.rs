//! Signing in and out. One field takes the admin token and users' keys: who has one of them should
//! not have to know what it is called.

use std::time::Instant;

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderValue},
    },
};
use askama::Template;

use super::{
    Form, ROOT, Visit,
    frame::{Place, render},
    guard, see_other,
    session::Subject,
};
use crate::{proxy::error::ApiError, server::admin};

pub(super) const SIGN_IN: &str = "/page/sign-in";
pub(super) const SIGN_OUT: &str = "/page/sign-out";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    has_token: bool,
    /// The browser may administer without a token.
    is_trusted: bool,
    problem: Option<&'a str>,
}

/// Answers with the form, and with what is wrong with the last attempt.
pub(super) fn form(
    visit: &Visit,
    status: StatusCode,
    problem: Option<&str>,
) -> Result<HttpResponse, ApiError> {
    let content = render(&SignIn {
        has_token: visit.parts.access.has_token(),
        is_trusted: visit.parts.access.trusts(&visit.request),
        problem,
    })?;
    let page = visit.frame(Place::SignIn)?.whole(&content);
    Ok(HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .body(page))
}

/// Starts a session. Wrong tokens and keys are answered at a bounded rate, as those of the admin API
/// are.
pub(super) async fn sign_in(visit: &Visit, fields: &Form) -> Result<HttpResponse, ApiError> {
    let subject = match fields.get("secret") {
        None if fields.get("as").is_some() => trusted(visit),
        None => Err(ApiError::unauthorized(
            "invalid_api_key",
            "Enter the admin token or your key.",
        )),
        Some(secret) => subject_of(visit, secret).await,
    };
    let subject = match subject {
        Ok(subject) => subject,
        Err(error) if error.status().is_client_error() => {
            if error.status() == StatusCode::UNAUTHORIZED {
                let peer = crate::proxy::accounting::access_log::peer_of(&visit.request);
                visit.parts.throttle.slow_down(peer.address()).await;
            }
            return form(visit, error.status(), Some(&error.to_string()));
        }
        Err(error) => return Err(error),
    };
    // The session before is ended, because a person who signs in again does not need it.
    if let Some(before) = &visit.session {
        visit.pages.sessions.end(before);
    }
    let started = visit.pages.sessions.start(subject, Instant::now());
    let id = started.map_err(|_| admin::unavailable())?;
    Ok(with_cookie(visit, Some(&id)))
}

/// Ends the session.
pub(super) fn sign_out(visit: &Visit, fields: &Form) -> Result<HttpResponse, ApiError> {
    if let Some(session) = &visit.session {
        if !session.has_csrf(fields.get("csrf").unwrap_or_default()) {
            return Err(guard::no_csrf());
        }
        visit.pages.sessions.end(session);
    }
    Ok(with_cookie(visit, None))
}

fn with_cookie(visit: &Visit, id: Option<&str>) -> HttpResponse {
    let mut response = see_other(ROOT);
    if let Some(cookie) = guard::session_cookie(visit.request.headers(), id) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Returns the operator, if the browser may administer without a token.
fn trusted(visit: &Visit) -> Result<Subject, ApiError> {
    if visit.parts.access.trusts(&visit.request) {
        return Ok(Subject::Operator { by_token: false });
    }
    Err(ApiError::forbidden(
        "admin_closed",
        "From here, an operator needs the admin token.",
    ))
}

/// Returns who has a secret.
async fn subject_of(visit: &Visit, secret: &str) -> Result<Subject, ApiError> {
    if visit.parts.access.is_token(secret.as_bytes()) {
        return Ok(Subject::Operator { by_token: true });
    }
    let mut headers = HeaderMap::new();
    let unknown = || {
        ApiError::unauthorized(
            "invalid_api_key",
            "This is neither the admin token nor the key of a user.",
        )
    };
    // Requests to the API look a key up the same way.
    let value = HeaderValue::try_from(format!("Bearer {secret}")).map_err(|_| unknown())?;
    headers.insert(header::AUTHORIZATION, value);
    let keys = &visit.worker.shared.admission.keys;
    let is_known = keys.caller_for_log(&headers).is_some();
    let arrival = visit.worker.shared.admission.identify(&headers).await;
    match arrival {
        Ok(arrival) => Ok(Subject::User(std::sync::Arc::clone(&arrival.caller))),
        Err(error) if error.status() == StatusCode::UNAUTHORIZED && !is_known => Err(unknown()),
        Err(error) => Err(error),
    }
}

//! The errors that a client gets when the backend gives no answer, or one that cannot be read.

use actix_web::http::StatusCode;

use crate::proxy::{backend::BackendError, error::ApiError};

/// Returns the error for a request without an answer. The reason goes into the log only, because it
/// may name internal hosts.
pub fn error_of(error: &BackendError) -> ApiError {
    let answer = match error {
        BackendError::Unreachable(_) | BackendError::ConnectTimeout(_) => ApiError::server(
            StatusCode::BAD_GATEWAY,
            "backend_unreachable",
            "The backend behind this proxy cannot be reached. Try again later.",
        ),
        BackendError::OutOfFiles => ApiError::server(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "This proxy has too many connections open. Try again in a moment.",
        )
        .retry_after(1),
        BackendError::BrokeOff(_) => ApiError::server(
            StatusCode::BAD_GATEWAY,
            "backend_broke_off",
            "The backend behind this proxy closed the connection without an answer.",
        ),
        BackendError::Silent(_) => ApiError::server(
            StatusCode::GATEWAY_TIMEOUT,
            "backend_timeout",
            "The backend behind this proxy did not answer in time.",
        ),
        BackendError::Upload => ApiError::invalid_request(
            StatusCode::BAD_REQUEST,
            None,
            "The request body broke off or was malformed.",
        ),
        BackendError::InvalidResponse(_) => ApiError::server(
            StatusCode::BAD_GATEWAY,
            "backend_invalid_response",
            "The backend behind this proxy sent no valid HTTP answer.",
        ),
    };
    answer.with_cause(log::Level::Warn, error)
}

/// Returns the 502 for an answer that cannot be read.
pub fn unreadable() -> ApiError {
    ApiError::server(
        StatusCode::BAD_GATEWAY,
        "backend_invalid_response",
        "The backend behind this proxy sent an answer that cannot be read.",
    )
}

//! Errors in OpenAI's form.

use actix_web::{HttpResponse, http::StatusCode};
use serde_json::json;

/// A request that is answered with an error.
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: String) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            code,
            message,
        }
    }

    pub(super) fn wrong_key(key: &str) -> Self {
        let message = match key {
            "" => "You didn't provide an API key in an Authorization header.".into(),
            key => {
                format!("Incorrect API key provided: {key}. You can find yours in your account.")
            }
        };
        Self::new(401, "invalid_api_key", message)
    }

    pub(super) fn scripted(status: u16, key: &str) -> Self {
        let message = format!("x_backend asked for status {status}");
        match status {
            401 => Self::wrong_key(key),
            429 => Self::new(429, "rate_limit_exceeded", message),
            400..=599 => Self::new(status, "", message),
            _ => Self::new(400, "", "x_backend.status must be 400 to 599".into()),
        }
    }

    pub(super) fn into_response(self) -> HttpResponse {
        let kind = match self.status.as_u16() {
            429 => "requests",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        let code = Some(self.code).filter(|code| !code.is_empty());
        let error = json!({"message": self.message, "type": kind, "param": null, "code": code});
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.insert_header(("retry-after", "1"));
        }
        response.json(json!({ "error": error }))
    }
}

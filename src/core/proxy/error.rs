//! Errors that the proxy itself answers with, in the shape of the API that was called, so that SDKs
//! raise the right exception. The shapes are those of OpenAI's API reference, "Error codes":
//! `{"error":{"message","type","param","code"}}`, and of Anthropic's, "Errors":
//! `{"type":"error","error":{"type","message"},"request_id"}`.

use std::{borrow::Cow, fmt};

use actix_web::{
    HttpResponse,
    body::BoxBody,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use serde::Serialize;

use crate::model::RequestId;

/// An answer of the proxy itself instead of the backend's.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<Cow<'static, str>>,
    message: Cow<'static, str>,
    retry: Retry,
    /// What few errors have.
    further: Option<Box<Further>>,
    /// The request has its line in the access log already.
    is_logged: bool,
}

/// What few errors have, apart, so that a result with an error stays small.
#[derive(Debug, Clone, Default)]
struct Further {
    /// Says which limit refuses the request: the member `llmproxy` of the error.
    limit: Option<serde_json::Value>,
    limit_kind: Option<&'static str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What the log says and the client is not told.
    cause: Option<(log::Level, String)>,
}

/// Header with the id of a request, also if the backend answered it.
pub static OWN_REQUEST_ID: HeaderName = HeaderName::from_static("x-llmproxy-request-id");
/// The header that has the id of an answer of OpenAI's API, and Anthropic's name for it.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub static ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The API whose clients read an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorShape {
    OpenAi,
    Anthropic,
}

impl ErrorShape {
    /// Returns the shape that the clients of a path expect.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        match path.strip_prefix("/v1/messages") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Self::Anthropic,
            _ => Self::OpenAi,
        }
    }
}

/// What a client is told about retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Unsaid,
    /// `Retry-After`, in seconds.
    After(u32),
    /// `x-should-retry: false`, which OpenAI's and Anthropic's SDKs obey.
    Never,
}

impl Retry {
    /// A retry does not help against a fault of the request itself, unless it came too slowly or
    /// too often.
    fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            408 | 429 => Self::Unsaid,
            400..=499 => Self::Never,
            _ => Self::Unsaid,
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    llmproxy: Option<&'a serde_json::Value>,
}

#[derive(Serialize)]
struct AnthropicBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: AnthropicInner<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct AnthropicInner<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    llmproxy: Option<&'a serde_json::Value>,
}

/// Returns the type that Anthropic's API gives an error of this status.
fn anthropic_kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

impl ApiError {
    fn new(
        status: StatusCode,
        kind: &'static str,
        code: Option<&'static str>,
        message: Cow<'static, str>,
    ) -> Self {
        Self {
            status,
            kind,
            code,
            param: None,
            message,
            retry: Retry::of_status(status),
            further: None,
            is_logged: false,
        }
    }

    /// Returns a 4xx: the request is at fault.
    #[must_use]
    pub fn invalid_request(
        status: StatusCode,
        code: Option<&'static str>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(status, "invalid_request_error", code, message.into())
    }

    /// Returns the 401 for a request: there is no key, or an unknown one.
    #[must_use]
    pub fn unauthorized(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid_request(StatusCode::UNAUTHORIZED, Some(code), message)
    }

    /// Says in which line of a batch's input file the fault is.
    #[must_use]
    pub fn in_line(mut self, line: u64) -> Self {
        self.message = format!("Line {line} of the batch's input file: {}", self.message).into();
        self
    }

    /// Returns the 403 for a key that is known and not allowed.
    #[must_use]
    pub fn forbidden(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "permission_error",
            Some(code),
            message.into(),
        )
    }

    /// Returns a 5xx: the backend, the ledger or this server is at fault.
    #[must_use]
    pub fn server(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(status, "server_error", Some(code), message.into())
    }

    /// Returns the 503 for the time in which the ledger cannot be read or written.
    #[must_use]
    pub fn ledger_unavailable() -> Self {
        Self::server(
            StatusCode::SERVICE_UNAVAILABLE,
            "ledger_unavailable",
            "This proxy cannot write its usage records at the moment and serves no requests until it can.",
        )
    }

    /// Returns the 404 for a path that is not served.
    #[must_use]
    pub fn unknown_url(method: &str, path: &str) -> Self {
        let (method, path) = (shortened(method, 20), shortened(path, 200));
        Self::invalid_request(
            StatusCode::NOT_FOUND,
            Some("unknown_url"),
            format!(
                "Unknown request URL: {method} {path}. This proxy does not serve it; check the base URL and the path."
            ),
        )
    }

    /// Returns the 404 for what is not open. The message says why, and which setting opens it if
    /// one does.
    #[must_use]
    pub fn closed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid_request(StatusCode::NOT_FOUND, Some("endpoint_closed"), message)
    }

    /// Returns a 429: a limit of the user refuses the request.
    #[must_use]
    pub fn too_many_requests(
        kind: &'static str,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, kind, Some(code), message.into())
    }

    /// Returns the 429 for a user whose uploads would hold the permits of others.
    #[must_use]
    pub fn too_many_uploads(limit: usize) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "requests",
            Some("rate_limit_exceeded"),
            format!("You have {limit} uploads under way, which is as many as one user may have here at once. Try again when one has ended.")
                .into(),
        )
        .retry_after(2)
    }

    /// Returns the 426 for a WebSocket where none is served. Clients that try one first go on with
    /// a POST at once.
    #[must_use]
    pub fn no_websocket() -> Self {
        Self::invalid_request(
            StatusCode::UPGRADE_REQUIRED,
            Some("websocket_not_supported"),
            "This path does not speak WebSocket. Send the request over HTTP, without Upgrade: requests to a model are POST requests.",
        )
    }

    /// Returns the 405, with the methods that are served, as the header `Allow` lists them.
    #[must_use]
    pub fn method_not_allowed(allow: impl Into<Box<str>>) -> Self {
        let allow = allow.into();
        let methods = match allow.rsplit_once(", ") {
            Some((others, last)) => format!("{others} and {last}"),
            None => allow.to_string(),
        };
        let mut error = Self::invalid_request(
            StatusCode::METHOD_NOT_ALLOWED,
            Some("method_not_allowed"),
            format!("This path is served for {methods} only."),
        );
        if let Ok(allow) = HeaderValue::from_str(&allow) {
            error = error.with_header(header::ALLOW, allow);
        }
        error
    }

    /// Names the field or header at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Asks the client to come back after some seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry = Retry::After(seconds);
        self
    }

    /// Tells the client that a retry would not help, or would be paid twice.
    #[must_use]
    pub fn never_retry(mut self) -> Self {
        self.retry = Retry::Never;
        self
    }

    /// Says which limit refuses the request, in the member `llmproxy` of the error. `kind` is what
    /// such refusals are counted by.
    #[must_use]
    pub fn with_limit(mut self, kind: &'static str, details: serde_json::Value) -> Self {
        let further = self.further.get_or_insert_default();
        further.limit = Some(details);
        further.limit_kind = Some(kind);
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        let further = self.further.get_or_insert_default();
        further.headers.push((name, value));
        self
    }

    /// Says when a retry helps, in seconds, whatever else is said of retries.
    #[must_use]
    pub fn with_wait_ms(self, wait_ms: u64) -> Self {
        let seconds = HeaderValue::from(wait_ms.div_ceil(1_000).max(1));
        self.with_header(header::RETRY_AFTER, seconds)
    }

    /// Says when a retry helps, to the millisecond. OpenAI's SDKs read `retry-after-ms`.
    #[must_use]
    pub fn with_exact_wait_ms(self, wait_ms: u64) -> Self {
        let name = HeaderName::from_static("retry-after-ms");
        self.with_header(name, HeaderValue::from(wait_ms.max(1)))
            .with_wait_ms(wait_ms)
    }

    /// Notes what the log says of the error and the client is not told.
    #[must_use]
    pub fn with_cause(mut self, level: log::Level, cause: &impl fmt::Display) -> Self {
        let further = self.further.get_or_insert_default();
        further.cause = Some((level, cause.to_string()));
        self
    }

    /// Logs what the client is not told, under the id that its answer has.
    pub fn log_cause(&self, id: RequestId) {
        let cause = self
            .further
            .as_ref()
            .and_then(|further| further.cause.as_ref());
        if let Some((level, cause)) = cause {
            log::log!(*level, "{cause}: request_id={id}");
        }
    }

    /// Notes that the line in the access log is written with the request's account.
    #[must_use]
    pub fn already_logged(mut self) -> Self {
        self.is_logged = true;
        self
    }

    #[must_use]
    pub fn is_logged(&self) -> bool {
        self.is_logged
    }

    /// Returns the code, or else the type.
    #[must_use]
    pub fn code_or_type(&self) -> &'static str {
        self.code.unwrap_or(self.kind)
    }

    /// Returns why the request is refused: the kind of limit, or the code. `None` if it failed for
    /// a reason that lies behind this proxy, or in it.
    #[must_use]
    pub fn refusal_reason(&self) -> Option<&'static str> {
        let is_refusal = self.status.is_client_error() || self.status.as_u16() == 503;
        let limit = self.further.as_ref().and_then(|further| further.limit_kind);
        is_refusal.then(|| limit.unwrap_or(self.code_or_type()))
    }

    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Makes the response to a request.
    #[must_use]
    pub fn to_response(&self, shape: ErrorShape, id: RequestId) -> HttpResponse<BoxBody> {
        let request_id = id.to_string();
        let mut response = HttpResponse::build(self.status);
        for name in [&REQUEST_ID, &OWN_REQUEST_ID] {
            response.insert_header((name.clone(), request_id.as_str()));
        }
        match self.retry {
            Retry::Unsaid => {}
            Retry::After(seconds) => {
                response.insert_header((header::RETRY_AFTER, seconds.to_string()));
            }
            Retry::Never => {
                response.insert_header(("x-should-retry", "false"));
            }
        }
        let further = self.further.as_deref();
        for (name, value) in further.iter().flat_map(|further| &further.headers) {
            response.insert_header((name.clone(), value.clone()));
        }
        let llmproxy = further.and_then(|further| further.limit.as_ref());
        if self.status == StatusCode::UNAUTHORIZED {
            // A 401 names the scheme (RFC 9110 section 15.5.2).
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        match shape {
            ErrorShape::OpenAi => response.json(Body {
                error: Inner {
                    message: &self.message,
                    kind: self.kind,
                    param: self.param.as_deref(),
                    code: self.code,
                    llmproxy,
                },
            }),
            ErrorShape::Anthropic => {
                response.insert_header((ANTHROPIC_REQUEST_ID.clone(), request_id.as_str()));
                response.json(AnthropicBody {
                    kind: "error",
                    error: AnthropicInner {
                        kind: anthropic_kind(self.status),
                        message: &self.message,
                        llmproxy,
                    },
                    request_id: &request_id,
                })
            }
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Returns the beginning of a text that a client sent.
#[must_use]
pub fn shortened(text: &str, max_chars: usize) -> &str {
    if text.len() <= max_chars {
        return text;
    }
    text.char_indices()
        .nth(max_chars)
        .map_or(text, |(end, _)| &text[..end])
}

/// Names a request in the headers of its answer.
pub fn name_request(response: &mut HttpResponse, id: RequestId) {
    // Hexadecimal digits are a valid header.
    if let Ok(value) = HeaderValue::from_bytes(&id.text()) {
        response.headers_mut().insert(OWN_REQUEST_ID.clone(), value);
    }
}

//! The last steps of an answer: an error becomes a response, and the framing is made to fit the
//! client.

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    http::{ConnectionType, StatusCode, Version},
};

use crate::proxy::{
    accounting::access_log::{log_refusal, peer_of},
    admission::AdmissionControl,
    error::{ApiError, ErrorShape},
};

/// Answers a request with an error, and logs it. The answer to a wrong key is delayed.
pub async fn refuse(
    request: &HttpRequest,
    admission: &AdmissionControl,
    error: &ApiError,
) -> HttpResponse {
    let response = error.to_response(ErrorShape::of_path(request.path()));
    if !error.is_logged() {
        let caller = admission.keys.caller_for_log(request.headers());
        log_refusal(request, caller.as_deref(), error, &response);
    }
    if error.status() == StatusCode::UNAUTHORIZED {
        admission
            .throttle
            .slow_down(peer_of(request).address())
            .await;
    }
    response
}

/// Frames an answer for the client's version of HTTP.
///
/// A client of HTTP/1.0 does not know chunks: a body without a length ends with the connection,
/// even if the client asked to keep it (RFC 9112 sections 6.1 and 6.3). actix would send chunks.
/// After a request that offered another protocol, as Java's clients do with HTTP/2, actix closes
/// the connection; the answer says so, so that the client does not send its next request into it.
pub fn framed_for(request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    let is_old = request.version() < Version::HTTP_11;
    let ends_with_connection = is_old && response.body().size() == BodySize::Stream;
    if ends_with_connection || request.head().upgrade() {
        let head = response.head_mut();
        head.no_chunking(ends_with_connection);
        head.set_connection_type(ConnectionType::Close);
    }
    response
}

//! The last steps of an answer: an error becomes a response, and the framing is made to fit the
//! client.

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    http::{ConnectionType, StatusCode, Version, header},
};

use crate::proxy::{
    accounting::{
        access_log::{log_refusal, peer_of},
        refusals::RefusalBuffer,
    },
    admission::AdmissionControl,
    error::{ApiError, ErrorShape, shortened},
};
use crate::{
    model::{MAX_REFUSAL_CHARS, Refusal, RequestId, without_keys},
    sight::{LiveRequest, Refused, WorkerSight},
};

/// As what a request is seen that is answered with an error.
#[derive(Clone, Copy)]
pub enum Seen<'a> {
    Request(&'a LiveRequest),
    /// Its path is not served.
    UnknownPath(&'a WorkerSight, RequestId),
}

/// Answers a request with an error, logs and counts it. The answer to a wrong key is delayed.
pub async fn refuse(
    request: &HttpRequest,
    admission: &AdmissionControl,
    refusals: &RefusalBuffer,
    error: &ApiError,
    seen: Seen<'_>,
) -> HttpResponse {
    let id = match seen {
        Seen::Request(live) => live.id(),
        Seen::UnknownPath(_, id) => id,
    };
    error.log_cause(id);
    let response = error.to_response(ErrorShape::of_path(request.path()), id);
    let message = without_keys(&error.to_string());
    let (user_id, endpoint) = match seen {
        Seen::Request(live) => (live.user_id(), live.endpoint()),
        Seen::UnknownPath(..) => {
            let caller = admission.keys.caller_for_log(request.headers());
            (caller.map(|caller| caller.id), request.path())
        }
    };
    // Strangers cost no work of the database.
    if let Some(user_id) = user_id {
        refusals.push(Refusal {
            request_id: id,
            user_id,
            endpoint: without_keys(shortened(endpoint, MAX_REFUSAL_CHARS)),
            status: error.status().as_u16(),
            code: error.code_or_type(),
            message: shortened(&message, MAX_REFUSAL_CHARS).to_owned(),
        });
    }
    let refused = Refused {
        status: error.status().as_u16(),
        code: error.code_or_type(),
        reason: error.refusal_reason(),
        message: &message,
    };
    match seen {
        Seen::Request(live) => live.refused(refused),
        Seen::UnknownPath(sight, _) => sight.refused_path(refused, id),
    }
    if !error.is_logged() {
        let caller = admission.keys.caller_for_log(request.headers());
        log_refusal(request, caller.as_deref(), error, id);
    }
    if error.status() == StatusCode::UNAUTHORIZED {
        admission
            .throttle
            .slow_down(peer_of(request).address())
            .await;
    }
    response
}

/// Returns whether actix takes a request for one that offers another protocol. Its own function copies
/// the header of each request.
fn offers_upgrade(request: &HttpRequest) -> bool {
    let options = request.headers().get(header::CONNECTION);
    options
        .and_then(|options| options.to_str().ok())
        .is_some_and(|options| {
            const OFFER: &[u8] = b"upgrade";
            let mut parts = options.as_bytes().windows(OFFER.len());
            parts.any(|part| part.eq_ignore_ascii_case(OFFER))
        })
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
    if ends_with_connection || offers_upgrade(request) {
        let head = response.head_mut();
        head.no_chunking(ends_with_connection);
        head.set_connection_type(ConnectionType::Close);
    }
    response
}

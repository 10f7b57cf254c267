//! Requests of the proxy's own to the backend, on behalf of a client's: pages of a list, the input of a batch, an object that is
//! about to be deleted, or that nobody has looked at.

use std::future::poll_fn;

use actix_web::{
    HttpRequest,
    http::{StatusCode, header},
};
use bytes::Bytes;

use super::{
    ApiError, Proxy,
    backend::{OutgoingRequest, Response},
    gathered::Gathered,
    stored::may_tell_gone,
    unanswered,
};

/// Gets something with the backend's key; the headers are those of the client's request.
pub(super) async fn get(
    proxy: &Proxy,
    request: &HttpRequest,
    target: &str,
) -> Result<Response, ApiError> {
    send(
        proxy,
        proxy.shared.own_headers.get_head_for(request, target),
    )
    .await
}

/// The same on behalf of nobody's request.
pub(super) async fn get_alone(proxy: &Proxy, target: &str) -> Result<Response, ApiError> {
    send(proxy, proxy.shared.own_headers.get_head(target)).await
}

async fn send(proxy: &Proxy, head: Bytes) -> Result<Response, ApiError> {
    let outgoing = OutgoingRequest::of_head(head);
    let sent = proxy.backend.send(&outgoing, || {}).await;
    sent.map_err(|error| unanswered(&error))
}

/// The next bytes of an answer's body, `None` at its end.
pub(super) async fn next_bytes(response: &mut Response) -> Result<Option<Bytes>, ApiError> {
    let encoding = response.headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(unreadable());
    }
    match poll_fn(|cx| response.body.poll_read(cx)).await {
        Some(Ok(bytes)) => Ok(Some(bytes)),
        Some(Err(error)) => {
            log::warn!("{error}");
            Err(unreadable())
        }
        None => Ok(None),
    }
}

/// A whole body.
///
/// # Errors
/// 502 for one that is longer than the limit or breaks off.
pub(super) async fn whole_body(
    response: &mut Response,
    limit_bytes: usize,
) -> Result<Bytes, ApiError> {
    let mut whole = Gathered::default();
    while let Some(bytes) = next_bytes(response).await? {
        if whole.len() + bytes.len() > limit_bytes {
            return Err(unreadable());
        }
        whole.push(bytes);
    }
    Ok(whole.into_bytes())
}

/// Whether the backend says that there is no object of this id.
pub(super) async fn tells_gone(response: &mut Response, id: &str) -> bool {
    const MAX_ERROR_BYTES: usize = 64 * 1024;
    if !may_tell_gone(response.status, &response.headers) {
        return false;
    }
    let body = whole_body(response, MAX_ERROR_BYTES).await;
    body.is_ok_and(|body| memchr::memmem::find(&body, id.as_bytes()).is_some())
}

/// 502 for an answer that cannot be read.
pub(super) fn unreadable() -> ApiError {
    ApiError::server(
        StatusCode::BAD_GATEWAY,
        "backend_invalid_response",
        "The backend behind this proxy sent an answer that cannot be read.",
    )
}

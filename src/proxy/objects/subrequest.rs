//! Requests of the proxy's own to the backend, on behalf of a client's: pages of a list, the input of a batch, an object that is
//! about to be deleted, or that nobody has looked at.

use std::{future::poll_fn, ops::Deref};

use actix_web::{
    HttpRequest,
    http::{StatusCode, header},
};
use bytes::Bytes;

use crate::proxy::response::answer::may_tell_gone;
use crate::proxy::{
    Proxy,
    admission::body_budget::{BodyBudget, BodyShare},
    backend::{OutgoingRequest, Response},
    body::BytesCollector,
    error::ApiError,
    unanswered,
};

/// Gets something with the backend's key; the headers are those of the client's request.
pub async fn get(proxy: &Proxy, request: &HttpRequest, target: &str) -> Result<Response, ApiError> {
    send(
        proxy,
        proxy.shared.own_headers.get_head_for(request, target),
    )
    .await
}

/// The same on behalf of nobody's request.
pub async fn get_alone(proxy: &Proxy, target: &str) -> Result<Response, ApiError> {
    send(proxy, proxy.shared.own_headers.get_head(target)).await
}

async fn send(proxy: &Proxy, head: Bytes) -> Result<Response, ApiError> {
    let outgoing = OutgoingRequest::of_head(head);
    let sent = proxy.backend.send(&outgoing, || {}).await;
    sent.map_err(|error| unanswered(&error))
}

/// The next bytes of an answer's body, `None` at its end.
pub async fn next_bytes(response: &mut Response) -> Result<Option<Bytes>, ApiError> {
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

/// A body that is held whole, and its part of the budget for bodies.
pub struct WholeBody {
    bytes: Bytes,
    _share: BodyShare,
}

impl Deref for WholeBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A whole body.
///
/// # Errors
/// 502 for one that is longer than the limit or breaks off, 503 where too many bodies are in memory.
pub async fn whole_body(
    response: &mut Response,
    limit_bytes: usize,
    budget: &BodyBudget,
) -> Result<WholeBody, ApiError> {
    let mut whole = BytesCollector::default();
    let mut share = BodyShare::default();
    while let Some(bytes) = next_bytes(response).await? {
        let length = whole.len() + bytes.len();
        if length > limit_bytes {
            return Err(unreadable());
        }
        budget.grow(&mut share, length)?;
        whole.push(bytes);
    }
    Ok(WholeBody {
        bytes: whole.into_bytes(),
        _share: share,
    })
}

/// Whether the backend says that there is no object of this id.
pub async fn tells_gone(proxy: &Proxy, response: &mut Response, id: &str) -> bool {
    const MAX_ERROR_BYTES: usize = 64 * 1024;
    if !may_tell_gone(response.status, &response.headers) {
        return false;
    }
    let budget = &proxy.shared.body_budget;
    let body = whole_body(response, MAX_ERROR_BYTES, budget).await;
    body.is_ok_and(|body| memchr::memmem::find(&body, id.as_bytes()).is_some())
}

/// 502 for an answer that cannot be read.
pub fn unreadable() -> ApiError {
    ApiError::server(
        StatusCode::BAD_GATEWAY,
        "backend_invalid_response",
        "The backend behind this proxy sent an answer that cannot be read.",
    )
}

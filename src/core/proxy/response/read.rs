//! Reads answers that this proxy itself needs.

use std::{future::poll_fn, ops::Deref};

use actix_web::http::header;
use bytes::Bytes;

use super::backend_error::unreadable;
use crate::proxy::{
    admission::body_budget::{BodyBudget, BodyShare},
    backend::Response,
    body::BytesCollector,
    error::ApiError,
};

/// Returns the next bytes of an answer's body, `None` at its end.
pub async fn next_bytes(response: &mut Response) -> Result<Option<Bytes>, ApiError> {
    let encoding = response.headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(unreadable());
    }
    match poll_fn(|cx| response.body.poll_read(cx)).await {
        Some(Ok(bytes)) => Ok(Some(bytes)),
        Some(Err(error)) => Err(unreadable().with_cause(log::Level::Warn, &error)),
        None => Ok(None),
    }
}

/// A body in one piece, and its part of the budget for bodies.
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

/// Reads a body to its end.
///
/// # Errors
/// 502 for a body that is longer than the limit or breaks off, 503 if too many bodies are in
/// memory.
pub async fn whole_body(
    response: &mut Response,
    limit_bytes: usize,
    budget: &BodyBudget,
) -> Result<WholeBody, ApiError> {
    let mut whole = BytesCollector::default();
    let mut share = BodyShare::default();
    while let Some(bytes) = next_bytes(response).await? {
        let length = whole.len_bytes() + bytes.len();
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

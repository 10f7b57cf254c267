//! Sends a request once more, as the client sent it, if the backend refuses the `stream_options`
//! that this proxy added. The backend generated nothing for the first request, so that nothing is
//! paid twice.

use std::{sync::Arc, time::Instant};

use actix_web::{HttpRequest, http::StatusCode};
use bytes::Bytes;

use super::read::next_bytes;
use crate::proxy::{
    backend::{Backend, BackendError, OutgoingRequest, Response},
    body::{BodyParts, BytesCollector},
    headers::{BodyLength, OwnHeaders},
    request::usage_option::UsageOptionRefusals,
};

/// A longer refusal is passed on without a search for the option's name.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// The request as its client sent it.
pub struct UneditedRequest {
    pub refusals: Arc<UsageOptionRefusals>,
    pub own_headers: Arc<OwnHeaders>,
    pub request: HttpRequest,
    pub model: String,
    pub body: BodyParts,
}

/// What an answer that may be such a refusal turned out to be.
pub enum Retried {
    /// The answer to the request without the option.
    Answer(Response),
    /// The answer is another one. The bytes were read of its body, and come before the rest.
    Other(Response, Bytes),
}

impl UneditedRequest {
    /// Sends the request once more if the answer refuses the option.
    ///
    /// # Errors
    /// [`BackendError`] if the second request gets no answer.
    pub async fn retry_if_refused(
        self,
        backend: &Backend,
        mut response: Response,
    ) -> Result<Retried, BackendError> {
        if !matches!(
            response.status,
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
        ) {
            return Ok(Retried::Other(response, Bytes::new()));
        }
        let mut read = BytesCollector::default();
        // A body that cannot be read is no refusal; the client gets what came, and the rest as it
        // comes.
        while read.len_bytes() < MAX_REFUSAL_BYTES
            && let Ok(Some(bytes)) = next_bytes(&mut response).await
        {
            read.push(bytes);
        }
        let read = read.into_bytes();
        let names = |name: &str| memchr::memmem::find(&read, name.as_bytes()).is_some();
        if !response.body.is_complete() || !(names("stream_options") || names("include_usage")) {
            return Ok(Retried::Other(response, read));
        }
        if self.refusals.insert(&self.model, Instant::now()) {
            log::warn!(
                "the backend refuses stream_options for model={:?}: its streams are not asked for their usage for an hour and \
                 are estimated; STREAM_USAGE=leave turns the option off",
                self.model
            );
        }
        let length = BodyLength::Json(self.body.len() as u64);
        let head = self.own_headers.head_for(&self.request, length);
        let outgoing = OutgoingRequest::new(head, self.body);
        backend.send(&outgoing, || {}).await.map(Retried::Answer)
    }
}

//! Backends that refuse a request because this proxy added `stream_options` to it: the request goes once more as the client sent
//! it, and the model is not asked for its usage for a while. Nothing was generated for the first one, so nothing is paid twice.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, http::StatusCode};
use bytes::Bytes;

use super::{
    Shared,
    backend::{Backend, BackendError, OutgoingRequest, Response},
    body::{BodyParts, BytesCollector},
    headers::BodyLength,
    objects::subrequest,
};

/// A model that has refused the option is asked again after this.
const MEMORY: Duration = Duration::from_secs(3600);
/// More models than this have no place in the memory: a client may invent names.
const MAX_MODELS: usize = 1_000;
/// A longer refusal is passed on unread.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// Models whose backend refused `stream_options` within the last hour. Shared by all workers.
#[derive(Default)]
pub struct UsageOptionRefusals {
    /// Spares the look into the map where there has never been one.
    is_used: AtomicBool,
    models: Mutex<HashMap<String, Instant>>,
}

impl UsageOptionRefusals {
    /// Whether a model has refused the option lately.
    #[must_use]
    pub fn contains(&self, model: &str) -> bool {
        self.is_used.load(Ordering::Relaxed) && self.contains_at(model, Instant::now())
    }

    fn contains_at(&self, model: &str, now: Instant) -> bool {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let refused_at = models.get(model);
        refused_at.is_some_and(|at| now.saturating_duration_since(*at) < MEMORY)
    }

    /// Notes that a model has refused. Returns whether that is news.
    fn insert(&self, model: &str, now: Instant) -> bool {
        self.is_used.store(true, Ordering::Relaxed);
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.retain(|_, at| now.saturating_duration_since(*at) < MEMORY);
        if models.len() >= MAX_MODELS {
            return false;
        }
        models.insert(model.to_owned(), now).is_none()
    }
}

/// A request as its client sent it, for a backend that refuses it as this proxy edited it.
pub(super) struct UneditedRequest {
    pub(super) shared: Arc<Shared>,
    pub(super) request: HttpRequest,
    pub(super) model: String,
    pub(super) body: BodyParts,
}

/// What became of an answer that may be such a refusal.
pub(super) enum Retried {
    /// The answer to the request without the option.
    Answer(Response),
    /// The answer is another; what was read of it comes before what is left of its body.
    Other(Response, Bytes),
}

impl UneditedRequest {
    /// Sends the request once more if the answer refuses the option.
    ///
    /// # Errors
    /// [`BackendError`] when there is no answer the second time.
    pub(super) async fn retry_if_refused(
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
        // What cannot be read is no refusal; the client gets what came, and the rest as it comes.
        while read.len() < MAX_REFUSAL_BYTES
            && let Ok(Some(bytes)) = subrequest::next_bytes(&mut response).await
        {
            read.push(bytes);
        }
        let read = read.into_bytes();
        let names = |name: &str| memchr::memmem::find(&read, name.as_bytes()).is_some();
        if !response.body.is_complete() || !(names("stream_options") || names("include_usage")) {
            return Ok(Retried::Other(response, read));
        }
        if self
            .shared
            .usage_option_refusals
            .insert(&self.model, Instant::now())
        {
            log::warn!(
                "the backend refuses stream_options for model={:?}: its streams are not asked for their usage for an hour and \
                 are estimated; STREAM_USAGE=leave turns the option off",
                self.model
            );
        }
        let length = BodyLength::Json(self.body.len() as u64);
        let head = self.shared.own_headers.head_for(&self.request, length);
        let outgoing = OutgoingRequest::new(head, self.body);
        backend.send(&outgoing, || {}).await.map(Retried::Answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_remembered_for_an_hour_and_bounded() {
        let refusals = UsageOptionRefusals::default();
        let now = Instant::now();
        assert!(!refusals.contains("m"));
        assert!(refusals.insert("m", now));
        assert!(!refusals.insert("m", now), "no news");
        assert!(refusals.contains("m") && !refusals.contains("n"));
        assert!(!refusals.contains_at("m", now + MEMORY));
        for model in 0..2 * MAX_MODELS {
            refusals.insert(&model.to_string(), now);
        }
        let models = refusals.models.lock().unwrap();
        assert_eq!(models.len(), MAX_MODELS);
    }
}

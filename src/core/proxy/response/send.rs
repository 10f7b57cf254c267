//! Sends a request to the backend and makes the client's answer.

use std::rc::Rc;

use actix_web::HttpResponse;
use bytes::Bytes;

use super::{
    WorkerStreams, answer,
    backend_error::error_of,
    relay::DetachedReader,
    retry::{Retried, UneditedRequest},
};
use crate::{
    proxy::{
        accounting::exchange::Exchange,
        backend::{Backend, OutgoingRequest},
        error::ApiError,
        request::prepare::Expected,
    },
    usage::UsageOnlyEvents,
};

/// Sends a request and makes the client's answer of the backend's. `unedited` is the request as the
/// client sent it, for a backend that refuses the edit.
///
/// # Errors
/// 502, 503 and 504 if the backend gives no answer; the errors of [`answer::answer`].
pub async fn send(
    backend: Rc<Backend>,
    streams: Rc<WorkerStreams>,
    outgoing: OutgoingRequest,
    unedited: Option<UneditedRequest>,
    mut exchange: Box<Exchange>,
    mut expected: Expected,
    detached: Option<DetachedReader>,
) -> Result<HttpResponse, ApiError> {
    let sent = backend.send(&outgoing, || exchange.mark_sent()).await;
    let mut response = sent.map_err(|error| {
        exchange.mark_unanswered();
        error_of(&error)
    })?;
    drop(outgoing);
    let mut read_ahead = Bytes::new();
    if let Some(unedited) = unedited.filter(|_| response.status.is_client_error()) {
        // Boxed, because it is rare and would take room in every request's future.
        let retried = Box::pin(unedited.retry_if_refused(&backend, response)).await;
        response = match retried {
            Ok(Retried::Answer(response)) => {
                expected.usage_only_events = UsageOnlyEvents::Pass;
                response
            }
            Ok(Retried::Other(response, read)) => {
                read_ahead = read;
                response
            }
            Err(error) => {
                exchange.mark_unanswered();
                return Err(error_of(&error));
            }
        };
    }
    answer::answer(response, read_ahead, exchange, &streams, expected, detached).await
}

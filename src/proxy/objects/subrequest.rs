//! Requests of the proxy's own to the backend, on behalf of a client's: pages of a list, the input of a batch, an object that is
//! about to be deleted, or that nobody has looked at.

use actix_web::HttpRequest;
use bytes::Bytes;

use crate::proxy::{
    backend::{OutgoingRequest, Response},
    error::ApiError,
    response::{answer::may_tell_gone, backend_error::unanswered, read::whole_body},
    state::Worker,
};

/// Gets something with the backend's key; the headers are those of the client's request.
pub async fn get(
    worker: &Worker,
    request: &HttpRequest,
    target: &str,
) -> Result<Response, ApiError> {
    send(
        worker,
        worker.shared.own_headers.get_head_for(request, target),
    )
    .await
}

/// The same on behalf of nobody's request.
pub async fn get_alone(worker: &Worker, target: &str) -> Result<Response, ApiError> {
    send(worker, worker.shared.own_headers.get_head(target)).await
}

async fn send(worker: &Worker, head: Bytes) -> Result<Response, ApiError> {
    let outgoing = OutgoingRequest::of_head(head);
    let sent = worker.backend.send(&outgoing, || {}).await;
    sent.map_err(|error| unanswered(&error))
}

/// Whether the backend says that there is no object of this id.
pub async fn tells_gone(worker: &Worker, response: &mut Response, id: &str) -> bool {
    const MAX_ERROR_BYTES: usize = 64 * 1024;
    if !may_tell_gone(response.status, &response.headers) {
        return false;
    }
    let budget = &worker.shared.admission.bodies;
    let body = whole_body(response, MAX_ERROR_BYTES, budget).await;
    body.is_ok_and(|body| memchr::memmem::find(&body, id.as_bytes()).is_some())
}

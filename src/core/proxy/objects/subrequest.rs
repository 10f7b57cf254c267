//! Requests of the proxy itself to the backend: for the pages of a list, the input of a batch, an
//! object that is about to be deleted, and objects that nobody has looked at.

use actix_web::HttpRequest;
use bytes::Bytes;

use crate::proxy::{
    backend::{OutgoingRequest, Response},
    error::ApiError,
    response::{answer::may_report_missing, backend_error::error_of, read::whole_body},
    state::Worker,
};

/// Gets a path with the backend's key. The headers are those of the client's request.
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

/// Gets a path with the backend's key, without a client's request.
pub async fn get_alone(worker: &Worker, target: &str) -> Result<Response, ApiError> {
    send(worker, worker.shared.own_headers.get_head(target)).await
}

async fn send(worker: &Worker, head: Bytes) -> Result<Response, ApiError> {
    let outgoing = OutgoingRequest::of_head(head);
    let sent = worker.backend.send(&outgoing, || {}).await;
    sent.map_err(|error| error_of(&error))
}

/// Returns whether the backend says that there is no object of this id.
pub async fn reports_missing(worker: &Worker, response: &mut Response, id: &str) -> bool {
    const MAX_ERROR_BYTES: usize = 64 * 1024;
    if !may_report_missing(response.status, &response.headers) {
        return false;
    }
    let budget = &worker.shared.admission.bodies;
    let body = whole_body(response, MAX_ERROR_BYTES, budget).await;
    body.is_ok_and(|body| memchr::memmem::find(&body, id.as_bytes()).is_some())
}

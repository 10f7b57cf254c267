//! The realtime API: a WebSocket whose bytes pass untouched both ways, while the answers that come
//! through it are booked. In OpenAI's API reference, realtime server events, `response.done`
//! reports the usage of a response, and `conversation.item.input_audio_transcription.completed`
//! that of a transcription.

mod events;
mod tunnel;

use std::{rc::Rc, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    web,
};
use bytes::Bytes;

use super::{
    accounting::request_context::RequestContext,
    backend::{Opened, OutgoingRequest},
    error::ApiError,
    headers::keep_end_to_end,
    request::{clean_text, payload, prepare::Expected},
    response::{answer, backend_error::error_of},
    routes::Endpoint,
    state::Worker,
};
use crate::sight::LiveRequest;

use tunnel::Tunnel;

/// Opens a socket.
///
/// # Errors
/// The errors of any request, 426 for a request that opens no WebSocket, and the errors of the
/// backend.
pub async fn open(
    worker: &Worker,
    request: &HttpRequest,
    payload: web::Payload,
    endpoint: Endpoint,
    live: &Rc<LiveRequest>,
) -> Result<HttpResponse, ApiError> {
    let shared = &worker.shared;
    let arrival = worker.identify(request, live).await?;
    check(request)?;
    let mut context = RequestContext::new(request, arrival, endpoint, Rc::clone(live));
    context.model = query(request, "model").map_or_else(String::new, |model| clean_text(&model));
    context.rules = shared.admission.limits.of_user(context.arrival.caller.id);
    if let Some(rules) = context.rules.as_ref().filter(|_| !context.model.is_empty()) {
        shared.admission.limits.check_model(rules, &context.model)?;
    }
    // Without a model in the query, the first event of the backend names it.
    context.names_model_later = context.model.is_empty();
    let mut exchange = worker.admit(context).await?;
    let outgoing = OutgoingRequest::of_head(shared.own_headers.upgrade_head_for(request));
    let opened = worker.backend.open_socket(&outgoing).await;
    let socket = match opened.map_err(|error| error_of(&error))? {
        Opened::Socket(socket) => socket,
        Opened::Refused(response) => {
            let expected = Expected::unedited(false);
            let read_ahead = Bytes::new();
            return answer::answer(
                response,
                read_ahead,
                exchange,
                worker.streams(),
                expected,
                None,
            )
            .await;
        }
    };
    exchange.mark_socket_open();
    let headers = end_to_end(&socket.headers);
    let tunnel = Tunnel::new(socket, payload, exchange, Arc::clone(shared));
    let mut response = HttpResponse::build(StatusCode::SWITCHING_PROTOCOLS)
        .upgrade("websocket")
        .body(tunnel);
    for (name, value) in headers {
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

/// Checks that the request opens a WebSocket (RFC 6455 section 4.2.1), and not another user's call.
fn check(request: &HttpRequest) -> Result<(), ApiError> {
    let headers = request.headers();
    let has_key = headers.contains_key(header::SEC_WEBSOCKET_KEY);
    if !payload::offers_websocket(headers) || !has_key {
        return Err(ApiError::invalid_request(
            StatusCode::UPGRADE_REQUIRED,
            Some("websocket_required"),
            "This path speaks WebSocket only: connect to it with ws:// or wss://. If you did, a reverse proxy on the way does not pass on the \
             Upgrade and Connection headers.",
        ));
    }
    if query(request, "call_id").is_some() {
        return Err(ApiError::closed(
            "Calls are not served by this proxy: one user could join another's. Connect with ?model= instead.",
        ));
    }
    Ok(())
}

/// Returns the last value of a parameter of the query.
fn query(request: &HttpRequest, name: &str) -> Option<String> {
    url::form_urlencoded::parse(request.query_string().as_bytes())
        .filter(|(key, _)| key == name)
        .last()
        .map(|(_, value)| value.into_owned())
}

/// Returns the headers of the answer that opened the socket. Extensions were not offered, so that
/// none can be chosen.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = keep_end_to_end(headers.clone());
    headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    headers
}

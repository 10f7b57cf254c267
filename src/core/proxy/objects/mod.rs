//! Stored objects: what a request refers to belongs to its caller, and what its answer makes
//! is remembered. This is a wing of its own; a request that concerns no objects never comes here.

mod batch_input;
mod billing;
pub mod lists;
pub mod reconciler;
mod subrequest;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};

use super::{
    accounting::{exchange::Exchange, recorder::ObjectRecorder, request_context::RequestContext},
    admission::owners,
    error::ApiError,
    request::prepare::PreparedRequest,
    response::relay::DetachedReader,
    routes::{ObjectEffect, RESPONSES, Route, Stateful},
    state::Worker,
};
use crate::{model::ObjectKind, store::accounts::AccountState};

/// Lets a request on if its path and cursors identify its caller's own objects only, and begins to
/// record what it does to them.
///
/// # Errors
/// 404 for an object that is another's or unknown, 503 if the database cannot be read.
pub async fn check_path(
    worker: &Worker,
    context: &mut RequestContext<'_>,
    route: &Route<'_>,
) -> Result<(), ApiError> {
    let owners = &worker.shared.admission.owners;
    let caller = &context.arrival.caller;
    let account = if route.ids.is_empty() {
        AccountState::Closed
    } else {
        owners.check_path(caller, &route.ids).await?
    };
    if !route.ids.is_empty()
        && let Some(kind) = route.endpoint.cursor_kind()
    {
        let query = context.request.query_string();
        owners.check_cursors(caller, query, kind).await?;
    }
    let path_id = route.ids.first().map(|(_, id)| *id);
    let recorder = ObjectRecorder::new(
        route.endpoint.effect,
        caller,
        path_id,
        account,
        &owners.giving,
    );
    context.recorder = Some(Box::new(recorder));
    Ok(())
}

/// Lets a request on if its body refers to its caller's own objects only, and does what has to be
/// done before it goes on.
///
/// # Errors
/// 404 for an object that is another's or unknown, and for all objects while they are closed; 400
/// for what cannot be recorded; 503 if the database or the backend cannot be read.
pub async fn check_body(
    worker: &Worker,
    context: &mut RequestContext<'_>,
    prepared: &PreparedRequest,
    ids: &[(ObjectKind, &str)],
) -> Result<(), ApiError> {
    let endpoint = context.endpoint;
    if worker.shared.endpoints.stateful() == Stateful::Off {
        return refuse_objects(prepared);
    }
    if endpoint.effect == ObjectEffect::Response && prepared.chooses_id() {
        return Err(owners::chosen_id());
    }
    let owners = &worker.shared.admission.owners;
    owners
        .check_references(&context.arrival.caller, &prepared.references)
        .await?;
    let storage = prepared.storage;
    if endpoint.effect == ObjectEffect::Chat && (storage.audio || storage.store == Some(true)) {
        let caller = Arc::clone(&context.arrival.caller);
        context.recorder = Some(Box::new(ObjectRecorder::of_chat(
            storage,
            &caller,
            &owners.giving,
        )));
    }
    if let Some(recorder) = &mut context.recorder {
        recorder.add_client_ids(prepared.references.iter().map(|found| &found.claim));
        if storage.background && endpoint.path == RESPONSES {
            recorder.set_background();
        } else if storage.store == Some(false) {
            recorder.set_unstored();
        }
    }
    if prepared.leaves_items() && endpoint.effect != ObjectEffect::Chat {
        reserve_given_ids(worker, context).await?;
    }
    match (endpoint.effect, ids.first()) {
        (ObjectEffect::Batch, None) => {
            batch_input::check_input(worker, context, &prepared.references).await
        }
        (ObjectEffect::Forgotten, Some((_, id))) => {
            billing::before_deletion(worker, context, id).await
        }
        _ => Ok(()),
    }
}

/// Refuses a body that concerns stored objects while they are closed.
fn refuse_objects(prepared: &PreparedRequest) -> Result<(), ApiError> {
    // A reference to audio may pass: its id cannot be guessed and no request returns it, so that
    // only the user whose answer had it can name it.
    let mut looked_up = prepared
        .references
        .iter()
        .filter(|found| found.claim.is_looked_up && found.claim.kind != ObjectKind::Audio);
    if let Some(reference) = looked_up.next() {
        return Err(owners::closed_reference(&reference.member));
    }
    if prepared.storage.background {
        return Err(owners::closed_background());
    }
    Ok(())
}

/// Counts in the ids that a request gives to items which the backend may keep.
async fn reserve_given_ids(
    worker: &Worker,
    context: &mut RequestContext<'_>,
) -> Result<(), ApiError> {
    if let Some(recorder) = &mut context.recorder
        && let Some(ids) = recorder.ids_to_reserve()
    {
        let owners = &worker.shared.admission.owners;
        let giving = owners.reserve(&context.arrival.caller, ids).await?;
        recorder.set_reserved(giving);
    }
    Ok(())
}

/// Returns whether the backend goes on with a request when its client leaves, and its answer says
/// how to find what it makes, or that it ended.
#[must_use]
pub fn outlives_client(context: &RequestContext<'_>, prepared: &PreparedRequest) -> bool {
    let recorder = context.recorder.as_ref();
    prepared.storage.background
        || context.endpoint.effect == ObjectEffect::Batch
        || recorder.is_some_and(|recorder| recorder.has_unfinished())
}

/// Sends a request that goes on without its client, from a task of its own.
///
/// # Errors
/// As [`Worker::send`]; 500 if the task panics.
pub async fn send_detached(
    worker: &Worker,
    request: &HttpRequest,
    prepared: PreparedRequest,
    exchange: Box<Exchange>,
) -> Result<HttpResponse, ApiError> {
    let sending = worker.send(request, prepared, exchange, Some(DetachedReader::new()));
    let sent = tokio::task::spawn_local(sending).await;
    sent.unwrap_or_else(|_| Err(panicked()))
}

/// Returns the 500 for a task that panicked. The log says why.
fn panicked() -> ApiError {
    ApiError::server(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        "This proxy failed on the request.",
    )
}

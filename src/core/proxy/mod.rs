//! The way of a request through the proxy. [`handle`] and `forward` are the way, from top to
//! bottom: which endpoint, who, may they, what, when, send, answer. Each step has a room;
//! ARCHITECTURE.md has a picture of them.

pub mod accounting;
pub mod admission;
pub mod backend;
pub mod body;
pub mod cors;
pub mod error;
pub mod headers;
mod models;
pub mod objects;
mod realtime;
pub mod request;
mod response;
pub mod routes;
pub mod state;
mod upload;

use std::rc::Rc;

use actix_web::{HttpRequest, HttpResponse, web};

use accounting::request_context::RequestContext;
use error::{ApiError, name_request};
use request::{LimitEdits, body_kind::BodyKind, payload, prepare::PreparedRequest, route::route};
use response::finish::{Seen, framed_for, refuse};
use routes::{Body, MODELS, ObjectEffect, Route};
use state::Worker;

use crate::{
    model::{RequestId, now_ms},
    sight::LiveRequest,
};

/// Serves every path but those of the admin API and the health check.
pub async fn handle(
    request: HttpRequest,
    mut payload: web::Payload,
    worker: web::Data<Worker>,
) -> HttpResponse {
    if let Some(cors) = &worker.shared.cors
        && let Some(response) = cors.preflight(&request)
    {
        return response;
    }
    let (admission, sight) = (&worker.shared.admission, &worker.sight);
    let refusals = &worker.accounting.refusals;
    let id = RequestId::new(now_ms());
    let mut live = None;
    let result = match route(&worker.shared.endpoints, &request) {
        // Boxed, as all rare ways are, because every request's future would have room for them.
        Ok(route) if route.endpoint.body == Body::Socket => {
            let live = sight.enter(route.endpoint.path, id);
            let opening = realtime::open(&worker, &request, payload, route.endpoint, &live);
            return match Box::pin(opening).await {
                Ok(mut response) => {
                    note_answer(&live, &response);
                    name_request(&mut response, id);
                    response
                }
                Err(error) => {
                    let seen = Seen::Request(&live);
                    framed_for(
                        &request,
                        refuse(&request, admission, refusals, &error, seen).await,
                    )
                }
            };
        }
        Ok(route) => {
            let live = live.insert(sight.enter(route.endpoint.path, id));
            forward(&request, &mut payload, &worker, &route, live).await
        }
        Err(error) => Err(error),
    };
    let response = match result {
        Ok(mut response) => {
            if let Some(live) = &live {
                note_answer(live, &response);
            }
            name_request(&mut response, id);
            response
        }
        Err(error) => {
            Box::pin(async {
                let seen = match &live {
                    Some(live) => Seen::Request(live),
                    None => Seen::UnknownPath(sight, id),
                };
                let response = refuse(&request, admission, refusals, &error, seen).await;
                payload::drain_body(request.headers(), &mut payload).await;
                response
            })
            .await
        }
    };
    let mut response = framed_for(&request, response);
    if let Some(cors) = &worker.shared.cors {
        cors.allow(&request, response.headers_mut());
    }
    response
}

/// Notes what the client is answered. An error among the answers is the backend's.
fn note_answer(live: &LiveRequest, response: &HttpResponse) {
    let status = response.status().as_u16();
    live.set_status(status);
    if status >= 400 {
        let message = "The backend answered with this status.";
        live.failed(status, "backend_error", message);
    }
}

async fn forward(
    request: &HttpRequest,
    payload: &mut web::Payload,
    worker: &Worker,
    route: &Route<'_>,
    live: &Rc<LiveRequest>,
) -> Result<HttpResponse, ApiError> {
    let shared = &worker.shared;
    let endpoint = route.endpoint;

    // Who calls, and may they?
    let arrival = worker.identify(request, live).await?;
    let limits = &shared.admission.limits;
    let mut context = RequestContext::new(request, arrival, endpoint, Rc::clone(live));
    context.rules = limits.of_user(context.arrival.caller.id);
    let rules = context.rules.clone();
    if let Some(rules) = &rules {
        models::check_before_body(limits, rules, endpoint, request)?;
    }
    let mut response = proceed(context, payload, worker, route).await?;
    if let Some(rules) = &rules {
        let (now, unix_ms) = live.last_look();
        let at = limits.shared.moment_at(now, unix_ms);
        limits.replace_rate_headers(rules, at, response.headers_mut());
    }
    Ok(response)
}

async fn proceed(
    mut context: RequestContext<'_>,
    payload: &mut web::Payload,
    worker: &Worker,
    route: &Route<'_>,
) -> Result<HttpResponse, ApiError> {
    let (shared, request, endpoint) = (&worker.shared, context.request, context.endpoint);
    let limits = &shared.admission.limits;
    if shared.endpoints.concerns_objects(route) {
        Box::pin(objects::check_path(worker, &mut context, route)).await?;
    }

    // What do they ask for?
    match BodyKind::of(request, endpoint)? {
        BodyKind::None => payload::discard_body(request.headers(), payload).await?,
        BodyKind::Upload => return Box::pin(upload::forward(worker, context, payload)).await,
        BodyKind::Read => {
            let (limit_bytes, bodies) = (shared.max_body_bytes, &shared.admission.bodies);
            context.body = payload::read_body(request.headers(), payload, limit_bytes, |bytes| {
                bodies.grow(&mut context.share, bytes)
            })
            .await?;
        }
    }
    context.live.body_read();
    if let ObjectEffect::Listed(kind) = endpoint.effect {
        return Box::pin(objects::lists::own_page(worker, context, kind)).await;
    }
    if endpoint.path == MODELS && context.rules.as_ref().is_some_and(|r| r.restricts_models()) {
        return Box::pin(models::allowed_models(worker, context)).await;
    }
    let (stream_usage, refusals) = (shared.stream_usage, &shared.usage_option_refusals);
    let edits = LimitEdits::of(context.rules.as_deref());
    let mut prepared =
        PreparedRequest::of(endpoint, &context.body, stream_usage, refusals, edits).await?;
    let mut outlives_client = false;
    if prepared.concerns_objects() {
        let checked = objects::check_body(worker, &mut context, &prepared, &route.ids);
        Box::pin(checked).await?;
        outlives_client = objects::outlives_client(&context, &prepared);
    }
    context.model = std::mem::take(&mut prepared.model);
    context.service_tier = prepared.service_tier.take();
    context.asked = prepared.asked;
    if let Some(rules) = &context.rules {
        limits.check(rules, endpoint, &context.model, prepared.output_limit)?;
        for model in &prepared.further_models {
            limits.check_model(rules, model)?;
        }
    }

    // When is it their turn?
    let exchange = worker.admit(context).await?;

    // The backend is asked, and its answer passed on.
    if outlives_client {
        return Box::pin(objects::send_detached(worker, request, prepared, exchange)).await;
    }
    worker.send(request, prepared, exchange, None).await
}

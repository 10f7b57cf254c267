//! One request's way through the proxy. [`handle`] is the way, read top to bottom: who, what, when, send, answer.

pub mod accounting;
pub mod admission;
pub mod backend;
pub mod body;
pub mod error;
pub mod headers;
pub mod objects;
mod realtime;
pub mod request;
pub mod response;
pub mod routes;
pub mod upload;
pub mod usage_option;

use std::{
    future::Future,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    http::{ConnectionType, Method, StatusCode, Version},
    web,
};
use bytes::Bytes;

pub use admission::{
    given_ids::GivenIds,
    owners::{self, Owners},
};

use accounting::access_log::{log_refusal, peer_of};
use accounting::estimator::Estimator;
use accounting::exchange::{Exchange, RequestContext, WorkerAccounting};
use accounting::recorder::ObjectRecorder;
use admission::auth::{Caller, KeyTable};
use admission::body_budget::{BodyBudget, BodyShare};
use admission::gate::{Drain, Gate, InFlight, Permit, UploadShares};
use admission::throttle::Throttle;
use backend::{Backend, BackendError, Connector, OutgoingRequest};
use body::BodyParts;
use error::{ApiError, ErrorShape};
use headers::BodyLength;
use headers::OwnHeaders;
use objects::{batch_input, billing, lists, reconciler};
use request::body_kind::BodyKind;
use request::prepare::{Expected, PreparedRequest, StreamUsage};
use request::{payload, query};
use response::coalescer::ReadCoalescer;
use response::{answer, relay::DetachedReader};
use routes::{Endpoints, Found, ObjectEffect, RESPONSES, Stateful};
use upload::{ClientUpload, LookUp};
use usage_option::{Retried, UneditedRequest, UsageOptionRefusals};

use crate::{
    model::ObjectKind,
    store::{
        accounts::AccountState,
        ledger::{Ledger, WorkerLedger},
    },
    usage::{Templates, UsageOnlyEvents},
};

/// Twice the time within which the ledger's thread notices a new user.
const NEW_KEY_PATIENCE: Duration = Duration::from_millis(100);

/// What all workers share.
pub struct Shared {
    pub endpoints: Endpoints,
    pub keys: Arc<KeyTable>,
    pub owners: Owners,
    /// How often what nobody has looked at is looked at.
    pub settle_interval: Duration,
    /// One worker looks.
    pub has_sweeper: AtomicBool,
    pub ledger: Ledger,
    pub estimator: Estimator,
    pub gate: Gate,
    pub uploads: UploadShares,
    pub drain: Arc<Drain>,
    pub own_headers: OwnHeaders,
    pub stream_usage: StreamUsage,
    pub usage_option_refusals: UsageOptionRefusals,
    pub max_body_bytes: usize,
    pub body_budget: BodyBudget,
    pub throttle: Arc<Throttle>,
}

/// One worker's proxy.
pub struct Proxy {
    shared: Arc<Shared>,
    books: Rc<WorkerAccounting>,
    backend: Rc<Backend>,
}

impl Proxy {
    /// Must be called on the worker that uses it.
    #[must_use]
    pub fn start(shared: Arc<Shared>, connector: Arc<Connector>) -> web::Data<Self> {
        let proxy = web::Data::new(Self::new(shared, connector));
        let is_private = proxy.shared.endpoints.stateful() == Stateful::Private;
        if is_private && !proxy.shared.has_sweeper.swap(true, Ordering::Relaxed) {
            let every = proxy.shared.settle_interval;
            let proxy = Arc::downgrade(&proxy);
            tokio::task::spawn_local(reconciler::run(proxy, every));
        }
        proxy
    }

    /// Whether a path is served for POST.
    fn takes_post(&self, request: &HttpRequest) -> bool {
        let endpoints = &self.shared.endpoints;
        endpoints.find(&Method::POST, request.uri().path()).is_ok()
    }

    fn new(shared: Arc<Shared>, connector: Arc<Connector>) -> Self {
        Self {
            books: Rc::new(WorkerAccounting {
                ledger: WorkerLedger::new(shared.ledger.clone()),
                estimator: shared.estimator.clone(),
                templates: Templates::default(),
                pace: ReadCoalescer::new(),
            }),
            shared,
            backend: Rc::new(Backend::new(connector)),
        }
    }
}

/// Serves every path that is not the admin's or the health check's.
pub async fn handle(
    request: HttpRequest,
    mut payload: web::Payload,
    proxy: web::Data<Proxy>,
) -> HttpResponse {
    let found = proxy
        .shared
        .endpoints
        .find(request.method(), request.uri().path())
        .and_then(|found| query::check(request.query_string(), &found.endpoint).map(|()| found));
    let result = match found {
        Err(_) if payload::offers_websocket(request.headers()) && proxy.takes_post(&request) => {
            Err(ApiError::no_websocket())
        }
        Err(error) => Err(error),
        Ok(found) if found.endpoint.body == routes::Body::Socket => {
            // Boxed, as uploads are, lest every request's future have room for the rare ones.
            return match Box::pin(realtime::open(&proxy, &request, payload, found.endpoint)).await {
                Ok(response) => response,
                Err(error) => ended(&request, refuse(&request, &proxy, &error).await),
            };
        }
        Ok(found) => forward(&request, &mut payload, &proxy, &found).await,
    };
    let response = match result {
        Ok(response) => response,
        Err(error) => {
            Box::pin(async {
                let response = refuse(&request, &proxy, &error).await;
                payload::drain_body(request.headers(), &mut payload).await;
                response
            })
            .await
        }
    };
    ended(&request, response)
}

/// Frames an answer for the client's version of HTTP.
///
/// A client of HTTP/1.0 knows no chunks: a body without a length ends with the connection, even where the client asked to
/// keep it (RFC 9112 sections 6.1 and 6.3). actix would send chunks. Behind an answer to a request that offered another
/// protocol, as Java's clients do with HTTP/2, actix closes the connection; the client is told, so that it does not send its
/// next request into it.
fn ended(request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    let is_old = request.version() < Version::HTTP_11;
    let ends_with_connection = is_old && response.body().size() == BodySize::Stream;
    if ends_with_connection || request.head().upgrade() {
        let head = response.head_mut();
        head.no_chunking(ends_with_connection);
        head.set_connection_type(ConnectionType::Close);
    }
    response
}

async fn refuse(request: &HttpRequest, proxy: &Proxy, error: &ApiError) -> HttpResponse {
    let response = error.to_response(ErrorShape::of_path(request.path()));
    if !error.is_logged() {
        let caller = proxy.shared.keys.identify(request.headers());
        log_refusal(request, caller.as_deref(), error, &response);
    }
    if error.status() == StatusCode::UNAUTHORIZED {
        slow_down(&proxy.shared.throttle, request).await;
    }
    response
}

/// Holds up the answer to a wrong key or token.
pub async fn slow_down(throttle: &Throttle, request: &HttpRequest) {
    let delay = throttle.wrong_guess(peer_of(request).address());
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

async fn forward(
    request: &HttpRequest,
    payload: &mut web::Payload,
    proxy: &Proxy,
    found: &Found<'_>,
) -> Result<HttpResponse, ApiError> {
    let (endpoint, ids) = (found.endpoint, &found.ids);
    let started = Instant::now();
    let shared = &proxy.shared;
    let in_flight = shared.drain.enter()?;
    let caller = caller_of(request, &shared.keys).await?;
    if !proxy.books.ledger.accepts_requests() {
        return Err(ApiError::ledger_unavailable().retry_after(5));
    }
    let account = if ids.is_empty() {
        AccountState::Closed
    } else {
        shared.owners.check_path(&caller, ids).await?
    };
    if !ids.is_empty()
        && let Some(kind) = endpoint.cursor_kind()
    {
        let query = request.query_string();
        shared.owners.check_cursors(&caller, query, kind).await?;
    }
    let mut asked = RequestContext {
        keeping: ObjectRecorder::new(
            endpoint.keeps,
            shared.endpoints.stateful(),
            caller.id,
            ids.first().map(|(_, id)| *id),
            account,
            &shared.owners.giving,
        ),
        request,
        caller,
        endpoint,
        model: String::new(),
        body: BodyParts::default(),
        share: BodyShare::default(),
        started,
    };
    match BodyKind::of(request, endpoint)? {
        BodyKind::None => payload::drop_body(request.headers(), payload).await?,
        BodyKind::Upload => {
            return Box::pin(send_upload(proxy, asked, payload, in_flight)).await;
        }
        BodyKind::Read => {
            let limit_bytes = shared.max_body_bytes;
            asked.body = payload::read_body(request.headers(), payload, limit_bytes, |bytes| {
                shared.body_budget.grow(&mut asked.share, bytes)
            })
            .await?;
        }
    }
    if let ObjectEffect::Listed(kind) = endpoint.keeps {
        return Box::pin(lists::own_page(proxy, asked, kind, in_flight)).await;
    }
    let mut plan = PreparedRequest::of(endpoint, &asked.body, shared.stream_usage).await?;
    if plan.unedited.is_some() && shared.usage_option_refusals.contains(&plan.model) {
        plan.leave_unedited();
    }
    if plan.speaks_of_objects() {
        Box::pin(settle_objects(proxy, &mut asked, &plan, ids)).await?;
    }
    let permit = shared.gate.enter().await?;
    // The backend goes on with these when the client leaves, and tells in its answer how to find them, or that they ended.
    let outlives_client = plan.keeping.background
        || endpoint.keeps == ObjectEffect::Batch
        || asked.keeping.has_unfinished();
    let detached = outlives_client.then(DetachedReader::new);
    // One future for each way: kept for both, it would take its room twice in every request's.
    if outlives_client {
        let sending = send(proxy, asked, plan, permit, in_flight, detached);
        let sent = tokio::task::spawn_local(sending).await;
        return sent.unwrap_or_else(|_| Err(panicked()));
    }
    send(proxy, asked, plan, permit, in_flight, detached).await
}

/// What concerns stored objects before a request goes on.
async fn settle_objects(
    proxy: &Proxy,
    asked: &mut RequestContext<'_>,
    plan: &PreparedRequest,
    ids: &[(ObjectKind, &str)],
) -> Result<(), ApiError> {
    let owners = &proxy.shared.owners;
    if proxy.shared.endpoints.stateful() == Stateful::Off {
        // Nobody can guess the id of audio, and it cannot be asked for: it stays with whom it was sent to.
        let mut looked_up = plan
            .references
            .iter()
            .filter(|found| found.claim.is_looked_up && found.claim.kind != ObjectKind::Audio);
        if let Some(reference) = looked_up.next() {
            return Err(owners::closed_reference(&reference.member));
        }
        if plan.keeping.background {
            return Err(owners::closed_background());
        }
        return Ok(());
    }
    if asked.endpoint.keeps == ObjectEffect::Response && plan.chooses_id() {
        return Err(owners::chosen_id());
    }
    owners
        .check_references(&asked.caller, &plan.references)
        .await?;
    let claims = plan.references.iter().map(|found| &found.claim);
    asked.keeping.gives(claims);
    if plan.leaves_items() {
        objects::count_given_ids(&proxy.shared.owners, asked).await?;
    }
    if plan.keeping.background && asked.endpoint.path == RESPONSES {
        asked.keeping.runs_in_background();
    } else if plan.keeping.store == Some(false) {
        asked.keeping.stores_nothing();
    }
    if asked.endpoint.keeps == ObjectEffect::Chat {
        if plan.keeping.audio {
            asked.keeping.asks_audio();
        }
        if plan.keeping.store == Some(true) {
            asked.keeping.stores_chat();
        }
    }
    match (asked.endpoint.keeps, ids.first()) {
        (ObjectEffect::Batch, None) => {
            batch_input::check_input(proxy, asked, &plan.references).await
        }
        (ObjectEffect::Forgotten, Some((_, id))) => {
            billing::before_deletion(proxy, asked, id).await
        }
        _ => Ok(()),
    }
}

/// Who calls. A key that another process made a moment ago is not known yet: one of our form is looked up once more
/// before it is refused, so that `KEY=$(llmproxy user add alice)` can be used in the next line of a script.
async fn caller_of(request: &HttpRequest, keys: &KeyTable) -> Result<Arc<Caller>, ApiError> {
    match keys.authenticate(request.headers()) {
        Err(error)
            if error.status() == StatusCode::UNAUTHORIZED
                && admission::auth::has_our_form(request.headers()) =>
        {
            tokio::time::sleep(NEW_KEY_PATIENCE).await;
            keys.authenticate(request.headers())
        }
        other => other,
    }
}

/// Asks the backend, and turns its answer into the client's.
fn send(
    proxy: &Proxy,
    mut asked: RequestContext<'_>,
    plan: PreparedRequest,
    permit: Permit,
    in_flight: InFlight,
    detached: Option<DetachedReader>,
) -> impl Future<Output = Result<HttpResponse, ApiError>> + use<> {
    let unedited = plan.unedited.map(|body| UneditedRequest {
        shared: Arc::clone(&proxy.shared),
        request: asked.request.clone(),
        model: plan.model.clone(),
        body,
    });
    asked.model = plan.model;
    let bytes = plan.body.len() as u64;
    let length = if plan.is_json {
        BodyLength::Json(bytes)
    } else {
        BodyLength::Known(bytes)
    };
    let head = proxy.shared.own_headers.head_for(asked.request, length);
    let outgoing = OutgoingRequest::new(head, plan.body);
    let exchange = Exchange::new(asked, Rc::clone(&proxy.books), permit, in_flight);
    let backend = Rc::clone(&proxy.backend);
    exchange_with(
        backend,
        outgoing,
        unedited,
        exchange,
        plan.expected,
        detached,
    )
}

async fn exchange_with(
    backend: Rc<Backend>,
    outgoing: OutgoingRequest,
    unedited: Option<UneditedRequest>,
    mut exchange: Box<Exchange>,
    mut expected: Expected,
    detached: Option<DetachedReader>,
) -> Result<HttpResponse, ApiError> {
    let sent = backend.send(&outgoing, || exchange.asked()).await;
    let mut response = sent.map_err(|error| {
        exchange.unanswered();
        unanswered(&error)
    })?;
    drop(outgoing);
    let mut read_ahead = Bytes::new();
    if let Some(unedited) = unedited.filter(|_| response.status.is_client_error()) {
        // Boxed: it is rare, and every request's future would have room for it.
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
                exchange.unanswered();
                return Err(unanswered(&error));
            }
        };
    }
    answer::answer(response, read_ahead, exchange, expected, detached).await
}

/// The same for a body that goes out as it comes in: it takes its place while it uploads.
async fn send_upload(
    proxy: &Proxy,
    asked: RequestContext<'_>,
    payload: &mut web::Payload,
    in_flight: InFlight,
) -> Result<HttpResponse, ApiError> {
    let shared = &proxy.shared;
    let headers = asked.request.headers();
    upload::check(headers)?;
    let share = shared.uploads.enter(asked.caller.id)?;
    let permit = shared.gate.enter().await?;
    let length = upload::length_of(headers);
    let head = shared.own_headers.head_for(asked.request, length);
    let outgoing = OutgoingRequest::of_head(head);
    let mut exchange = Exchange::new(asked, Rc::clone(&proxy.books), permit, in_flight);
    let look_up = LookUp {
        owners: shared.owners.clone(),
        caller: Arc::clone(exchange.caller()),
        stateful: shared.endpoints.stateful(),
    };
    let mut upload = ClientUpload::new(headers, payload, &mut exchange, look_up);
    let sent = proxy.backend.send_upload(&outgoing, &mut upload).await;
    let (fields, client_error) = (upload.fields(), upload.into_error());
    drop(share);
    exchange.set_model(fields.model.unwrap_or_default());
    let response = match sent {
        Ok(response) => response,
        Err(error) => {
            exchange.unanswered();
            // The client's own fault is told as such.
            return Err(client_error.unwrap_or_else(|| unanswered(&error)));
        }
    };
    let expected = Expected {
        stream: fields.stream,
        usage_only_events: UsageOnlyEvents::Pass,
    };
    answer::answer(response, Bytes::new(), exchange, expected, None).await
}

/// What a client is told when there is no answer. The reason goes into the log, it may name internal hosts.
fn unanswered(error: &BackendError) -> ApiError {
    log::warn!("{error}");
    match error {
        BackendError::Unreachable(_) | BackendError::ConnectTimeout(_) => ApiError::server(
            StatusCode::BAD_GATEWAY,
            "backend_unreachable",
            "The backend behind this proxy cannot be reached. Try again later.",
        ),
        BackendError::OutOfFiles => ApiError::server(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "This proxy has too many connections open. Try again in a moment.",
        )
        .retry_after(1),
        BackendError::BrokeOff(_) => ApiError::server(
            StatusCode::BAD_GATEWAY,
            "backend_broke_off",
            "The backend behind this proxy closed the connection without an answer.",
        ),
        BackendError::Silent(_) => ApiError::server(
            StatusCode::GATEWAY_TIMEOUT,
            "backend_timeout",
            "The backend behind this proxy did not answer in time.",
        ),
        BackendError::Upload => ApiError::invalid_request(
            StatusCode::BAD_REQUEST,
            None,
            "The request body broke off or was malformed.",
        ),
        BackendError::InvalidResponse(_) => ApiError::server(
            StatusCode::BAD_GATEWAY,
            "backend_invalid_response",
            "The backend behind this proxy sent no valid HTTP answer.",
        ),
    }
}

/// Of a task; the log says what happened.
fn panicked() -> ApiError {
    ApiError::server(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        "This proxy failed on the request.",
    )
}

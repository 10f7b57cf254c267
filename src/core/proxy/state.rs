//! What all workers share, and what each worker has of its own.

use std::{
    future::Future,
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use actix_web::{HttpRequest, HttpResponse};

use super::{
    accounting::{
        estimator::Estimator,
        exchange::{Exchange, WorkerAccounting},
        refusals::RefusalBuffer,
        request_context::RequestContext,
        running::RunningRequests,
    },
    admission::{AdmissionControl, Applicant, Arrival, demand::Conditions},
    backend::{Backend, Connector, OutgoingRequest},
    cors::CorsOrigins,
    error::ApiError,
    headers::{BodyLength, OwnHeaders},
    request::{
        prepare::{PreparedRequest, StreamUsage},
        usage_option::UsageOptionRefusals,
    },
    response::{WorkerStreams, relay::DetachedReader, retry::UneditedRequest, send},
    routes::Endpoints,
};
use crate::{
    alerts::AlertSink,
    sight::{LiveRequest, Sight, WorkerSight},
    store::ledger::{Ledger, WorkerLedger},
};

/// What all workers share.
pub struct Shared {
    pub endpoints: Endpoints,
    pub admission: AdmissionControl,
    pub ledger: Ledger,
    pub estimator: Estimator,
    pub alerts: AlertSink,
    pub sight: Arc<Sight>,
    /// The web pages that may call the API. `None` if none may.
    pub cors: Option<CorsOrigins>,
    pub own_headers: Arc<OwnHeaders>,
    pub stream_usage: StreamUsage,
    pub usage_option_refusals: Arc<UsageOptionRefusals>,
    pub max_body_bytes: usize,
    /// Interval of the reconciler.
    pub reconcile_interval: Duration,
    /// One of the workers runs the reconciler.
    pub has_reconciler: AtomicBool,
}

/// One worker: what it shares with the others, its connections to the backend, and its way to the
/// ledger.
pub struct Worker {
    pub shared: Arc<Shared>,
    pub accounting: Rc<WorkerAccounting>,
    pub backend: Rc<Backend>,
    pub sight: Arc<WorkerSight>,
    streams: Rc<WorkerStreams>,
}

impl Worker {
    /// Makes the state of a worker. It must be called on the worker's own thread.
    #[must_use]
    pub fn new(shared: Arc<Shared>, connector: Arc<Connector>) -> Self {
        let ledger = WorkerLedger::new(shared.ledger.clone());
        let running: Rc<RunningRequests> = Rc::default();
        let refusals: Rc<RefusalBuffer> = Rc::default();
        running.start(
            Rc::clone(&ledger),
            shared.estimator.clone(),
            Rc::clone(&refusals),
        );
        Self {
            accounting: Rc::new(WorkerAccounting {
                running,
                ledger,
                estimator: shared.estimator.clone(),
                refusals,
                alerts: shared.alerts.clone(),
            }),
            streams: Rc::new(WorkerStreams::new()),
            sight: shared.sight.worker(),
            shared,
            backend: Rc::new(Backend::new(connector)),
        }
    }

    /// Finds out who calls, and notes it.
    ///
    /// # Errors
    /// 401 and 403 as [`AdmissionControl::identify`] says, 503 if the server stops or its rows
    /// cannot be written.
    pub async fn identify(
        &self,
        request: &HttpRequest,
        live: &LiveRequest,
    ) -> Result<Arrival, ApiError> {
        let arrival = self.shared.admission.identify(request.headers()).await?;
        live.identified(arrival.caller.id);
        if !self.accounting.ledger.accepts_requests() {
            return Err(ApiError::ledger_unavailable().retry_after(5));
        }
        Ok(arrival)
    }

    /// Waits for a request's turn and starts its account. Plain and streamed requests, uploads,
    /// lists and sockets all come through here.
    ///
    /// # Errors
    /// 429 and 403 for a limit of the user, 503 if the wait is too long or the server stops.
    pub async fn admit(&self, context: RequestContext<'_>) -> Result<Box<Exchange>, ApiError> {
        let started_at_ms = context.started_at_ms();
        let applicant = Applicant {
            user_id: context.arrival.caller.id,
            rules: context.rules.as_ref(),
            conditions: Conditions {
                endpoint: context.endpoint,
                model: &context.model,
                tier: context.service_tier.as_ref(),
                is_batch: false,
                at_ms: started_at_ms,
            },
            asked: &context.asked,
            names_model_later: context.names_model_later,
            batch_demand: context.batch_demand.as_ref(),
            live: &context.live,
        };
        let admission = self.shared.admission.admit(applicant).await?;
        let accounting = Rc::clone(&self.accounting);
        Ok(Exchange::start(
            context,
            accounting,
            admission,
            started_at_ms,
        ))
    }

    /// Sends a request and turns the backend's answer into the client's. The future borrows
    /// nothing, so that it can be a task of its own. `detached` is for a request that goes on
    /// without its client.
    pub fn send(
        &self,
        request: &HttpRequest,
        prepared: PreparedRequest,
        exchange: Box<Exchange>,
        detached: Option<DetachedReader>,
    ) -> impl Future<Output = Result<HttpResponse, ApiError>> + use<> {
        let shared = &self.shared;
        let unedited = prepared.unedited.map(|body| UneditedRequest {
            refusals: Arc::clone(&shared.usage_option_refusals),
            own_headers: Arc::clone(&shared.own_headers),
            request: request.clone(),
            model: exchange.model().to_owned(),
            body,
        });
        let bytes = prepared.body.len() as u64;
        let length = if prepared.is_json {
            BodyLength::Json(bytes)
        } else {
            BodyLength::Known(bytes)
        };
        let head = shared.own_headers.head_for(request, length);
        send::send(
            Rc::clone(&self.backend),
            Rc::clone(&self.streams),
            OutgoingRequest::new(head, prepared.body),
            unedited,
            exchange,
            prepared.expected,
            detached,
        )
    }

    /// Returns what the streams of this worker share.
    #[must_use]
    pub fn streams(&self) -> &Rc<WorkerStreams> {
        &self.streams
    }
}

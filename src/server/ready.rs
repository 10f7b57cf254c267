//! `GET /health` and `GET /ready`: for load balancers, orchestrators and the watchdog. Neither needs a
//! key, and no worker waits for the database.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{HttpResponse, http::header, web};
use serde_json::json;
use tokio::sync::{Mutex, oneshot};

use crate::{
    model::{RequestId, now_ms},
    proxy::{admission::gate::Drain, error::name_request},
    store::ledger::{Ledger, NotWritten},
};

/// Time for which a proof that the database can be written is good. So however many ask, the disk has
/// one small write in this time.
const PROOF_LASTS: Duration = Duration::from_secs(5);
/// Longest wait for a proof. Orchestrators give a probe a second.
const PROOF_TIMEOUT: Duration = Duration::from_millis(800);
/// Time after which it is worth asking again.
const RETRY_AFTER_SECONDS: u32 = 5;

/// Knows whether the server takes requests.
pub struct Readiness {
    ledger: Ledger,
    drain: Arc<Drain>,
    /// It is locked by one who waits for a proof; the others wait for the lock.
    proof: Mutex<Proof>,
}

/// What is known of the database.
#[derive(Default)]
struct Proof {
    /// When it was last seen to take a write.
    written_at: Option<Instant>,
    /// The write that was not acknowledged in time. There is one at most, so that a ledger that
    /// hangs is not buried under probes.
    pending: Option<oneshot::Receiver<Result<(), NotWritten>>>,
}

/// Reasons why the server takes no requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReady {
    Draining,
    /// The last attempt to write has failed.
    NotWritten,
    /// A write was not acknowledged in time.
    Slow,
}

impl NotReady {
    fn status(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::NotWritten | Self::Slow => "ledger_unavailable",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Draining => "The server is stopping and takes no new requests.",
            Self::NotWritten => "The database cannot be written; the server's log says why.",
            Self::Slow => {
                "The database has not taken a write for 0.8 s or longer: it is locked, hangs, or waits for a standby."
            }
        }
    }
}

impl Readiness {
    #[must_use]
    pub fn new(ledger: Ledger, drain: Arc<Drain>) -> Self {
        Self {
            ledger,
            drain,
            proof: Mutex::default(),
        }
    }

    /// Returns why the server takes no requests, as far as that is known without a write.
    #[must_use]
    pub fn known_problem(&self) -> Option<NotReady> {
        if self.drain.is_draining() {
            return Some(NotReady::Draining);
        }
        (!self.ledger.accepts_requests()).then_some(NotReady::NotWritten)
    }

    /// Checks that the server takes requests. A server without requests finds out here that its
    /// database cannot be written, before a request has cost tokens.
    ///
    /// # Errors
    /// [`NotReady`] says why it does not.
    pub async fn check(&self) -> Result<(), NotReady> {
        if let Some(problem) = self.known_problem() {
            return Err(problem);
        }
        let proven = tokio::time::timeout(PROOF_TIMEOUT, self.prove()).await;
        // A failed write has changed what the ledger accepts, if it matters.
        match self.known_problem() {
            Some(problem) => Err(problem),
            None if proven == Ok(true) || self.ledger.serves_unwritten() => Ok(()),
            None => Err(NotReady::Slow),
        }
    }

    /// Waits until a write is acknowledged, unless one was a moment ago. Returns whether it was
    /// successful.
    async fn prove(&self) -> bool {
        let mut proof = self.proof.lock().await;
        let is_good = |at: Instant| at.elapsed() < PROOF_LASTS;
        if proof.written_at.is_some_and(is_good) {
            return true;
        }
        let pending = proof.pending.get_or_insert_with(|| self.ledger.probe());
        let is_written = matches!(pending.await, Ok(Ok(())));
        proof.pending = None;
        if is_written {
            proof.written_at = Some(Instant::now());
        }
        is_written
    }
}

/// Answers `GET /health`: the process serves. It says nothing about the database and the backend.
pub(super) async fn health() -> HttpResponse {
    named(HttpResponse::Ok().json(json!({ "status": "ok" })))
}

/// Answers `GET /ready`.
pub(super) async fn ready(readiness: web::Data<Readiness>) -> HttpResponse {
    let response = match readiness.check().await {
        Ok(()) => HttpResponse::Ok().json(json!({ "status": "ready" })),
        Err(problem) => HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS.to_string()))
            .json(json!({ "status": problem.status(), "reason": problem.reason() })),
    };
    named(response)
}

fn named(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    name_request(&mut response, RequestId::new(now_ms()));
    response
}

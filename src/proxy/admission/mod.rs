//! Admission: who calls, whether they may, and when it is their turn.

pub mod auth;
pub mod body_budget;
pub mod gate;
pub mod given_ids;
pub mod owners;
pub mod throttle;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::http::{StatusCode, header::HeaderMap};

use auth::{Caller, KeyTable};
use body_budget::BodyBudget;
use gate::{Drain, Gate, InFlight, Permit, UploadShares};
use owners::Owners;
use throttle::Throttle;

use super::error::ApiError;
use crate::limits::fair_queue::{Weight, service};

/// Wait for a key that is not known yet: twice the time within which the ledger's thread notices a
/// new user.
const NEW_KEY_PATIENCE: Duration = Duration::from_millis(100);
/// Output tokens that are reserved for a request.
const RESERVED_OUTPUT_TOKENS: u64 = 4_096;
/// Bytes of a body that make a token, about.
const BYTES_PER_TOKEN: u64 = 4;

/// Returns the service that is reserved in the fair queue for a request with a body of this length.
#[must_use]
pub fn service_estimate(body_bytes: usize) -> u64 {
    service(body_bytes as u64 / BYTES_PER_TOKEN, RESERVED_OUTPUT_TOKENS)
}

/// Decides over the requests of all workers.
pub struct AdmissionControl {
    pub keys: Arc<KeyTable>,
    pub owners: Owners,
    pub drain: Arc<Drain>,
    pub gate: Gate,
    pub uploads: UploadShares,
    pub bodies: BodyBudget,
    pub throttle: Arc<Throttle>,
}

/// A request whose caller is known. It counts as in flight until it is dropped.
pub struct Arrival {
    pub caller: Arc<Caller>,
    pub started: Instant,
    _in_flight: InFlight,
}

impl AdmissionControl {
    /// Finds out who calls. A key that another process made a moment ago is not known yet: one of
    /// our form is looked up once more before it is refused, so that `KEY=$(llmproxy user add
    /// alice)` can be used in the next line of a script.
    ///
    /// # Errors
    /// 401 without a known key, 403 for a forbidden one, 503 when the server stops.
    pub async fn identify(&self, headers: &HeaderMap) -> Result<Arrival, ApiError> {
        let started = Instant::now();
        let in_flight = self.drain.enter()?;
        let caller = match self.keys.authenticate(headers) {
            Err(error)
                if error.status() == StatusCode::UNAUTHORIZED && auth::has_our_form(headers) =>
            {
                tokio::time::sleep(NEW_KEY_PATIENCE).await;
                self.keys.authenticate(headers)?
            }
            other => other?,
        };
        caller.note_use(started);
        Ok(Arrival {
            caller,
            started,
            _in_flight: in_flight,
        })
    }

    /// Waits for a request's turn. Every client's request passes here before it goes to the
    /// backend, so that this is where a limit belongs. What the proxy asks for itself (pages of a
    /// list, the input of a batch) passes the gate only.
    ///
    /// # Errors
    /// 503 when the wait is too long or the server stops.
    pub async fn admit(&self, caller: &Caller, body_bytes: usize) -> Result<Permit, ApiError> {
        let service = service_estimate(body_bytes);
        self.gate.enter(caller.id, Weight::ONE, service).await
    }

    /// Waits until a request of the proxy itself may go to the backend: for a user, or for nobody
    /// (0). It uses no tokens.
    ///
    /// # Errors
    /// 503 when the wait is too long or the server stops.
    pub async fn admit_own(&self, user_id: i64) -> Result<Permit, ApiError> {
        let mut permit = self
            .gate
            .enter(user_id, Weight::ONE, service_estimate(0))
            .await?;
        permit.correct(0);
        Ok(permit)
    }
}

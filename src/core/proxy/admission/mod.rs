//! Admission: who calls, whether they may, and when it is their turn.

pub mod auth;
pub mod body_budget;
pub mod demand;
pub mod gate;
pub mod given_ids;
pub mod limits;
pub mod owners;
mod rate_headers;
pub mod throttle;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::http::{StatusCode, header::HeaderMap};

use auth::{Caller, KeyTable};
use body_budget::BodyBudget;
use demand::{Conditions, DEFAULT_OUTPUT_TOKENS};
use gate::{Drain, Gate, InFlight, Permit, UploadShares};
use limits::RequestLimits;
use owners::Owners;
use throttle::Throttle;

use super::{error::ApiError, request::AskedUsage};
use crate::{
    limits::{
        Admitted, Demand, Moment, UserRules,
        fair_queue::{Weight, service},
    },
    sight::LiveRequest,
};

/// Wait for a key that is not known yet: twice the time within which the ledger's thread notices a
/// new user.
const NEW_KEY_PATIENCE: Duration = Duration::from_millis(100);
/// How often a request asks for a part of a budget that it shares with other nodes: others of the same
/// moment may be faster.
pub const MAX_LEASE_ASKS: u32 = 5;
/// Most output tokens that are reserved for a request in the fair queue.
const MAX_RESERVED_OUTPUT_TOKENS: u64 = 1_000_000;

/// Returns the service that is reserved in the fair queue for a request.
fn service_estimate(asked: &AskedUsage) -> u64 {
    let each = asked.max_output_tokens.unwrap_or(DEFAULT_OUTPUT_TOKENS);
    let output = each.saturating_mul(asked.choices.max(1));
    // No client may push its counter beyond all others by a number that no backend makes.
    service(asked.input_tokens, output.min(MAX_RESERVED_OUTPUT_TOKENS))
}

/// Decides over the requests of all workers.
pub struct AdmissionControl {
    pub keys: Arc<KeyTable>,
    pub owners: Owners,
    pub drain: Arc<Drain>,
    pub gate: Gate,
    pub limits: Arc<RequestLimits>,
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

/// A request that is to be admitted.
pub struct Applicant<'a> {
    pub user_id: i64,
    /// The limits of its user; `None` without any.
    pub rules: Option<&'a Arc<UserRules>>,
    pub conditions: Conditions<'a>,
    pub asked: &'a AskedUsage,
    /// The model is not known yet, so that its price is asked for later.
    pub names_model_later: bool,
    /// What the requests of a batch can use together.
    pub batch_demand: Option<&'a Demand>,
    pub live: &'a LiveRequest,
}

/// What an admitted request holds until it has ended.
pub struct Admission {
    pub permit: Permit,
    /// `None` for a user without limits.
    pub limits: Option<Admitted>,
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
    /// 429 and 403 for a limit of the user, 503 when the wait is too long or the server stops.
    pub async fn admit(&self, applicant: Applicant<'_>) -> Result<Admission, ApiError> {
        let limits = match applicant.rules {
            Some(rules) => Some(self.reserve(rules, &applicant).await?),
            None => None,
        };
        let weight = applicant
            .rules
            .map_or(Weight::ONE, |rules| Weight::of(rules.weight));
        let service = service_estimate(applicant.asked);
        let live = applicant.live;
        live.asks_for_turn(applicant.conditions.model);
        let permit = self
            .gate
            .enter(applicant.user_id, weight, service, || live.waits())
            .await?;
        live.has_turn();
        Ok(Admission { permit, limits })
    }

    async fn reserve(
        &self,
        rules: &Arc<UserRules>,
        applicant: &Applicant<'_>,
    ) -> Result<Admitted, ApiError> {
        let (conditions, asked) = (applicant.conditions, applicant.asked);
        let now = applicant.live.ready_at().unwrap_or_else(Instant::now);
        let at = self.limits.shared.moment_at(now, conditions.at_ms);
        if let Some(demand) = applicant.batch_demand {
            return self.reserve_demand(rules, demand, at).await;
        }
        let priced = self.limits.prices.demand(rules, conditions, asked);
        if !priced.is_priced && !applicant.names_model_later {
            self.limits.check_unpriced(rules, conditions.model)?;
        }
        self.reserve_demand(rules, &priced.demand, at).await
    }

    /// Reserves the most that a request can use. If other nodes use the same budgets, this one may have
    /// to ask for a part of them first.
    ///
    /// # Errors
    /// 429 for a limit that it does not pass.
    pub async fn reserve_demand(
        &self,
        rules: &Arc<UserRules>,
        demand: &Demand,
        mut at: Moment,
    ) -> Result<Admitted, ApiError> {
        let limits = &self.limits;
        let mut asks = 0;
        loop {
            let refusal = match limits.shared.admit(rules, demand, at) {
                Ok(admitted) => return Ok(admitted),
                Err(refusal) => refusal,
            };
            if !refusal.needs_lease || asks == MAX_LEASE_ASKS {
                return Err(limits.refused(rules, &refusal));
            }
            asks += 1;
            let shared = &limits.shared;
            let amounts = demand.amounts;
            if !shared.ask_for_leases(rules, amounts, at.unix_ms).await {
                return Err(ApiError::ledger_unavailable().retry_after(5));
            }
            at = shared.moment(at.unix_ms);
        }
    }

    /// Waits until a request of the proxy itself may go to the backend: for a user, or for nobody
    /// (0). It uses no tokens.
    ///
    /// # Errors
    /// 503 when the wait is too long or the server stops.
    pub async fn admit_own(&self, user_id: i64) -> Result<Permit, ApiError> {
        let mut permit = self
            .gate
            .enter(
                user_id,
                Weight::ONE,
                service_estimate(&AskedUsage::default()),
                || {},
            )
            .await?;
        permit.correct(0);
        Ok(permit)
    }
}

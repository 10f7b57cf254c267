//! Limits of a form that passes as it comes: its model is known in the middle of it, and its length
//! perhaps at its end only. What was reserved before is raised then, and a form that a limit refuses
//! never gets its end.

use std::sync::Arc;

use actix_web::http::StatusCode;

use super::{Waiting, form::Fields};
use crate::limits::{Amounts, Reservation};
use crate::proxy::{
    admission::{MAX_LEASE_ASKS, demand::Conditions, limits::RequestLimits},
    error::ApiError,
    request::AskedUsage,
    routes::Endpoint,
};

/// The limits of the user whose form passes.
pub(super) struct FormLimits {
    pub(super) limits: Arc<RequestLimits>,
    pub(super) reservation: Arc<Reservation>,
    pub(super) endpoint: Endpoint,
    pub(super) asked: AskedUsage,
    /// Bytes that have come so far.
    pub(super) seen_bytes: u64,
    /// The model that was checked last.
    pub(super) model: Option<String>,
}

impl FormLimits {
    /// Checks what the fields say so far, before the bytes with them leave. Returns what they may have to
    /// wait for.
    ///
    /// # Errors
    /// 404, 403 and 429 as for any request.
    pub(super) fn look_at(
        &mut self,
        fields: &Fields,
        bytes: u64,
    ) -> Result<Option<Waiting>, ApiError> {
        self.seen_bytes = self.seen_bytes.saturating_add(bytes);
        if fields.names_models && self.reservation.rules().looks_at_models() {
            return Err(ApiError::invalid_request(
                StatusCode::BAD_REQUEST,
                None,
                "The form names two models. Send one.",
            )
            .with_param("model"));
        }
        let is_new = fields.model.is_some() && fields.model != self.model;
        if !is_new && fields.choices <= self.asked.choices {
            return Ok(None);
        }
        self.asked.choices = self.asked.choices.max(fields.choices);
        self.model.clone_from(&fields.model);
        match &fields.model {
            Some(model) => self.apply(model),
            None => Ok(None),
        }
    }

    /// Checks the form at its end, before its last bytes leave.
    ///
    /// # Errors
    /// As [`FormLimits::look_at`].
    pub(super) fn finish(&mut self, fields: &Fields) -> Result<Option<Waiting>, ApiError> {
        let is_longer = self.seen_bytes > self.asked.form_bytes;
        if fields.model.is_some() && !is_longer {
            return Ok(None);
        }
        self.asked.form_bytes = self.asked.form_bytes.max(self.seen_bytes);
        self.apply(fields.model.as_deref().unwrap_or_default())
    }

    fn apply(&self, model: &str) -> Result<Option<Waiting>, ApiError> {
        let rules = self.reservation.rules();
        let limits = &self.limits;
        limits.check(rules, self.endpoint, model, None)?;
        let conditions = Conditions {
            endpoint: self.endpoint,
            model,
            tier: None,
            is_batch: false,
            at_ms: self.reservation.started_at_ms(),
        };
        let priced = limits.prices.demand(rules, conditions, &self.asked);
        if !priced.is_priced {
            limits.check_unpriced(rules, model)?;
        }
        let (wanted, has) = (priced.demand.amounts, self.reservation.amounts());
        let more = Amounts {
            nano_usd: (wanted.nano_usd - has.nano_usd).max(0),
            tokens: (wanted.tokens - has.tokens).max(0),
            requests: 0,
        };
        if more == Amounts::default() {
            return Ok(None);
        }
        match self.reservation.raise(more) {
            Ok(()) => Ok(None),
            Err(refusal) if refusal.needs_lease => Ok(Some(Box::pin(raise_with_leases(
                Arc::clone(limits),
                Arc::clone(&self.reservation),
                more,
            )))),
            Err(refusal) => Err(limits.refused(rules, &refusal)),
        }
    }
}

/// Reserves more when this node has asked for its part of budgets that others use, too.
async fn raise_with_leases(
    limits: Arc<RequestLimits>,
    reservation: Arc<Reservation>,
    more: Amounts,
) -> Result<(), ApiError> {
    let mut asks = 0;
    loop {
        if !reservation.ask_for_leases(more).await {
            return Err(ApiError::ledger_unavailable().retry_after(5));
        }
        asks += 1;
        match reservation.raise(more) {
            Ok(()) => return Ok(()),
            Err(refusal) if refusal.needs_lease && asks < MAX_LEASE_ASKS => {}
            Err(refusal) => return Err(limits.refused(reservation.rules(), &refusal)),
        }
    }
}

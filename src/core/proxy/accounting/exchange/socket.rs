//! The account of an open socket: each answer that comes through it is booked as a part of its own.

use std::{future::Future, sync::Arc, time::Instant};

use actix_web::http::StatusCode;

use super::{Exchange, Stage, millis_since};
use crate::proxy::{
    accounting::estimator::Estimate,
    admission::{demand::Conditions, limits::RequestLimits},
    error::ApiError,
    request::AskedUsage,
};
use crate::{
    limits::{Admitted, Demand, UserRules},
    model::{Entry, EstimatedTokens, Outcome, Usage, UsageRow, UsageSource, now_ms},
    proxy::request::clean_text,
    store::ledger::NotWritten,
    usage::{AnswerText, Evidence, Meter, Text},
};

/// Responses of a socket at the same time for which tokens are reserved.
const MAX_RESPONSES: u64 = 1_000;

impl Exchange {
    /// Notes that a socket is open. What it uses is booked part by part, and not at its end.
    pub fn mark_socket_open(&mut self) {
        self.set_answer(
            StatusCode::SWITCHING_PROTOCOLS.as_u16(),
            None,
            Meter::opaque(),
        );
        self.stage = Stage::Booked;
        if let Some(reservation) = self.reservation() {
            reservation.mark_served();
        }
    }

    /// Returns what a number of responses can use, under the limits of the user: `None` without any. What was
    /// reserved before is given up, for [`Exchange::set_reserved`].
    ///
    /// # Errors
    /// 403 for a model without a price.
    pub fn give_up_reserved(
        &mut self,
        limits: &RequestLimits,
        responses: u64,
    ) -> Result<Option<(Arc<UserRules>, Demand)>, ApiError> {
        let Some(rules) = limits.of_user(self.caller().id) else {
            return Ok(None);
        };
        let conditions = Conditions {
            endpoint: self.endpoint,
            model: &self.model,
            tier: None,
            is_batch: false,
            at_ms: now_ms(),
        };
        let priced = limits
            .prices
            .demand(&rules, conditions, &AskedUsage::default());
        if !priced.is_priced && !self.model.is_empty() {
            limits.check_unpriced(&rules, &self.model)?;
        }
        // The socket stays one request in flight: its place is given up for the new one's.
        self.limits = None;
        let mut demand = priced.demand;
        for _ in 1..responses.min(MAX_RESPONSES) {
            demand.add(&priced.demand);
        }
        Ok(Some((rules, demand)))
    }

    /// Takes what is reserved for the responses to come.
    pub fn set_reserved(&mut self, admitted: Admitted) {
        admitted.reservation.mark_served();
        self.limits = Some(admitted);
    }

    /// Books one answer that came through the socket. Resolves when the row is committed.
    pub fn commit_part(
        &self,
        started: Instant,
        usage: Usage,
    ) -> impl Future<Output = Result<(), NotWritten>> + use<> {
        let row = self.part_row(started, Outcome::Completed, UsageSource::Backend);
        let entry = Entry::Row(UsageRow { usage, ..row });
        self.accounting.ledger.commit([entry])
    }

    /// Books a transcription of what the user said, under the model that made it. Resolves when the
    /// row is committed. It is not estimated if the backend does not report what it used.
    pub fn commit_transcription(
        &self,
        model: Option<&str>,
        usage: Option<Usage>,
    ) -> impl Future<Output = Result<(), NotWritten>> + use<> {
        let source = match usage {
            Some(_) => UsageSource::Backend,
            None => UsageSource::None,
        };
        let row = self.part_row(Instant::now(), Outcome::Completed, source);
        // A transcription ends no reservation: that is the next response's.
        let entry = Entry::Row(UsageRow {
            usage: usage.unwrap_or_default(),
            model: model.map_or(row.model, clean_text),
            hold: None,
            ..row
        });
        self.accounting.ledger.commit([entry])
    }

    /// Books an answer of which only the text is known. Resolves when the row is committed.
    pub fn commit_estimated_part(
        &self,
        started: Instant,
        text: Text,
    ) -> impl Future<Output = Result<(), NotWritten>> + use<> {
        let estimate = self.part_estimate(started, text, Outcome::Completed);
        let written = self.accounting.submit_awaited(estimate);
        async move { written.await.unwrap_or(Err(NotWritten)) }
    }

    /// Books an answer that was cut off, without waiting.
    pub fn book_part(&self, started: Instant, text: Text, outcome: Outcome) {
        let estimate = self.part_estimate(started, text, outcome);
        self.accounting.estimator.submit(estimate);
    }

    fn part_estimate(&self, started: Instant, text: Text, outcome: Outcome) -> Estimate {
        Estimate::of(
            self.part_row(started, outcome, UsageSource::Estimate),
            Evidence {
                generated: AnswerText::Text(text),
                ..Evidence::default()
            },
        )
    }

    fn part_row(&self, started: Instant, outcome: Outcome, source: UsageSource) -> UsageRow {
        let duration_ms = millis_since(started);
        UsageRow {
            user_id: self.caller().id,
            key_id: self.caller().key_id,
            started_at_ms: now_ms() - duration_ms,
            endpoint: self.endpoint.path,
            model: self.model_or_unknown(),
            served_model: None,
            usage: Usage::default(),
            service_tier: None,
            is_batch: false,
            estimated: EstimatedTokens::default(),
            status: StatusCode::OK.as_u16(),
            outcome,
            source,
            duration_ms,
            wait_ms: 0,
            first_byte_ms: None,
            request_id: Some(self.live.id()),
            backend_request_id: None,
            hold: self.row_hold(),
        }
    }
}

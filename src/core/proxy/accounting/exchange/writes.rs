//! What is written when the account of a request ends: objects, and a row or what it is estimated
//! from.

use super::{Exchange, Stage, millis_since};
use crate::{
    limits::fair_queue::service,
    model::{
        Account, Entry, EstimatedTokens, Extent, Outcome, Progress, Usage, UsageRow, UsageSource,
    },
    proxy::{
        accounting::{
            access_log::Booked,
            booking::{Booking, Facts},
            estimator::{Estimate, Purpose},
            numbers::{Metered, Missing, Numbers, ServiceClass, searches_always},
        },
        request::clean_text,
        routes::{CHAT, Metering, ObjectEffect},
    },
    usage::{AnswerText, Evidence, Input, Meter, Reading},
};

/// Everything that is to be written at an answer's end.
#[derive(Default)]
pub(super) struct PendingWrites {
    /// Objects that were made or deleted, unless they are in the estimate.
    pub(super) objects: Vec<Entry>,
    /// The row, if its numbers are known.
    pub(super) row: Option<Entry>,
    /// What deletes the note of the request, if it may have one.
    pub(super) unnoted: Option<Entry>,
    /// The row, if some of its numbers are to be estimated.
    pub(super) estimate: Option<Box<Estimate>>,
}

impl PendingWrites {
    /// Returns the service that the request had, by the numbers that are known or else by length.
    fn service(&self) -> u64 {
        let usage = match (&self.row, &self.estimate) {
            (Some(entry), _) => entry.usage(),
            (None, Some(estimate)) => {
                let missing = estimate.evidence.usage_by_length();
                estimate.row.usage.saturating_add(missing)
            }
            (None, None) => Usage::default(),
        };
        service(usage.input, usage.output)
    }
}

impl Exchange {
    /// Takes what there is to book. Later calls return nothing.
    pub(super) fn close(&mut self, outcome: Outcome) -> PendingWrites {
        if self.stage != Stage::Sent {
            if self.stage == Stage::Unsent {
                self.permit.correct(0);
            }
            return PendingWrites::default();
        }
        self.stage = Stage::Booked;
        let is_failed = self.reading().is_some_and(|reading| reading.is_error);
        let outcome = if is_failed && !self.is_error() {
            Outcome::BackendError
        } else {
            outcome
        };
        let problem = match outcome {
            Outcome::BackendBroke => Some(("backend_broke", "The backend broke off its answer.")),
            Outcome::BackendError => Some((
                "backend_error",
                "The backend ended its answer with an error.",
            )),
            _ => None,
        };
        if let Some((code, message)) = problem {
            self.live.failed(self.status(), code, message);
        }
        let (objects, booking) = self.objects_and_booking();
        let objects = self.with_holds(objects);
        let mut writes = match booking {
            Booking::Nothing => PendingWrites::default(),
            Booking::Row => {
                let (row, missing) = self.row(outcome);
                self.writes_of(row, missing, None)
            }
            Booking::Kept(account) => {
                let (row, missing) = self.row(outcome);
                let purpose = Purpose::KeptFor(account, Progress::End);
                PendingWrites {
                    estimate: Some(Box::new(self.estimate(row, missing, purpose))),
                    ..PendingWrites::default()
                }
            }
            Booking::Unfinished => PendingWrites {
                estimate: self.recorder.as_mut().and_then(|r| r.take_unfinished()),
                ..PendingWrites::default()
            },
            Booking::Bill {
                account,
                extent,
                endpoint,
            } => {
                let (mut row, missing) = self.row(outcome);
                row.endpoint = endpoint.unwrap_or(row.endpoint);
                self.writes_of(row, missing, Some((account, extent)))
            }
        };
        self.permit.correct(writes.service());
        // A row that closes an object's account is written behind the object.
        let unnoted = self.end_running();
        if let Some(estimate) = &mut writes.estimate {
            estimate.objects = objects;
            estimate.unnotes = unnoted;
        } else {
            writes.objects = objects;
            writes.unnoted = unnoted;
        }
        writes
    }

    /// Decides what is written of stored objects, and how the answer is booked.
    fn objects_and_booking(&mut self) -> (Vec<Entry>, Booking) {
        let is_booked_endpoint = self.endpoint.is_booked();
        let is_success = self.answer.is_some() && !self.is_error();
        let is_retrieval = self.recorder.as_ref().is_some_and(|r| r.is_retrieval());
        let has_passed_text = is_retrieval && self.has_passed_text();
        let Some(recorder) = &mut self.recorder else {
            return (Vec::new(), Booking::by_endpoint(is_booked_endpoint));
        };
        let meter = self.meter.as_ref();
        let stored = meter.and_then(Meter::stored).filter(|_| is_success);
        // An answer without success makes no object.
        let objects = match &self.answer {
            Some(_) if is_success => recorder.last_entries(stored),
            Some(head) if head.may_be_missing => {
                let names = |id: &str| meter.is_some_and(|meter| meter.contains(id));
                recorder.missing_object_entry(names).into_iter().collect()
            }
            Some(_) => Vec::new(),
            // The backend may have taken what it was sent.
            None => recorder.given_entries(),
        };
        // The usage that a stream reports in its beginning is not final.
        let reports_usage = meter.is_some_and(|meter| {
            let reading = meter.reading();
            reading.counts().is_reported() && (reading.done || !meter.is_of_events())
        });
        let booking = recorder.booking(Facts {
            is_success,
            is_booked_endpoint,
            stored,
            reports_usage,
            has_passed_text,
            ..Facts::default()
        });
        (objects, booking)
    }

    /// Makes the row from what the backend reported. The second value is what it did not report.
    pub(super) fn row(&mut self, outcome: Outcome) -> (UsageRow, Missing) {
        let Numbers { mut usage, missing } = self.numbers(outcome);
        let source = match missing {
            Missing::Nothing => UsageSource::Backend,
            Missing::All => UsageSource::None,
            Missing::Parts { .. } => UsageSource::Estimate,
        };
        let head = self.answer.as_ref();
        let served_model = self.reading().and_then(|reading| reading.model.as_deref());
        let served_model = served_model.map(clean_text);
        // The backend chooses a model if the request names none, as for videos.
        let served = served_model.as_deref().filter(|name| !name.is_empty());
        let chosen = served.filter(|_| self.model.is_empty());
        let model = chosen.map_or_else(|| self.model_or_unknown(), str::to_owned);
        if self.answers_chat() && searches_always(&model, served) {
            usage.classes.web_searches = usage.classes.web_searches.max(1);
        }
        let ServiceClass { tier, is_batch } = self.service_class();
        let row = UsageRow {
            user_id: self.caller().id,
            key_id: self.caller().key_id,
            started_at_ms: self.started_at_ms,
            endpoint: self.endpoint.path,
            model,
            served_model,
            usage,
            service_tier: tier,
            is_batch,
            estimated: EstimatedTokens::default(),
            status: self.status(),
            outcome,
            source,
            duration_ms: millis_since(self.arrival.started),
            wait_ms: self.live.waited_ms(),
            first_byte_ms: head.map(|head| head.first_byte_ms),
            request_id: Some(self.live.id()),
            backend_request_id: head.and_then(|head| head.request_id.clone()),
            hold: self.row_hold(),
        };
        (row, missing)
    }

    /// Returns what is written of a row; `closes` is the account that it closes.
    fn writes_of(
        &mut self,
        row: UsageRow,
        missing: Missing,
        closes: Option<(Account, Extent)>,
    ) -> PendingWrites {
        if row.source == UsageSource::Estimate {
            let purpose = match closes {
                Some((account, extent)) => Purpose::Bills(account, extent),
                None => Purpose::Booked,
            };
            return PendingWrites {
                estimate: Some(Box::new(self.estimate(row, missing, purpose))),
                ..PendingWrites::default()
            };
        }
        let booked = Booked {
            outcome: row.outcome,
            usage: row.usage,
            source: row.source,
        };
        self.booked = Some((booked, row.duration_ms));
        PendingWrites {
            row: Some(Entry::of(row, closes)),
            ..PendingWrites::default()
        }
    }

    /// Returns the backend's numbers and what is missing of them. An error answer has no numbers.
    fn numbers(&self, outcome: Outcome) -> Numbers {
        if self.is_error() {
            return Numbers::default();
        }
        Metered {
            metering: self.metering(),
            dialect: self.endpoint.dialect(),
            content: self.endpoint.content(),
            meter: self.meter.as_ref(),
            is_complete: outcome == Outcome::Completed,
        }
        .numbers()
    }

    /// Returns whether a chat is answered by more than an error.
    fn answers_chat(&self) -> bool {
        let is_failed = self.reading().is_none_or(|reading| reading.is_error);
        self.endpoint.path == CHAT && !is_failed && !self.is_error()
    }

    /// Returns the class of service by the answer, or else by the request.
    fn service_class(&self) -> ServiceClass {
        let answered = self.reading().and_then(Reading::service_tier);
        let class = ServiceClass::of(answered.or(self.service_tier.as_ref()));
        ServiceClass {
            is_batch: class.is_batch || self.endpoint.effect == ObjectEffect::Batch,
            ..class
        }
    }

    /// Returns whether text has passed that is in no count so far.
    fn has_passed_text(&self) -> bool {
        let in_stream = self.reading().is_some_and(|r| r.has_uncounted_text(false));
        in_stream || self.has_text()
    }

    /// Returns whether an answer in JSON has generated text.
    fn has_text(&self) -> bool {
        self.meter.as_ref().is_some_and(Meter::has_text_in_json)
    }

    /// Returns the rule by which the answer is booked. A look at a response is booked like the
    /// request that made it.
    fn metering(&self) -> Metering {
        match self.endpoint.effect {
            ObjectEffect::Response => Metering::Text,
            _ => self.endpoint.metering,
        }
    }

    /// Makes the estimate of a row's missing parts. It takes the body and the generated text, which
    /// nothing else needs any more.
    fn estimate(&mut self, row: UsageRow, missing: Missing, purpose: Purpose) -> Estimate {
        let is_text = self.metering() == Metering::Text;
        let (counts_input, counts_output) = match missing {
            Missing::Nothing => (false, false),
            Missing::All => (true, is_text),
            Missing::Parts { input, output } => (input, output),
        };
        let input = if is_text {
            Input::Messages
        } else {
            Input::Plain
        };
        let generated = if counts_output {
            self.meter().take_generated()
        } else {
            AnswerText::Nothing
        };
        let body = std::mem::take(&mut self.body);
        let body = if counts_input {
            body.into_iter().collect()
        } else {
            Vec::new()
        };
        // The access log line of a booked answer has its numbers, and is written with them.
        let is_booked = !matches!(purpose, Purpose::KeptFor(..));
        self.is_logged |= is_booked;
        let evidence = Evidence {
            body,
            input,
            generated,
        };
        Estimate {
            share: std::mem::take(&mut self.share),
            purpose,
            access: is_booked.then(|| self.access.clone()),
            ..Estimate::of(row, evidence)
        }
    }
}

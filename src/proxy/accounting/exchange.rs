//! The account of one request: who asks for what, what the meter saw, and the row that comes of it,
//! exactly once. It also owns the permit and the count among the requests in flight, so that all of
//! them end together.

mod socket;

use std::{future::Future, rc::Rc, sync::Arc, time::Instant};

use tokio::sync::oneshot;

use super::{
    access_log::{Access, Booked, peer_of},
    booking::{Booking, Facts},
    estimator::{Estimate, Estimator, Purpose},
    numbers::{Metered, Missing, Numbers},
    recorder::ObjectRecorder,
    request_context::RequestContext,
};
use crate::proxy::{
    admission::{Arrival, auth::Caller, body_budget::BodyShare, gate::Permit},
    body::BodyParts,
    request::clean_text,
    routes::{Endpoint, Metering, ObjectEffect},
};
use crate::{
    model::{
        Account, Entry, EstimatedTokens, Extent, Outcome, Progress, Usage, UsageRow, UsageSource,
        now_ms,
    },
    store::ledger::{NotWritten, WorkerLedger},
    usage::{AnswerText, Evidence, Input, Meter, Reading},
};

/// nginx's status for a client that left before the answer began.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The way of one worker's rows to the ledger.
pub struct WorkerAccounting {
    /// Takes rows whose numbers are known.
    pub ledger: Rc<WorkerLedger>,
    pub estimator: Estimator,
}

impl WorkerAccounting {
    /// Has a row counted. The receiver hears when it is written.
    fn count_and_tell(&self, mut estimate: Estimate) -> oneshot::Receiver<Result<(), NotWritten>> {
        let (sender, written) = oneshot::channel();
        estimate.written = Some(sender);
        self.estimator.submit(estimate);
        written
    }
}

/// The state of one request from the moment it has its permit.
pub struct Exchange {
    accounting: Rc<WorkerAccounting>,
    access: Access,
    endpoint: Endpoint,
    model: String,
    /// The request's body, if its input may have to be estimated.
    body: BodyParts,
    share: BodyShare,
    arrival: Arrival,
    started_at_ms: i64,
    answer: Option<AnswerHead>,
    /// `None` where the answer is not metered.
    meter: Option<Meter>,
    /// `None` where the request concerns no stored objects.
    recorder: Option<Box<ObjectRecorder>>,
    stage: Stage,
    /// What was booked, and the duration in milliseconds.
    booked: Option<(Booked, i64)>,
    /// The request is about one object itself. With a query, a 404 may be the query's.
    is_of_object: bool,
    /// The line of the access log was handed over with the row.
    is_logged: bool,
    _permit: Permit,
}

struct AnswerHead {
    status: u16,
    first_byte_ms: i64,
    request_id: Option<String>,
    /// It is a 404 to a request about an object.
    may_be_missing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The request was not sent, or not answered: there is nothing to book.
    Unsent,
    /// The backend has the request: from here on the tokens are spent, whoever leaves.
    Sent,
    /// The row is handed over.
    Booked,
}

/// Everything that is to be written at an answer's end.
#[derive(Default)]
struct PendingWrites {
    /// Objects that were made or deleted, unless they are in the estimate.
    objects: Vec<Entry>,
    /// The row, if its numbers are known.
    row: Option<Entry>,
    /// The row, if some of its numbers are to be estimated.
    estimate: Option<Box<Estimate>>,
}

impl Exchange {
    /// Starts the account of a request. It is boxed, because it goes through every future of the request's way, which would each
    /// hold its kilobyte twice.
    pub fn start(
        context: RequestContext<'_>,
        accounting: Rc<WorkerAccounting>,
        permit: Permit,
    ) -> Box<Self> {
        let RequestContext {
            request,
            arrival,
            endpoint,
            model,
            body,
            share,
            recorder,
        } = context;
        let elapsed_ms = millis_since(arrival.started);
        Box::new(Self {
            accounting,
            access: Access {
                peer: peer_of(request),
                caller: Arc::clone(&arrival.caller),
                method: request.method().clone(),
                path: endpoint.path,
            },
            endpoint,
            model,
            body,
            share,
            started_at_ms: now_ms() - elapsed_ms,
            answer: None,
            meter: None,
            recorder,
            stage: Stage::Unsent,
            booked: None,
            is_of_object: endpoint.is_of_object() && request.query_string().is_empty(),
            is_logged: false,
            arrival,
            _permit: permit,
        })
    }

    /// Notes the model that a form names.
    pub fn set_model(&mut self, model: String) {
        self.model = model;
    }

    /// Notes that the request is about to leave for the backend.
    pub fn sent(&mut self) {
        self.stage = Stage::Sent;
    }

    /// Notes that the backend did not answer: there is nothing to book.
    pub fn unanswered(&mut self) {
        self.stage = Stage::Unsent;
    }

    /// Notes that the head of the answer has come. The meter fits the answer's body.
    pub fn answered(&mut self, status: u16, request_id: Option<String>, meter: Meter) {
        self.answer = Some(AnswerHead {
            status,
            first_byte_ms: millis_since(self.arrival.started),
            request_id,
            may_be_missing: false,
        });
        // The backend may answer before it has the whole request.
        if self.stage == Stage::Unsent {
            self.stage = Stage::Sent;
        }
        let notes_objects = self.recorder.as_ref().is_some_and(|r| r.notes_objects());
        if notes_objects && (200..300).contains(&status) {
            self.meter = Some(meter.with_objects());
        } else if self.endpoint.is_booked() || self.is_of_object && status == 404 {
            self.meter = Some(meter);
        }
    }

    /// Notes that the answer may say that the object of the path is missing.
    pub fn found_nothing(&mut self) {
        if let Some(head) = &mut self.answer {
            head.may_be_missing = self.is_of_object;
        }
    }

    #[must_use]
    pub fn is_booked(&self) -> bool {
        self.stage == Stage::Booked
    }

    /// Returns whether the answer has yet to name an object that uses its tokens later.
    #[must_use]
    pub fn awaits_name(&self) -> bool {
        let awaits_name = self.recorder.as_ref().is_some_and(|r| r.awaits_name());
        awaits_name && self.stage == Stage::Sent && !self.is_error()
    }

    pub fn meter(&mut self) -> &mut Meter {
        self.meter.get_or_insert_with(Meter::opaque)
    }

    fn reading(&self) -> Option<&Reading> {
        self.meter.as_ref().map(Meter::reading)
    }

    /// Books the answer; resolves when the row is committed, and the last byte may leave.
    pub fn commit(
        &mut self,
        outcome: Outcome,
    ) -> impl Future<Output = Result<(), NotWritten>> + use<> {
        let PendingWrites {
            objects,
            row,
            estimate,
        } = self.close(outcome);
        let entries = self
            .accounting
            .ledger
            .commit(objects.into_iter().chain(row));
        let counted = estimate.map(|estimate| self.accounting.count_and_tell(*estimate));
        async move {
            entries.await?;
            match counted {
                Some(written) => written.await.unwrap_or(Err(NotWritten)),
                None => Ok(()),
            }
        }
    }

    /// Books the answer without waiting.
    pub fn book(&mut self, outcome: Outcome) {
        let PendingWrites {
            mut objects,
            row,
            estimate,
        } = self.close(outcome);
        objects.extend(row);
        self.accounting.ledger.push(objects);
        if let Some(estimate) = estimate {
            // It may bill an object that is on its way to be remembered.
            let estimator = self.accounting.estimator.clone();
            let submit = move || estimator.submit(*estimate);
            self.accounting.ledger.behind(submit);
        }
    }

    /// Remembers the object that a long answer has named, and keeps what its request used with the
    /// account that this opens. Resolves when both are committed and what named the object may
    /// leave. Returns `None` if there is nothing to remember.
    pub fn remember(&mut self) -> Option<impl Future<Output = Result<(), NotWritten>> + use<>> {
        let recorder = self.recorder.as_mut()?;
        let stored = self.meter.as_mut().and_then(Meter::objects_so_far);
        let entries = recorder.first_entries(stored);
        if entries.is_empty() {
            return None;
        }
        let made = self.accounting.ledger.commit(entries);
        let stored = self.meter.as_ref().and_then(Meter::stored);
        let account = recorder.new_account(stored);
        let kept = account.map(|account| self.keep_input(account));
        Some(async move {
            made.await?;
            match kept {
                Some(written) => written.await.unwrap_or(Err(NotWritten)),
                None => Ok(()),
            }
        })
    }

    /// Keeps the estimated input of the request with the account that it opens, behind the entry
    /// that opens it. The receiver hears when it is written.
    fn keep_input(&mut self, account: Account) -> oneshot::Receiver<Result<(), NotWritten>> {
        let (mut row, _) = self.row(Outcome::BackendBroke);
        row.usage = Usage::default();
        row.source = UsageSource::Estimate;
        let evidence = Evidence {
            body: self.body.clone().into_iter().collect(),
            input: Input::Messages,
            generated: AnswerText::Nothing,
        };
        let (sender, written) = oneshot::channel();
        let estimate = Estimate {
            purpose: Purpose::KeptFor(account, Progress::Beginning),
            written: Some(sender),
            ..Estimate::of(row, evidence)
        };
        let estimator = self.accounting.estimator.clone();
        self.accounting
            .ledger
            .behind(move || estimator.submit(estimate));
        written
    }

    /// Logs why an answer or a socket is cut.
    pub fn log_cut(&self, why: &str) {
        self.access.log_cut(why);
    }

    /// Notes that the client is not given the answer, so that it gets no line of its own.
    pub fn withheld(&mut self) {
        self.is_logged = true;
    }

    /// Returns the model that the request names, empty where it names none.
    pub fn model(&self) -> &str {
        &self.model
    }

    pub fn caller(&self) -> &Arc<Caller> {
        &self.access.caller
    }

    fn model_or_unknown(&self) -> String {
        if self.model.is_empty() {
            return "unknown".to_owned();
        }
        self.model.clone()
    }

    /// Takes what there is to book. Later calls return nothing.
    fn close(&mut self, outcome: Outcome) -> PendingWrites {
        if self.stage != Stage::Sent {
            return PendingWrites::default();
        }
        self.stage = Stage::Booked;
        let is_failed = self.reading().is_some_and(|reading| reading.is_error);
        let outcome = if is_failed && !self.is_error() {
            Outcome::BackendError
        } else {
            outcome
        };
        let (objects, booking) = self.objects_and_booking();
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
        // A row that closes an object's account is written behind the object.
        match &mut writes.estimate {
            Some(estimate) => estimate.objects = objects,
            None => writes.objects = objects,
        }
        writes
    }

    /// Decides what is written of stored objects, and how the answer is booked.
    fn objects_and_booking(&mut self) -> (Vec<Entry>, Booking) {
        let is_booked_endpoint = self.endpoint.is_booked();
        let is_success = self.answer.is_some() && !self.is_error();
        let is_look = self.recorder.as_ref().is_some_and(|r| r.is_look());
        let has_passed_text = is_look && self.has_passed_text();
        let Some(recorder) = &mut self.recorder else {
            let booking = if is_booked_endpoint {
                Booking::Row
            } else {
                Booking::Nothing
            };
            return (Vec::new(), booking);
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
    fn row(&mut self, outcome: Outcome) -> (UsageRow, Missing) {
        let Numbers { usage, missing } = self.numbers(outcome);
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
        let row = UsageRow {
            user_id: self.caller().id,
            started_at_ms: self.started_at_ms,
            endpoint: self.endpoint.path,
            model,
            served_model,
            usage,
            estimated: EstimatedTokens::default(),
            status: self.status(),
            outcome,
            source,
            duration_ms: millis_since(self.arrival.started),
            first_byte_ms: head.map(|head| head.first_byte_ms),
            backend_request_id: head.and_then(|head| head.request_id.clone()),
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

    fn is_error(&self) -> bool {
        let head = self.answer.as_ref();
        head.is_some_and(|head| !(200..300).contains(&head.status))
    }

    fn status(&self) -> u16 {
        self.answer
            .as_ref()
            .map_or(CLIENT_CLOSED_REQUEST, |head| head.status)
    }

    /// Returns the backend's numbers and what is missing of them. An error answer has no numbers.
    fn numbers(&self, outcome: Outcome) -> Numbers {
        if self.is_error() {
            return Numbers::default();
        }
        Metered {
            metering: self.metering(),
            dialect: self.endpoint.dialect(),
            meter: self.meter.as_ref(),
            is_complete: outcome == Outcome::Completed,
        }
        .numbers()
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

    /// Writes the line of an answered request.
    fn log(&self) {
        let status = self.status();
        match self.booked {
            Some((booked, duration_ms)) => {
                self.access
                    .log_booked(&self.model, status, duration_ms, booked);
            }
            None if self.answer.is_some() => {
                self.access.log(status, millis_since(self.arrival.started))
            }
            None => {}
        }
    }
}

/// Books the answer of a client that left, before the answer came or while it passed.
impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_booked() {
            if let Some(meter) = &mut self.meter {
                meter.finish(&mut |_| {});
            }
            self.book(Outcome::ClientGone);
        }
        if !self.is_logged {
            self.log();
        }
    }
}

fn millis_since(started: Instant) -> i64 {
    i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX)
}

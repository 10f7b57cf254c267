//! The account of one request: who asks for what, what the meter saw, and the row that comes of it,
//! exactly once. It also owns the permit and the count among the requests in flight, so that all of
//! them end together.

mod socket;
mod writes;

use std::{fmt, future::Future, rc::Rc, sync::Arc, time::Instant};

use tokio::sync::oneshot;

use super::{
    access_log::{Access, Booked, peer_of},
    estimator::{Estimate, Estimator, Purpose},
    recorder::ObjectRecorder,
    refusals::RefusalBuffer,
    request_context::RequestContext,
    running::{Facts, RunningPlace, RunningRequests},
};
use crate::{
    alerts::AlertSink,
    limits::{Admitted, Reservation},
    model::{
        Account, Entry, ObjectHold, Outcome, Progress, RowHold, ServiceTier, Usage, UsageSource,
    },
    proxy::{
        admission::{Admission, Arrival, auth::Caller, body_budget::BodyShare, gate::Permit},
        body::BodyParts,
        routes::{Endpoint, Metering},
    },
    sight::LiveRequest,
    store::ledger::{NotWritten, WorkerLedger},
    usage::{AnswerText, Evidence, Input, Meter, Reading},
};

use writes::PendingWrites;

/// nginx's status for a client that left before the answer began.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The way of one worker's rows to the ledger.
pub struct WorkerAccounting {
    /// Requests that run, of which those that run for long are noted.
    pub running: Rc<RunningRequests>,
    /// Takes rows whose numbers are known.
    pub ledger: Rc<WorkerLedger>,
    pub estimator: Estimator,
    /// Takes requests that are answered with an error.
    pub refusals: Rc<RefusalBuffer>,
    /// Takes what an operator should know.
    pub alerts: AlertSink,
}

impl WorkerAccounting {
    /// Submits a row for estimation. The receiver gets the result of its commit.
    fn submit_awaited(&self, mut estimate: Estimate) -> oneshot::Receiver<Result<(), NotWritten>> {
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
    live: Rc<LiveRequest>,
    endpoint: Endpoint,
    model: String,
    /// The class of service that the request asks for.
    service_tier: Option<ServiceTier>,
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
    /// The request is about one object itself, and has no query that a 404 could be about.
    is_of_object: bool,
    /// The line of the access log was handed over with the row.
    is_logged: bool,
    /// The place among the requests that run, while it is sent and not booked.
    running: Option<RunningPlace>,
    /// `None` for a user without limits.
    limits: Option<Admitted>,
    permit: Permit,
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
    /// The request is being sent: from here on it may use tokens, even if the client leaves.
    Sent,
    /// The row is handed over.
    Booked,
}

impl Exchange {
    /// Starts the account of a request. It is boxed, because it goes through every future of the
    /// request's way, which would each hold its kilobyte twice.
    pub fn start(
        context: RequestContext<'_>,
        accounting: Rc<WorkerAccounting>,
        Admission { permit, limits }: Admission,
        started_at_ms: i64,
    ) -> Box<Self> {
        let RequestContext {
            request,
            live,
            arrival,
            endpoint,
            model,
            service_tier,
            body,
            share,
            recorder,
            ..
        } = context;
        Box::new(Self {
            accounting,
            access: Access {
                id: live.id(),
                peer: peer_of(request),
                caller: Arc::clone(&arrival.caller),
                method: request.method().clone(),
                path: endpoint.path,
            },
            live,
            endpoint,
            model,
            service_tier,
            body,
            share,
            started_at_ms,
            answer: None,
            meter: None,
            recorder,
            stage: Stage::Unsent,
            booked: None,
            is_of_object: endpoint.is_of_object() && request.query_string().is_empty(),
            is_logged: false,
            arrival,
            running: None,
            limits,
            permit,
        })
    }

    /// Notes the model that a form names.
    pub fn set_model(&mut self, model: String) {
        self.live.set_model(&model);
        self.model = model;
    }

    /// Notes that the request is about to leave for the backend.
    pub fn mark_sent(&mut self) {
        self.stage = Stage::Sent;
        self.live.sent();
        if self.running.is_none() && self.endpoint.is_booked() {
            let running = self.accounting.running.enter(self.facts());
            self.running = Some(running);
        }
    }

    /// Returns what is noted of the request if it runs for long.
    fn facts(&self) -> Facts {
        let input = match self.endpoint.metering {
            Metering::Text => Some(Input::Messages),
            Metering::Input => Some(Input::Plain),
            Metering::Free | Metering::AsReported | Metering::Images => None,
        };
        Facts {
            request_id: self.live.id(),
            caller: Arc::clone(&self.access.caller),
            endpoint: self.endpoint.path,
            model: self.model.clone(),
            service_tier: self.service_tier.clone(),
            started: self.arrival.started,
            started_at_ms: self.started_at_ms,
            body: input.map(|input| (self.body.clone(), input)),
        }
    }

    /// Notes how far a stream is, if it runs for long.
    pub fn observe(&mut self) {
        if let (Some(running), Some(meter)) = (&mut self.running, &self.meter)
            && running.wants_progress()
        {
            let (dialect, content) = (self.endpoint.dialect(), self.endpoint.content());
            let tokens = running.note_progress(meter.progress(dialect, content), || meter.sample());
            self.live.set_output_tokens(tokens);
        }
    }

    /// Takes the request from those that run. Returns what deletes its note, if it may have one.
    fn end_running(&mut self) -> Option<Entry> {
        self.running.take()?.end()
    }

    /// Notes that the backend did not answer: there is nothing to book.
    pub fn mark_unanswered(&mut self) {
        self.stage = Stage::Unsent;
        let unnoted = self.end_running();
        self.accounting.ledger.push(unnoted.into_iter().collect());
    }

    /// Notes that the head of the answer has come. The meter fits the answer's body.
    pub fn set_answer(&mut self, status: u16, request_id: Option<String>, meter: Meter) {
        self.answer = Some(AnswerHead {
            status,
            first_byte_ms: millis_since(self.arrival.started),
            request_id,
            may_be_missing: false,
        });
        self.live.answered(status);
        if let Some(limits) = self
            .limits
            .as_ref()
            .filter(|_| (200..300).contains(&status))
        {
            limits.reservation.mark_served();
        }
        if let (Some(running), Some(answer)) = (&self.running, &self.answer) {
            running.set_answer(answer.status, answer.first_byte_ms);
        }
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
    pub fn mark_may_be_missing(&mut self) {
        if let Some(head) = &mut self.answer {
            head.may_be_missing = self.is_of_object;
        }
    }

    /// Returns the reservation of the request; `None` for a user without limits.
    #[must_use]
    pub fn reservation(&self) -> Option<&Arc<Reservation>> {
        self.limits.as_ref().map(|limits| &limits.reservation)
    }

    /// Lets objects that use their tokens later hold what is reserved for them.
    fn with_holds(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        if let Some(reservation) = self.reservation() {
            for entry in &mut entries {
                if let Entry::Made(object) = entry
                    && !object.is_billed
                {
                    object.hold = Some(object_hold(reservation));
                }
            }
        }
        entries
    }

    /// Returns what ends with the row of the request.
    fn row_hold(&self) -> Option<Arc<dyn RowHold>> {
        let reservation = self.reservation()?;
        Some(Arc::clone(reservation) as Arc<dyn RowHold>)
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
            unnoted,
            estimate,
        } = self.close(outcome);
        let entries = objects.into_iter().chain(row).chain(unnoted);
        let entries = self.accounting.ledger.commit(entries);
        let counted = estimate.map(|estimate| self.accounting.submit_awaited(*estimate));
        let (live, began) = (Rc::clone(&self.live), Instant::now());
        async move {
            entries.await?;
            let committed = match counted {
                Some(written) => written.await.unwrap_or(Err(NotWritten)),
                None => Ok(()),
            };
            live.committed(began);
            committed
        }
    }

    /// Books the answer without waiting.
    pub fn book(&mut self, outcome: Outcome) {
        let PendingWrites {
            mut objects,
            row,
            unnoted,
            estimate,
        } = self.close(outcome);
        objects.extend(row.into_iter().chain(unnoted));
        self.accounting.ledger.push(objects);
        if let Some(estimate) = estimate {
            // It goes after the entries of the object that it may bill.
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
        let mut entries = self.with_holds(entries);
        if has_open_account(&entries) {
            // From here on the account keeps what it is taken to have used.
            entries.extend(self.end_running());
        }
        let made = self.accounting.ledger.commit(entries);
        let stored = self.meter.as_ref().and_then(Meter::stored);
        let account = self.recorder.as_ref().and_then(|r| r.new_account(stored));
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

    /// Logs what went wrong with an answer that has begun.
    pub fn warn(&self, problem: &impl fmt::Display) {
        let request_id = self.live.id();
        let user = &self.caller().username;
        log::warn!("{problem}: user={user:?} request_id={request_id:?}");
    }

    /// Logs why an answer or a socket is cut.
    pub fn log_cut(&self, why: &str) {
        self.live.failed(self.status(), "cut", why);
        self.access.log_cut(why, self.backend_request_id());
    }

    /// Returns the request id of the backend's answer, if there is one.
    #[must_use]
    pub fn backend_request_id(&self) -> Option<&str> {
        self.answer.as_ref()?.request_id.as_deref()
    }

    /// Tells the operator that the backend refuses the key of this proxy.
    pub fn report_refused_key(&self, status: u16) {
        self.accounting.alerts.backend_refuses_key(status);
    }

    /// Notes that the client is not given the answer, so that it gets no line of its own.
    pub fn mark_withheld(&mut self) {
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

    fn is_error(&self) -> bool {
        let head = self.answer.as_ref();
        head.is_some_and(|head| !(200..300).contains(&head.status))
    }

    fn status(&self) -> u16 {
        self.answer
            .as_ref()
            .map_or(CLIENT_CLOSED_REQUEST, |head| head.status)
    }

    /// Writes the line of an answered request.
    fn log(&self) {
        let status = self.status();
        match self.booked {
            Some((booked, duration_ms)) => {
                let backend_id = self.backend_request_id();
                self.access
                    .log_booked(&self.model, status, duration_ms, booked, backend_id);
            }
            None if self.answer.is_some() => self.access.log(
                status,
                millis_since(self.arrival.started),
                self.backend_request_id(),
            ),
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

/// Returns whether an object is among these that uses its tokens later.
fn has_open_account(entries: &[Entry]) -> bool {
    let is_open = |entry: &Entry| matches!(entry, Entry::Made(object) if !object.is_billed);
    entries.iter().any(is_open)
}

fn object_hold(reservation: &Arc<Reservation>) -> ObjectHold {
    let amounts = reservation.amounts();
    ObjectHold {
        started_at_ms: reservation.started_at_ms(),
        nano_usd: amounts.nano_usd,
        tokens: amounts.tokens,
        requests: amounts.requests,
        hold: Arc::clone(reservation) as Arc<dyn RowHold>,
    }
}

fn millis_since(started: Instant) -> i64 {
    i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX)
}

//! One request's account: who asked for what, what the meter saw, and the row that comes of it, exactly once.
//! It also owns the permit and the place in the count of requests in flight, so that all end together, whatever happens.

mod part;

use std::{future::Future, rc::Rc, sync::Arc, time::Instant};

use actix_web::HttpRequest;
use tokio::sync::oneshot;

use super::{
    access_log::{Access, Booked, peer_of},
    auth::Caller,
    budget::BodyShare,
    endpoint::{Endpoint, Metering, ObjectEffect},
    estimator::{Estimate, Estimator, Purpose},
    gate::{InFlight, Permit},
    pace::{ReadCoalescer, StreamCoalescer},
    parts::BodyParts,
    request::clean_text,
    stored::{Booking, ObjectRecorder},
};
use crate::{
    model::{
        Account, Entry, EstimatedTokens, Extent, Outcome, Progress, Usage, UsageRow, UsageSource,
        now_ms,
    },
    store::ledger::{NotWritten, WorkerLedger},
    usage::{AnswerText, Evidence, Input, Meter, Reading, ReportedCounts, Templates},
};

/// nginx's status for a client that left before the answer began.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What the exchanges of a worker share.
pub struct WorkerAccounting {
    /// Where rows go, or first to where they are counted.
    pub ledger: Rc<WorkerLedger>,
    pub estimator: Estimator,
    /// What their streams are like.
    pub templates: Templates,
    pub pace: Rc<ReadCoalescer>,
}

impl WorkerAccounting {
    /// Has a row counted. The receiver is told when it is written.
    fn count_and_tell(&self, mut estimate: Estimate) -> oneshot::Receiver<Result<(), NotWritten>> {
        let (sender, written) = oneshot::channel();
        estimate.written = Some(sender);
        self.estimator.submit(estimate);
        written
    }
}

/// The state of one request from the moment it has a permit.
pub struct Exchange {
    books: Rc<WorkerAccounting>,
    access: Access,
    endpoint: Endpoint,
    model: String,
    /// For an estimate of the input tokens, should the backend give none.
    body: BodyParts,
    share: BodyShare,
    started: Instant,
    started_at_ms: i64,
    answer: Option<AnswerHead>,
    /// Of an answer that is metered.
    meter: Option<Meter>,
    keeping: ObjectRecorder,
    stage: Stage,
    /// And how long it took.
    booked: Option<(Booked, i64)>,
    /// The request is about one object itself. With a query, a 404 may be the query's.
    is_of_object: bool,
    /// The line of the access log was handed over with the row.
    is_logged: bool,
    _permit: Permit,
    _in_flight: InFlight,
}

struct AnswerHead {
    status: u16,
    first_byte_ms: i64,
    request_id: Option<String>,
    /// It is a 404 to a request about an object.
    may_be_gone: bool,
}

/// What the backend reported of an answer's usage.
#[derive(Default)]
struct Numbers {
    usage: Usage,
    missing: Missing,
}

impl Numbers {
    /// There is no answer, or none that was read.
    fn unread(metering: Metering) -> Self {
        let missing = match metering {
            Metering::Text | Metering::Input => Missing::Parts {
                input: true,
                output: metering == Metering::Text,
            },
            Metering::Given | Metering::Images | Metering::Free => Missing::All,
        };
        Self {
            usage: Usage::default(),
            missing,
        }
    }
}

/// What the backend did not report, and is to be estimated if it can be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Missing {
    Nothing,
    /// There are no numbers, and nothing to count.
    #[default]
    All,
    Parts {
        input: bool,
        output: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The backend has not been asked, or did not answer: nothing to book.
    Unasked,
    /// Asked: from here on the tokens are spent, whoever leaves.
    Asked,
    /// The row is handed over.
    Booked,
}

/// What is to be booked at an answer's end.
#[derive(Default)]
struct PendingWrites {
    /// Objects that were made or forgotten, unless an estimate has them.
    objects: Vec<Entry>,
    /// The row, where its numbers are known.
    row: Option<Entry>,
    /// The row, where they are not.
    estimate: Option<Box<Estimate>>,
}

/// What is known of a request before the backend is asked.
pub struct RequestContext<'a> {
    pub request: &'a HttpRequest,
    pub caller: Arc<Caller>,
    pub endpoint: Endpoint,
    pub model: String,
    pub body: BodyParts,
    pub share: BodyShare,
    pub keeping: ObjectRecorder,
    pub started: Instant,
}

impl Exchange {
    /// Boxed: it goes through every future of the request's way, which would each hold its kilobyte twice.
    pub fn new(
        asked: RequestContext<'_>,
        books: Rc<WorkerAccounting>,
        permit: Permit,
        in_flight: InFlight,
    ) -> Box<Self> {
        let elapsed_ms = millis_since(asked.started);
        Box::new(Self {
            books,
            access: Access {
                peer: peer_of(asked.request),
                caller: asked.caller,
                method: asked.request.method().clone(),
                path: asked.endpoint.path,
            },
            endpoint: asked.endpoint,
            model: asked.model,
            body: asked.body,
            share: asked.share,
            started: asked.started,
            started_at_ms: now_ms() - elapsed_ms,
            answer: None,
            meter: None,
            keeping: asked.keeping,
            stage: Stage::Unasked,
            booked: None,
            is_of_object: asked.endpoint.is_of_object() && asked.request.query_string().is_empty(),
            is_logged: false,
            _permit: permit,
            _in_flight: in_flight,
        })
    }

    /// What a form said of the model on its way.
    pub fn set_model(&mut self, model: String) {
        self.model = model;
    }

    /// The request is about to leave for the backend.
    pub fn asked(&mut self) {
        self.stage = Stage::Asked;
    }

    /// The backend did not answer: there is nothing to book.
    pub fn unanswered(&mut self) {
        self.stage = Stage::Unasked;
    }

    /// The head of the answer has come; the meter fits its body.
    pub fn answered(&mut self, status: u16, request_id: Option<String>, meter: Meter) {
        self.answer = Some(AnswerHead {
            status,
            first_byte_ms: millis_since(self.started),
            request_id,
            may_be_gone: false,
        });
        // An answer that came before the whole request had gone is an answer too.
        if self.stage == Stage::Unasked {
            self.stage = Stage::Asked;
        }
        if self.keeping.notes_objects() && (200..300).contains(&status) {
            self.meter = Some(meter.with_objects());
        } else if self.endpoint.is_booked() || self.is_of_object && status == 404 {
            self.meter = Some(meter);
        }
    }

    /// The answer says that there is nothing at its path.
    pub fn found_nothing(&mut self) {
        if let Some(head) = &mut self.answer {
            head.may_be_gone = self.is_of_object;
        }
    }

    #[must_use]
    pub fn is_booked(&self) -> bool {
        self.stage == Stage::Booked
    }

    /// The answer has yet to name an object that uses its tokens later, whoever has left by then.
    #[must_use]
    pub fn awaits_name(&self) -> bool {
        self.stage == Stage::Asked && !self.is_error() && self.keeping.awaits_name()
    }

    pub fn templates(&self) -> &Templates {
        &self.books.templates
    }

    /// The way of a stream among those of its worker.
    pub fn lane(&self) -> StreamCoalescer {
        StreamCoalescer::new(&self.books.pace)
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
        let entries = self.books.ledger.commit(objects.into_iter().chain(row));
        let counted = estimate.map(|estimate| self.books.count_and_tell(*estimate));
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
        self.books.ledger.push(objects);
        if let Some(estimate) = estimate {
            // It may settle what is on its way to be remembered.
            let estimator = self.books.estimator.clone();
            let submit = move || estimator.submit(*estimate);
            self.books.ledger.behind(submit);
        }
    }

    /// Remembers the object that a long answer has named, and keeps what its request used with the account that it opens; resolves
    /// when both are committed, and what named it may leave. `None` where there is nothing to remember.
    pub fn remember(&mut self) -> Option<impl Future<Output = Result<(), NotWritten>> + use<>> {
        let stored = self.meter.as_mut().and_then(Meter::objects_so_far);
        let entries = self.keeping.first_entries(stored);
        if entries.is_empty() {
            return None;
        }
        let made = self.books.ledger.commit(entries);
        let stored = self.meter.as_ref().and_then(Meter::stored);
        let account = self.keeping.new_account(stored);
        let kept = account.map(|account| self.keep_input(account));
        Some(async move {
            made.await?;
            match kept {
                Some(written) => written.await.unwrap_or(Err(NotWritten)),
                None => Ok(()),
            }
        })
    }

    /// Keeps what the request is taken to have used with the account that it opens, behind the entry that opens it. The receiver is
    /// told when it is written.
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
        let estimator = self.books.estimator.clone();
        self.books.ledger.behind(move || estimator.submit(estimate));
        written
    }

    /// The log says why an answer or a socket was cut.
    pub fn log_cut(&self, why: &str) {
        self.access.log_cut(why);
    }

    /// The client is not given the answer: the line of one would be wrong.
    pub fn withheld(&mut self) {
        self.is_logged = true;
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

    /// What there is to book, the first time it is asked for.
    fn close(&mut self, outcome: Outcome) -> PendingWrites {
        if self.stage != Stage::Asked {
            return PendingWrites::default();
        }
        self.stage = Stage::Booked;
        let is_failed = self.reading().is_some_and(|reading| reading.is_error);
        let outcome = if is_failed && !self.is_error() {
            Outcome::BackendError
        } else {
            outcome
        };
        // Of what was not answered with success, no new object is known.
        let is_answered = self.answer.is_some() && !self.is_error();
        let (objects, booking) = if is_answered {
            let stored = self.meter.as_ref().and_then(Meter::stored);
            let objects = self.keeping.last_entries(stored);
            // What a stream reports in its beginning is no last word.
            let reports_usage = self.reading().is_some_and(|reading| {
                let is_stream = self.meter.as_ref().is_some_and(Meter::is_of_events);
                reading.counts().is_reported() && (reading.done || !is_stream)
            });
            (objects, self.keeping.booking(stored, reports_usage))
        } else if self.answer.is_none() {
            // The backend may have taken what it was sent.
            (self.keeping.given_entries(), Booking::AsUsual)
        } else {
            let may_be_gone = self.answer.as_ref().is_some_and(|head| head.may_be_gone);
            let gone = may_be_gone
                .then(|| {
                    let meter = self.meter.as_ref();
                    let contains = |id: &str| meter.is_some_and(|meter| meter.contains(id));
                    self.keeping.missing_entry(contains)
                })
                .flatten();
            (gone.into_iter().collect(), Booking::AsUsual)
        };
        let mut due = match booking {
            Booking::AsUsual if self.endpoint.is_booked() => {
                let (row, missing) = self.row(outcome);
                self.due(row, missing, None)
            }
            // A look that shows no text is one of many.
            Booking::Later(Some(_)) if self.keeping.is_look() && !self.has_passed_text() => {
                PendingWrites::default()
            }
            Booking::Later(Some(account)) => {
                let (row, missing) = self.row(outcome);
                let purpose = Purpose::KeptFor(account, Progress::End);
                let estimate = self.estimate(row, missing, purpose);
                PendingWrites {
                    estimate: Some(Box::new(estimate)),
                    ..PendingWrites::default()
                }
            }
            Booking::AsUsual | Booking::Later(None) | Booking::Before => PendingWrites::default(),
            Booking::Unfinished(estimate) => PendingWrites {
                estimate: Some(estimate),
                ..PendingWrites::default()
            },
            Booking::Once {
                account,
                extent,
                endpoint,
            } => {
                let (mut row, missing) = self.row(outcome);
                row.endpoint = endpoint.unwrap_or(row.endpoint);
                self.due(row, missing, Some((account, extent)))
            }
        };
        // A row that closes an object's account comes behind the object.
        match &mut due.estimate {
            Some(estimate) => estimate.objects = objects,
            None => due.objects = objects,
        }
        due
    }

    /// The row as far as the backend reported its numbers.
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
        // The backend chose one where the request names none, as for videos.
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
            duration_ms: millis_since(self.started),
            first_byte_ms: head.map(|head| head.first_byte_ms),
            backend_request_id: head.and_then(|head| head.request_id.clone()),
        };
        (row, missing)
    }

    /// What is to be booked of a row; `billed_to` is the account that it closes.
    fn due(
        &mut self,
        row: UsageRow,
        missing: Missing,
        settles: Option<(Account, Extent)>,
    ) -> PendingWrites {
        if row.source == UsageSource::Estimate {
            let purpose = match settles {
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
            row: Some(Entry::of(row, settles)),
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

    /// The backend's numbers, a 0 included, and what is to be estimated because it gave none. An error answer has no numbers.
    fn numbers(&self, outcome: Outcome) -> Numbers {
        if self.is_error() {
            return Numbers::default();
        }
        let Some(reading) = self.reading() else {
            return Numbers::unread(self.metering());
        };
        let counts = reading.counts();
        let reported = counts.reported(self.endpoint.dialect());
        let mut usage = reported.usage();
        if self.endpoint.metering == Metering::Images {
            usage.images = reading.items;
        }
        let missing = match self.metering() {
            Metering::Text => self.missing_of_text(reported, outcome),
            Metering::Input if reported.input.is_none() => Missing::Parts {
                input: true,
                output: false,
            },
            Metering::Input => Missing::Nothing,
            Metering::Given | Metering::Images | Metering::Free if counts.is_reported() => {
                Missing::Nothing
            }
            Metering::Given | Metering::Images | Metering::Free => Missing::All,
        };
        Numbers { usage, missing }
    }

    /// What is missing where input and output are text. Nothing is generated by an answer that merely says what went wrong.
    fn missing_of_text(&self, reported: ReportedCounts, outcome: Outcome) -> Missing {
        let is_stream = self.meter.as_ref().is_some_and(Meter::is_of_events);
        let reading = self.reading();
        let is_whole = outcome == Outcome::Completed;
        let has_uncounted = is_stream && reading.is_some_and(|r| r.has_uncounted_text(is_whole));
        let is_failed =
            reading.is_some_and(|reading| reading.is_error) && !has_uncounted && !self.has_text();
        if is_failed && reported.input.is_none() && reported.output.is_none() {
            return Missing::All;
        }
        // A 0 before the text is a placeholder.
        let input = reported
            .input
            .is_none_or(|input| input == 0 && has_uncounted);
        let output = has_uncounted || reported.output.is_none() && !is_failed;
        if input || output {
            Missing::Parts { input, output }
        } else {
            Missing::Nothing
        }
    }

    /// Whether text has passed that no count includes so far.
    fn has_passed_text(&self) -> bool {
        let in_stream = self.reading().is_some_and(|r| r.has_uncounted_text(false));
        in_stream || self.has_text()
    }

    /// Whether an answer in JSON has generated text.
    fn has_text(&self) -> bool {
        self.meter.as_ref().is_some_and(Meter::has_text_in_json)
    }

    /// A look at a response books it as the request that made it would have been.
    fn metering(&self) -> Metering {
        match self.endpoint.keeps {
            ObjectEffect::Response => Metering::Text,
            _ => self.endpoint.metering,
        }
    }

    /// Hands over what the missing parts of a row are counted from; nobody else needs it any more.
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
        // The line of what is booked has its numbers.
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

    /// One line per answered request.
    fn log(&self) {
        let status = self.status();
        match self.booked {
            Some((booked, duration_ms)) => {
                self.access
                    .log_booked(&self.model, status, duration_ms, booked);
            }
            None if self.answer.is_some() => self.access.log(status, millis_since(self.started)),
            None => {}
        }
    }
}

/// A client that left, before the answer or in it, is booked here.
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

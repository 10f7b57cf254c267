//! One request's account: who asked for what, what the meter saw, and the row that comes of it, exactly once.
//! It also owns the permit and the place in the count of requests in flight, so that all end together, whatever happens.

use std::{fmt, future::Future, net::IpAddr, rc::Rc, sync::Arc, time::Instant};

use actix_web::{
    HttpRequest,
    http::{Method, StatusCode},
};
use bytes::Bytes;

use super::{
    auth::Caller,
    budget::BodyShare,
    endpoint::{Endpoint, Metering},
    gate::{InFlight, Permit},
    stored::{Booking, Keeping},
};
use crate::{
    model::{Entry, Outcome, Usage, UsageRow, UsageSource, now_ms},
    store::ledger::{NotWritten, Port},
    usage::{Meter, prompt_tokens},
};

/// nginx's status for a client that left before the answer began.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The state of one request from the moment it has a permit.
pub struct Exchange {
    ledger: Rc<Port>,
    caller: Arc<Caller>,
    endpoint: Endpoint,
    model: String,
    /// For an estimate of the input tokens, should the backend give none.
    body: Bytes,
    _share: BodyShare,
    started: Instant,
    started_at_ms: i64,
    answer: Option<AnswerHead>,
    meter: Meter,
    keeping: Keeping,
    stage: Stage,
    booked: Option<Booked>,
    method: Method,
    peer: Peer,
    _permit: Permit,
    _in_flight: InFlight,
}

struct AnswerHead {
    status: u16,
    first_byte_ms: i64,
    request_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The backend has not been asked, or did not answer: nothing to book.
    Unasked,
    /// Asked: from here on the tokens are spent, whoever leaves.
    Asked,
    /// The row is handed to the ledger.
    Booked,
}

/// What the row says, for the access log.
#[derive(Debug, Clone, Copy)]
struct Booked {
    outcome: Outcome,
    usage: Usage,
    source: UsageSource,
}

/// One answer among several that come through a socket.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    pub started: Instant,
    pub usage: Usage,
    pub source: UsageSource,
    pub outcome: Outcome,
}

/// What is known of a request before the backend is asked.
pub struct Asked<'a> {
    pub request: &'a HttpRequest,
    pub caller: Arc<Caller>,
    pub endpoint: Endpoint,
    pub model: String,
    pub body: Bytes,
    pub share: BodyShare,
    pub keeping: Keeping,
    pub started: Instant,
}

/// What goes into the ledger at an answer's end: its objects, then its row.
type Entries = std::iter::Chain<std::vec::IntoIter<Entry>, std::option::IntoIter<Entry>>;

impl Exchange {
    pub fn new(asked: Asked<'_>, ledger: Rc<Port>, permit: Permit, in_flight: InFlight) -> Self {
        let elapsed_ms = millis_since(asked.started);
        Self {
            ledger,
            caller: asked.caller,
            endpoint: asked.endpoint,
            model: asked.model,
            body: asked.body,
            _share: asked.share,
            started: asked.started,
            started_at_ms: now_ms() - elapsed_ms,
            answer: None,
            meter: Meter::opaque(),
            keeping: asked.keeping,
            stage: Stage::Unasked,
            booked: None,
            method: asked.request.method().clone(),
            peer: peer_of(asked.request),
            _permit: permit,
            _in_flight: in_flight,
        }
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
        });
        // An answer that came before the whole request had gone is an answer too.
        if self.stage == Stage::Unasked {
            self.stage = Stage::Asked;
        }
        if self.keeping.notes_objects() && (200..300).contains(&status) {
            self.meter = meter.noting_objects();
        } else if self.endpoint.is_booked() {
            self.meter = meter;
        }
    }

    #[must_use]
    pub fn is_booked(&self) -> bool {
        self.stage == Stage::Booked
    }

    pub fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    /// Books the answer; resolves when the row is committed, and the last byte may leave.
    pub fn commit(
        &mut self,
        outcome: Outcome,
    ) -> impl Future<Output = Result<(), NotWritten>> + use<> {
        let entries = self.close(outcome);
        self.ledger.commit(entries)
    }

    /// Books the answer without waiting.
    pub fn book(&mut self, outcome: Outcome) {
        let entries = self.close(outcome);
        self.ledger.push(entries.collect());
    }

    /// Remembers the object that a long answer has named; resolves when it is committed, and what named it may leave.
    /// `None` where there is nothing to remember.
    pub fn remember(&mut self) -> Option<impl Future<Output = Result<(), NotWritten>> + use<>> {
        let entries = self.keeping.first_entries(self.meter.stored());
        (!entries.is_empty()).then(|| self.ledger.commit(entries))
    }

    /// A socket is open: what it uses is booked part by part, and not at its end.
    pub fn opened(&mut self) {
        self.answered(
            StatusCode::SWITCHING_PROTOCOLS.as_u16(),
            None,
            Meter::opaque(),
        );
        self.stage = Stage::Booked;
    }

    /// Books one answer that came through an open socket; resolves when the row is committed.
    pub fn commit_part(&self, part: Part) -> impl Future<Output = Result<(), NotWritten>> + use<> {
        self.ledger.commit([Entry::Row(self.part_row(part))])
    }

    /// The same without waiting.
    pub fn book_part(&self, part: Part) {
        self.ledger.push(vec![Entry::Row(self.part_row(part))]);
    }

    fn part_row(&self, part: Part) -> UsageRow {
        let duration_ms = millis_since(part.started);
        UsageRow {
            user_id: self.caller.id,
            started_at_ms: now_ms() - duration_ms,
            endpoint: self.endpoint.path,
            model: self.model_or_unknown(),
            served_model: None,
            usage: part.usage,
            status: StatusCode::OK.as_u16(),
            outcome: part.outcome,
            source: part.source,
            duration_ms,
            first_byte_ms: None,
            backend_request_id: None,
        }
    }

    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    fn model_or_unknown(&self) -> String {
        if self.model.is_empty() {
            return "unknown".to_owned();
        }
        self.model.clone()
    }

    /// What goes into the ledger, the first time it is asked for.
    fn close(&mut self, outcome: Outcome) -> Entries {
        let nothing = || Vec::new().into_iter().chain(None);
        if self.stage != Stage::Asked {
            return nothing();
        }
        self.stage = Stage::Booked;
        // Of what was not answered with success, no object is known.
        if self.is_error() || self.answer.is_none() {
            let row = self.endpoint.is_booked().then(|| self.row(outcome));
            return Vec::new().into_iter().chain(row.map(Entry::Row));
        }
        let stored = self.meter.stored();
        let objects = self.keeping.last_entries(stored);
        let row = match self.keeping.booking(stored) {
            Booking::AsUsual if self.endpoint.is_booked() => Some(Entry::Row(self.row(outcome))),
            Booking::AsUsual | Booking::Later => None,
            Booking::Once { id, endpoint } => {
                let mut row = self.row(outcome);
                row.endpoint = endpoint;
                if self.model.is_empty() {
                    row.model = row.served_model.clone().unwrap_or(row.model);
                }
                Some(Entry::Settled { id, row })
            }
        };
        objects.into_iter().chain(row)
    }

    fn row(&mut self, outcome: Outcome) -> UsageRow {
        let (usage, source) = self.usage();
        self.booked = Some(Booked {
            outcome,
            usage,
            source,
        });
        let head = self.answer.as_ref();
        UsageRow {
            user_id: self.caller.id,
            started_at_ms: self.started_at_ms,
            endpoint: self.endpoint.path,
            model: self.model_or_unknown(),
            served_model: self.meter.reading().model.clone(),
            usage,
            status: self.status(),
            outcome,
            source,
            duration_ms: millis_since(self.started),
            first_byte_ms: head.map(|head| head.first_byte_ms),
            backend_request_id: head.and_then(|head| head.request_id.clone()),
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

    /// The backend's numbers, a 0 included; an estimate only where it gave none; nothing for an error answer.
    fn usage(&self) -> (Usage, UsageSource) {
        let reading = self.meter.reading();
        let is_error = self.is_error();
        let (mut usage, source) = match (reading.usage(), self.endpoint.metering) {
            _ if is_error => (Usage::default(), UsageSource::None),
            (Some(usage), _) => (usage, UsageSource::Backend),
            (None, Metering::Text | Metering::Input) => (self.estimate(), UsageSource::Estimate),
            (None, Metering::Given | Metering::Images | Metering::Free) => {
                (Usage::default(), UsageSource::None)
            }
        };
        if self.endpoint.metering == Metering::Images && !is_error {
            usage.images = reading.items;
        }
        (usage, source)
    }

    fn estimate(&self) -> Usage {
        let text = self.meter.text();
        Usage {
            input: prompt_tokens(&self.body),
            output: match self.endpoint.metering {
                Metering::Text if self.meter.is_stream() => text.streamed_tokens(),
                Metering::Text => text.tokens(),
                _ => 0,
            },
            ..Usage::default()
        }
    }

    /// One line per answered request.
    fn log(&self) {
        let (peer, user, method, path) = (
            &self.peer,
            &self.caller.username,
            &self.method,
            self.endpoint.path,
        );
        let (status, duration_ms) = (self.status(), millis_since(self.started));
        match self.booked {
            None => {
                log::info!(target: "access", "{peer} user={user:?} {method} {path} status={status} {duration_ms}ms");
            }
            Some(Booked {
                outcome,
                usage,
                source,
            }) => log::info!(
                target: "access",
                "{peer} user={user:?} {method} {path} model={:?} status={status} {} {duration_ms}ms input={} output={} cached={} ({})",
                self.model,
                outcome.as_str(),
                usage.input,
                usage.output,
                usage.cached,
                source.as_str(),
            ),
        }
    }
}

/// A client that left, before the answer or in it, is booked here.
impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_booked() {
            self.meter.finish(&mut |_| {});
            self.book(Outcome::ClientGone);
        }
        if log::log_enabled!(target: "access", log::Level::Info)
            && (self.answer.is_some() || self.booked.is_some())
        {
            self.log();
        }
    }
}

/// The address of a connection, not what a header says.
#[derive(Debug, Clone, Copy)]
pub struct Peer(Option<IpAddr>);

/// The peer of a request.
#[must_use]
pub fn peer_of(request: &HttpRequest) -> Peer {
    Peer(request.peer_addr().map(|peer| peer.ip().to_canonical()))
}

impl Peer {
    #[must_use]
    pub fn address(self) -> Option<IpAddr> {
        self.0
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("-"),
        }
    }
}

fn millis_since(started: Instant) -> i64 {
    i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX)
}

//! One request as its worker follows it. It says what happens to it as it happens; when it is
//! dropped, the request has ended and is counted.

use std::{
    cell::Cell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    errors::RecentError,
    models::ModelId,
    worker::{LiveEntry, LiveModel, RequestState, WorkerSight},
};
use crate::model::{RequestId, now_ms};

/// nginx's status for a client that left before the answer began.
const CLIENT_CLOSED_REQUEST: u16 = 499;
/// The endpoint of requests to paths that are not served.
pub(super) const UNKNOWN_ENDPOINT: &str = "other";

/// A request that a worker follows. It belongs to the worker's thread.
#[derive(Debug)]
pub struct LiveRequest {
    id: RequestId,
    worker: Arc<WorkerSight>,
    endpoint: &'static str,
    started: Instant,
    /// Place among the live requests, and the user; `None` until the user is known.
    identified: Cell<Option<(usize, i64)>>,
    status: Cell<u16>,
    /// The time from which on the proxy itself is at work: the body has come.
    ready: Cell<Option<Instant>>,
    /// When the clock was last asked.
    last_look: Cell<Instant>,
    waiting_since: Cell<Option<Instant>>,
    waited: Cell<Duration>,
    /// The request had its turn, or gave up waiting for it.
    has_waited: Cell<bool>,
    /// Time that the proxy has added, as far as it is known.
    overhead: Cell<Option<Duration>>,
    first_byte: Cell<Option<Duration>>,
}

/// An answer of the proxy itself to a request that it does not serve.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    pub status: u16,
    /// The code of the error, or else its type.
    pub code: &'static str,
    /// Why it was refused: what the counter of refusals counts by. `None` for a failure, such as a
    /// backend that cannot be reached.
    pub reason: Option<&'static str>,
    pub message: &'a str,
}

impl LiveRequest {
    pub(super) fn new(worker: Arc<WorkerSight>, endpoint: &'static str, id: RequestId) -> Rc<Self> {
        let started = Instant::now();
        Rc::new(Self {
            id,
            worker,
            endpoint,
            started,
            identified: Cell::new(None),
            status: Cell::new(0),
            ready: Cell::new(None),
            last_look: Cell::new(started),
            waiting_since: Cell::new(None),
            waited: Cell::new(Duration::ZERO),
            has_waited: Cell::new(false),
            overhead: Cell::new(None),
            first_byte: Cell::new(None),
        })
    }

    #[must_use]
    pub fn id(&self) -> RequestId {
        self.id
    }

    #[must_use]
    pub fn endpoint(&self) -> &'static str {
        self.endpoint
    }

    /// Returns who calls; `None` until that is known.
    #[must_use]
    pub fn user_id(&self) -> Option<i64> {
        self.identified.get().map(|(_, id)| id)
    }

    /// Returns for how many milliseconds the request waited for its turn.
    #[must_use]
    pub fn waited_ms(&self) -> i64 {
        i64::try_from(self.waited.get().as_millis()).unwrap_or(i64::MAX)
    }

    /// Notes who calls. From here on the request is in the list of live ones.
    pub fn identified(&self, user_id: i64) {
        let second = self.worker.second_of(self.started);
        let mut state = self.worker.lock();
        state
            .user(user_id, self.started, second)
            .minute
            .at(second)
            .requests += 1;
        let key = state.live.insert(LiveEntry {
            user_id,
            endpoint: self.endpoint,
            model: LiveModel::Known(ModelId::NONE),
            started: self.started,
            state: RequestState::Reading,
            output_tokens: None,
            status: 0,
        });
        self.identified.set(Some((key, user_id)));
    }

    /// Notes that the body has come: what takes time from here on is this proxy's doing.
    pub fn body_read(&self) {
        let now = Instant::now();
        self.ready.set(Some(now));
        self.last_look.set(now);
    }

    /// Returns when the body had come; `None` if it is read on the way to the backend.
    #[must_use]
    pub fn ready_at(&self) -> Option<Instant> {
        self.ready.get()
    }

    /// Returns the newest moment that was noted of the request, also as Unix time in milliseconds. What
    /// comes at once after it need not ask the clock again.
    #[must_use]
    pub fn last_look(&self) -> (Instant, i64) {
        let last = self.last_look.get();
        let since = last - self.started;
        let since_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        (last, self.id.at_ms().saturating_add(since_ms))
    }

    /// Notes that the request asks for its turn.
    pub fn asks_for_turn(&self, model: &str) {
        self.change(|entry, known| {
            entry.model = live_model(known(model), model);
            entry.state = RequestState::Running;
        });
    }

    /// Notes the model, which a form or a socket names later.
    pub fn set_model(&self, model: &str) {
        self.change(|entry, known| entry.model = live_model(known(model), model));
    }

    /// Notes that the request has to wait in line.
    pub fn waits(&self) {
        self.waiting_since.set(Some(Instant::now()));
        self.change(|entry, _| entry.state = RequestState::Waiting);
    }

    /// Notes that the request has its turn.
    pub fn has_turn(&self) {
        self.has_waited.set(true);
        if let Some(since) = self.waiting_since.take() {
            self.waited.set(since.elapsed());
            self.change(|entry, _| entry.state = RequestState::Running);
        }
    }

    /// Notes that the request leaves for the backend.
    pub fn sent(&self) {
        if self.overhead.get().is_none() {
            let spent = self.ready.get().unwrap_or(self.started).elapsed();
            self.overhead
                .set(Some(spent.saturating_sub(self.waited.get())));
        }
    }

    /// Notes that the head of the backend's answer has come.
    pub fn answered(&self, status: u16) {
        self.status.set(status);
        let now = Instant::now();
        self.last_look.set(now);
        let first_byte = now - self.started;
        self.first_byte.set(Some(first_byte));
        let Some((key, user_id)) = self.identified.get() else {
            return;
        };
        let second = self.worker.second_of(now);
        let mut state = self.worker.lock();
        if let Some(entry) = state.live.get_mut(key) {
            entry.status = status;
        }
        let counts = state.user(user_id, now, second).minute.at(second);
        counts.first_bytes += 1;
        counts.first_byte_ms += u64::try_from(first_byte.as_millis()).unwrap_or(u64::MAX / 2);
    }

    /// Notes about how many tokens a stream has had so far.
    pub fn set_output_tokens(&self, tokens: u64) {
        self.change(|entry, _| entry.output_tokens = Some(tokens));
    }

    /// Notes that the end of the answer has waited for its row since a moment.
    pub fn committed(&self, since: Instant) {
        let now = Instant::now();
        self.last_look.set(now);
        if let Some(spent) = self.overhead.get() {
            self.overhead.set(Some(spent + (now - since)));
        }
    }

    /// Notes the status that the client is given.
    pub fn set_status(&self, status: u16) {
        self.status.set(status);
    }

    /// Notes that this proxy answers with an error.
    pub fn refused(&self, refused: Refused<'_>) {
        self.status.set(refused.status);
        let user_id = self.identified.get().map(|(_, id)| id);
        self.worker
            .refused(self.endpoint, user_id, refused, self.id);
    }

    /// Notes an answer of the backend that is an error, or that broke off.
    pub fn failed(&self, status: u16, code: &'static str, message: &str) {
        let user_id = self.identified.get().map_or(0, |(_, id)| id);
        let mut state = self.worker.lock();
        state.errors.push(RecentError {
            at_ms: now_ms(),
            count: 1,
            user_id,
            endpoint: self.endpoint,
            status,
            code,
            message: message.to_owned(),
            request_id: self.id,
        });
    }

    fn change(&self, change: impl FnOnce(&mut LiveEntry, &dyn Fn(&str) -> Option<ModelId>)) {
        let Some((key, _)) = self.identified.get() else {
            return;
        };
        let mut state = self.worker.lock();
        let state = &mut *state;
        if let Some(entry) = state.live.get_mut(key) {
            change(entry, &|name| state.models.known(name));
        }
    }
}

fn live_model(id: Option<ModelId>, name: &str) -> LiveModel {
    match id {
        Some(id) => LiveModel::Known(id),
        None => LiveModel::Named(name.into()),
    }
}

impl WorkerSight {
    /// Begins to follow a request.
    #[must_use]
    pub fn enter(self: &Arc<Self>, endpoint: &'static str, id: RequestId) -> Rc<LiveRequest> {
        LiveRequest::new(Arc::clone(self), endpoint, id)
    }

    /// Counts a request to a path that is not served.
    pub fn refused_path(&self, refused: Refused<'_>, id: RequestId) {
        self.refused(UNKNOWN_ENDPOINT, None, refused, id);
        let key = (UNKNOWN_ENDPOINT, ModelId::NONE, refused.status);
        *self.lock().requests.entry(key).or_default() += 1;
    }

    fn refused(
        &self,
        endpoint: &'static str,
        user_id: Option<i64>,
        refused: Refused<'_>,
        request_id: RequestId,
    ) {
        let Refused {
            status,
            code,
            reason,
            message,
        } = refused;
        let now = Instant::now();
        let second = self.second_of(now);
        let mut state = self.lock();
        if let Some(reason) = reason {
            *state.refused.entry(reason).or_default() += 1;
            if let Some(user_id) = user_id {
                state.user(user_id, now, second).minute.at(second).refused += 1;
            }
        }
        state.errors.push(RecentError {
            at_ms: now_ms(),
            count: 1,
            user_id: user_id.unwrap_or(0),
            endpoint,
            status,
            code,
            message: message.to_owned(),
            request_id,
        });
    }
}

/// Counts the request, which has ended.
impl Drop for LiveRequest {
    fn drop(&mut self) {
        let status = match self.status.get() {
            0 => CLIENT_CLOSED_REQUEST,
            status => status,
        };
        let mut state = self.worker.lock();
        let state = &mut *state;
        let model = match self.identified.get() {
            Some((key, _)) => state.live.try_remove(key).map(|entry| entry.model),
            None => None,
        };
        let model = match model {
            Some(LiveModel::Known(id)) => id,
            Some(LiveModel::Named(name)) => state.models.id(&name, (200..300).contains(&status)),
            None => ModelId::NONE,
        };
        let key = (self.endpoint, model, status);
        *state.requests.entry(key).or_default() += 1;
        if self.identified.get().is_none() {
            return;
        }
        let latencies = &mut state.latencies;
        latencies.duration.observe(self.started.elapsed());
        if let Some(since) = self.waiting_since.get() {
            latencies.wait.observe(since.elapsed());
        } else if self.has_waited.get() {
            latencies.wait.observe(self.waited.get());
        }
        if let Some(first_byte) = self.first_byte.get() {
            latencies.first_byte.observe(first_byte);
            if let Some(overhead) = self.overhead.get() {
                latencies.overhead.observe(overhead);
            }
        }
    }
}

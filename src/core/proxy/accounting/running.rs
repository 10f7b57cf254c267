//! Requests that run: those that have run for a second are noted in the database once a second, so
//! that a server that is killed frees nobody's tokens. A request that ends sooner costs a place in a
//! list.
//!
//! A task of the worker looks at the list every [`TICK`]. A stream tells how far it is when the next
//! read comes after such a look, because only it can see its text; what is noted is the number of
//! its tokens, never the text.

use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use slab::Slab;

use super::{
    estimator::{Estimator, Measurement},
    refusals::RefusalBuffer,
};
use crate::{
    model::{Entry, Note, RequestId, RunningRequest, ServiceTier, now_ms},
    proxy::{admission::auth::Caller, body::BodyParts},
    store::ledger::WorkerLedger,
    usage::{Input, StreamProgress},
};

/// Interval between two looks at the list.
const TICK: Duration = Duration::from_millis(250);
/// Age from which on a request is noted.
const NOTED_AFTER: Duration = Duration::from_secs(1);
/// Age from which on a stream tells how far it is, so that its first note has it.
const OBSERVED_AFTER: Duration = Duration::from_millis(700);
/// Tokens in a mebibyte of text that is not measured: four bytes are a token.
const UNMEASURED_PER_MEBIBYTE: u64 = 1 << 18;
/// Interval between two notes of a request.
const NOTED_EVERY: Duration = Duration::from_secs(1);

/// The requests of one worker that run.
#[derive(Default)]
pub struct RunningRequests {
    requests: RefCell<Slab<Rc<Running>>>,
    ticks: Cell<u32>,
}

/// What does not change while a request runs.
pub struct Facts {
    pub request_id: RequestId,
    pub caller: Arc<Caller>,
    pub endpoint: &'static str,
    pub model: String,
    pub service_tier: Option<ServiceTier>,
    pub started: Instant,
    /// Unix time in milliseconds.
    pub started_at_ms: i64,
    /// The body and what it means, if its tokens count.
    pub body: Option<(BodyParts, Input)>,
}

/// One request that runs.
struct Running {
    facts: Facts,
    note: Arc<Note>,
    /// Made when the request is noted or its text measured, which most end before.
    numbers: OnceCell<Arc<Numbers>>,
    state: RefCell<State>,
}

/// What is measured once for a request, on the estimator's thread. It counts by length until then,
/// because notes do not wait for a thread that has much to do.
#[derive(Debug)]
pub struct Numbers {
    input_tokens: AtomicU64,
    /// Tokens in a mebibyte of the stream's text.
    tokens_per_mebibyte: AtomicU64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            input_tokens: AtomicU64::new(0),
            tokens_per_mebibyte: AtomicU64::new(UNMEASURED_PER_MEBIBYTE),
        }
    }
}

#[derive(Default)]
struct State {
    status: u16,
    first_byte_ms: Option<i64>,
    seen: Seen,
    sample: Option<String>,
    /// The age at which another sample is taken.
    sample_at: Duration,
    /// The body was measured, or handed over to be.
    is_measured: bool,
    noted: Option<(Instant, Seen)>,
}

/// How far a stream was at a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Unix time in milliseconds; 0 before the first look.
    at_ms: i64,
    progress: StreamProgress,
}

/// The place of a request in the list, which it leaves when this is dropped.
pub struct RunningPlace {
    requests: Rc<RunningRequests>,
    running: Rc<Running>,
    key: usize,
    seen_tick: u32,
}

impl RunningRequests {
    /// Adds a request.
    pub fn enter(self: &Rc<Self>, facts: Facts) -> RunningPlace {
        let running = Rc::new(Running {
            facts,
            note: Note::new(),
            numbers: OnceCell::new(),
            state: RefCell::default(),
        });
        RunningPlace {
            key: self.requests.borrow_mut().insert(Rc::clone(&running)),
            requests: Rc::clone(self),
            running,
            seen_tick: self.ticks.get(),
        }
    }

    /// Starts the task that notes what runs for long, and hands refusals over. It ends with its worker.
    pub fn start(
        self: &Rc<Self>,
        ledger: Rc<WorkerLedger>,
        estimator: Estimator,
        refusals: Rc<RefusalBuffer>,
    ) {
        let running = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(TICK).await;
                let Some(running) = running.upgrade() else {
                    return;
                };
                running.tick(&ledger, &estimator);
                refusals.hand_over(&ledger);
            }
        });
    }

    fn tick(&self, ledger: &WorkerLedger, estimator: &Estimator) {
        let requests = self.requests.borrow();
        if requests.is_empty() {
            return;
        }
        self.ticks.set(self.ticks.get().wrapping_add(1));
        let now = Instant::now();
        let mut notes = Vec::new();
        for (_, running) in requests.iter() {
            if running.is_due(now) {
                notes.push(running.note(now, estimator));
            }
        }
        ledger.push(notes);
    }
}

impl Running {
    fn is_due(&self, now: Instant) -> bool {
        let state = self.state.borrow();
        let since = state.noted.map_or(Duration::MAX, |(at, _)| now - at);
        now - self.facts.started >= NOTED_AFTER && since >= NOTED_EVERY
    }

    fn numbers(&self) -> &Arc<Numbers> {
        self.numbers.get_or_init(Arc::default)
    }

    /// Makes the note of this moment. If it needs something measured, the estimator writes it once
    /// more when that is done.
    fn note(&self, now: Instant, estimator: &Estimator) -> Entry {
        let mut state = self.state.borrow_mut();
        let before = state.noted.map(|(_, seen)| seen);
        let mut seen = state.seen;
        let is_stalled = before.is_some_and(|before| before.progress == seen.progress);
        if is_stalled || seen.at_ms == 0 {
            seen.at_ms = now_ms();
        }
        // The rate of the first note is that since the first byte.
        let began_ms = self.facts.started_at_ms + state.first_byte_ms.unwrap_or(0);
        let before = before.unwrap_or(Seen {
            at_ms: began_ms,
            progress: StreamProgress::default(),
        });
        state.noted = Some((now, seen));
        self.note.mark_handed_over();
        let request = RunningRequest {
            note: Arc::clone(&self.note),
            request_id: self.facts.request_id,
            user_id: self.facts.caller.id,
            key_id: self.facts.caller.key_id,
            started_at_ms: self.facts.started_at_ms,
            endpoint: self.facts.endpoint,
            model: if self.facts.model.is_empty() {
                "unknown".to_owned()
            } else {
                self.facts.model.clone()
            },
            service_tier: self.facts.service_tier.clone(),
            status: if state.status == 0 { 499 } else { state.status },
            input_tokens: 0,
            output_tokens: 0,
            tokens_per_second: 0,
            noted_at_ms: seen.at_ms,
            is_measured: true,
        };
        let unfinished = Unfinished {
            request,
            numbers: Arc::clone(self.numbers()),
            before,
            seen,
        };
        let sample = state.sample.take();
        let is_first = !std::mem::replace(&mut state.is_measured, true);
        let body = self.facts.body.as_ref().filter(|_| is_first);
        if sample.is_none() && body.is_none() {
            return unfinished.finish(true);
        }
        let (body, input) = body.cloned().unwrap_or_default();
        let body: Vec<Bytes> = body.into_iter().collect();
        if is_first {
            let bytes: usize = body.iter().map(Bytes::len).sum();
            let tokens = u64::try_from(bytes / 4).unwrap_or(u64::MAX);
            self.numbers().input_tokens.store(tokens, Ordering::Relaxed);
        }
        // The thread may have much to do, and the first note of all waits for the tokenizer's tables.
        let unmeasured = unfinished.finish(false);
        estimator.measure(Measurement {
            model: self.facts.model.clone(),
            body,
            input,
            sample: sample.unwrap_or_default(),
            then: Box::new(move |measured| {
                let numbers = &unfinished.numbers;
                if let Some(tokens) = measured.input_tokens {
                    numbers.input_tokens.store(tokens, Ordering::Relaxed);
                }
                if let Some(tokens) = measured.tokens_per_mebibyte {
                    numbers.tokens_per_mebibyte.store(tokens, Ordering::Relaxed);
                }
                unfinished.finish(true)
            }),
        });
        unmeasured
    }
}

/// A note without its tokens.
struct Unfinished {
    request: RunningRequest,
    numbers: Arc<Numbers>,
    before: Seen,
    seen: Seen,
}

impl Unfinished {
    fn finish(&self, is_measured: bool) -> Entry {
        let Self {
            request,
            numbers,
            before,
            seen,
        } = self;
        let ratio = numbers.tokens_per_mebibyte.load(Ordering::Relaxed);
        let output_tokens = seen.progress.tokens(ratio);
        let more = output_tokens.saturating_sub(before.progress.tokens(ratio));
        let span_ms = u64::try_from(seen.at_ms - before.at_ms).unwrap_or(0).max(1);
        Entry::Noted(Box::new(RunningRequest {
            input_tokens: numbers.input_tokens.load(Ordering::Relaxed),
            output_tokens,
            tokens_per_second: more.saturating_mul(1_000) / span_ms,
            is_measured,
            ..request.clone()
        }))
    }
}

impl RunningPlace {
    /// Notes the head of the answer.
    pub fn set_answer(&self, status: u16, first_byte_ms: i64) {
        let mut state = self.running.state.borrow_mut();
        state.status = status;
        state.first_byte_ms = Some(first_byte_ms);
    }

    /// Returns whether the stream should tell how far it is.
    #[inline]
    pub fn wants_progress(&mut self) -> bool {
        let tick = self.requests.ticks.get();
        tick != std::mem::replace(&mut self.seen_tick, tick)
            && self.running.facts.started.elapsed() >= OBSERVED_AFTER
    }

    /// Notes how far a stream is, and returns about how many tokens that is. `sample` returns some
    /// of its text, if it is wanted.
    pub fn note_progress(
        &self,
        progress: StreamProgress,
        sample: impl FnOnce() -> Option<String>,
    ) -> u64 {
        let mut state = self.running.state.borrow_mut();
        state.seen = Seen {
            at_ms: now_ms(),
            progress,
        };
        let age = self.running.facts.started.elapsed();
        if age >= state.sample_at
            && let Some(sample) = sample()
        {
            state.sample = Some(sample);
            state.sample_at = age * 2;
        }
        let numbers = self.running.numbers();
        progress.tokens(numbers.tokens_per_mebibyte.load(Ordering::Relaxed))
    }

    /// Returns what deletes the note of the request, if there may be one.
    #[must_use]
    pub fn end(&self) -> Option<Entry> {
        let note = &self.running.note;
        note.is_handed_over()
            .then(|| Entry::Unnoted(Arc::clone(note)))
    }
}

impl Drop for RunningPlace {
    fn drop(&mut self) {
        self.requests.requests.borrow_mut().try_remove(self.key);
    }
}

//! The estimator counts what no backend reported. It has a thread of its own, because hostile text
//! takes a second to count and a worker has other clients. The thread starts with the first
//! estimate, and ends together with its vocabularies when none has come for a while: if the backend
//! reports its usage, there is no such thread.
//!
//! A row that is to be estimated belongs to the estimator from the moment its answer ends. It is
//! counted and goes to the ledger, whether client and worker are still there or not. A stopping
//! server closes the estimator before the ledger.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::access_log::{Access, Booked};
use crate::proxy::admission::body_budget::BodyShare;
use crate::{
    model::{Account, Entry, EstimatedTokens, Extent, Progress, Usage, UsageRow},
    store::ledger::{Ledger, NotWritten},
    usage::{AnswerText, Evidence, Input, Tokenizer},
};

/// Bytes that wait to be counted, in all. Beyond it the rule of thumb is used: a flood costs
/// precision, not memory.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of a row and what is around it.
const BYTES_PER_ESTIMATE: usize = 1024;
/// Longest time in line of an answer whose last byte waits for its row. Then the rule of thumb is
/// used.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// The thread ends if no estimate has come for this long.
const MAX_IDLE: Duration = Duration::from_secs(600);
/// Time that a stopping server counts for. Estimates that are still in line then get the rule of
/// thumb.
const MAX_CLOSING: Duration = Duration::from_secs(2);
/// The most measurements that wait.
const MAX_MEASUREMENTS: usize = 10_000;
/// Longer evidence counts by its length if a worker has to count it, because even the rule of thumb
/// would hold the worker up.
const MAX_READ_BY_WORKER_BYTES: usize = 1024 * 1024;

/// A row without all of its tokens, and what the missing ones are counted from.
pub struct Estimate {
    pub row: UsageRow,
    pub evidence: Evidence,
    /// The evidence's part of the budget for bodies.
    pub share: BodyShare,
    /// Objects that are written before the row.
    pub objects: Vec<Entry>,
    pub purpose: Purpose,
    /// The entry that forgets the object whose account the row closes, if the object ends with its
    /// account. It is written behind the row.
    pub forgets: Option<Entry>,
    /// The entry that deletes the note of the request. It is written behind the row.
    pub unnotes: Option<Entry>,
    /// Gets the result when the row is committed. `None` if nobody waits for it.
    pub written: Option<oneshot::Sender<Result<(), NotWritten>>>,
    /// Writes the access log line when the numbers are known.
    pub access: Option<Access>,
}

/// What becomes of the row when it is counted.
pub enum Purpose {
    Booked,
    /// The row closes this account.
    Bills(Account, Extent),
    /// The row is kept with this account, which stays open.
    KeptFor(Account, Progress),
}

/// Something that is measured for the note of a running request.
pub struct Measurement {
    pub model: String,
    /// Empty if the input was measured before.
    pub body: Vec<Bytes>,
    pub input: Input,
    /// Some of the text of the answer; empty if there is none to measure.
    pub sample: String,
    /// Makes an entry of what was measured.
    pub then: Box<dyn FnOnce(Measured) -> Entry + Send>,
}

/// What a [`Measurement`] has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    pub input_tokens: Option<u64>,
    pub tokens_per_mebibyte: Option<u64>,
}

/// Takes estimates. Clones share the thread that counts them.
#[derive(Clone)]
pub struct Estimator {
    shared: Arc<Shared>,
}

struct Shared {
    ledger: Ledger,
    max_idle: Duration,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Estimates whose clients wait. They come first.
    awaited: VecDeque<(Instant, Estimate)>,
    others: VecDeque<Estimate>,
    /// Measurements come last: they are for the case that the server is killed.
    measurements: VecDeque<Measurement>,
    /// Bytes of the estimates that wait and of the one that is being counted.
    bytes: usize,
    thread: Option<thread::JoinHandle<()>>,
    closing_since: Option<Instant>,
    closed: bool,
}

impl Estimator {
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self::with_max_idle(ledger, MAX_IDLE)
    }

    fn with_max_idle(ledger: Ledger, max_idle: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                ledger,
                max_idle,
                queue: Mutex::default(),
                wake: Condvar::new(),
            }),
        }
    }

    /// Counts what waits, hands the rows to the ledger and ends the thread.
    pub fn close(&self) {
        let mut queue = self.shared.lock();
        queue.closing_since = Some(Instant::now());
        let Some(thread) = queue.thread.take() else {
            queue.closed = true;
            return;
        };
        drop(queue);
        self.shared.wake.notify_one();
        if thread.join().is_err() {
            log::error!("the counting thread died; rows that waited for it are lost");
        }
    }

    /// Returns how many rows wait to be counted, but for the one that is being counted.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let queue = self.shared.lock();
        queue.awaited.len() + queue.others.len()
    }

    /// Takes a row over. It reaches the ledger whatever becomes of the caller.
    pub fn submit(&self, estimate: Estimate) {
        let bytes = estimate.bytes();
        let mut queue = self.shared.lock();
        if queue.closed
            || queue.bytes + bytes > MAX_WAITING_BYTES
            || !self.ensure_thread(&mut queue)
        {
            drop(queue);
            let counted = if bytes > MAX_READ_BY_WORKER_BYTES {
                estimate.evidence.usage_by_length()
            } else {
                estimate.count(Tokenizer::RuleOfThumb)
            };
            return estimate.finish(counted, &self.shared.ledger);
        }
        queue.bytes += bytes;
        if estimate.written.is_some() {
            queue.awaited.push_back((Instant::now(), estimate));
        } else {
            queue.others.push_back(estimate);
        }
        drop(queue);
        self.shared.wake.notify_one();
    }

    /// Measures something for a note. If too much waits, it is left out.
    pub fn measure(&self, measurement: Measurement) {
        let mut queue = self.shared.lock();
        let is_full = queue.measurements.len() >= MAX_MEASUREMENTS;
        if is_full || queue.closing_since.is_some() || !self.ensure_thread(&mut queue) {
            return;
        }
        queue.measurements.push_back(measurement);
        drop(queue);
        self.shared.wake.notify_one();
    }

    /// Starts the thread if it does not run. Returns whether it runs.
    fn ensure_thread(&self, queue: &mut Queue) -> bool {
        let is_running = |thread: &thread::JoinHandle<()>| !thread.is_finished();
        if queue.thread.as_ref().is_some_and(is_running) || queue.closing_since.is_some() {
            return true;
        }
        let shared = Arc::clone(&self.shared);
        let started = thread::Builder::new()
            .name("estimator".to_owned())
            .spawn(move || shared.run());
        match started {
            Ok(thread) => queue.thread = Some(thread),
            Err(error) => {
                log::error!("cannot start the thread that counts estimates: {error}");
                return false;
            }
        }
        true
    }
}

impl Shared {
    fn run(&self) {
        while let Some(work) = self.next() {
            let (estimate, tokenizer) = match work {
                Work::Estimate(estimate, tokenizer) => (estimate, tokenizer),
                Work::Measurement(measurement) => {
                    let entry = measurement.measure();
                    self.ledger.write(vec![entry], None);
                    continue;
                }
            };
            let bytes = estimate.bytes();
            let counted = estimate.count(tokenizer);
            estimate.finish(counted, &self.ledger);
            self.lock().bytes -= bytes;
        }
    }

    /// Waits for the next estimate and says how it is counted. Returns `None` when the thread is to
    /// end.
    fn next(&self) -> Option<Work> {
        let mut queue = self.lock();
        loop {
            let is_late = queue
                .closing_since
                .is_some_and(|since| since.elapsed() > MAX_CLOSING);
            let (is_late, estimate) = if let Some((since, estimate)) = queue.awaited.pop_front() {
                (is_late || since.elapsed() > MAX_WAIT, Some(estimate))
            } else {
                (is_late, queue.others.pop_front())
            };
            if let Some(estimate) = estimate {
                let tokenizer = if is_late {
                    Tokenizer::RuleOfThumb
                } else {
                    estimate.tokenizer()
                };
                return Some(Work::Estimate(Box::new(estimate), tokenizer));
            }
            if queue.closing_since.is_some() {
                queue.closed = true;
                return None;
            }
            if let Some(measurement) = queue.measurements.pop_front() {
                return Some(Work::Measurement(measurement));
            }
            let (woken, wait) = self
                .wake
                .wait_timeout(queue, self.max_idle)
                .unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            if wait.timed_out() && queue.is_idle() {
                // The next estimate starts another.
                queue.thread = None;
                return None;
            }
        }
    }

    /// A panic while the lock was held leaves a queue that is still valid.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn is_idle(&self) -> bool {
        let is_empty = self.awaited.is_empty() && self.others.is_empty();
        is_empty && self.measurements.is_empty() && self.closing_since.is_none()
    }
}

/// What the thread does next.
enum Work {
    Estimate(Box<Estimate>, Tokenizer),
    Measurement(Measurement),
}

impl Measurement {
    fn measure(self) -> Entry {
        let tokenizer = Tokenizer::of_models(&self.model, None);
        let evidence = Evidence {
            body: self.body,
            input: self.input,
            generated: AnswerText::Nothing,
        };
        // A panic in the reading of hostile text costs the measure only.
        let measured = catch_unwind(AssertUnwindSafe(|| Measured {
            input_tokens: (!evidence.body.is_empty()).then(|| evidence.usage(tokenizer).input),
            tokens_per_mebibyte: tokenizer.tokens_per_mebibyte(&self.sample),
        }));
        (self.then)(measured.unwrap_or_default())
    }
}

impl Estimate {
    /// Makes an estimate that nobody waits for.
    #[must_use]
    pub fn of(row: UsageRow, evidence: Evidence) -> Self {
        Self {
            row,
            evidence,
            share: BodyShare::default(),
            objects: Vec::new(),
            purpose: Purpose::Booked,
            forgets: None,
            unnotes: None,
            written: None,
            access: None,
        }
    }

    fn bytes(&self) -> usize {
        BYTES_PER_ESTIMATE + self.evidence.bytes()
    }

    fn tokenizer(&self) -> Tokenizer {
        Tokenizer::of_models(&self.row.model, self.row.served_model.as_deref())
    }

    /// Counts what is missing. A panic in the reading of hostile text must not lose the row.
    fn count(&self, tokenizer: Tokenizer) -> Usage {
        catch_unwind(AssertUnwindSafe(|| self.evidence.usage(tokenizer)))
            .unwrap_or_else(|_| self.evidence.usage_by_length())
    }

    /// Hands the row to the ledger.
    fn finish(self, counted: Usage, ledger: &Ledger) {
        let mut row = self.row;
        // What the backend did report is in the row already.
        row.usage = row.usage.saturating_add(counted);
        row.estimated = EstimatedTokens {
            input: counted.input,
            output: counted.output,
        };
        if let Some(access) = self.access {
            let booked = Booked {
                outcome: row.outcome,
                usage: row.usage,
                source: row.source,
            };
            let request_id = row.backend_request_id.as_deref();
            access.log_booked(&row.model, row.status, row.duration_ms, booked, request_id);
        }
        let mut entries = self.objects;
        entries.push(match self.purpose {
            Purpose::Booked => Entry::Row(row),
            Purpose::Bills(account, extent) => Entry::Billed {
                account,
                row,
                extent,
            },
            Purpose::KeptFor(account, progress) => Entry::Kept {
                account,
                row,
                progress,
            },
        });
        entries.extend(self.forgets);
        entries.extend(self.unnotes);
        ledger.write(entries, self.written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{EstimatedTokens, Outcome, UsageSource},
        store::{
            DatabaseLocation, IfMissing, Store,
            ledger::{LedgerThread, OnFailure, ServerLinks, Sync},
        },
    };

    const HELLO: &[u8] = br#"{"messages":[{"role":"user","content":"Hello!"}]}"#;

    fn estimate(body: impl Into<Bytes>) -> Estimate {
        Estimate::of(
            UsageRow {
                user_id: 1,
                key_id: 1,
                started_at_ms: 1_000,
                endpoint: "/v1/chat/completions",
                model: "gpt-4o".to_owned(),
                served_model: None,
                usage: Usage::default(),
                service_tier: None,
                is_batch: false,
                estimated: EstimatedTokens::default(),
                status: 200,
                outcome: Outcome::ClientGone,
                source: UsageSource::Estimate,
                duration_ms: 1,
                first_byte_ms: None,
                wait_ms: 0,
                request_id: None,
                backend_request_id: None,
                hold: None,
            },
            Evidence {
                body: vec![body.into()],
                input: Input::Messages,
                ..Evidence::default()
            },
        )
    }

    /// Returns the input tokens of all rows that are written, sorted.
    fn rows_after(work: impl FnOnce(&Estimator)) -> Vec<i64> {
        rows_of(MAX_IDLE, work)
    }

    fn rows_of(max_idle: Duration, work: impl FnOnce(&Estimator)) -> Vec<i64> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.db");
        let location = DatabaseLocation::parse(path.to_str().unwrap()).unwrap();
        let store = Store::open(&location, IfMissing::Create).unwrap();
        let ledger = LedgerThread::start(
            &store,
            Sync::Normal,
            OnFailure::Refuse,
            ServerLinks::default(),
        )
        .unwrap();
        work(&Estimator::with_max_idle(ledger.handle(), max_idle));
        assert_eq!(ledger.close(), 0);
        let connection = store.connection().unwrap();
        let mut select = connection
            .file()
            .prepare("SELECT input_tokens FROM usage_logs ORDER BY 1")
            .unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn closing_counts_what_waits_and_loses_no_row() {
        let rows = rows_after(|estimator| {
            for _ in 0..100 {
                estimator.submit(estimate(HELLO));
            }
            estimator.close();
        });
        assert_eq!(rows, [9; 100]);
    }

    #[test]
    fn an_idle_thread_ends_and_the_next_estimate_starts_one() {
        let rows = rows_of(Duration::from_millis(1), |estimator| {
            for _ in 0..3 {
                estimator.submit(estimate(HELLO));
                let deadline = Instant::now() + Duration::from_secs(10);
                while estimator.shared.lock().thread.is_some() {
                    assert!(Instant::now() < deadline, "the thread did not end");
                    thread::yield_now();
                }
            }
            estimator.close();
        });
        assert_eq!(rows, [9; 3]);
    }

    #[test]
    fn waiters_are_notified_when_the_row_is_written() {
        rows_after(|estimator| {
            let (sender, written) = oneshot::channel();
            let mut awaited = estimate(HELLO);
            awaited.written = Some(sender);
            estimator.submit(awaited);
            assert!(written.blocking_recv().unwrap().is_ok());
            estimator.close();
        });
    }

    #[test]
    fn late_or_excess_estimates_use_the_rule_of_thumb() {
        let rows = rows_after(|estimator| {
            estimator.submit(estimate(vec![b'x'; MAX_WAITING_BYTES]));
            assert_eq!(estimator.shared.lock().bytes, 0);
            estimator.close();
            estimator.submit(estimate(HELLO));
        });
        assert_eq!(rows, [9, i64::try_from(MAX_WAITING_BYTES / 4).unwrap()]);
    }

    #[test]
    fn awaited_estimates_come_first_and_late_ones_are_not_counted() {
        rows_after(|estimator| {
            let shared = &estimator.shared;
            let mut queue = shared.lock();
            let since = Instant::now().checked_sub(2 * MAX_WAIT).unwrap();
            queue.others.push_back(estimate("other"));
            queue.awaited.push_back((since, estimate("late")));
            queue.awaited.push_back((Instant::now(), estimate("new")));
            drop(queue);
            let next = || {
                let Some(Work::Estimate(estimate, tokenizer)) = shared.next() else {
                    panic!("an estimate waits");
                };
                (estimate.evidence.body, tokenizer)
            };
            assert_eq!(next(), (vec![Bytes::from("late")], Tokenizer::RuleOfThumb));
            assert_eq!(next(), (vec![Bytes::from("new")], Tokenizer::O200k));
            assert_eq!(next(), (vec![Bytes::from("other")], Tokenizer::O200k));
            shared.lock().closing_since = Some(since);
            shared.lock().others.push_back(estimate("at the end"));
            assert_eq!(next().1, Tokenizer::RuleOfThumb);
            assert!(shared.next().is_none());
        });
    }
}

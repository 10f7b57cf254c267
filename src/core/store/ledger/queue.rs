//! The queue of entries that wait to be written, shared by the workers and the writing thread.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    limits::{LeaseAsk, LeaseDesk},
    model::{Entry, RequestId},
};

/// The most entries kept in memory while the database refuses writes, about 50 MB. Further ones are
/// lost, and counted in the log.
const MAX_BACKLOG: usize = 100_000;
/// Time that an answer waits for its row, where the database is not on this machine. It is longer than
/// the waits for locks of other nodes.
const PATIENCE: Duration = Duration::from_secs(10);
/// A timer that is later than this has stood still itself, with the whole process.
const STOOD_STILL: Duration = Duration::from_secs(1);
/// Time that a change waits for the thread to look at it: a batch of rows may be on its way.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// The way requests are treated while the database refuses writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Answers are withheld at their end, new requests refused.
    Refuse,
    /// Answers go out, their rows wait in memory.
    Serve,
}

/// The error for a row that could not be written. The row is kept and tried again, but its answer
/// must not end cleanly.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the ledger cannot be written")]
pub struct NotWritten;

/// A handle to the ledger; clones share it.
#[derive(Clone)]
pub struct Ledger {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) queue: Mutex<Queue>,
    pub(super) wake: Condvar,
    /// Whether the last attempt to write failed.
    pub(super) failing: AtomicBool,
    /// Whether the writing thread ended without having been closed.
    pub(super) dead: AtomicBool,
    /// Whether changes of users, keys, prices and limits are announced to this process.
    pub(super) hears: AtomicBool,
    /// Whether a change was announced that was not looked at.
    pub(super) has_heard: AtomicBool,
    pub(super) on_failure: OnFailure,
    /// Time that an answer waits for a database that is not on this machine; `None` for a file.
    patience: Option<Duration>,
    /// Number of entries that the thread has taken from the queue and not written yet.
    pub(super) taken: AtomicUsize,
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) requests: VecDeque<WriteRequest>,
    /// Number of entries in all queued requests.
    pub(super) entries: usize,
    /// Entries dropped because the backlog was full.
    pub(super) lost: usize,
    /// Number of entries for which the sleeping thread must be woken; `None` while it is awake.
    pub(super) wake_at: Option<usize>,
    pub(super) closing: bool,
    /// Parts of budgets that requests ask for.
    pub(super) lease_asks: Vec<LeaseAsk>,
    /// Those who wait until the thread has looked for changes: they get whether it could.
    pub(super) look_asks: Vec<SyncSender<bool>>,
}

impl Queue {
    /// Returns whether nobody waits for the thread.
    pub(super) fn is_quiet(&self) -> bool {
        self.requests.is_empty()
            && self.lease_asks.is_empty()
            && self.look_asks.is_empty()
            && !self.closing
    }
}

impl LeaseDesk for Ledger {
    fn ask(&self, ask: LeaseAsk) {
        let mut queue = self.shared.lock();
        if self.is_alive() && queue.lease_asks.len() < MAX_BACKLOG {
            queue.lease_asks.push(ask);
            queue.wake_at = None;
            self.shared.wake.notify_one();
        }
    }
}

/// Entries handed over together, written together, acknowledged together.
pub(super) struct WriteRequest {
    pub(super) entries: Vec<Entry>,
    /// Where a commit can be in doubt: the ids of the rows that come of the entries, one an entry.
    pub(super) row_ids: Vec<RequestId>,
    written: Option<oneshot::Sender<Result<(), NotWritten>>>,
}

impl Ledger {
    /// Makes a ledger. A database of a server may hang, and its answers have to be waited for.
    pub(super) fn new(on_failure: OnFailure, is_of_server: bool) -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::default(),
                wake: Condvar::new(),
                failing: AtomicBool::new(false),
                dead: AtomicBool::new(false),
                hears: AtomicBool::new(false),
                has_heard: AtomicBool::new(false),
                on_failure,
                patience: is_of_server.then_some(PATIENCE),
                taken: AtomicUsize::new(0),
            }),
        }
    }

    /// Waits until the ledger's thread has looked for changes of users, keys, prices and limits, so that
    /// what this process has just written holds from now on. Returns false if it could not look, or if
    /// that takes longer than [`LOOK_PATIENCE`]. It blocks.
    #[must_use]
    pub fn look_for_changes(&self) -> bool {
        let (sender, has_looked) = sync_channel(1);
        let mut queue = self.shared.lock();
        if !self.is_alive() {
            return false;
        }
        queue.look_asks.push(sender);
        queue.wake_at = None;
        drop(queue);
        self.shared.wake.notify_one();
        has_looked.recv_timeout(LOOK_PATIENCE).unwrap_or(false)
    }

    /// Queues entries that are acknowledged together: `written` gets the result when their
    /// transaction is committed. With [`OnFailure::Serve`] it gets a success at once while rows
    /// cannot be written.
    pub fn write(
        &self,
        entries: Vec<Entry>,
        written: Option<oneshot::Sender<Result<(), NotWritten>>>,
    ) {
        let mut request = WriteRequest {
            entries,
            row_ids: Vec::new(),
            written,
        };
        if self.shared.on_failure == OnFailure::Serve && self.shared.failing.load(Ordering::Relaxed)
        {
            request.report(Ok(()));
        }
        let mut queue = self.shared.lock();
        let is_dead = self.shared.dead.load(Ordering::Relaxed);
        if is_dead || queue.entries + request.entries.len() > MAX_BACKLOG {
            queue.lost += request.entries.len();
            return;
        }
        queue.entries += request.entries.len();
        queue.requests.push_back(request);
        // A wake-up is a system call, and needed only by a thread that sleeps until there is
        // enough.
        let is_enough = queue.wake_at.is_some_and(|at| queue.entries >= at);
        if is_enough {
            queue.wake_at = None;
        }
        drop(queue);
        if is_enough {
            self.shared.wake.notify_one();
        }
    }

    /// Waits for the result that [`Ledger::write`] sends. A database of a server that says nothing for
    /// too long counts as one that refuses writes, until it says something.
    pub(super) async fn result_of(
        &self,
        mut written: oneshot::Receiver<Result<(), NotWritten>>,
    ) -> Result<(), NotWritten> {
        let Some(patience) = self.shared.patience else {
            return written.await.unwrap_or(Err(NotWritten));
        };
        loop {
            let began = Instant::now();
            if let Ok(result) = tokio::time::timeout(patience, &mut written).await {
                return result.unwrap_or(Err(NotWritten));
            }
            // A process that stood still has not waited for the database: it waits again.
            if began.elapsed() < patience + STOOD_STILL {
                break;
            }
        }
        if !self.shared.failing.swap(true, Ordering::Relaxed) {
            log::error!(
                "ledger: the database has not answered for {} s: it hangs, or waits for a standby that is gone",
                patience.as_secs()
            );
        }
        match self.shared.on_failure {
            OnFailure::Refuse => Err(NotWritten),
            OnFailure::Serve => Ok(()),
        }
    }

    /// Queues entries whose writing no answer waits for.
    pub fn push(&self, entries: Vec<Entry>) {
        self.write(entries, None);
    }

    /// Has something written that is no row. The receiver gets the result as that of [`Self::write`],
    /// or an error at once if the queue takes nothing.
    #[must_use]
    pub fn probe(&self) -> oneshot::Receiver<Result<(), NotWritten>> {
        let (sender, receiver) = oneshot::channel();
        let is_full = self.shared.lock().entries >= MAX_BACKLOG;
        if self.is_alive() && !is_full {
            self.write(vec![Entry::Probe], Some(sender));
        }
        receiver
    }

    /// Returns how many entries are not written yet.
    #[must_use]
    pub fn backlog(&self) -> usize {
        let queue = self.shared.lock();
        // Under the lock, because entries are moved from one to the other under it.
        queue.entries + self.shared.taken.load(Ordering::Relaxed)
    }

    /// Returns whether new requests may be served.
    #[must_use]
    pub fn accepts_requests(&self) -> bool {
        self.writes() || self.serves_unwritten() && self.is_alive()
    }

    /// Returns whether requests are served while rows cannot be written.
    #[must_use]
    pub fn serves_unwritten(&self) -> bool {
        self.shared.on_failure == OnFailure::Serve
    }

    /// Returns whether the last attempt to write was successful.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.is_alive() && !self.shared.failing.load(Ordering::Relaxed)
    }

    /// Returns whether the writing thread lives. If it does not, only a restart helps.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.shared.dead.load(Ordering::Relaxed)
    }
}

impl WriteRequest {
    /// Gives each entry an id, which stays the same whenever its writing is tried again.
    #[cfg(feature = "postgres")]
    pub(super) fn give_row_ids(&mut self) {
        self.row_ids.resize_with(
            self.entries.len(),
            || RequestId::new(crate::model::now_ms()),
        );
    }

    /// Returns the entries with the ids of their rows.
    pub(super) fn entries_with_ids(
        &self,
    ) -> impl Iterator<Item = (&Entry, Option<RequestId>)> + Clone {
        let ids = self.row_ids.iter().copied().map(Some);
        self.entries.iter().zip(ids.chain(std::iter::repeat(None)))
    }

    /// Reports the result to the one who waits, once. A waiter that has been dropped is ignored.
    pub(super) fn report(&mut self, result: Result<(), NotWritten>) {
        if let Some(written) = self.written.take() {
            let _ = written.send(result);
        }
    }

    pub(super) fn acknowledge(mut self, result: Result<(), NotWritten>) {
        self.report(result);
    }
}

impl Shared {
    /// Locks the queue. A panic while the lock was held left the queue valid, so that the poison is
    /// ignored.
    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

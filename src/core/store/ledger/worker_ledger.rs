//! A worker's way to the ledger. Entries that come up in one round of the worker's tasks are handed
//! over together and acknowledged with one wake-up: across threads a wake-up is a system call,
//! within one it is free.

use std::{cell::RefCell, future::Future, rc::Rc};

use tokio::sync::{Notify, oneshot};

use super::queue::{Ledger, NotWritten};
use crate::model::Entry;

/// The ledger as one worker sees it. It must be made and used on the worker's thread.
pub struct WorkerLedger {
    ledger: Ledger,
    outgoing: RefCell<Outgoing>,
    filled: Notify,
}

/// Entries that the next hand-over takes along.
#[derive(Default)]
struct Outgoing {
    entries: Vec<Entry>,
    waiters: Vec<oneshot::Sender<Result<(), NotWritten>>>,
    /// Calls that are made when the entries have been handed over.
    behind: Vec<Box<dyn FnOnce()>>,
}

impl WorkerLedger {
    /// Creates the ledger of this worker and the task that empties it. The task runs behind those
    /// that are ready already, which may add rows of their own; a lone row goes out at once.
    #[must_use]
    pub fn new(ledger: Ledger) -> Rc<Self> {
        let worker_ledger = Rc::new(Self {
            ledger,
            outgoing: RefCell::default(),
            filled: Notify::new(),
        });
        tokio::task::spawn_local(hand_over_what_comes(Rc::clone(&worker_ledger)));
        worker_ledger
    }

    /// Hands entries over. The future resolves when their transaction is committed, at once where
    /// there are none; dropping it does not take them back.
    pub fn commit<I: IntoIterator<Item = Entry>>(
        &self,
        entries: I,
    ) -> impl Future<Output = Result<(), NotWritten>> + use<I> {
        let mut outgoing = self.outgoing.borrow_mut();
        let before = outgoing.entries.len();
        outgoing.entries.extend(entries);
        let receiver = (outgoing.entries.len() > before).then(|| {
            let (sender, receiver) = oneshot::channel();
            outgoing.waiters.push(sender);
            if before == 0 {
                self.filled.notify_one();
            }
            receiver
        });
        async {
            match receiver {
                Some(receiver) => receiver.await.unwrap_or(Err(NotWritten)),
                None => Ok(()),
            }
        }
    }

    /// Hands over entries that no answer waits for, behind those that are on their way: an object
    /// must be remembered before the row that bills it.
    pub fn push(&self, entries: Vec<Entry>) {
        let mut outgoing = self.outgoing.borrow_mut();
        if !outgoing.entries.is_empty() {
            outgoing.entries.extend(entries);
        } else if !entries.is_empty() {
            self.ledger.push(entries);
        }
    }

    /// Calls `then` when the entries that are on their way have been handed over: at once, if there
    /// are none.
    pub fn behind(&self, then: impl FnOnce() + 'static) {
        let mut outgoing = self.outgoing.borrow_mut();
        if outgoing.entries.is_empty() {
            drop(outgoing);
            then();
        } else {
            outgoing.behind.push(Box::new(then));
        }
    }

    /// Returns whether new requests may be served.
    #[must_use]
    pub fn accepts_requests(&self) -> bool {
        self.ledger.accepts_requests()
    }

    /// Returns whether rows can be written.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.ledger.writes()
    }

    /// Hands all outgoing entries to the ledger as one request.
    fn hand_over(&self) {
        let Outgoing {
            entries,
            waiters,
            behind,
        } = self.outgoing.take();
        if entries.is_empty() {
            return;
        }
        let (sender, written) = oneshot::channel();
        self.ledger.write(entries, Some(sender));
        for then in behind {
            then();
        }
        let ledger = self.ledger.clone();
        tokio::task::spawn_local(async move {
            let result = ledger.result_of(written).await;
            for waiter in waiters {
                let _ = waiter.send(result);
            }
        });
    }
}

/// Queues the entries that are still here when the worker ends. They were not acknowledged, and are
/// written all the same.
impl Drop for WorkerLedger {
    fn drop(&mut self) {
        let Outgoing {
            entries, behind, ..
        } = self.outgoing.take();
        self.push(entries);
        for then in behind {
            then();
        }
    }
}

/// Hands entries over as they come, until the worker ends.
async fn hand_over_what_comes(worker_ledger: Rc<WorkerLedger>) {
    loop {
        worker_ledger.filled.notified().await;
        worker_ledger.hand_over();
    }
}

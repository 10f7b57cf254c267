//! A worker's way to the ledger. Rows that come up in one round of the worker's tasks are handed over together and
//! acknowledged with one wake-up: across threads a wake-up is a system call, within one it is free.

use std::{cell::RefCell, future::Future, rc::Rc};

use tokio::sync::{Notify, oneshot};

use super::{Ledger, NotWritten};
use crate::model::UsageRow;

/// Belongs to one worker; must be made and used on its thread.
pub struct Port {
    ledger: Ledger,
    outgoing: RefCell<Outgoing>,
    filled: Notify,
}

#[derive(Default)]
struct Outgoing {
    rows: Vec<UsageRow>,
    waiters: Vec<oneshot::Sender<Result<(), NotWritten>>>,
}

impl Port {
    /// A port and the task that empties it. The task runs behind those that are ready already, which may add rows of
    /// their own; a lone row goes out at once.
    #[must_use]
    pub fn new(ledger: Ledger) -> Rc<Self> {
        let port = Rc::new(Self {
            ledger,
            outgoing: RefCell::default(),
            filled: Notify::new(),
        });
        tokio::task::spawn_local(empty(Rc::clone(&port)));
        port
    }

    /// Hands a row over. The future resolves when its transaction is committed; dropping it does not take the row back.
    pub fn commit(&self, row: UsageRow) -> impl Future<Output = Result<(), NotWritten>> + use<> {
        let (sender, receiver) = oneshot::channel();
        let mut outgoing = self.outgoing.borrow_mut();
        outgoing.rows.push(row);
        outgoing.waiters.push(sender);
        if outgoing.rows.len() == 1 {
            self.filled.notify_one();
        }
        async { receiver.await.unwrap_or(Err(NotWritten)) }
    }

    /// Hands over a row that nobody waits for.
    pub fn push(&self, row: UsageRow) {
        self.ledger.push(row);
    }

    #[must_use]
    pub fn accepts_requests(&self) -> bool {
        self.ledger.accepts_requests()
    }

    fn hand_over(&self) {
        let Outgoing { rows, waiters } = self.outgoing.take();
        if rows.is_empty() {
            return;
        }
        let (sender, written) = oneshot::channel();
        self.ledger.submit(rows, Some(sender));
        tokio::task::spawn_local(async move {
            let result = written.await.unwrap_or(Err(NotWritten));
            for waiter in waiters {
                let _ = waiter.send(result);
            }
        });
    }
}

/// Rows that are still here when the worker goes were not acknowledged, and are written all the same.
impl Drop for Port {
    fn drop(&mut self) {
        let rows = std::mem::take(&mut self.outgoing.get_mut().rows);
        if !rows.is_empty() {
            self.ledger.submit(rows, None);
        }
    }
}

/// Ends with the worker.
async fn empty(port: Rc<Port>) {
    loop {
        port.filled.notified().await;
        port.hand_over();
    }
}

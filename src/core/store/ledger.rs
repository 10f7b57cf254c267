//! The ledger: usage rows and the owners of stored objects queue up, and one thread writes whatever
//! is queued in one transaction and wakes those who wait.
//!
//! The rows that came in during the last commit are the next batch; after a batch of a dozen the
//! next one is collected for a millisecond. A lone row is written at once, and a thousand at a time
//! share one commit (docs/benchmarks.md has the figures). The thread also notices when another
//! process changed a user, because its connection is open anyway.

mod budgets;
mod leases;
#[cfg(feature = "postgres")]
mod listener;
mod pricing;
mod queue;
mod rollup;
mod row;
mod thresholds;
mod upkeep;
mod watch;
mod worker_ledger;
mod writer;

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
};

#[cfg(feature = "postgres")]
use super::DatabaseLocation;
use super::{Store, StoreError, running::ServerRun};
use crate::alerts::{Alert, AlertSink, LedgerFailure};

pub(super) use pricing::{Cost, Pricer};
pub use queue::{Ledger, NotWritten, OnFailure};
pub(super) use rollup::{sum_up_all, sum_up_for};
pub(super) use row::RowInserter;
pub use upkeep::Sync;
pub use watch::ServerLinks;
pub use worker_ledger::WorkerLedger;

use budgets::BudgetWatch;
use queue::Shared;
use rollup::Rollup;
use upkeep::Upkeep;
use watch::UsersWatch;
use writer::{Node, Writer};

/// The writing thread. If it is dropped without [`LedgerThread::close`], queued rows may be lost
/// when the process ends.
pub struct LedgerThread {
    ledger: Ledger,
    thread: thread::JoinHandle<usize>,
}

impl LedgerThread {
    /// Proves that the database can be written, then starts the writing thread.
    ///
    /// # Errors
    /// If the database cannot be opened or written.
    pub fn start(
        store: &Store,
        sync: Sync,
        on_failure: OnFailure,
        links: ServerLinks,
    ) -> Result<Self, StoreError> {
        let connection = store.own_connection()?;
        let upkeep = Upkeep::new(store, &connection, sync)
            .and_then(|upkeep| writer::prove(&connection).map(|()| upkeep))
            .map_err(|error| store.explain(error.into()))?;
        let pricer = Pricer::new(links.price_file.clone());
        let mut budgets = BudgetWatch::new(links.limits.clone(), links.alerts.clone());
        let ledger = Ledger::new(on_failure, connection.is_postgres());
        if connection.is_postgres()
            && let Some(limits) = &links.limits
        {
            limits.share_budgets(Arc::new(ledger.clone()));
        }
        let alerts = links.alerts.clone();
        let sight = links.sight.clone();
        #[cfg(feature = "postgres")]
        let listens = links.listens;
        let users = UsersWatch::new(&connection, links)?;
        budgets.load(&connection)?;
        budgets.restore(&connection)?;
        let mut writer = Writer {
            node: Node::new(),
            users,
            budgets,
            alerts,
            failure: LedgerFailure::default(),
            connection,
            upkeep,
            shared: Arc::clone(&ledger.shared),
            rollup: Rollup::new(),
            pricer,
            sight,
            run: ServerRun::new(),
            is_busy: false,
        };
        #[cfg(feature = "postgres")]
        if let DatabaseLocation::Postgres(url) = store.location()
            && listens
        {
            listener::start(Arc::clone(url), Arc::downgrade(&ledger.shared));
        }
        if writer.connection.is_postgres() {
            writer.give_sign();
        }
        // Before anything is served, so that budgets include it.
        writer.book_crashed();
        let thread = thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || {
                let _guard = DeadUnlessClosed(Arc::clone(&writer.shared), writer.alerts.clone());
                writer.run()
            })
            .map_err(|error| StoreError::Unavailable {
                place: store.location().to_string(),
                reason: error.to_string(),
            })?;
        Ok(Self { ledger, thread })
    }

    /// Returns a handle that queues rows for this thread.
    #[must_use]
    pub fn handle(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Writes what is queued and ends the thread. Returns how many rows could not be written.
    #[must_use]
    pub fn close(self) -> usize {
        self.ledger.shared.lock().closing = true;
        self.ledger.shared.wake.notify_one();
        let queued = self.thread.join();
        queued.unwrap_or_else(|_| self.ledger.shared.lock().lost)
    }
}

/// Marks the ledger as dead if the writing thread panics, so that no answer waits for it and no
/// request is served.
struct DeadUnlessClosed(Arc<Shared>, AlertSink);

impl Drop for DeadUnlessClosed {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        if !queue.closing || thread::panicking() {
            log::error!("ledger: the writing thread died, restart the server");
            self.1.push(Alert::LedgerFailing {
                reason: "the writing thread died, restart the server".to_owned(),
            });
            self.0.dead.store(true, Ordering::Relaxed);
            queue.lost += std::mem::take(&mut queue.entries);
            queue.requests.clear();
        }
    }
}

#[cfg(test)]
mod tests;

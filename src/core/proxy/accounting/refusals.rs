//! Refused requests on their way to the database: they are collected and written a few times a
//! second, so that a client who is refused often costs little.

use std::cell::RefCell;

use crate::model::{Entry, Refusal};
use crate::store::ledger::WorkerLedger;

/// The most refusals that a worker keeps between two hand-overs. Further ones are in the log only.
const MAX_WAITING: usize = 100;

/// The refusals of one worker that wait.
#[derive(Default)]
pub struct RefusalBuffer(RefCell<Vec<Entry>>);

impl RefusalBuffer {
    /// Adds a refusal, unless too many wait.
    pub fn push(&self, refusal: Refusal) {
        let mut waiting = self.0.borrow_mut();
        if waiting.len() < MAX_WAITING {
            waiting.push(Entry::Refused(Box::new(refusal)));
        }
    }

    /// Hands over what waits. While the ledger cannot be written, nothing is added to its backlog.
    pub fn hand_over(&self, ledger: &WorkerLedger) {
        if !self.0.borrow().is_empty() && ledger.writes() {
            ledger.push(self.0.take());
        }
    }
}

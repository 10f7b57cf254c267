//! What the writer does because other servers may write into the same database: signs of life, leases, and
//! rows whose commit is in doubt when a connection breaks.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::Writer;
#[cfg(feature = "postgres")]
use crate::store::{ledger::row::InsertedRow, sql::SqlResult};
use crate::{
    limits::Leases,
    model::Entry,
    store::{
        ledger::{
            budgets::settle,
            leases::{self, LeaseKeeper},
            queue::WriteRequest,
        },
        running::Sign,
        sql::SqlError,
    },
};

/// Interval between two lines about what failed besides rows.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// What the writer of a node knows of itself among others.
pub(in crate::store::ledger) struct Node {
    leases: LeaseKeeper,
    /// Number of nodes that share rates and concurrency, as the limits have it.
    nodes: usize,
    /// Whether the connection broke while rows were written, so that they may be in the ledger.
    pub(super) is_in_doubt: bool,
    /// Whether another node has booked what the requests of this one had used.
    pub(super) is_taken_for_dead: bool,
    /// When something that failed besides rows is logged again.
    next_complaint: Instant,
}

impl Node {
    pub(in crate::store::ledger) fn new() -> Self {
        Self {
            leases: LeaseKeeper::new(),
            nodes: 1,
            is_in_doubt: false,
            is_taken_for_dead: false,
            next_complaint: Instant::now(),
        }
    }
}

impl Writer {
    /// Gives a sign of life if it is due.
    pub(in crate::store::ledger) fn give_sign(&mut self) {
        match self.run.give_sign(&self.connection) {
            Ok(Sign::NotDue) => {}
            Ok(Sign::Given(begun)) => {
                if let Some(shared) = self.budgets.shared() {
                    leases::note_sign(&shared, begun);
                }
            }
            Ok(Sign::TakenForDead) => self.node.is_taken_for_dead = true,
            Err(error) => self.complain("note that the server runs", &error),
        }
    }

    /// Logs that something besides rows failed, and not again for a while: it is tried many times a second.
    pub(super) fn complain(&mut self, what: &str, error: &impl fmt::Display) {
        let now = Instant::now();
        if now >= self.node.next_complaint {
            self.node.next_complaint = now + COMPLAIN_EVERY;
            log::warn!("ledger: cannot {what}: {error}");
        }
    }

    /// Tells the limits how many nodes share rates and concurrency.
    pub(super) fn count_nodes(&mut self) {
        let Some(shared) = self.budgets.shared() else {
            return;
        };
        let nodes = self.run.live_nodes();
        if nodes != self.node.nodes {
            self.node.nodes = nodes;
            shared.with(|limiter| limiter.set_nodes(nodes));
        }
    }

    /// Goes on as a new run after others have taken this one for dead. They have booked by estimate what
    /// its requests had used that were noted, and use its leases; the other rows are still to be written.
    pub(super) fn join_again(&mut self) {
        match self.run.join_again(&self.connection) {
            Ok(booked) => {
                self.node.is_taken_for_dead = false;
                if let Some(leases) = self.budgets.shared() {
                    leases.with(|limiter| limiter.leases().map(Leases::clear));
                }
                log::warn!(
                    "ledger: other servers took this one for dead, because it was silent for too long; it goes on: requests booked by estimate={booked}"
                );
            }
            Err(error) => self.complain("go on after others took this server for dead", &error),
        }
    }

    /// Takes out the rows of requests that others have booked by estimate.
    pub(super) fn take_out_booked_by_others(&mut self, batch: &mut Vec<WriteRequest>) {
        if !self.run.has_booked_by_others() {
            return;
        }
        for request in batch.iter_mut() {
            let mut row_ids = std::mem::take(&mut request.row_ids).into_iter();
            for entry in std::mem::take(&mut request.entries) {
                let row_id = row_ids.next();
                match &entry {
                    Entry::Row(row) if self.run.is_booked_by_others(row) => settle(row),
                    _ => {
                        request.entries.push(entry);
                        request.row_ids.extend(row_id);
                    }
                }
            }
        }
        for request in batch.extract_if(.., |request| request.entries.is_empty()) {
            request.acknowledge(Ok(()));
        }
    }

    /// Grows the leases that requests ask for, and gives back what is not needed.
    pub(super) fn keep_leases(&mut self) {
        let Some(shared) = self.budgets.shared() else {
            return;
        };
        let asks = std::mem::take(&mut self.shared.lock().lease_asks);
        let mut kept = Ok(());
        if !asks.is_empty() {
            kept = leases::serve(
                &self.connection,
                &mut self.budgets,
                &shared,
                &self.run,
                asks,
            );
        }
        let kept = kept.and_then(|()| {
            self.node
                .leases
                .give_back(&self.connection, &shared, &self.run)
        });
        self.node.is_taken_for_dead |= matches!(kept, Err(SqlError::TakenForDead));
        if let Err(error) = kept {
            self.complain("write leases of budgets", &error);
        }
    }

    /// Gives each entry of the batch an id. If the last commit is in doubt, takes out what it wrote.
    #[cfg(feature = "postgres")]
    pub(super) fn prepare_for_doubt(&mut self, batch: &mut Vec<WriteRequest>) -> SqlResult<()> {
        for request in batch.iter_mut() {
            request.give_row_ids();
        }
        if self.node.is_in_doubt {
            self.take_out_written(batch)?;
            self.node.is_in_doubt = false;
        }
        Ok(())
    }

    /// Acknowledges and counts entries whose rows are in the ledger already. Returns their number.
    #[cfg(feature = "postgres")]
    pub(super) fn take_out_written(&mut self, batch: &mut Vec<WriteRequest>) -> SqlResult<usize> {
        let ids = batch.iter().flat_map(|request| &request.row_ids).copied();
        let known = match self.connection.postgres() {
            Some(session) => session.known_rows(&ids.collect::<Vec<_>>())?,
            None => return Ok(0),
        };
        if known.is_empty() {
            return Ok(0);
        }
        for mut request in std::mem::take(batch) {
            let mut rest = Vec::new();
            let mut written = Vec::new();
            for (entry, row_id) in request.entries.drain(..).zip(request.row_ids.drain(..)) {
                match known.get(&row_id) {
                    Some(row) => written.push((entry, *row)),
                    None => rest.push((entry, row_id)),
                }
            }
            // The rows of other entries are found in the table by those who count.
            let rows: Vec<InsertedRow<'_>> = written
                .iter()
                .filter_map(|(entry, known)| match entry {
                    Entry::Row(row) => Some(InsertedRow::known(row, *known)),
                    _ => None,
                })
                .collect();
            self.count(&rows);
            self.budgets
                .note_objects(written.iter().map(|(entry, _)| entry));
            (request.entries, request.row_ids) = rest.into_iter().unzip();
            if request.entries.is_empty() {
                request.acknowledge(Ok(()));
            } else {
                batch.push(request);
            }
        }
        self.rollup.expect_rows_of_others();
        log::warn!(
            "ledger: the connection broke after a commit, whose rows are there: rows={}",
            known.len()
        );
        Ok(known.len())
    }
}

#[cfg(test)]
mod tests;

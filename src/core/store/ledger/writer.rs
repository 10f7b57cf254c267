//! The writing thread: takes what is queued, writes it in one transaction, reports the result to
//! those who wait.

mod entries;
mod nodes;

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering, mpsc::SyncSender},
    time::{Duration, Instant},
};

use entries::write_entries;
pub(super) use nodes::Node;

use super::{
    budgets::BudgetWatch,
    pricing::Pricer,
    queue::{NotWritten, OnFailure, Queue, Shared, WriteRequest},
    rollup::Rollup,
    row::{InsertedRow, RowInserter},
    upkeep::Upkeep,
    watch::{Changes, USERS_POLL, UsersWatch},
};
use crate::{
    alerts::{AlertSink, LedgerFailure},
    sight::{BookedRow, LedgerSight},
    store::{
        running::{self, ServerRun},
        sql::{Connection, SqlError, SqlErrorKind, SqlResult, in_transaction},
    },
};

/// Pause between attempts while the database refuses writes.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// The number of rows in a batch, some 20,000 a second, from which on the next batch gathers for
/// [`GATHER`]. A commit takes 60 µs of CPU whatever it holds, and a millisecond does not matter
/// beside so many others. Fewer rows are written at once.
const BUSY_ROWS: usize = 12;
const GATHER: Duration = Duration::from_millis(1);
/// The number of rows that are written without gathering more.
const ENOUGH_ROWS: usize = 48;
/// Rows in one transaction, about, so that another process gets its turn.
const MAX_BATCH_ROWS: usize = 4_096;
/// Time that a stopping server tries to write the last rows, and to sum them up.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The state of the writing thread.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) upkeep: Upkeep,
    pub(super) shared: Arc<Shared>,
    pub(super) users: UsersWatch,
    pub(super) rollup: Rollup,
    pub(super) pricer: Pricer,
    pub(super) budgets: BudgetWatch,
    pub(super) sight: Option<Arc<LedgerSight>>,
    pub(super) run: ServerRun,
    pub(super) node: Node,
    pub(super) alerts: AlertSink,
    pub(super) failure: LedgerFailure,
    /// Whether the last batch had [`BUSY_ROWS`] or more.
    pub(super) is_busy: bool,
}

impl Writer {
    /// Runs until closed; returns the number of rows that could not be written.
    pub(super) fn run(&mut self) -> usize {
        let mut batch: Vec<WriteRequest> = Vec::new();
        let mut close_by: Option<Instant> = None;
        loop {
            let (is_closing, look_asks) = self.wait_for_rows(&mut batch);
            if is_closing {
                close_by.get_or_insert_with(|| Instant::now() + CLOSE_TIMEOUT);
            }
            let was_quiet = batch.is_empty();
            if !was_quiet {
                self.is_busy = entries_in(&batch) >= BUSY_ROWS;
                self.write(&mut batch);
                let left = entries_in(&batch);
                self.shared.taken.store(left, Ordering::Relaxed);
            }
            if !look_asks.is_empty() {
                self.shared.has_heard.store(true, Ordering::Relaxed);
            }
            let (connection, budgets) = (&self.connection, &mut self.budgets);
            let read_limits = || budgets.load(connection);
            let changes = self.users.check(connection, &self.shared, read_limits);
            if changes == Changes::Kept {
                self.pricer.forget();
            }
            if !matches!(changes, Changes::None | Changes::Unknown) {
                self.rollup.expect_rows_of_others();
            }
            if let Err(error) = self.budgets.check(&self.connection, changes) {
                self.complain("read limits, which stay as they were", &error);
            }
            for ask in look_asks {
                // Who does not wait any more has no use for it.
                let _ = ask.try_send(changes != Changes::Unknown);
            }
            self.give_sign();
            if self.node.is_taken_for_dead {
                self.join_again();
            }
            self.keep_leases();
            self.book_crashed();
            self.count_nodes();
            if batch.is_empty() {
                self.rollup.run_if_due(&self.connection);
            }
            self.upkeep.write_back(&self.connection, was_quiet);
            if let Some(close_by) = close_by {
                let queue = self.shared.lock();
                let (left, lost) = (entries_in(&batch) + queue.entries, queue.lost);
                drop(queue);
                if left == 0 {
                    self.budgets.raise_alerts(&self.connection);
                    self.users.note_uses(&self.connection);
                    if let Err(error) = self.run.end(&self.connection) {
                        log::warn!("ledger: cannot note that the server stops: {error}");
                    }
                    self.rollup.finish(&self.connection, close_by);
                }
                if left == 0 || Instant::now() > close_by {
                    return left + lost;
                }
            }
        }
    }

    /// Moves queued rows behind those already in `batch`. Waits if there are none, until it is time
    /// to look at the users. Returns whether the ledger is being closed, and who waits for that look.
    fn wait_for_rows(&self, batch: &mut Vec<WriteRequest>) -> (bool, Vec<SyncSender<bool>>) {
        let mut queue = self.shared.lock();
        if batch.is_empty() {
            if queue.is_quiet() {
                queue.wake_at = Some(1);
                queue = self.pause(queue, USERS_POLL);
                queue.wake_at = None;
            }
            if self.is_busy && (1..ENOUGH_ROWS).contains(&queue.entries) {
                queue.wake_at = Some(ENOUGH_ROWS);
                queue = self.pause(queue, GATHER);
                queue.wake_at = None;
            }
        } else {
            // The last attempt failed: a pause, not a busy loop.
            queue = self.pause(queue, RETRY_PAUSE);
        }
        let mut taken = entries_in(batch);
        while taken < MAX_BATCH_ROWS
            && let Some(request) = queue.requests.pop_front()
        {
            taken += request.entries.len();
            queue.entries -= request.entries.len();
            batch.push(request);
        }
        self.shared.taken.store(taken, Ordering::Relaxed);
        if queue.lost > 0 && !self.shared.failing.load(Ordering::Relaxed) {
            log::error!(
                "ledger: rows were lost because the backlog was full: rows={}",
                queue.lost
            );
            queue.lost = 0;
        }
        (queue.closing, std::mem::take(&mut queue.look_asks))
    }

    /// Unlocks the queue for a while, or until the thread is woken. Returns at once if the server
    /// is closing.
    fn pause<'a>(&'a self, queue: MutexGuard<'a, Queue>, pause: Duration) -> MutexGuard<'a, Queue> {
        if queue.closing {
            return queue;
        }
        let waited = self.shared.wake.wait_timeout(queue, pause);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Writes the batch in one transaction. If that fails, the rows stay in the batch and the
    /// failure is reported.
    fn write(&mut self, batch: &mut Vec<WriteRequest>) {
        if let Some(problem) = self.upkeep.problem() {
            self.keep_and_report(batch, &problem);
            return;
        }
        let mut result = self.try_to_write(batch);
        // A new connection may do at once.
        if let Err(error) = &result
            && error.kind() == SqlErrorKind::Disconnected
        {
            if !self.shared.failing.load(Ordering::Relaxed) {
                log::warn!("ledger: the connection to the database broke: {error}");
            }
            result = self.try_to_write(batch);
        }
        if self.node.is_taken_for_dead {
            self.join_again();
            result = self.try_to_write(batch);
        }
        if let Err(error) = result {
            self.keep_and_report(batch, &error);
        }
    }

    /// Writes the batch in one transaction, or the rest of it after a commit in doubt.
    fn try_to_write(&mut self, batch: &mut Vec<WriteRequest>) -> SqlResult<()> {
        #[cfg(feature = "postgres")]
        if self.connection.is_postgres() {
            self.prepare_for_doubt(batch)?;
        }
        self.take_out_booked_by_others(batch);
        let began = Instant::now();
        match write_entries(
            &self.connection,
            &mut self.pricer,
            &mut self.run,
            batch.iter().flat_map(WriteRequest::entries_with_ids),
        ) {
            Ok(written) => {
                note_commit(self.sight.as_deref(), began);
                if self.shared.failing.swap(false, Ordering::Relaxed) {
                    log::warn!(
                        "ledger: the database writes again: rows={}",
                        entries_in(batch)
                    );
                }
                self.failure.recovered(Instant::now(), &self.alerts);
                self.count(&written);
                let entries = batch.iter().flat_map(|request| &request.entries);
                self.budgets.note_objects(entries);
                for request in batch.drain(..) {
                    request.acknowledge(Ok(()));
                }
                Ok(())
            }
            Err(error) if is_about_a_row(&error) => {
                self.write_singly(batch);
                Ok(())
            }
            Err(error) => {
                self.node.is_in_doubt |= error.kind() == SqlErrorKind::Disconnected;
                self.node.is_taken_for_dead |= matches!(error, SqlError::TakenForDead);
                Err(error)
            }
        }
    }

    /// Counts rows that were committed wherever they are counted: sums, budgets, metrics.
    fn count(&mut self, written: &[InsertedRow<'_>]) {
        self.rollup.add(written);
        self.budgets.add(written);
        if let Some(sight) = &self.sight
            && !written.is_empty()
        {
            sight.count(written.iter().map(|inserted| BookedRow {
                user_id: inserted.row.user_id,
                model: &inserted.row.model,
                status: inserted.row.status,
                usage: &inserted.row.usage,
                cost: inserted.cost.amount,
            }));
        }
    }

    /// Books what the requests of servers had used that were killed.
    pub(super) fn book_crashed(&mut self) {
        loop {
            match self.book_crashed_run() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    self.complain("look for requests of killed servers", &error);
                    return;
                }
            }
        }
    }

    /// Books what one killed server has left. Returns whether there was one.
    fn book_crashed_run(&mut self) -> SqlResult<bool> {
        let Some(run_id) = self.run.dead_run(&self.connection)? else {
            return Ok(false);
        };
        let (connection, pricer) = (&self.connection, &mut self.pricer);
        let written = in_transaction(connection, || {
            let rows = running::take_left(connection, run_id)?;
            let mut inserter = RowInserter::new(connection, pricer)?;
            for row in rows {
                inserter.insert(Cow::Owned(row), None)?;
            }
            inserter.finish()
        });
        let written = written.inspect_err(|_| self.pricer.forget())?;
        if !written.is_empty() {
            let rows = written.len();
            log::warn!(
                "ledger: a server was killed, its requests are booked by estimate: rows={rows}"
            );
        }
        self.count(&written);
        Ok(true)
    }

    /// Logs the first of several failures and reports each to those who wait. The rows stay in the
    /// batch.
    fn keep_and_report(&mut self, batch: &mut [WriteRequest], problem: &impl fmt::Display) {
        if !self.shared.failing.swap(true, Ordering::Relaxed) {
            log::error!(
                "ledger: cannot write, will try again: rows={}: {problem}",
                entries_in(batch)
            );
        }
        self.failure.failed(Instant::now(), problem, &self.alerts);
        let result = match self.shared.on_failure {
            OnFailure::Refuse => Err(NotWritten),
            OnFailure::Serve => Ok(()),
        };
        let mut queue = self.shared.lock();
        for request in batch.iter_mut().chain(&mut queue.requests) {
            request.report(result);
        }
    }

    /// Writes each entry in a transaction of its own, so that one that the schema refuses does not
    /// hold up all others.
    fn write_singly(&mut self, batch: &mut Vec<WriteRequest>) {
        #[cfg(feature = "postgres")]
        if self.connection.is_postgres() {
            match self.take_out_written(batch) {
                Ok(0) => {}
                // They are what the database refuses to have twice.
                Ok(_) => return,
                Err(error) => return self.keep_and_report(batch, &error),
            }
        }
        while let Some(request) = batch.first_mut() {
            while let Some(entry) = request.entries.first() {
                let id = request.row_ids.first().copied();
                let began = Instant::now();
                match write_entries(
                    &self.connection,
                    &mut self.pricer,
                    &mut self.run,
                    std::iter::once((entry, id)),
                ) {
                    Ok(written) => {
                        note_commit(self.sight.as_deref(), began);
                        self.count(&written);
                        self.budgets.note_objects(std::iter::once(entry));
                    }
                    Err(error) if is_about_a_row(&error) => {
                        log::error!(
                            "ledger: the database refuses an entry, which is lost: {error}: entry={entry:?}"
                        );
                        request.report(Err(NotWritten));
                    }
                    // What is written is out of the batch; the rest is tried again.
                    Err(error) => {
                        self.node.is_in_doubt |= error.kind() == SqlErrorKind::Disconnected;
                        return self.keep_and_report(batch, &error);
                    }
                }
                request.entries.remove(0);
                if !request.row_ids.is_empty() {
                    request.row_ids.remove(0);
                }
            }
            batch.remove(0).acknowledge(Ok(()));
            self.upkeep.write_back(&self.connection, false);
        }
        self.shared.failing.store(false, Ordering::Relaxed);
        self.failure.recovered(Instant::now(), &self.alerts);
    }
}

fn note_commit(sight: Option<&LedgerSight>, began: Instant) {
    if let Some(sight) = sight {
        sight.note_commit(began.elapsed());
    }
}

fn entries_in(requests: &[WriteRequest]) -> usize {
    requests.iter().map(|request| request.entries.len()).sum()
}

/// Proves with a real write that rows can be written.
pub(super) fn prove(connection: &Connection) -> SqlResult<()> {
    // SQLite does not write what stays as it is; on PostgreSQL a new version would make all nodes read
    // all users again.
    let version = if connection.is_postgres() {
        "version"
    } else {
        "version + 1"
    };
    connection.execute(&format!("UPDATE users_version SET version = {version}"), [])?;
    Ok(())
}

/// Returns whether an error lies in one row, so that trying again cannot mend it.
fn is_about_a_row(error: &SqlError) -> bool {
    matches!(error.kind(), SqlErrorKind::Constraint | SqlErrorKind::Row)
}

//! The writing thread: takes what is queued, writes it in one transaction, tells those who wait.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, params};

use super::{
    NotWritten, OnFailure, Parcel, Shared, Sync, file::FileWatch, wal::WalWatch, watch::UsersWatch,
};
use crate::{model::UsageRow, store::costs::hour_of};

/// How often the thread looks whether another process changed the users; a forbidden key stops within about this.
pub(super) const USERS_POLL: Duration = Duration::from_millis(50);
/// Pause between attempts while the database refuses writes.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Rows in one transaction, about, so that another process gets its turn.
const MAX_BATCH_ROWS: usize = 4_096;
/// How long a stopping server tries to write the last rows.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

const INSERT_ROW: &str = "INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, served_model, \
     input_tokens, output_tokens, cached_tokens, reasoning_tokens, status, outcome, usage_source, \
     duration_ms, first_byte_ms, backend_request_id) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
// Index: the primary key of usage_hourly.
const ADD_TO_HOUR: &str = "INSERT INTO usage_hourly (hour, user_id, endpoint, model, requests, requests_ok, \
     input_tokens, output_tokens, cached_tokens, reasoning_tokens) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
     ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, requests_ok = requests_ok + excluded.requests_ok, \
     input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens, \
     cached_tokens = cached_tokens + excluded.cached_tokens, \
     reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens";

/// The state of the writing thread.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) file: FileWatch,
    pub(super) wal: WalWatch,
    pub(super) shared: Arc<Shared>,
    pub(super) users: UsersWatch,
}

impl Writer {
    /// Runs until closed; returns the number of rows that could not be written.
    pub(super) fn run(&mut self) -> usize {
        let mut batch: Vec<Parcel> = Vec::new();
        let mut close_by: Option<Instant> = None;
        loop {
            let closing = self.wait_for_rows(&mut batch);
            if closing && close_by.is_none() {
                close_by = Some(Instant::now() + CLOSE_TIMEOUT);
            }
            if !batch.is_empty() {
                self.write(&mut batch);
                self.wal.check(&self.connection);
            }
            self.users.check(&self.connection);
            if closing {
                let queue = self.shared.lock();
                let left = rows_in(&batch) + queue.rows;
                if left == 0 || close_by.is_some_and(|deadline| Instant::now() > deadline) {
                    return left + queue.lost;
                }
            }
        }
    }

    /// Moves queued rows behind those already in `batch`; waits for some unless there are any or it is time to look at the users.
    fn wait_for_rows(&self, batch: &mut Vec<Parcel>) -> bool {
        let mut queue = self.shared.lock();
        let pause = if !batch.is_empty() {
            // The last attempt failed: a pause, not a busy loop.
            Some(RETRY_PAUSE)
        } else if queue.parcels.is_empty() {
            Some(USERS_POLL)
        } else {
            None
        };
        if let Some(pause) = pause
            && !queue.closing
        {
            let waited = self.shared.wake.wait_timeout(queue, pause);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut taken = rows_in(batch);
        while taken < MAX_BATCH_ROWS
            && let Some(parcel) = queue.parcels.pop_front()
        {
            taken += parcel.rows.len();
            queue.rows -= parcel.rows.len();
            batch.push(parcel);
        }
        if queue.lost > 0 && !self.shared.failing.load(Ordering::Relaxed) {
            log::error!(
                "ledger: {} rows were lost, the backlog was full",
                queue.lost
            );
            queue.lost = 0;
        }
        queue.closing
    }

    /// Writes the batch in one transaction. On failure the rows stay in the batch, those who wait for them are told.
    fn write(&mut self, batch: &mut Vec<Parcel>) {
        if let Some(problem) = self.file.problem() {
            self.keep_and_tell(batch, &problem);
            return;
        }
        match write_rows(
            &self.connection,
            batch.iter().flat_map(|parcel| &parcel.rows),
        ) {
            Ok(()) => {
                if self.shared.failing.swap(false, Ordering::Relaxed) {
                    log::warn!(
                        "ledger: the database writes again, {} rows written",
                        rows_in(batch)
                    );
                }
                for parcel in batch.drain(..) {
                    parcel.acknowledge(Ok(()));
                }
            }
            Err(error) if is_about_a_row(&error) => self.write_singly(batch),
            Err(error) => self.keep_and_tell(batch, &error),
        }
    }

    fn keep_and_tell(&self, batch: &mut [Parcel], problem: &impl fmt::Display) {
        if !self.shared.failing.swap(true, Ordering::Relaxed) {
            log::error!(
                "ledger: cannot write {} rows, will try again: {problem}",
                rows_in(batch)
            );
        }
        let told = match self.shared.on_failure {
            OnFailure::Refuse => Err(NotWritten),
            OnFailure::Serve => Ok(()),
        };
        let mut queue = self.shared.lock();
        for parcel in batch.iter_mut().chain(&mut queue.parcels) {
            parcel.tell(told);
        }
    }

    /// One row that the schema refuses must not hold up all others for ever.
    fn write_singly(&self, batch: &mut Vec<Parcel>) {
        while let Some(parcel) = batch.first_mut() {
            while let Some(row) = parcel.rows.first() {
                match write_rows(&self.connection, std::iter::once(row)) {
                    Ok(()) => {}
                    Err(error) if is_about_a_row(&error) => {
                        log::error!("ledger: row refused by the database ({error}): {row:?}");
                        parcel.tell(Err(NotWritten));
                    }
                    // What is written is out of the batch; the rest is tried again.
                    Err(error) => return self.keep_and_tell(batch, &error),
                }
                parcel.rows.remove(0);
            }
            batch.remove(0).acknowledge(Ok(()));
        }
        self.shared.failing.store(false, Ordering::Relaxed);
    }
}

fn rows_in(parcels: &[Parcel]) -> usize {
    parcels.iter().map(|parcel| parcel.rows.len()).sum()
}

/// Sets the durability and proves with a real write that rows can be written.
pub(super) fn prepare(connection: &Connection, sync: Sync) -> rusqlite::Result<()> {
    let synchronous = match sync {
        Sync::Normal => "NORMAL",
        Sync::Full => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.execute("UPDATE users_version SET version = version + 1", [])?;
    Ok(())
}

/// Raw rows and their hours in one transaction, or nothing.
fn write_rows<'a>(
    connection: &Connection,
    rows: impl Iterator<Item = &'a UsageRow>,
) -> rusqlite::Result<()> {
    // IMMEDIATE: a deferred one could fail half-way against another writer without the busy timeout applying
    // (sqlite.org/lang_transaction.html). Prepared: parsing these two words costs as much as inserting a row.
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let written = insert_rows(connection, rows)
        .and_then(|()| connection.prepare_cached("COMMIT")?.execute([]).map(drop));
    if written.is_err() && !connection.is_autocommit() {
        // The error that matters is the first one.
        let _ = connection.execute_batch("ROLLBACK");
    }
    written
}

fn insert_rows<'a>(
    connection: &Connection,
    rows: impl Iterator<Item = &'a UsageRow>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(INSERT_ROW)?;
    let mut hours: HashMap<HourKey<'_>, HourSum> = HashMap::new();
    for row in rows {
        let tokens = [
            row.usage.input,
            row.usage.output,
            row.usage.cached,
            row.usage.reasoning,
        ]
        .map(|tokens| i64::try_from(tokens).unwrap_or(i64::MAX));
        insert.execute(params![
            row.started_at_ms,
            row.user_id,
            row.endpoint,
            row.model,
            row.served_model,
            tokens[0],
            tokens[1],
            tokens[2],
            tokens[3],
            row.status,
            row.outcome.as_str(),
            row.source.as_str(),
            row.duration_ms,
            row.first_byte_ms,
            row.backend_request_id,
        ])?;
        let key = (
            hour_of(row.started_at_ms),
            row.user_id,
            row.endpoint,
            row.model.as_str(),
        );
        hours.entry(key).or_default().add(row.status, tokens);
    }
    // Summed first: the rows of a busy batch are often of a few users and models.
    let mut add_to_hour = connection.prepare_cached(ADD_TO_HOUR)?;
    for ((hour, user_id, endpoint, model), sum) in hours {
        let [input, output, cached, reasoning] = sum.tokens;
        add_to_hour.execute(params![
            hour,
            user_id,
            endpoint,
            model,
            sum.requests,
            sum.requests_ok,
            input,
            output,
            cached,
            reasoning,
        ])?;
    }
    Ok(())
}

/// Hour, user, endpoint, model: the primary key of `usage_hourly`.
type HourKey<'a> = (i64, i64, &'a str, &'a str);

/// What a batch adds to one row of `usage_hourly`.
#[derive(Default)]
struct HourSum {
    requests: i64,
    requests_ok: i64,
    /// Input, output, cached, reasoning.
    tokens: [i64; 4],
}

impl HourSum {
    fn add(&mut self, status: u16, tokens: [i64; 4]) {
        self.requests += 1;
        self.requests_ok += i64::from((200..300).contains(&status));
        for (sum, tokens) in self.tokens.iter_mut().zip(tokens) {
            *sum = sum.saturating_add(tokens);
        }
    }
}

/// Errors that lie in one row and that trying again cannot mend. A trigger is somebody's own and may go as it came.
fn is_about_a_row(error: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(cause, _) = error else {
        return false;
    };
    match cause.code {
        ErrorCode::ConstraintViolation => {
            cause.extended_code != rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER
        }
        code => matches!(code, ErrorCode::TypeMismatch | ErrorCode::TooBig),
    }
}

//! Adds written rows to the sums of their hours, many at a time: adding each as it is written would
//! cost a page write a commit and as much time as the row itself. Reports read what is not summed
//! yet from the rows.
//!
//! The rows of this process are summed in memory as they are written. If another process or a
//! trigger may have changed any, they are read back from the table, a thousand at a time.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::row::InsertedRow;
use crate::{
    model::{EstimatedTokens, Usage, UsageSource},
    store::sqlite::{BUSY_TIMEOUT, data_version, in_transaction, signed},
};

/// Rows that are summed in one transaction, about a millisecond's work where they are read back.
pub(super) const BATCH_ROWS: usize = 1_000;
/// Age at which the last rows of a quiet ledger are summed.
const MAX_AGE: Duration = Duration::from_secs(1);
const MS_PER_HOUR: i64 = 3_600_000;

// Index: the primary key of usage_logs.
const LAST_OF_BATCH: &str = "SELECT max(id), (SELECT max(id) FROM usage_logs) FROM (SELECT id FROM usage_logs \
     WHERE id > (SELECT last_id FROM usage_rollup) ORDER BY id LIMIT ?1) HAVING max(id) IS NOT NULL";
/// Finds triggers that are not this program's. They may change what is written, on this very
/// connection.
const HAS_OTHER_TRIGGERS: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' \
     AND name NOT IN ('users_inserted', 'users_updated', 'users_deleted', 'usage_logs_deleted'))";
const SUMMED_UP: &str = "UPDATE usage_rollup SET last_id = ?1";

/// Adds to hours that are there already. Indexes: the primary keys of usage_logs and usage_hourly.
macro_rules! add_to_hours {
    ($sums:literal) => {
        concat!(
            "INSERT INTO usage_hourly (hour, user_id, endpoint, model, requests, requests_ok, input_tokens, \
             output_tokens, cached_tokens, reasoning_tokens, audio_ms, images, \
             estimated_requests, estimated_input_tokens, estimated_output_tokens) ",
            $sums,
            " ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, \
             requests_ok = requests_ok + excluded.requests_ok, input_tokens = input_tokens + excluded.input_tokens, \
             output_tokens = output_tokens + excluded.output_tokens, \
             cached_tokens = cached_tokens + excluded.cached_tokens, \
             reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens, \
             audio_ms = audio_ms + excluded.audio_ms, images = images + excluded.images, \
             estimated_requests = estimated_requests + excluded.estimated_requests, \
             estimated_input_tokens = estimated_input_tokens + excluded.estimated_input_tokens, \
             estimated_output_tokens = estimated_output_tokens + excluded.estimated_output_tokens"
        )
    };
}
const ADD_BATCH: &str = add_to_hours!(
    "SELECT started_at_ms / 3600000, user_id, endpoint, model, count(*), sum(status BETWEEN 200 AND 299), \
     sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(reasoning_tokens), sum(audio_ms), sum(images), \
     sum(usage_source = 'estimate' AND status BETWEEN 200 AND 299), \
     sum(iif(usage_source = 'estimate', coalesce(estimated_input_tokens, input_tokens), 0)), \
     sum(iif(usage_source = 'estimate', coalesce(estimated_output_tokens, output_tokens), 0)) \
     FROM usage_logs WHERE id > (SELECT last_id FROM usage_rollup) AND id <= ?1 GROUP BY 1, 2, 3, 4"
);
const ADD_SUMS: &str =
    add_to_hours!("VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)");

/// The rows that are not summed up yet, and when they are due.
pub(super) struct Rollup {
    waiting_rows: usize,
    waiting_since: Instant,
    /// The sums of all rows that wait, if they are known.
    pending: Option<PendingSums>,
}

/// Sums of rows that are not written yet. They hold as long as no other connection writes rows or a
/// trigger.
struct PendingSums {
    data_version: i64,
    last_id: i64,
    hours: HashMap<Bucket, Sums>,
}

/// The primary key of usage_hourly.
#[derive(PartialEq, Eq, Hash)]
struct Bucket {
    hour: i64,
    user_id: i64,
    endpoint: &'static str,
    model: String,
}

#[derive(Default)]
struct Sums {
    requests: u64,
    requests_ok: u64,
    usage: Usage,
    /// How many of the successful requests are estimated.
    estimated_requests: u64,
    estimated: EstimatedTokens,
}

impl Rollup {
    /// Creates a rollup that is due at once, because an earlier process may have left rows.
    pub(super) fn new() -> Self {
        Self {
            waiting_rows: BATCH_ROWS,
            waiting_since: Instant::now(),
            pending: None,
        }
    }

    /// Takes in rows whose transaction is committed.
    pub(super) fn add(&mut self, rows: &[InsertedRow<'_>]) {
        if self.waiting_rows == 0 {
            self.waiting_since = Instant::now();
        }
        self.waiting_rows += rows.len();
        if let Some(pending) = &mut self.pending {
            for written in rows {
                pending.add(written);
            }
        }
    }

    /// Sums up if that is due. A failure does no harm, because reports read the rows that are not
    /// summed, and it is tried again. It does not wait for another process's lock, because a row
    /// that comes meanwhile would wait twice as long.
    pub(super) fn run_if_due(&mut self, connection: &Connection) {
        let is_due = self.waiting_rows >= BATCH_ROWS
            || self.waiting_rows > 0 && self.waiting_since.elapsed() >= MAX_AGE;
        if !is_due {
            return;
        }
        let summed = connection
            .busy_timeout(Duration::ZERO)
            .and_then(|()| self.sum_up(connection));
        let restored = connection.busy_timeout(BUSY_TIMEOUT);
        if let Err(error) = summed.and(restored) {
            if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) {
                log::warn!("ledger: cannot sum up the hours, will try again: {error}");
            }
            self.waiting_rows = self.waiting_rows.clamp(1, BATCH_ROWS - 1);
            self.waiting_since = Instant::now();
        }
    }

    /// Sums up the rest until a point in time. The next process goes on from there.
    pub(super) fn finish(&mut self, connection: &Connection, by: Instant) {
        while self.waiting_rows > 0 && Instant::now() < by && self.sum_up(connection).is_ok() {}
    }

    /// Sums up the rows that are known, or else the next batch of the table, in one transaction.
    fn sum_up(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let pending = self.pending.take();
        let (data_version, is_all, is_ours) = in_transaction(connection, || {
            let data_version = data_version(connection)?;
            // Another process's rows may be among them, or it summed ours.
            let is_known = |pending: &PendingSums| {
                pending.data_version == data_version && pending.hours.len() <= BATCH_ROWS
            };
            let is_all = match pending.filter(is_known) {
                Some(pending) => pending.write(connection).map(|()| true),
                None => sum_up_batch(connection),
            };
            let has_others: bool = connection
                .prepare_cached(HAS_OTHER_TRIGGERS)?
                .query_row([], |row| row.get(0))?;
            Ok((data_version, is_all?, !has_others))
        })?;
        self.waiting_rows = if is_all {
            0
        } else {
            // The next batch is there already.
            self.waiting_rows.max(BATCH_ROWS)
        };
        self.waiting_since = Instant::now();
        self.pending = (is_all && is_ours).then(|| PendingSums {
            data_version,
            last_id: 0,
            hours: HashMap::new(),
        });
        Ok(())
    }
}

impl PendingSums {
    fn add(&mut self, InsertedRow { id, row }: &InsertedRow<'_>) {
        let bucket = Bucket {
            hour: row.started_at_ms / MS_PER_HOUR,
            user_id: row.user_id,
            endpoint: row.endpoint,
            model: row.model.clone(),
        };
        let sums = self.hours.entry(bucket).or_default();
        let is_ok = u64::from((200..300).contains(&row.status));
        sums.requests += 1;
        sums.requests_ok += is_ok;
        sums.usage = sums.usage.saturating_add(row.usage);
        if row.source == UsageSource::Estimate {
            sums.estimated_requests += is_ok;
            let EstimatedTokens { input, output } = row.estimated;
            sums.estimated.input = sums.estimated.input.saturating_add(input);
            sums.estimated.output = sums.estimated.output.saturating_add(output);
        }
        self.last_id = self.last_id.max(*id);
    }

    fn write(self, connection: &Connection) -> rusqlite::Result<()> {
        if self.hours.is_empty() {
            return Ok(());
        }
        let mut add = connection.prepare_cached(ADD_SUMS)?;
        for (bucket, sums) in self.hours {
            add.execute(params![
                bucket.hour,
                bucket.user_id,
                bucket.endpoint,
                bucket.model,
                signed(sums.requests),
                signed(sums.requests_ok),
                signed(sums.usage.input),
                signed(sums.usage.output),
                signed(sums.usage.cached),
                signed(sums.usage.reasoning),
                signed(sums.usage.audio_ms),
                signed(sums.usage.images),
                signed(sums.estimated_requests),
                signed(sums.estimated.input),
                signed(sums.estimated.output),
            ])?;
        }
        connection
            .prepare_cached(SUMMED_UP)?
            .execute([self.last_id])?;
        Ok(())
    }
}

/// Sums up the next rows of the table. Returns whether they were the last.
fn sum_up_batch(connection: &Connection) -> rusqlite::Result<bool> {
    let batch = i64::try_from(BATCH_ROWS).unwrap_or(i64::MAX);
    let last: Option<(i64, i64)> = connection
        .prepare_cached(LAST_OF_BATCH)?
        .query_row([batch], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((last, last_of_all)) = last else {
        return Ok(true);
    };
    connection.prepare_cached(ADD_BATCH)?.execute([last])?;
    connection.prepare_cached(SUMMED_UP)?.execute([last])?;
    Ok(last == last_of_all)
}

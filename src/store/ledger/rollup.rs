//! Adds written rows to the sums of their hours, a thousand at a time: adding each as it is written would cost a page
//! write a commit and as much time as the row itself. Reports read what is not summed yet from the rows.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

/// Rows that are summed in one transaction, about a millisecond's work.
pub(super) const BATCH_ROWS: usize = 1_000;
/// A quiet ledger's last rows are summed after this long.
const MAX_AGE: Duration = Duration::from_secs(1);

// Index: the primary key of usage_logs.
const LAST_OF_BATCH: &str = "SELECT max(id) FROM (SELECT id FROM usage_logs \
     WHERE id > (SELECT last_id FROM usage_rollup) ORDER BY id LIMIT ?1) HAVING max(id) IS NOT NULL";
// Indexes: the primary keys of usage_logs and usage_hourly.
const SUM_UP: &str = "INSERT INTO usage_hourly (hour, user_id, endpoint, model, requests, requests_ok, \
     input_tokens, output_tokens, cached_tokens, reasoning_tokens, audio_ms, images) \
     SELECT started_at_ms / 3600000, user_id, endpoint, model, count(*), sum(status BETWEEN 200 AND 299), \
     sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(reasoning_tokens), sum(audio_ms), sum(images) \
     FROM usage_logs WHERE id > (SELECT last_id FROM usage_rollup) AND id <= ?1 GROUP BY 1, 2, 3, 4 \
     ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, requests_ok = requests_ok + excluded.requests_ok, \
     input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens, \
     cached_tokens = cached_tokens + excluded.cached_tokens, \
     reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens, \
     audio_ms = audio_ms + excluded.audio_ms, images = images + excluded.images";
const SUMMED_UP: &str = "UPDATE usage_rollup SET last_id = ?1";

/// When the next batch is due.
pub(super) struct Rollup {
    waiting_rows: usize,
    waiting_since: Instant,
}

impl Rollup {
    /// Rows may have been left by an earlier process.
    pub(super) fn new() -> Self {
        Self {
            waiting_rows: 1,
            waiting_since: Instant::now(),
        }
    }

    /// Rows were written.
    pub(super) fn add(&mut self, rows: usize) {
        if self.waiting_rows == 0 {
            self.waiting_since = Instant::now();
        }
        self.waiting_rows += rows;
    }

    /// Sums a batch up when one is due. A failure does no harm: the reports are right without, and it is tried again.
    pub(super) fn run_if_due(&mut self, connection: &Connection) {
        let is_due = self.waiting_rows >= BATCH_ROWS
            || self.waiting_rows > 0 && self.waiting_since.elapsed() >= MAX_AGE;
        if !is_due {
            return;
        }
        match sum_up(connection) {
            // Another process's rows may be among them, or it summed ours: what counts is whether any are left.
            Ok(Left::None) => self.waiting_rows = 0,
            Ok(Left::Maybe) => {
                self.waiting_rows = self.waiting_rows.saturating_sub(BATCH_ROWS).max(1);
            }
            Err(error) => {
                log::warn!("ledger: cannot sum up the hours, will try again: {error}");
                self.waiting_rows = self.waiting_rows.clamp(1, BATCH_ROWS - 1);
            }
        }
        self.waiting_since = Instant::now();
    }

    /// Sums up all that is left, as far as that works.
    pub(super) fn finish(&mut self, connection: &Connection) {
        while self.waiting_rows > 0 && matches!(sum_up(connection), Ok(Left::Maybe)) {}
    }
}

enum Left {
    None,
    Maybe,
}

/// Sums up the next batch, in one transaction.
fn sum_up(connection: &Connection) -> rusqlite::Result<Left> {
    super::writer::in_transaction(connection, || {
        let batch = i64::try_from(BATCH_ROWS).unwrap_or(i64::MAX);
        let last: Option<i64> = connection
            .prepare_cached(LAST_OF_BATCH)?
            .query_row([batch], |row| row.get(0))
            .optional()?;
        let Some(last) = last else {
            return Ok(Left::None);
        };
        connection.prepare_cached(SUM_UP)?.execute(params![last])?;
        connection
            .prepare_cached(SUMMED_UP)?
            .execute(params![last])?;
        Ok(Left::Maybe)
    })
}

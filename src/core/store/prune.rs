//! Deletes old rows, a few at a time, beside a server that writes. Their hourly and daily sums stay, so
//! that no report changes its totals.

use super::{
    StoreError, audit,
    ledger::sum_up_all,
    pruned::{Pruned, cut_hours},
};
use crate::model::{Calendar, Period};
use crate::store::sql::{Connection, OptionalRow, in_transaction, params};
use std::{thread, time::Duration};

/// Rows that are deleted in one transaction, some milliseconds' work.
const BATCH_ROWS: i64 = 500;
/// Time between two transactions, in which a server gets its turn.
const PAUSE: Duration = Duration::from_millis(5);
const MS_PER_HOUR: i64 = 3_600_000;

// The newest row stays in any case, so that no id is given twice. Index: usage_logs_by_time.
const OLD: &str = "started_at_ms < ?1 AND id <= (SELECT last_id FROM usage_rollup) \
     AND id < (SELECT max(id) FROM usage_logs) \
     AND started_at_ms / 3600000 NOT IN (SELECT value FROM json_each(?2))";
const FIRST: &str = "SELECT min(started_at_ms) FROM usage_logs";

/// What pruning deletes, or has deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunePlan {
    /// Unix time in milliseconds. Requests that began before it lose their rows.
    pub before_ms: i64,
    pub rows: u64,
    /// Hours whose rows are kept, because a day begins within them.
    kept_hours: String,
}

/// Returns the beginning of the day that was so long ago.
#[must_use]
pub fn cutoff_ms(calendar: &Calendar, age: Duration, now_ms: i64) -> i64 {
    let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    let at_ms = now_ms.saturating_sub(age_ms).max(0);
    let day = calendar.range(Period::Day, at_ms, 0);
    let start_ms = day.start_ms().unwrap_or(at_ms);
    // Sums are of whole hours.
    start_ms - start_ms.rem_euclid(MS_PER_HOUR)
}

/// Says what pruning would delete. It sums up rows that are not in the sums yet.
///
/// # Errors
/// If the database fails.
pub fn plan(
    connection: &Connection,
    calendar: &Calendar,
    before_ms: i64,
) -> Result<PrunePlan, StoreError> {
    if let Some(zone) = Pruned::other_zone(connection, calendar, before_ms)? {
        return Err(StoreError::PrunedByOtherZone {
            zone,
            time_zone: calendar.zone_name().to_owned(),
        });
    }
    sum_up_all(connection)?;
    let different = audit::hourly_sums_before(connection, before_ms)?.different;
    if different > 0 {
        return Err(StoreError::SumsDiffer);
    }
    let first_ms: Option<i64> = connection
        .query_row(FIRST, [], |row| row.get(0))
        .optional()?
        .flatten();
    let kept = first_ms.map_or_else(Vec::new, |first_ms| {
        cut_hours(calendar, first_ms, before_ms)
    });
    let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
    let kept_hours = format!("[{}]", kept.join(","));
    let count = format!("SELECT count(*) FROM usage_logs WHERE {OLD}");
    let rows: i64 =
        connection.query_row(&count, params![before_ms, kept_hours], |row| row.get(0))?;
    Ok(PrunePlan {
        before_ms,
        rows: u64::try_from(rows).unwrap_or(0),
        kept_hours,
    })
}

/// Deletes what a plan says. `goes_on` is called with the number of rows that are deleted, and says
/// whether to go on. Returns that number.
///
/// # Errors
/// If the database fails. What was deleted stays deleted, and the next run goes on.
pub fn delete(
    connection: &Connection,
    calendar: &Calendar,
    plan: &PrunePlan,
    mut goes_on: impl FnMut(u64) -> bool,
) -> Result<u64, StoreError> {
    // Reports must know before the first row is gone.
    in_transaction(connection, || {
        Pruned::extend(connection, plan.before_ms, calendar)
    })?;
    let delete = format!(
        "DELETE FROM usage_logs WHERE id IN (SELECT id FROM usage_logs WHERE {OLD} ORDER BY started_at_ms LIMIT {BATCH_ROWS})"
    );
    let mut deleted = 0;
    loop {
        let rows = in_transaction(connection, || {
            connection
                .prepare_cached(&delete)?
                .execute(params![plan.before_ms, plan.kept_hours])
        })?;
        deleted += rows as u64;
        if rows == 0 || !goes_on(deleted) {
            return Ok(deleted);
        }
        thread::sleep(PAUSE);
    }
}

/// Free space inside a database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    pub bytes: u64,
    /// The file can give it back step by step. Files that older versions made cannot.
    pub is_incremental: bool,
}

/// Returns the free space inside the file. PostgreSQL uses its own again by itself.
///
/// # Errors
/// If the database fails.
pub fn free_space(connection: &Connection) -> Result<FreeSpace, StoreError> {
    #[cfg(feature = "sqlite")]
    if !connection.is_postgres() {
        let (bytes, is_incremental) = super::sqlite::free_space(connection.sqlite()?)?;
        return Ok(FreeSpace {
            bytes,
            is_incremental,
        });
    }
    let _ = connection;
    Ok(FreeSpace {
        bytes: 0,
        is_incremental: true,
    })
}

/// Returns since when there are rows, as Unix time in milliseconds; `None` if none were deleted.
///
/// # Errors
/// If the database fails.
pub fn rows_since_ms(connection: &Connection) -> Result<Option<i64>, StoreError> {
    Ok(Pruned::read(connection)?.map(|pruned| pruned.before_ms))
}

/// Gives free pages back to the disk, a few at a time. `goes_on` says whether to go on. PostgreSQL's
/// autovacuum does so where it can.
///
/// # Errors
/// If the database fails.
pub fn give_back(connection: &Connection, goes_on: impl FnMut() -> bool) -> Result<(), StoreError> {
    #[cfg(feature = "sqlite")]
    if !connection.is_postgres() {
        return Ok(super::sqlite::give_back(connection.sqlite()?, goes_on)?);
    }
    let _ = (connection, goes_on);
    Ok(())
}

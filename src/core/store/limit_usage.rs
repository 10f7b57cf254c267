//! What the ledger says was used of limits, and what objects with open accounts have reserved.

use super::{StoreError, reports};
use crate::store::sql::{Connection, SqlResult, params};
use crate::{
    limits::Amounts,
    model::{ObjectHold, TimeRange},
};

// Indexes: the primary keys.
const POSITION: &str = "SELECT coalesce((SELECT max(id) FROM usage_logs), 0), \
     coalesce((SELECT max(id) FROM usage_adjustments), 0)";
const ROWS_BEHIND: &str = "SELECT id, user_id, started_at_ms, coalesce(cost_nano_usd, 0), input_tokens + output_tokens, \
     status BETWEEN 200 AND 299 FROM usage_logs WHERE id > ?1 AND id <= ?2";
const ADJUSTMENTS_BEHIND: &str = "SELECT user_id, started_at_ms, cost_delta_nano_usd FROM usage_adjustments \
     JOIN usage_logs ON usage_logs.id = usage_id WHERE usage_adjustments.id > ?1 AND usage_adjustments.id <= ?2";
// Index: usage_logs_by_time.
const REQUESTS_SINCE: &str = "SELECT user_id, started_at_ms, duration_ms, model, output_tokens, \
     coalesce(cost_nano_usd, 0) + coalesce((SELECT sum(cost_delta_nano_usd) FROM usage_adjustments \
        WHERE usage_id = usage_logs.id), 0), input_tokens + output_tokens, status BETWEEN 200 AND 299, id \
     FROM usage_logs WHERE (started_at_ms, id) > (?1, ?2) ORDER BY started_at_ms, id LIMIT ?3";
/// Requests that are read at once: PostgreSQL's client holds them in memory.
const PAGE_ROWS: i64 = 5_000;
const RESERVE: &str = "INSERT INTO reservations (object_id, user_id, started_at_ms, nano_usd, tokens, requests) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (object_id) DO UPDATE SET user_id = excluded.user_id, \
     started_at_ms = excluded.started_at_ms, nano_usd = excluded.nano_usd, tokens = excluded.tokens, \
     requests = excluded.requests";
const END_RESERVATION: &str = "DELETE FROM reservations WHERE object_id = ?1";
// Index: the primary key of objects.
const RESERVATIONS: &str = "SELECT object_id, reservations.user_id, started_at_ms, nano_usd, tokens, requests \
     FROM reservations JOIN objects ON objects.id = object_id WHERE is_settled = 0";

/// How far rows and adjustments have been read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerPosition {
    pub row_id: i64,
    pub adjustment_id: i64,
}

/// What a row of the ledger, or an adjustment, adds to the usage of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookedUsage {
    pub user_id: i64,
    /// Unix time in milliseconds, which decides about the window.
    pub started_at_ms: i64,
    pub amounts: Amounts,
}

/// What an object with an open account has reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectReservation {
    pub object_id: String,
    pub user_id: i64,
    pub started_at_ms: i64,
    pub amounts: Amounts,
}

/// A request of the ledger, as far as limits are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRequest {
    pub user_id: i64,
    /// Unix time in milliseconds.
    pub started_at_ms: i64,
    pub duration_ms: i64,
    pub model: String,
    pub output_tokens: i64,
    pub amounts: Amounts,
}

/// Returns what each user has used since a time, by the sums that reports have too. The caller's
/// transaction makes it one moment with [`position`].
///
/// # Errors
/// If the database fails.
pub fn used_since(
    connection: &Connection,
    start_ms: Option<i64>,
) -> Result<Vec<(i64, Amounts)>, StoreError> {
    used_between(connection, start_ms, None)
}

/// Returns what each user has used between two times, both included.
///
/// # Errors
/// If the database fails.
pub fn used_between(
    connection: &Connection,
    start_ms: Option<i64>,
    last_ms: Option<i64>,
) -> Result<Vec<(i64, Amounts)>, StoreError> {
    let totals = reports::totals_by_user(connection, TimeRange::of_ms(start_ms, last_ms))?;
    Ok(totals.into_iter().map(amounts_of).collect())
}

/// Calls a function with each request since a time, in the order of their beginnings.
///
/// # Errors
/// If the database fails.
pub fn each_request(
    connection: &Connection,
    since_ms: i64,
    mut take: impl FnMut(PastRequest),
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(REQUESTS_SINCE)?;
    let mut after = (since_ms.saturating_sub(1), i64::MAX);
    loop {
        let mut count = 0_i64;
        let mut rows = statement.query(params![after.0, after.1, PAGE_ROWS])?;
        while let Some(row) = rows.next()? {
            count += 1;
            after = (row.get(1)?, row.get(8)?);
            take(PastRequest {
                user_id: row.get(0)?,
                started_at_ms: row.get(1)?,
                duration_ms: row.get(2)?,
                model: row.get(3)?,
                output_tokens: row.get(4)?,
                amounts: Amounts {
                    nano_usd: row.get(5)?,
                    tokens: row.get(6)?,
                    requests: row.get(7)?,
                },
            });
        }
        if count < PAGE_ROWS {
            return Ok(());
        }
    }
}

fn amounts_of((user_id, totals): (i64, reports::Totals)) -> (i64, Amounts) {
    let amounts = Amounts {
        nano_usd: totals.cost.0,
        tokens: i64::try_from(totals.tokens()).unwrap_or(i64::MAX),
        requests: totals.requests,
    };
    (user_id, amounts)
}

/// Returns the newest row and adjustment.
///
/// # Errors
/// If the database fails.
pub fn position(connection: &Connection) -> SqlResult<LedgerPosition> {
    connection.prepare_cached(POSITION)?.query_row([], |row| {
        Ok(LedgerPosition {
            row_id: row.get(0)?,
            adjustment_id: row.get(1)?,
        })
    })
}

/// Returns the rows and adjustments behind a position and up to another, but for those rows that
/// `is_known` says are counted already.
///
/// # Errors
/// If the database fails.
pub fn booked_between(
    connection: &Connection,
    from: LedgerPosition,
    to: LedgerPosition,
    is_known: impl Fn(i64) -> bool,
) -> SqlResult<Vec<BookedUsage>> {
    let mut booked = Vec::new();
    let mut statement = connection.prepare_cached(ROWS_BEHIND)?;
    let mut rows = statement.query([from.row_id, to.row_id])?;
    while let Some(row) = rows.next()? {
        if is_known(row.get(0)?) {
            continue;
        }
        booked.push(BookedUsage {
            user_id: row.get(1)?,
            started_at_ms: row.get(2)?,
            amounts: Amounts {
                nano_usd: row.get(3)?,
                tokens: row.get(4)?,
                requests: row.get(5)?,
            },
        });
    }
    let mut statement = connection.prepare_cached(ADJUSTMENTS_BEHIND)?;
    let adjusted = statement.query_map([from.adjustment_id, to.adjustment_id], |row| {
        Ok(BookedUsage {
            user_id: row.get(0)?,
            started_at_ms: row.get(1)?,
            amounts: Amounts {
                nano_usd: row.get(2)?,
                ..Amounts::default()
            },
        })
    })?;
    for adjustment in adjusted {
        booked.push(adjustment?);
    }
    Ok(booked)
}

/// Notes what an object with an open account has reserved.
///
/// # Errors
/// If the database fails.
pub(super) fn reserve(
    connection: &Connection,
    object_id: &str,
    user_id: i64,
    hold: &ObjectHold,
) -> SqlResult<()> {
    connection.prepare_cached(RESERVE)?.execute(params![
        object_id,
        user_id,
        hold.started_at_ms,
        hold.nano_usd,
        hold.tokens,
        hold.requests
    ])?;
    Ok(())
}

/// Forgets what an object has reserved.
///
/// # Errors
/// If the database fails.
pub(super) fn end_reservation(connection: &Connection, object_id: &str) -> SqlResult<()> {
    connection
        .prepare_cached(END_RESERVATION)?
        .execute([object_id])?;
    Ok(())
}

/// Returns the reservations of all objects with open accounts.
///
/// # Errors
/// If the database fails.
pub fn reservations(connection: &Connection) -> SqlResult<Vec<ObjectReservation>> {
    let mut statement = connection.prepare_cached(RESERVATIONS)?;
    let reservations = statement.query_map([], |row| {
        Ok(ObjectReservation {
            object_id: row.get(0)?,
            user_id: row.get(1)?,
            started_at_ms: row.get(2)?,
            amounts: Amounts {
                nano_usd: row.get(3)?,
                tokens: row.get(4)?,
                requests: row.get(5)?,
            },
        })
    })?;
    reservations.collect()
}

//! What users did in the last minute, as far as the database says it: for those who look at the file
//! instead of asking the server.

use super::StoreError;
use crate::sight::{LiveSnapshot, MinuteCounts, RequestState, RequestView, UserActivity};
use crate::store::sql::{Connection, Row, SqlResult, params};
use std::time::Duration;

/// Length of the window in milliseconds.
const MINUTE_MS: i64 = 60_000;
/// Age in milliseconds at which a note is one of a server that is gone: a server notes each running
/// request about once a second.
const MAX_NOTE_AGE_MS: i64 = 5_000;

// Index: usage_logs_by_time.
const BOOKED: &str = "SELECT user_id, count(*), sum(input_tokens + output_tokens), count(first_byte_ms), \
     coalesce(sum(first_byte_ms), 0), max(started_at_ms) FROM usage_logs WHERE started_at_ms >= ?1 GROUP BY user_id";
// Index: refusals_by_time.
const REFUSED: &str =
    "SELECT user_id, count(*), max(at_ms) FROM refusals WHERE at_ms >= ?1 GROUP BY user_id";
// The table has as many rows as requests run.
const RUNNING: &str = "SELECT user_id, endpoint, model, started_at_ms, status, output_tokens FROM running_requests \
     WHERE noted_at_ms >= ?1 ORDER BY started_at_ms";

/// Status in a note while there is no answer.
const NO_ANSWER: u16 = 499;

/// Returns what users did in the minute before `now_ms` (Unix milliseconds), without errors. A
/// request is there when it has run for a second or is booked.
///
/// # Errors
/// If the database fails.
pub fn last_minute(connection: &mut Connection, now_ms: i64) -> Result<LiveSnapshot, StoreError> {
    let snapshot = connection.snapshot()?;
    let mut activity = LiveSnapshot::default();
    let since = now_ms - MINUTE_MS;
    let mut seen = |user_id: i64, counts: MinuteCounts, last_ms: i64| {
        let user: &mut UserActivity = activity.users.entry(user_id).or_default();
        user.minute.add(&counts);
        let ago = age(now_ms, last_ms);
        user.last_seen = Some(user.last_seen.map_or(ago, |known| known.min(ago)));
    };
    let mut statement = snapshot.prepare_cached(BOOKED)?;
    let mut rows = statement.query([since])?;
    while let Some(row) = rows.next()? {
        let counts = MinuteCounts {
            requests: count(&row, 1)?,
            refused: 0,
            tokens: count(&row, 2)?,
            first_bytes: count(&row, 3)?,
            first_byte_ms: count(&row, 4)?,
        };
        seen(row.get(0)?, counts, row.get(5)?);
    }
    let mut statement = snapshot.prepare_cached(REFUSED)?;
    let mut rows = statement.query([since])?;
    while let Some(row) = rows.next()? {
        let refused = count(&row, 1)?;
        let counts = MinuteCounts {
            requests: refused,
            refused,
            ..MinuteCounts::default()
        };
        seen(row.get(0)?, counts, row.get(2)?);
    }
    let mut statement = snapshot.prepare_cached(RUNNING)?;
    let mut rows = statement.query(params![now_ms - MAX_NOTE_AGE_MS])?;
    while let Some(row) = rows.next()? {
        let user_id = row.get(0)?;
        let (started_at_ms, status): (i64, u16) = (row.get(3)?, row.get(4)?);
        seen(user_id, MinuteCounts::default(), started_at_ms);
        let endpoint: String = row.get(1)?;
        activity.requests.push(RequestView {
            user_id,
            endpoint: endpoint.into(),
            model: row.get(2)?,
            age: age(now_ms, started_at_ms),
            state: RequestState::Running,
            output_tokens: Some(count(&row, 5)?),
            status: (status != NO_ANSWER).then_some(status),
        });
    }
    activity.count_requests();
    Ok(activity)
}

fn count(row: &Row<'_>, column: usize) -> SqlResult<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

fn age(now_ms: i64, at_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(now_ms - at_ms).unwrap_or(0))
}

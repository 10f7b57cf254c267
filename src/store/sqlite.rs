//! The calls to SQLite that several files of the store share: transactions, signed counts, the time
//! to wait for locks.

use std::time::Duration;

use rusqlite::Connection;

/// Time that a statement waits for another process's write before it gives up.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the statements of `work` in one transaction, which is rolled back if one of them fails.
pub(super) fn in_transaction<T>(
    connection: &Connection,
    work: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    // IMMEDIATE: a deferred one could fail half-way against another writer without the busy timeout
    // applying (sqlite.org/lang_transaction.html). Prepared: parsing these two words costs as much
    // as inserting a row.
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let done = work().and_then(|value| {
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(value)
    });
    if done.is_err() && !connection.is_autocommit() {
        // The error that matters is the first one.
        let _ = connection.execute_batch("ROLLBACK");
    }
    done
}

/// Returns a count as SQLite's signed integer, which is never negative.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns the number that moves when another connection commits anything, and never by this
/// connection's own commits (sqlite.org/pragma.html#pragma_data_version).
pub(super) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached("PRAGMA data_version")?;
    statement.query_row([], |row| row.get(0))
}

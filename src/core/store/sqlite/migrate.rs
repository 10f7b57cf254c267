//! Brings a database to the schema of this version. `PRAGMA user_version` counts the migrations
//! that ran.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::BUSY_TIMEOUT;
use crate::store::{
    StoreError,
    migration::{IfOlder, SCHEMA},
    sql_error::SqlError,
};

/// Pause between two attempts to switch a new file to WAL.
const WAL_RETRY_PAUSE: Duration = Duration::from_millis(5);

/// Interval between two lines on how far a migration is.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// Instructions of SQLite's machine between two looks at the clock, about a tenth of a second's.
const PROGRESS_OPCODES: i32 = 10_000_000;

/// Numbered files, never edited after a release; the index plus one is the schema's version.
const MIGRATIONS: [&str; SCHEMA] = [
    include_str!("migrations/001_init.sql"),
    include_str!("migrations/002_rollup.sql"),
    include_str!("migrations/003_objects.sql"),
    include_str!("migrations/004_kept_estimates.sql"),
    include_str!("migrations/005_estimates.sql"),
    include_str!("migrations/006_expiring_objects.sql"),
    include_str!("migrations/007_estimated_parts.sql"),
    include_str!("migrations/008_people_and_money.sql"),
    include_str!("migrations/009_running.sql"),
    include_str!("migrations/010_alerts.sql"),
    include_str!("migrations/011_limits.sql"),
    include_str!("migrations/012_request_ids.sql"),
    include_str!("migrations/013_imports.sql"),
];

/// Runs what is missing, in one transaction, so that two processes that start together cannot both
/// run it. An empty file becomes a database either way.
pub(super) fn to_current(
    connection: &mut Connection,
    path: &Path,
    if_older: IfOlder,
) -> Result<(), StoreError> {
    run(connection, path, if_older).map_err(|error| match error {
        StoreError::Sql(SqlError::Sqlite(source)) => StoreError::from_sqlite(path, &source),
        other => other,
    })
}

fn run(connection: &mut Connection, path: &Path, if_older: IfOlder) -> Result<(), StoreError> {
    // Reads first: a file that is current, newer or not ours is left untouched. Both from one
    // moment, or another process that is just making the database would look like a stranger.
    let (found, has_tables) = {
        let snapshot = connection.transaction()?;
        (version(&snapshot)?, has_tables(&snapshot)?)
    };
    refuse_newer(found, path)?;
    if found == known() {
        return Ok(());
    }
    if found == 0 && has_tables {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
        });
    }
    if found > 0 && if_older == IfOlder::Refuse {
        return Err(StoreError::Older {
            path: path.to_owned(),
            found,
            known: known(),
        });
    }
    switch_to_wal(connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster while this one waited.
    let found = version(&transaction)?;
    refuse_newer(found, path)?;
    let missing = &MIGRATIONS[usize::try_from(found).unwrap_or(0)..];
    if found == 0 {
        for sql in missing {
            transaction.execute_batch(sql)?;
        }
    } else {
        migrate(&transaction, path, found, missing)?;
    }
    transaction.pragma_update(None, "user_version", known())?;
    transaction.commit()?;
    Ok(())
}

/// Runs the migrations that a database of an older version lacks, and logs how far they are. They
/// are in the caller's transaction: one that is interrupted leaves the database as it was.
fn migrate(
    connection: &Connection,
    path: &Path,
    found: i64,
    missing: &[&str],
) -> rusqlite::Result<()> {
    let begun = Instant::now();
    // Index: the primary key of usage_logs.
    let last_id: Option<i64> =
        connection.query_row("SELECT max(id) FROM usage_logs", [], |row| row.get(0))?;
    let (rows, to) = (last_id.unwrap_or(0), known());
    let path = path.display();
    log::info!("migrating the database: path=\"{path}\" rows={rows} from={found} to={to}");
    let mut next_report = begun + PROGRESS_EVERY;
    for (index, sql) in missing.iter().enumerate() {
        let step = index + 1;
        let steps = missing.len();
        let report = move || {
            if Instant::now() >= next_report {
                next_report = Instant::now() + PROGRESS_EVERY;
                let seconds = begun.elapsed().as_secs();
                log::info!("migrating the database: step={step} of={steps} seconds={seconds}");
            }
            // Whether to stop.
            false
        };
        connection.progress_handler(PROGRESS_OPCODES, Some(report))?;
        connection.execute_batch(sql)?;
    }
    connection.progress_handler(0, None::<fn() -> bool>)?;
    let seconds = begun.elapsed().as_secs_f64();
    log::info!("the database is migrated: rows={rows} seconds={seconds:.1}");
    Ok(())
}

/// WAL lets readers and the writer work at once and is kept in the file (sqlite.org/wal.html). The
/// switch needs the file alone and does not wait for it by itself.
pub(super) fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let give_up = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < give_up =>
            {
                std::thread::sleep(WAL_RETRY_PAUSE);
            }
            result => return result,
        }
    }
}

/// Returns the version of a database's schema.
///
/// # Errors
/// [`StoreError`] if it is no database of llmproxy, or one of a newer version.
pub(super) fn version_of_ours(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let explain = |error| StoreError::from_sqlite(path, &error);
    let found = version(connection).map_err(explain)?;
    refuse_newer(found, path)?;
    let has_rows: bool = connection
        .query_row(
            "SELECT count(*) = 2 FROM sqlite_schema WHERE type = 'table' AND name IN ('usage_logs', 'usage_rollup')",
            [],
            |row| row.get(0),
        )
        .map_err(explain)?;
    if found == 0 || !has_rows {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
        });
    }
    Ok(found)
}

fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn refuse_newer(found: i64, path: &Path) -> Result<(), StoreError> {
    if (0..=known()).contains(&found) {
        return Ok(());
    }
    Err(StoreError::Newer {
        path: path.to_owned(),
        found,
        known: known(),
    })
}

fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| {
        row.get(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of the fourth version with two requests of one hour, one of them estimated, and
    /// one that is not summed yet.
    fn fourth_version(path: &Path) -> Connection {
        let mut connection = Connection::open(path).unwrap();
        switch_to_wal(&connection).unwrap();
        let transaction = connection.transaction().unwrap();
        for sql in &MIGRATIONS[..4] {
            transaction.execute_batch(sql).unwrap();
        }
        transaction.pragma_update(None, "user_version", 4).unwrap();
        transaction
            .execute_batch(
                "INSERT INTO usage_logs (id, started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, cached_tokens,
                     reasoning_tokens, status, outcome, usage_source, duration_ms)
                 VALUES (1, 3600000, 1, '/e', 'm', 10, 20, 0, 0, 200, 'completed', 'backend', 1),
                        (2, 3600001, 1, '/e', 'm', 3, 4, 0, 0, 499, 'client_gone', 'estimate', 1),
                        (3, 3600002, 1, '/e', 'm', 5, 6, 0, 0, 200, 'client_gone', 'estimate', 1),
                        (4, 3600003, 1, '/e', 'm', 7, 8, 0, 0, 200, 'client_gone', 'estimate', 1);
                 INSERT INTO usage_hourly (hour, user_id, endpoint, model, requests, requests_ok, input_tokens, output_tokens,
                     cached_tokens, reasoning_tokens)
                 VALUES (1, 1, '/e', 'm', 3, 2, 18, 30, 0, 0);
                 UPDATE usage_rollup SET last_id = 3;",
            )
            .unwrap();
        transaction.commit().unwrap();
        connection
    }

    #[test]
    fn migrating_version_4_sums_estimates_and_adds_an_outcome() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let mut connection = fourth_version(&path);
        to_current(&mut connection, &path, IfOlder::Migrate).unwrap();
        let sums = "SELECT estimated_requests, estimated_input_tokens, estimated_output_tokens, input_tokens FROM usage_hourly";
        let sums = connection.query_row(sums, [], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
        });
        // The fourth row is not summed, and not all requests had a status of success.
        assert_eq!(sums, Ok([1_i64, 8, 10, 18]));
        // By a connection that has read the schema from the file.
        drop(connection);
        let connection = Connection::open(&path).unwrap();
        let write = |outcome: &str| {
            let sql = "UPDATE usage_logs SET outcome = ?1 WHERE id = 1";
            connection.execute(sql, [outcome])
        };
        assert_eq!(write("backend_error"), Ok(1));
        assert!(write("nonsense").is_err(), "the check still holds");
        let intact: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(intact, "ok");
    }
}

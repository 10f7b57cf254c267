//! Brings a database to the schema of this version. `PRAGMA user_version` counts the migrations that ran.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::{BUSY_TIMEOUT, IfOlder, StoreError};

/// Between two attempts to switch a new file to WAL.
const WAL_RETRY_PAUSE: Duration = Duration::from_millis(5);

/// Numbered files, never edited after a release; the index plus one is the schema's version.
const MIGRATIONS: [&str; 6] = [
    include_str!("migrations/001_init.sql"),
    include_str!("migrations/002_rollup.sql"),
    include_str!("migrations/003_objects.sql"),
    include_str!("migrations/004_kept_estimates.sql"),
    include_str!("migrations/005_estimates.sql"),
    include_str!("migrations/006_expiring_objects.sql"),
];

/// Runs what is missing, in one transaction, so that two processes that start together cannot both run it. An empty file
/// becomes a database either way.
pub(super) fn to_current(
    connection: &mut Connection,
    path: &Path,
    if_older: IfOlder,
) -> Result<(), StoreError> {
    run(connection, path, if_older).map_err(|error| match error {
        StoreError::Sqlite(source) => StoreError::from_sqlite(path, &source),
        other => other,
    })
}

fn run(connection: &mut Connection, path: &Path, if_older: IfOlder) -> Result<(), StoreError> {
    // Reads first: a file that is current, newer or not ours is left untouched. Both from one moment, or another process
    // that is just making the database would look like a stranger.
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
    for sql in &MIGRATIONS[usize::try_from(found).unwrap_or(0)..] {
        transaction.execute_batch(sql)?;
    }
    transaction.pragma_update(None, "user_version", known())?;
    transaction.commit()?;
    Ok(())
}

/// WAL lets readers and the writer work at once and is kept in the file (sqlite.org/wal.html). The switch needs the file
/// alone and does not wait for it by itself.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
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

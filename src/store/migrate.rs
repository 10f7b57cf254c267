//! Brings a database to the schema of this version. `PRAGMA user_version` counts the migrations that ran.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Numbered files, never edited after a release; the index plus one is the schema's version.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/001_init.sql")];

/// Runs what is missing, in one transaction, so that two processes that start together cannot both run it.
pub(super) fn to_current(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    run(connection, path).map_err(|error| match error {
        StoreError::Sqlite(source) => StoreError::from_sqlite(path, &source),
        other => other,
    })
}

fn run(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    // Reads first: a file that is current, newer or not ours is left untouched.
    let found = version(connection)?;
    refuse_newer(found, path)?;
    if found == known() {
        return Ok(());
    }
    if found == 0 && has_tables(connection)? {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
        });
    }
    // WAL lets readers and the writer work at once and is kept in the file (sqlite.org/wal.html).
    connection.pragma_update(None, "journal_mode", "WAL")?;
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

//! What only SQLite has: opening a file, its pragmas and locks, its schema (`migrate.rs`), its
//! write-ahead log (`wal.rs`), copies of the file (`backup.rs`), and the space inside it (`space.rs`).

pub mod backup;
mod file;
mod migrate;
mod space;
mod wal;

use std::{fs::OpenOptions, path::Path, sync::Arc, time::Duration};

use rusqlite::{
    Connection, OpenFlags, Statement, ToSql,
    functions::FunctionFlags,
    types::{ToSqlOutput, ValueRef},
};

pub(super) use backup::damage;
pub(super) use file::FileWatch;
pub(super) use space::{free_space, give_back, table_sizes};
pub(super) use wal::WalWatch;

use super::{
    StoreError,
    migration::IfOlder,
    sql_error::{IfBusy, SqlError},
    value::{Value, ValueType},
};
use crate::model::Periods;

/// Time that a statement waits for another process's write before it gives up.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements that the connection keeps. It uses 51: rows 2, transactions 2, sums 9,
/// users and keys 4, prices 4, objects and accounts 11, limits 8, running requests 6, alerts 2,
/// refusals 2, the probe of readiness 1. A mix of chats and stored responses goes round 17 of them for
/// each batch, and of the 16 that rusqlite keeps, a round of 17 would find none.
const KEPT_STATEMENTS: usize = 56;

/// Opens a database file and brings it to the schema of this version, where that is allowed. A file
/// that was just made is prepared for it.
pub(super) fn prepare_file(path: &Path, is_new: bool, if_older: IfOlder) -> Result<(), StoreError> {
    let mut first = open(path)?;
    if is_new {
        // Space of deleted rows can go back to the disk step by step then. It must be set before
        // the first table is made (sqlite.org/pragma.html#pragma_auto_vacuum).
        first
            .pragma_update(None, "auto_vacuum", "INCREMENTAL")
            .map_err(|source| StoreError::from_sqlite(path, &source))?;
    }
    migrate::to_current(&mut first, path, if_older)?;
    if if_older == IfOlder::Migrate {
        // A copy that was put back by other means is in another mode.
        migrate::switch_to_wal(&first).map_err(|source| StoreError::from_sqlite(path, &source))?;
    }
    Ok(())
}

/// Opens a database file as it is.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let explain = |source| StoreError::from_sqlite(path, &source);
    let connection = Connection::open_with_flags(path, open_flags()).map_err(explain)?;
    set_up(&connection).map_err(explain)?;
    Ok(connection)
}

/// Makes an empty database in memory. `path` is the file that it stands for.
pub(super) fn open_in_memory(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open_in_memory()?;
    migrate::to_current(&mut connection, path, IfOlder::Refuse)?;
    Ok(connection)
}

/// Writes the first page without a change, inside the caller's transaction: writing the same number
/// makes SQLite write it.
pub(super) fn write_same_version(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)
}

/// Makes the connection overwrite what it deletes (sqlite.org/pragma.html#pragma_secure_delete).
pub(super) fn overwrite_deleted(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "secure_delete", true)
}

/// Writes the file anew and cuts its write-ahead log, because old pages of both may hold what was
/// deleted. Returns whether no reader stood in the way.
pub(super) fn wipe_free_pages(connection: &Connection) -> rusqlite::Result<bool> {
    connection.execute_batch("VACUUM")?;
    let is_busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(!is_busy)
}

/// Flags without `SQLITE_OPEN_URI`, so that a path that starts with `file:` is a path.
fn open_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // With NORMAL in WAL mode the file is always consistent, and a commit survives the death of the
    // process; only a power cut may undo the last commits
    // (sqlite.org/pragma.html#pragma_synchronous). The ledger sets FULL on request.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // A long reader makes the WAL grow; give the space back afterwards
    // (sqlite.org/pragma.html#pragma_journal_size_limit).
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    Ok(())
}

/// Creates the file if there is none, readable by its owner only, because it holds keys. SQLite
/// gives `-wal` and `-shm` the mode of the database. Returns whether the file was created.
pub(super) fn create_private(path: &Path) -> Result<bool, StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(reason) => Err(StoreError::Create {
            path: path.to_owned(),
            reason,
        }),
    }
}

/// Prepares the connection of the ledger's writer. If it is durable, each commit waits for the disk.
pub(super) fn prepare_writer(connection: &Connection, is_durable: bool) -> rusqlite::Result<()> {
    let synchronous = if is_durable { "FULL" } else { "NORMAL" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.set_prepared_statement_cache_capacity(KEPT_STATEMENTS);
    // The table's CHECKs are for others who write: this connection's words come from enums, and
    // SQLite builds a temporary b-tree for each `IN (…)` of each row, which took a third of the
    // ledger's time.
    connection.pragma_update(None, "ignore_check_constraints", true)
}

/// Begins a transaction that writes.
pub(super) fn begin(connection: &Connection, if_busy: IfBusy) -> Result<(), SqlError> {
    if if_busy == IfBusy::Fail {
        connection.busy_timeout(Duration::ZERO)?;
    }
    // IMMEDIATE: a deferred one could fail half-way against another writer without the busy timeout
    // applying (sqlite.org/lang_transaction.html). Prepared: parsing these two words costs as much
    // as inserting a row.
    let begun = connection
        .prepare_cached("BEGIN IMMEDIATE")
        .and_then(|mut begin| begin.execute([]));
    if if_busy == IfBusy::Fail {
        connection.busy_timeout(BUSY_TIMEOUT)?;
    }
    begun?;
    Ok(())
}

/// Returns the number that moves when another connection commits anything, and never by this
/// connection's own commits (sqlite.org/pragma.html#pragma_data_version).
pub(super) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached("PRAGMA data_version")?;
    statement.query_row([], |row| row.get(0))
}

/// Gives the connection the function `period_of(ms)`: the place of the period that has a moment.
pub(super) fn add_period_function(
    connection: &Connection,
    starts_ms: Arc<[i64]>,
) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("period_of", 1, flags, move |context| {
        let index = Periods::index_of(&starts_ms, context.get(0)?);
        Ok(i64::try_from(index).unwrap_or(i64::MAX))
    })
}

/// Runs a statement and returns the number of rows that it changed.
pub(super) fn execute(
    statement: &mut Statement<'_>,
    values: &[Value<'_>],
    names: Option<&[&str]>,
) -> Result<usize, SqlError> {
    bind(statement, values, names)?;
    Ok(statement.raw_execute()?)
}

/// Binds the values of a statement's parameters.
pub(super) fn bind(
    statement: &mut Statement<'_>,
    values: &[Value<'_>],
    names: Option<&[&str]>,
) -> Result<(), SqlError> {
    if values.len() != statement.parameter_count() {
        let expected = statement.parameter_count();
        return Err(rusqlite::Error::InvalidParameterCount(values.len(), expected).into());
    }
    for (index, value) in values.iter().enumerate() {
        let place = match names {
            None => index + 1,
            Some(names) => statement
                .parameter_index(names[index])?
                .ok_or_else(|| SqlError::UnknownName(names[index].to_owned()))?,
        };
        statement.raw_bind_parameter(place, value)?;
    }
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null(_) => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Returns a column's value. The store's tables are STRICT and have no other types.
pub(super) fn value(value: ValueRef<'_>) -> Result<Value<'_>, SqlError> {
    Ok(match value {
        ValueRef::Null => Value::Null(ValueType::Unknown),
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Text(_) => Value::Text(value.as_str().map_err(rusqlite::Error::from)?),
        ValueRef::Blob(bytes) => Value::Blob(bytes),
        ValueRef::Real(_) => {
            return Err(SqlError::Unexpected {
                expected: "an integer, a text or bytes",
                found: "a floating-point number",
            });
        }
    })
}

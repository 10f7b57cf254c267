//! The database: opening it, its pragmas, its migrations. Users, ledger and reports have a file
//! each. Every call here blocks: servers call it from the blocking pool or the ledger's own thread.

pub mod accounts;
pub mod activity;
pub mod alerts;
pub mod audit;
pub mod backup;
mod error;
pub mod groups;
pub mod identity;
pub mod imports;
pub mod keys;
pub mod ledger;
pub mod limit_usage;
pub mod limits;
mod location;
mod lookups;
mod measures;
mod migrate;
pub mod objects;
pub mod prices;
pub mod prune;
mod pruned;
mod refusals;
pub mod reports;
pub mod reprice;
pub mod requests;
pub mod retention;
mod running;
pub mod size;
mod sqlite;
pub mod users;

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OpenFlags};
use scheduled_thread_pool::ScheduledThreadPool;

pub use error::StoreError;
pub use location::{DatabasePath, LocationError};
pub use migrate::SCHEMA;

use migrate::IfOlder;
use sqlite::BUSY_TIMEOUT;

/// Connections for the admin API; reports are rare and short.
const POOL_SIZE: u32 = 4;
/// Time that an admin call waits for a pooled connection.
const POOL_TIMEOUT: Duration = Duration::from_secs(10);

/// The choice if there is no database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    Create,
    Refuse,
    /// An empty database in memory takes its place, for a look at what would happen.
    Pretend,
}

/// An open database with the schema of this version.
#[derive(Clone)]
pub struct Store {
    pool: r2d2::Pool<SqliteConnectionManager>,
    path: PathBuf,
    is_new: bool,
}

/// A connection lent by the pool; it goes back when dropped.
pub type PooledConnection = r2d2::PooledConnection<SqliteConnectionManager>;

impl Store {
    /// Opens a database of this version, and creates it where allowed. One of an older version is
    /// left alone: a server of that version may be writing into it, and it would go on in its own
    /// way.
    ///
    /// # Errors
    /// [`StoreError`] says what is wrong with the file and what to do.
    pub fn open(location: &DatabasePath, if_missing: IfMissing) -> Result<Self, StoreError> {
        if if_missing == IfMissing::Pretend && !location.as_path().exists() {
            return Ok(Self::in_memory(location));
        }
        Self::open_any(location, if_missing, IfOlder::Refuse)
    }

    /// Opens a database for the server, which takes the place of an older one: creates it, or
    /// brings its schema up to date.
    ///
    /// # Errors
    /// The errors of [`Store::open`].
    pub fn open_for_server(location: &DatabasePath) -> Result<Self, StoreError> {
        Self::open_any(location, IfMissing::Create, IfOlder::Migrate)
    }

    fn open_any(
        location: &DatabasePath,
        if_missing: IfMissing,
        if_older: IfOlder,
    ) -> Result<Self, StoreError> {
        let path = location.as_path().to_owned();
        let is_new = match if_missing {
            IfMissing::Create => create_private(&path)?,
            IfMissing::Refuse if !path.exists() => return Err(StoreError::Missing { path }),
            IfMissing::Refuse | IfMissing::Pretend => false,
        };
        let mut first = connect(&path)?;
        if is_new {
            // Space of deleted rows can go back to the disk step by step then. It must be set before
            // the first table is made (sqlite.org/pragma.html#pragma_auto_vacuum).
            first
                .pragma_update(None, "auto_vacuum", "INCREMENTAL")
                .map_err(|source| StoreError::from_sqlite(&path, &source))?;
        }
        migrate::to_current(&mut first, &path, if_older)?;
        if if_older == IfOlder::Migrate {
            // A copy that was put back by other means is in another mode.
            migrate::switch_to_wal(&first)
                .map_err(|source| StoreError::from_sqlite(&path, &source))?;
        }

        let manager = SqliteConnectionManager::file(&path)
            .with_flags(open_flags())
            .with_init(set_up);
        let pool = r2d2::Pool::builder()
            .max_size(POOL_SIZE)
            .min_idle(Some(0))
            .connection_timeout(POOL_TIMEOUT)
            .error_handler(Box::new(r2d2::NopErrorHandler))
            // Three threads by default, to open a handful of connections.
            .thread_pool(Arc::new(
                ScheduledThreadPool::builder().num_threads(1).build(),
            ))
            .build_unchecked(manager);
        Ok(Self { pool, path, is_new })
    }

    /// Makes an empty database in memory. All is lost when it is dropped.
    fn in_memory(location: &DatabasePath) -> Self {
        let path = location.as_path().to_owned();
        let manager_path = path.clone();
        let manager = SqliteConnectionManager::memory().with_init(move |connection| {
            let made = migrate::to_current(connection, &manager_path, IfOlder::Refuse);
            made.map_err(|error| match error {
                StoreError::Sqlite(error) => error,
                _ => rusqlite::Error::InvalidQuery,
            })
        });
        // Another connection would be another database.
        let pool = r2d2::Pool::builder()
            .max_size(1)
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .thread_pool(Arc::new(
                ScheduledThreadPool::builder().num_threads(1).build(),
            ))
            .build_unchecked(manager);
        Self {
            pool,
            path,
            is_new: false,
        }
    }

    /// Lends a connection.
    ///
    /// # Errors
    /// If the file can no longer be opened, or all connections are in use for too long.
    pub fn connection(&self) -> Result<PooledConnection, StoreError> {
        self.pool.get().map_err(|error| StoreError::Unavailable {
            path: self.path.clone(),
            reason: error.to_string(),
        })
    }

    /// Opens a connection outside the pool, for the ledger's writer.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn own_connection(&self) -> Result<Connection, StoreError> {
        connect(&self.path)
    }

    /// Reads every page and returns the first thing that is wrong with the file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn damage(&self) -> Result<Option<String>, StoreError> {
        let connection = self.connection()?;
        backup::damage(&connection).map_err(|error| StoreError::from_sqlite(&self.path, &error))
    }

    /// Takes the write lock and gives it back.
    ///
    /// # Errors
    /// If the file or its directory cannot be written, or is locked for too long.
    pub fn try_write(&self) -> Result<(), StoreError> {
        let connection = self.connection()?;
        sqlite::in_transaction(&connection, || {
            // Writing the same number makes SQLite write the page, and changes nothing.
            let version: i64 =
                connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            connection.pragma_update(None, "user_version", version)
        })?;
        Ok(())
    }

    /// Adds to the error of a statement which file it is about, and what to do.
    #[must_use]
    pub fn explain(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Sqlite(source) => StoreError::from_sqlite(&self.path, &source),
            other => other,
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the file was created by opening it.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }
}

/// Flags without `SQLITE_OPEN_URI`, so that a path that starts with `file:` is a path.
fn open_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open_with_flags(path, open_flags())
        .map_err(|source| StoreError::from_sqlite(path, &source))?;
    set_up(&mut connection).map_err(|source| StoreError::from_sqlite(path, &source))?;
    Ok(connection)
}

fn set_up(connection: &mut Connection) -> rusqlite::Result<()> {
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
fn create_private(path: &Path) -> Result<bool, StoreError> {
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

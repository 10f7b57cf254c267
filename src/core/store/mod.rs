//! The database: users, ledger and reports have a file each. They speak to SQLite and PostgreSQL
//! alike through `sql/`; what only one of them has is in `sqlite/` and `postgres/`. Every call here
//! blocks: servers call it from the blocking pool or the ledger's own thread.

pub mod accounts;
pub mod activity;
pub mod alerts;
pub mod audit;
mod changes;
pub mod copy;
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
mod migration;
pub mod objects;
#[cfg(feature = "postgres")]
mod postgres;
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
pub mod sql;
mod sql_error;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(test)]
pub(crate) mod testing;
pub mod users;
mod value;

use std::{path::Path, sync::Arc, time::Duration};

use scheduled_thread_pool::ScheduledThreadPool;

pub use error::StoreError;
pub use location::{DatabaseLocation, DatabasePath, LocationError};
pub use migration::SCHEMA;
#[cfg(feature = "sqlite")]
pub use sqlite::backup;

#[cfg(feature = "postgres")]
use migration::IfEmpty;
use migration::IfOlder;
use sql::Connection;

/// Connections for the admin API; reports are rare and short.
const POOL_SIZE: u32 = 4;
/// Time that an admin call waits for a pooled connection.
const POOL_TIMEOUT: Duration = Duration::from_secs(10);

/// The choice if there is no database.
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
    pool: r2d2::Pool<Connector>,
    location: DatabaseLocation,
    is_new: bool,
}

/// A connection lent by the pool; it goes back when dropped.
pub type PooledConnection = r2d2::PooledConnection<Connector>;

impl Store {
    /// Opens a database of this version, and creates it where allowed. One of an older version is
    /// left alone: a server of that version may be writing into it, and it would go on in its own
    /// way.
    ///
    /// # Errors
    /// [`StoreError`] says what is wrong with the database and what to do.
    pub fn open(location: &DatabaseLocation, if_missing: IfMissing) -> Result<Self, StoreError> {
        Self::open_any(location, if_missing, IfOlder::Refuse)
    }

    /// Opens a database for the server, which takes the place of an older one: creates it, or
    /// brings its schema up to date.
    ///
    /// # Errors
    /// The errors of [`Store::open`].
    pub fn open_for_server(location: &DatabaseLocation) -> Result<Self, StoreError> {
        let store = Self::open_any(location, IfMissing::Create, IfOlder::Migrate)?;
        copy::refuse_incomplete(&*store.connection()?, location)?;
        Ok(store)
    }

    fn open_any(
        location: &DatabaseLocation,
        if_missing: IfMissing,
        if_older: IfOlder,
    ) -> Result<Self, StoreError> {
        match location {
            #[cfg(feature = "sqlite")]
            DatabaseLocation::File(file) => {
                let path = file.as_path();
                let is_new = match if_missing {
                    IfMissing::Create => sqlite::create_private(path)?,
                    IfMissing::Pretend if !path.exists() => return Ok(Self::in_memory(location)),
                    IfMissing::Refuse if !path.exists() => {
                        let path = path.to_owned();
                        return Err(StoreError::Missing { path });
                    }
                    IfMissing::Refuse | IfMissing::Pretend => false,
                };
                sqlite::prepare_file(path, is_new, if_older)?;
                let connector = Connector(Kind::Database(location.clone()));
                Ok(Self::with_pool(connector, POOL_SIZE, location, is_new))
            }
            #[cfg(feature = "postgres")]
            DatabaseLocation::Postgres(url) => {
                let if_empty = match if_missing {
                    IfMissing::Create => IfEmpty::Create,
                    IfMissing::Refuse | IfMissing::Pretend => IfEmpty::Refuse,
                };
                let prepared = postgres::prepare(url, if_empty, if_older);
                #[cfg(feature = "sqlite")]
                if if_missing == IfMissing::Pretend
                    && matches!(prepared, Err(StoreError::EmptyDatabase { .. }))
                {
                    return Ok(Self::in_memory(location));
                }
                let is_new = prepared?;
                let connector = Connector(Kind::Database(location.clone()));
                Ok(Self::with_pool(connector, POOL_SIZE, location, is_new))
            }
        }
    }

    /// Makes an empty database in memory. All is lost when it is dropped.
    #[cfg(feature = "sqlite")]
    fn in_memory(location: &DatabaseLocation) -> Self {
        let connector = Connector(Kind::Memory(location.clone()));
        // Another connection would be another database.
        Self::with_pool(connector, 1, location, false)
    }

    fn with_pool(
        connector: Connector,
        size: u32,
        location: &DatabaseLocation,
        is_new: bool,
    ) -> Self {
        let pool = r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(0))
            .connection_timeout(POOL_TIMEOUT)
            .error_handler(Box::new(r2d2::NopErrorHandler))
            // Three threads by default, to open a handful of connections.
            .thread_pool(Arc::new(
                ScheduledThreadPool::builder().num_threads(1).build(),
            ))
            .build_unchecked(connector);
        Self {
            pool,
            location: location.clone(),
            is_new,
        }
    }

    /// Lends a connection.
    ///
    /// # Errors
    /// If the database can no longer be reached, or all connections are in use for too long.
    pub fn connection(&self) -> Result<PooledConnection, StoreError> {
        self.pool.get().map_err(|error| StoreError::Unavailable {
            place: self.location.to_string(),
            reason: error.to_string(),
        })
    }

    /// Opens a connection outside the pool, for the ledger's writer.
    ///
    /// # Errors
    /// If the database cannot be opened.
    pub fn own_connection(&self) -> Result<Connection, StoreError> {
        connect(&self.location).map_err(|error| self.explain(error))
    }

    /// Reads every page of a file and returns the first thing that is wrong with it. PostgreSQL has
    /// checksums and tools of its own for that.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn damage(&self) -> Result<Option<String>, StoreError> {
        #[cfg(feature = "sqlite")]
        if self.location.file().is_some() {
            let connection = self.connection()?;
            let damage = sqlite::damage(connection.sqlite()?);
            return damage.map_err(|error| self.explain(error.into()));
        }
        Ok(None)
    }

    /// Begins to write, and writes nothing.
    ///
    /// # Errors
    /// If the database cannot be written, or is locked for too long.
    pub fn try_write(&self) -> Result<(), StoreError> {
        let connection = self.connection()?;
        let transaction = connection.write()?;
        #[cfg(feature = "sqlite")]
        if self.location.file().is_some() {
            sqlite::write_same_version(transaction.sqlite()?)?;
        }
        if transaction.is_postgres() {
            transaction.execute("UPDATE usage_rollup SET last_id = last_id", [])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Adds to the error of a statement which database it is about, and what to do.
    #[must_use]
    pub fn explain(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Sql(error) => StoreError::of_sql(&self.location, error),
            other => other,
        }
    }

    #[must_use]
    pub fn location(&self) -> &DatabaseLocation {
        &self.location
    }

    /// Returns the path of the database's file. `None` if the database is no file.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.location.file()
    }

    /// Returns whether the database was created by opening it.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }
}

/// Makes the pool's connections.
pub struct Connector(Kind);

enum Kind {
    Database(DatabaseLocation),
    /// An empty database in the place of another one.
    #[cfg(feature = "sqlite")]
    Memory(DatabaseLocation),
}

impl r2d2::ManageConnection for Connector {
    type Connection = Connection;
    type Error = StoreError;

    fn connect(&self) -> Result<Connection, StoreError> {
        match &self.0 {
            Kind::Database(location) => connect(location),
            #[cfg(feature = "sqlite")]
            Kind::Memory(location) => {
                let stands_for = location.file().unwrap_or_else(|| Path::new(":memory:"));
                sqlite::open_in_memory(stands_for).map(Connection::of_sqlite)
            }
        }
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), StoreError> {
        Ok(connection.refresh()?)
    }

    fn has_broken(&self, _: &mut Connection) -> bool {
        false
    }
}

fn connect(location: &DatabaseLocation) -> Result<Connection, StoreError> {
    match location {
        #[cfg(feature = "sqlite")]
        DatabaseLocation::File(file) => sqlite::open(file.as_path()).map(Connection::of_sqlite),
        #[cfg(feature = "postgres")]
        DatabaseLocation::Postgres(url) => Ok(Connection::of_postgres(postgres::open(url)?)),
    }
}

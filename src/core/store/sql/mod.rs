//! The one interface to both databases: connections, transactions, statements, rows. The rest of the
//! store writes SQL that SQLite and PostgreSQL understand alike, with SQLite's placeholders (`?1`,
//! `:name`); what only one of them has is in `store/sqlite/` and `store/postgres/`.

mod statement;

use std::ops::Deref;

pub use super::sql_error::{IfBusy, OptionalRow, SqlError, SqlErrorKind, SqlResult};
pub(in crate::store) use super::value::{FromValue, Params, ToValue, ToValueRef, Value, ValueType};
pub(crate) use super::value::{named_params, params};
pub(in crate::store) use statement::{Row, Statement};

#[cfg(feature = "postgres")]
use super::postgres;
#[cfg(feature = "sqlite")]
use super::sqlite;

/// Values that one statement looks for.
const MAX_AMONG: usize = 512;

/// A connection to a database. Every call blocks.
#[derive(Debug)]
pub struct Connection {
    home: Home,
}

#[derive(Debug)]
enum Home {
    #[cfg(feature = "sqlite")]
    Sqlite(rusqlite::Connection),
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::Session>),
}

impl Connection {
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn of_sqlite(connection: rusqlite::Connection) -> Self {
        Self {
            home: Home::Sqlite(connection),
        }
    }

    #[cfg(feature = "postgres")]
    pub(in crate::store) fn of_postgres(session: postgres::Session) -> Self {
        Self {
            home: Home::Postgres(Box::new(session)),
        }
    }

    /// Returns the connection to SQLite, for what only SQLite has.
    ///
    /// # Errors
    /// [`SqlError::OtherKind`] on another database.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn sqlite(&self) -> Result<&rusqlite::Connection, SqlError> {
        match &self.home {
            Home::Sqlite(connection) => Ok(connection),
            #[cfg(feature = "postgres")]
            Home::Postgres(_) => Err(SqlError::OtherKind),
        }
    }

    /// Returns the connection to SQLite, for tests that look into the tables.
    #[cfg(all(test, feature = "sqlite"))]
    pub(crate) fn file(&self) -> &rusqlite::Connection {
        self.sqlite().unwrap()
    }

    /// Returns the session with PostgreSQL, for what only PostgreSQL has. `None` on another database.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn postgres(&self) -> Option<&postgres::Session> {
        match &self.home {
            Home::Postgres(session) => Some(session),
            #[cfg(feature = "sqlite")]
            Home::Sqlite(_) => None,
        }
    }

    /// Returns whether the database is PostgreSQL.
    pub(in crate::store) fn is_postgres(&self) -> bool {
        match &self.home {
            #[cfg(feature = "sqlite")]
            Home::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Home::Postgres(_) => true,
        }
    }

    /// Makes sure that the connection works: one to a server may have broken while it lay idle.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub(in crate::store) fn refresh(&self) -> Result<(), SqlError> {
        match &self.home {
            #[cfg(feature = "sqlite")]
            Home::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Home::Postgres(session) => session.refresh(),
        }
    }

    /// Prepares a statement, which the connection keeps for the next time.
    ///
    /// # Errors
    /// If SQLite does not understand it; PostgreSQL says so when it is run.
    pub(in crate::store) fn prepare_cached<'c>(
        &'c self,
        sql: &'c str,
    ) -> Result<Statement<'c>, SqlError> {
        let home = match &self.home {
            #[cfg(feature = "sqlite")]
            Home::Sqlite(connection) => {
                statement::StatementHome::Sqlite(connection.prepare_cached(sql)?)
            }
            #[cfg(feature = "postgres")]
            Home::Postgres(session) => statement::StatementHome::Postgres(session, sql),
        };
        Ok(Statement { home })
    }

    /// Runs a statement once and returns the number of rows that it changed.
    ///
    /// # Errors
    /// If the database fails.
    pub(in crate::store) fn execute(
        &self,
        sql: &str,
        params: impl Params,
    ) -> Result<usize, SqlError> {
        self.prepare_cached(sql)?.execute(params)
    }

    /// Returns what `read` makes of the first row.
    ///
    /// # Errors
    /// [`SqlError::NoRow`], or an error of the database.
    pub(in crate::store) fn query_row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.prepare_cached(sql)?.query_row(params, read)
    }

    /// Returns what `read` makes of the rows whose last expression in `sql` is one of the values:
    /// `"SELECT … WHERE name"`. Few statements ask for many values.
    ///
    /// # Errors
    /// If the database fails.
    pub(in crate::store) fn query_among<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        let mut found = Vec::new();
        for chunk in values.chunks(MAX_AMONG) {
            // A power of two, so that there are few texts; the last value fills it up.
            let mut chunk = chunk.to_vec();
            if let Some(last) = chunk.last().copied() {
                chunk.resize(chunk.len().next_power_of_two(), last);
            }
            let places: Vec<String> = (1..=chunk.len()).map(|n| format!("?{n}")).collect();
            let sql = format!("{sql} IN ({})", places.join(", "));
            let mut statement = self.prepare_cached(&sql)?;
            let mut rows = statement.query(&chunk[..])?;
            while let Some(row) = rows.next()? {
                found.push(read(&row)?);
            }
        }
        Ok(found)
    }

    /// Runs statements without parameters, separated by semicolons.
    ///
    /// # Errors
    /// If the database fails; those before the failure are done, unless in a transaction.
    pub(in crate::store) fn execute_batch(&self, sql: &str) -> Result<(), SqlError> {
        match &self.home {
            #[cfg(feature = "sqlite")]
            Home::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            #[cfg(feature = "postgres")]
            Home::Postgres(session) => session.run_batch(sql),
        }
    }

    /// Returns the id of the row that SQLite inserted last. Where both databases are meant, a statement
    /// says RETURNING.
    ///
    /// # Errors
    /// [`SqlError::OtherKind`] on another database.
    pub(in crate::store) fn last_insert_id(&self) -> Result<i64, SqlError> {
        match &self.home {
            #[cfg(feature = "sqlite")]
            Home::Sqlite(connection) => Ok(connection.last_insert_rowid()),
            #[cfg(feature = "postgres")]
            Home::Postgres(_) => Err(SqlError::OtherKind),
        }
    }

    /// Returns the columns of a table, without those that only one of the databases has.
    pub(in crate::store) fn columns(
        &self,
        table: &str,
    ) -> Result<Vec<(String, ValueType)>, SqlError> {
        let sql = match &self.home {
            #[cfg(feature = "sqlite")]
            Home::Sqlite(_) => "SELECT name, lower(type) FROM pragma_table_info(?1) ORDER BY cid",
            #[cfg(feature = "postgres")]
            Home::Postgres(_) => {
                "SELECT column_name::text, data_type::text FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = ?1 AND data_type <> 'uuid' \
                 ORDER BY ordinal_position"
            }
        };
        let mut statement = self.prepare_cached(sql)?;
        let columns = statement.query_map([table], |row| {
            let of = match row.text(1)? {
                "integer" | "bigint" => ValueType::Integer,
                "text" => ValueType::Text,
                "blob" | "bytea" => ValueType::Blob,
                _ => ValueType::Unknown,
            };
            Ok((row.get(0)?, of))
        })?;
        columns.collect()
    }

    /// Inserts many rows into a table.
    pub(in crate::store) fn insert_into<'v>(
        &self,
        table: &str,
        columns: &[&str],
        rows: &[impl AsRef<[Value<'v>]>],
    ) -> Result<(), SqlError> {
        self.upsert_into(table, columns, rows, "")
    }

    /// Inserts many rows into a table. `on_conflict` is the clause that says what becomes of those that
    /// are there already. On PostgreSQL no two of the rows may be the same one.
    pub(in crate::store) fn upsert_into<'v>(
        &self,
        table: &str,
        columns: &[&str],
        rows: &[impl AsRef<[Value<'v>]>],
        on_conflict: &str,
    ) -> Result<(), SqlError> {
        match &self.home {
            #[cfg(feature = "sqlite")]
            Home::Sqlite(_) => {
                let names: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
                let places = vec!["?"; columns.len()].join(", ");
                let names = names.join(", ");
                let sql = format!("INSERT INTO {table} ({names}) VALUES ({places}) {on_conflict}");
                let mut insert = self.prepare_cached(&sql)?;
                for row in rows {
                    insert.execute(row.as_ref())?;
                }
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Home::Postgres(_) if rows.is_empty() => Ok(()),
            #[cfg(feature = "postgres")]
            Home::Postgres(session) => session.insert_into(table, columns, rows, on_conflict),
        }
    }

    /// Deletes all rows of a table. On PostgreSQL no trigger sees it.
    pub(in crate::store) fn empty_table(&self, table: &str) -> Result<(), SqlError> {
        let verb = if self.is_postgres() {
            "TRUNCATE"
        } else {
            "DELETE FROM"
        };
        self.execute(&format!("{verb} {table}"), []).map(drop)
    }

    /// Makes a table give its next ids behind those that were inserted with their rows. SQLite does so
    /// by itself.
    pub(in crate::store) fn give_ids_behind(
        &self,
        table: &str,
        column: &str,
    ) -> Result<(), SqlError> {
        if !self.is_postgres() {
            return Ok(());
        }
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), (SELECT max({column}) FROM {table})) \
             WHERE EXISTS (SELECT 1 FROM {table})"
        );
        self.prepare_cached(&sql)?.query([])?;
        Ok(())
    }

    /// Lets the open transaction last as long as it takes, also while nothing is sent.
    pub(in crate::store) fn lift_idle_limit(&self) -> Result<(), SqlError> {
        if !self.is_postgres() {
            return Ok(());
        }
        self.execute_batch("SET LOCAL idle_in_transaction_session_timeout = 0")
    }

    /// Returns whether no transaction is open.
    pub(in crate::store) fn is_autocommit(&self) -> bool {
        match &self.home {
            #[cfg(feature = "sqlite")]
            Home::Sqlite(connection) => connection.is_autocommit(),
            #[cfg(feature = "postgres")]
            Home::Postgres(session) => !session.is_in_transaction(),
        }
    }

    /// Begins a transaction that writes. Only one at a time does, of all connections to the database,
    /// so that what it reads stays true until it ends.
    ///
    /// # Errors
    /// If the database fails, or another transaction writes for too long.
    pub fn write(&self) -> Result<Transaction<'_>, SqlError> {
        self.write_if(IfBusy::Wait)
    }

    /// Begins a transaction as [`Connection::write`] does.
    ///
    /// # Errors
    /// The errors of [`Connection::write`].
    pub(in crate::store) fn write_if(&self, if_busy: IfBusy) -> Result<Transaction<'_>, SqlError> {
        match &self.home {
            #[cfg(feature = "sqlite")]
            Home::Sqlite(connection) => sqlite::begin(connection, if_busy)?,
            #[cfg(feature = "postgres")]
            Home::Postgres(session) => session.begin(if_busy)?,
        }
        Ok(Transaction {
            connection: self,
            is_open: true,
        })
    }

    /// Begins a transaction whose statements all see the database at one moment.
    ///
    /// # Errors
    /// If the database fails.
    pub fn snapshot(&self) -> Result<Transaction<'_>, SqlError> {
        match &self.home {
            #[cfg(feature = "sqlite")]
            Home::Sqlite(connection) => connection.execute_batch("BEGIN DEFERRED")?,
            #[cfg(feature = "postgres")]
            Home::Postgres(session) => session.begin_snapshot()?,
        }
        Ok(Transaction {
            connection: self,
            is_open: true,
        })
    }

    fn commit(&self) -> Result<(), SqlError> {
        match &self.home {
            #[cfg(feature = "sqlite")]
            Home::Sqlite(connection) => {
                connection.prepare_cached("COMMIT")?.execute([])?;
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Home::Postgres(session) => session.commit(),
        }
    }

    fn roll_back(&self) {
        // The error that matters is the one before it; a broken connection rolls back by itself.
        match &self.home {
            #[cfg(feature = "sqlite")]
            Home::Sqlite(connection) => {
                if !connection.is_autocommit() {
                    let _ = connection.execute_batch("ROLLBACK");
                }
            }
            #[cfg(feature = "postgres")]
            Home::Postgres(session) => session.roll_back(),
        }
    }
}

/// An open transaction. It is rolled back if it is dropped before it is committed.
#[derive(Debug)]
pub struct Transaction<'c> {
    connection: &'c Connection,
    is_open: bool,
}

impl Transaction<'_> {
    /// Makes what was written last.
    ///
    /// # Errors
    /// If the database fails. If the connection broke, it may be committed nevertheless.
    pub fn commit(mut self) -> Result<(), SqlError> {
        self.connection.commit()?;
        self.is_open = false;
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.connection.roll_back();
        }
    }
}

/// Runs the statements of `work` in one transaction, which is rolled back if one of them fails.
pub(in crate::store) fn in_transaction<T>(
    connection: &Connection,
    work: impl FnOnce() -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    in_transaction_if(connection, IfBusy::Wait, work)
}

/// Runs the statements of `work` as [`in_transaction`] does.
pub(in crate::store) fn in_transaction_if<T>(
    connection: &Connection,
    if_busy: IfBusy,
    work: impl FnOnce() -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    let transaction = connection.write_if(if_busy)?;
    let value = work()?;
    transaction.commit()?;
    Ok(value)
}

/// Returns a count as the databases' signed integer, which is never negative.
pub(in crate::store) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

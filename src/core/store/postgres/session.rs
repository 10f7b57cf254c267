//! A session with a PostgreSQL server: one connection at a time, and the next one if it breaks.
//!
//! Statements go without a name, parsed, bound and run in one round trip, so that they pass through
//! PgBouncer in transaction mode, which hands each transaction to any of its connections
//! (pgbouncer.org/features.html). For the same reason nothing is set for a session, only for a
//! transaction.

use std::{
    cell::{Cell, RefCell, RefMut},
    collections::HashMap,
    fmt,
    sync::Arc,
    time::Duration,
};

use postgres::{
    Client, Row,
    types::{ToSql, Type},
};
use smallvec::SmallVec;

use super::{columns::Columns, location::PostgresUrl, placeholders::translate};
use crate::{
    model::RequestId,
    store::{
        sql_error::{IfBusy, SqlError, SqlErrorKind},
        value::{FromValue, Value},
    },
};

/// The advisory lock of those who write: one transaction at a time, as in SQLite. What is read
/// inside of one stays true, and rows get their ids in the order of their commits.
const WRITE_LOCK: i64 = 0x6C6C_6D70_726F_7879;
/// Time that a transaction waits for locks of others.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for the answer to an empty statement.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Time of silence after which the server ends a transaction that writes. Its node is stopped, or
/// cannot be reached, and all others wait for it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);
/// Translated statements that a session keeps. The store has fewer.
const KEPT_TEXTS: usize = 512;

/// A session. It connects when it is first used.
pub(in crate::store) struct Session {
    url: Arc<PostgresUrl>,
    client: RefCell<Option<Client>>,
    is_in_transaction: Cell<bool>,
    /// Whether the connection is of no use any more, though it may be open: its server takes no writes.
    is_broken: Cell<bool>,
    /// Statements with PostgreSQL's placeholders, by their texts.
    texts: RefCell<HashMap<String, Arc<str>>>,
}

/// The node that inserts rows outside of a transaction.
pub(in crate::store) struct OfRun<'e> {
    /// Its run, which others must not have taken for dead.
    pub(in crate::store) run_id: i64,
    /// Its notes of requests that end with the rows.
    pub(in crate::store) ended: &'e [i64],
}

/// A row of usage that was found by the id that its node gave it.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct KnownRow {
    pub(in crate::store) id: i64,
    pub(in crate::store) cost_nano_usd: Option<i64>,
    pub(in crate::store) price_id: Option<i64>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Makes a session that is connected.
    ///
    /// # Errors
    /// If no server can be reached, or none of them takes writes.
    pub(in crate::store) fn connect(url: Arc<PostgresUrl>) -> Result<Self, SqlError> {
        let session = Self {
            client: RefCell::new(Some(url.connect()?)),
            url,
            is_in_transaction: Cell::new(false),
            is_broken: Cell::new(false),
            texts: RefCell::default(),
        };
        Ok(session)
    }

    /// Returns the connection, a new one if the last one broke between two transactions.
    fn client(&self) -> Result<RefMut<'_, Client>, SqlError> {
        let mut client = self.client.borrow_mut();
        let is_open = client.as_ref().is_some_and(|client| !client.is_closed());
        if !is_open || self.is_broken.get() {
            *client = None;
            if self.is_in_transaction.get() {
                return Err(SqlError::Connect("the connection broke".to_owned()));
            }
            *client = Some(self.url.connect()?);
            self.is_broken.set(false);
        }
        RefMut::filter_map(client, Option::as_mut)
            .map_err(|_| SqlError::Connect("the connection broke".to_owned()))
    }

    /// Notes that the connection is of no use, if that is what an error says.
    fn noted<T>(&self, result: Result<T, postgres::Error>) -> Result<T, SqlError> {
        result.map_err(|error| {
            let error = SqlError::from(error);
            if error.kind() == SqlErrorKind::Disconnected {
                self.is_broken.set(true);
            }
            error
        })
    }

    /// Makes sure of a connection that works: one that lay idle may have broken unseen.
    pub(in crate::store) fn refresh(&self) -> Result<(), SqlError> {
        let is_valid = self.client()?.is_valid(PING_TIMEOUT).is_ok();
        self.is_broken.set(!is_valid);
        self.client().map(drop)
    }

    fn translated(&self, sql: &str, names: Option<&[&str]>) -> Result<Arc<str>, SqlError> {
        let mut texts = self.texts.borrow_mut();
        if let Some(known) = texts.get(sql) {
            return Ok(Arc::clone(known));
        }
        let translated: Arc<str> = translate(sql, names)?.into();
        if texts.len() >= KEPT_TEXTS {
            texts.clear();
        }
        texts.insert(sql.to_owned(), Arc::clone(&translated));
        Ok(translated)
    }

    /// Runs a statement and returns the number of rows that it changed.
    pub(in crate::store) fn execute(
        &self,
        sql: &str,
        values: &[Value<'_>],
        names: Option<&[&str]>,
    ) -> Result<usize, SqlError> {
        let sql = self.translated(sql, names)?;
        let ran = self.client()?.execute_typed(&sql, &typed(values));
        let rows = self.noted(ran)?;
        Ok(usize::try_from(rows).unwrap_or(usize::MAX))
    }

    /// Returns all rows that a statement finds.
    pub(in crate::store) fn query(
        &self,
        sql: &str,
        values: &[Value<'_>],
        names: Option<&[&str]>,
    ) -> Result<Vec<Row>, SqlError> {
        let sql = self.translated(sql, names)?;
        let found = self.client()?.query_typed(&sql, &typed(values));
        self.noted(found)
    }

    /// Inserts rows of usage in one round trip. `row_ids` are those that their node gave them. `of_run` is
    /// for the way outside of a transaction. Returns the ids that the database gave them, in the same
    /// order.
    pub(in crate::store) fn insert_rows<'v>(
        &self,
        columns: &[&str],
        rows: &[impl AsRef<[Value<'v>]>],
        row_ids: &[RequestId],
        of_run: &OfRun<'_>,
    ) -> Result<Vec<i64>, SqlError> {
        let statement = Columns::of("usage_logs", columns, rows, Some(row_ids));
        let sql = if self.is_in_transaction.get() {
            statement.sql.clone()
        } else {
            // The statement is a transaction of its own, which waits for its turn as others do. The
            // rows get their ids after that, because they are joined with the lock. The run is locked
            // last, and read anew if another node has just ended it.
            let run_id = of_run.run_id;
            let gone = if of_run.ended.is_empty() {
                String::new()
            } else {
                let ids: Vec<String> = of_run.ended.iter().map(i64::to_string).collect();
                format!(
                    ", gone AS (DELETE FROM running_requests USING run WHERE run_id = run.id \
                     AND running_requests.id IN ({}))",
                    ids.join(", ")
                )
            };
            format!(
                "WITH turn AS MATERIALIZED (SELECT taken FROM (SELECT set_config('lock_timeout', '{}', true) AS set) AS first, \
                 LATERAL (SELECT pg_advisory_xact_lock(CASE WHEN first.set IS NULL THEN 0 ELSE {WRITE_LOCK} END) AS taken) AS lock), \
                 run AS MATERIALIZED (SELECT server_runs.id FROM turn, server_runs WHERE server_runs.id = {run_id} \
                 FOR KEY SHARE OF server_runs){gone} {}",
                LOCK_TIMEOUT.as_millis(),
                statement.sql.replace(" FROM unnest(", " FROM run, unnest(")
            )
        };
        let found = self.client()?.query_typed(&sql, &statement.params());
        let found = self.noted(found)?;
        if found.is_empty() && !rows.is_empty() {
            return Err(SqlError::TakenForDead);
        }
        let ids = found
            .iter()
            .map(|row| row.try_get(0).map_err(SqlError::from));
        ids.collect()
    }

    /// Inserts rows of any table in one round trip. `on_conflict` is the statement's last clause.
    pub(in crate::store) fn insert_into<'v>(
        &self,
        table: &str,
        columns: &[&str],
        rows: &[impl AsRef<[Value<'v>]>],
        on_conflict: &str,
    ) -> Result<(), SqlError> {
        let statement = Columns::of(table, columns, rows, None);
        let sql = format!("{} {on_conflict}", statement.sql);
        let ran = self.client()?.execute_typed(&sql, &statement.params());
        self.noted(ran).map(drop)
    }

    /// Returns those of these rows that are in the ledger.
    pub(in crate::store) fn known_rows(
        &self,
        row_ids: &[RequestId],
    ) -> Result<HashMap<RequestId, KnownRow>, SqlError> {
        let texts: Vec<String> = row_ids.iter().map(ToString::to_string).collect();
        // Index: usage_logs.row_id UNIQUE.
        let sql = "SELECT row_id, id, cost_nano_usd, price_id FROM usage_logs \
             WHERE row_id = ANY($1::text[]::uuid[])";
        let params: [(&(dyn ToSql + Sync), Type); 1] = [(&texts, Type::TEXT_ARRAY)];
        let found = self.client()?.query_typed(sql, &params);
        let found = self.noted(found)?;
        let rows = found.iter().map(|row| {
            let known = KnownRow {
                id: row.try_get(1)?,
                cost_nano_usd: row.try_get(2)?,
                price_id: row.try_get(3)?,
            };
            Ok((
                RequestId::of_bytes(<[u8; 16]>::from_value(row.try_get(0)?)?),
                known,
            ))
        });
        rows.collect()
    }

    /// Runs statements without parameters.
    pub(in crate::store) fn run_batch(&self, sql: &str) -> Result<(), SqlError> {
        let ran = self.client()?.batch_execute(sql);
        self.noted(ran)
    }

    pub(in crate::store) fn is_in_transaction(&self) -> bool {
        self.is_in_transaction.get()
    }

    /// Begins a transaction that writes, after those of others.
    pub(in crate::store) fn begin(&self, if_busy: IfBusy) -> Result<(), SqlError> {
        let timeout = match if_busy {
            IfBusy::Wait => LOCK_TIMEOUT,
            // The smallest one; zero would be none at all.
            IfBusy::Fail => Duration::from_millis(1),
        };
        let begin = format!(
            "BEGIN; SET LOCAL jit = off; SET LOCAL lock_timeout = {}; SET LOCAL idle_in_transaction_session_timeout = {}; \
             SELECT pg_advisory_xact_lock({WRITE_LOCK})",
            timeout.as_millis(),
            IDLE_TIMEOUT.as_millis()
        );
        self.begin_with(&begin)
    }

    /// Begins a transaction that reads the database as it is at its first statement.
    pub(in crate::store) fn begin_snapshot(&self) -> Result<(), SqlError> {
        self.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off")
    }

    fn begin_with(&self, sql: &str) -> Result<(), SqlError> {
        let begun = self.run_batch(sql);
        self.is_in_transaction.set(true);
        if begun.is_err() {
            self.roll_back();
        }
        begun
    }

    pub(in crate::store) fn commit(&self) -> Result<(), SqlError> {
        let committed = self.run_batch("COMMIT");
        self.is_in_transaction.set(false);
        if committed.is_err() {
            // Whatever state it is in: the next statement connects anew.
            *self.client.borrow_mut() = None;
        }
        committed
    }

    pub(in crate::store) fn roll_back(&self) {
        if !self.is_in_transaction.get() {
            return;
        }
        if self.run_batch("ROLLBACK").is_err() {
            *self.client.borrow_mut() = None;
        }
        self.is_in_transaction.set(false);
    }
}

type TypedParams<'v> = SmallVec<[(&'v (dyn ToSql + Sync), Type); 16]>;

fn typed<'v>(values: &'v [Value<'v>]) -> TypedParams<'v> {
    let values = values.iter();
    values
        .map(|value| (value as &(dyn ToSql + Sync), value.postgres_type()))
        .collect()
}

//! Adds written rows to the sums of their hours, many at a time: adding each as it is written would
//! cost a page write a commit and as much time as the row itself. Reports read what is not summed
//! yet from the rows.
//!
//! The rows of this process are summed in memory as they are written. If another process or a
//! trigger may have changed any, they are read back from the table, a thousand at a time.

use std::{
    collections::HashMap,
    sync::LazyLock,
    time::{Duration, Instant},
};

use super::row::InsertedRow;
use crate::store::{
    changes::change_mark,
    measures::{self, KEY_OF_ROW, MeasureValues},
    sql::{
        Connection, IfBusy, OptionalRow, SqlErrorKind, SqlResult, Value, in_transaction,
        in_transaction_if,
    },
};

/// Rows that are summed in one transaction, about a millisecond's work where they are read back.
pub(super) const BATCH_ROWS: usize = 1_000;
/// Time after which a rollup that found the lock taken waits for it, for one batch. Otherwise nodes that
/// write all the time would sum nothing, and reports would read more rows each second.
const MAX_POSTPONED: Duration = Duration::from_secs(1);
/// Age at which the last rows of a quiet ledger are summed.
const MAX_AGE: Duration = Duration::from_secs(1);
const MS_PER_HOUR: i64 = 3_600_000;

// Index: the primary key of usage_logs.
const LAST_OF_BATCH: &str = "SELECT max(id), (SELECT max(id) FROM usage_logs) FROM (SELECT id FROM usage_logs \
     WHERE id > (SELECT last_id FROM usage_rollup) ORDER BY id LIMIT ?1) AS batch HAVING max(id) IS NOT NULL";
/// Finds triggers that are not this program's. They may change what is written, on this very
/// connection.
const HAS_OTHER_TRIGGERS: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' \
     AND tbl_name NOT IN ('users', 'groups', 'keys', 'prices', 'alerts', 'limits', 'limit_extras') \
     AND name NOT IN ('usage_logs_deleted', 'usage_hourly_deleted', 'usage_adjustments_deleted'))";
const SUMMED_UP: &str = "UPDATE usage_rollup SET last_id = ?1";

/// The tables of sums: hours and days. Both are written in one transaction.
static SUM_TABLES: LazyLock<[SumTable; 2]> = LazyLock::new(|| {
    [
        SumTable::new("usage_hourly", "hour", MS_PER_HOUR),
        SumTable::new("usage_daily", "day", 24 * MS_PER_HOUR),
    ]
});
/// Number of columns in the primary keys of these tables.
const BUCKET_COLUMNS: usize = 5;

/// The statements that add to a table of sums. Indexes: the primary keys of usage_logs and of the
/// table.
struct SumTable {
    /// Adds the next rows of the ledger.
    add_batch: String,
    /// Adds the sums of one bucket.
    add_sums: String,
}

impl SumTable {
    fn new(table: &str, span: &str, span_ms: i64) -> Self {
        let columns: Vec<&str> = measures::columns().collect();
        let additions: Vec<String> = columns
            .iter()
            .map(|column| format!("{column} = {table}.{column} + excluded.{column}"))
            .collect();
        let add = |sums: &str| {
            format!(
                "INSERT INTO {table} ({span}, user_id, key_id, endpoint, model, {}) {sums} \
                 ON CONFLICT ({span}, user_id, key_id, endpoint, model) DO UPDATE SET {}",
                columns.join(", "),
                additions.join(", ")
            )
        };
        let of_rows: Vec<String> = measures::of_row()
            .map(|value| format!("sum({value})"))
            .collect();
        let places = vec!["?"; BUCKET_COLUMNS + measures::MEASURES].join(", ");
        Self {
            add_batch: add(&format!(
                "SELECT started_at_ms / {span_ms}, user_id, {KEY_OF_ROW}, endpoint, model, {} FROM usage_logs \
                 WHERE id > (SELECT last_id FROM usage_rollup) AND id <= ?1 GROUP BY 1, 2, 3, 4, 5",
                of_rows.join(", ")
            )),
            add_sums: add(&format!("VALUES ({places})")),
        }
    }
}

/// The rows that are not summed up yet, and when they are due.
pub(super) struct Rollup {
    waiting_rows: usize,
    waiting_since: Instant,
    /// Since when there are rows that could not be summed because the lock was taken.
    postponed_since: Option<Instant>,
    /// The sums of all rows that wait, if they are known.
    pending: Option<PendingSums>,
}

/// Sums of rows that are not written yet. They hold as long as no other connection writes rows or a
/// trigger.
struct PendingSums {
    /// That of [`change_mark`], which moves when others write.
    mark: i64,
    last_id: i64,
    hours: Sums,
}

/// Hashed with a seed, as models are names that clients choose, and in a fifth of the time that the
/// standard library's hasher takes.
type Sums = HashMap<Bucket, MeasureValues, foldhash::fast::RandomState>;

/// The primary key of usage_hourly or usage_daily.
#[derive(PartialEq, Eq, Hash)]
struct Bucket {
    /// Hours or days since 1970-01-01.
    span: i64,
    user_id: i64,
    key_id: i64,
    endpoint: &'static str,
    model: String,
}

impl Rollup {
    /// Creates a rollup that is due at once, because an earlier process may have left rows.
    pub(super) fn new() -> Self {
        Self {
            waiting_rows: BATCH_ROWS,
            waiting_since: Instant::now(),
            postponed_since: None,
            pending: None,
        }
    }

    /// Takes in rows whose transaction is committed.
    pub(super) fn add(&mut self, rows: &[InsertedRow<'_>]) {
        if self.waiting_rows == 0 {
            self.waiting_since = Instant::now();
        }
        self.waiting_rows += rows.len();
        if let Some(pending) = &mut self.pending {
            for written in rows {
                pending.add(written);
            }
        }
    }

    /// Notes that another process may have written rows: they are looked for when the next rows are
    /// due, at the latest after [`MAX_AGE`].
    pub(super) fn expect_rows_of_others(&mut self) {
        if self.waiting_rows == 0 {
            self.waiting_since = Instant::now();
            self.waiting_rows = 1;
        }
    }

    /// Sums up if that is due. A failure does no harm, because reports read the rows that are not
    /// summed, and it is tried again. It does not wait for another process's lock, because a row
    /// that comes meanwhile would wait twice as long, unless it found it taken for [`MAX_POSTPONED`].
    pub(super) fn run_if_due(&mut self, connection: &Connection) {
        let is_due = self.waiting_rows >= BATCH_ROWS
            || self.waiting_rows > 0 && self.waiting_since.elapsed() >= MAX_AGE;
        if !is_due {
            return;
        }
        let is_late = |since: Instant| since.elapsed() >= MAX_POSTPONED;
        let if_busy = if self.postponed_since.is_some_and(is_late) {
            IfBusy::Wait
        } else {
            IfBusy::Fail
        };
        if let Err(error) = self.sum_up(connection, if_busy) {
            if error.kind() == SqlErrorKind::Busy {
                self.postponed_since.get_or_insert_with(Instant::now);
            } else {
                log::warn!("ledger: cannot sum up the hours, will try again: {error}");
            }
            self.waiting_rows = self.waiting_rows.clamp(1, BATCH_ROWS - 1);
            self.waiting_since = Instant::now();
        }
    }

    /// Sums up the rest until a point in time. The next process goes on from there.
    pub(super) fn finish(&mut self, connection: &Connection, by: Instant) {
        while self.waiting_rows > 0
            && Instant::now() < by
            && self.sum_up(connection, IfBusy::Wait).is_ok()
        {}
    }

    /// Sums up the rows that are known, or else the next batch of the table, in one transaction.
    fn sum_up(&mut self, connection: &Connection, if_busy: IfBusy) -> SqlResult<()> {
        let pending = self.pending.take();
        let (mark, is_all, is_ours) = in_transaction_if(connection, if_busy, || {
            let mark = change_mark(connection)?;
            // Another process's rows may be among them, or it summed ours.
            let is_known =
                |pending: &PendingSums| pending.mark == mark && pending.hours.len() <= BATCH_ROWS;
            let is_all = match pending.filter(is_known) {
                Some(pending) => pending.write(connection).map(|()| true),
                None => sum_up_batch(connection),
            };
            Ok((mark, is_all?, is_alone(connection)?))
        })?;
        self.postponed_since = None;
        self.waiting_rows = if is_all {
            0
        } else {
            // The next batch is there already.
            self.waiting_rows.max(BATCH_ROWS)
        };
        self.waiting_since = Instant::now();
        self.pending = (is_all && is_ours).then(|| PendingSums {
            mark,
            last_id: 0,
            hours: Sums::default(),
        });
        Ok(())
    }
}

impl PendingSums {
    fn add(&mut self, InsertedRow { id, row, cost }: &InsertedRow<'_>) {
        let bucket = Bucket {
            span: row.started_at_ms / MS_PER_HOUR,
            user_id: row.user_id,
            key_id: if row.key_id == 0 {
                row.user_id
            } else {
                row.key_id
            },
            endpoint: row.endpoint,
            model: row.model.clone(),
        };
        let sums = self.hours.entry(bucket).or_default();
        sums.add(&MeasureValues::of(row, cost.amount));
        self.last_id = self.last_id.max(*id);
    }

    fn write(self, connection: &Connection) -> SqlResult<()> {
        if self.hours.is_empty() {
            return Ok(());
        }
        let hours = self.hours;
        let mut days = Sums::default();
        for (bucket, sums) in &hours {
            let day = Bucket {
                span: bucket.span.div_euclid(24),
                model: bucket.model.clone(),
                ..*bucket
            };
            days.entry(day).or_default().add(sums);
        }
        for (table, sums) in SUM_TABLES.iter().zip([&hours, &days]) {
            write_sums(connection, table, sums)?;
        }
        connection
            .prepare_cached(SUMMED_UP)?
            .execute([self.last_id])?;
        Ok(())
    }
}

fn write_sums(connection: &Connection, table: &SumTable, sums: &Sums) -> SqlResult<()> {
    let mut add = connection.prepare_cached(&table.add_sums)?;
    for (bucket, sums) in sums {
        let key: [Value<'_>; BUCKET_COLUMNS] = [
            Value::Integer(bucket.span),
            Value::Integer(bucket.user_id),
            Value::Integer(bucket.key_id),
            Value::Text(bucket.endpoint),
            Value::Text(&bucket.model),
        ];
        let values = sums.0.iter().map(|value| Value::Integer(*value));
        let values: Vec<Value<'_>> = key.into_iter().chain(values).collect();
        add.execute(&*values)?;
    }
    Ok(())
}

/// Returns whether what this process wrote is what the table has: nobody else's trigger changes it.
/// On PostgreSQL other nodes write all the time, so that rows are always read back.
fn is_alone(connection: &Connection) -> SqlResult<bool> {
    if connection.is_postgres() {
        return Ok(false);
    }
    let mut others = connection.prepare_cached(HAS_OTHER_TRIGGERS)?;
    let has_others: bool = others.query_row([], |row| row.get(0))?;
    Ok(!has_others)
}

/// Sums up all rows that are not summed yet, beside a server that may do the same.
pub(in crate::store) fn sum_up_all(connection: &Connection) -> SqlResult<()> {
    while !in_transaction(connection, || sum_up_batch(connection))? {}
    Ok(())
}

/// Sums up rows that are not summed yet, as long as that takes less than a limit. A server does the
/// rest.
pub(in crate::store) fn sum_up_for(connection: &Connection, limit: Duration) {
    Rollup::new().finish(connection, Instant::now() + limit);
}

/// Sums up the next rows of the table. Returns whether they were the last.
fn sum_up_batch(connection: &Connection) -> SqlResult<bool> {
    let batch = i64::try_from(BATCH_ROWS).unwrap_or(i64::MAX);
    let last: Option<(i64, i64)> = connection
        .prepare_cached(LAST_OF_BATCH)?
        .query_row([batch], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((last, last_of_all)) = last else {
        return Ok(true);
    };
    for table in SUM_TABLES.iter() {
        connection
            .prepare_cached(&table.add_batch)?
            .execute([last])?;
    }
    connection.prepare_cached(SUMMED_UP)?.execute([last])?;
    Ok(last == last_of_all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::TestDatabase;

    #[test]
    fn a_rollup_that_was_postponed_for_long_waits_for_the_lock() {
        let database = TestDatabase::new();
        let store = database.open();
        let connection = store.connection().unwrap();
        let row = "INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, \
             cached_tokens, reasoning_tokens, status, outcome, usage_source, duration_ms) \
             VALUES (1, 1, '/v1/responses', 'm', 1, 1, 0, 0, 200, 'completed', 'backend', 1)";
        connection.execute_batch(row).unwrap();
        let summed = || -> i64 {
            let sql = "SELECT count(*) FROM usage_hourly";
            connection.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        let other = store.own_connection().unwrap();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (end, may_end) = std::sync::mpsc::channel();
        let writing = std::thread::spawn(move || {
            let writing = other.write().unwrap();
            begun.send(()).unwrap();
            may_end.recv().unwrap();
            std::thread::sleep(Duration::from_millis(100));
            writing.commit().unwrap();
        });
        has_begun.recv().unwrap();
        let mut rollup = Rollup::new();
        rollup.run_if_due(&connection);
        assert_eq!(summed(), 0);
        let long_ago = Instant::now().checked_sub(MAX_POSTPONED);
        rollup.postponed_since = rollup.postponed_since.and(long_ago);
        rollup.waiting_rows = BATCH_ROWS;
        end.send(()).unwrap();
        rollup.run_if_due(&connection);
        writing.join().unwrap();
        assert_eq!(summed(), 1);
        assert!(rollup.postponed_since.is_none());
    }

    /// Else all rows would be read back to be summed, which costs as much as a quarter of a request.
    #[test]
    fn a_new_database_has_no_trigger_of_others() {
        let database = TestDatabase::file();
        let store = database.open();
        let connection = store.connection().unwrap();
        let has_others = |sql: &str| -> bool {
            connection.execute_batch(sql).unwrap();
            connection
                .query_row(HAS_OTHER_TRIGGERS, [], |row| row.get(0))
                .unwrap()
        };
        assert!(!has_others(""));
        assert!(has_others(
            "CREATE TRIGGER own AFTER INSERT ON usage_logs BEGIN SELECT 1; END"
        ));
    }
}

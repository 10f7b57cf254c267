//! How large the database is, and which tables make it so.

use crate::store::sql::{Connection, SqlResult, params};
use serde::Serialize;

use super::StoreError;

const MS_PER_DAY: i64 = 86_400_000;
/// Days whose rows say how fast the database grows.
const GROWTH_DAYS: i64 = 7;

/// A table with its indexes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableSize {
    pub name: String,
    pub rows: i64,
    pub bytes: i64,
}

/// The size of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatabaseSize {
    /// The file without its write-ahead log, or all tables of a server.
    pub file_bytes: u64,
    /// The write-ahead log.
    pub log_bytes: u64,
    /// Space inside the file that holds nothing.
    pub free_bytes: u64,
    /// Rows that were booked a day, as a mean of the last week.
    pub rows_a_day: i64,
    /// What these rows take.
    pub bytes_a_day: i64,
    /// The largest table first.
    pub tables: Vec<TableSize>,
}

/// Measures the database. `file_bytes` are those of its file and of the file's log, if it has one.
/// It reads the first bytes of every page of a file.
///
/// # Errors
/// If the database fails.
pub fn measure(
    connection: &Connection,
    file_bytes: Option<(u64, u64)>,
    now_ms: i64,
) -> Result<DatabaseSize, StoreError> {
    let sizes = table_sizes(connection)?;
    let mut tables = Vec::new();
    for (name, bytes) in sizes {
        // The name comes from the schema.
        let quoted = name.replace('"', "\"\"");
        let count = format!("SELECT count(*) FROM \"{quoted}\"");
        let rows = connection.query_row(&count, [], |row| row.get(0))?;
        tables.push(TableSize { name, rows, bytes });
    }
    // Index: usage_logs_by_time.
    let recent: i64 = connection.query_row(
        "SELECT count(*) FROM usage_logs WHERE started_at_ms >= ?1",
        params![now_ms - GROWTH_DAYS * MS_PER_DAY],
        |row| row.get(0),
    )?;
    let rows_a_day = recent / GROWTH_DAYS;
    let bytes_a_row = tables
        .iter()
        .find(|table| table.name == "usage_logs")
        .map_or(0, |table| table.bytes / table.rows.max(1));
    let all_bytes = || tables.iter().map(|table| table.bytes).sum::<i64>();
    let (file_bytes, log_bytes) = file_bytes.unwrap_or_else(|| (all_bytes().unsigned_abs(), 0));
    Ok(DatabaseSize {
        file_bytes,
        log_bytes,
        free_bytes: super::prune::free_space(connection)?.bytes,
        rows_a_day,
        bytes_a_day: rows_a_day * bytes_a_row,
        tables,
    })
}

#[cfg(feature = "sqlite")]
fn table_sizes(connection: &Connection) -> SqlResult<Vec<(String, i64)>> {
    if connection.is_postgres() {
        sizes_on_server(connection)
    } else {
        Ok(super::sqlite::table_sizes(connection.sqlite()?)?)
    }
}

#[cfg(not(feature = "sqlite"))]
fn table_sizes(connection: &Connection) -> SqlResult<Vec<(String, i64)>> {
    sizes_on_server(connection)
}

/// Returns the bytes of each table with its indexes, the largest first.
fn sizes_on_server(connection: &Connection) -> SqlResult<Vec<(String, i64)>> {
    let mut statement = connection.prepare_cached(
        "SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables \
         WHERE schemaname = current_schema() ORDER BY 2 DESC, 1",
    )?;
    let sizes = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    sizes.collect()
}

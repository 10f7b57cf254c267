//! The space of a database file: what its tables take, and what is free inside it.

use std::{thread, time::Duration};

use rusqlite::Connection;

/// Free pages that are given back in one transaction.
const BATCH_PAGES: i64 = 256;
/// Time between two transactions, in which a server gets its turn.
const PAUSE: Duration = Duration::from_millis(5);

/// Returns the free bytes inside the file, and whether it can give them back step by step: files that
/// older versions made cannot.
pub(in crate::store) fn free_space(connection: &Connection) -> rusqlite::Result<(u64, bool)> {
    let pragma = |name: &str| -> rusqlite::Result<u64> {
        let number: i64 = connection.pragma_query_value(None, name, |row| row.get(0))?;
        Ok(u64::try_from(number).unwrap_or(0))
    };
    let bytes = pragma("freelist_count")? * pragma("page_size")?;
    // sqlite.org/pragma.html#pragma_auto_vacuum
    Ok((bytes, pragma("auto_vacuum")? == 2))
}

/// Gives free pages back to the disk, a few at a time. `goes_on` says whether to go on.
pub(in crate::store) fn give_back(
    connection: &Connection,
    mut goes_on: impl FnMut() -> bool,
) -> rusqlite::Result<()> {
    loop {
        let (before, is_incremental) = free_space(connection)?;
        if before == 0 || !is_incremental || !goes_on() {
            return Ok(());
        }
        // Each step of the statement frees a page (sqlite.org/pragma.html#pragma_incremental_vacuum).
        let mut statement =
            connection.prepare(&format!("PRAGMA incremental_vacuum({BATCH_PAGES})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        drop(rows);
        drop(statement);
        if free_space(connection)?.0 >= before {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
}

/// Returns the bytes of each table with its indexes, the largest first. It reads the first bytes of
/// every page.
pub(in crate::store) fn table_sizes(
    connection: &Connection,
) -> rusqlite::Result<Vec<(String, i64)>> {
    // sqlite.org/dbstat.html; an aggregated row stands for a whole table or index.
    let mut statement = connection.prepare(
        "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_schema USING (name) WHERE aggregate = TRUE \
         GROUP BY tbl_name ORDER BY 2 DESC, 1",
    )?;
    let sizes = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    sizes.collect()
}

//! Reads the SQLite file of another program, which is never changed.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rusqlite::{Connection, ErrorCode, OpenFlags, types::ValueRef};
use smallvec::SmallVec;

use crate::{
    import::Cell,
    store::{StoreError, sqlite::BUSY_TIMEOUT},
};

const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name";
const COLUMNS: &str = "SELECT name FROM pragma_table_info(?1) ORDER BY cid";

/// Where the header says that the file is in WAL mode, and how (sqlite.org/fileformat2.html).
const WRITE_VERSION: usize = 18;
const WAL: u8 = 2;
/// Rows that are read under one lock, so that the other program can write in between.
const ROWS_A_LOCK: usize = 1_000;
/// Characters of a path that have a meaning in a URI (sqlite.org/uri.html).
const NOT_IN_URI: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');

/// An open SQLite file of another program.
pub struct SourceDb {
    connection: Connection,
    path: PathBuf,
}

impl SourceDb {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`StoreError::Source`] says what is wrong with the file.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |reason: String| StoreError::Source {
            path: path.to_owned(),
            reason,
        };
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // A file in WAL mode that nobody has open would get new files beside it, or could not be read
        // in a directory that cannot be written. Without a log it is complete in itself.
        let opened = if is_wal(path) && !has_log(path) {
            let absolute = std::path::absolute(path).map_err(|error| failed(error.to_string()))?;
            let text = absolute.to_string_lossy();
            let uri = format!(
                "file:{}?immutable=1",
                utf8_percent_encode(&text, NOT_IN_URI)
            );
            Connection::open_with_flags(uri, read_only | OpenFlags::SQLITE_OPEN_URI)
        } else {
            Connection::open_with_flags(path, read_only)
        };
        let connection = opened.map_err(|error| failed(in_words(path, &error)))?;
        let source = Self {
            connection,
            path: path.to_owned(),
        };
        let set_up = source.connection.busy_timeout(BUSY_TIMEOUT);
        set_up.map_err(|error| source.failed(&error))?;
        Ok(source)
    }

    /// Returns the names of the tables and views.
    ///
    /// # Errors
    /// [`StoreError::Source`].
    pub fn tables(&self) -> Result<Vec<String>, StoreError> {
        self.names(TABLES, [])
    }

    /// Returns the names of the columns of a table.
    ///
    /// # Errors
    /// [`StoreError::Source`].
    pub fn columns(&self, table: &str) -> Result<Vec<String>, StoreError> {
        self.names(COLUMNS, [table])
    }

    fn names(&self, sql: &str, values: impl rusqlite::Params) -> Result<Vec<String>, StoreError> {
        let names = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare(sql)?;
            statement.query_map(values, |row| row.get(0))?.collect()
        };
        names().map_err(|error| self.failed(&error))
    }

    /// Returns the largest number of a row of a table (SQLite's rowid).
    ///
    /// # Errors
    /// [`StoreError::Source`].
    pub fn last_row(&self, table: &str) -> Result<i64, StoreError> {
        let sql = format!("SELECT max(rowid) FROM {}", quoted(table));
        let last: rusqlite::Result<Option<i64>> =
            self.connection.query_row(&sql, [], |row| row.get(0));
        let last = last.map_err(|error| self.failed(&error))?;
        Ok(last.unwrap_or(i64::MIN))
    }

    /// Calls a function with each row of a table between two numbers, the second included, in the
    /// order of their numbers: the number, and a cell for each column, null for one that there is not.
    ///
    /// # Errors
    /// [`StoreError::Source`], or the error of the function.
    pub fn each(
        &self,
        table: &str,
        columns: &[Option<String>],
        (mut after, last): (i64, i64),
        mut take: impl FnMut(i64, &[Cell<'_>]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut list = "rowid".to_owned();
        for column in columns {
            list.push_str(", ");
            match column {
                Some(column) => list.push_str(&quoted(column)),
                None => list.push_str("NULL"),
            }
        }
        let table = quoted(table);
        let sql = format!(
            "SELECT {list} FROM {table} WHERE rowid > ?1 AND rowid <= ?2 ORDER BY rowid LIMIT {ROWS_A_LOCK}"
        );
        let failed = |error: &rusqlite::Error| self.failed(error);
        let mut statement = self
            .connection
            .prepare(&sql)
            .map_err(|error| failed(&error))?;
        loop {
            let mut count = 0;
            let queried = statement.query([after, last]);
            let mut rows = queried.map_err(|error| failed(&error))?;
            while let Some(row) = rows.next().map_err(|error| failed(&error))? {
                after = row.get(0).map_err(|error| failed(&error))?;
                let mut cells: SmallVec<[Cell<'_>; 16]> = SmallVec::new();
                for place in 1..=columns.len() {
                    let value = row.get_ref(place).map_err(|error| failed(&error))?;
                    cells.push(cell(value));
                }
                take(after, &cells)?;
                count += 1;
            }
            if count < ROWS_A_LOCK {
                return Ok(());
            }
        }
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::Source {
            path: self.path.clone(),
            reason: in_words(&self.path, error),
        }
    }
}

fn cell(value: ValueRef<'_>) -> Cell<'_> {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_or(Cell::Bytes, Cell::Text),
        ValueRef::Blob(_) => Cell::Bytes,
    }
}

/// Returns a name as SQL takes it, whatever it contains.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn is_wal(path: &Path) -> bool {
    let mut header = [0; WRITE_VERSION + 2];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header[WRITE_VERSION..] == [WAL, WAL]
}

/// Returns whether there is a write-ahead log beside a file: somebody has it open, or was killed.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// Says what an operator can do about an error of the file.
fn in_words(path: &Path, error: &rusqlite::Error) -> String {
    let shown = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "it is no SQLite database".to_owned(),
        Some(ErrorCode::DatabaseCorrupt) => {
            format!(
                "it is damaged ({error}); try `sqlite3 {shown:?} .recover` and import the result"
            )
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program has it locked; stop that program first".to_owned()
        }
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => format!(
            "{error}; if its directory cannot be written, copy the file, and with it those that end in -wal or -journal, and import the copy"
        ),
        _ => error.to_string(),
    }
}

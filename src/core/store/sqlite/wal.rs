//! Writes the write-ahead log back into the database, in a quiet moment if there is one, because
//! rows that come meanwhile wait for it. The log is also kept small if there are always readers:
//! SQLite begins it anew only in a moment without readers
//! (sqlite.org/wal.html#avoiding_excessively_large_wal_files), overlapping reports leave no such
//! moment, and the log grew by 20 MB a second under load. This module makes such a moment.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::BUSY_TIMEOUT;

/// Number of pages of 4 KiB from which on the log is written back while no row waits. That takes a
/// millisecond or two.
const PAGES_WHEN_QUIET: i32 = 200;
/// Number of pages from which on the log is written back in any case. That takes some 13 ms, but so
/// seldom that fewer than one row in a hundred waits for it: with SQLite's own 1,000
/// (sqlite.org/pragma.html#pragma_wal_autocheckpoint) the p99 of 64 writers was 2.5 times as long.
const PAGES_WHEN_BUSY: i32 = 2_000;

const MIB: u64 = 1024 * 1024;
/// Size of the log from which on it is emptied. Without readers in the way it stays at about 8 MiB.
const MAX_WAL_BYTES: u64 = 32 * MIB;
/// Interval between two looks at the size of the log.
const POLL: Duration = Duration::from_millis(100);
/// Time that present readers are waited for, for each MiB in the log: the more there is to gain,
/// the longer.
const WAIT_PER_MIB: Duration = Duration::from_millis(5);
const MAX_WAIT: Duration = Duration::from_secs(2);
/// The longest pause after a wait in vain, in times of the wait. A backup reads for minutes, and
/// waiting for it must not take more than this part of the time. The first pauses are shorter,
/// because most readers have finished by the next attempt.
const MAX_PAUSE_IN_WAITS: u32 = 10;

thread_local! {
    /// Number of pages in the log of the connection that this thread writes with. SQLite reports it
    /// at each commit.
    static PAGES: Cell<i32> = const { Cell::new(0) };
}

/// Decides when the log is written back or emptied.
pub(in crate::store) struct WalWatch {
    path: PathBuf,
    next_look: Instant,
    /// The pause before the next attempt, in times of the wait for readers. Each attempt in vain
    /// doubles it.
    pause_in_waits: u32,
    /// Number of pages in the log that were written back.
    pages_written_back: i32,
}

impl WalWatch {
    /// Takes over from SQLite, which would write the log back within a commit that a row waits for.
    pub(in crate::store) fn new(database: &Path, connection: &Connection) -> Self {
        connection.wal_hook(Some(|_, pages| {
            PAGES.set(pages);
            Ok(())
        }));
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self {
            path: path.into(),
            next_look: Instant::now(),
            pause_in_waits: 1,
            pages_written_back: 0,
        }
    }

    /// Writes the log back if that is due. It must be called on the connection's thread.
    pub(in crate::store) fn write_back(&mut self, connection: &Connection, is_quiet: bool) {
        let pages = PAGES.get();
        if pages < self.pages_written_back {
            // The log has begun anew.
            self.pages_written_back = 0;
        }
        let due = if is_quiet {
            PAGES_WHEN_QUIET
        } else {
            PAGES_WHEN_BUSY
        };
        if pages - self.pages_written_back >= due {
            self.pages_written_back = pages;
            // A reader may stand in the way, and a full disk is found at the next commit: it is
            // tried again with more pages.
            let _ = checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)");
        }
        // While nothing is written the log does not grow, and no row should wait for readers.
        if !is_quiet {
            self.empty_if_long(connection);
        }
    }

    /// Empties a log that has grown too long. New readers read around it meanwhile, other writers
    /// wait.
    fn empty_if_long(&mut self, connection: &Connection) {
        let now = Instant::now();
        if now < self.next_look {
            return;
        }
        self.next_look = now + POLL;
        let bytes = fs::metadata(&self.path).map_or(0, |file| file.len());
        if bytes <= MAX_WAL_BYTES {
            return;
        }
        let wait = WAIT_PER_MIB.saturating_mul(u32::try_from(bytes / MIB).unwrap_or(u32::MAX));
        let wait = wait.min(MAX_WAIT);
        if matches!(empty(connection, wait), Ok(true)) {
            self.pause_in_waits = 1;
        } else {
            self.next_look = Instant::now() + wait * self.pause_in_waits;
            self.pause_in_waits = (2 * self.pause_in_waits).min(MAX_PAUSE_IN_WAITS);
        }
    }
}

/// Empties the log. Returns whether no reader stood in the way.
fn empty(connection: &Connection, wait: Duration) -> rusqlite::Result<bool> {
    connection.busy_timeout(wait)?;
    let is_complete = checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
    connection.busy_timeout(BUSY_TIMEOUT)?;
    is_complete
}

/// Runs a checkpoint. Returns whether no reader stood in the way.
fn checkpoint(connection: &Connection, pragma: &str) -> rusqlite::Result<bool> {
    let busy: i64 = connection.query_row(pragma, [], |row| row.get(0))?;
    Ok(busy == 0)
}

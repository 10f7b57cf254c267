//! Keeps the write-ahead log small though somebody is always reading. SQLite writes it back by itself, but begins it
//! anew only in a moment without readers (sqlite.org/wal.html#avoiding_excessively_large_wal_files); reports that
//! overlap leave none, and the log grew by 20 MB a second under load. So such a moment is made.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use crate::store::BUSY_TIMEOUT;

const MIB: u64 = 1024 * 1024;
/// Without readers in the way it stays at about 1 MiB.
const MAX_WAL_BYTES: u64 = 32 * MIB;
/// How often its size is looked at.
const POLL: Duration = Duration::from_millis(100);
/// How long the readers of the moment are waited for: the more there is to gain, the longer.
const WAIT_PER_MIB: Duration = Duration::from_millis(5);
const MAX_WAIT: Duration = Duration::from_secs(2);
/// A backup reads for minutes. Waiting for it in vain may take this part of the time at most.
const WAITING_SHARE: u32 = 10;

pub(super) struct WalWatch {
    path: PathBuf,
    next_look: Instant,
}

impl WalWatch {
    pub(super) fn new(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self {
            path: path.into(),
            next_look: Instant::now(),
        }
    }

    /// Empties a log that has grown too long. New readers read around it meanwhile, other writers wait.
    pub(super) fn check(&mut self, connection: &Connection) {
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
        if !matches!(empty(connection, wait), Ok(true)) {
            self.next_look = Instant::now() + wait * WAITING_SHARE;
        }
    }
}

/// Whether nobody stood in the way.
fn empty(connection: &Connection, wait: Duration) -> rusqlite::Result<bool> {
    connection.busy_timeout(wait)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        row.get::<_, i64>(0)
    });
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(busy? == 0)
}

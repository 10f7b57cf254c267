//! Copies of the database: made while servers write into it, checked before they count, and put back
//! when nobody has the file open.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{create_private as create_database, migrate, open, open_flags};
use crate::store::{DatabasePath, StoreError};

/// Pages that are copied between two looks at the progress.
const PAGES_A_STEP: i32 = 4_096;

/// Reasons why a copy cannot be made or put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{path:?} exists, and is never overwritten: choose another name, or move it away")]
    Exists { path: PathBuf },
    #[error("cannot write {path:?}: {reason}")]
    Write { path: PathBuf, reason: io::Error },
    #[error("cannot read {path:?}: {reason}")]
    Read { path: PathBuf, reason: io::Error },
    #[error("{path:?} is damaged: {problem}")]
    Damaged { path: PathBuf, problem: String },
    #[error("a server or another program has {path:?} open: stop it first, and try again")]
    InUse { path: PathBuf },
    #[error("{path:?} is no database of llmproxy")]
    NotOurs { path: PathBuf },
    #[error(
        "{path:?} is not replaced, because it {problem}: move it away, with its -wal and -shm, and try again"
    )]
    InTheWay {
        path: PathBuf,
        problem: &'static str,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a copy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupContents {
    pub users: i64,
    pub rows: i64,
    /// Unix time in milliseconds of the newest row.
    pub newest_ms: Option<i64>,
    pub bytes: u64,
    pub schema: i64,
}

/// Writes a copy of the database, readable by its owner only. It appears under its name when it is
/// complete, on the disk, and found to be without damage. Servers go on writing meanwhile.
///
/// # Errors
/// [`BackupError`] if the copy exists, cannot be written, or is damaged, as its original is then.
pub fn write(database: &Path, to: &Path) -> Result<BackupContents, BackupError> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists { path: to.into() });
    }
    let not_written = |reason| BackupError::Write {
        path: to.into(),
        reason,
    };
    let partial = beside(to, "partial").map_err(not_written)?;
    create_private(&partial).map_err(not_written)?;
    let written = copy_into(database, &partial)
        .and_then(|()| check(&partial))
        .and_then(|contents| {
            // A hard link does not replace a file that came meanwhile.
            fs::hard_link(&partial, to).map_err(not_written)?;
            sync_directory(to).map_err(not_written)?;
            Ok(contents)
        });
    // After a success it is the second name of the copy.
    let _ = fs::remove_file(&partial);
    written
}

fn copy_into(database: &Path, partial: &Path) -> Result<(), BackupError> {
    let source = open(database)?;
    // One transaction reads everything, so that the copy is of one moment, and no free page is
    // copied (sqlite.org/lang_vacuum.html#vacuuminto).
    source
        .execute("VACUUM INTO ?1", [partial.to_string_lossy()])
        .map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => BackupError::Write {
                path: partial.into(),
                reason: io::ErrorKind::StorageFull.into(),
            },
            _ => StoreError::from_sqlite(database, &error).into(),
        })?;
    let file = OpenOptions::new().write(true).open(partial);
    file.and_then(|file| file.sync_all())
        .map_err(|reason| BackupError::Write {
            path: partial.into(),
            reason,
        })
}

/// Reads every page of a copy and says what it has.
///
/// # Errors
/// [`BackupError::Damaged`], or if it is no database of llmproxy.
pub fn check(path: &Path) -> Result<BackupContents, BackupError> {
    check_copy(path).map_err(|error| match error {
        BackupError::Store(StoreError::Damaged { path, reason }) => BackupError::Damaged {
            path,
            problem: reason,
        },
        BackupError::Store(StoreError::Foreign { path } | StoreError::NotADatabase { path }) => {
            BackupError::NotOurs { path }
        }
        other => other,
    })
}

fn check_copy(path: &Path) -> Result<BackupContents, BackupError> {
    let unreadable = |reason| BackupError::Read {
        path: path.into(),
        reason,
    };
    let file = fs::metadata(path).map_err(unreadable)?;
    if file.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    let bytes = file.len();
    // A copy that was made by other means may have a write-ahead log beside it, which only a
    // connection that may write can read.
    let connection = Connection::open_with_flags(path, open_flags())
        .or_else(|_| Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY))
        .map_err(|error| StoreError::from_sqlite(path, &error))?;
    let explain = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    let schema = migrate::version_of_ours(&connection, path)?;
    if let Some(problem) = damage(&connection).map_err(explain)? {
        return Err(BackupError::Damaged {
            path: path.into(),
            problem,
        });
    }
    read_contents(&connection, bytes, schema).map_err(|error| explain(error).into())
}

fn read_contents(
    connection: &Connection,
    bytes: u64,
    schema: i64,
) -> rusqlite::Result<BackupContents> {
    connection.query_row(
        "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM usage_logs), \
         (SELECT max(started_at_ms) FROM usage_logs)",
        [],
        |row| {
            Ok(BackupContents {
                users: row.get(0)?,
                rows: row.get(1)?,
                newest_ms: row.get(2)?,
                bytes,
                schema,
            })
        },
    )
}

/// Returns the first thing that is wrong with the structure of a database
/// (sqlite.org/pragma.html#pragma_integrity_check).
pub(in crate::store) fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let first: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok((first != "ok").then_some(first))
}

/// A database that nobody else has open, and nobody can open until this is dropped.
pub struct ExclusiveDatabase {
    connection: Connection,
    path: PathBuf,
}

impl ExclusiveDatabase {
    /// Takes the database for itself. A file that does not exist is made.
    ///
    /// # Errors
    /// [`BackupError::InUse`] if a server or another program has it open.
    pub fn take(location: &DatabasePath) -> Result<Self, BackupError> {
        let path = location.as_path().to_owned();
        create_database(&path)?;
        let connection = Connection::open_with_flags(&path, open_flags())
            .map_err(|error| StoreError::from_sqlite(&path, &error))?;
        let in_use = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                BackupError::InUse { path: path.clone() }
            }
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => BackupError::InTheWay {
                path: path.clone(),
                problem: "is damaged, or no database",
            },
            _ => StoreError::from_sqlite(&path, &error).into(),
        };
        connection
            .busy_timeout(Duration::from_millis(500))
            .map_err(in_use)?;
        // The journal cannot be changed while another connection has the file open in WAL mode, and
        // an exclusive lock is held from then on (sqlite.org/pragma.html#pragma_locking_mode).
        let taken = connection
            .pragma_update(None, "locking_mode", "EXCLUSIVE")
            .and_then(|()| {
                connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| {
                    row.get::<_, String>(0)
                })
            })
            .and_then(|mode| {
                if mode != "delete" {
                    return Err(busy());
                }
                connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")
            });
        taken.map_err(in_use)?;
        let has_tables: bool = connection
            .query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| {
                row.get(0)
            })
            .map_err(in_use)?;
        if has_tables && migrate::version_of_ours(&connection, &path).is_err() {
            return Err(BackupError::InTheWay {
                path,
                problem: "is another program's, or of a newer llmproxy",
            });
        }
        Ok(Self { connection, path })
    }

    /// Says what the database has now.
    ///
    /// # Errors
    /// If it is no database of llmproxy.
    pub fn contents(&self) -> Result<BackupContents, BackupError> {
        let bytes = fs::metadata(&self.path).map_or(0, |file| file.len());
        let schema = migrate::version_of_ours(&self.connection, &self.path)?;
        Ok(read_contents(&self.connection, bytes, schema)?)
    }

    /// Replaces the contents by those of a copy, in one transaction: after a crash the file has the
    /// old contents or the new ones. `on_progress` is called with the pages that are done and all.
    ///
    /// # Errors
    /// If the copy cannot be read or the file cannot be written.
    pub fn restore(
        mut self,
        from: &Path,
        mut on_progress: impl FnMut(i32, i32),
    ) -> Result<(), BackupError> {
        let explain = |error: rusqlite::Error| StoreError::from_sqlite(&self.path, &error);
        let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(|error| StoreError::from_sqlite(from, &error))?;
        {
            let backup = Backup::new(&source, &mut self.connection)?;
            loop {
                let step = backup.step(PAGES_A_STEP);
                let progress = backup.progress();
                on_progress(progress.pagecount - progress.remaining, progress.pagecount);
                match step.map_err(|error| StoreError::from_sqlite(from, &error))? {
                    StepResult::Done => break,
                    StepResult::More => {}
                    _ => return Err(BackupError::InUse { path: self.path }),
                }
            }
        }
        self.connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(explain)?;
        // It holds keys now, whatever it held before.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let private = fs::Permissions::from_mode(0o600);
            fs::set_permissions(&self.path, private).map_err(|reason| BackupError::Write {
                path: self.path.clone(),
                reason,
            })?;
        }
        Ok(())
    }

    /// Gives all free pages back to the disk, and prepares the file for giving them back step by step
    /// from now on.
    ///
    /// # Errors
    /// If the disk has no room for a second copy meanwhile.
    pub fn vacuum(self) -> Result<(), BackupError> {
        let explain = |error: rusqlite::Error| StoreError::from_sqlite(&self.path, &error);
        self.connection
            .execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM")
            .and_then(|()| self.connection.pragma_update(None, "journal_mode", "WAL"))
            .map_err(explain)?;
        Ok(())
    }
}

fn busy() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)
}

/// Returns a name for a file in the same directory.
fn beside(path: &Path, word: &str) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut name = name.to_owned();
    name.push(format!(".{word}-{}", std::process::id()));
    Ok(path.with_file_name(name))
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Makes a new name survive a power cut.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::File::open(directory)?.sync_all()
}

//! The errors of the store. Each message says what an operator can do about it.

#[cfg(feature = "sqlite")]
use std::path::Path;
use std::path::PathBuf;

#[cfg(feature = "sqlite")]
use rusqlite::ErrorCode;

use super::{
    DatabaseLocation,
    sql_error::{SqlError, SqlErrorKind},
};

use crate::model::ApiKey;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "there is no database at {path:?}: run `llmproxy user add NAME` or `llmproxy serve` first, or set DATABASE_URL"
    )]
    Missing { path: PathBuf },
    #[error(
        "cannot create the database {path:?}: {reason}; check the directory and its permissions, or set DATABASE_URL"
    )]
    Create {
        path: PathBuf,
        reason: std::io::Error,
    },
    #[error(
        "{path:?} is not a SQLite database; set DATABASE_URL to another file or move this one away"
    )]
    NotADatabase { path: PathBuf },
    #[error(
        "{path:?} is damaged ({reason}); restore it from a backup, or try `sqlite3 {path:?} .recover`"
    )]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "{path:?} holds tables that llmproxy did not make; set DATABASE_URL to a file of its own, into which `llmproxy import {path:?}` can bring what is in this one"
    )]
    Foreign { path: PathBuf },
    #[error(
        "{path:?} was made by a newer llmproxy (schema {found}, this one knows up to {known}); run that version, or restore an older backup"
    )]
    Newer {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error(
        "{path:?} is of an older version (schema {found}, this one needs {known}): stop the old server and start this version's `llmproxy serve` on it, which migrates it"
    )]
    Older {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error(
        "{path:?} has been locked by another process for more than 5 s; find it with `fuser {path:?}` and try again"
    )]
    Locked { path: PathBuf },
    #[error(
        "{path:?} cannot be opened or written ({reason}); check the permissions of the file and its directory, and whether the disk is mounted read-only"
    )]
    ReadOnly { path: PathBuf, reason: String },
    #[error("{path:?} was deleted while the server runs; put the file back, or restart")]
    Deleted { path: PathBuf },
    #[error("{path:?} was replaced while the server runs; put the file back, or restart")]
    Replaced { path: PathBuf },
    #[error("the disk of {path:?} is full; make room and try again")]
    DiskFull { path: PathBuf },
    #[error("cannot use the database {place:?}: {reason}")]
    Unavailable { place: String, reason: String },
    #[error(
        "there is nothing in {place} yet: run `llmproxy user add NAME` or `llmproxy serve` first, or set DATABASE_URL"
    )]
    EmptyDatabase { place: String },
    #[error(
        "{place} holds tables that llmproxy did not make; set DATABASE_URL to a database of its own (`createdb llmproxy`)"
    )]
    ForeignTables { place: String },
    #[error(
        "{place} was made by a newer llmproxy (schema {found}, this one knows up to {known}): run that version"
    )]
    NewerSchema {
        place: String,
        found: i64,
        known: i64,
    },
    #[error(
        "{place} is of an older version (schema {found}, this one needs {known}): this version's `llmproxy serve` migrates it"
    )]
    OlderSchema {
        place: String,
        found: i64,
        known: i64,
    },
    #[error(
        "{place} has the encoding {encoding}, which cannot hold all names; make one with UTF8 (`createdb -E UTF8 -T template0 llmproxy`)"
    )]
    Encoding { place: String, encoding: String },
    #[error(
        "{place}: the user {user} may not make tables there; make that user the owner (`ALTER DATABASE … OWNER TO {user}`), or grant it (`GRANT CREATE ON SCHEMA public TO {user}`)"
    )]
    MayNotCreate { place: String, user: String },
    #[error("{place} is an incomplete copy of {from}; run `llmproxy db copy` to its end first")]
    IncompleteCopy { place: String, from: String },
    #[error("{what} is for SQLite files; {place} is a PostgreSQL database: {instead}")]
    OnlyForFiles {
        what: &'static str,
        place: String,
        instead: &'static str,
    },
    #[error("username {:?} is taken; choose another", shown(.username))]
    NameTaken { username: String },
    #[error("this name is somebody's key; choose another")]
    NameIsKey,
    #[error("no user is called {:?}; `llmproxy user list` shows all", shown(.username))]
    UnknownUser { username: String },
    #[error("no user has this key; `llmproxy key list` shows all")]
    UnknownKey,
    #[error("no key has the id {id}; `llmproxy key list` shows all")]
    UnknownKeyId { id: i64 },
    #[error("this key is known already; choose another, or leave it out to get a random one")]
    KeyTaken,
    #[error("no group is called {:?}; `llmproxy group list` shows all", shown(.name))]
    UnknownGroup { name: String },
    #[error("{:?} is not in the group {:?}", shown(.username), shown(.group))]
    NotInGroup { username: String, group: String },
    #[error("group name {:?} is taken; choose another", shown(.name))]
    GroupTaken { name: String },
    #[error(
        "no request has this id; `llmproxy log` lists the last ones, of which refused ones are kept for a while only"
    )]
    UnknownRequest,
    #[error(
        "rows were deleted by the days of {zone:?} before, and TIME_ZONE is {time_zone:?}: days would lose what they begin with; set TIME_ZONE={zone} for this command"
    )]
    PrunedByOtherZone { zone: String, time_zone: String },
    #[error(
        "nothing was deleted, because old rows and their sums differ, and only the sums would be left: `llmproxy db check` says where"
    )]
    SumsDiffer,
    #[error("no price was set for {:?}; `llmproxy price list` shows all", shown(.model))]
    NoSetPrice { model: String },
    #[error("cannot read {path:?}: {reason}")]
    Source { path: PathBuf, reason: String },
    #[error(
        "users or keys were changed while this was looked at; nothing was imported, run it again"
    )]
    ChangedMeanwhile,
    #[error(
        "keys are hashed, but a reader of the database kept old pages from being wiped; run the command again"
    )]
    NotWiped,
    #[error("the operating system gave no random bytes for a key: {0}")]
    NoRandom(getrandom::Error),
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// The longest part of a name that a message quotes.
const MAX_SHOWN_CHARS: usize = 128;

/// Returns a name as messages quote it: shortened, and masked if it may be a key.
fn shown(name: &str) -> String {
    if ApiKey::looks_like_one(name) {
        return ApiKey::from_text(name).masked();
    }
    if name.chars().count() <= MAX_SHOWN_CHARS {
        return name.to_owned();
    }
    let beginning: String = name.chars().take(MAX_SHOWN_CHARS).collect();
    format!("{beginning}…")
}

#[cfg(feature = "sqlite")]
impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error.into())
    }
}

impl StoreError {
    /// Returns whether the error lies in what was asked, and not in the database.
    pub(super) fn is_about_input(&self) -> bool {
        matches!(
            self,
            Self::NameTaken { .. }
                | Self::NameIsKey
                | Self::UnknownUser { .. }
                | Self::UnknownKey
                | Self::UnknownKeyId { .. }
                | Self::KeyTaken
                | Self::UnknownRequest
                | Self::NoSetPrice { .. }
                | Self::UnknownGroup { .. }
                | Self::NotInGroup { .. }
                | Self::GroupTaken { .. }
        )
    }

    /// Turns SQLite's result code into words.
    #[cfg(feature = "sqlite")]
    pub(super) fn from_sqlite(path: &Path, source: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let reason = source.to_string();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, reason },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly { path, reason }
            }
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::SystemIoFailure) => Self::Unavailable {
                place: path.display().to_string(),
                reason: format!("{reason}; the disk is full or fails"),
            },
            _ => Self::Unavailable {
                place: path.display().to_string(),
                reason,
            },
        }
    }

    /// Adds which database the error of a statement is about, and what to do.
    pub(super) fn of_sql(location: &DatabaseLocation, error: SqlError) -> Self {
        match (location, error) {
            #[cfg(feature = "sqlite")]
            (DatabaseLocation::File(file), SqlError::Sqlite(error)) => {
                Self::from_sqlite(file.as_path(), &error)
            }
            (location, error) if error.kind() == SqlErrorKind::Busy => Self::Unavailable {
                place: location.to_string(),
                reason: format!("another transaction holds a lock for too long ({error})"),
            },
            (location, error) => Self::Unavailable {
                place: location.to_string(),
                reason: error.to_string(),
            },
        }
    }
}

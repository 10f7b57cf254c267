//! What can go wrong with a statement, in words that both databases share.

#[cfg(feature = "postgres")]
use postgres::error::SqlState;
#[cfg(feature = "sqlite")]
use rusqlite::ErrorCode;

/// The error of a statement.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    #[error(transparent)]
    #[cfg(feature = "sqlite")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{}", describe(.0))]
    #[cfg(feature = "postgres")]
    Postgres(#[from] postgres::Error),
    #[error("no connection: {0}")]
    #[cfg(feature = "postgres")]
    Connect(String),
    #[error("the statement returned no row")]
    NoRow,
    #[error("a column holds {found} in the place of {expected}")]
    Unexpected {
        expected: &'static str,
        found: &'static str,
    },
    #[error("a column holds {0}, which is out of range")]
    OutOfRange(i64),
    #[error("a statement's parameter or column {0:?} is unknown")]
    UnknownName(String),
    #[error(
        "another node has taken this one for dead, because it was silent for too long: restart it"
    )]
    TakenForDead,
    #[error("the database is of another kind than this statement")]
    OtherKind,
}

/// The result of a statement.
pub type SqlResult<T> = Result<T, SqlError>;

/// What an error is about, as far as callers act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlErrorKind {
    /// Another connection has a lock, so that trying again may help.
    Busy,
    /// A row breaks a rule of the schema: a key that exists, a value that is not allowed.
    Constraint,
    /// One row cannot be written as it is, whatever is tried.
    Row,
    /// The connection broke, so that nobody knows whether the statement was run.
    Disconnected,
    Other,
}

impl SqlError {
    /// Returns what the error is about.
    #[must_use]
    pub fn kind(&self) -> SqlErrorKind {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(error) => kind_of_sqlite(error),
            #[cfg(feature = "postgres")]
            Self::Postgres(error) => kind_of_postgres(error),
            #[cfg(feature = "postgres")]
            Self::Connect(_) => SqlErrorKind::Disconnected,
            _ => SqlErrorKind::Other,
        }
    }
}

/// What a transaction does if another one is writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfBusy {
    /// Waits for some seconds.
    Wait,
    /// Fails at once with [`SqlErrorKind::Busy`].
    Fail,
}

/// Turns the absence of a row into `None`.
pub trait OptionalRow<T> {
    /// # Errors
    /// Any error but [`SqlError::NoRow`].
    fn optional(self) -> Result<Option<T>, SqlError>;
}

impl<T> OptionalRow<T> for Result<T, SqlError> {
    fn optional(self) -> Result<Option<T>, SqlError> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(SqlError::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Returns what an error of SQLite is about (sqlite.org/rescode.html). That of a trigger is not about a row:
/// the operator who made the trigger may remove it.
#[cfg(feature = "sqlite")]
fn kind_of_sqlite(error: &rusqlite::Error) -> SqlErrorKind {
    let rusqlite::Error::SqliteFailure(cause, _) = error else {
        return SqlErrorKind::Other;
    };
    match cause.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => SqlErrorKind::Busy,
        ErrorCode::ConstraintViolation
            if cause.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER =>
        {
            SqlErrorKind::Other
        }
        ErrorCode::ConstraintViolation => SqlErrorKind::Constraint,
        ErrorCode::TypeMismatch | ErrorCode::TooBig => SqlErrorKind::Row,
        _ => SqlErrorKind::Other,
    }
}

/// Returns an error of PostgreSQL in one line: what the server says, or why the connection broke.
#[cfg(feature = "postgres")]
pub(super) fn describe(error: &postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        let detail = error.detail().map(|detail| format!(" ({detail})"));
        let code = error.code().code();
        return format!("{}{} [{code}]", error.message(), detail.unwrap_or_default());
    }
    // Its own text says only at which step it happened.
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Returns what an error of PostgreSQL is about (postgresql.org/docs/current/errcodes-appendix.html).
#[cfg(feature = "postgres")]
fn kind_of_postgres(error: &postgres::Error) -> SqlErrorKind {
    let Some(code) = error.code() else {
        return SqlErrorKind::Disconnected;
    };
    if *code == SqlState::LOCK_NOT_AVAILABLE
        || *code == SqlState::T_R_SERIALIZATION_FAILURE
        || *code == SqlState::T_R_DEADLOCK_DETECTED
    {
        return SqlErrorKind::Busy;
    }
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        // The server has become a standby; another one takes writes.
        return SqlErrorKind::Disconnected;
    }
    match &code.code()[..2] {
        "23" => SqlErrorKind::Constraint,
        // Values that a column cannot hold, such as a text with a NUL.
        "22" => SqlErrorKind::Row,
        // The connection; an administrator's shutdown or a fail-over.
        "08" | "57" => SqlErrorKind::Disconnected,
        _ => SqlErrorKind::Other,
    }
}

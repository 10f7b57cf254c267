//! What can go wrong with a statement, in words that both databases share.

use super::Value;

/// The error of a statement.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    #[error(transparent)]
    #[cfg(feature = "sqlite")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{}", crate::store::postgres::describe(.0))]
    #[cfg(feature = "postgres")]
    Postgres(#[from] postgres::Error),
    #[error("cannot connect: {0}")]
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
    pub(in crate::store) fn unexpected(expected: &'static str, found: Value<'_>) -> Self {
        let found = match found {
            Value::Null(_) => "nothing",
            Value::Integer(_) => "an integer",
            Value::Text(_) => "a text",
            Value::Blob(_) => "bytes",
        };
        Self::Unexpected { expected, found }
    }

    /// Returns what the error is about.
    #[must_use]
    pub fn kind(&self) -> SqlErrorKind {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(error) => crate::store::sqlite::error_kind(error),
            #[cfg(feature = "postgres")]
            Self::Postgres(error) => crate::store::postgres::error_kind(error),
            #[cfg(feature = "postgres")]
            Self::Connect(_) => SqlErrorKind::Disconnected,
            _ => SqlErrorKind::Other,
        }
    }
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

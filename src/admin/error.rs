//! Why an operation was not done.

use std::path::PathBuf;

use crate::{import::ImportError, store::StoreError};

/// Why an operation was not done. The input is at fault in all but some of the store's errors.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// A member has a value that cannot be used.
    #[error("{message}")]
    Field {
        field: &'static str,
        message: String,
    },
    /// A member has a name that is not known.
    #[error("{0}")]
    UnknownMember(String),
    /// The body is no JSON object. The text says where it breaks off, and quotes nothing.
    #[error("{0}")]
    NotAnObject(String),
    /// Some of several entries cannot be used, so that none was: a line for each.
    #[error("nothing was changed:\n{}", .0.join("\n"))]
    Entries(Vec<String>),
    /// A file of another program cannot be imported.
    #[error("cannot import {path:?}: {reason}")]
    Import { path: PathBuf, reason: ImportError },
    #[error(transparent)]
    Prices(#[from] super::PriceFileError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AdminError {
    /// Returns the error of a member's value.
    #[must_use]
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self::Field {
            field,
            message: message.into(),
        }
    }

    /// Returns the error of a member that is missing.
    pub(super) fn missing(field: &'static str) -> Self {
        Self::field(field, format!("{field} is missing"))
    }
}

impl From<crate::store::sql::SqlError> for AdminError {
    fn from(error: crate::store::sql::SqlError) -> Self {
        Self::Store(error.into())
    }
}

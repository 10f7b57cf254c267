//! What only PostgreSQL has: where a database is (`location.rs`), how it is connected to (`connect.rs`),
//! sessions that connect again when a connection breaks (`session.rs`), its types (`value.rs`), its schema
//! (`migrate.rs`).

mod columns;
mod connect;
mod location;
mod migrate;
mod password;
mod placeholders;
mod session;
mod value;

pub use location::{PostgresError, PostgresUrl};
pub(in crate::store) use session::{KnownRow, OfRun, Session};

use std::sync::Arc;

use super::{
    StoreError,
    migration::{IfEmpty, IfOlder},
    sql_error::SqlError,
};

/// Opens a database and brings its schema to this version, where that is allowed. Returns whether
/// the schema was created.
pub(in crate::store) fn prepare(
    url: &Arc<PostgresUrl>,
    if_empty: IfEmpty,
    if_older: IfOlder,
) -> Result<bool, StoreError> {
    let explain = |error: SqlError| StoreError::Unavailable {
        place: url.to_string(),
        reason: error.to_string(),
    };
    let session = open(url).map_err(explain)?;
    migrate::to_current(&session, url, if_empty, if_older).map_err(|error| match error {
        StoreError::Sql(error) => explain(error),
        other => other,
    })
}

/// Connects to a database as it is.
pub(in crate::store) fn open(url: &Arc<PostgresUrl>) -> Result<Session, SqlError> {
    Session::connect(Arc::clone(url))
}

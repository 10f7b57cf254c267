//! What only PostgreSQL has: where a database is (`location.rs`), sessions that connect again when a
//! connection breaks (`session.rs`), its types (`value.rs`), its schema (`migrate.rs`).

mod columns;
mod error;
mod location;
mod migrate;
mod placeholders;
mod session;
mod value;

pub(in crate::store) use error::{describe, error_kind};
pub use location::{PostgresError, PostgresUrl};
pub(in crate::store) use session::{KnownRow, Session};

use std::sync::Arc;

use super::{
    StoreError,
    migration::{IfEmpty, IfOlder},
    sql::{Connection, SqlError},
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
    let connection = open(url).map_err(explain)?;
    migrate::to_current(&connection, url, if_empty, if_older).map_err(|error| match error {
        StoreError::Sql(error) => explain(error),
        other => other,
    })
}

/// Connects to a database as it is.
pub(in crate::store) fn open(url: &Arc<PostgresUrl>) -> Result<Connection, SqlError> {
    Session::connect(Arc::clone(url)).map(Connection::of_postgres)
}

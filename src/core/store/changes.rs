//! Whether the database may have changed.

use super::sql::{Connection, SqlError};

/// Returns a number that moves when another connection commits anything. Commits of this connection
/// move it on PostgreSQL only.
pub(super) fn change_mark(connection: &Connection) -> Result<i64, SqlError> {
    #[cfg(feature = "postgres")]
    if connection.is_postgres() {
        // Every transaction that writes changes the snapshot, when it begins and when it ends
        // (postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT).
        let mark = "SELECT hashtextextended(pg_current_snapshot()::text, 0)";
        return connection.query_row(mark, [], |row| row.get(0));
    }
    #[cfg(feature = "sqlite")]
    return Ok(super::sqlite::data_version(connection.sqlite()?)?);
    #[cfg(not(feature = "sqlite"))]
    Err(SqlError::OtherKind)
}

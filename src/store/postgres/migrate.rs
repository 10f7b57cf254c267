//! The schema in PostgreSQL. Its first version is the thirteenth of SQLite's; from then on both have
//! the same numbers.

use super::PostgresUrl;
use crate::store::{
    SCHEMA, StoreError,
    migration::{IfEmpty, IfOlder},
    sql::{Connection, SqlError},
};

/// The schema of the first version, and what each later one adds.
const FIRST: usize = 13;
const MIGRATIONS: [&str; SCHEMA + 1 - FIRST] = [include_str!("migrations/013_init.sql")];

const VERSION: &str = "SELECT version FROM schema_version";
const HAS_VERSION: &str = "SELECT EXISTS (SELECT 1 FROM information_schema.tables \
     WHERE table_schema = current_schema() AND table_name = 'schema_version')";
const HAS_TABLES: &str = "SELECT EXISTS (SELECT 1 FROM information_schema.tables \
     WHERE table_schema = current_schema())";
const ENCODING: &str =
    "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()";

/// Creates the schema, or brings it up to date, where that is allowed. Returns whether it was created.
///
/// # Errors
/// If the database is not ours, is of a newer version, or of an older one that is to be refused.
pub(in crate::store) fn to_current(
    connection: &Connection,
    url: &PostgresUrl,
    if_empty: IfEmpty,
    if_older: IfOlder,
) -> Result<bool, StoreError> {
    let place = || url.to_string();
    let known = i64::try_from(SCHEMA).unwrap_or(i64::MAX);
    let check = |found: Option<i64>| match found {
        Some(found) if found > known => Err(StoreError::NewerSchema {
            place: place(),
            found,
            known,
        }),
        Some(found) if found < known && if_older == IfOlder::Refuse => {
            Err(StoreError::OlderSchema {
                place: place(),
                found,
                known,
            })
        }
        None if if_empty == IfEmpty::Refuse => Err(StoreError::EmptyDatabase { place: place() }),
        found => Ok(found),
    };
    if check(version(connection)?)? == Some(known) {
        return Ok(false);
    }
    let transaction = connection.write()?;
    // Another node may have been faster.
    let found = check(version(&transaction)?)?;
    if found == Some(known) {
        return Ok(false);
    }
    if found.is_none() {
        let has_tables: bool = transaction.query_row(HAS_TABLES, [], |row| row.get(0))?;
        if has_tables {
            return Err(StoreError::ForeignTables { place: place() });
        }
        let encoding: String = transaction.query_row(ENCODING, [], |row| row.get(0))?;
        if encoding != "UTF8" {
            return Err(StoreError::Encoding {
                place: place(),
                encoding,
            });
        }
        transaction.execute_batch("CREATE TABLE schema_version (version BIGINT NOT NULL)")?;
        transaction.execute("INSERT INTO schema_version VALUES (0)", [])?;
    } else {
        log::info!("migrating the database: place=\"{url}\" to={known}");
    }
    let found_version = found.and_then(|found| usize::try_from(found).ok());
    let done = found_version.map_or(0, |found| (found + 1).saturating_sub(FIRST));
    for sql in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(sql)?;
    }
    transaction.execute("UPDATE schema_version SET version = ?1", [known])?;
    transaction.commit()?;
    Ok(found.is_none())
}

/// Returns the version of the schema. `None` if there is none.
fn version(connection: &Connection) -> Result<Option<i64>, SqlError> {
    let has_version: bool = connection.query_row(HAS_VERSION, [], |row| row.get(0))?;
    if !has_version {
        return Ok(None);
    }
    connection
        .query_row(VERSION, [], |row| row.get(0))
        .map(Some)
}

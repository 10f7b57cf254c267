//! The schema in PostgreSQL. Its first version is the thirteenth of SQLite's; from then on both have
//! the same numbers.

use super::{PostgresUrl, Session};
use crate::store::{
    SCHEMA, StoreError,
    migration::{IfEmpty, IfOlder},
    sql_error::{IfBusy, SqlError},
    value::{FromValue, Value},
};

/// The schema of the first version, and what each later one adds.
const FIRST: usize = 13;
const MIGRATIONS: [&str; SCHEMA + 1 - FIRST] = [include_str!("migrations/013_init.sql")];

const VERSION: &str = "SELECT version FROM schema_version";
// The catalogue has also what this user may not look into.
const HAS_VERSION: &str = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n \
     ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relname = 'schema_version')";
// One statement, because another node may make ours at this moment.
const HAS_FOREIGN_TABLES: &str = "SELECT coalesce(NOT bool_or(c.relname = 'schema_version'), false) \
     FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
     WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";
const MAY_CREATE: &str = "SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)";
const USER: &str = "SELECT current_user::text";
const ENCODING: &str =
    "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()";

/// Creates the schema, or brings it up to date, where that is allowed. Returns whether it was created.
///
/// # Errors
/// If the database is not ours, is of a newer version, or of an older one that is to be refused.
pub(in crate::store) fn to_current(
    session: &Session,
    url: &PostgresUrl,
    if_empty: IfEmpty,
    if_older: IfOlder,
) -> Result<bool, StoreError> {
    let place = || url.to_string();
    let known = known();
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
    let found = version(session)?;
    // Where tables are made, it is checked in the same transaction.
    if found.is_none() && if_empty == IfEmpty::Refuse {
        check_fitness(session, url)?;
    }
    if check(found)? == Some(known) {
        return Ok(false);
    }
    session.begin(IfBusy::Wait)?;
    let made = make(session, url, &check);
    if made.is_err() {
        session.roll_back();
        return made;
    }
    session.commit()?;
    made
}

/// Runs what is missing, inside the caller's transaction. Returns whether the schema was created.
fn make(
    session: &Session,
    url: &PostgresUrl,
    check: &impl Fn(Option<i64>) -> Result<Option<i64>, StoreError>,
) -> Result<bool, StoreError> {
    // Another node may have been faster.
    let found = check(version(session)?)?;
    if found == Some(known()) {
        return Ok(false);
    }
    if found.is_none() {
        check_fitness(session, url)?;
        session.run_batch("CREATE TABLE schema_version (version BIGINT NOT NULL)")?;
        session.run_batch("INSERT INTO schema_version VALUES (0)")?;
    } else {
        log::info!("migrating the database: place=\"{url}\" to={}", known());
    }
    let found_version = found.and_then(|found| usize::try_from(found).ok());
    let done = found_version.map_or(0, |found| (found + 1).saturating_sub(FIRST));
    for sql in MIGRATIONS.iter().skip(done) {
        session.run_batch(sql)?;
    }
    let version = [Value::Integer(known())];
    session.execute("UPDATE schema_version SET version = ?1", &version, None)?;
    Ok(found.is_none())
}

/// Checks that a database without our tables can get them.
fn check_fitness(session: &Session, url: &PostgresUrl) -> Result<(), StoreError> {
    let place = url.to_string();
    if one(session, HAS_FOREIGN_TABLES)? {
        return Err(StoreError::ForeignTables { place });
    }
    let encoding: String = one(session, ENCODING)?;
    if encoding != "UTF8" {
        return Err(StoreError::Encoding { place, encoding });
    }
    if !one::<bool>(session, MAY_CREATE)? {
        let user = one(session, USER)?;
        return Err(StoreError::MayNotCreate { place, user });
    }
    Ok(())
}

fn known() -> i64 {
    i64::try_from(SCHEMA).unwrap_or(i64::MAX)
}

/// Returns the version of the schema. `None` if there is none.
fn version(session: &Session) -> Result<Option<i64>, SqlError> {
    if one(session, HAS_VERSION)? {
        one(session, VERSION).map(Some)
    } else {
        Ok(None)
    }
}

/// Returns the only value that a statement finds.
fn one<T: FromValue>(session: &Session, sql: &str) -> Result<T, SqlError> {
    let rows = session.query(sql, &[], None)?;
    let row = rows.first().ok_or(SqlError::NoRow)?;
    T::from_value(row.try_get(0)?)
}

//! Databases of unit tests: a file each, or, with `LLMPROXY_TEST_DATABASE=postgres`, a database each of a
//! private PostgreSQL server. So one suite of tests runs on both.

use super::{DatabaseLocation, IfMissing, Store, sql::Connection};

#[cfg(feature = "postgres")]
#[path = "../../../tests/it/harness/postgres_suite.rs"]
#[allow(dead_code, unreachable_pub)] // The black-box tests use more of it.
mod postgres_suite;

/// A database of one test, empty at first. It is gone with this.
pub(crate) struct TestDatabase {
    place: Place,
}

enum Place {
    #[cfg(feature = "sqlite")]
    File(tempfile::TempDir),
    #[cfg(feature = "postgres")]
    Server(Box<postgres_suite::PostgresDatabase>),
}

impl TestDatabase {
    pub(crate) fn new() -> Self {
        #[cfg(feature = "postgres")]
        let is_asked =
            std::env::var("LLMPROXY_TEST_DATABASE").is_ok_and(|value| value == "postgres");
        #[cfg(feature = "postgres")]
        if is_asked || cfg!(not(feature = "sqlite")) {
            return Self {
                place: Place::Server(Box::new(postgres_suite::PostgresDatabase::new())),
            };
        }
        #[cfg(feature = "sqlite")]
        return Self::file();
        #[cfg(not(feature = "sqlite"))]
        unreachable!()
    }

    /// Makes a database file, for what only SQLite has.
    #[cfg(feature = "sqlite")]
    pub(crate) fn file() -> Self {
        Self {
            place: Place::File(tempfile::tempdir().unwrap()),
        }
    }

    pub(crate) fn location(&self) -> DatabaseLocation {
        let text = match &self.place {
            #[cfg(feature = "sqlite")]
            Place::File(dir) => dir.path().join("test.db").display().to_string(),
            #[cfg(feature = "postgres")]
            Place::Server(database) => database.url(),
        };
        DatabaseLocation::parse(&text).unwrap()
    }

    /// Opens the database, and makes the tables for the first time.
    pub(crate) fn open(&self) -> Store {
        Store::open(&self.location(), IfMissing::Create).unwrap()
    }
}

/// Returns a literal of one byte, which each database writes in its own way.
pub(crate) fn byte(connection: &Connection, byte: u8) -> String {
    if connection.is_postgres() {
        format!("'\\x{byte:02x}'")
    } else {
        format!("x'{byte:02x}'")
    }
}

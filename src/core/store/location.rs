//! `DATABASE_URL`: the forms that SQLAlchemy, sqlx, libpq and people write, turned into a path or the
//! address of a PostgreSQL database.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use percent_encoding::percent_decode_str;

use super::StoreError;
#[cfg(feature = "postgres")]
use std::sync::Arc;

#[cfg(feature = "postgres")]
use super::postgres::{PostgresError, PostgresUrl};

/// Where the database is.
#[derive(Debug, Clone, PartialEq)]
pub enum DatabaseLocation {
    #[cfg(feature = "sqlite")]
    File(DatabasePath),
    #[cfg(feature = "postgres")]
    Postgres(Arc<PostgresUrl>),
}

/// The path of a database file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabasePath(PathBuf);

/// Why a text is no database location. The text itself is not repeated: a database URL may hold a
/// password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    #[error("`{scheme}:` is not supported; accepted: {ACCEPTED}")]
    Scheme { scheme: String },
    #[error("the part before `://` is not a scheme; accepted: {ACCEPTED}")]
    NotAScheme,
    #[error("an in-memory database would lose every row; accepted: {ACCEPTED}")]
    InMemory,
    #[error("the path is not valid UTF-8 after percent-decoding; accepted: {ACCEPTED}")]
    NotUtf8,
    #[error("it contains no file name; accepted: {ACCEPTED}")]
    NoFile,
    #[error(
        "libpq's form `host=… dbname=…` is not read; write postgres://USER:PASSWORD@HOST/DATABASE"
    )]
    KeyValueForm,
    #[error("this llmproxy was built without {0}")]
    NotBuiltIn(&'static str),
    #[cfg(feature = "postgres")]
    #[error("{0}")]
    Postgres(#[from] PostgresError),
}

const ACCEPTED: &str = "sqlite:///relative.db, sqlite:////absolute/path.db, sqlite+aiosqlite:///./llm_proxy.db, \
                        sqlite://relative.db, sqlite:relative.db, a bare path or postgres://USER:PASSWORD@HOST/DATABASE";

/// Returns whether a text has libpq's form of keywords and values, which may hold a password.
fn is_key_value_form(text: &str) -> bool {
    let keywords = [
        "host", "hostaddr", "dbname", "user", "password", "port", "service",
    ];
    let mut pairs = text.split_whitespace();
    !text.contains("://")
        && pairs.any(|pair| {
            pair.split_once('=')
                .is_some_and(|(key, _)| keywords.contains(&key))
        })
}

impl DatabaseLocation {
    /// Reads a database URL or a bare path.
    ///
    /// # Errors
    /// [`LocationError`] lists what is accepted.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let text = text.trim();
        if is_key_value_form(text) {
            return Err(LocationError::KeyValueForm);
        }
        let scheme = scheme_of(text).map(|(scheme, _)| scheme.to_ascii_lowercase());
        // `postgresql+asyncpg` is how SQLAlchemy names a driver.
        let dialect = scheme
            .as_deref()
            .and_then(|scheme| scheme.split('+').next());
        if matches!(dialect, Some("postgres" | "postgresql")) {
            return Self::postgres(text);
        }
        let path = DatabasePath::parse(text)?;
        #[cfg(feature = "sqlite")]
        return Ok(Self::File(path));
        #[cfg(not(feature = "sqlite"))]
        {
            drop(path);
            Err(LocationError::NotBuiltIn("SQLite"))
        }
    }

    #[cfg(feature = "postgres")]
    fn postgres(text: &str) -> Result<Self, LocationError> {
        let rest = scheme_of(text).map_or(text, |(_, rest)| rest);
        let url = PostgresUrl::parse(&format!("postgres:{rest}"))?;
        Ok(Self::Postgres(Arc::new(url)))
    }

    #[cfg(not(feature = "postgres"))]
    fn postgres(_: &str) -> Result<Self, LocationError> {
        Err(LocationError::NotBuiltIn("PostgreSQL"))
    }

    /// Returns the file, for commands that work on files only. `what` the command does to them, and
    /// what to do instead, are in the error.
    ///
    /// # Errors
    /// [`StoreError::OnlyForFiles`] if the database is no file.
    pub fn only_file(
        &self,
        what: &'static str,
        instead: &'static str,
    ) -> Result<DatabasePath, StoreError> {
        match self.file() {
            Some(path) => Ok(DatabasePath(path.to_owned())),
            None => Err(StoreError::OnlyForFiles {
                what,
                place: self.to_string(),
                instead,
            }),
        }
    }

    /// Returns the path of the file. `None` if the database is no file.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::File(path) => Some(path.as_path()),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => None,
        }
    }
}

/// Shows the path, or the host and the name of the database. There is no password in it.
impl fmt::Display for DatabaseLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "sqlite")]
            Self::File(path) => path.as_path().display().fmt(f),
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl DatabasePath {
    /// Reads a database URL or a bare path.
    ///
    /// # Errors
    /// [`LocationError`] lists what is accepted.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let text = text.trim();
        let path = match scheme_of(text) {
            Some((scheme, rest)) if is_sqlite(scheme) => path_of_url(rest)?,
            Some((scheme, _)) => {
                return Err(LocationError::Scheme {
                    scheme: scheme.to_owned(),
                });
            }
            // A mistyped URL, not a path; as a path it would be shown, password and all.
            None if text.contains("://") => return Err(LocationError::NotAScheme),
            None => text.to_owned(),
        };
        match path.as_str() {
            "" | "." | ".." => Err(LocationError::NoFile),
            ":memory:" => Err(LocationError::InMemory),
            path if path.ends_with('/') || path.contains('\0') => Err(LocationError::NoFile),
            path => Ok(Self(PathBuf::from(path))),
        }
    }

    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

/// Splits `scheme:rest` (RFC 3986 section 3.1). One letter is a Windows drive, a slash before the
/// colon a path.
fn scheme_of(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme.then_some((scheme, rest))
}

/// `sqlite`, or `sqlite+driver` as SQLAlchemy writes it.
fn is_sqlite(scheme: &str) -> bool {
    let dialect = scheme.split('+').next().unwrap_or(scheme);
    dialect.eq_ignore_ascii_case("sqlite") || dialect.eq_ignore_ascii_case("sqlite3")
}

/// `///rel` and `//rel` are relative, `////abs` is absolute (SQLAlchemy's SQLite URLs); driver
/// options after `?` say nothing to us.
fn path_of_url(rest: &str) -> Result<String, LocationError> {
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let path = rest
        .strip_prefix("///")
        .or_else(|| rest.strip_prefix("//"))
        .unwrap_or(rest);
    percent_decode_str(path)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| LocationError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> String {
        DatabasePath::parse(text)
            .unwrap()
            .as_path()
            .to_string_lossy()
            .into_owned()
    }

    #[test]
    fn every_accepted_url_leads_to_its_file() {
        assert_eq!(path("sqlite+aiosqlite:///./llm_proxy.db"), "./llm_proxy.db");
        assert_eq!(path("sqlite+pysqlite:///rel.db"), "rel.db");
        assert_eq!(path("sqlite:///rel/a.db"), "rel/a.db");
        assert_eq!(path("sqlite:////var/lib/a.db"), "/var/lib/a.db");
        assert_eq!(path("sqlite://rel.db"), "rel.db");
        assert_eq!(path("sqlite:rel.db"), "rel.db");
        assert_eq!(path("sqlite:/abs.db"), "/abs.db");
        assert_eq!(path("SQLite:///rel.db?timeout=30"), "rel.db");
        assert_eq!(path("sqlite:///with%20space.db"), "with space.db");
        assert_eq!(path("plain.db"), "plain.db");
        assert_eq!(path("/abs/100%.db"), "/abs/100%.db");
        assert_eq!(path("./dir:with/colon.db"), "./dir:with/colon.db");
    }

    #[test]
    fn others_are_refused_with_the_list_and_without_the_text() {
        for text in [
            "mysql://u:pa55word@h/db",
            "postgres_db://u:pa55word@h/db",
            "://u:pa55word@h/db",
            "file:x.db",
            "sqlite://",
            "sqlite:///:memory:",
            ":memory:",
            "",
            "dir/",
            "sqlite:///%ff.db",
        ] {
            let message = DatabaseLocation::parse(text).unwrap_err().to_string();
            assert!(message.contains("sqlite:////absolute/path.db"), "{message}");
            assert!(!message.contains("pa55word"), "{message}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_url_of_postgresql_leads_to_a_server() {
        for text in [
            "postgres://u:pa55word@h/db",
            "postgresql://u:pa55word@h/db",
            "postgresql+asyncpg://u:pa55word@h/db",
        ] {
            let location = DatabaseLocation::parse(text).unwrap();
            assert_eq!(location.to_string(), "postgres://h/db");
            assert_eq!(location.file(), None);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_location_or_an_error(text in "(sqlite[+a-z]{0,5}:/{0,4})?\\PC{0,30}") {
            let _ = DatabaseLocation::parse(&text);
        }
    }
}

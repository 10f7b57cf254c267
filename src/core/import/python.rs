//! The Python service: SQLAlchemy tables `users` and `usage_logs`. Other versions call the columns by
//! other names.

mod usage;

use std::borrow::Cow;

use super::{
    Cell, Import, ImportError, ImportKey, ImportUser, Table, Wanted,
    keys::{SHORT_KEYS, can_be_sent, hash_display, hash_of, is_short},
    names::name_of,
};
use crate::model::ApiKey;

pub use usage::{USAGE, UsageLinks};

/// The users.
pub const USERS: Table = Table {
    names: &["users", "user"],
    wanted: &[
        Wanted::optional("the id", &["id", "user_id"]),
        Wanted::needed(
            "the name",
            &["username", "name", "user_name", "login", "email"],
        ),
        Wanted::optional(
            "the key",
            &[
                "api_key",
                "key",
                "token",
                "apikey",
                "access_key",
                "secret_key",
            ],
        ),
        Wanted::optional(
            "the hash of the key",
            &["api_key_hash", "key_hash", "hashed_key", "token_hash"],
        ),
        Wanted::optional(
            "whether the key works",
            &["is_active", "active", "is_enabled", "enabled"],
        ),
        Wanted::optional(
            "whether the key is forbidden",
            &[
                "is_forbidden",
                "forbidden",
                "is_disabled",
                "disabled",
                "is_revoked",
                "revoked",
            ],
        ),
        Wanted::optional(
            "when the user was added",
            &[
                "created_at",
                "created",
                "created_time",
                "date_created",
                "timestamp",
            ],
        ),
    ],
};
const USER_ID: usize = 0;
const USER_NAME: usize = 1;
const USER_KEY: usize = 2;
const USER_KEY_HASH: usize = 3;
const USER_ACTIVE: usize = 4;
const USER_FORBIDDEN: usize = 5;
const USER_CREATED: usize = 6;

/// Reads the users of the Python service, one row after the other.
#[derive(Debug, Default)]
pub struct Python {
    import: Import,
    links: UsageLinks,
}

impl Python {
    /// Checks the columns of the users.
    ///
    /// # Errors
    /// [`ImportError::NoColumn`] if there is neither a key nor its hash.
    pub fn check_users(table: &str, present: &[String]) -> Result<(), ImportError> {
        USERS.need_one(table, present, &[USER_KEY, USER_KEY_HASH])
    }

    /// Takes in a row of [`USERS`].
    pub fn add(&mut self, number: i64, cells: &[Cell<'_>]) {
        let cell = |place: usize| cells.get(place).copied().unwrap_or(Cell::Null);
        let place = format!("users row {number}");
        let id = cell(USER_ID)
            .text()
            .map_or_else(|| number.to_string(), Cow::into_owned);
        let text = cell(USER_NAME).text().unwrap_or_default();
        let Some((name, is_changed)) = name_of(&text, || format!("user-{number}")) else {
            self.import
                .mistakes
                .push(format!("{place}: the name cannot be used"));
            return;
        };
        let notes = &mut self.import.notes;
        if is_changed {
            notes.add("names that had to be changed", || {
                format!("{place}: {:?}", name.as_str())
            });
        }
        let created_at_ms = cell(USER_CREATED).time_ms().unwrap_or_else(|_| {
            notes.add("users whose time of creation cannot be read", || {
                place.clone()
            });
            None
        });
        let key = key_of(cell(USER_KEY), cell(USER_KEY_HASH));
        let keys = match key {
            Ok(Some(key)) => vec![ImportKey {
                created_at_ms,
                ..key
            }],
            Ok(None) => {
                notes.add("users without a key", || place.clone());
                Vec::new()
            }
            Err(reason) => {
                self.import.mistakes.push(format!("{place}: {reason}"));
                return;
            }
        };
        if keys.iter().any(is_short) {
            notes.add(SHORT_KEYS, || place.clone());
        }
        let is_active = cell(USER_ACTIVE).flag().unwrap_or(true)
            && !cell(USER_FORBIDDEN).flag().unwrap_or(false);
        let user = self.import.users.len();
        self.links.ids.insert(id.clone(), user);
        self.links.names.insert(text.into_owned(), user);
        if let Some(key) = cell(USER_KEY).text() {
            self.links.keys.insert(key.into_owned(), user);
        }
        self.import.users.push(ImportUser {
            source_id: id,
            place,
            name,
            group: None,
            created_at_ms,
            is_active,
            is_deleted: false,
            is_left_out: false,
            keys,
            limits: Vec::new(),
            left: None,
        });
    }

    /// Returns the users, and what their rows of usage are found by.
    #[must_use]
    pub fn finish(self) -> (Import, UsageLinks) {
        (self.import, self.links)
    }
}

fn key_of(clear: Cell<'_>, hash: Cell<'_>) -> Result<Option<ImportKey>, &'static str> {
    if let Some(text) = clear.text() {
        if !can_be_sent(&text) {
            return Err("the key has characters that a header cannot carry");
        }
        return Ok(Some(ImportKey::of_clear(ApiKey::from_text(text))));
    }
    let Some(text) = hash.text() else {
        return Ok(None);
    };
    let hash = hash_of(&text).ok_or("the hash of the key is no SHA-256 in hexadecimal digits")?;
    Ok(Some(ImportKey::of_hash(hash, hash_display(&text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "llmp-0123456789abcdef0123456789abcdef0123456789abcdef";

    fn alice() -> (Import, UsageLinks) {
        let mut python = Python::default();
        python.add(
            7,
            &[
                Cell::Integer(7),
                Cell::Text("alice"),
                Cell::Text(KEY),
                Cell::Null,
                Cell::Integer(0),
                Cell::Null,
                Cell::Text("2024-01-15 10:30:00.123456"),
            ],
        );
        python.finish()
    }

    #[test]
    fn a_user_comes_with_the_same_key() {
        let (import, _) = alice();
        let user = &import.users[0];
        assert_eq!(
            (user.name.as_str(), user.source_id.as_str()),
            ("alice", "7")
        );
        assert!(!user.is_active);
        assert_eq!(user.created_at_ms, Some(1_705_314_600_123));
        assert_eq!(user.keys[0].hash, ApiKey::from_text(KEY).hash());
        assert_eq!(user.keys[0].clear.as_ref().unwrap().expose(), KEY);
    }

    #[test]
    fn a_key_that_cannot_be_sent_is_a_mistake_and_a_hash_is_taken() {
        let mut python = Python::default();
        let cells = [Cell::Integer(1), Cell::Text("a"), Cell::Text("with space")];
        python.add(1, &cells);
        let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let cells = [
            Cell::Integer(2),
            Cell::Text("b"),
            Cell::Null,
            Cell::Text(hex),
        ];
        python.add(2, &cells);
        let (import, _) = python.finish();
        assert_eq!(import.mistakes.len(), 1);
        assert!(import.mistakes[0].starts_with("users row 1: "));
        assert_eq!(import.users[0].keys[0].hash, ApiKey::hash_of(b"test"));
        assert_eq!(import.users[0].keys[0].display, "hash:9f86d081…");
    }
}

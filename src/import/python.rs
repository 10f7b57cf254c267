//! The Python service: SQLAlchemy tables `users` and `usage_logs`. Other versions call the columns by
//! other names.

use std::{borrow::Cow, collections::HashMap};

use super::{
    Cell, Import, ImportError, ImportKey, ImportRow, ImportUser, Notes, Table, Wanted,
    error::BadCell,
    keys::{SHORT_KEYS, can_be_sent, hash_display, hash_of, is_short},
    names::{model_of, name_of},
    notes::NO_USER,
};
use crate::model::{ApiKey, Usage};

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

/// The rows of usage.
pub const USAGE: Table = Table {
    names: &["usage_logs", "usage_log", "token_usage", "usage", "usages"],
    wanted: &[
        Wanted::optional("the user", &["user_id", "uid", "user"]),
        Wanted::optional("the name of the user", &["username", "user_name"]),
        Wanted::optional("the key of the user", &["api_key", "key", "token"]),
        Wanted::needed(
            "the time",
            &[
                "timestamp",
                "created_at",
                "created",
                "time",
                "started_at",
                "request_time",
                "logged_at",
                "date",
            ],
        ),
        Wanted::needed("the model", &["model", "model_name", "model_id"]),
        Wanted::needed(
            "the input tokens",
            &[
                "input_tokens",
                "prompt_tokens",
                "tokens_in",
                "input",
                "total_input_tokens",
            ],
        ),
        Wanted::needed(
            "the output tokens",
            &[
                "output_tokens",
                "completion_tokens",
                "tokens_out",
                "output",
                "total_output_tokens",
            ],
        ),
        Wanted::optional(
            "the cached tokens",
            &[
                "cached_tokens",
                "cached_input_tokens",
                "cache_read_tokens",
                "cache_tokens",
                "total_cached_tokens",
            ],
        ),
        Wanted::optional("the reasoning tokens", &["reasoning_tokens"]),
        Wanted::optional("the status", &["status_code", "http_status", "status"]),
        Wanted::optional("the duration", &["duration_ms", "latency_ms", "elapsed_ms"]),
    ],
};
const ROW_USER: usize = 0;
const ROW_NAME: usize = 1;
const ROW_KEY: usize = 2;
const ROW_TIME: usize = 3;
const ROW_MODEL: usize = 4;
const ROW_INPUT: usize = 5;
const ROW_OUTPUT: usize = 6;
const ROW_CACHED: usize = 7;
const ROW_REASONING: usize = 8;
const ROW_STATUS: usize = 9;
const ROW_DURATION: usize = 10;

/// Reads the users of the Python service, one row after the other.
#[derive(Debug, Default)]
pub struct Python {
    import: Import,
    links: UsageLinks,
}

/// The places of users by what a row of usage calls them.
#[derive(Debug, Default)]
pub struct UsageLinks {
    ids: HashMap<String, usize>,
    names: HashMap<String, usize>,
    keys: HashMap<String, usize>,
}

impl Python {
    /// Checks the columns of the users.
    ///
    /// # Errors
    /// [`ImportError::NoColumn`] if there is neither a key nor its hash.
    pub fn check_users(table: &str, present: &[String]) -> Result<(), ImportError> {
        USERS.need_one(table, present, &[USER_KEY, USER_KEY_HASH])
    }

    /// Checks the columns of the usage.
    ///
    /// # Errors
    /// [`ImportError::NoColumn`] if no column says whose a row is.
    pub fn check_usage(table: &str, present: &[String]) -> Result<(), ImportError> {
        USAGE.need_one(table, present, &[ROW_USER, ROW_NAME, ROW_KEY])
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

impl UsageLinks {
    /// Reads a row of [`USAGE`]. One that cannot be booked is noted.
    pub fn row(&self, number: i64, cells: &[Cell<'_>], notes: &mut Notes) -> Option<ImportRow> {
        let cell = |place: usize| cells.get(place).copied().unwrap_or(Cell::Null);
        let place = || format!("row {number}");
        let user = [
            (cell(ROW_USER), &self.ids),
            (cell(ROW_NAME), &self.names),
            (cell(ROW_KEY), &self.keys),
        ]
        .into_iter()
        .find_map(|(cell, users)| Some((cell.text()?, users)))
        .and_then(|(text, users)| users.get(text.as_ref()).copied());
        let Some(user) = user else {
            notes.add(NO_USER, place);
            return None;
        };
        match row_of(number, user, &cell) {
            Ok(row) => Some(row),
            Err(bad) => {
                notes.add(bad.note(), place);
                None
            }
        }
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

fn row_of<'c>(
    number: i64,
    user: usize,
    cell: &impl Fn(usize) -> Cell<'c>,
) -> Result<ImportRow, BadCell> {
    let started_at_ms = cell(ROW_TIME).time_ms()?.ok_or(BadCell::NotATime)?;
    let input = cell(ROW_INPUT).count()?;
    let output = cell(ROW_OUTPUT).count()?;
    // A word such as `success` is no number: it was answered, or there would be no row.
    let status = cell(ROW_STATUS).integer().ok().flatten();
    let status = status.and_then(|status| u16::try_from(status).ok());
    let duration_ms = cell(ROW_DURATION).count().unwrap_or(0);
    Ok(ImportRow {
        number,
        user,
        key: Some(0),
        started_at_ms,
        model: model_of(&cell(ROW_MODEL).text().unwrap_or_default()),
        usage: Usage {
            input,
            output,
            cached: cell(ROW_CACHED).count()?.min(input),
            reasoning: cell(ROW_REASONING).count()?.min(output),
            ..Usage::default()
        },
        cost: None,
        status: status
            .filter(|status| (100..600).contains(status))
            .unwrap_or(200),
        duration_ms: i64::try_from(duration_ms).unwrap_or(0),
        first_byte_ms: None,
    })
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

    fn row<'a>(user: Cell<'a>, input: Cell<'a>) -> Vec<Cell<'a>> {
        vec![
            user,
            Cell::Null,
            Cell::Null,
            Cell::Text("2024-01-15 10:30:00"),
            Cell::Text("gpt-4.1-mini"),
            input,
            Cell::Integer(20),
            Cell::Integer(30),
        ]
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
    fn a_row_is_found_by_id_name_or_key_and_cached_is_a_part_of_input() {
        let (_, links) = alice();
        let mut notes = Notes::default();
        let cells = row(Cell::Integer(7), Cell::Integer(10));
        let found = links.row(1, &cells, &mut notes).unwrap();
        assert_eq!(
            (found.user, found.usage.input, found.usage.cached),
            (0, 10, 10)
        );
        assert_eq!((found.status, found.cost), (200, None));
        let mut by_name = row(Cell::Null, Cell::Integer(10));
        by_name[ROW_NAME] = Cell::Text("alice");
        assert!(links.row(2, &by_name, &mut notes).is_some());
        let mut by_key = row(Cell::Null, Cell::Integer(10));
        by_key[ROW_KEY] = Cell::Text(KEY);
        assert!(links.row(3, &by_key, &mut notes).is_some());
        assert_eq!(notes, Notes::default());
    }

    #[test]
    fn rows_that_cannot_be_booked_are_noted() {
        let (_, links) = alice();
        let mut notes = Notes::default();
        for (number, cells) in [
            (1, row(Cell::Integer(8), Cell::Integer(10))),
            (2, row(Cell::Integer(7), Cell::Integer(-1))),
            (3, row(Cell::Integer(7), Cell::Integer(i64::MAX))),
            (4, row(Cell::Integer(7), Cell::Text("ten"))),
            (5, row(Cell::Null, Cell::Null)),
        ] {
            assert_eq!(links.row(number, &cells, &mut notes), None);
        }
        let mut untimed = row(Cell::Integer(7), Cell::Integer(1));
        untimed[ROW_TIME] = Cell::Text("soon");
        assert_eq!(links.row(6, &untimed, &mut notes), None);
        let lines: Vec<String> = notes
            .into_vec()
            .iter()
            .map(super::super::Note::line)
            .collect();
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert!(
            lines[0].ends_with("not in the file: 2 (row 1, row 5)"),
            "{lines:?}"
        );
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

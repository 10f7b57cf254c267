//! The common model of what is imported: users with their keys and limits, and rows of usage.

use std::{collections::HashMap, fmt, str::FromStr};

use super::Notes;
use crate::model::{ApiKey, KeyHash, Limit, NanoUsd, Usage, UserName};

/// A program whose users, keys and usage can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The Python service that llmproxy replaces: SQLite with `users` and `usage_logs`.
    Python,
    /// LiteLLM's table of virtual keys, as CSV or JSON.
    LiteLlm,
    /// one-api and new-api: SQLite with `users`, `tokens` and `logs`.
    OneApi,
}

/// Everything of a file but its rows of usage.
#[derive(Debug, Default)]
pub struct Import {
    pub users: Vec<ImportUser>,
    /// What does not come, or comes changed.
    pub notes: Notes,
    /// What is wrong with entries of the file: a line each.
    pub mistakes: Vec<String>,
}

/// A user who is to be imported.
#[derive(Debug)]
pub struct ImportUser {
    /// What the other program calls the user by.
    pub source_id: String,
    /// Where the user stands in the file, for messages.
    pub place: String,
    pub name: UserName,
    pub group: Option<UserName>,
    /// Times are Unix milliseconds.
    pub created_at_ms: Option<i64>,
    pub is_active: bool,
    /// The other program keeps the user only because of past usage.
    pub is_deleted: bool,
    /// The user does not come, because there is neither a key nor usage.
    pub is_left_out: bool,
    pub keys: Vec<ImportKey>,
    pub limits: Vec<Limit>,
    /// What may still be used: with past usage it becomes a budget without an end.
    pub left: Option<NanoUsd>,
}

/// A key of a user who is to be imported.
#[derive(Debug)]
pub struct ImportKey {
    pub hash: KeyHash,
    /// The whole key; `None` if the other program keeps a hash only.
    pub clear: Option<ApiKey>,
    /// First and last characters.
    pub display: String,
    pub label: Option<String>,
    pub created_at_ms: Option<i64>,
    pub expires_at_ms: Option<i64>,
    pub last_used_at_ms: Option<i64>,
    /// The key does not work, and never will again.
    pub is_stopped: bool,
    /// What was spent with the key, where that is all that is known of its usage.
    pub spend: Option<Spend>,
}

/// A sum of past usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spend {
    pub cost: NanoUsd,
    /// Unix time in milliseconds that it is booked at.
    pub at_ms: i64,
}

/// A row of usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    /// Number of the row in its table, which rises: rows up to a number are imported once.
    pub number: i64,
    /// Place of the user in [`Import::users`].
    pub user: usize,
    /// Place of the key among those of the user, if it is still there.
    pub key: Option<usize>,
    pub started_at_ms: i64,
    pub model: String,
    pub usage: Usage,
    /// What the other program charged; `None` if the row is to be priced here.
    pub cost: Option<NanoUsd>,
    pub status: u16,
    pub duration_ms: i64,
    pub first_byte_ms: Option<i64>,
}

impl Format {
    const ALL: [Self; 3] = [Self::Python, Self::LiteLlm, Self::OneApi];

    /// What is accepted, for messages.
    pub const ACCEPTED: &'static str = "SQLite of the Python service (tables users, usage_logs), SQLite of one-api or new-api \
         (tables users, tokens, logs), LiteLLM_VerificationToken as CSV or JSON";

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::LiteLlm => "litellm",
            Self::OneApi => "one-api",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim().to_ascii_lowercase();
        let known = Self::ALL.into_iter().find(|known| known.as_str() == word);
        match word.as_str() {
            "new-api" | "newapi" | "oneapi" => Ok(Self::OneApi),
            _ => {
                known.ok_or_else(|| "accepted: python, litellm, one-api (also for new-api)".into())
            }
        }
    }
}

impl Import {
    /// Adds what is wrong with the file as a whole: names and keys that two users have.
    pub fn check(&mut self) {
        let mut names: HashMap<&str, &str> = HashMap::new();
        let mut keys: HashMap<KeyHash, &str> = HashMap::new();
        let mut mistakes = Vec::new();
        for user in &self.users {
            let (name, place) = (user.name.as_str(), user.place.as_str());
            if !user.is_deleted
                && let Some(first) = names.insert(name, place)
            {
                mistakes.push(format!("{place}: the name {name:?} is in {first} too"));
            }
            for key in &user.keys {
                if let Some(first) = keys.insert(key.hash, place) {
                    let display = &key.display;
                    mistakes.push(format!("{place}: the key {display} is in {first} too"));
                }
            }
        }
        self.mistakes.extend(mistakes);
    }
}

impl ImportKey {
    /// Returns a key that is known in clear.
    #[must_use]
    pub fn of_clear(key: ApiKey) -> Self {
        Self {
            hash: key.hash(),
            display: key.masked(),
            clear: Some(key),
            label: None,
            created_at_ms: None,
            expires_at_ms: None,
            last_used_at_ms: None,
            is_stopped: false,
            spend: None,
        }
    }

    /// Returns a key of which only the hash is known.
    #[must_use]
    pub fn of_hash(hash: KeyHash, display: String) -> Self {
        Self {
            hash,
            display,
            ..Self::of_clear(ApiKey::from_text(""))
        }
        .without_clear()
    }

    fn without_clear(self) -> Self {
        Self {
            clear: None,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_by_their_names() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert_eq!("new-api".parse(), Ok(Format::OneApi));
        assert!("mysql".parse::<Format>().unwrap_err().contains("litellm"));
    }

    #[test]
    fn a_name_or_a_key_that_two_users_have_is_a_mistake() {
        let user = |place: &str, name: &str, key: &str| ImportUser {
            source_id: place.to_owned(),
            place: place.to_owned(),
            name: UserName::parse(name).unwrap(),
            group: None,
            created_at_ms: None,
            is_active: true,
            is_deleted: false,
            is_left_out: false,
            keys: vec![ImportKey::of_clear(ApiKey::from_text(key))],
            limits: Vec::new(),
            left: None,
        };
        let mut import = Import {
            users: vec![
                user("row 1", "a", "k1"),
                user("row 2", "a", "k2"),
                user("row 3", "b", "k1"),
            ],
            ..Import::default()
        };
        import.check();
        assert_eq!(import.mistakes.len(), 2, "{:?}", import.mistakes);
        assert!(import.mistakes[0].contains("row 2") && import.mistakes[0].contains("row 1 too"));
        assert!(import.mistakes[1].starts_with("row 3: the key"));
    }
}

//! Users: add, list, forbid, allow. What the HTTP admin API and the command line both call, and the
//! JSON both print.

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, TransactionBehavior, params};
use serde::Serialize;

use super::StoreError;
use crate::model::{ApiKey, User, UserName, now_ms};

// One statement, so that no key is stored in clear while another process switches to hashes.
const INSERT: &str = "INSERT INTO users (username, api_key, key_hash, created_at_ms) SELECT ?1, CASE WHEN EXISTS \
     (SELECT 1 FROM settings WHERE name = 'store_keys' AND value = 'hashed') THEN ?5 ELSE ?2 END, ?3, ?4";
const LIST: &str =
    "SELECT id, username, api_key, key_hash, created_at_ms, is_active FROM users ORDER BY id";
// Index: users.username UNIQUE.
const BY_NAME: &str = "SELECT id, username, api_key, key_hash, created_at_ms, is_active FROM users WHERE username = ?1";
// Index: users.key_hash UNIQUE.
const BY_KEY: &str = "SELECT id, username, api_key, key_hash, created_at_ms, is_active FROM users WHERE key_hash = ?1";
const SET_ACTIVE: &str = "UPDATE users SET is_active = ?2 WHERE id = ?1 AND is_active <> ?2";

const SET_KEPT: &str = "UPDATE users SET api_key = ?2 WHERE id = ?1";
const MARK_HASHED: &str =
    "INSERT OR REPLACE INTO settings (name, value) VALUES ('store_keys', 'hashed')";

/// Answer to `gen_key` and of `user add --json`.
#[derive(Serialize)]
pub struct NewKey {
    pub username: String,
    pub api_key: String,
}

/// An entry of `list_users`.
#[derive(Serialize)]
pub struct UserEntry {
    pub id: i64,
    pub username: String,
    pub api_key: String,
    /// UTC ISO 8601.
    pub created_at: String,
    pub is_active: bool,
}

/// Answer to `list_users` and of `user list --json`.
#[derive(Serialize)]
pub struct UserList {
    pub users: Vec<UserEntry>,
}

/// Answer to `forbid_key` and `allow_key`.
#[derive(Debug, Serialize)]
pub struct KeyStatus {
    pub username: String,
    pub is_active: bool,
}

/// The name or the key by which an operator identifies a user.
#[derive(Debug, Clone)]
pub enum UserSelector {
    Name(String),
    Key(ApiKey),
}

/// Whether a key may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAccess {
    Allowed,
    Forbidden,
}

/// The form in which the database keeps a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStorage {
    /// The complete key, so that it can be shown again.
    Clear,
    /// Its hash, and a few characters to recognise it by.
    Hashed,
}

/// Makes a user with a new key. A database that was switched to hashes keeps hashes, whatever is
/// asked.
///
/// # Errors
/// [`StoreError::NameTaken`], or an error of the database.
pub fn add(
    connection: &Connection,
    name: &UserName,
    storage: KeyStorage,
) -> Result<NewKey, StoreError> {
    let key = ApiKey::generate().map_err(StoreError::NoRandom)?;
    let kept = match storage {
        KeyStorage::Hashed => key.masked(),
        KeyStorage::Clear => key.expose().to_owned(),
    };
    let inserted = connection.execute(
        INSERT,
        params![name.as_str(), kept, key.hash(), now_ms(), key.masked()],
    );
    match inserted {
        Ok(_) => Ok(NewKey {
            username: name.as_str().to_owned(),
            api_key: key.expose().to_owned(),
        }),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(StoreError::NameTaken {
                username: name.as_str().to_owned(),
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns all users, in the order they were added.
///
/// # Errors
/// If the database fails.
pub fn list(connection: &Connection) -> Result<Vec<User>, StoreError> {
    let mut statement = connection.prepare_cached(LIST)?;
    let users = statement.query_map([], read_user)?;
    Ok(users.collect::<rusqlite::Result<_>>()?)
}

/// Returns the user with a name or a key.
///
/// # Errors
/// [`StoreError::UnknownUser`], [`StoreError::UnknownKey`], or an error of the database.
pub fn find(connection: &Connection, who: &UserSelector) -> Result<User, StoreError> {
    match who {
        UserSelector::Name(name) => connection
            .query_row(BY_NAME, [name], read_user)
            .optional()?
            .ok_or_else(|| StoreError::UnknownUser {
                username: name.clone(),
            }),
        UserSelector::Key(key) => connection
            .query_row(BY_KEY, [key.hash()], read_user)
            .optional()?
            .ok_or(StoreError::UnknownKey),
    }
}

/// Forbids or allows a user's key; doing it twice changes nothing.
///
/// # Errors
/// The errors of [`find`].
pub fn set_access(
    connection: &Connection,
    who: &UserSelector,
    access: KeyAccess,
) -> Result<KeyStatus, StoreError> {
    let user = find(connection, who)?;
    let is_active = access == KeyAccess::Allowed;
    connection.execute(SET_ACTIVE, params![user.id, is_active])?;
    Ok(KeyStatus {
        username: user.username,
        is_active,
    })
}

/// Replaces all complete keys by their hashes, for good. Returns how many it replaced.
///
/// # Errors
/// [`StoreError::NotWiped`] if the keys are hashed but old pages may still hold some, or an error
/// of the database.
pub fn hash_keys(connection: &mut Connection) -> Result<usize, StoreError> {
    // Overwrites what is deleted (sqlite.org/pragma.html#pragma_secure_delete).
    connection.pragma_update(None, "secure_delete", true)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut hashed = 0;
    for user in list(&transaction)?
        .iter()
        .filter(|user| !user.api_key.is_masked())
    {
        hashed += transaction.execute(SET_KEPT, params![user.id, user.api_key.masked()])?;
    }
    transaction.execute(MARK_HASHED, [])?;
    transaction.commit()?;
    // Old pages may hold keys too: in the file, and in the WAL until it is cut.
    connection.execute_batch("VACUUM")?;
    let is_busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if is_busy {
        return Err(StoreError::NotWiped);
    }
    Ok(hashed)
}

/// Returns how many keys the database holds in clear.
///
/// # Errors
/// If the database fails.
pub fn clear_keys(connection: &Connection) -> Result<usize, StoreError> {
    let users = list(connection)?;
    Ok(users
        .iter()
        .filter(|user| !user.api_key.is_masked())
        .count())
}

/// Returns the counter that moves whenever a user changes, whichever program changes it.
///
/// # Errors
/// If the database fails.
pub fn version(connection: &Connection) -> Result<i64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT version FROM users_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

impl From<Vec<User>> for UserList {
    fn from(users: Vec<User>) -> Self {
        let users = users
            .into_iter()
            .map(|user| UserEntry {
                created_at: user.created_at(),
                id: user.id,
                username: user.username,
                api_key: user.api_key.expose().to_owned(),
                is_active: user.is_active,
            })
            .collect();
        Self { users }
    }
}

fn read_user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        username: row.get(1)?,
        api_key: ApiKey::from_text(row.get::<_, String>(2)?),
        key_hash: row.get(3)?,
        created_at_ms: row.get(4)?,
        is_active: row.get(5)?,
    })
}

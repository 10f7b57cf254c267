//! Finds users by what an operator writes: a name, or one of the keys.

use super::StoreError;
use crate::model::ApiKey;
use crate::store::sql::{Connection, OptionalRow, Row, SqlResult};

// Index: users_by_name. Of a name that was given again, the user who has it now.
const BY_NAME: &str =
    "SELECT id, username, is_active FROM users WHERE username = ?1 AND deleted_at_ms IS NULL";
// Index: keys.hash UNIQUE.
const BY_KEY: &str = "SELECT users.id, username, is_active FROM keys JOIN users ON users.id = keys.user_id \
     WHERE hash = ?1 AND deleted_at_ms IS NULL";

/// The name or the key by which an operator identifies a user.
#[derive(Debug, Clone)]
pub enum UserSelector {
    Name(String),
    Key(ApiKey),
}

/// The identity of a user who is not deleted.
#[derive(Debug, Clone)]
pub struct UserIdentity {
    pub id: i64,
    pub username: String,
    pub is_active: bool,
}

/// Returns the user with a name or a key.
///
/// # Errors
/// [`StoreError::UnknownUser`], [`StoreError::UnknownKey`], or an error of the database.
pub fn find(connection: &Connection, who: &UserSelector) -> Result<UserIdentity, StoreError> {
    match who {
        UserSelector::Name(name) => connection
            .prepare_cached(BY_NAME)?
            .query_row([name], read_identity)
            .optional()?
            .ok_or_else(|| StoreError::UnknownUser {
                username: name.clone(),
            }),
        UserSelector::Key(key) => connection
            .prepare_cached(BY_KEY)?
            .query_row([key.hash()], read_identity)
            .optional()?
            .ok_or(StoreError::UnknownKey),
    }
}

/// Finds a user as people write one: by a key if the text looks like one, or else by name.
///
/// # Errors
/// The errors of [`find`]. None repeats the text if it looks like a key.
pub fn find_by_text(connection: &Connection, text: &str) -> Result<UserIdentity, StoreError> {
    let text = text.trim();
    let by_name = find(connection, &UserSelector::Name(text.to_owned()));
    match by_name {
        Err(StoreError::UnknownUser { username }) => {
            match find(connection, &UserSelector::Key(ApiKey::from_text(text))) {
                Err(StoreError::UnknownKey) if !ApiKey::looks_like_one(text) => {
                    Err(StoreError::UnknownUser { username })
                }
                other => other,
            }
        }
        other => other,
    }
}

/// Refuses a name that is a key, so that no list shows one.
pub(super) fn refuse_key(connection: &Connection, name: &str) -> Result<(), StoreError> {
    match find(connection, &UserSelector::Key(ApiKey::from_text(name))) {
        Ok(_) => Err(StoreError::NameIsKey),
        Err(StoreError::UnknownKey) => Ok(()),
        Err(error) => Err(error),
    }
}

fn read_identity(row: &Row<'_>) -> SqlResult<UserIdentity> {
    Ok(UserIdentity {
        id: row.get(0)?,
        username: row.get(1)?,
        is_active: row.get(2)?,
    })
}

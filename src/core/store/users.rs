//! Users: add, list, rename, delete, forbid, allow. What the HTTP admin API and the command line both
//! call, and the JSON both print.

mod add;

pub use add::{NewUser, RefusedUsers, add, check};

use crate::store::sql::{Connection, Row, SqlError, SqlResult, named_params, params};
use serde::{Deserialize, Serialize};

use super::{
    StoreError, groups,
    identity::{UserIdentity, UserSelector, find, find_by_text, refuse_key},
    keys,
};
use crate::model::{UserName, format_seconds, now_ms};

const NAMES: &str =
    "SELECT id, username, deleted_at_ms IS NOT NULL, group_id, is_active FROM users";
const SET_ACTIVE: &str = "UPDATE users SET is_active = ?2 WHERE id = ?1 AND is_active <> ?2";
const RENAME: &str = "UPDATE users SET username = ?2 WHERE id = ?1";
const SET_GROUP: &str = "UPDATE users SET group_id = ?2 WHERE id = ?1";
const LEAVE_GROUP: &str = "UPDATE users SET group_id = NULL WHERE id = ?1 AND group_id = ?2";
const DELETE: &str = "UPDATE users SET deleted_at_ms = ?2, is_active = 0 WHERE id = ?1";

/// Each user with the newest of the keys that work. Index: keys_by_user.
const LIST: &str = "SELECT users.id, username, users.created_at_ms, is_active, groups.name AS group_name, \
     newest.clear AS clear, newest.display AS display, newest.expires_at_ms AS expires_at_ms, \
     (SELECT count(*) FROM keys WHERE user_id = users.id AND revoked_at_ms IS NULL \
        AND (expires_at_ms IS NULL OR expires_at_ms > :now)) AS active_keys, \
     (SELECT max(last_used_at_ms) FROM keys WHERE user_id = users.id) AS last_used_at_ms \
     FROM users LEFT JOIN groups ON groups.id = users.group_id \
     LEFT JOIN keys AS newest ON newest.id = (SELECT id FROM keys WHERE user_id = users.id AND revoked_at_ms IS NULL \
        AND (expires_at_ms IS NULL OR expires_at_ms > :now) ORDER BY id DESC LIMIT 1) \
     WHERE deleted_at_ms IS NULL AND (:id IS NULL OR users.id = :id) AND (:group_id IS NULL OR group_id = :group_id) \
     ORDER BY users.id";

/// An entry of `list_users`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserEntry {
    pub id: i64,
    pub username: String,
    /// The newest key that works. `None` if only its hash is kept, or if there is none.
    pub api_key: Option<String>,
    /// UTC ISO 8601, as all times here.
    pub created_at: String,
    pub is_active: bool,
    pub group: Option<String>,
    /// First and last characters of that key.
    pub key: Option<String>,
    /// Number of keys that are neither expired nor revoked.
    pub active_keys: i64,
    /// When that key expires.
    pub expires_at: Option<String>,
    /// When any of the user's keys was last used, to the minute.
    pub last_used_at: Option<String>,
}

/// Answer to `list_users` and of `user list --json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserList {
    pub users: Vec<UserEntry>,
}

/// Answer to `forbid_key` and `allow_key`.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyStatus {
    pub username: String,
    pub is_active: bool,
}

/// Whether a user's keys may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAccess {
    Allowed,
    Forbidden,
}

/// The name of a user, who may be deleted.
#[derive(Debug, Clone)]
pub struct KnownUser {
    pub username: String,
    pub is_deleted: bool,
    pub group_id: Option<i64>,
    /// The keys may be used.
    pub is_active: bool,
}

/// Users that a list shows.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    pub group: Option<String>,
    /// Only users who cannot use the proxy: forbidden, or without a key that works.
    pub is_inactive: bool,
}

/// Returns users, in the order they were added.
///
/// # Errors
/// [`StoreError::UnknownGroup`], or an error of the database.
pub fn list(connection: &Connection, filter: &UserFilter) -> Result<Vec<UserEntry>, StoreError> {
    let group_id = filter
        .group
        .as_deref()
        .map(|group| groups::find(connection, group))
        .transpose()?;
    let mut users = entries(connection, None, group_id)?;
    if filter.is_inactive {
        users.retain(|user| !user.is_active || user.active_keys == 0);
    }
    Ok(users)
}

/// Returns the entry of the user with an id.
///
/// # Errors
/// [`StoreError::UnknownUser`], or an error of the database.
pub fn entry(connection: &Connection, id: i64) -> Result<UserEntry, StoreError> {
    let mut entries = entries(connection, Some(id), None)?;
    entries.pop().ok_or_else(|| StoreError::UnknownUser {
        username: id.to_string(),
    })
}

fn entries(
    connection: &Connection,
    id: Option<i64>,
    group_id: Option<i64>,
) -> Result<Vec<UserEntry>, StoreError> {
    let mut statement = connection.prepare_cached(LIST)?;
    let users = statement.query_map(
        named_params! { ":now": now_ms(), ":id": id, ":group_id": group_id },
        read_entry,
    )?;
    Ok(users.collect::<SqlResult<_>>()?)
}

/// Returns all users by id, also deleted ones, for reports.
///
/// # Errors
/// If the database fails.
pub fn names(
    connection: &Connection,
) -> Result<std::collections::BTreeMap<i64, KnownUser>, StoreError> {
    let mut statement = connection.prepare_cached(NAMES)?;
    let users = statement.query_map([], |row| {
        let user = KnownUser {
            username: row.get(1)?,
            is_deleted: row.get(2)?,
            group_id: row.get(3)?,
            is_active: row.get(4)?,
        };
        Ok((row.get(0)?, user))
    })?;
    Ok(users.collect::<SqlResult<_>>()?)
}

/// Forbids or allows a user's keys; doing it twice changes nothing.
///
/// # Errors
/// If the database fails.
pub fn set_access(
    connection: &Connection,
    user: UserIdentity,
    access: KeyAccess,
) -> Result<KeyStatus, StoreError> {
    let is_active = access == KeyAccess::Allowed;
    connection.execute(SET_ACTIVE, params![user.id, is_active])?;
    Ok(KeyStatus {
        username: user.username,
        is_active,
    })
}

/// Gives a user another name. Usage and keys stay the user's. Returns the user's id.
///
/// # Errors
/// [`StoreError::UnknownUser`], [`StoreError::NameTaken`], or an error of the database.
pub fn rename(connection: &mut Connection, old: &str, new: &UserName) -> Result<i64, StoreError> {
    let transaction = connection.write()?;
    let user = find_by_text(&transaction, old)?;
    if user.username != new.as_str() {
        refuse_taken(&transaction, new.as_str())?;
    }
    transaction.execute(RENAME, params![user.id, new.as_str()])?;
    transaction.commit()?;
    Ok(user.id)
}

/// Puts a user into a group, or out of any. Returns the user's id.
///
/// # Errors
/// [`StoreError::UnknownUser`], [`StoreError::UnknownGroup`], or an error of the database.
pub fn set_group(
    connection: &mut Connection,
    name: &str,
    group: Option<&str>,
) -> Result<i64, StoreError> {
    let transaction = connection.write()?;
    let user = find_by_text(&transaction, name)?;
    let group_id = group
        .map(|group| groups::find(&transaction, group))
        .transpose()?;
    transaction.execute(SET_GROUP, params![user.id, group_id])?;
    transaction.commit()?;
    Ok(user.id)
}

/// Takes users into a group and others out of it: all or none.
///
/// # Errors
/// [`StoreError::UnknownGroup`], [`StoreError::UnknownUser`], [`StoreError::NotInGroup`], or an error
/// of the database.
pub fn move_all(
    connection: &mut Connection,
    group: &str,
    into: &[String],
    out: &[String],
) -> Result<(), StoreError> {
    let transaction = connection.write()?;
    let group_id = groups::find(&transaction, group)?;
    for name in into {
        let user = find_by_text(&transaction, name)?;
        transaction.execute(SET_GROUP, params![user.id, group_id])?;
    }
    for name in out {
        let user = find_by_text(&transaction, name)?;
        if transaction.execute(LEAVE_GROUP, params![user.id, group_id])? == 0 {
            return Err(StoreError::NotInGroup {
                username: user.username,
                group: group.trim().to_owned(),
            });
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Deletes a user: all keys stop, the name is free, and the usage stays booked under the name.
///
/// # Errors
/// [`StoreError::UnknownUser`], or an error of the database.
pub fn delete(connection: &mut Connection, name: &str) -> Result<String, StoreError> {
    let transaction = connection.write()?;
    let user = find_by_text(&transaction, name)?;
    let now_ms = now_ms();
    keys::revoke_all(&transaction, user.id, now_ms)?;
    transaction.execute(DELETE, params![user.id, now_ms])?;
    transaction.commit()?;
    Ok(user.username)
}

/// Returns the counter that moves whenever something changes that a running server keeps in memory,
/// whichever program changes it.
///
/// # Errors
/// If the database fails.
pub fn version(connection: &Connection) -> Result<i64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT version FROM users_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

fn refuse_taken(connection: &Connection, username: &str) -> Result<(), StoreError> {
    refuse_key(connection, username)?;
    let by_name = UserSelector::Name(username.to_owned());
    match find(connection, &by_name) {
        Ok(user) => Err(StoreError::NameTaken {
            username: user.username,
        }),
        Err(StoreError::UnknownUser { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn read_entry(row: &Row<'_>) -> SqlResult<UserEntry> {
    let time = |column: &str| {
        let at_ms: Option<i64> = row.get(column)?;
        Ok::<_, SqlError>(at_ms.map(format_seconds))
    };
    Ok(UserEntry {
        id: row.get("id")?,
        username: row.get("username")?,
        api_key: row.get("clear")?,
        created_at: format_seconds(row.get("created_at_ms")?),
        is_active: row.get("is_active")?,
        group: row.get("group_name")?,
        key: row.get("display")?,
        active_keys: row.get("active_keys")?,
        expires_at: time("expires_at_ms")?,
        last_used_at: time("last_used_at_ms")?,
    })
}

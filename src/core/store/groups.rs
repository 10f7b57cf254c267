//! Groups of users: courses, teams, customers. A user is in one group or none.

use crate::store::sql::{Connection, OptionalRow, SqlResult, params};
use serde::{Deserialize, Serialize};

use super::{StoreError, identity::refuse_key};
use crate::model::{UserName, format_seconds, now_ms};

const INSERT: &str = "INSERT INTO groups (name, created_at_ms) VALUES (?1, ?2)";
// Index: groups.name UNIQUE.
const BY_NAME: &str = "SELECT id FROM groups WHERE name = ?1";
// Index: users_by_group.
const LIST: &str = "SELECT id, name, created_at_ms, \
     (SELECT count(*) FROM users WHERE group_id = groups.id AND deleted_at_ms IS NULL) AS users \
     FROM groups WHERE ?1 IS NULL OR name = ?1 ORDER BY name";
const RENAME: &str = "UPDATE groups SET name = ?2 WHERE id = ?1";
const DELETE: &str = "DELETE FROM groups WHERE id = ?1";
const LEAVE: &str = "UPDATE users SET group_id = NULL WHERE group_id = ?1";

/// An entry of `list_groups`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GroupEntry {
    pub id: i64,
    pub name: String,
    /// UTC ISO 8601.
    pub created_at: String,
    /// Number of users.
    pub users: i64,
}

/// Answer to `list_groups` and of `group list --json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct GroupList {
    pub groups: Vec<GroupEntry>,
}

/// Makes a group.
///
/// # Errors
/// [`StoreError::GroupTaken`], or an error of the database.
pub fn add(connection: &mut Connection, name: &UserName) -> Result<GroupEntry, StoreError> {
    let transaction = connection.write()?;
    refuse_taken(&transaction, name.as_str())?;
    transaction.execute(INSERT, params![name.as_str(), now_ms()])?;
    let added = entry(&transaction, name.as_str())?;
    transaction.commit()?;
    Ok(added)
}

/// Returns all groups, by name.
///
/// # Errors
/// If the database fails.
pub fn list(connection: &Connection) -> Result<Vec<GroupEntry>, StoreError> {
    query(connection, None)
}

/// Returns one group.
///
/// # Errors
/// [`StoreError::UnknownGroup`], or an error of the database.
pub fn entry(connection: &Connection, name: &str) -> Result<GroupEntry, StoreError> {
    let found = query(connection, Some(name.trim()))?;
    let found = found.into_iter().next();
    found.ok_or_else(|| StoreError::UnknownGroup {
        name: name.trim().to_owned(),
    })
}

/// Returns the id of a group.
///
/// # Errors
/// [`StoreError::UnknownGroup`], or an error of the database.
pub fn find(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    let name = name.trim();
    let id = connection
        .prepare_cached(BY_NAME)?
        .query_row([name], |row| row.get(0))
        .optional()?;
    id.ok_or_else(|| StoreError::UnknownGroup {
        name: name.to_owned(),
    })
}

/// Gives a group another name.
///
/// # Errors
/// [`StoreError::UnknownGroup`], [`StoreError::GroupTaken`], or an error of the database.
pub fn rename(
    connection: &mut Connection,
    old: &str,
    new: &UserName,
) -> Result<GroupEntry, StoreError> {
    let transaction = connection.write()?;
    let id = find(&transaction, old)?;
    if old.trim() != new.as_str() {
        refuse_taken(&transaction, new.as_str())?;
    }
    transaction.execute(RENAME, params![id, new.as_str()])?;
    let renamed = entry(&transaction, new.as_str())?;
    transaction.commit()?;
    Ok(renamed)
}

/// Deletes a group. Its users stay, without a group.
///
/// # Errors
/// [`StoreError::UnknownGroup`], or an error of the database.
pub fn delete(connection: &mut Connection, name: &str) -> Result<GroupEntry, StoreError> {
    let transaction = connection.write()?;
    let deleted = entry(&transaction, name)?;
    transaction.execute(LEAVE, [deleted.id])?;
    transaction.execute(DELETE, [deleted.id])?;
    transaction.commit()?;
    Ok(deleted)
}

/// Returns the names of all groups by id, for reports.
///
/// # Errors
/// If the database fails.
pub fn names(
    connection: &Connection,
) -> Result<std::collections::BTreeMap<i64, String>, StoreError> {
    Ok(list(connection)?
        .into_iter()
        .map(|group| (group.id, group.name))
        .collect())
}

fn refuse_taken(connection: &Connection, name: &str) -> Result<(), StoreError> {
    refuse_key(connection, name)?;
    match find(connection, name) {
        Ok(_) => Err(StoreError::GroupTaken {
            name: name.to_owned(),
        }),
        Err(StoreError::UnknownGroup { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn query(connection: &Connection, name: Option<&str>) -> Result<Vec<GroupEntry>, StoreError> {
    let mut statement = connection.prepare_cached(LIST)?;
    let groups = statement.query_map([name], |row| {
        Ok(GroupEntry {
            id: row.get("id")?,
            name: row.get("name")?,
            created_at: format_seconds(row.get("created_at_ms")?),
            users: row.get("users")?,
        })
    })?;
    Ok(groups.collect::<SqlResult<_>>()?)
}

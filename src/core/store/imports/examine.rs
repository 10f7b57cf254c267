//! Looks at who of an import is here already: by the keys, which no two users can share.

use crate::store::sql::{Connection, OptionalRow, params};
use crate::{
    import::{Format, ImportKey, ImportUser},
    store::{
        StoreError,
        identity::{self, UserSelector, refuse_key},
    },
};

// Index: keys.hash UNIQUE. Also the keys of deleted users.
const OWNER: &str = "SELECT keys.id, users.id, username, deleted_at_ms IS NOT NULL FROM keys JOIN users ON users.id = keys.user_id \
     WHERE hash = ?1";
// Index: the primary key.
const REMEMBERED: &str = "SELECT source_user, last_row, is_complete FROM import_users WHERE user_id = ?1 AND format = ?2";
// Index: import_users_by_source.
const BY_SOURCE: &str = "SELECT users.id, last_row, is_complete, deleted_at_ms IS NOT NULL FROM import_users \
     JOIN users ON users.id = user_id WHERE format = ?1 AND source_user = ?2 AND username = ?3 ORDER BY users.id DESC LIMIT 1";

/// What becomes of the users of an import, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Examined {
    pub users: Vec<ExaminedUser>,
    /// Why the import cannot be: a line each.
    pub mistakes: Vec<String>,
}

/// What becomes of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExaminedUser {
    pub fate: Fate,
    /// The ids of those keys that are here already.
    pub key_ids: Vec<Option<i64>>,
}

/// What becomes of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The user is added.
    New,
    /// The user is here: only new keys, and rows of usage behind a number, are added.
    Here {
        user_id: i64,
        last_row: i64,
        /// The keys work: no earlier import of the user was interrupted.
        is_complete: bool,
    },
    /// Nothing is added: the user is left out, or was deleted here after an earlier import.
    Left,
}

/// Returns what becomes of the users of an import.
///
/// # Errors
/// If the database fails.
pub fn examine(
    connection: &Connection,
    format: Format,
    users: &[ImportUser],
) -> Result<Examined, StoreError> {
    let mut examined = Examined::default();
    for user in users {
        if user.is_left_out {
            examined.users.push(ExaminedUser {
                fate: Fate::Left,
                key_ids: vec![None; user.keys.len()],
            });
            continue;
        }
        let owners = owners_of(connection, &user.keys)?;
        let fate = match fate_of(connection, format, user, &owners)? {
            Ok(fate) => fate,
            Err(mistake) => {
                examined.mistakes.push(format!("{}: {mistake}", user.place));
                Fate::Left
            }
        };
        let key_ids = owners.iter().map(|owner| Some(owner.as_ref()?.key_id));
        examined.users.push(ExaminedUser {
            fate,
            key_ids: key_ids.collect(),
        });
    }
    Ok(examined)
}

/// The user who has a key here.
struct Owner {
    key_id: i64,
    user_id: i64,
    username: String,
    is_deleted: bool,
}

fn owners_of(
    connection: &Connection,
    keys: &[ImportKey],
) -> Result<Vec<Option<Owner>>, StoreError> {
    let mut statement = connection.prepare_cached(OWNER)?;
    let mut owners = Vec::with_capacity(keys.len());
    for key in keys {
        let owner = statement.query_row([key.hash], |row| {
            Ok(Owner {
                key_id: row.get(0)?,
                user_id: row.get(1)?,
                username: row.get(2)?,
                is_deleted: row.get(3)?,
            })
        });
        owners.push(owner.optional()?);
    }
    Ok(owners)
}

/// Returns what becomes of a user, or why the user cannot be imported.
fn fate_of(
    connection: &Connection,
    format: Format,
    user: &ImportUser,
    owners: &[Option<Owner>],
) -> Result<Result<Fate, String>, StoreError> {
    let mut known = owners.iter().zip(&user.keys);
    let known = known.find_map(|(owner, key)| Some((owner.as_ref()?, key)));
    let Some((owner, key)) = known else {
        return without_known_key(connection, format, user);
    };
    let display = &key.display;
    if let Some(other) = owners
        .iter()
        .flatten()
        .find(|other| other.user_id != owner.user_id)
    {
        return Ok(Err(format!(
            "its keys belong to two users here, {:?} and {:?}",
            owner.username, other.username
        )));
    }
    let remembered = connection
        .prepare_cached(REMEMBERED)?
        .query_row(params![owner.user_id, format.as_str()], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let is_same = remembered
        .as_ref()
        .is_some_and(|(source, ..)| *source == user.source_id);
    if owner.is_deleted {
        return Ok(if is_same {
            Ok(Fate::Left)
        } else {
            Err(format!(
                "the key {display} was that of a user who is deleted here"
            ))
        });
    }
    if !is_same && owner.username != user.name.as_str() {
        let name = &owner.username;
        return Ok(Err(format!("the key {display} belongs to {name:?} here")));
    }
    let (last_row, is_complete) = match remembered {
        Some((_, last_row, is_complete)) => (last_row, is_complete),
        None => (i64::MIN, true),
    };
    Ok(Ok(Fate::Here {
        user_id: owner.user_id,
        last_row,
        is_complete,
    }))
}

/// Returns what becomes of a user of whom no key is known here.
fn without_known_key(
    connection: &Connection,
    format: Format,
    user: &ImportUser,
) -> Result<Result<Fate, String>, StoreError> {
    let name = user.name.as_str();
    if user.keys.is_empty() {
        // Nothing else tells who it is.
        let values = params![format.as_str(), user.source_id, name];
        let found = connection
            .prepare_cached(BY_SOURCE)?
            .query_row(values, |row| {
                let is_left = row.get::<_, bool>(3)? && !user.is_deleted;
                Ok(if is_left {
                    Fate::Left
                } else {
                    Fate::Here {
                        user_id: row.get(0)?,
                        last_row: row.get(1)?,
                        is_complete: row.get(2)?,
                    }
                })
            })
            .optional()?;
        if let Some(fate) = found {
            return Ok(Ok(fate));
        }
    }
    if user.is_deleted {
        return Ok(Ok(Fate::New));
    }
    match refuse_key(connection, name) {
        Err(error) if error.is_about_input() => return Ok(Err(error.to_string())),
        other => other?,
    }
    match identity::find(connection, &UserSelector::Name(name.to_owned())) {
        Ok(_) => Ok(Err(format!(
            "the name {name:?} is taken here by a user with other keys; rename one of the two"
        ))),
        Err(StoreError::UnknownUser { .. }) => Ok(Ok(Fate::New)),
        Err(error) => Err(error),
    }
}

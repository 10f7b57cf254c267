//! New users, one or many thousands, in a few statements: rows of usage wait while the transaction is
//! open, and a server may be a network away.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use crate::{
    model::{ApiKey, Extra, KeyHash, Limit, LimitScope, UserName, now_ms},
    store::{
        StoreError, groups,
        keys::{self, IssuedKey, KeyStorage, NewKey},
        limits,
        sql::{Connection, Value},
    },
};

// Index: users_by_name.
const TAKEN_NAMES: &str = "SELECT username, id FROM users WHERE deleted_at_ms IS NULL AND username";

/// A user who is to be added.
#[derive(Debug)]
pub struct NewUser {
    pub name: UserName,
    pub group: Option<String>,
    pub key: NewKey,
    pub limits: Vec<Limit>,
    pub extra: Option<Extra>,
}

/// The places in a list of users who cannot be added, and what is wrong with each.
pub type RefusedUsers = Vec<(usize, StoreError)>;

/// Adds users with a key each: all or none.
///
/// # Errors
/// The place of a user in the list and what is wrong with it, for each that cannot be added; or an
/// error of the database.
pub fn add(
    connection: &mut Connection,
    users: Vec<NewUser>,
    storage: KeyStorage,
) -> Result<Result<Vec<IssuedKey>, RefusedUsers>, StoreError> {
    let transaction = connection.write()?;
    let groups = Groups::find(&transaction, &users)?;
    let refused = refused(&transaction, &users, &groups)?;
    if !refused.is_empty() {
        return Ok(Err(refused));
    }
    let storage = keys::storage(&transaction, storage)?;
    let ids = insert(&transaction, &users, &groups)?;
    let mut set = Vec::new();
    let mut extras = Vec::new();
    let mut new_keys = Vec::with_capacity(users.len());
    let mut of_groups = Vec::with_capacity(users.len());
    for (user, id) in users.into_iter().zip(ids) {
        let scope = LimitScope::User(id);
        set.extend(user.limits.into_iter().map(|limit| (scope, limit)));
        extras.extend(user.extra.map(|extra| (scope, extra)));
        of_groups.push(user.group);
        new_keys.push((id, user.name.as_str().to_owned(), user.key));
    }
    limits::insert_all(&transaction, &set)?;
    limits::insert_extras(&transaction, &extras)?;
    let mut issued = keys::insert_all(&transaction, new_keys, storage)?;
    transaction.commit()?;
    for (key, group) in issued.iter_mut().zip(of_groups) {
        key.group = group;
    }
    Ok(Ok(issued))
}

/// Returns the users that could not be added, as [`add`] does, and adds none.
///
/// # Errors
/// If the database fails.
pub fn check(connection: &mut Connection, users: &[NewUser]) -> Result<RefusedUsers, StoreError> {
    let transaction = connection.snapshot()?;
    let groups = Groups::find(&transaction, users)?;
    refused(&transaction, users, &groups)
}

/// Groups by the names that new users give.
struct Groups<'u>(HashMap<&'u str, Option<i64>>);

impl<'u> Groups<'u> {
    fn find(connection: &Connection, users: &'u [NewUser]) -> Result<Self, StoreError> {
        let mut found = HashMap::new();
        for name in users.iter().filter_map(|user| user.group.as_deref()) {
            if let Entry::Vacant(entry) = found.entry(name) {
                entry.insert(match groups::find(connection, name) {
                    Ok(id) => Some(id),
                    Err(StoreError::UnknownGroup { .. }) => None,
                    Err(error) => return Err(error),
                });
            }
        }
        Ok(Self(found))
    }

    fn of(&self, user: &NewUser) -> Result<Option<i64>, StoreError> {
        let Some(name) = user.group.as_deref() else {
            return Ok(None);
        };
        match self.0.get(name).copied().flatten() {
            Some(id) => Ok(Some(id)),
            None => Err(StoreError::UnknownGroup {
                name: name.trim().to_owned(),
            }),
        }
    }
}

/// Returns the users that cannot be added, with the first mistake of each.
fn refused(
    connection: &Connection,
    users: &[NewUser],
    groups: &Groups<'_>,
) -> Result<RefusedUsers, StoreError> {
    let by_name = ids_by_name(connection, users)?;
    let mut names: HashSet<&str> = by_name.keys().map(String::as_str).collect();
    let names_as_keys: Vec<KeyHash> = users
        .iter()
        .map(|user| ApiKey::from_text(user.name.as_str()).hash())
        .collect();
    let given_keys = users.iter().filter_map(|user| user.key.key.as_ref());
    let given_keys: Vec<KeyHash> = given_keys.map(ApiKey::hash).collect();
    let known = keys::among(connection, names_as_keys.iter().chain(&given_keys))?;
    let given: HashSet<KeyHash> = given_keys.into_iter().collect();
    let mut taken: HashSet<KeyHash> = known.keys().copied().collect();
    // The key of a deleted user is taken, but a name may look like it.
    let works = |hash: &KeyHash| known.get(hash).is_some_and(|is_deleted| !is_deleted);

    let mut refused = Vec::new();
    for (place, (user, name_as_key)) in users.iter().zip(&names_as_keys).enumerate() {
        let name = user.name.as_str();
        let hash = user.key.key.as_ref().map(ApiKey::hash);
        let mistake = if works(name_as_key) || given.contains(name_as_key) {
            Some(StoreError::NameIsKey)
        } else if !names.insert(name) {
            Some(StoreError::NameTaken {
                username: name.to_owned(),
            })
        } else if let Err(unknown) = groups.of(user) {
            Some(unknown)
        } else {
            let is_taken = hash.is_some_and(|hash| !taken.insert(hash));
            is_taken.then_some(StoreError::KeyTaken)
        };
        refused.extend(mistake.map(|mistake| (place, mistake)));
    }
    Ok(refused)
}

/// Inserts the users and returns their ids, in the same order.
fn insert(
    connection: &Connection,
    users: &[NewUser],
    groups: &Groups<'_>,
) -> Result<Vec<i64>, StoreError> {
    let now_ms = now_ms();
    let rows = users.iter().map(|user| {
        Ok([
            Value::Text(user.name.as_str()),
            Value::integer(groups.of(user)?),
            Value::Integer(now_ms),
        ])
    });
    let rows = rows.collect::<Result<Vec<_>, StoreError>>()?;
    connection.insert_into("users", &["username", "group_id", "created_at_ms"], &rows)?;
    let ids = ids_by_name(connection, users)?;
    let ids = users.iter().map(|user| {
        let name = user.name.as_str();
        ids.get(name)
            .copied()
            .ok_or_else(|| StoreError::UnknownUser {
                username: name.to_owned(),
            })
    });
    ids.collect()
}

/// Returns those of the names that a user has, with the user's id.
fn ids_by_name(
    connection: &Connection,
    users: &[NewUser],
) -> Result<HashMap<String, i64>, StoreError> {
    let names = users.iter().map(|user| user.name.as_str());
    let names: Vec<Value<'_>> = names.map(Value::Text).collect();
    let found =
        connection.query_among(TAKEN_NAMES, &names, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.into_iter().collect())
}

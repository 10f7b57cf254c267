//! Keys: issue, list, rotate, revoke, hash. Each belongs to a user, and a user may have several. A
//! request's key is found by its SHA-256.

use std::collections::HashMap;

use crate::store::sql::{Connection, OptionalRow, Params, Row, SqlResult, ToValue, Value, params};
use serde::{Deserialize, Serialize};

#[cfg(feature = "sqlite")]
use super::sqlite;
use super::{StoreError, identity::find_by_text};
use crate::model::{ApiKey, KeyHash, KeyHolder, format_seconds, now_ms};

const INSERT: &str = "INSERT INTO keys (user_id, hash, clear, display, label, created_at_ms, expires_at_ms) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (hash) DO NOTHING RETURNING id";
const COLUMNS: &[&str] = &[
    "user_id",
    "hash",
    "clear",
    "display",
    "label",
    "created_at_ms",
    "expires_at_ms",
];
// Index of these two: keys.hash UNIQUE.
const IDS: &str = "SELECT hash, id FROM keys WHERE hash";
const AMONG: &str = "SELECT hash, deleted_at_ms IS NOT NULL FROM keys JOIN users ON users.id = keys.user_id \
     WHERE hash";
/// All keys, for the table in a running server. Keys of deleted users are revoked.
const HOLDERS: &str = "SELECT keys.id, hash, user_id, username, is_active, expires_at_ms, revoked_at_ms \
     FROM keys JOIN users ON users.id = keys.user_id";
macro_rules! select_keys {
    ($rest:literal) => {
        concat!(
            "SELECT keys.id AS id, user_id, username, is_active, label, display, clear, keys.created_at_ms AS created_at_ms, \
             expires_at_ms, revoked_at_ms, last_used_at_ms, deleted_at_ms \
             FROM keys JOIN users ON users.id = keys.user_id ",
            $rest
        )
    };
}
const ALL: &str = select_keys!("WHERE deleted_at_ms IS NULL ORDER BY user_id, keys.id");
// Index: keys_by_user.
const OF_USER: &str = select_keys!("WHERE user_id = ?1 ORDER BY keys.id");
// Indexes: the primary key, and keys.hash UNIQUE.
const BY_ID: &str = select_keys!("WHERE keys.id = ?1 AND deleted_at_ms IS NULL");
const BY_HASH: &str = select_keys!("WHERE hash = ?1 AND deleted_at_ms IS NULL");
const REVOKE: &str = "UPDATE keys SET revoked_at_ms = ?2 WHERE id = ?1 AND revoked_at_ms IS NULL";
const REVOKE_ALL: &str =
    "UPDATE keys SET revoked_at_ms = ?2 WHERE user_id = ?1 AND revoked_at_ms IS NULL";
/// A key never lives longer for being rotated.
const EXPIRE: &str =
    "UPDATE keys SET expires_at_ms = min(coalesce(expires_at_ms, ?2), ?2) WHERE id = ?1";
const SET_EXPIRY: &str = "UPDATE keys SET expires_at_ms = ?2 WHERE id = ?1";
const SET_LABEL: &str = "UPDATE keys SET label = ?2 WHERE id = ?1";
/// Both databases call the columns of VALUES so.
const SET_LAST_USED: &str = "UPDATE keys SET last_used_at_ms = max(coalesce(last_used_at_ms, 0), uses.column2) \
     FROM (VALUES :uses) AS uses WHERE keys.id = uses.column1";
/// Keys whose use one statement notes: each statement may be a round trip while rows wait.
const MAX_USES: usize = 256;

const IN_CLEAR: &str = "SELECT count(*) FROM keys WHERE clear IS NOT NULL";
const FORGET_CLEAR: &str = "UPDATE keys SET clear = NULL WHERE clear IS NOT NULL";
const IS_HASHED: &str =
    "SELECT EXISTS (SELECT 1 FROM settings WHERE name = 'store_keys' AND value = 'hashed')";
const MARK_HASHED: &str = "INSERT INTO settings (name, value) VALUES ('store_keys', 'hashed') \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// The form in which the database keeps a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStorage {
    /// The complete key, so that it can be shown again.
    Clear,
    /// Its hash, and a few characters to recognise it by.
    Hashed,
}

/// A key that is to be made.
#[derive(Debug, Default)]
pub struct NewKey {
    /// The key itself; a random one if `None`.
    pub key: Option<ApiKey>,
    pub label: Option<String>,
    /// Unix time in milliseconds from which on it does not work.
    pub expires_at_ms: Option<i64>,
}

/// A key that was just made: the only time that it is shown if only hashes are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IssuedKey {
    pub username: String,
    pub api_key: String,
    pub key_id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// An entry of `list_keys`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyEntry {
    pub id: i64,
    pub username: String,
    pub label: Option<String>,
    /// First and last characters.
    pub key: String,
    pub status: KeyState,
    /// UTC ISO 8601, as all times here.
    pub created_at: String,
    pub expires_at: Option<String>,
    pub revoked_at: Option<String>,
    /// To the minute.
    pub last_used_at: Option<String>,
}

/// Whether a key works, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    Active,
    Expired,
    Revoked,
    /// Its user is forbidden.
    Forbidden,
}

/// Answer to `list_keys` and of `key list --json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyList {
    pub keys: Vec<KeyEntry>,
}

/// Answer to `rotate_key` and of `user rotate --json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct RotatedKey {
    #[serde(flatten)]
    pub new: IssuedKey,
    /// The key that it replaces, as it stands now. `None` if the user had none that worked.
    pub replaced: Option<KeyEntry>,
    /// Number of the user's further keys that go on working.
    pub other_active_keys: usize,
}

/// A key as an operator identifies it.
#[derive(Debug, Clone)]
pub enum KeySelector {
    Id(i64),
    Key(ApiKey),
}

/// Returns how new keys are kept. A database that was switched to hashes keeps hashes, whatever is
/// asked.
pub(super) fn storage(
    connection: &Connection,
    asked: KeyStorage,
) -> Result<KeyStorage, StoreError> {
    let is_hashed: bool = connection.query_row(IS_HASHED, [], |row| row.get(0))?;
    Ok(if is_hashed { KeyStorage::Hashed } else { asked })
}

/// Makes a key, inside a transaction of the caller.
pub(super) fn insert(
    connection: &Connection,
    user_id: i64,
    username: &str,
    new: NewKey,
    storage: KeyStorage,
) -> Result<IssuedKey, StoreError> {
    let key = match new.key {
        Some(key) => key,
        None => ApiKey::generate().map_err(StoreError::NoRandom)?,
    };
    let clear = (storage == KeyStorage::Clear).then(|| key.expose());
    let values = params![
        user_id,
        key.hash(),
        clear,
        key.masked(),
        new.label,
        now_ms(),
        new.expires_at_ms,
    ];
    let key_id = connection.query_row(INSERT, values, |row| row.get(0));
    Ok(IssuedKey {
        username: username.to_owned(),
        api_key: key.expose().to_owned(),
        key_id: key_id.optional()?.ok_or(StoreError::KeyTaken)?,
        group: None,
        label: new.label,
        expires_at: new.expires_at_ms.map(format_seconds),
    })
}

/// Makes keys, inside a transaction of the caller, in a few statements: of each the user's id and name.
/// None of them may be taken.
pub(super) fn insert_all(
    connection: &Connection,
    new: Vec<(i64, String, NewKey)>,
    storage: KeyStorage,
) -> Result<Vec<IssuedKey>, StoreError> {
    let now_ms = now_ms();
    let with_keys = new.into_iter().map(|(user_id, username, mut new)| {
        let key = match new.key.take() {
            Some(key) => key,
            None => ApiKey::generate().map_err(StoreError::NoRandom)?,
        };
        Ok((user_id, username, key.hash(), key.masked(), key, new))
    });
    let with_keys = with_keys.collect::<Result<Vec<_>, StoreError>>()?;
    let rows = with_keys
        .iter()
        .map(|(user_id, _, hash, masked, key, new)| {
            let clear = (storage == KeyStorage::Clear).then(|| key.expose());
            [
                Value::Integer(*user_id),
                hash.to_value(),
                Value::text(clear),
                Value::Text(masked),
                Value::text(new.label.as_deref()),
                Value::Integer(now_ms),
                Value::integer(new.expires_at_ms),
            ]
        });
    let rows: Vec<_> = rows.collect();
    connection.insert_into("keys", COLUMNS, &rows)?;
    let hashes = with_keys.iter().map(|(_, _, hash, ..)| hash.to_value());
    let ids = connection.query_among(IDS, &hashes.collect::<Vec<_>>(), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let ids: HashMap<KeyHash, i64> = ids.into_iter().collect();
    let issued = with_keys
        .into_iter()
        .map(|(_, username, hash, _, key, new)| {
            Ok(IssuedKey {
                username,
                api_key: key.expose().to_owned(),
                key_id: *ids.get(&hash).ok_or(StoreError::UnknownKey)?,
                group: None,
                label: new.label,
                expires_at: new.expires_at_ms.map(format_seconds),
            })
        });
    issued.collect()
}

/// Returns those of these keys that there are, and whether their users are deleted.
pub(super) fn among<'h>(
    connection: &Connection,
    hashes: impl Iterator<Item = &'h KeyHash>,
) -> Result<HashMap<KeyHash, bool>, StoreError> {
    let hashes: Vec<Value<'_>> = hashes.map(ToValue::to_value).collect();
    let found = connection.query_among(AMONG, &hashes, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.into_iter().collect())
}

/// Gives a user a further key.
///
/// # Errors
/// [`StoreError::UnknownUser`], [`StoreError::KeyTaken`], or an error of the database.
pub fn add(
    connection: &mut Connection,
    username: &str,
    new: NewKey,
    storage: KeyStorage,
) -> Result<IssuedKey, StoreError> {
    let transaction = connection.write()?;
    let storage = self::storage(&transaction, storage)?;
    let user = find_by_text(&transaction, username)?;
    let issued = insert(&transaction, user.id, &user.username, new, storage)?;
    transaction.commit()?;
    Ok(issued)
}

/// Gives a user a new key in the place of one that works on until `grace_ms` are over: the newest
/// that works, or a chosen one. Label and end of the old key are the new one's, unless others are
/// given.
///
/// # Errors
/// [`StoreError::UnknownUser`], [`StoreError::UnknownKey`], or an error of the database.
pub fn rotate(
    connection: &mut Connection,
    username: &str,
    chosen: Option<&KeySelector>,
    mut new: NewKey,
    grace_ms: i64,
    storage: KeyStorage,
) -> Result<RotatedKey, StoreError> {
    let transaction = connection.write()?;
    let storage = self::storage(&transaction, storage)?;
    let user = find_by_text(&transaction, username)?;
    // A key in the place of the name is the one that is replaced.
    let by_key = (user.username != username.trim())
        .then(|| KeySelector::Key(ApiKey::from_text(username.trim())));
    let chosen = chosen.or(by_key.as_ref());
    let now_ms = now_ms();
    let of_user = query(&transaction, OF_USER, params![user.id])?;
    let works =
        |key: &StoredKey| key.state(now_ms) != KeyState::Expired && key.revoked_at_ms.is_none();
    let old = match chosen {
        Some(selector) => {
            let key = find(&transaction, selector)?;
            if key.user_id != user.id {
                return Err(StoreError::UnknownKey);
            }
            Some(key)
        }
        None => of_user.iter().rev().find(|key| works(key)).cloned(),
    };
    if let Some(old) = &old {
        new.label = new.label.or_else(|| old.label.clone());
        let end_ms = old.expires_at_ms.filter(|end_ms| *end_ms > now_ms);
        new.expires_at_ms = new.expires_at_ms.or(end_ms);
        if grace_ms == 0 {
            transaction.execute(REVOKE, params![old.id, now_ms])?;
        } else {
            let until_ms = now_ms.saturating_add(grace_ms);
            transaction.execute(EXPIRE, params![old.id, until_ms])?;
        }
    }
    let issued = insert(&transaction, user.id, &user.username, new, storage)?;
    let replaced = old
        .as_ref()
        .map(|old| find(&transaction, &KeySelector::Id(old.id)))
        .transpose()?;
    transaction.commit()?;
    let is_other = |key: &&StoredKey| works(key) && old.as_ref().is_none_or(|old| old.id != key.id);
    Ok(RotatedKey {
        new: issued,
        replaced: replaced.map(|key| key.entry(now_ms)),
        other_active_keys: of_user.iter().filter(is_other).count(),
    })
}

/// Stops one key for good; doing it twice changes nothing.
///
/// # Errors
/// [`StoreError::UnknownKey`], or an error of the database.
pub fn revoke(connection: &mut Connection, key: &KeySelector) -> Result<KeyEntry, StoreError> {
    change(connection, key, |connection, id| {
        connection.execute(REVOKE, params![id, now_ms()])
    })
}

/// Changes label or end of a key. `Some(None)` removes it.
///
/// # Errors
/// [`StoreError::UnknownKey`], or an error of the database.
pub fn set(
    connection: &mut Connection,
    key: &KeySelector,
    label: Option<Option<&str>>,
    expires_at_ms: Option<Option<i64>>,
) -> Result<KeyEntry, StoreError> {
    change(connection, key, |connection, id| {
        if let Some(label) = label {
            connection.execute(SET_LABEL, params![id, label])?;
        }
        if let Some(expires_at_ms) = expires_at_ms {
            connection.execute(SET_EXPIRY, params![id, expires_at_ms])?;
        }
        Ok(1)
    })
}

fn change(
    connection: &mut Connection,
    key: &KeySelector,
    change: impl FnOnce(&Connection, i64) -> SqlResult<usize>,
) -> Result<KeyEntry, StoreError> {
    let transaction = connection.write()?;
    let id = find(&transaction, key)?.id;
    change(&transaction, id)?;
    let changed = find(&transaction, &KeySelector::Id(id))?;
    transaction.commit()?;
    Ok(changed.entry(now_ms()))
}

/// Stops all keys of a user for good, inside a transaction of the caller.
pub(super) fn revoke_all(connection: &Connection, user_id: i64, now_ms: i64) -> SqlResult<()> {
    connection.execute(REVOKE_ALL, params![user_id, now_ms])?;
    Ok(())
}

/// Returns the keys of one user, or of all, in the order they were made.
///
/// # Errors
/// [`StoreError::UnknownUser`], or an error of the database.
pub fn list(connection: &Connection, username: Option<&str>) -> Result<Vec<KeyEntry>, StoreError> {
    let keys = match username {
        Some(name) => {
            let user = find_by_text(connection, name)?;
            query(connection, OF_USER, params![user.id])?
        }
        None => query(connection, ALL, params![])?,
    };
    let now_ms = now_ms();
    Ok(keys.iter().map(|key| key.entry(now_ms)).collect())
}

/// Returns the keys of a user by the user's id.
///
/// # Errors
/// If the database fails.
pub fn of_user(connection: &Connection, user_id: i64) -> Result<Vec<KeyEntry>, StoreError> {
    let keys = query(connection, OF_USER, params![user_id])?;
    let now_ms = now_ms();
    Ok(keys.iter().map(|key| key.entry(now_ms)).collect())
}

/// Returns how reports call each key: `7:laptop`, or `7:llmp-1a2b…9f0e` without a label.
///
/// # Errors
/// If the database fails.
pub fn names(
    connection: &Connection,
) -> Result<std::collections::BTreeMap<i64, String>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT id, id || ':' || coalesce(label, display) FROM keys")?;
    let names = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(names.collect::<SqlResult<_>>()?)
}

/// Returns all keys with their users, for the table of a running server.
///
/// # Errors
/// If the database fails.
pub fn holders(connection: &Connection) -> Result<Vec<KeyHolder>, StoreError> {
    let mut statement = connection.prepare_cached(HOLDERS)?;
    let holders = statement.query_map([], |row| {
        Ok(KeyHolder {
            key_id: row.get(0)?,
            key_hash: row.get(1)?,
            user_id: row.get(2)?,
            username: row.get(3)?,
            is_active: row.get(4)?,
            expires_at_ms: row.get(5)?,
            is_revoked: row.get::<_, Option<i64>>(6)?.is_some(),
        })
    })?;
    Ok(holders.collect::<SqlResult<_>>()?)
}

/// Notes when keys were last used: ids and Unix times in milliseconds. It moves no counter, so that
/// no server reads the keys again for it.
pub(super) fn note_uses(connection: &Connection, uses: &[(i64, i64)]) -> SqlResult<()> {
    for chunk in uses.chunks(MAX_USES) {
        // A power of two, so that there are few texts; the last one fills it up.
        let mut chunk = chunk.to_vec();
        if let Some(last) = chunk.last().copied() {
            chunk.resize(chunk.len().next_power_of_two(), last);
        }
        let places = (1..=chunk.len()).map(|n| format!("(?{}, ?{})", 2 * n - 1, 2 * n));
        let places = places.collect::<Vec<_>>().join(", ");
        let values = chunk
            .iter()
            .flat_map(|(id, used_at_ms)| [Value::Integer(*id), Value::Integer(*used_at_ms)]);
        let values: Vec<Value<'_>> = values.collect();
        connection.execute(&SET_LAST_USED.replace(":uses", &places), &values[..])?;
    }
    Ok(())
}

/// Replaces all complete keys by their hashes, for good. Returns how many it replaced.
///
/// # Errors
/// [`StoreError::NotWiped`] if the keys are hashed but old pages may still hold some, or an error
/// of the database.
pub fn hash_all(connection: &mut Connection) -> Result<usize, StoreError> {
    #[cfg(feature = "sqlite")]
    if !connection.is_postgres() {
        sqlite::overwrite_deleted(connection.sqlite()?)?;
    }
    let transaction = connection.write()?;
    let hashed = transaction.execute(FORGET_CLEAR, [])?;
    transaction.execute(MARK_HASHED, [])?;
    transaction.commit()?;
    #[cfg(feature = "sqlite")]
    if !connection.is_postgres() {
        let is_wiped = sqlite::wipe_free_pages(connection.sqlite()?)?;
        return is_wiped.then_some(hashed).ok_or(StoreError::NotWiped);
    }
    // Old versions of the rows hold the keys until the table is written anew.
    connection.execute_batch("VACUUM FULL keys")?;
    Ok(hashed)
}

/// Returns how many keys the database holds in clear.
///
/// # Errors
/// If the database fails.
pub fn in_clear(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row(IN_CLEAR, [], |row| row.get(0))?)
}

/// A key as the database holds it.
#[derive(Debug, Clone)]
struct StoredKey {
    id: i64,
    user_id: i64,
    username: String,
    is_user_active: bool,
    label: Option<String>,
    display: String,
    created_at_ms: i64,
    expires_at_ms: Option<i64>,
    revoked_at_ms: Option<i64>,
    last_used_at_ms: Option<i64>,
}

impl StoredKey {
    fn state(&self, now_ms: i64) -> KeyState {
        if self.revoked_at_ms.is_some() {
            KeyState::Revoked
        } else if self.expires_at_ms.is_some_and(|end_ms| end_ms <= now_ms) {
            KeyState::Expired
        } else if self.is_user_active {
            KeyState::Active
        } else {
            KeyState::Forbidden
        }
    }

    fn entry(&self, now_ms: i64) -> KeyEntry {
        KeyEntry {
            id: self.id,
            username: self.username.clone(),
            label: self.label.clone(),
            key: self.display.clone(),
            status: self.state(now_ms),
            created_at: format_seconds(self.created_at_ms),
            expires_at: self.expires_at_ms.map(format_seconds),
            revoked_at: self.revoked_at_ms.map(format_seconds),
            last_used_at: self.last_used_at_ms.map(format_seconds),
        }
    }
}

fn find(connection: &Connection, key: &KeySelector) -> Result<StoredKey, StoreError> {
    let found = match key {
        KeySelector::Id(id) => connection
            .prepare_cached(BY_ID)?
            .query_row([id], read_key)
            .optional()?,
        KeySelector::Key(key) => connection
            .prepare_cached(BY_HASH)?
            .query_row([key.hash()], read_key)
            .optional()?,
    };
    found.ok_or(match key {
        KeySelector::Id(id) => StoreError::UnknownKeyId { id: *id },
        KeySelector::Key(_) => StoreError::UnknownKey,
    })
}

fn query(
    connection: &Connection,
    sql: &str,
    values: impl Params,
) -> Result<Vec<StoredKey>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let keys = statement.query_map(values, read_key)?;
    Ok(keys.collect::<SqlResult<_>>()?)
}

fn read_key(row: &Row<'_>) -> SqlResult<StoredKey> {
    Ok(StoredKey {
        id: row.get("id")?,
        user_id: row.get("user_id")?,
        username: row.get("username")?,
        is_user_active: row.get("is_active")?,
        label: row.get("label")?,
        display: row.get("display")?,
        created_at_ms: row.get("created_at_ms")?,
        expires_at_ms: row.get("expires_at_ms")?,
        revoked_at_ms: row.get("revoked_at_ms")?,
        last_used_at_ms: row.get("last_used_at_ms")?,
    })
}

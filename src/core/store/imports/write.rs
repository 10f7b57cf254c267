//! Writes an import: users, keys, limits and usage.

use super::{
    Examined, Fate, IMPORT_ENDPOINT, IMPORT_MODEL, NO_KEY, examine, transaction::Transaction,
    usage_row,
};
use crate::store::sql::{Connection, OptionalRow, params};
use crate::{
    import::{Format, ImportKey, ImportRow, ImportUser, Spend},
    model::{
        ApiKey, EstimatedTokens, LimitScope, NanoUsd, Outcome, Usage, UsageRow, UsageSource, now_ms,
    },
    prices::Catalog,
    store::{
        StoreError,
        changes::change_mark,
        keys::{self, KeyStorage},
        ledger::{Cost, Pricer, RowInserter, sum_up_for},
        limits,
    },
};
use std::{
    borrow::Cow,
    collections::HashMap,
    time::{Duration, Instant},
};

// Index: groups.name UNIQUE.
const FIND_GROUP: &str = "SELECT id FROM groups WHERE name = ?1";
const INSERT_GROUP: &str = "INSERT INTO groups (name, created_at_ms) VALUES (?1, ?2) RETURNING id";
/// The keys of a user do not work until the import is complete.
const INSERT_USER: &str = "INSERT INTO users (username, group_id, created_at_ms, is_active, deleted_at_ms) \
     VALUES (?1, ?2, ?3, 0, ?4) RETURNING id";
const INSERT_KEY: &str = "INSERT INTO keys (user_id, hash, clear, display, label, created_at_ms, expires_at_ms, revoked_at_ms, \
     last_used_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING id";
const ALLOW: &str = "UPDATE users SET is_active = ?2 WHERE id = ?1 AND is_active <> ?2";
// Index: the primary key.
const REMEMBER: &str = "INSERT INTO import_users (user_id, format, source_user, last_row, is_complete, imported_at_ms) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
     ON CONFLICT (user_id, format) DO UPDATE SET source_user = excluded.source_user, last_row = excluded.last_row, \
     is_complete = excluded.is_complete, imported_at_ms = excluded.imported_at_ms";
const REMEMBER_ROW: &str =
    "UPDATE import_users SET last_row = ?3 WHERE user_id = ?1 AND format = ?2";

/// Time after which a transaction ends, so that a running server gets its turn.
const MAX_TRANSACTION: Duration = Duration::from_millis(50);
/// The longest pause between two transactions while others write. It is as long as the transaction
/// was: a server that found the database locked would else find it locked again and again.
const MAX_PAUSE: Duration = Duration::from_millis(50);
/// The pause while nobody else writes, in which a server that waits gets in within half a second.
const MIN_PAUSE: Duration = Duration::from_millis(10);
/// Time for which somebody who has written is expected to write again.
const POLITE_FOR: Duration = Duration::from_secs(5);
/// Rows between two looks at the clock.
const ROWS_A_LOOK: u32 = 256;
/// Time for the sums of what was imported. A server goes on with the rest.
const MAX_SUMMING: Duration = Duration::from_mins(10);

/// Writes an import, whose users were examined. `rows` gives the rows of usage to the writer.
///
/// # Errors
/// [`StoreError::ChangedMeanwhile`] if another process changed users since then; or an error of the
/// database or of `rows`. If that comes after some rows were written, importing again does the rest.
pub fn write(
    connection: &mut Connection,
    import: (Format, &[ImportUser]),
    examined: &Examined,
    storage: KeyStorage,
    prices: Option<Catalog>,
    rows: impl FnOnce(&mut Writer<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (format, users) = import;
    let connection = &*connection;
    let mut pricer = Pricer::new(prices);
    let open = Transaction::begin(connection)?;
    if examine(connection, format, users)? != *examined {
        return Err(StoreError::ChangedMeanwhile);
    }
    let storage = keys::storage(connection, storage)?;
    let mut writer = Writer {
        connection,
        inserter: RowInserter::new(connection, &mut pricer)?,
        open: Some(open),
        format,
        users: Vec::with_capacity(users.len()),
        reached: HashMap::new(),
        last_row: i64::MIN,
        untimed_rows: 0,
        mark: change_mark(connection)?,
        polite_until: Instant::now(),
    };
    let mut groups = HashMap::new();
    for (user, examined) in users.iter().zip(&examined.users) {
        let written = match examined.fate {
            Fate::Left => None,
            Fate::Here {
                user_id, last_row, ..
            } => Some(writer.add_keys(user, &examined.key_ids, user_id, last_row, storage)?),
            Fate::New => {
                let group_id = group_of(connection, &mut groups, user)?;
                Some(writer.add_user(user, group_id, storage)?)
            }
        };
        writer.users.push(written);
    }
    rows(&mut writer)?;
    writer.complete(users, examined)?;
    sum_up_for(connection, MAX_SUMMING);
    Ok(())
}

/// Writes rows of usage.
pub struct Writer<'c> {
    connection: &'c Connection,
    inserter: RowInserter<'c, 'static>,
    open: Option<Transaction<'c>>,
    format: Format,
    /// The users, in the order of the import; `None` for those who are left out.
    users: Vec<Option<WrittenUser>>,
    /// The number of the last row of each user that was written in this transaction.
    reached: HashMap<usize, i64>,
    /// The largest number of all rows that were seen.
    last_row: i64,
    untimed_rows: u32,
    /// It moves when others write.
    mark: i64,
    polite_until: Instant,
}

/// A user of an import, as the database has it.
struct WrittenUser {
    user_id: i64,
    key_ids: Vec<i64>,
    /// Rows up to this number were booked by an earlier import.
    last_row: i64,
}

impl Writer<'_> {
    /// Books a row of usage, unless an earlier import did.
    ///
    /// # Errors
    /// If the database fails.
    pub fn insert(&mut self, row: &ImportRow) -> Result<(), StoreError> {
        self.last_row = self.last_row.max(row.number);
        let user = self.users.get(row.user).and_then(Option::as_ref);
        let Some(user) = user.filter(|user| row.number > user.last_row) else {
            return Ok(());
        };
        let key_id = row.key.and_then(|key| user.key_ids.get(key).copied());
        let booked = Cow::Owned(usage_row(user.user_id, key_id.unwrap_or(NO_KEY), row));
        match row.cost {
            Some(cost) => self.inserter.insert_with(booked, known(cost), None)?,
            None => self.inserter.insert(booked, None)?,
        }
        self.reached.insert(row.user, row.number);
        self.untimed_rows += 1;
        if self.untimed_rows >= ROWS_A_LOOK {
            self.untimed_rows = 0;
            self.take_turns()?;
        }
        Ok(())
    }

    fn add_user(
        &mut self,
        user: &ImportUser,
        group_id: Option<i64>,
        storage: KeyStorage,
    ) -> Result<WrittenUser, StoreError> {
        let now_ms = now_ms();
        let deleted_at_ms = user.is_deleted.then_some(now_ms);
        let created_at_ms = user.created_at_ms.unwrap_or(now_ms);
        let values = params![user.name.as_str(), group_id, created_at_ms, deleted_at_ms];
        let inserted = self
            .connection
            .query_row(INSERT_USER, values, |row| row.get(0));
        let user_id = inserted?;
        for limit in &user.limits {
            limits::set(self.connection, LimitScope::User(user_id), limit)?;
        }
        let none = vec![None; user.keys.len()];
        self.add_keys(user, &none, user_id, i64::MIN, storage)
    }

    /// Adds those keys of a user that have no id yet, with what was spent with them.
    fn add_keys(
        &mut self,
        user: &ImportUser,
        known: &[Option<i64>],
        user_id: i64,
        last_row: i64,
        storage: KeyStorage,
    ) -> Result<WrittenUser, StoreError> {
        let mut key_ids = Vec::with_capacity(user.keys.len());
        for (key, known) in user.keys.iter().zip(known) {
            let key_id = match known {
                Some(key_id) => *key_id,
                None => self.add_key(user_id, key, storage)?,
            };
            key_ids.push(key_id);
        }
        let written = WrittenUser {
            user_id,
            key_ids,
            last_row,
        };
        self.remember(user, &written, false)?;
        Ok(written)
    }

    fn add_key(
        &mut self,
        user_id: i64,
        key: &ImportKey,
        storage: KeyStorage,
    ) -> Result<i64, StoreError> {
        let now_ms = now_ms();
        let clear = key.clear.as_ref().filter(|_| storage == KeyStorage::Clear);
        let values = params![
            user_id,
            key.hash,
            clear.map(ApiKey::expose),
            key.display,
            key.label,
            key.created_at_ms.unwrap_or(now_ms),
            key.expires_at_ms,
            key.is_stopped.then_some(now_ms),
            key.last_used_at_ms,
        ];
        let inserted = self
            .connection
            .query_row(INSERT_KEY, values, |row| row.get(0));
        let key_id = inserted?;
        if let Some(spend) = key.spend {
            let row = Cow::Owned(spent(user_id, key_id, spend));
            self.inserter.insert_with(row, known(spend.cost), None)?;
        }
        Ok(key_id)
    }

    fn remember(
        &self,
        user: &ImportUser,
        written: &WrittenUser,
        is_complete: bool,
    ) -> Result<(), StoreError> {
        self.connection.prepare_cached(REMEMBER)?.execute(params![
            written.user_id,
            self.format.as_str(),
            user.source_id,
            written.last_row,
            is_complete,
            now_ms()
        ])?;
        Ok(())
    }

    /// Ends a transaction that has lasted long enough, and begins the next one.
    fn take_turns(&mut self) -> Result<(), StoreError> {
        let lasted = self
            .open
            .as_ref()
            .map_or(Duration::ZERO, Transaction::lasted);
        if lasted < MAX_TRANSACTION {
            return Ok(());
        }
        for (user, row) in self.reached.drain() {
            if let Some(Some(written)) = self.users.get(user) {
                let mut statement = self.connection.prepare_cached(REMEMBER_ROW)?;
                statement.execute(params![written.user_id, self.format.as_str(), row])?;
            }
        }
        self.inserter.flush()?;
        if let Some(open) = self.open.take() {
            open.commit()?;
        }
        let mark = change_mark(self.connection)?;
        if mark != self.mark {
            self.mark = mark;
            self.polite_until = Instant::now() + POLITE_FOR;
        }
        let is_alone = Instant::now() >= self.polite_until;
        std::thread::sleep(if is_alone {
            MIN_PAUSE
        } else {
            lasted.clamp(MIN_PAUSE, MAX_PAUSE)
        });
        self.open = Some(Transaction::begin(self.connection)?);
        Ok(())
    }

    /// Lets the keys work, now that all is booked.
    fn complete(mut self, users: &[ImportUser], examined: &Examined) -> Result<(), StoreError> {
        let written = std::mem::take(&mut self.users);
        for ((user, written), examined) in users.iter().zip(written).zip(&examined.users) {
            let Some(written) = written else {
                continue;
            };
            let is_new = match examined.fate {
                Fate::Here { is_complete, .. } => !is_complete,
                Fate::New | Fate::Left => true,
            };
            if is_new {
                let is_active = user.is_active && !user.is_deleted;
                let mut statement = self.connection.prepare_cached(ALLOW)?;
                statement.execute(params![written.user_id, is_active])?;
            }
            let last_row = written.last_row.max(self.last_row);
            let written = WrittenUser {
                last_row,
                ..written
            };
            self.remember(user, &written, true)?;
        }
        self.inserter.flush()?;
        match self.open.take() {
            Some(open) => open.commit(),
            None => Ok(()),
        }
    }
}

fn known(cost: NanoUsd) -> Cost {
    Cost {
        amount: Some(cost),
        price_id: None,
    }
}

/// Returns the row that stands for all that was spent with a key. It has no numbers of tokens, so that
/// it is never priced anew.
fn spent(user_id: i64, key_id: i64, spend: Spend) -> UsageRow {
    UsageRow {
        user_id,
        key_id,
        started_at_ms: spend.at_ms,
        endpoint: IMPORT_ENDPOINT,
        model: IMPORT_MODEL.to_owned(),
        served_model: None,
        usage: Usage::default(),
        service_tier: None,
        is_batch: false,
        estimated: EstimatedTokens::default(),
        status: 200,
        outcome: Outcome::Completed,
        source: UsageSource::None,
        duration_ms: 0,
        wait_ms: 0,
        first_byte_ms: None,
        request_id: None,
        backend_request_id: None,
        hold: None,
    }
}

/// Returns the id of the user's group, which is made if there is none of that name.
fn group_of(
    connection: &Connection,
    known: &mut HashMap<String, i64>,
    user: &ImportUser,
) -> Result<Option<i64>, StoreError> {
    let Some(group) = user.group.as_ref().map(crate::model::UserName::as_str) else {
        return Ok(None);
    };
    if let Some(id) = known.get(group) {
        return Ok(Some(*id));
    }
    let found = connection
        .prepare_cached(FIND_GROUP)?
        .query_row([group], |row| row.get(0))
        .optional()?;
    let id = if let Some(id) = found {
        id
    } else {
        connection.query_row(INSERT_GROUP, params![group, now_ms()], |row| row.get(0))?
    };
    known.insert(group.to_owned(), id);
    Ok(Some(id))
}

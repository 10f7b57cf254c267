//! one-api and its descendant new-api: GORM tables `users`, `tokens` and `logs`. Clients send a token as
//! `sk-` and its key. Amounts are quotas, of which 500,000 are a dollar unless the options say
//! otherwise.

mod logs;

use std::collections::HashMap;

use super::{
    Cell, Import, ImportKey, ImportUser, Table, Wanted,
    decimal::scaled,
    keys::{SHORT_KEYS, can_be_sent, is_short},
    names::{label_of, name_of},
};
use crate::model::{ApiKey, Limit, LimitKind, LimitValue, NanoUsd};

pub use logs::LOGS;

/// The users.
pub const USERS: Table = Table {
    names: &["users"],
    wanted: &[
        Wanted::needed("the id", &["id"]),
        Wanted::needed("the name", &["username"]),
        Wanted::optional("the status", &["status"]),
        Wanted::optional("the group", &["group"]),
        Wanted::optional("the quota that is left", &["quota"]),
        Wanted::optional("when the user was added", &["created_at", "created_time"]),
        Wanted::optional("when the user was deleted", &["deleted_at"]),
    ],
};
const USER_NAME: usize = 1;
const USER_STATUS: usize = 2;
const USER_GROUP: usize = 3;
const USER_QUOTA: usize = 4;
const USER_CREATED: usize = 5;
const USER_DELETED: usize = 6;

/// The keys.
pub const TOKENS: Table = Table {
    names: &["tokens"],
    wanted: &[
        Wanted::needed("the id", &["id"]),
        Wanted::needed("the user", &["user_id"]),
        Wanted::needed("the key", &["key"]),
        Wanted::optional("the status", &["status"]),
        Wanted::optional("the name", &["name"]),
        Wanted::optional("when the key was made", &["created_time", "created_at"]),
        Wanted::optional("when the key was used", &["accessed_time"]),
        Wanted::optional("when the key expires", &["expired_time"]),
        Wanted::optional("the quota that is left", &["remain_quota"]),
        Wanted::optional("whether the quota has no end", &["unlimited_quota"]),
        Wanted::optional("the models", &["models", "model_limits"]),
        Wanted::optional("whether the models are limited", &["model_limits_enabled"]),
        Wanted::optional("the addresses", &["subnet", "allow_ips"]),
        Wanted::optional("when the key was deleted", &["deleted_at"]),
    ],
};
const TOKEN_USER: usize = 1;
const TOKEN_KEY: usize = 2;
const TOKEN_STATUS: usize = 3;
const TOKEN_NAME: usize = 4;
const TOKEN_CREATED: usize = 5;
const TOKEN_USED: usize = 6;
const TOKEN_EXPIRES: usize = 7;
const TOKEN_LEFT: usize = 8;
const TOKEN_UNLIMITED: usize = 9;
const TOKEN_MODELS: usize = 10;
const TOKEN_MODELS_LIMITED: usize = 11;
const TOKEN_ADDRESSES: usize = 12;
const TOKEN_DELETED: usize = 13;

/// The settings, of which one is wanted: how many quotas a dollar has.
pub const OPTIONS: Table = Table {
    names: &["options"],
    wanted: &[
        Wanted::needed("the name", &["key"]),
        Wanted::needed("the value", &["value"]),
    ],
};

/// The values of `status` of users and tokens.
const ENABLED: i64 = 1;
const USER_IS_DELETED: i64 = 3;
const TOKEN_EXPIRED: i64 = 3;
const TOKEN_EXHAUSTED: i64 = 4;

/// The most models of a user. More would be no list that anybody reads.
const MAX_MODELS: usize = 2_000;
/// Millionths of a quota that a dollar has by default.
const DEFAULT_PER_USD: i64 = 500_000_000_000;

/// Reads users, tokens and logs, in this order.
#[derive(Debug)]
pub struct OneApi {
    import: Import,
    users: HashMap<i64, usize>,
    /// What is known of the tokens of each user, in the order of the users.
    tokens: Vec<UserTokens>,
    /// Places of tokens by their id: user and key.
    by_id: HashMap<i64, (usize, usize)>,
    /// Millionths of a quota that a dollar has.
    per_usd: i64,
}

/// The tokens of a user.
#[derive(Debug, Default)]
struct UserTokens {
    /// Place of a key by the name of its token. Of several the first one counts.
    by_name: HashMap<String, usize>,
    /// Number of tokens that work.
    working: usize,
    /// Number of those that have a quota of their own, and what is left of it.
    limited: usize,
    left: i64,
    /// Models that each token with a list of its own may use.
    models: Vec<Vec<String>>,
}

impl Default for OneApi {
    fn default() -> Self {
        Self {
            import: Import::default(),
            users: HashMap::new(),
            tokens: Vec::new(),
            by_id: HashMap::new(),
            per_usd: DEFAULT_PER_USD,
        }
    }
}

impl OneApi {
    /// Takes in a row of [`OPTIONS`].
    pub fn add_option(&mut self, cells: &[Cell<'_>]) {
        if let [Cell::Text("QuotaPerUnit"), value] = cells
            && let Some(text) = value.text()
            && let Ok(per_usd @ 1..) = scaled(&text, 6)
        {
            self.per_usd = per_usd;
        }
    }

    /// Takes in a row of [`USERS`].
    pub fn add_user(&mut self, number: i64, cells: &[Cell<'_>]) {
        let cell = |place: usize| cells.get(place).copied().unwrap_or(Cell::Null);
        let place = format!("users row {number}");
        let Ok(Some(id)) = cell(0).integer() else {
            self.import
                .mistakes
                .push(format!("{place}: the id is no number"));
            return;
        };
        let text = cell(USER_NAME).text().unwrap_or_default();
        let Some((name, is_changed)) = name_of(&text, || format!("user-{id}")) else {
            self.import
                .mistakes
                .push(format!("{place}: the name cannot be used"));
            return;
        };
        let status = cell(USER_STATUS)
            .integer()
            .ok()
            .flatten()
            .unwrap_or(ENABLED);
        let is_deleted = status == USER_IS_DELETED || cell(USER_DELETED) != Cell::Null;
        if is_changed {
            let notes = &mut self.import.notes;
            notes.add("names that had to be changed", || {
                format!("{place}: {:?}", name.as_str())
            });
        }
        let group = cell(USER_GROUP).text();
        let group = group.and_then(|group| name_of(&group, || "group".to_owned()));
        let left = cell(USER_QUOTA).integer().ok().flatten();
        self.users.insert(id, self.import.users.len());
        self.tokens.push(UserTokens::default());
        self.import.users.push(ImportUser {
            source_id: id.to_string(),
            place,
            name,
            group: group.map(|(group, _)| group),
            created_at_ms: cell(USER_CREATED).time_ms().ok().flatten(),
            is_active: status == ENABLED && !is_deleted,
            is_deleted,
            is_left_out: false,
            keys: Vec::new(),
            limits: Vec::new(),
            left: left.map(|quota| self.cost_of(quota)),
        });
    }

    /// Takes in a row of [`TOKENS`].
    pub fn add_token(&mut self, number: i64, cells: &[Cell<'_>]) {
        let cell = |place: usize| cells.get(place).copied().unwrap_or(Cell::Null);
        let integer = |place: usize| cell(place).integer().ok().flatten();
        let place = || format!("tokens row {number}");
        let notes = &mut self.import.notes;
        let user = integer(TOKEN_USER).and_then(|id| self.users.get(&id).copied());
        let Some(user) = user.filter(|user| !self.import.users[*user].is_deleted) else {
            notes.add("keys left out, because their user is gone", place);
            return;
        };
        // GORM pads nothing, but PostgreSQL's char(48) does, and dumps of it keep the spaces.
        let text = cell(TOKEN_KEY).text().unwrap_or_default();
        let text = text.trim();
        let text = text.strip_prefix("sk-").unwrap_or(text);
        if !can_be_sent(text) {
            notes.add(
                "keys left out, because they are empty or no header can carry them",
                place,
            );
            return;
        }
        let mut key = ImportKey::of_clear(ApiKey::from_text(format!("sk-{text}")));
        if is_short(&key) {
            notes.add(SHORT_KEYS, place);
        }
        let name = cell(TOKEN_NAME).text().unwrap_or_default();
        key.label = label_of(&name);
        key.created_at_ms = cell(TOKEN_CREATED).time_ms().ok().flatten();
        key.last_used_at_ms = cell(TOKEN_USED).time_ms().ok().flatten();
        // -1 is never; 0 is what some versions write for the same.
        key.expires_at_ms = integer(TOKEN_EXPIRES)
            .filter(|expires| *expires > 0)
            .and_then(|_| cell(TOKEN_EXPIRES).time_ms().ok().flatten());
        let status = integer(TOKEN_STATUS).unwrap_or(ENABLED);
        let is_limited = !cell(TOKEN_UNLIMITED).flag().unwrap_or(false);
        let left = integer(TOKEN_LEFT);
        let is_used_up =
            status == TOKEN_EXHAUSTED || is_limited && left.is_some_and(|left| left <= 0);
        let is_deleted = cell(TOKEN_DELETED) != Cell::Null;
        let has_expired = status == TOKEN_EXPIRED && key.expires_at_ms.is_some();
        key.is_stopped = is_deleted || is_used_up || !(status == ENABLED || has_expired);
        match status {
            _ if is_deleted => notes.add("keys that were deleted come as revoked ones", place),
            _ if is_used_up => {
                notes.add(
                    "keys whose own quota is used up come as revoked ones",
                    place,
                );
            }
            _ if key.is_stopped => notes.add("keys that are disabled come as revoked ones", place),
            _ => {}
        }
        if cell(TOKEN_ADDRESSES)
            .text()
            .is_some_and(|list| !list.trim().is_empty())
        {
            notes.add(
                "keys that may be used from some addresses only come without that rule",
                place,
            );
        }
        let works = !key.is_stopped && !has_expired;
        let tokens = &mut self.tokens[user];
        if works {
            tokens.working += 1;
            if let (true, Some(left)) = (is_limited, left) {
                tokens.limited += 1;
                tokens.left = tokens.left.saturating_add(left);
            }
            let is_listed = cell(TOKEN_MODELS_LIMITED).flag().unwrap_or(true);
            let models = cell(TOKEN_MODELS)
                .text()
                .filter(|_| is_listed)
                .unwrap_or_default();
            let models: Vec<String> = models
                .split(',')
                .map(|model| model.trim().to_owned())
                .filter(|model| !model.is_empty())
                .collect();
            if !models.is_empty() {
                tokens.models.push(models);
            }
        }
        let keys = &mut self.import.users[user].keys;
        tokens
            .by_name
            .entry(name.into_owned())
            .or_insert(keys.len());
        if let Some(id) = integer(0) {
            self.by_id.insert(id, (user, keys.len()));
        }
        keys.push(key);
    }

    /// Ends the reading of users and tokens: limits of tokens become those of their users, because a
    /// key has none of its own here.
    pub fn end_of_tokens(&mut self) {
        for user in 0..self.tokens.len() {
            let left = self.cost_of(self.tokens[user].left);
            let tokens = &mut self.tokens[user];
            let entry = &mut self.import.users[user];
            let place = || entry.place.clone();
            if tokens.limited > 0 && tokens.limited == tokens.working {
                // What the keys may use together is the least that the user may.
                entry.left = Some(entry.left.map_or(left, |of_user| of_user.min(left)));
                if tokens.limited > 1 {
                    self.import.notes.add(QUOTAS_TOGETHER, place);
                }
            } else if tokens.limited > 0 {
                self.import.notes.add(QUOTAS_LOST, place);
            }
            if entry.is_deleted {
                entry.left = None;
            }
            let mut models: Vec<String> = tokens.models.concat();
            models.sort();
            models.dedup();
            if models.is_empty() {
                continue;
            }
            if tokens.models.len() < tokens.working {
                self.import.notes.add(MODELS_LOST, place);
            } else if models.len() > MAX_MODELS {
                let mistake = format!("{}: more than {MAX_MODELS} models", entry.place);
                self.import.mistakes.push(mistake);
            } else {
                if tokens.models.len() > 1 {
                    self.import.notes.add(MODELS_TOGETHER, place);
                }
                entry.limits.push(Limit {
                    kind: LimitKind::Models,
                    value: LimitValue::Patterns(models),
                    is_watched: false,
                });
            }
        }
    }

    /// Returns the users so far, which the rows of [`LOGS`] belong to.
    pub fn take_import(&mut self) -> Import {
        std::mem::take(&mut self.import)
    }

    /// Returns what a quota is in dollars, rounded half away from zero.
    fn cost_of(&self, quota: i64) -> NanoUsd {
        let nanos = i128::from(quota) * 1_000_000_000 * 1_000_000;
        let per_usd = i128::from(self.per_usd);
        let half = per_usd / 2 * nanos.signum();
        let max = i128::from(i64::MAX);
        let nanos = ((nanos + half) / per_usd).clamp(-max, max);
        NanoUsd(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

const QUOTAS_TOGETHER: &str =
    "users with several keys that have a quota each: the user gets the sum as a budget";
const QUOTAS_LOST: &str =
    "users with keys with and without a quota: only the user's own quota comes";
const MODELS_TOGETHER: &str =
    "users with several keys that have a list of models each: the user may use all of them";
const MODELS_LOST: &str =
    "users with keys with and without a list of models: the user may use all models";

#[cfg(test)]
mod tests;

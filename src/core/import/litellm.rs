//! LiteLLM's virtual keys: the table `LiteLLM_VerificationToken` as CSV or JSON, or what `/key/list`
//! answers. LiteLLM keeps the SHA-256 of a key, which is what keys are looked up by here, too. Of past
//! usage it keeps one sum a key.

mod budget;
mod csv_file;
mod json_file;
mod limits;
mod record;

use std::collections::HashMap;

use super::{
    Import, ImportError, ImportKey, ImportUser, Spend,
    cell::{flag, time_ms},
    decimal::{MAX_NANO_USD, scaled},
    keys::{SHORT_KEYS, can_be_sent, hash_display, hash_of, is_short},
    names::{label_of, name_of},
};
use crate::model::{ApiKey, Calendar, NanoUsd, UserName};

use budget::Windowed;
use limits::{Merged, limits_of};
use record::Record;

/// The team of the keys that LiteLLM's dashboard makes for its own sessions.
const DASHBOARD_TEAM: &str = "litellm-dashboard";
const LIMITS_LOST: &str =
    "limits left out, because another key of the same user has none of that kind";

/// Reads a file: JSON if it begins like that, or else CSV.
///
/// # Errors
/// [`ImportError`] with the line of the first thing that cannot be read.
pub fn read(bytes: &[u8], calendar: &Calendar, now_ms: i64) -> Result<Import, ImportError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let records = match first {
        None => return Err(ImportError::Empty),
        Some(b'{' | b'[') => json_file::records(bytes)?,
        Some(_) => csv_file::records(bytes)?,
    };
    let mut reader = Reader {
        import: Import::default(),
        users: HashMap::new(),
        calendar,
        now_ms,
    };
    let shared_names = shared_key_names(&records);
    for record in &records {
        reader.add(record, &shared_names);
    }
    Ok(reader.finish())
}

/// Names of keys, such as `sk-...abcd`, that stand for several users.
fn shared_key_names(records: &[Record]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for name in records.iter().filter_map(|record| record.text("key_name")) {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts.retain(|_, count| *count > 1);
    counts
}

/// Makes users of records: one for each alias, or else for each user id, or else for each key.
struct Reader<'c> {
    import: Import,
    users: HashMap<String, OneUser>,
    calendar: &'c Calendar,
    now_ms: i64,
}

/// The keys of one user.
struct OneUser {
    /// Place of the user in the import.
    place: usize,
    /// The limits of the keys that work, and of the others.
    working: Merged,
    stopped: Merged,
}

impl Reader<'_> {
    fn add(&mut self, record: &Record, shared_names: &HashMap<String, usize>) {
        let place = || record.place();
        if record.text("team_id") == Some(DASHBOARD_TEAM) {
            let what = "keys of LiteLLM's own dashboard left out";
            self.import.notes.add(what, place);
            return;
        }
        let key = match key_of(record) {
            Ok(key) => key,
            Err(reason) => {
                self.import.mistakes.push(format!("{}: {reason}", place()));
                return;
            }
        };
        if is_short(&key) {
            self.import.notes.add(SHORT_KEYS, place);
        }
        let mut key = self.complete(record, key);
        let limits = match limits_of(record, &mut self.import.notes) {
            Ok(limits) => limits,
            Err(column) => {
                let text = record.limit(column).unwrap_or_default();
                let mistake = format!("{}: {column} is no number: {text:?}", place());
                self.import.mistakes.push(mistake);
                return;
            }
        };
        for (column, what) in LOST {
            if record.is_set(column) {
                self.import.notes.add(what, place);
            }
        }
        let Some(name) = self.name_of(record, &key, shared_names) else {
            let mistake = format!("{}: no name can be made for its user", place());
            self.import.mistakes.push(mistake);
            return;
        };
        let source_id = name.as_str().to_owned();
        // Whose key it was, where the alias has become the user.
        let owner = record.text("user_id").filter(|owner| *owner != source_id);
        key.label = owner.and_then(label_of);
        let works = !key.is_stopped && key.expires_at_ms.is_none_or(|end| end > self.now_ms);
        let users = &mut self.import.users;
        let one = self
            .users
            .entry(source_id.clone())
            .or_insert_with(|| OneUser {
                place: users.len(),
                working: Merged::default(),
                stopped: Merged::default(),
            });
        let merged = if works {
            &mut one.working
        } else {
            &mut one.stopped
        };
        merged.add(limits);
        if one.place == users.len() {
            let team = record.text("team_alias").or(record.text("team_id"));
            let team = team.and_then(|team| name_of(team, || "team".to_owned()));
            users.push(ImportUser {
                source_id,
                place: place(),
                name,
                group: team.map(|(team, _)| team),
                created_at_ms: key.created_at_ms,
                is_active: true,
                is_deleted: false,
                is_left_out: false,
                keys: Vec::new(),
                limits: Vec::new(),
                left: None,
            });
        }
        let user = &mut users[one.place];
        if !user.keys.is_empty() {
            self.import
                .notes
                .add("keys that share a user with another key", place);
        }
        user.keys.push(key);
    }

    /// Adds to a key what its record says of times and spending.
    fn complete(&mut self, record: &Record, mut key: ImportKey) -> ImportKey {
        let notes = &mut self.import.notes;
        let mut time = |column: &str| {
            let text = record.text(column)?;
            let at_ms = time_ms(text);
            if at_ms.is_none() {
                notes.add("times of keys that cannot be read", || {
                    format!("{}: {column}", record.place())
                });
            }
            at_ms
        };
        key.created_at_ms = time("created_at");
        key.last_used_at_ms = time("last_active");
        let updated_at_ms = time("updated_at");
        let resets_at_ms = time("budget_reset_at");
        key.expires_at_ms = time("expires");
        if record.is_set("expires") && key.expires_at_ms.is_none() {
            // A key that must end must not live for ever.
            key.is_stopped = true;
        }
        if record.text("blocked").and_then(flag) == Some(true) {
            notes.add("keys that are blocked come as revoked ones", || {
                record.place()
            });
            key.is_stopped = true;
        }
        let spend = record.text("spend").map(|text| scaled(text, 9));
        key.spend = match spend {
            None | Some(Ok(..=0)) => None,
            Some(Ok(nanos)) if nanos <= MAX_NANO_USD => {
                let last_ms = key.last_used_at_ms.or(updated_at_ms);
                let window = record.text("budget_duration").map(budget::window_of);
                Some(Spend {
                    cost: NanoUsd(nanos),
                    at_ms: self.spent_at_ms(last_ms, resets_at_ms, window),
                })
            }
            Some(_) => {
                notes.add(
                    "amounts of spend left out, because they cannot be read",
                    || record.place(),
                );
                None
            }
        };
        key
    }

    /// Returns when a sum is booked: when the key was last used, but in the window that it is of. The
    /// budget of this window counts it then, and no other.
    fn spent_at_ms(
        &self,
        last_ms: Option<i64>,
        resets_at_ms: Option<i64>,
        window: Option<Windowed>,
    ) -> i64 {
        let at_ms = last_ms.unwrap_or(self.now_ms).min(self.now_ms);
        let Some(window) = window else {
            return at_ms;
        };
        match resets_at_ms {
            // The window is over, and LiteLLM has not reset the sum yet.
            Some(resets_at_ms) if resets_at_ms <= self.now_ms => at_ms.min(resets_at_ms - 1),
            _ => {
                let start_ms = window.period().map(|period| {
                    let range = self.calendar.range(period, self.now_ms, 0);
                    range.start_ms().unwrap_or(i64::MIN)
                });
                at_ms.max(start_ms.unwrap_or(i64::MIN))
            }
        }
    }

    /// Returns the name of the user of a key: the alias of the key, or else the user's id, or else the
    /// key's own name, such as `sk-...abcd`.
    fn name_of(
        &mut self,
        record: &Record,
        key: &ImportKey,
        shared_names: &HashMap<String, usize>,
    ) -> Option<UserName> {
        let hash = data_encoding::HEXLOWER.encode(&key.hash[..4]);
        let by_key = || match short_name(record) {
            Some(name) if !shared_names.contains_key(name) => name.to_owned(),
            Some(name) => format!("{name} ({hash})"),
            None => format!("key-{hash}"),
        };
        let given = record.text("key_alias").or(record.text("user_id"));
        let text = given.map_or_else(by_key, str::to_owned);
        let (name, is_changed) = name_of(&text, || format!("key-{hash}"))?;
        if is_changed {
            let notes = &mut self.import.notes;
            notes.add("names that had to be changed", || {
                format!("{}: {:?}", record.place(), name.as_str())
            });
        }
        Some(name)
    }

    /// Gives users the limits of their keys.
    fn finish(mut self) -> Import {
        let mut users: Vec<OneUser> = self.users.into_values().collect();
        users.sort_by_key(|one| one.place);
        for one in users {
            let user = &mut self.import.users[one.place];
            let merged = if one.working.is_empty() {
                one.stopped
            } else {
                one.working
            };
            let (of_all, of_some) = merged.split();
            for limit in of_some {
                let place = || format!("{}: {}", user.place, limit.described());
                self.import.notes.add(LIMITS_LOST, place);
            }
            user.limits = of_all;
        }
        self.import
    }
}

/// Columns with rules that have no counterpart here, and what a note says of them.
const LOST: [(&str, &str); 4] = [
    ("model_max_budget", "budgets for single models left out"),
    ("allowed_routes", "lists of allowed routes left out"),
    ("budget_limits", "further budgets left out"),
    ("access_group_ids", "access groups left out"),
];

/// Returns the name of a key if it is one that hides most of the key, such as `sk-...abcd`.
fn short_name(record: &Record) -> Option<&str> {
    let name = record.text("key_name")?;
    let is_short = name.len() <= 20 && name.contains("...") && can_be_sent(name);
    is_short.then_some(name)
}

fn key_of(record: &Record) -> Result<ImportKey, &'static str> {
    let token = record.text("token").or(record.text("key"));
    let token = token.ok_or("it has no token")?;
    if let Some(hash) = hash_of(token) {
        let display = match short_name(record) {
            Some(name) => name.replace("...", "…"),
            None => hash_display(token),
        };
        return Ok(ImportKey::of_hash(hash, display));
    }
    if token.starts_with("sk-") && can_be_sent(token) {
        return Ok(ImportKey::of_clear(ApiKey::from_text(token)));
    }
    Err("the token is neither a SHA-256 in hexadecimal digits nor a key that begins with sk-")
}

#[cfg(test)]
mod tests;

//! LiteLLM's virtual keys: the table `LiteLLM_VerificationToken` as CSV or JSON, or what `/key/list`
//! answers. LiteLLM keeps the SHA-256 of a key, which is what keys are looked up by here, too. Of past
//! usage it keeps one sum a key.

mod budget;
mod csv_file;
mod json_file;
mod record;

use std::collections::HashMap;

use super::{
    Import, ImportError, ImportKey, ImportUser, Spend,
    cell::{flag, time_ms},
    decimal::{MAX_NANO_USD, scaled},
    keys::{SHORT_KEYS, can_be_sent, hash_display, hash_of, is_short},
    names::name_of,
};
use crate::model::{ApiKey, Calendar, Limit, LimitKind, LimitValue, NanoUsd, UserName};

use budget::Windowed;
use record::Record;

/// The team of the keys that LiteLLM's dashboard makes for its own sessions.
const DASHBOARD_TEAM: &str = "litellm-dashboard";
/// Words in the list of models that stand for no list.
const ALL_MODELS: [&str; 3] = ["all-team-models", "all-proxy-models", "*"];
/// The word in the list of models that stands for none.
const NO_MODELS: &str = "no-default-models";
/// The largest limit of a rate, as everywhere here.
const MAX_RATE: i64 = 1_000_000_000_000;

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
    users: HashMap<String, Merged>,
    calendar: &'c Calendar,
    now_ms: i64,
}

/// The limits of the keys of one user.
struct Merged {
    user: usize,
    /// For each kind of limit the number of keys that have it, and the limit of all together.
    limits: Vec<(usize, Limit)>,
    keys: usize,
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
        let key = self.complete(record, key);
        let limits = self.limits_of(record);
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
        let known = self.users.len();
        let users = &mut self.import.users;
        let merged = self
            .users
            .entry(source_id.clone())
            .or_insert_with(|| Merged {
                user: known,
                limits: Vec::new(),
                keys: 0,
            });
        merged.add(limits);
        if merged.user == users.len() {
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
        let user = &mut users[merged.user];
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

    fn limits_of(&mut self, record: &Record) -> Vec<Limit> {
        let notes = &mut self.import.notes;
        let mut limits = Vec::new();
        let mut unread = |column: &str| {
            notes.add("limits left out, because they cannot be read", || {
                format!("{}: {column}", record.place())
            });
        };
        if let Some(text) = record.limit("max_budget") {
            match scaled(text, 9) {
                Ok(amount) if amount >= 0 => {
                    let duration = record.limit("budget_duration");
                    let window = duration.map_or(Windowed::TOTAL, budget::window_of);
                    limits.push(window.limit(amount));
                    limits.push(amount_limit(LimitKind::AllowUnpriced, 1));
                }
                _ if text.to_ascii_lowercase().contains("inf") => {}
                _ => unread("max_budget"),
            }
        }
        for (column, kind) in RATES {
            match record.limit(column).map(|text| scaled(text, 0)) {
                None => {}
                Some(Ok(amount @ 0..)) => limits.push(amount_limit(kind, amount.min(MAX_RATE))),
                Some(_) => unread(column),
            }
        }
        let inexact = record
            .limit("max_budget")
            .and(record.limit("budget_duration"));
        if let Some(duration) = inexact
            && !budget::window_of(duration).is_exact
        {
            notes.add(INEXACT, || {
                let window = budget::window_of(duration);
                format!("{}: {duration} → {}", record.place(), window.word())
            });
        }
        let models = record.list("models");
        if models.iter().any(|model| model == NO_MODELS) {
            limits.push(patterns(LimitKind::DenyModels, vec!["*".to_owned()]));
        } else if models.iter().any(|model| model == "all-team-models") {
            notes.add(
                "keys that may use the models of their team: set them on the group",
                || record.place(),
            );
        }
        let is_open = models
            .iter()
            .any(|model| ALL_MODELS.contains(&model.as_str()));
        if !models.is_empty()
            && !is_open
            && limits
                .iter()
                .all(|limit| limit.kind != LimitKind::DenyModels)
        {
            limits.push(patterns(LimitKind::Models, models));
        }
        limits
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
        let by_key = || match record.text("key_name") {
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
        let mut merged: Vec<Merged> = self.users.into_values().collect();
        merged.sort_by_key(|merged| merged.user);
        for merged in merged {
            let user = &mut self.import.users[merged.user];
            for (count, limit) in merged.limits {
                let is_for_all = count == merged.keys || limit.kind == LimitKind::AllowUnpriced;
                if is_for_all {
                    user.limits.push(limit);
                } else {
                    let what = "limits left out, because another key of the same user has none of that kind";
                    let place = || format!("{}: {} {limit}", user.place, limit.kind.name());
                    self.import.notes.add(what, place);
                }
            }
        }
        self.import
    }
}

impl Merged {
    /// Adds the limits of a further key: amounts are summed, and lists of models joined.
    fn add(&mut self, limits: Vec<Limit>) {
        self.keys += 1;
        for limit in limits {
            let same = self
                .limits
                .iter_mut()
                .find(|(_, known)| known.kind == limit.kind);
            let Some((count, known)) = same else {
                self.limits.push((1, limit));
                continue;
            };
            *count += 1;
            match (&mut known.value, limit.value) {
                (LimitValue::Amount(_), _) if limit.kind == LimitKind::AllowUnpriced => {}
                (LimitValue::Amount(sum), LimitValue::Amount(amount)) => {
                    *sum = sum.saturating_add(amount).min(Limit::MAX_BUDGET);
                }
                (LimitValue::Patterns(all), LimitValue::Patterns(more)) => {
                    all.extend(more);
                    all.sort();
                    all.dedup();
                }
                _ => {}
            }
        }
    }
}

/// Rates, and the columns that have them.
const RATES: [(&str, LimitKind); 3] = [
    ("rpm_limit", LimitKind::RequestsPerMinute),
    ("tpm_limit", LimitKind::TokensPerMinute),
    ("max_parallel_requests", LimitKind::Concurrent),
];

/// Columns with rules that have no counterpart here, and what a note says of them.
const LOST: [(&str, &str); 4] = [
    ("model_max_budget", "budgets for single models left out"),
    ("allowed_routes", "lists of allowed routes left out"),
    ("budget_limits", "further budgets left out"),
    ("access_group_ids", "access groups left out"),
];

const INEXACT: &str =
    "budgets whose time has no counterpart: the same amount for the next longer time";

fn amount_limit(kind: LimitKind, amount: i64) -> Limit {
    Limit {
        kind,
        value: LimitValue::Amount(amount),
        is_watched: false,
    }
}

/// Returns a limit of names. A comma would part one name into two.
fn patterns(kind: LimitKind, mut names: Vec<String>) -> Limit {
    names.retain(|name| !name.contains(','));
    names.sort();
    names.dedup();
    Limit {
        kind,
        value: LimitValue::Patterns(names),
        is_watched: false,
    }
}

fn key_of(record: &Record) -> Result<ImportKey, &'static str> {
    let token = record.text("token").or(record.text("key"));
    let token = token.ok_or("it has no token")?;
    if let Some(hash) = hash_of(token) {
        let display = match record.text("key_name") {
            Some(name) if name.chars().count() <= 20 => name.replace("...", "…"),
            _ => hash_display(token),
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

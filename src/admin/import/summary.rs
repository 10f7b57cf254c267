//! What an import brings: counted while its rows are read.

use serde::Serialize;

use crate::{
    import::{Format, Import, ImportRow, ImportUser, Note},
    model::{Limit, NanoUsd},
    store::imports::{Examined, ExaminedUser, Fate},
};

/// What came, or would come.
#[derive(Debug, Default, Serialize)]
pub struct ImportSummary {
    /// Nothing was written.
    pub is_dry_run: bool,
    pub format: &'static str,
    pub new_users: i64,
    /// Users who are here already.
    pub known_users: i64,
    pub left_out_users: i64,
    pub new_groups: i64,
    pub new_keys: i64,
    pub known_keys: i64,
    pub new_limits: i64,
    pub new_rows: u64,
    /// Rows that an earlier import booked.
    pub known_rows: u64,
    /// The sums from here on are those of the new rows.
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub output_tokens: u64,
    pub cost_usd: NanoUsd,
    /// Rows whose model has no price.
    pub unpriced_rows: u64,
    pub users: Vec<ImportedUser>,
    pub notes: Vec<Note>,
}

/// What comes of one user.
#[derive(Debug, Serialize)]
pub struct ImportedUser {
    pub username: String,
    pub group: Option<String>,
    /// `new`, `known` or `left_out`.
    pub fate: &'static str,
    pub is_active: bool,
    pub is_deleted: bool,
    /// First and last characters of the new keys.
    pub new_keys: Vec<String>,
    pub limits: Vec<String>,
    pub new_rows: u64,
    pub total_tokens: u64,
    pub cost_usd: NanoUsd,
}

/// Counts the rows of an import.
pub(super) struct Tally {
    users: Vec<UserTally>,
    seen: u64,
    known_rows: u64,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    unpriced_rows: u64,
}

/// The sums of one user.
#[derive(Clone, Copy)]
struct UserTally {
    /// Rows up to this number were booked by an earlier import; `None` if none is booked at all.
    last_row: Option<i64>,
    new_rows: u64,
    tokens: u64,
    cost: NanoUsd,
}

impl Tally {
    /// Begins with what was spent with new keys.
    pub(super) fn new(import: &Import, examined: &Examined) -> Self {
        let user = |(user, examined): (&ImportUser, &ExaminedUser)| {
            let last_row = match examined.fate {
                Fate::New => Some(i64::MIN),
                Fate::Here { last_row, .. } => Some(last_row),
                Fate::Left => None,
            };
            let mut tally = UserTally {
                last_row,
                new_rows: 0,
                tokens: 0,
                cost: NanoUsd(0),
            };
            let new = user.keys.iter().zip(&examined.key_ids);
            let new = new.filter(|(_, id)| id.is_none() && last_row.is_some());
            for spend in new.filter_map(|(key, _)| key.spend) {
                tally.new_rows += 1;
                tally.cost = tally.cost.saturating_add(spend.cost);
            }
            tally
        };
        Self {
            users: import.users.iter().zip(&examined.users).map(user).collect(),
            seen: 0,
            known_rows: 0,
            input_tokens: 0,
            cached_tokens: 0,
            output_tokens: 0,
            unpriced_rows: 0,
        }
    }

    /// Counts a row.
    pub(super) fn add(&mut self, row: &ImportRow, cost: Option<NanoUsd>) {
        self.seen += 1;
        let Some(user) = self.users.get_mut(row.user) else {
            return;
        };
        let Some(last_row) = user.last_row else {
            return;
        };
        if row.number <= last_row {
            self.known_rows += 1;
            return;
        }
        let usage = &row.usage;
        user.new_rows += 1;
        user.tokens += usage.input + usage.output;
        user.cost = user.cost.saturating_add(cost.unwrap_or_default());
        self.input_tokens += usage.input;
        self.cached_tokens += usage.cached;
        self.output_tokens += usage.output;
        self.unpriced_rows += u64::from(cost.is_none());
    }

    /// Returns the number of rows that were counted.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Returns the number of new rows of a user.
    pub(super) fn rows_of(&self, user: usize) -> u64 {
        self.users[user].new_rows
    }

    /// Returns the cost of the new rows of a user.
    pub(super) fn cost_of(&self, user: usize) -> NanoUsd {
        self.users[user].cost
    }

    /// Returns a number that all new rows are behind.
    pub(super) fn first_new_row(&self) -> i64 {
        let last_rows = self.users.iter().filter_map(|user| user.last_row);
        last_rows.min().unwrap_or(i64::MAX)
    }

    pub(super) fn into_summary(
        self,
        format: Format,
        import: &Import,
        examined: &Examined,
    ) -> ImportSummary {
        let mut summary = ImportSummary {
            format: format.as_str(),
            known_rows: self.known_rows,
            input_tokens: self.input_tokens,
            cached_tokens: self.cached_tokens,
            output_tokens: self.output_tokens,
            unpriced_rows: self.unpriced_rows,
            ..ImportSummary::default()
        };
        let users = import.users.iter().zip(&examined.users).zip(&self.users);
        for ((user, examined), tally) in users {
            let (fate, count) = match examined.fate {
                Fate::New => ("new", &mut summary.new_users),
                Fate::Here { .. } => ("known", &mut summary.known_users),
                Fate::Left => ("left_out", &mut summary.left_out_users),
            };
            *count += 1;
            let comes = fate != "left_out";
            let mut new_keys = Vec::new();
            for (key, id) in user.keys.iter().zip(&examined.key_ids) {
                if id.is_some() {
                    summary.known_keys += 1;
                } else if comes {
                    summary.new_keys += 1;
                    new_keys.push(key.display.clone());
                }
            }
            let limits: Vec<String> = match examined.fate {
                Fate::New => user.limits.iter().map(Limit::described).collect(),
                _ => Vec::new(),
            };
            summary.new_limits += i64::try_from(limits.len()).unwrap_or(0);
            summary.new_rows += tally.new_rows;
            summary.cost_usd = summary.cost_usd.saturating_add(tally.cost);
            summary.users.push(ImportedUser {
                username: user.name.as_str().to_owned(),
                group: user.group.as_ref().map(|group| group.as_str().to_owned()),
                fate,
                is_active: user.is_active,
                is_deleted: user.is_deleted,
                new_keys,
                limits,
                new_rows: tally.new_rows,
                total_tokens: tally.tokens,
                cost_usd: tally.cost,
            });
        }
        summary
    }
}

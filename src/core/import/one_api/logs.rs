//! The rows of `logs`, of which those of type 2 are usage.

use serde::Deserialize;

use super::OneApi;
use crate::{
    import::{
        Cell, ImportRow, Notes, Table, Wanted, decimal::MAX_NANO_USD, error::BadCell,
        names::model_of, notes::NO_USER,
    },
    model::{Usage, UsageClasses},
};

/// The logs.
pub const LOGS: Table = Table {
    names: &["logs"],
    wanted: &[
        Wanted::needed("the user", &["user_id"]),
        Wanted::needed("the time", &["created_at"]),
        Wanted::needed("the type", &["type"]),
        Wanted::needed("the model", &["model_name"]),
        Wanted::needed("the quota", &["quota"]),
        Wanted::needed("the input tokens", &["prompt_tokens"]),
        Wanted::needed("the output tokens", &["completion_tokens"]),
        Wanted::optional("the id of the key", &["token_id"]),
        Wanted::optional("the name of the key", &["token_name"]),
        Wanted::optional("the duration in milliseconds", &["elapsed_time"]),
        Wanted::optional("the duration in seconds", &["use_time"]),
        Wanted::optional("the further figures", &["other"]),
    ],
};
const USER: usize = 0;
const TIME: usize = 1;
const TYPE: usize = 2;
const MODEL: usize = 3;
const QUOTA: usize = 4;
const INPUT: usize = 5;
const OUTPUT: usize = 6;
const TOKEN: usize = 7;
const TOKEN_NAME: usize = 8;
const ELAPSED_MS: usize = 9;
const USE_S: usize = 10;
const OTHER: usize = 11;

/// The values of `type` that are usage, and that give a quota back.
const CONSUME: i64 = 2;
const REFUND: i64 = 6;

/// The members of `other` that are figures of usage, as new-api writes them.
#[derive(Debug, Default, Deserialize)]
struct Other {
    #[serde(default)]
    cache_tokens: f64,
    #[serde(default)]
    cache_creation_tokens: f64,
    #[serde(default)]
    cache_creation_tokens_5m: f64,
    #[serde(default)]
    cache_creation_tokens_1h: f64,
    /// The prompt tokens are without those of the cache, as Anthropic counts.
    #[serde(default)]
    claude: bool,
    /// Milliseconds to the first byte.
    #[serde(default)]
    frt: f64,
}

impl OneApi {
    /// Reads a row of [`LOGS`]. One that cannot be booked is noted; those that are no usage are not.
    pub fn row(&self, number: i64, cells: &[Cell<'_>], notes: &mut Notes) -> Option<ImportRow> {
        let cell = |place: usize| cells.get(place).copied().unwrap_or(Cell::Null);
        let place = || format!("logs row {number}");
        match cell(TYPE).integer() {
            Ok(Some(CONSUME)) => {}
            Ok(Some(REFUND)) => {
                notes.add(
                    "refunds left out: the other program has them in no sum either",
                    place,
                );
                return None;
            }
            _ => return None,
        }
        let id = cell(USER).integer().ok().flatten();
        let Some(user) = id.and_then(|id| self.users.get(&id).copied()) else {
            notes.add(NO_USER, place);
            return None;
        };
        match self.row_of(number, user, &cell) {
            Ok(row) => Some(row),
            Err(bad) => {
                notes.add(bad.note(), place);
                None
            }
        }
    }

    fn row_of<'c>(
        &self,
        number: i64,
        user: usize,
        cell: &impl Fn(usize) -> Cell<'c>,
    ) -> Result<ImportRow, BadCell> {
        let cost = self.cost_of(cell(QUOTA).integer()?.unwrap_or(0));
        if cost.0.abs() > MAX_NANO_USD {
            return Err(BadCell::TooLarge);
        }
        let other = match cell(OTHER) {
            Cell::Text(text) if text.contains("cache") || text.contains("frt") => {
                serde_json::from_str(text).unwrap_or_default()
            }
            _ => Other::default(),
        };
        let usage = other.usage(cell(INPUT).count()?, cell(OUTPUT).count()?);
        let duration_ms = match cell(ELAPSED_MS).count().unwrap_or(0) {
            0 => cell(USE_S).count().unwrap_or(0).saturating_mul(1_000),
            elapsed_ms => elapsed_ms,
        };
        let first_byte_ms = whole(other.frt).filter(|ms| *ms > 0);
        Ok(ImportRow {
            number,
            user,
            key: self.key_of(user, cell(TOKEN), cell(TOKEN_NAME)),
            started_at_ms: cell(TIME).time_ms()?.ok_or(BadCell::NotATime)?,
            model: model_of(&cell(MODEL).text().unwrap_or_default()),
            usage,
            cost: Some(cost),
            status: 200,
            duration_ms: i64::try_from(duration_ms).unwrap_or(0),
            first_byte_ms: first_byte_ms.and_then(|ms| i64::try_from(ms).ok()),
        })
    }

    /// Returns the place of a key among those of its user, by id or else by name.
    fn key_of(&self, user: usize, id: Cell<'_>, name: Cell<'_>) -> Option<usize> {
        let by_id = id.integer().ok().flatten();
        let by_id = by_id.and_then(|id| self.by_id.get(&id));
        if let Some((owner, key)) = by_id
            && *owner == user
        {
            return Some(*key);
        }
        let name = name.text()?;
        self.tokens[user].by_name.get(name.as_ref()).copied()
    }
}

impl Other {
    fn usage(&self, prompt: u64, output: u64) -> Usage {
        let cached = whole(self.cache_tokens).unwrap_or(0);
        let written_1h = whole(self.cache_creation_tokens_1h).unwrap_or(0);
        let written_5m = whole(self.cache_creation_tokens_5m).unwrap_or(0);
        let written = whole(self.cache_creation_tokens).unwrap_or(0);
        let written_5m = written_5m.max(written.saturating_sub(written_1h));
        let written = written_5m.saturating_add(written_1h);
        let input = if self.claude {
            prompt.saturating_add(cached).saturating_add(written)
        } else {
            prompt
        };
        let cached = cached.min(input);
        let written_5m = written_5m.min(input - cached);
        let written_1h = written_1h.min(input - cached - written_5m);
        Usage {
            input,
            output,
            cached,
            classes: UsageClasses {
                cache_write_5m: written_5m,
                cache_write_1h: written_1h,
                ..UsageClasses::default()
            },
            ..Usage::default()
        }
    }
}

/// Returns a count that Go wrote as a float.
fn whole(number: f64) -> Option<u64> {
    const MAX: f64 = 1e12;
    // The check above keeps the number in the range of the type.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (0.0..=MAX).contains(&number).then_some(number as u64)
}

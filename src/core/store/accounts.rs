//! The accounts of objects that use tokens after their answer has ended, such as batches and
//! background responses. Each is billed once: until then the store keeps what it is taken to have
//! used, afterwards it bills only what passes beyond that.

use super::StoreError;
use crate::model::{
    Account, EstimatedTokens, Extent, ObjectKind, Outcome, Progress, Usage, UsageRow, UsageSource,
};
use crate::store::sql::{Connection, OptionalRow, Row, SqlError, SqlResult, params, signed};
use std::borrow::Cow;

macro_rules! select_pending {
    ($which:literal) => {
        concat!(
            "SELECT id, kind, user_id, made_at_ms, model, served_model, outcome, input_tokens, output_tokens \
             FROM objects WHERE ",
            $which
        )
    };
}

// Index for all but the last two: the primary key of objects.
const ACCOUNT: &str = "SELECT user_id, key_id, made_at_ms, is_settled, model, served_model, outcome, input_tokens, output_tokens \
     FROM objects WHERE id = ?1";
const UPDATE_ACCOUNT: &str = "UPDATE objects SET is_settled = ?2, model = ?3, served_model = ?4, outcome = ?5, input_tokens = ?6, \
     output_tokens = ?7 WHERE id = ?1";
const STATE: &str = "SELECT is_settled, outcome IS NOT NULL AND input_tokens IS NOT NULL FROM objects WHERE id = ?1";
const ONE_PENDING: &str = select_pending!("id = ?1 AND is_settled = 0");
// Index: objects_pending.
const ALL_PENDING: &str = select_pending!(
    "is_settled = 0 AND (made_at_ms, id) > (?1, ?2) ORDER BY made_at_ms, id LIMIT ?3"
);
const EXPIRED: &str = select_pending!(
    "is_settled = 0 AND made_at_ms < ?1 AND outcome IS NOT NULL ORDER BY made_at_ms LIMIT ?2"
);

/// Keeps what an object is taken to have used so far. Returns a row if it must be billed at once,
/// because the account is closed or another object's.
pub(super) fn keep<'r>(
    connection: &Connection,
    account: &Account,
    row: &'r UsageRow,
    progress: Progress,
) -> SqlResult<Option<Cow<'r, UsageRow>>> {
    let Some(known) = KnownAccount::of(connection, account, row)? else {
        let is_lost = account.made_at_ms.is_some() && progress == Progress::End;
        return Ok(is_lost.then_some(Cow::Borrowed(row)));
    };
    if known.is_billed {
        return known.bill_beyond(connection, row, Extent::Cut);
    }
    let kept = known.larger(row);
    write_account(connection, &account.id, false, &kept, Some(kept.usage))?;
    Ok(None)
}

/// Closes the account of an object. Returns the row to insert, if there is anything to bill.
pub(super) fn bill<'r>(
    connection: &Connection,
    account: &Account,
    row: &'r UsageRow,
    extent: Extent,
) -> SqlResult<Option<Cow<'r, UsageRow>>> {
    let Some(known) = KnownAccount::of(connection, account, row)? else {
        // What was just made is another object than the one that is known by its id.
        return Ok(account.made_at_ms.map(|_| Cow::Borrowed(row)));
    };
    let is_first = account.made_at_ms.is_some() && !known.is_kept;
    if known.is_billed && !is_first {
        return known.bill_beyond(connection, row, extent);
    }
    if is_the_backend_s_word(row, extent) {
        write_account(connection, &account.id, true, row, None)?;
        return Ok(Some(known.with_its_key(row)));
    }
    let billed = known.larger(row);
    write_account(connection, &account.id, true, &billed, Some(billed.usage))?;
    Ok(Some(Cow::Owned(billed)))
}

fn is_the_backend_s_word(row: &UsageRow, extent: Extent) -> bool {
    extent == Extent::Complete && row.source == UsageSource::Backend
}

/// The account of an object as it stands.
struct KnownAccount {
    id: String,
    /// The key that the object was made with.
    key_id: i64,
    is_billed: bool,
    /// Whether the object uses tokens after its answer has ended.
    is_kept: bool,
    model: Option<String>,
    served_model: Option<String>,
    /// Input and output tokens that it is taken to have used, or that were billed. `None` if the
    /// backend has reported them.
    tokens: Option<(u64, u64)>,
}

impl KnownAccount {
    /// Returns the account that a row belongs to: it must be of the same user and, if that is
    /// known, of the same object.
    fn of(connection: &Connection, account: &Account, row: &UsageRow) -> SqlResult<Option<Self>> {
        let mut statement = connection.prepare_cached(ACCOUNT)?;
        let known = statement.query_row([&account.id], |known| {
            let user_id: i64 = known.get("user_id")?;
            let made_at_ms: i64 = known.get("made_at_ms")?;
            let is_same = account.made_at_ms.is_none_or(|at_ms| at_ms == made_at_ms);
            if user_id != row.user_id || !is_same {
                return Ok(None);
            }
            let count = |name: &str| {
                let count: Option<i64> = known.get(name)?;
                Ok::<_, SqlError>(count.and_then(|count| u64::try_from(count).ok()))
            };
            let outcome: Option<String> = known.get("outcome")?;
            Ok(Some(Self {
                id: account.id.clone(),
                key_id: known.get("key_id")?,
                is_billed: known.get("is_settled")?,
                is_kept: outcome.is_some(),
                model: known.get("model")?,
                served_model: known.get("served_model")?,
                tokens: count("input_tokens")?.zip(count("output_tokens")?),
            }))
        });
        known.optional().map(Option::flatten)
    }

    /// Returns the row, booked to the key that made the object. The request that the row comes of
    /// may have another key.
    fn with_its_key<'r>(&self, row: &'r UsageRow) -> Cow<'r, UsageRow> {
        if row.key_id == self.key_id {
            return Cow::Borrowed(row);
        }
        let mut row = row.clone();
        row.key_id = self.key_id;
        Cow::Owned(row)
    }

    /// Returns the row with the larger of its own tokens and the known ones.
    fn larger(&self, row: &UsageRow) -> UsageRow {
        let (input, output) = self.tokens.unwrap_or_default();
        let mut larger = self.with_its_key(row).into_owned();
        if input > row.usage.input {
            (larger.usage.input, larger.estimated.input) = (input, input);
            larger.source = UsageSource::Estimate;
        }
        if output > row.usage.output {
            (larger.usage.output, larger.estimated.output) = (output, output);
            larger.source = UsageSource::Estimate;
        }
        // The answer that made it knows what was asked for.
        if let Some(model) = self.model.clone().filter(|model| !model.is_empty()) {
            larger.model = model;
            larger.served_model = self.served_model.clone().or(larger.served_model);
        }
        larger
    }

    /// Returns a row for the tokens beyond those that an estimate billed before.
    fn bill_beyond<'r>(
        self,
        connection: &Connection,
        row: &'r UsageRow,
        extent: Extent,
    ) -> SqlResult<Option<Cow<'r, UsageRow>>> {
        let Some((input, output)) = self.tokens.filter(|_| self.is_kept) else {
            return Ok(None);
        };
        let beyond = Usage {
            input: row.usage.input.saturating_sub(input),
            output: row.usage.output.saturating_sub(output),
            ..Usage::default()
        };
        let is_last_word = is_the_backend_s_word(row, extent);
        if beyond == Usage::default() && !is_last_word {
            return Ok(None);
        }
        let mut billed = self.larger(row);
        let tokens = (!is_last_word).then_some(billed.usage);
        write_account(connection, &self.id, true, &billed, tokens)?;
        billed.usage = beyond;
        billed.estimated = EstimatedTokens {
            input: row.estimated.input.min(beyond.input),
            output: row.estimated.output.min(beyond.output),
        };
        billed.source = row.source;
        Ok((beyond != Usage::default()).then_some(Cow::Owned(billed)))
    }
}

/// Writes the state of an account. Without `tokens` the backend has reported what was used.
fn write_account(
    connection: &Connection,
    id: &str,
    is_billed: bool,
    row: &UsageRow,
    tokens: Option<Usage>,
) -> SqlResult<()> {
    connection.prepare_cached(UPDATE_ACCOUNT)?.execute(params![
        id,
        is_billed,
        row.model,
        row.served_model,
        row.outcome.as_str(),
        tokens.map(|tokens| signed(tokens.input)),
        tokens.map(|tokens| signed(tokens.output)),
    ])?;
    Ok(())
}

/// An object whose account is open, so that it is not billed yet.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenAccount {
    pub id: String,
    pub kind: ObjectKind,
    pub user_id: i64,
    /// Unix time in milliseconds.
    pub made_at_ms: i64,
    pub kept: Option<KeptUsage>,
}

/// The usage that an object is taken to have had so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptUsage {
    pub model: String,
    pub served_model: Option<String>,
    pub outcome: Outcome,
    pub usage: Usage,
}

/// The place of an object among the others, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Unix time in milliseconds.
    pub made_at_ms: i64,
    pub id: String,
}

impl Place {
    /// Returns the place before all objects that were made since a time (Unix milliseconds).
    #[must_use]
    pub fn before(made_at_ms: i64) -> Self {
        Self {
            made_at_ms,
            id: String::new(),
        }
    }
}

impl OpenAccount {
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            made_at_ms: self.made_at_ms,
            id: self.id.clone(),
        }
    }
}

/// Returns objects that are not billed and come after a place, the oldest first.
///
/// # Errors
/// If the database fails.
pub fn pending(
    connection: &Connection,
    behind: &Place,
    limit: usize,
) -> Result<Vec<OpenAccount>, StoreError> {
    let mut statement = connection.prepare_cached(ALL_PENDING)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![behind.made_at_ms, behind.id, limit], read_pending)?;
    let known = rows.filter_map(Result::transpose);
    Ok(known.collect::<SqlResult<_>>()?)
}

/// Returns open accounts with kept usage whose objects were made before a time (Unix milliseconds),
/// the oldest first.
///
/// # Errors
/// If the database fails.
pub fn expired(
    connection: &Connection,
    before_ms: i64,
    limit: usize,
) -> Result<Vec<OpenAccount>, StoreError> {
    let mut statement = connection.prepare_cached(EXPIRED)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![before_ms, limit], read_pending)?;
    let known = rows.filter_map(Result::transpose);
    Ok(known.collect::<SqlResult<_>>()?)
}

/// Returns the open account of an object, if it has one.
///
/// # Errors
/// If the database fails.
pub fn pending_one(connection: &Connection, id: &str) -> Result<Option<OpenAccount>, StoreError> {
    let mut statement = connection.prepare_cached(ONE_PENDING)?;
    Ok(statement
        .query_row([id], read_pending)
        .optional()?
        .flatten())
}

/// Reads a row. Returns `None` for a kind that a later version made.
fn read_pending(row: &Row<'_>) -> SqlResult<Option<OpenAccount>> {
    let Some(kind) = ObjectKind::parse(&row.get::<_, String>("kind")?) else {
        return Ok(None);
    };
    let count = |name: &str| {
        let count: Option<i64> = row.get(name)?;
        Ok::<_, SqlError>(count.and_then(|count| u64::try_from(count).ok()))
    };
    let outcome: Option<String> = row.get("outcome")?;
    let kept = match outcome.and_then(|word| Outcome::parse(&word)) {
        Some(outcome) => Some(KeptUsage {
            model: row.get::<_, Option<String>>("model")?.unwrap_or_default(),
            served_model: row.get("served_model")?,
            outcome,
            usage: Usage {
                input: count("input_tokens")?.unwrap_or_default(),
                output: count("output_tokens")?.unwrap_or_default(),
                ..Usage::default()
            },
        }),
        None => None,
    };
    Ok(Some(OpenAccount {
        id: row.get("id")?,
        kind,
        user_id: row.get("user_id")?,
        made_at_ms: row.get("made_at_ms")?,
        kept,
    }))
}

/// The state of an object's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// Nothing is billed yet.
    Open,
    /// An estimate is billed. What passes beyond that is billed too.
    Estimated,
    /// The usage that the backend reported is billed, or nothing is used after the answer.
    Closed,
}

/// Returns the state of an object's account, which is closed for an unknown object.
///
/// # Errors
/// If the database fails.
pub fn account_state(connection: &Connection, id: &str) -> Result<AccountState, StoreError> {
    let mut statement = connection.prepare_cached(STATE)?;
    let state = statement.query_row([id], |row| {
        let is_billed: bool = row.get(0)?;
        let is_estimated: bool = row.get(1)?;
        Ok(match (is_billed, is_estimated) {
            (false, _) => AccountState::Open,
            (true, true) => AccountState::Estimated,
            (true, false) => AccountState::Closed,
        })
    });
    Ok(state.optional()?.unwrap_or(AccountState::Closed))
}

#[cfg(test)]
mod tests;

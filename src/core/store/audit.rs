//! Replays the ledger: sums its rows one by one and compares with everything that is derived from
//! them. Slow on purpose, and independent of how the sums are kept.

use super::{StoreError, measures, pruned::Pruned, reports};
use crate::store::sql::{Connection, SqlResult, params};
use crate::{limits::Amounts, model::TimeRange};
use std::{collections::BTreeMap, fmt::Write};

const MS_PER_HOUR: i64 = 3_600_000;
/// The most differences of a check that are named.
const MAX_NAMED: usize = 20;
/// The most combinations that are looked at after SQLite says that they differ.
const MAX_DIFFERENT: usize = 1_000;

/// What a check compared, and what differs.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Number of sums that were compared.
    pub compared: u64,
    /// Number of sums that differ.
    pub different: u64,
    /// The first differences, one sentence each.
    pub differences: Vec<String>,
}

impl Compared {
    /// Compares two values of a sum.
    pub fn compare(&mut self, what: impl FnOnce() -> String, rows: i64, derived: i64) {
        self.compared += 1;
        if rows != derived {
            self.different += 1;
            if self.differences.len() < MAX_NAMED {
                let what = what();
                self.differences.push(format!(
                    "{what}: the rows say {rows}, the sum says {derived}"
                ));
            }
        }
    }
}

/// Compares the hourly sums with the rows that they stand for, as far as the rows are kept.
///
/// # Errors
/// If the database fails.
pub fn hourly_sums(connection: &Connection) -> Result<Compared, StoreError> {
    hourly_sums_before(connection, i64::MAX)
}

/// Compares the sums of hours that begin before a time.
///
/// # Errors
/// If the database fails.
pub(super) fn hourly_sums_before(
    connection: &Connection,
    before_ms: i64,
) -> Result<Compared, StoreError> {
    // Where rows were deleted, the sums are all there is.
    let since_ms = Pruned::read(connection)?.map_or(i64::MIN, |pruned| pruned.before_ms);
    let of_row: Vec<String> = measures::of_row()
        .map(|value| format!("sum({value})"))
        .collect();
    let from_rows = format!(
        "SELECT started_at_ms / 3600000 - iif(started_at_ms % 3600000 < 0, 1, 0), user_id, {} AS key, endpoint, model, {} \
         FROM usage_logs WHERE id <= (SELECT last_id FROM usage_rollup) AND +started_at_ms >= {since_ms} \
         AND +started_at_ms < {before_ms} \
         GROUP BY 1, 2, 3, 4, 5",
        measures::KEY_OF_ROW,
        of_row.join(", ")
    );
    let columns: Vec<String> = measures::columns()
        .map(|column| format!("sum({column})"))
        .collect();
    let from_sums = format!(
        "SELECT hour, user_id, key_id, endpoint, model, {} FROM usage_hourly WHERE hour >= {since_ms} / 3600000 \
         AND hour < {before_ms} / 3600000 \
         GROUP BY 1, 2, 3, 4, 5",
        columns.join(", ")
    );
    compare(connection, "hour", &from_rows, &from_sums)
}

/// Compares the daily sums with the hourly ones.
///
/// # Errors
/// If the database fails.
pub fn daily_sums(connection: &Connection) -> Result<Compared, StoreError> {
    let columns: Vec<String> = measures::columns()
        .map(|column| format!("sum({column})"))
        .collect();
    let columns = columns.join(", ");
    let from_hours = format!(
        "SELECT hour / 24 - iif(hour % 24 < 0, 1, 0), user_id, key_id, endpoint, model, {columns} FROM usage_hourly \
         GROUP BY 1, 2, 3, 4, 5"
    );
    let from_days = format!(
        "SELECT day, user_id, key_id, endpoint, model, {columns} FROM usage_daily GROUP BY 1, 2, 3, 4, 5"
    );
    compare(connection, "day", &from_hours, &from_days)
}

/// Compares what reports say of each user with the user's rows.
///
/// # Errors
/// If the database fails.
pub fn reports(connection: &Connection) -> Result<Compared, StoreError> {
    let mut reported: BTreeMap<i64, Amounts> = BTreeMap::new();
    for (user_id, totals) in reports::totals_by_user(connection, TimeRange::default())? {
        let amounts = Amounts {
            nano_usd: totals.cost.0,
            tokens: i64::try_from(totals.tokens()).unwrap_or(i64::MAX),
            requests: totals.requests,
        };
        reported.insert(user_id, amounts);
    }
    let rows = used_by_rows(connection, (i64::MIN, i64::MAX), (i64::MAX, i64::MAX))?;
    Ok(compare_amounts("the report", &rows, &reported))
}

/// Compares two amounts of each user.
#[must_use]
pub fn compare_amounts(
    of: &str,
    rows: &BTreeMap<i64, Amounts>,
    derived: &BTreeMap<i64, Amounts>,
) -> Compared {
    let mut compared = Compared::default();
    let users: std::collections::BTreeSet<&i64> = rows.keys().chain(derived.keys()).collect();
    for user in users {
        let left = rows.get(user).copied().unwrap_or_default();
        let right = derived.get(user).copied().unwrap_or_default();
        for (unit, left, right) in [
            ("nano-dollars", left.nano_usd, right.nano_usd),
            ("tokens", left.tokens, right.tokens),
            ("requests", left.requests, right.requests),
        ] {
            compared.compare(|| format!("{of}, user {user}, {unit}"), left, right);
        }
    }
    compared
}

/// Returns what each user has used in a span of time (Unix milliseconds, half-open) by the rows and
/// adjustments up to these ids. Where rows were deleted, whole hours come from their sums.
///
/// # Errors
/// If the database fails.
pub fn used_by_rows(
    connection: &Connection,
    (start_ms, end_ms): (i64, i64),
    (last_row, last_adjustment): (i64, i64),
) -> Result<BTreeMap<i64, Amounts>, StoreError> {
    let mut used: BTreeMap<i64, Amounts> = BTreeMap::new();
    if let Some(pruned) = Pruned::read(connection)?
        && start_ms < pruned.before_ms
    {
        let behind_ms = pruned.before_ms.min(end_ms);
        let first_hour = start_ms
            .saturating_add(MS_PER_HOUR - 1)
            .div_euclid(MS_PER_HOUR);
        let last_hour = behind_ms.div_euclid(MS_PER_HOUR);
        add_hours(connection, (first_hour, last_hour), &mut used)?;
        let edge = (
            start_ms,
            first_hour.saturating_mul(MS_PER_HOUR).min(behind_ms),
        );
        add_rows(connection, edge, (last_row, last_adjustment), &mut used)?;
        let rest = (pruned.before_ms, end_ms);
        add_rows(connection, rest, (last_row, last_adjustment), &mut used)?;
    } else {
        let span = (start_ms, end_ms);
        add_rows(connection, span, (last_row, last_adjustment), &mut used)?;
    }
    Ok(used)
}

/// Adds the sums of hours, the last one excluded.
fn add_hours(
    connection: &Connection,
    (first, last): (i64, i64),
    used: &mut BTreeMap<i64, Amounts>,
) -> Result<(), StoreError> {
    // Index: the primary key of usage_hourly.
    let mut hours = connection.prepare_cached(
        "SELECT user_id, sum(cost_nano_usd), sum(input_tokens + output_tokens), sum(requests_ok) \
         FROM usage_hourly WHERE hour >= ?1 AND hour < ?2 GROUP BY user_id",
    )?;
    let mut hours = hours.query(params![first, last])?;
    while let Some(row) = hours.next()? {
        *used.entry(row.get(0)?).or_default() += Amounts {
            nano_usd: row.get(1)?,
            tokens: row.get(2)?,
            requests: row.get(3)?,
        };
    }
    Ok(())
}

/// Adds rows and adjustments up to these ids.
fn add_rows(
    connection: &Connection,
    (start_ms, end_ms): (i64, i64),
    (last_row, last_adjustment): (i64, i64),
    used: &mut BTreeMap<i64, Amounts>,
) -> Result<(), StoreError> {
    let mut rows = connection.prepare_cached(
        "SELECT user_id, sum(coalesce(cost_nano_usd, 0)), sum(input_tokens + output_tokens), \
         sum(iif(status BETWEEN 200 AND 299, 1, 0)) FROM usage_logs \
         WHERE +started_at_ms >= ?1 AND +started_at_ms < ?2 AND id <= ?3 GROUP BY user_id",
    )?;
    let mut rows = rows.query(params![start_ms, end_ms, last_row])?;
    while let Some(row) = rows.next()? {
        *used.entry(row.get(0)?).or_default() += Amounts {
            nano_usd: row.get(1)?,
            tokens: row.get(2)?,
            requests: row.get(3)?,
        };
    }
    let mut adjusted = connection.prepare_cached(
        "SELECT user_id, sum(cost_delta_nano_usd) FROM usage_adjustments JOIN usage_logs ON usage_logs.id = usage_id \
         WHERE +started_at_ms >= ?1 AND +started_at_ms < ?2 AND usage_logs.id <= ?3 AND usage_adjustments.id <= ?4 \
         GROUP BY user_id",
    )?;
    let mut adjusted = adjusted.query(params![start_ms, end_ms, last_row, last_adjustment])?;
    while let Some(row) = adjusted.next()? {
        *used.entry(row.get(0)?).or_default() += Amounts {
            nano_usd: row.get(1)?,
            ..Amounts::default()
        };
    }
    Ok(())
}

/// The sums of one combination: time, user, key, endpoint and model.
type SumsByKey = BTreeMap<(i64, i64, i64, String, String), Vec<i64>>;

fn compare(
    connection: &Connection,
    period: &str,
    left: &str,
    right: &str,
) -> Result<Compared, StoreError> {
    // The database compares, so that a million sums need no memory here; what differs is looked at.
    let without = |a: &str, b: &str| {
        format!("SELECT * FROM ({a}) AS a EXCEPT SELECT * FROM ({b}) AS b LIMIT {MAX_DIFFERENT}")
    };
    let count = format!("SELECT count(*) FROM ({right}) AS sums");
    let combinations: i64 = connection.query_row(&count, [], |row| row.get(0))?;
    let (left, right) = (
        sums(connection, &without(left, right))?,
        sums(connection, &without(right, left))?,
    );
    let names: Vec<&str> = measures::columns().collect();
    let mut compared = Compared::default();
    let nothing = vec![0; names.len()];
    let keys: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
    for key in keys {
        let (a, b) = (
            left.get(key).unwrap_or(&nothing),
            right.get(key).unwrap_or(&nothing),
        );
        for (index, name) in names.iter().enumerate() {
            let what = || {
                let (at, user, of_key, endpoint, model) = key;
                let mut text = format!("{period} {at}, user {user}, key {of_key}");
                // Writing to a string cannot fail.
                let _ = write!(text, ", {endpoint}, model {model:?}, {name}");
                text
            };
            compared.compare(what, a[index], b[index]);
        }
    }
    let combinations = u64::try_from(combinations).unwrap_or(0);
    compared.compared = combinations.saturating_mul(names.len() as u64);
    Ok(compared)
}

fn sums(connection: &Connection, sql: &str) -> Result<SumsByKey, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut sums = SumsByKey::new();
    while let Some(row) = rows.next()? {
        let key = (
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        );
        let values: SqlResult<Vec<i64>> = (0..measures::MEASURES)
            .map(|index| Ok(row.get::<_, Option<i64>>(5 + index)?.unwrap_or(0)))
            .collect();
        sums.insert(key, values?);
    }
    Ok(sums)
}

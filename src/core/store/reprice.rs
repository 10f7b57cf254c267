//! Prices rows anew. What that changes is written beside them as adjustments, which all sums
//! include; the rows themselves stay as they are.

use crate::store::sql::{Connection, OptionalRow, Row, SqlResult, params};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::LazyLock,
    time::{Duration, Instant},
};

use super::{
    StoreError,
    ledger::Pricer,
    measures::{COUNTS, KEY_OF_ROW, usage_of},
};
use crate::{
    model::{
        EstimatedTokens, NanoUsd, Outcome, ServiceTier, TimeRange, UsageRow, UsageSource, now_ms,
    },
    prices::Catalog,
};

/// Rows in one transaction, some milliseconds' work, so that a running server gets its turn.
const BATCH_ROWS: i64 = 500;
/// Rows in one transaction on PostgreSQL. There are fewer, because each changed row takes several round
/// trips, and other nodes wait for the end of the transaction.
const BATCH_ROWS_ON_SERVER: i64 = 50;
/// The longest pause between two transactions. It is as long as the transaction was: a server that
/// found the database locked would else find it locked again and again, until it gives up.
const MAX_PAUSE: Duration = Duration::from_millis(50);
const MS_PER_HOUR: i64 = 3_600_000;

const ADJUST: &str = "INSERT INTO usage_adjustments (usage_id, made_at_ms, cost_delta_nano_usd, prices_row, price_id) \
     VALUES (?1, ?2, ?3, ?4, ?5)";
// Indexes: the primary keys of usage_hourly and usage_daily.
const ADJUST_DAY: &str = "UPDATE usage_daily SET cost_nano_usd = cost_nano_usd + ?6, \
     unpriced_requests = unpriced_requests - ?7 \
     WHERE day = ?1 AND user_id = ?2 AND key_id = ?3 AND endpoint = ?4 AND model = ?5";
const ADJUST_HOUR: &str = "UPDATE usage_hourly SET cost_nano_usd = cost_nano_usd + ?6, \
     unpriced_requests = unpriced_requests - ?7 \
     WHERE hour = ?1 AND user_id = ?2 AND key_id = ?3 AND endpoint = ?4 AND model = ?5";

// Index: usage_logs_by_time, which has all that is read.
const END_OF_BATCH: &str = "SELECT started_at_ms, id FROM usage_logs WHERE started_at_ms >= ?1 AND (started_at_ms > ?1 OR id > ?2) \
     AND started_at_ms <= ?3 ORDER BY started_at_ms, id LIMIT 1 OFFSET ?4";
static ROWS_BETWEEN: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT id, started_at_ms, user_id, {KEY_OF_ROW} AS key_id, endpoint, model, served_model, service_tier, \
         is_batch, status, usage_source, {}, id <= (SELECT last_id FROM usage_rollup) AS is_summed, \
         coalesce(cost_nano_usd, 0) + coalesce((SELECT sum(cost_delta_nano_usd) FROM usage_adjustments \
            WHERE usage_id = usage_logs.id), 0) AS cost, \
         cost_nano_usd IS NOT NULL OR EXISTS (SELECT 1 FROM usage_adjustments WHERE usage_id = usage_logs.id) AS has_cost \
         FROM usage_logs WHERE started_at_ms >= ?1 AND (started_at_ms > ?1 OR id > ?2) \
         AND started_at_ms <= ?3 AND (started_at_ms < ?3 OR id <= ?4) \
         AND (?5 IS NULL OR model = ?5) ORDER BY started_at_ms, id",
        COUNTS.join(", ")
    )
});

/// What pricing anew changes.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repricing {
    /// Nothing was written.
    pub is_dry_run: bool,
    /// Number of rows that were looked at.
    pub rows: i64,
    /// Number of rows whose cost changes.
    pub changed_rows: i64,
    /// Number of those that had no cost before.
    pub newly_priced_rows: i64,
    /// Number of rows that still have no cost.
    pub unpriced_rows: i64,
    /// What is added to the sums.
    pub cost_delta_usd: NanoUsd,
    pub models: Vec<RepricedModel>,
}

/// What changes for one model.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepricedModel {
    pub model: String,
    pub changed_rows: i64,
    pub unpriced_rows: i64,
    pub cost_before_usd: NanoUsd,
    pub cost_after_usd: NanoUsd,
}

/// Prices the rows of a range anew, by the prices that hold now for the time of each row.
///
/// # Errors
/// If the database fails. What was done until then stays, and pricing once more does the rest.
pub fn reprice(
    connection: &mut Connection,
    range: TimeRange,
    model: Option<&str>,
    file: Option<Catalog>,
    is_dry_run: bool,
) -> Result<Repricing, StoreError> {
    let mut look = Pricer::for_reading(file.clone());
    let mut pricer = Pricer::new(file);
    let mut tally = Tally::default();
    let mut rows = 0;
    let mut after = (range.start_ms().unwrap_or(i64::MIN), i64::MIN);
    let last = (range.end_ms().unwrap_or(i64::MAX), i64::MAX);
    while after < last {
        let until = end_of_batch(connection, after, last)?;
        let stored = rows_between(connection, after, until, model)?;
        let mut batch = Batch::of(connection, &mut look, &stored)?;
        if !is_dry_run && !batch.changes.is_empty() {
            let begun = Instant::now();
            let transaction = connection.write()?;
            // Another process may have priced them meanwhile.
            let stored = rows_between(&transaction, after, until, model)?;
            batch = Batch::of(&transaction, &mut pricer, &stored)?;
            adjust(&transaction, &stored, &batch.changes)?;
            transaction.commit()?;
            // A server that waits for the lock looks for it now and then only.
            std::thread::sleep(begun.elapsed().min(MAX_PAUSE));
        }
        rows += batch.rows;
        tally.add(batch.tally);
        after = until;
    }
    Ok(tally.into_result(rows, is_dry_run))
}

/// The sums of each model.
#[derive(Default)]
struct Tally {
    models: BTreeMap<String, RepricedModel>,
    newly_priced_rows: i64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.newly_priced_rows += other.newly_priced_rows;
        for (name, added) in other.models {
            let sums = self.models.entry(name).or_default();
            sums.changed_rows += added.changed_rows;
            sums.unpriced_rows += added.unpriced_rows;
            sums.cost_before_usd = sums.cost_before_usd.saturating_add(added.cost_before_usd);
            sums.cost_after_usd = sums.cost_after_usd.saturating_add(added.cost_after_usd);
        }
    }

    fn into_result(self, rows: i64, is_dry_run: bool) -> Repricing {
        let mut result = Repricing {
            is_dry_run,
            rows,
            newly_priced_rows: self.newly_priced_rows,
            ..Repricing::default()
        };
        for (name, mut sums) in self.models {
            result.changed_rows += sums.changed_rows;
            result.unpriced_rows += sums.unpriced_rows;
            let delta = sums.cost_after_usd.saturating_sub(sums.cost_before_usd);
            result.cost_delta_usd = result.cost_delta_usd.saturating_add(delta);
            sums.model = name;
            if sums.changed_rows > 0 || sums.unpriced_rows > 0 {
                result.models.push(sums);
            }
        }
        result
    }
}

/// What pricing some rows anew comes to.
#[derive(Default)]
struct Batch {
    rows: i64,
    tally: Tally,
    changes: Vec<Change>,
}

/// A row whose cost changes.
struct Change {
    /// Place of the row in its batch.
    place: usize,
    delta: NanoUsd,
    price_id: i64,
}

impl Batch {
    fn of(connection: &Connection, pricer: &mut Pricer, stored: &[StoredRow]) -> SqlResult<Self> {
        let mut batch = Self::default();
        for (place, stored) in stored.iter().enumerate() {
            let cost = pricer.price(connection, &stored.row)?;
            batch.rows += 1;
            let model = stored.row.model.clone();
            let sums = batch.tally.models.entry(model).or_default();
            let before = stored.cost.unwrap_or_default();
            sums.cost_before_usd = sums.cost_before_usd.saturating_add(before);
            // A price that is gone leaves the cost as it was.
            let after = cost.amount.or(stored.cost);
            let amount = after.unwrap_or_default();
            sums.cost_after_usd = sums.cost_after_usd.saturating_add(amount);
            if after.is_none() {
                sums.unpriced_rows += i64::from(stored.row.needs_cost());
                continue;
            }
            // A refusal that used nothing counts nowhere as unpriced.
            let is_refusal = stored.cost.is_none() && !stored.row.needs_cost();
            if cost.amount.is_none() || after == stored.cost || is_refusal {
                continue;
            }
            sums.changed_rows += 1;
            batch.tally.newly_priced_rows += i64::from(stored.cost.is_none());
            batch.changes.push(Change {
                place,
                delta: amount.saturating_sub(before),
                price_id: cost.price_id.unwrap_or(0),
            });
        }
        Ok(batch)
    }
}

/// A row of the ledger as it stands, as far as its cost depends on it.
struct StoredRow {
    id: i64,
    row: UsageRow,
    endpoint: String,
    /// With its adjustments.
    cost: Option<NanoUsd>,
    /// Whether it is a part of the sums by hour and day.
    is_summed: bool,
}

/// Writes adjustments, and adds them to the sums of hours and days that have their rows.
fn adjust(connection: &Connection, stored: &[StoredRow], changes: &[Change]) -> SqlResult<()> {
    let made_at_ms = now_ms();
    let mut adjust = connection.prepare_cached(ADJUST)?;
    // Most rows of a batch are of few hours.
    let mut of_hours: BTreeMap<Bucket<'_>, (NanoUsd, i64)> = BTreeMap::new();
    for change in changes {
        let stored = &stored[change.place];
        let (row, delta) = (&stored.row, change.delta);
        let is_first = stored.cost.is_none();
        adjust.execute(params![
            stored.id,
            made_at_ms,
            delta.0,
            is_first,
            change.price_id
        ])?;
        if !stored.is_summed {
            continue;
        }
        let hour = row.started_at_ms.div_euclid(MS_PER_HOUR);
        let bucket = (
            hour,
            row.user_id,
            row.key_id,
            stored.endpoint.as_str(),
            row.model.as_str(),
        );
        let sums = of_hours.entry(bucket).or_default();
        sums.0 = sums.0.saturating_add(delta);
        sums.1 += i64::from(is_first && stored.row.needs_cost());
    }
    let mut adjust_hour = connection.prepare_cached(ADJUST_HOUR)?;
    let mut adjust_day = connection.prepare_cached(ADJUST_DAY)?;
    for ((hour, user_id, key_id, endpoint, model), (delta, priced)) in of_hours {
        for (adjust, span) in [
            (&mut adjust_hour, hour),
            (&mut adjust_day, hour.div_euclid(24)),
        ] {
            adjust.execute(params![
                span, user_id, key_id, endpoint, model, delta.0, priced
            ])?;
        }
    }
    Ok(())
}

/// Hour, user, key, endpoint and model: the primary key of usage_hourly.
type Bucket<'a> = (i64, i64, i64, &'a str, &'a str);

/// Returns the time and id of the last row of a batch, in the order of both; `last` if fewer rows are
/// left.
fn end_of_batch(
    connection: &Connection,
    after: (i64, i64),
    last: (i64, i64),
) -> SqlResult<(i64, i64)> {
    let mut statement = connection.prepare_cached(END_OF_BATCH)?;
    let rows = if connection.is_postgres() {
        BATCH_ROWS_ON_SERVER
    } else {
        BATCH_ROWS
    };
    let end = statement.query_row(params![after.0, after.1, last.0, rows - 1], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    Ok(end.optional()?.unwrap_or(last))
}

/// Returns the rows behind a time and id up to another. Index: usage_logs_by_time, which ends with the
/// id.
fn rows_between(
    connection: &Connection,
    after: (i64, i64),
    until: (i64, i64),
    model: Option<&str>,
) -> SqlResult<Vec<StoredRow>> {
    let mut statement = connection.prepare_cached(&ROWS_BETWEEN)?;
    let rows = statement.query_map(params![after.0, after.1, until.0, until.1, model], read_row)?;
    rows.collect()
}

fn read_row(row: &Row<'_>) -> SqlResult<StoredRow> {
    let mut counts = [0; COUNTS.len()];
    for (count, column) in counts.iter_mut().zip(COUNTS) {
        *count = row.get(column)?;
    }
    let source = match row.text("usage_source")? {
        "backend" => UsageSource::Backend,
        "estimate" => UsageSource::Estimate,
        _ => UsageSource::None,
    };
    let tier: Option<String> = row.get("service_tier")?;
    let has_cost: bool = row.get("has_cost")?;
    Ok(StoredRow {
        id: row.get("id")?,
        endpoint: row.get("endpoint")?,
        cost: if has_cost {
            Some(NanoUsd(row.get("cost")?))
        } else {
            None
        },
        is_summed: row.get("is_summed")?,
        row: UsageRow {
            user_id: row.get("user_id")?,
            key_id: row.get("key_id")?,
            started_at_ms: row.get("started_at_ms")?,
            endpoint: "",
            model: row.get("model")?,
            served_model: row.get("served_model")?,
            usage: usage_of(counts),
            service_tier: tier.as_deref().and_then(ServiceTier::parse),
            is_batch: row.get("is_batch")?,
            estimated: EstimatedTokens::default(),
            status: row.get("status")?,
            outcome: Outcome::Completed,
            source,
            duration_ms: 0,
            first_byte_ms: None,
            wait_ms: 0,
            request_id: None,
            backend_request_id: None,
            hold: None,
        },
    })
}

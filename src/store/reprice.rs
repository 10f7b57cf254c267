//! Prices rows anew. What that changes is written beside them as adjustments, which all sums
//! include; the rows themselves stay as they are.

use std::{borrow::Cow, collections::BTreeMap};

use rusqlite::{Connection, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

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

/// Rows in one transaction, so that a running server gets its turn.
const BATCH_ROWS: i64 = 2_000;
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
    let mut pricer = Pricer::new(file);
    let mut models: BTreeMap<String, RepricedModel> = BTreeMap::new();
    let mut result = Repricing {
        is_dry_run,
        ..Repricing::default()
    };
    let mut after = (range.start_ms().unwrap_or(i64::MIN), i64::MIN);
    let end_ms = range.end_ms().unwrap_or(i64::MAX);
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let rows = next_rows(&transaction, after, end_ms, model)?;
        for stored in &rows {
            let cost = pricer.price(&transaction, &stored.row)?;
            result.rows += 1;
            let of_model = models.entry(stored.row.model.clone()).or_default();
            let before = stored.cost.unwrap_or_default();
            of_model.cost_before_usd = of_model.cost_before_usd.saturating_add(before);
            // A price that is gone leaves the cost as it was.
            let after_cost = cost.amount.or(stored.cost);
            let amount = after_cost.unwrap_or_default();
            of_model.cost_after_usd = of_model.cost_after_usd.saturating_add(amount);
            if after_cost.is_none() {
                of_model.unpriced_rows += i64::from(stored.counts_as_unpriced());
                continue;
            }
            // A refusal that used nothing counts nowhere as unpriced.
            let is_refusal = stored.cost.is_none() && !stored.counts_as_unpriced();
            if cost.amount.is_none() || after_cost == stored.cost || is_refusal {
                continue;
            }
            of_model.changed_rows += 1;
            result.newly_priced_rows += i64::from(stored.cost.is_none());
            let delta = amount.saturating_sub(before);
            adjust(&transaction, stored, delta, cost.price_id.unwrap_or(0))?;
        }
        match rows.last() {
            Some(last) => after = (last.row.started_at_ms, last.id),
            None => break,
        }
        if is_dry_run {
            // The prices that it kept are undone, too.
            transaction.rollback()?;
            pricer.forget();
        } else {
            transaction.commit()?;
        }
    }
    for (name, mut of_model) in models {
        result.changed_rows += of_model.changed_rows;
        result.unpriced_rows += of_model.unpriced_rows;
        let delta = of_model
            .cost_after_usd
            .saturating_sub(of_model.cost_before_usd);
        result.cost_delta_usd = result.cost_delta_usd.saturating_add(delta);
        of_model.model = name;
        if of_model.changed_rows > 0 || of_model.unpriced_rows > 0 {
            result.models.push(of_model);
        }
    }
    Ok(result)
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

impl StoredRow {
    fn counts_as_unpriced(&self) -> bool {
        let has_used = self.row.usage.input > 0 || self.row.usage.output > 0;
        (200..300).contains(&self.row.status) || has_used
    }
}

fn adjust(
    connection: &Connection,
    stored: &StoredRow,
    delta: NanoUsd,
    price_id: i64,
) -> rusqlite::Result<()> {
    let is_first = stored.cost.is_none();
    let row = &stored.row;
    let values = params![stored.id, now_ms(), delta.0, is_first, price_id];
    connection.prepare_cached(ADJUST)?.execute(values)?;
    if stored.is_summed {
        let was_unpriced = is_first && stored.counts_as_unpriced();
        for (sql, span_ms) in [(ADJUST_HOUR, MS_PER_HOUR), (ADJUST_DAY, 24 * MS_PER_HOUR)] {
            connection.prepare_cached(sql)?.execute(params![
                row.started_at_ms.div_euclid(span_ms),
                row.user_id,
                row.key_id,
                stored.endpoint,
                row.model,
                delta.0,
                was_unpriced,
            ])?;
        }
    }
    Ok(())
}

/// Returns the next rows in the order of time and id. Index: usage_logs_by_time, which ends with the
/// id.
fn next_rows(
    connection: &Connection,
    after: (i64, i64),
    end_ms: i64,
    model: Option<&str>,
) -> rusqlite::Result<Vec<StoredRow>> {
    let sql = format!(
        "SELECT id, started_at_ms, user_id, {KEY_OF_ROW} AS key_id, endpoint, model, served_model, service_tier, \
         is_batch, status, usage_source, {}, id <= (SELECT last_id FROM usage_rollup) AS is_summed, \
         coalesce(cost_nano_usd, 0) + coalesce((SELECT sum(cost_delta_nano_usd) FROM usage_adjustments \
            WHERE usage_id = usage_logs.id), 0) AS cost, \
         cost_nano_usd IS NOT NULL OR EXISTS (SELECT 1 FROM usage_adjustments WHERE usage_id = usage_logs.id) AS has_cost \
         FROM usage_logs WHERE started_at_ms >= ?1 AND (started_at_ms > ?1 OR id > ?2) AND started_at_ms <= ?3 \
         AND (?4 IS NULL OR model = ?4) ORDER BY started_at_ms, id LIMIT ?5",
        COUNTS.join(", ")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![after.0, after.1, end_ms, model, BATCH_ROWS],
        read_row,
    )?;
    rows.collect()
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<StoredRow> {
    let mut counts = [0; COUNTS.len()];
    for (count, column) in counts.iter_mut().zip(COUNTS) {
        *count = row.get(column)?;
    }
    let source = match row.get::<_, Cow<'_, str>>("usage_source")?.as_ref() {
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
            backend_request_id: None,
        },
    })
}

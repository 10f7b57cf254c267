//! Inserts usage rows, with what they cost.

use std::{borrow::Cow, fmt::Write, sync::LazyLock};

use rusqlite::{CachedStatement, Connection, Statement, ToSql};

use super::pricing::{Cost, Pricer};
use crate::{
    model::{RequestId, ServiceTier, UsageClasses, UsageRow, UsageSource},
    store::{
        measures::{COMMON_COUNTS, COUNTS, counts},
        sqlite::signed,
    },
};

const COMMON_COLUMNS: &str = "started_at_ms, user_id, key_id, endpoint, model, served_model, service_tier, status, \
     outcome, usage_source, duration_ms, wait_ms, first_byte_ms, request_id, backend_request_id, cost_nano_usd, price_id";
/// Inserts a row without the columns that nearly no row needs. Those have their defaults then.
static INSERT_ROW: LazyLock<String> = LazyLock::new(|| insert(&[], &COUNTS[..COMMON_COUNTS]));
static INSERT_FULL_ROW: LazyLock<String> = LazyLock::new(|| {
    let further = [
        "is_batch",
        "estimated_input_tokens",
        "estimated_output_tokens",
    ];
    insert(&further, &COUNTS)
});

fn insert(further: &[&str], counts: &[&str]) -> String {
    let mut columns = COMMON_COLUMNS.to_owned();
    for column in further.iter().chain(counts) {
        // Writing to a string cannot fail.
        let _ = write!(columns, ", {column}");
    }
    let places = vec!["?"; columns.split(',').count()].join(", ");
    format!("INSERT INTO usage_logs ({columns}) VALUES ({places})")
}

/// A row, the id under which it was inserted, and what it costs.
pub(in crate::store) struct InsertedRow<'a> {
    pub(super) id: i64,
    pub(super) row: Cow<'a, UsageRow>,
    pub(in crate::store) cost: Cost,
}

/// Inserts the rows of one transaction. The statement for nearly all of them is looked up once.
pub(in crate::store) struct RowInserter<'c> {
    connection: &'c Connection,
    pricer: &'c mut Pricer,
    insert_row: CachedStatement<'c>,
}

impl<'c> RowInserter<'c> {
    pub(in crate::store) fn new(
        connection: &'c Connection,
        pricer: &'c mut Pricer,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            pricer,
            insert_row: connection.prepare_cached(&INSERT_ROW)?,
        })
    }

    pub(in crate::store) fn insert<'a>(
        &mut self,
        row: Cow<'a, UsageRow>,
    ) -> rusqlite::Result<InsertedRow<'a>> {
        let cost = self.pricer.price(self.connection, &row)?;
        self.insert_with(row, cost)
    }

    /// Inserts a row whose cost is known already.
    pub(in crate::store) fn insert_with<'a>(
        &mut self,
        row: Cow<'a, UsageRow>,
        cost: Cost,
    ) -> rusqlite::Result<InsertedRow<'a>> {
        let is_full = row.source == UsageSource::Estimate
            || row.is_batch
            || row.usage.classes != UsageClasses::default();
        if is_full {
            let mut statement = self.connection.prepare_cached(&INSERT_FULL_ROW)?;
            bind_and_run(&mut statement, &row, cost, true)?;
        } else {
            bind_and_run(&mut self.insert_row, &row, cost, false)?;
        }
        let id = self.connection.last_insert_rowid();
        Ok(InsertedRow { id, row, cost })
    }
}

/// Binds and runs [`INSERT_ROW`], or [`INSERT_FULL_ROW`].
fn bind_and_run(
    insert: &mut Statement<'_>,
    row: &UsageRow,
    cost: Cost,
    is_full: bool,
) -> rusqlite::Result<()> {
    let mut place = 0;
    let mut bind = |value: &dyn ToSql| {
        place += 1;
        insert.raw_bind_parameter(place, value)
    };
    bind(&row.started_at_ms)?;
    bind(&row.user_id)?;
    bind(&row.key_id)?;
    bind(&row.endpoint)?;
    bind(&row.model)?;
    bind(&row.served_model)?;
    bind(&row.service_tier.as_ref().map(ServiceTier::as_str))?;
    bind(&row.status)?;
    bind(&row.outcome.as_str())?;
    bind(&row.source.as_str())?;
    bind(&row.duration_ms)?;
    bind(&row.wait_ms)?;
    bind(&row.first_byte_ms)?;
    bind(&row.request_id.as_ref().map(RequestId::as_bytes))?;
    bind(&row.backend_request_id)?;
    bind(&cost.amount.map(|amount| amount.0))?;
    bind(&cost.price_id)?;
    if is_full {
        let estimated = (row.source == UsageSource::Estimate).then_some(row.estimated);
        bind(&row.is_batch)?;
        bind(&estimated.map(|estimated| signed(estimated.input)))?;
        bind(&estimated.map(|estimated| signed(estimated.output)))?;
    }
    let counts = counts(&row.usage);
    let bound = if is_full { COUNTS.len() } else { COMMON_COUNTS };
    for count in &counts[..bound] {
        bind(count)?;
    }
    insert.raw_execute()?;
    Ok(())
}

//! Inserts usage rows, with what they cost.

use std::{borrow::Cow, sync::LazyLock};

use smallvec::SmallVec;

use super::pricing::{Cost, Pricer};
#[cfg(feature = "postgres")]
use crate::{
    model::Note,
    store::{
        postgres::{KnownRow, OfRun},
        running::ServerRun,
    },
};
use crate::{
    model::{RequestId, ServiceTier, UsageClasses, UsageRow, UsageSource},
    store::{
        measures::{COMMON_COUNTS, COUNTS, counts},
        sql::{Connection, SqlResult, Statement, ToValueRef, Value, signed},
    },
};

/// The columns that every row has beside its counts.
const COMMON_COLUMNS: [&str; 17] = [
    "started_at_ms",
    "user_id",
    "key_id",
    "endpoint",
    "model",
    "served_model",
    "service_tier",
    "status",
    "outcome",
    "usage_source",
    "duration_ms",
    "wait_ms",
    "first_byte_ms",
    "request_id",
    "backend_request_id",
    "cost_nano_usd",
    "price_id",
];
/// Further columns, which nearly no row needs.
const FURTHER_COLUMNS: [&str; 3] = [
    "is_batch",
    "estimated_input_tokens",
    "estimated_output_tokens",
];
/// Inserts a row without the columns that nearly no row needs. Those have their defaults then.
static INSERT_ROW: LazyLock<String> = LazyLock::new(|| insert(&[], &COUNTS[..COMMON_COUNTS]));
static INSERT_FULL_ROW: LazyLock<String> = LazyLock::new(|| insert(&FURTHER_COLUMNS, &COUNTS));

fn insert(further: &[&str], counts: &[&str]) -> String {
    let columns = [&COMMON_COLUMNS, further, counts].concat();
    let places = vec!["?"; columns.len()].join(", ");
    let columns = columns.join(", ");
    format!("INSERT INTO usage_logs ({columns}) VALUES ({places})")
}

/// A row, the id under which it was inserted, and what it costs.
pub(in crate::store) struct InsertedRow<'a> {
    pub(super) id: i64,
    pub(super) row: Cow<'a, UsageRow>,
    pub(in crate::store) cost: Cost,
}

#[cfg(feature = "postgres")]
impl<'a> InsertedRow<'a> {
    /// Returns a row that was found in the ledger.
    pub(super) fn known(row: &'a UsageRow, known: KnownRow) -> Self {
        Self {
            id: known.id,
            row: Cow::Borrowed(row),
            cost: Cost {
                amount: known.cost_nano_usd.map(crate::model::NanoUsd),
                price_id: known.price_id,
            },
        }
    }
}

/// Inserts the rows of one transaction.
pub(in crate::store) struct RowInserter<'c, 'a> {
    connection: &'c Connection,
    pricer: &'c mut Pricer,
    rows: Vec<InsertedRow<'a>>,
    way: Way<'c>,
}

/// How rows are inserted.
enum Way<'c> {
    /// Each at once. The statement for nearly all of them is looked up once.
    Singly(Statement<'c>),
    /// All at the end, in one round trip, each with the id that its node gave it.
    #[cfg(feature = "postgres")]
    Together {
        row_ids: Vec<RequestId>,
        /// The run of the node that writes outside of a transaction.
        run_id: i64,
        /// Ids of its notes that are deleted with the rows.
        ended: Vec<i64>,
    },
}

impl<'c, 'a> RowInserter<'c, 'a> {
    pub(in crate::store) fn new(
        connection: &'c Connection,
        pricer: &'c mut Pricer,
    ) -> SqlResult<Self> {
        #[cfg(feature = "postgres")]
        let way = if connection.is_postgres() {
            Way::Together {
                row_ids: Vec::new(),
                run_id: 0,
                ended: Vec::new(),
            }
        } else {
            Way::Singly(connection.prepare_cached(&INSERT_ROW)?)
        };
        #[cfg(not(feature = "postgres"))]
        let way = Way::Singly(connection.prepare_cached(&INSERT_ROW)?);
        Ok(Self {
            connection,
            pricer,
            rows: Vec::new(),
            way,
        })
    }

    /// Makes the rows be inserted in one statement outside of a transaction, if others have not taken the
    /// run for dead. It deletes the notes of requests that have ended.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn of_run(mut self, run: &ServerRun, notes: &[&Note]) -> Self {
        if let Way::Together { run_id, ended, .. } = &mut self.way {
            *run_id = run.id();
            *ended = notes.iter().map(|note| signed(note.id())).collect();
        }
        self
    }

    /// Inserts a row. `id` is the one that its node gave it, if any.
    pub(in crate::store) fn insert(
        &mut self,
        row: Cow<'a, UsageRow>,
        id: Option<RequestId>,
    ) -> SqlResult<()> {
        let cost = self.pricer.price(self.connection, &row)?;
        self.insert_with(row, cost, id)
    }

    /// Inserts a row whose cost is known already.
    pub(in crate::store) fn insert_with(
        &mut self,
        row: Cow<'a, UsageRow>,
        cost: Cost,
        row_id: Option<RequestId>,
    ) -> SqlResult<()> {
        let id = match &mut self.way {
            Way::Singly(insert_row) => {
                let is_full = row.source == UsageSource::Estimate
                    || row.is_batch
                    || row.usage.classes != UsageClasses::default();
                let counts = counts(&row.usage);
                let values = values(&row, &counts, cost, is_full);
                if is_full {
                    let mut statement = self.connection.prepare_cached(&INSERT_FULL_ROW)?;
                    statement.execute(&*values)?;
                } else {
                    insert_row.execute(&*values)?;
                }
                self.connection.last_insert_id()?
            }
            #[cfg(feature = "postgres")]
            Way::Together { row_ids, .. } => {
                row_ids.push(row_id.unwrap_or_else(|| RequestId::new(crate::model::now_ms())));
                0
            }
        };
        // What SQLite makes of it is never in doubt.
        let _ = row_id;
        self.rows.push(InsertedRow { id, row, cost });
        Ok(())
    }

    /// Inserts what is still to be inserted. Returns all rows with their ids.
    pub(in crate::store) fn finish(mut self) -> SqlResult<Vec<InsertedRow<'a>>> {
        self.flush()
    }

    /// Does what [`RowInserter::finish`] does, for a transaction that is not the last one.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unnecessary_wraps, reason = "with PostgreSQL it may fail")
    )]
    pub(in crate::store) fn flush(&mut self) -> SqlResult<Vec<InsertedRow<'a>>> {
        #[cfg(feature = "postgres")]
        if let (
            Way::Together {
                row_ids,
                run_id,
                ended,
            },
            Some(session),
        ) = (&mut self.way, self.connection.postgres())
            && !self.rows.is_empty()
        {
            let counts: Vec<_> = self.rows.iter().map(|row| counts(&row.row.usage)).collect();
            let rows = self.rows.iter().zip(&counts);
            let values: Vec<RowValues<'_>> = rows
                .map(|(row, counts)| values(&row.row, counts, row.cost, true))
                .collect();
            let columns = [&COMMON_COLUMNS[..], &FURTHER_COLUMNS, &COUNTS].concat();
            let of_run = OfRun {
                run_id: *run_id,
                ended: &std::mem::take(ended),
            };
            let ids = session.insert_rows(&columns, &values, &std::mem::take(row_ids), &of_run)?;
            drop(values);
            for (row, id) in self.rows.iter_mut().zip(ids) {
                row.id = id;
            }
        }
        Ok(std::mem::take(&mut self.rows))
    }
}

/// Values of all columns of a row.
pub(in crate::store) type RowValues<'v> =
    SmallVec<[Value<'v>; COMMON_COLUMNS.len() + FURTHER_COLUMNS.len() + COUNTS.len()]>;

/// Returns the values of the common columns, or of all.
fn values<'v>(
    row: &'v UsageRow,
    counts: &'v [i64; COUNTS.len()],
    cost: Cost,
    is_full: bool,
) -> RowValues<'v> {
    let mut values = RowValues::new();
    values.extend([
        row.started_at_ms.value(),
        row.user_id.value(),
        row.key_id.value(),
        row.endpoint.value(),
        row.model.value(),
        row.served_model.value(),
        Value::text(row.service_tier.as_ref().map(ServiceTier::as_str)),
        row.status.value(),
        Value::Text(row.outcome.as_str()),
        Value::Text(row.source.as_str()),
        row.duration_ms.value(),
        row.wait_ms.value(),
        row.first_byte_ms.value(),
        Value::blob(row.request_id.as_ref().map(|id| &id.as_bytes()[..])),
        row.backend_request_id.value(),
        Value::integer(cost.amount.map(|amount| amount.0)),
        Value::integer(cost.price_id),
    ]);
    if is_full {
        let estimated = (row.source == UsageSource::Estimate).then_some(row.estimated);
        values.extend([
            Value::Integer(row.is_batch.into()),
            Value::integer(estimated.map(|estimated| signed(estimated.input))),
            Value::integer(estimated.map(|estimated| signed(estimated.output))),
        ]);
    }
    let bound = if is_full { COUNTS.len() } else { COMMON_COUNTS };
    values.extend(counts[..bound].iter().map(|count| Value::Integer(*count)));
    values
}

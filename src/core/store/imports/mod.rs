//! Imports from other programs: reads their SQLite files, looks at who is here already, and writes
//! users, keys and usage.
//!
//! Nothing is written unless all of it can be. Rows of usage are written in transactions of a few
//! milliseconds each, so that a running server gets its turn; the keys begin to work with the last one,
//! when all that they have used is booked. An import that was interrupted is completed by running it
//! again, and one that is complete adds nothing but what is new in the file.

mod examine;
#[cfg(not(feature = "sqlite"))]
#[path = "no_source.rs"]
mod source;
#[cfg(feature = "sqlite")]
mod source;
mod transaction;
mod write;

use crate::store::sql::Connection;

use super::{StoreError, ledger::Pricer};
use crate::{
    import::ImportRow,
    model::{EstimatedTokens, NanoUsd, Outcome, UsageRow, UsageSource},
    prices::Catalog,
};

pub use examine::{Examined, ExaminedUser, Fate, examine};
pub use source::SourceDb;
pub use write::{Writer, write};

/// The endpoint of rows that were imported: which one it was is not known.
pub const IMPORT_ENDPOINT: &str = "import";
/// The model of a row that stands for all that was spent with a key.
pub const IMPORT_MODEL: &str = "import";
/// The key of a row whose key is not known: no key has this id.
const NO_KEY: i64 = -1;

/// Prices rows without writing anything.
pub struct Estimator(Pricer);

impl Estimator {
    #[must_use]
    pub fn new(file: Option<Catalog>) -> Self {
        Self(Pricer::for_reading(file))
    }

    /// Returns what a row will cost; `None` without a price.
    ///
    /// # Errors
    /// If the database fails.
    pub fn cost(
        &mut self,
        connection: &Connection,
        row: &ImportRow,
    ) -> Result<Option<NanoUsd>, StoreError> {
        match row.cost {
            Some(cost) => Ok(Some(cost)),
            None => Ok(self.0.price(connection, &usage_row(0, 0, row))?.amount),
        }
    }
}

/// Returns the row of the ledger for one of another program.
fn usage_row(user_id: i64, key_id: i64, row: &ImportRow) -> UsageRow {
    UsageRow {
        user_id,
        key_id,
        started_at_ms: row.started_at_ms,
        endpoint: IMPORT_ENDPOINT,
        model: row.model.clone(),
        served_model: None,
        usage: row.usage,
        service_tier: None,
        is_batch: false,
        estimated: EstimatedTokens::default(),
        status: row.status,
        outcome: Outcome::Completed,
        source: UsageSource::Backend,
        duration_ms: row.duration_ms,
        wait_ms: 0,
        first_byte_ms: row.first_byte_ms,
        request_id: None,
        backend_request_id: None,
        hold: None,
    }
}

//! What each row costs, as it is written.

use rusqlite::Connection;

use crate::model::{NanoUsd, UsageRow};

/// What a row costs, and the price it was priced by. Both are `None` without a price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) amount: Option<NanoUsd>,
    pub(super) price_id: Option<i64>,
}

/// Prices rows.
#[derive(Default)]
pub(super) struct Pricer {}

impl Pricer {
    pub(super) fn price(
        &mut self,
        _connection: &Connection,
        _row: &UsageRow,
    ) -> rusqlite::Result<Cost> {
        Ok(Cost::default())
    }
}

//! Prices in the database: those that an operator sets, and those that rows were priced by.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::StoreError;

/// Models that were priced by another model's price. Of several the last one counts.
const SUBSTITUTES: &str = "SELECT model_prices.model, prices.model FROM model_prices JOIN prices ON prices.id = price_id \
     WHERE prices.model <> model_prices.model ORDER BY price_id";

/// Returns for each model that was priced by another model's price the name of that one.
///
/// # Errors
/// If the database fails.
pub(super) fn substitutes(connection: &Connection) -> Result<BTreeMap<String, String>, StoreError> {
    let mut statement = connection.prepare_cached(SUBSTITUTES)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

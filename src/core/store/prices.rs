//! Prices in the database: those that an operator sets, and those that rows were priced by. A price
//! is never changed, so that each row's cost can be explained.

use super::StoreError;
use crate::store::sql::{Connection, OptionalRow, SqlResult, params};
use crate::{
    model::now_ms,
    prices::{Catalog, FoundPrice, ModelPrice, PriceBook, PriceSource, SetPrice, snapshot},
};
use std::collections::BTreeMap;

const SET: &str = "INSERT INTO prices (model, source, fields, from_ms, created_at_ms) VALUES (?1, 'set', ?2, ?3, ?4) RETURNING id";
// Index: prices_by_model.
const LATEST_SET: &str = "SELECT id FROM prices WHERE model = ?1 AND source = 'set' AND withdrawn_at_ms IS NULL \
     ORDER BY from_ms DESC NULLS LAST, id DESC LIMIT 1";
const WITHDRAW: &str = "UPDATE prices SET withdrawn_at_ms = ?2 WHERE id = ?1";
const ALL_SET: &str = "SELECT id, model, fields, from_ms FROM prices WHERE source = 'set' AND withdrawn_at_ms IS NULL";
// Index: prices_by_model.
const KNOWN: &str = "SELECT id FROM prices WHERE model = ?1 AND source = ?2 AND fields = ?3";
const KEEP: &str = "INSERT INTO prices (model, source, fields, created_at_ms) VALUES (?1, ?2, ?3, ?4) RETURNING id";
const NOTE_MODEL: &str =
    "INSERT INTO model_prices (model, price_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
/// Models that were priced by another model's price. Of several the last one counts.
const SUBSTITUTES: &str = "SELECT model_prices.model, prices.model FROM model_prices JOIN prices ON prices.id = price_id \
     WHERE prices.model <> model_prices.model ORDER BY price_id";

/// Sets the price of a model from a time on (Unix milliseconds). Returns its id.
///
/// # Errors
/// If the database fails.
pub fn set(connection: &Connection, price: &ModelPrice, from_ms: i64) -> Result<i64, StoreError> {
    let values = params![price.name(), price.canonical(), from_ms, now_ms()];
    Ok(connection.query_row(SET, values, |row| row.get(0))?)
}

/// Withdraws the latest price that was set for a model. Rows that were priced by it keep their cost.
///
/// # Errors
/// [`StoreError::NoSetPrice`], or an error of the database.
pub fn withdraw(connection: &mut Connection, model: &str) -> Result<i64, StoreError> {
    let transaction = connection.write()?;
    let id: Option<i64> = transaction
        .query_row(LATEST_SET, [model], |row| row.get(0))
        .optional()?;
    let id = id.ok_or_else(|| StoreError::NoSetPrice {
        model: model.to_owned(),
    })?;
    transaction.execute(WITHDRAW, params![id, now_ms()])?;
    transaction.commit()?;
    Ok(id)
}

/// Returns all prices that hold: those that were set, those of a file, those in the binary.
///
/// # Errors
/// If the database fails.
pub fn book(connection: &Connection, file: Option<Catalog>) -> Result<PriceBook, StoreError> {
    Ok(PriceBook::new(all_set(connection)?, file, snapshot()))
}

/// Returns the prices that were set and not withdrawn.
///
/// # Errors
/// If the database fails.
pub fn all_set(connection: &Connection) -> Result<Vec<SetPrice>, StoreError> {
    let mut statement = connection.prepare_cached(ALL_SET)?;
    let rows = statement.query_map([], |row| {
        let texts: (String, String) = (row.get(1)?, row.get(2)?);
        Ok((row.get(0)?, texts, row.get::<_, Option<i64>>(3)?))
    })?;
    let mut prices = Vec::new();
    for row in rows {
        let (id, (model, fields), from_ms) = row?;
        match ModelPrice::parse(&model, &fields) {
            Ok(price) => prices.push(SetPrice {
                id,
                model,
                from_ms: from_ms.unwrap_or(i64::MIN),
                price,
            }),
            // Written by hand, or by a later version.
            Err(error) => log::warn!("prices: price {id} cannot be read: {error}"),
        }
    }
    Ok(prices)
}

/// Returns the id of a price that a row of a model is priced by, and keeps the price if it is new.
pub(super) fn keep(connection: &Connection, model: &str, found: &FoundPrice) -> SqlResult<i64> {
    let source = match found.source {
        PriceSource::Set(id) => {
            note_model(connection, model, id)?;
            return Ok(id);
        }
        PriceSource::File => "file",
        PriceSource::Snapshot => "snapshot",
    };
    let fields = found.price.canonical();
    let known: Option<i64> = connection
        .prepare_cached(KNOWN)?
        .query_row(params![found.model(), source, fields], |row| row.get(0))
        .optional()?;
    let id = if let Some(id) = known {
        id
    } else {
        let values = params![found.model(), source, fields, now_ms()];
        connection.query_row(KEEP, values, |row| row.get(0))?
    };
    note_model(connection, model, id)?;
    Ok(id)
}

fn note_model(connection: &Connection, model: &str, price_id: i64) -> SqlResult<()> {
    let mut statement = connection.prepare_cached(NOTE_MODEL)?;
    statement.execute(params![model, price_id])?;
    Ok(())
}

/// Returns for each model that was priced by another model's price the name of that one.
///
/// # Errors
/// If the database fails.
pub(super) fn substitutes(connection: &Connection) -> Result<BTreeMap<String, String>, StoreError> {
    let mut statement = connection.prepare_cached(SUBSTITUTES)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<SqlResult<_>>()?)
}

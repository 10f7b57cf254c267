//! What each row costs, as it is written. The price of a model is looked up once and kept until
//! prices change.

use crate::store::sql::{Connection, SqlError, SqlResult};
use crate::{
    model::{NanoUsd, Usage, UsageRow, UsageSource},
    prices::{Catalog, PreparedPrice, PriceBook},
    store::{StoreError, prices},
};
use std::collections::HashMap;

/// The most models whose prices are kept. Clients choose names.
const MAX_MODELS: usize = 1_000;

/// What a row costs, and the price it was priced by. Both are `None` without a price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::store) struct Cost {
    pub(in crate::store) amount: Option<NanoUsd>,
    pub(in crate::store) price_id: Option<i64>,
}

/// Prices rows.
pub(in crate::store) struct Pricer {
    file: Option<Catalog>,
    /// All prices that hold; `None` until the first row is priced, because most of their memory is
    /// for models that nobody uses.
    book: Option<PriceBook>,
    /// Hashed with a seed and quickly, as in the sums of `rollup.rs`.
    known: HashMap<String, KnownPrice, foldhash::fast::RandomState>,
    /// Unix times in milliseconds between which no price begins to hold: what is known, is known of
    /// this time.
    valid_ms: (i64, i64),
    /// Whether prices are kept in the database. Otherwise nothing is written, and ids are 0.
    keeps_prices: bool,
}

/// The price of a model, if it has one.
struct KnownPrice {
    served_model: Option<String>,
    price: Option<(PreparedPrice, i64)>,
}

impl Pricer {
    pub(in crate::store) fn new(file: Option<Catalog>) -> Self {
        Self {
            file,
            book: None,
            known: HashMap::default(),
            valid_ms: (i64::MIN, i64::MIN),
            keeps_prices: true,
        }
    }

    /// Creates a pricer that writes nothing: what it says is for looking at.
    pub(in crate::store) fn for_reading(file: Option<Catalog>) -> Self {
        Self {
            keeps_prices: false,
            ..Self::new(file)
        }
    }

    /// Forgets all prices, because they may have changed or were not written.
    pub(in crate::store) fn forget(&mut self) {
        self.book = None;
        self.known.clear();
    }

    /// Returns what a row costs. A new price is kept in the database, inside the caller's
    /// transaction; if that fails, the pricer must [forget](Self::forget).
    pub(in crate::store) fn price(
        &mut self,
        connection: &Connection,
        row: &UsageRow,
    ) -> SqlResult<Cost> {
        let is_success = (200..300).contains(&row.status);
        if row.usage == Usage::default() && !is_success {
            // Nothing was used, whatever it would cost.
            return Ok(Cost {
                amount: Some(NanoUsd(0)),
                price_id: None,
            });
        }
        if row.source == UsageSource::None {
            return Ok(Cost::default());
        }
        let Some((price, price_id)) = self.price_of(connection, row)? else {
            return Ok(Cost::default());
        };
        let amount = price.cost(&row.usage, row.service_tier.as_ref(), row.is_batch);
        Ok(Cost {
            amount,
            price_id: amount.and(Some(*price_id)),
        })
    }

    /// Returns whether the price of a row's model is known, so that nothing is read or written for it.
    #[cfg(feature = "postgres")]
    pub(super) fn knows(&self, row: &UsageRow) -> bool {
        let known = self.known.get(&row.model);
        (self.valid_ms.0..self.valid_ms.1).contains(&row.started_at_ms)
            && known.is_some_and(|known| known.served_model == row.served_model)
    }

    fn price_of(
        &mut self,
        connection: &Connection,
        row: &UsageRow,
    ) -> SqlResult<Option<&(PreparedPrice, i64)>> {
        let at_ms = row.started_at_ms;
        if !(self.valid_ms.0..self.valid_ms.1).contains(&at_ms) {
            self.known.clear();
        }
        let known = self.known.get(&row.model);
        let is_known = known.is_some_and(|known| known.served_model == row.served_model);
        if !is_known {
            self.look_up(connection, row)?;
        }
        let known = self.known.get(&row.model);
        Ok(known.and_then(|known| known.price.as_ref()))
    }

    fn look_up(&mut self, connection: &Connection, row: &UsageRow) -> SqlResult<()> {
        let at_ms = row.started_at_ms;
        let book = match &mut self.book {
            Some(book) => book,
            none => none.insert(read_book(connection, self.file.clone())?),
        };
        self.valid_ms = book.valid_ms(at_ms);
        let found = book.find(&row.model, row.served_model.as_deref(), at_ms);
        let price = match found {
            Some(found) if self.keeps_prices => {
                let id = prices::keep(connection, &row.model, &found)?;
                Some((PreparedPrice::new(found.price), id))
            }
            Some(found) => Some((PreparedPrice::new(found.price), 0)),
            None => None,
        };
        if self.known.len() >= MAX_MODELS {
            self.known.clear();
        }
        self.known.insert(
            row.model.clone(),
            KnownPrice {
                served_model: row.served_model.clone(),
                price,
            },
        );
        Ok(())
    }
}

fn read_book(connection: &Connection, file: Option<Catalog>) -> SqlResult<PriceBook> {
    prices::book(connection, file).map_err(|error| match error {
        StoreError::Sql(error) => error,
        // Reading prices has no other errors.
        _ => SqlError::NoRow,
    })
}

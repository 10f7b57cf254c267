//! What usage costs. Pure: prices come from a JSON document, a text of the database or the snapshot
//! in the binary, and amounts are integers from the decimal text to the rounded nano-dollar.
//!
//! `docs/money.md` says how a cost comes about.

mod book;
mod catalog;
mod compare;
mod cost;
mod field;
mod model_price;
mod names;
mod rates;
mod reader;
mod snapshot;
mod tables;
mod unit;

pub use book::{FoundPrice, PriceBook, PriceSource, SetPrice};
pub use catalog::Catalog;
pub use compare::{Changes, PriceChange, compare};
pub use cost::PreparedPrice;
pub use field::{Field, Stem};
pub use model_price::ModelPrice;
pub use names::bases;
pub use reader::PricesError;
pub use snapshot::{SnapshotInfo, snapshot, snapshot_info};
pub use tables::ModelLimits;
pub use unit::{UnitPrice, UnitPriceError};

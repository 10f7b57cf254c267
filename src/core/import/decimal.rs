//! Decimal numbers of cells.

use super::error::BadCell;
use crate::model::{self, DecimalError};

/// The largest amount of one row or key: ten million dollars, so that sums fit.
pub(super) const MAX_NANO_USD: i64 = 10_000_000_000_000_000;

/// Returns a decimal text times ten to the power of `places`, as [`model::scaled`] does.
///
/// # Errors
/// [`BadCell`] says why the text is no such number.
pub(super) fn scaled(text: &str, places: i64) -> Result<i64, BadCell> {
    model::scaled(text, places).map_err(|error| match error {
        DecimalError::NotANumber => BadCell::NotANumber,
        DecimalError::TooLarge => BadCell::TooLarge,
    })
}

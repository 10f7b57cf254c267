//! The columns of each list that commands print.

mod alerts;
mod costs;
mod import;
mod limits;
mod live;
mod people;
mod prices;
mod requests;

pub(super) use alerts::alerts;
pub(super) use costs::CostLines;
pub(super) use import::{import_counts, imported_users};
pub(super) use limits::{audit, limits, tried_limits, tried_users};
pub(super) use live::{live_users, percent};
pub(super) use people::{groups, issued, keys, users};
pub(super) use prices::{price, prices, repriced, unpriced};
pub(super) use requests::{explanation, request_line, requests};

//! What a request passes on its way, and the rooms that this stands on: the proxy, limits, usage, prices,
//! the database. It is compiled for speed; commands, the admin API and the page, in the package around it,
//! are compiled for size.

#![forbid(unsafe_code)]

pub mod alerts;
pub mod import;
pub mod json;
pub mod limits;
pub mod listener;
pub mod model;
pub mod prices;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod proxy;
pub mod sight;
pub mod store;
pub mod usage;

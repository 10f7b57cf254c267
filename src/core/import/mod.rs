//! What other programs keep of users, keys and usage, read into one model. Pure: cells and texts in,
//! [`Import`] and rows out; the SQL that gets the cells is in the store. Inputs are hostile: a file may
//! hold anything in any column.

mod cell;
mod columns;
mod decimal;
mod error;
mod keys;
mod litellm;
mod model;
mod names;
mod notes;
mod one_api;
mod python;

pub use cell::Cell;
pub use columns::{Table, Wanted};
pub use error::ImportError;
pub use litellm::read as read_litellm;
pub use model::{Format, Import, ImportKey, ImportRow, ImportUser, Spend};
pub use notes::{Note, Notes};
pub use one_api::{LOGS, OPTIONS, OneApi, TOKENS, USERS as ONE_API_USERS};
pub use python::{Python, USAGE, USERS as PYTHON_USERS, UsageLinks};

//! Words shared by all rooms: users and their keys, usage and its rows, time ranges. Types carry
//! the rules: a name that exists is valid, a range that exists is not backwards, a key never prints
//! itself.

mod ascii;
mod calendar;
mod decimal;
mod dimension;
mod key;
mod limit;
mod money;
mod number;
mod object;
mod refusal;
mod request_id;
mod running;
mod secret;
mod time;
mod usage;
mod user;

pub use ascii::{is_ascii, is_printable_ascii, is_small_ascii};
pub use calendar::{Calendar, Periods};
pub use decimal::{DecimalError, scaled};
pub use dimension::{Dimension, DimensionError, Period};
pub use key::{ApiKey, GivenKeyError, KeyHash, KeyHolder, without_keys};
pub use limit::{
    BudgetUnit, BudgetWindow, Extra, Limit, LimitError, LimitKind, LimitScope, LimitValue,
};
pub use money::{AmountError, NanoUsd};
pub use number::grouped;
pub use object::{
    Account, Claim, Entry, Extent, ObjectHold, ObjectKind, Origin, Progress, StoredObject,
};
pub use refusal::{MAX_REFUSAL_CHARS, Refusal};
pub use request_id::{NoRequestId, RequestId};
pub use running::{Note, RunningRequest};
pub use secret::Secret;
pub use time::{TimeError, TimeRange, format_seconds, format_utc, format_utc_date, ms_ago, now_ms};
pub use usage::{
    EstimatedTokens, Outcome, RowHold, ServiceTier, Usage, UsageClasses, UsageRow, UsageSource,
};
pub use user::{NameError, UserName, is_unprintable, name_of_removed};

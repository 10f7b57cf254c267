//! What a request may: budgets with reservations, rates, concurrency, models. Pure but for the lock in
//! `shared.rs`: rows, limits and the time come from outside, so that all can be tested with plain
//! values.
//!
//! `docs/limits.md` says what each limit does.

mod amounts;
mod bucket;
pub mod fair_queue;
mod leases;
mod limiter;
mod models;
mod refusal;
mod rules;
mod shared;

pub use amounts::Amounts;
pub use leases::{LeaseAsk, LeaseDesk, LeaseKey, Leases};
pub use limiter::CONCURRENT_RETRY_MS;
pub use limiter::{
    BudgetCheck, Demand, Grant, Limiter, LimiterCounts, Moment, Owners, RateState, WindowStart,
    Windows,
};
pub use models::ModelPatterns;
pub use refusal::{Reason, Refusal};
pub use rules::{
    BudgetRule, LimitSource, LimitTable, LimitedUser, ModelRule, NumberRule, Owner, SubjectLimits,
    UserRules,
};
pub use shared::{Admitted, Presence, Reservation, SharedLimits};

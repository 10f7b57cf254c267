//! Why a request is refused.

use super::rules::LimitSource;

/// A limit that a request does not pass, with its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub source: LimitSource,
    pub reason: Reason,
    /// The limit, in the unit of its kind: nano-dollars for budgets in dollars.
    pub limit: i64,
    pub used: i64,
    /// The part of requests in flight.
    pub reserved: i64,
    /// The most that this request can use.
    pub requested: i64,
    /// This node has to ask for a part of the budget first, which others may have.
    pub needs_lease: bool,
    /// Unix time in milliseconds at which the limit is as good as new; `None` if it never is.
    pub resets_at_ms: Option<i64>,
}

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Rows of the ledger leave too little of the budget.
    BudgetUsedUp,
    /// Requests in flight leave too little of the budget.
    BudgetInFlight,
    /// The bucket has too little at the moment.
    Rate { retry_after_ms: u64 },
    /// The bucket never has as much.
    LargerThanBucket,
    /// The owner has as many requests in flight as allowed.
    Concurrent,
}

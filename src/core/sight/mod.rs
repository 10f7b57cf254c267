//! What a running server is doing: live requests, activity of users, last errors, counters and
//! histograms. Each worker writes what is its own, under a lock that nobody else takes on the way of
//! a request; who wants to know sums over the workers when they ask.
//!
//! What was booked (tokens, cost) is counted by the ledger's thread, so that it is what the ledger
//! says, to the token and the nano-dollar.

mod booked;
mod errors;
mod histogram;
mod minute;
mod models;
mod registry;
mod request;
mod worker;

pub use booked::{BookedRow, BookedSums, LedgerSight, LedgerSums};
pub use errors::RecentError;
pub use histogram::{Histogram, LATENCY_BOUNDS_MICROS};
pub use minute::MinuteCounts;
pub use registry::{LiveSnapshot, Sight, UserActivity};
pub use request::{LiveRequest, Refused};
pub use worker::{RequestState, RequestView, RequestsKey, WorkerSight, WorkerSums};

//! Accounting: what is booked of a request, when, and exactly once.

pub mod access_log;
pub mod estimator;
pub mod exchange;
pub mod recorder;

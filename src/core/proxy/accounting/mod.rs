//! Accounting: what is booked of a request, when, and exactly once.

pub mod access_log;
mod booking;
pub mod estimator;
pub mod exchange;
pub mod numbers;
pub mod recorder;
pub mod refusals;
pub mod request_context;
pub mod running;

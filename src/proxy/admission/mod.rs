//! Admission: who calls, whether they may, and when it is their turn.

pub mod auth;
pub mod body_budget;
pub mod gate;
pub mod given_ids;
pub mod owners;
pub mod throttle;

//! llmproxy: an OpenAI-compatible proxy with a key per user and an exact token ledger.
//!
//! `ARCHITECTURE.md` has a picture of the rooms. The library exists for the binary and for tools
//! that test its parts; it promises no stable interface.

#![forbid(unsafe_code)]

pub mod admin;
pub mod alerts;
pub mod cli;
pub mod commands;
pub mod config;
pub mod import;
pub mod json;
pub mod limits;
pub mod look_alike;
pub mod model;
pub mod prices;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod proxy;
pub mod reconcile;
pub mod server;
pub mod sight;
pub mod store;
pub mod usage;

//! llmproxy: an OpenAI-compatible proxy with a key per user and an exact token ledger.
//!
//! `ARCHITECTURE.md` has a picture of the rooms. The library exists for the binary and for tools
//! that test its parts; it promises no stable interface.

#![forbid(unsafe_code)]

pub use llmproxy_core::{
    alerts, import, json, limits, listener, model, prices, proxy, sight, store, usage,
};

pub mod admin;
pub mod cli;
pub mod commands;
pub mod config;
pub mod look_alike;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod reconcile;
pub mod server;

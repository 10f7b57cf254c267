//! The command line: what it prints, how it ends, where its settings and its database come from.

mod base_url;
mod commands;
mod database;
mod quotes;
mod settings;

use crate::harness::Home;

/// A home for commands that need no backend.
fn home() -> Home {
    Home::with_backend_url("http://127.0.0.1:9")
}

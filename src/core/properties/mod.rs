//! The promises of the parsers for any input: one function for each fuzz target but `settings`, which
//! takes bytes and panics if a promise is broken. The targets in `fuzz/` call these, and so does `targets`,
//! which feeds them every seed and mutations of it in `cargo test`. No part of the product:
//! compiled for tests and under `--cfg fuzzing`.

// A panic is how these functions speak.
#![allow(clippy::missing_panics_doc)]

mod backend;
mod decode;
mod path;
mod prices;
mod random;
#[cfg(test)]
mod replay;
mod splice;
mod splits;
mod sse;
#[cfg(test)]
mod targets;
mod texts;
mod typed;
mod usage;

pub use backend::{backend_body, backend_head};
pub use decode::decode;
pub use path::path;
pub use prices::prices;
pub use splice::splice;
pub use sse::sse;
pub use texts::texts;
pub use usage::usage;

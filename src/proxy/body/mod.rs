//! Bodies as they come, in parts: kept in parts where they are long, joined where they are short.

mod collector;
mod parts;

pub use collector::BytesCollector;
pub use parts::{BodyBuilder, BodyParts};

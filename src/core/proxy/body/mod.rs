//! Bodies as they come: long ones stay in their parts, short ones are joined.

mod collector;
mod parts;

pub use collector::BytesCollector;
pub use parts::{BodyBuilder, BodyParts};

//! Reading usage out of what backends answer. Pure: no I/O, no async, no HTTP, no SQL. Inputs are hostile: any bytes, split anywhere.

mod decode;
mod estimate;
mod json;
mod meter;
mod sse;

pub use estimate::{TextCount, prompt_tokens};
pub use json::{Answer, EventKind, Name, read_answer, read_event};
pub use meter::{Encoding, Meter, Reading};
pub use sse::{Scanner, UsageOnlyEvents};

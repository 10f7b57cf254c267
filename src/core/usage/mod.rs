//! Reading usage out of what backends answer. Pure: no I/O, no async, no HTTP, no SQL. Inputs are
//! hostile: any bytes, split anywhere.

mod answer;
mod bound;
mod calls;
mod counts;
mod decode;
mod estimate;
mod image;
mod json_buffer;
mod meter;
mod objects;
#[cfg(test)]
mod samples;
mod session;
mod slots;
mod sse;
mod strings;
mod template;
mod text;
mod tokens;
mod websocket;

pub use answer::{Answer, EventKind, read_answer, read_event};
pub use bound::input_bound;
pub use calls::ToolCalls;
pub use counts::{Content, Counts, Dialect, ReportedCounts, VendorCounts, find_counts};
pub use decode::Encoding;
pub use estimate::{AnswerText, Evidence, Input};
pub use meter::{Meter, Reading};
pub use objects::{AnswerObjects, is_id};
pub use session::{SessionModels, session_models};
pub use sse::{Event, Scanner, UsageOnlyEvents};
pub use template::Templates;
pub use text::{StreamProgress, Text};
pub use tokens::Tokenizer;
pub use websocket::FrameScan;

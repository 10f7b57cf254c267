//! Looking into JSON without building a tree: what [`usage`](crate::usage) and
//! [`proxy`](crate::proxy) share. Pure: no I/O, and no meaning of any member. Inputs are hostile:
//! any bytes.

mod excerpt;
mod fold;
mod lenient;
mod outline;
mod parts;

pub use excerpt::Excerpt;
pub use fold::{LooseName, fold, fold_text};
pub use lenient::{Count, MaybeText, Name, Seconds, text_of};
pub use outline::{Outline, weight_of};
pub use parts::{EachPart, JsonType, PartReader, for_each_member, for_each_part, skip_value};

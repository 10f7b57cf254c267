//! Looking into JSON without building a tree: what [`usage`](crate::usage) and [`proxy`](crate::proxy) share. Pure: no I/O, and no
//! meaning of any member. Inputs are hostile: any bytes.

mod fold;
mod lenient;
mod outline;

pub use fold::{LooseName, fold, fold_text};
pub use lenient::Name;

pub(crate) use lenient::{Count, Lenient, Seconds, anything_else_is_default};
pub(crate) use outline::{Outline, weight_of};

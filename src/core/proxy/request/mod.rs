//! A client's request: how its body is taken, what it says, what it refers to, and the edits
//! that are made in it.

pub mod asked;
pub mod body_kind;
mod info;
pub mod media_type;
mod member;
mod overrides;
pub mod parameters;
pub mod payload;
pub mod prepare;
pub mod query;
pub mod references;
pub mod route;
mod splice;
pub mod usage_option;

pub use asked::{AskedUsage, LimitEdits};
pub use info::{
    AskedOutput, BodyInfo, StorageOptions, TokenLimit, clean_text, inspect, inspect_for_cap,
    not_utf_8, whole_number,
};
pub use member::is_true;
pub use overrides::{is_override, refused as refused_override};
pub use splice::Splice;

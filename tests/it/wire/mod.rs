//! What crosses, what does not, and the one edit.

mod request;
mod response;
mod splice;
mod usage_chunk;

//! What crosses, what does not, and the one edit.

mod held_lines;
mod headers;
mod http10;
mod request;
mod response;
mod splice;
mod usage_chunk;
mod usage_option;

//! What crosses, what does not, and the one edit.

mod headers;
mod held_lines;
mod http10;
mod request;
mod response;
mod splice;
mod usage_chunk;
mod usage_option;

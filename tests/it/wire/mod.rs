//! What passes through unchanged, what is removed, and the one edit of a request.

mod headers;
mod held_back;
mod http10;
mod request;
mod response;
mod splice;
mod usage_chunk;
mod usage_option;

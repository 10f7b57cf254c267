//! Every answered request has its row, with the backend's own numbers wherever it gave any.

mod endings;
mod estimates;
mod odd_streams;
mod order;
mod placeholders;
mod plain;
mod streams;
mod vendors;

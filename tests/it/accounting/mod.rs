//! Every answered request has a row, with the backend's own numbers if it reported any.

mod classes;
mod endings;
mod estimates;
mod odd_streams;
mod order;
mod placeholders;
mod plain;
mod streams;
mod vendors;

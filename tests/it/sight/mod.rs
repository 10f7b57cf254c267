//! What an operator sees of a running server.

mod live;
mod requests;
mod top;

//! The server as a process: how it starts and ends, and how it keeps connections to the backend.

mod connections;
mod start_and_stop;

//! The server as a process: how it starts and ends, and what its connections to the backend go through.

mod connections;
mod start_and_stop;

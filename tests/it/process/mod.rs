//! The server as a process: how it starts, ends and dies, and what its connections to the backend go through.

mod connections;
mod crash;
mod start_and_stop;

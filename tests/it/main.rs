//! Black-box tests: the real binary between a scripted backend and a client that sees every byte.

mod accounting;
mod admin;
mod cli;
mod database;
mod endpoints;
mod errors;
mod faults;
mod gate;
mod harness;
mod hashed_keys;
mod keys;
mod ledger;
mod look_alike;
mod main_road;
mod openapi;
mod process;
mod reach;
mod refusals;
mod stored;
mod wire;

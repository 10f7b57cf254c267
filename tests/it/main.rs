//! Black-box tests: the real binary between a scripted backend and a client that sees every byte.

mod accounting;
mod admin;
mod alerts;
mod cli;
mod connect;
mod database;
mod endpoints;
mod errors;
mod fairness;
mod faults;
mod first_steps;
mod gate;
mod harness;
mod hashed_keys;
mod keys;
mod ledger;
mod limits;
mod mixed_load;
mod money;
mod objects;
mod openapi;
mod people;
mod process;
mod refusals;
mod sight;
mod wire;

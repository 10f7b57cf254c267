//! Limits: pure rules over plain values, without a clock, a database or a network.

pub mod fair_queue;

//! The backend's answer becomes the client's.

pub mod answer;
pub mod coalescer;
pub mod relay;

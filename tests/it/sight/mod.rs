//! What an operator sees of a running server.

mod figures;
mod live;
mod metrics;
mod monitoring;
mod prometheus;
mod ready;
mod requests;
mod scrape;
#[cfg(target_os = "linux")]
mod systemd;
mod top;

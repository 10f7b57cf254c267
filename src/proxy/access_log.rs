//! The access log: one line an answered request.

use std::{fmt, net::IpAddr, sync::Arc};

use actix_web::{HttpRequest, http::Method};

use super::auth::Caller;
use crate::model::{Outcome, Usage, UsageSource};

/// Who asked for what.
#[derive(Debug, Clone)]
pub struct Access {
    pub peer: Peer,
    pub caller: Arc<Caller>,
    pub method: Method,
    pub path: &'static str,
}

/// What the row says.
#[derive(Debug, Clone, Copy)]
pub struct Booked {
    pub outcome: Outcome,
    pub usage: Usage,
    pub source: UsageSource,
}

impl Access {
    /// Of an answer that has no row.
    pub fn log(&self, status: u16, duration_ms: i64) {
        self.line(format_args!("status={status} {duration_ms}ms"));
    }

    /// Of a socket that this proxy ends, besides the line of its end.
    pub fn log_cut(&self, why: &str) {
        self.line(format_args!("cut: {why}"));
    }

    pub fn log_booked(&self, model: &str, status: u16, duration_ms: i64, booked: Booked) {
        let Booked {
            outcome,
            usage,
            source,
        } = booked;
        self.line(format_args!(
            "model={model:?} status={status} {} {duration_ms}ms input={} output={} cached={} ({})",
            outcome.as_str(),
            usage.input,
            usage.output,
            usage.cached,
            source.as_str(),
        ));
    }

    fn line(&self, what: fmt::Arguments<'_>) {
        let Self {
            peer,
            caller,
            method,
            path,
        } = self;
        let user = &caller.username;
        log::info!(target: "access", "{peer} user={user:?} {method} {path} {what}");
    }
}

/// The address of a connection, not what a header says.
#[derive(Debug, Clone, Copy)]
pub struct Peer(Option<IpAddr>);

/// The peer of a request.
#[must_use]
pub fn peer_of(request: &HttpRequest) -> Peer {
    Peer(request.peer_addr().map(|peer| peer.ip().to_canonical()))
}

impl Peer {
    #[must_use]
    pub fn address(self) -> Option<IpAddr> {
        self.0
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("-"),
        }
    }
}

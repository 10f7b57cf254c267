//! The access log: one line for each request that is answered.

use std::{
    fmt::{self, Write},
    net::IpAddr,
    sync::Arc,
};

use actix_web::{HttpRequest, HttpResponse, http::Method};

use crate::model::{Outcome, Usage, UsageSource};
use crate::proxy::{
    admission::auth::Caller,
    error::{ApiError, REQUEST_ID, shortened},
};

const USUAL_LINE_BYTES: usize = 256;

/// Who asks for what. Part of every line about a request that was admitted.
#[derive(Debug, Clone)]
pub struct Access {
    pub peer: Peer,
    pub caller: Arc<Caller>,
    pub method: Method,
    pub path: &'static str,
}

/// What a row says, as far as its line repeats it.
#[derive(Debug, Clone, Copy)]
pub struct Booked {
    pub outcome: Outcome,
    pub usage: Usage,
    pub source: UsageSource,
}

impl Access {
    /// Writes the line of an answer that has no row.
    pub fn log(&self, status: u16, duration_ms: i64) {
        self.line(|line| {
            line.number("status=", status);
            line.number(" ", duration_ms);
            line.text("ms");
        });
    }

    /// Writes why this proxy ends an answer or a socket early. A socket has a line at its end
    /// besides.
    pub fn log_cut(&self, why: &str) {
        self.line(|line| {
            line.text("cut: ");
            line.text(why);
        });
    }

    pub fn log_booked(&self, model: &str, status: u16, duration_ms: i64, booked: Booked) {
        let Booked {
            outcome,
            usage,
            source,
        } = booked;
        self.line(|line| {
            line.quoted("model=", model);
            line.number(" status=", status);
            line.text(" ");
            line.text(outcome.as_str());
            line.number(" ", duration_ms);
            line.number("ms input=", usage.input);
            line.number(" output=", usage.output);
            line.number(" cached=", usage.cached);
            line.text(" (");
            line.text(source.as_str());
            line.text(")");
        });
    }

    fn line(&self, what: impl FnOnce(&mut Line)) {
        if !is_on() {
            return;
        }
        let Self {
            peer,
            caller,
            method,
            path,
        } = self;
        let mut line = Line(String::with_capacity(USUAL_LINE_BYTES));
        line.shown(peer);
        line.quoted(" user=", &caller.username);
        line.text(" ");
        line.text(method.as_str());
        line.text(" ");
        line.text(path);
        line.text(" ");
        what(&mut line);
        log::info!(target: "access", "{}", line.0);
    }
}

/// Writes the line of a request that was refused.
pub fn log_refusal(
    request: &HttpRequest,
    caller: Option<&Caller>,
    error: &ApiError,
    response: &HttpResponse,
) {
    if !is_on() {
        return;
    }
    let mut line = Line(String::with_capacity(USUAL_LINE_BYTES));
    line.shown(peer_of(request));
    if let Some(caller) = caller {
        line.quoted(" user=", &caller.username);
    }
    line.text(" ");
    line.text(shortened(request.method().as_str(), 20));
    line.quoted(" ", shortened(request.path(), 200));
    line.number(" refused: status=", response.status().as_u16());
    line.request_id_of(response);
    line.text(" ");
    line.shown(error);
    log::info!(target: "access", "{}", line.0);
}

/// Writes the line of a request to the admin API.
pub fn log_admin(request: &HttpRequest, response: &HttpResponse) {
    if !is_on() {
        return;
    }
    let mut line = Line(String::with_capacity(USUAL_LINE_BYTES));
    line.shown(peer_of(request));
    line.text(" admin ");
    line.text(shortened(request.method().as_str(), 20));
    line.quoted(" ", shortened(request.path(), 200));
    line.number(" status=", response.status().as_u16());
    line.request_id_of(response);
    log::info!(target: "access", "{}", line.0);
}

fn is_on() -> bool {
    log::log_enabled!(target: "access", log::Level::Info)
}

/// A line in the making. It is put together by hand, because there is one for each request and
/// `format!` takes three times as long.
struct Line(String);

impl Line {
    fn text(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn number(&mut self, name: &str, number: impl itoa::Integer) {
        self.text(name);
        self.text(itoa::Buffer::new().format(number));
    }

    /// Writes a text as `{:?}` would.
    fn quoted(&mut self, name: &str, text: &str) {
        self.text(name);
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        if text.as_bytes().iter().all(is_plain) {
            self.text("\"");
            self.text(text);
            self.text("\"");
        } else {
            self.shown(format_args!("{text:?}"));
        }
    }

    /// Writes the request id of an error that this proxy made: a client can give it to the
    /// operator.
    fn request_id_of(&mut self, response: &HttpResponse) {
        let id = response.headers().get(&REQUEST_ID);
        if let Some(id) = id.and_then(|id| id.to_str().ok()) {
            self.text(" request_id=");
            self.text(id);
        }
    }

    fn shown(&mut self, what: impl fmt::Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{what}");
    }
}

/// The address of the peer of a connection, not what a header says.
#[derive(Debug, Clone, Copy)]
pub struct Peer(Option<IpAddr>);

/// Returns the peer of a request.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_is_quoted_as_debug_would(name in "[a-z\"'\\\\ ~]{0,8}|.{0,8}") {
            let mut line = Line(String::new());
            line.quoted("user=", &name);
            prop_assert_eq!(line.0, format!("user={name:?}"));
        }
    }
}

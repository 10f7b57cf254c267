//! The access log: one line for each request that is answered.

use std::{
    fmt::{self, Write},
    net::IpAddr,
    sync::Arc,
};

use actix_web::{HttpRequest, HttpResponse, http::Method};

use crate::model::{Outcome, RequestId, Usage, UsageSource, is_printable_ascii};
use crate::proxy::{
    admission::auth::Caller,
    error::{ApiError, shortened},
};

const USUAL_LINE_BYTES: usize = 256;

/// Who asks for what. Part of every line about a request that was admitted.
#[derive(Debug, Clone)]
pub struct Access {
    pub id: RequestId,
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
    pub fn log(&self, status: u16, duration_ms: i64, backend_id: Option<&str>) {
        self.line(|line| {
            line.number(" status=", status);
            line.number(" duration_ms=", duration_ms);
            line.ids(self.id, backend_id);
        });
    }

    /// Writes why this proxy ends an answer or a socket early. A socket has a line at its end
    /// besides.
    pub fn log_cut(&self, why: &str, backend_id: Option<&str>) {
        self.line(|line| {
            line.quoted(" cut=", why);
            line.ids(self.id, backend_id);
        });
    }

    /// Writes the line of an answer that has a row.
    pub fn log_booked(
        &self,
        model: &str,
        status: u16,
        duration_ms: i64,
        booked: Booked,
        backend_id: Option<&str>,
    ) {
        let Booked {
            outcome,
            usage,
            source,
        } = booked;
        self.line(|line| {
            line.quoted(" model=", model);
            line.number(" status=", status);
            line.word(" outcome=", outcome.as_str());
            line.number(" duration_ms=", duration_ms);
            line.number(" input=", usage.input);
            line.number(" output=", usage.output);
            line.number(" cached=", usage.cached);
            line.word(" source=", source.as_str());
            line.ids(self.id, backend_id);
        });
    }

    fn line(&self, rest: impl FnOnce(&mut Line)) {
        if is_on() {
            let mut line = Line::new(self.peer, Some(&self.caller), &self.method, self.path);
            rest(&mut line);
            line.write();
        }
    }
}

/// Writes the line of a request that was refused.
pub fn log_refusal(
    request: &HttpRequest,
    caller: Option<&Caller>,
    error: &ApiError,
    id: RequestId,
) {
    if is_on() {
        let mut line = Line::of_request(request, caller);
        line.number(" status=", error.status().as_u16());
        line.quoted(" refused=", &error.to_string());
        line.ids(id, None);
        line.write();
    }
}

/// Writes the line of a request to the admin API.
pub fn log_admin(request: &HttpRequest, response: &HttpResponse, id: RequestId) {
    if is_on() {
        let mut line = Line::of_request(request, None);
        line.number(" status=", response.status().as_u16());
        line.ids(id, None);
        line.write();
    }
}

fn is_on() -> bool {
    log::log_enabled!(target: "access", log::Level::Info)
}

/// A line in the making. It is put together by hand, because there is one for each request and
/// `format!` takes three times as long.
struct Line(String);

impl Line {
    fn new(peer: Peer, caller: Option<&Caller>, method: &Method, path: &str) -> Self {
        let mut line = Self(String::with_capacity(USUAL_LINE_BYTES));
        line.text("peer=");
        line.peer(peer);
        if let Some(caller) = caller {
            line.quoted(" user=", &caller.username);
        }
        line.word(" method=", shortened(method.as_str(), 20));
        line.quoted(" path=", path);
        line
    }

    fn of_request(request: &HttpRequest, caller: Option<&Caller>) -> Self {
        let path = shortened(request.path(), 200);
        Self::new(peer_of(request), caller, request.method(), path)
    }

    fn write(&self) {
        log::info!(target: "access", "{}", self.0);
    }

    fn text(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// Writes a text that needs no quotes.
    fn word(&mut self, name: &str, word: &str) {
        self.text(name);
        self.text(word);
    }

    fn number(&mut self, name: &str, number: impl itoa::Integer) {
        self.text(name);
        self.text(itoa::Buffer::new().format(number));
    }

    /// Writes the ids by which client and operator can talk about a request: its own, and the
    /// backend's if there is one.
    fn ids(&mut self, id: RequestId, backend_id: Option<&str>) {
        self.text(" request_id=");
        // All digits are ASCII.
        self.text(std::str::from_utf8(&id.text()).unwrap_or_default());
        if let Some(backend_id) = backend_id {
            self.quoted(" backend_request_id=", backend_id);
        }
    }

    /// Writes the address of a peer. The numbers of IPv4 are written by hand: the standard library
    /// writes them into a buffer first, to be able to pad them.
    fn peer(&mut self, peer: Peer) {
        let Some(IpAddr::V4(address)) = peer.0 else {
            return self.shown(peer);
        };
        for (name, number) in ["", ".", ".", "."].into_iter().zip(address.octets()) {
            self.number(name, number);
        }
    }

    /// Writes a text as `{:?}` would.
    fn quoted(&mut self, name: &str, text: &str) {
        self.text(name);
        let bytes = text.as_bytes();
        if is_printable_ascii(bytes) && memchr::memchr2(b'"', b'\\', bytes).is_none() {
            self.text("\"");
            self.text(text);
            self.text("\"");
        } else {
            self.shown(format_args!("{text:?}"));
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

    #[test]
    fn a_peer_is_written_as_it_is_shown() {
        for address in ["127.0.0.1", "10.0.200.255", "2001:db8::1"] {
            let peer = Peer(address.parse().ok());
            let mut line = Line(String::new());
            line.peer(peer);
            assert_eq!(line.0, address);
        }
    }

    proptest! {
        #[test]
        fn a_name_is_quoted_as_debug_would(name in "[a-z\"'\\\\ ~]{0,8}|.{0,8}") {
            let mut line = Line(String::new());
            line.quoted("user=", &name);
            prop_assert_eq!(line.0, format!("user={name:?}"));
        }
    }
}

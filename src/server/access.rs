//! Who may call the admin API and see the operator's pages. The address of the connection counts, never one that a header names.

use std::net::IpAddr;

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderMap},
};
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    model::Secret,
    proxy::{admission::auth::bearer, error::ApiError},
};

const FORWARDING: [&str; 2] = ["forwarded", "x-real-ip"];
const FORWARDING_PREFIX: &str = "x-forwarded-";
const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The rule that the operator has set.
#[derive(Debug)]
pub struct AdminAccess {
    /// SHA-256 of the token, so that a comparison takes the same time for texts of any length.
    token_hash: Option<[u8; 32]>,
    networks: Vec<IpNet>,
}

impl AdminAccess {
    #[must_use]
    pub fn new(token: Option<&Secret>, networks: Vec<IpNet>) -> Self {
        Self {
            token_hash: token.map(|token| Sha256::digest(token.expose()).into()),
            networks,
        }
    }

    /// Checks whether a request may call the admin API.
    ///
    /// # Errors
    /// 401 without the right token if one is set; 403 if none is set and the caller is not this
    /// machine.
    pub fn check(&self, request: &HttpRequest) -> Result<(), ApiError> {
        if self.trusts(request) {
            return Ok(());
        }
        match &self.token_hash {
            Some(expected) => check_token(request.headers(), expected),
            None => Err(ApiError::forbidden(
                "admin_closed",
                "The admin API is open to this machine only. Set ADMIN_TOKEN and send it as 'Authorization: Bearer ...', \
                 or list the networks that may call it in ADMIN_ALLOW; on the server itself, `llmproxy user` and \
                 `llmproxy costs` need neither.",
            )),
        }
    }

    /// Returns whether a request may administer without a token: it comes from one of the networks,
    /// or no token is set and it comes from this machine.
    #[must_use]
    pub fn trusts(&self, request: &HttpRequest) -> bool {
        let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
        let in_network = |peer: IpAddr| self.networks.iter().any(|net| net.contains(&peer));
        peer.is_some_and(in_network) || self.token_hash.is_none() && is_local(request, peer)
    }

    /// Returns whether there is a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token_hash.is_some()
    }

    /// Returns whether a text is the token. It takes the same time for every text.
    #[must_use]
    pub fn is_token(&self, text: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(text).into();
        let expected = self.token_hash.as_ref();
        expected.is_some_and(|expected| bool::from(given.ct_eq(expected)))
    }
}

fn check_token(headers: &HeaderMap, expected: &[u8; 32]) -> Result<(), ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let token = match (values.next(), values.next()) {
        (Some(value), None) => bearer(value.as_bytes()),
        _ => None,
    };
    let given: [u8; 32] = Sha256::digest(token.unwrap_or_default()).into();
    if token.is_some() && bool::from(given.ct_eq(expected)) {
        return Ok(());
    }
    Err(ApiError::unauthorized(
        "invalid_admin_token",
        "The admin API needs the admin token: Authorization: Bearer ADMIN_TOKEN.",
    ))
}

/// Whether a program on this machine made the request: not a reverse proxy, and not a web page
/// whose name was pointed at 127.0.0.1 (such a request has the name of the page in `Host`).
fn is_local(request: &HttpRequest, peer: Option<IpAddr>) -> bool {
    let headers = request.headers();
    let forwarded = headers.keys().any(|name| {
        FORWARDING.contains(&name.as_str()) || name.as_str().starts_with(FORWARDING_PREFIX)
    });
    peer.is_some_and(|peer| peer.is_loopback()) && !forwarded && has_local_host(headers)
}

fn has_local_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST);
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let host = host.to_str().unwrap_or_default();
    LOCAL_HOSTS.iter().any(|local| {
        let Some(rest) = host
            .get(..local.len())
            .filter(|name| name.eq_ignore_ascii_case(local))
            .map(|_| &host[local.len()..])
        else {
            return false;
        };
        let port = rest.strip_prefix(':');
        rest.is_empty() || port.is_some_and(|port| port.parse::<u16>().is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{http::StatusCode, test::TestRequest};

    fn status(access: &AdminAccess, peer: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = TestRequest::get().peer_addr(format!("{peer}:1").parse().unwrap());
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        access
            .check(&request.to_http_request())
            .map_or_else(|error| error.status(), |()| StatusCode::OK)
            .as_u16()
    }

    #[test]
    fn without_a_rule_only_this_machine_may_call() {
        let access = AdminAccess::new(None, vec![]);
        for host in ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:1"] {
            assert_eq!(
                status(&access, "127.0.0.1", &[("host", host)]),
                200,
                "{host}"
            );
        }
        assert_eq!(
            status(&access, "[::ffff:127.0.0.1]", &[("host", "localhost")]),
            200
        );
        assert_eq!(status(&access, "[::1]", &[("host", "localhost")]), 200);
        assert_eq!(status(&access, "10.0.0.1", &[("host", "localhost")]), 403);
        for host in [
            "evil.example",
            "localhost.evil.example",
            "localhost:",
            "localhost:x",
            "127.0.0.1.evil",
            "",
            "é",
        ] {
            assert_eq!(
                status(&access, "127.0.0.1", &[("host", host)]),
                403,
                "{host}"
            );
        }
        assert_eq!(status(&access, "127.0.0.1", &[]), 403);
        assert_eq!(
            status(
                &access,
                "127.0.0.1",
                &[("host", "localhost"), ("host", "localhost")]
            ),
            403
        );
        for name in [
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Anything",
            "X-Real-IP",
        ] {
            assert_eq!(
                status(
                    &access,
                    "127.0.0.1",
                    &[("host", "localhost"), (name, "127.0.0.1")]
                ),
                403,
                "{name}"
            );
        }
    }

    #[test]
    fn with_a_token_it_is_needed_from_everywhere() {
        let access = AdminAccess::new(Some(&Secret::new("right")), vec![]);
        assert_eq!(
            status(&access, "10.0.0.1", &[("authorization", "Bearer right")]),
            200
        );
        assert_eq!(status(&access, "127.0.0.1", &[("host", "localhost")]), 401);
        for value in ["Bearer wrong", "Bearer", "right", "Bearer right x"] {
            assert_eq!(
                status(&access, "10.0.0.1", &[("authorization", value)]),
                401,
                "{value}"
            );
        }
    }

    #[test]
    fn a_trusted_network_needs_no_token() {
        let networks = vec!["10.0.0.0/8".parse().unwrap()];
        let access = AdminAccess::new(Some(&Secret::new("right")), networks);
        assert_eq!(status(&access, "10.9.9.9", &[]), 200);
        assert_eq!(status(&access, "[::ffff:10.9.9.9]", &[]), 200);
        assert_eq!(
            status(&access, "11.9.9.9", &[("x-forwarded-for", "10.9.9.9")]),
            401
        );
    }
}

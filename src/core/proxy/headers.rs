//! The headers that cross, in both directions: which of a request's go on to the backend, and which
//! of an answer's go back to the client.

#[cfg(test)]
mod tests;

use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{self, HeaderMap, HeaderName},
    },
};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::backend::{BackendUrl, HttpProxy, below_v1};
use crate::model::Secret;

/// Beginning of the subprotocol that holds a key. A browser's WebSocket can send no header of its
/// own, so OpenAI's SDK puts the key there.
pub const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

// Names are told apart by their first letter, so that most headers of a message cost a jump and one
// or two comparisons.

/// Returns whether a header concerns one connection only, in either direction: those of RFC 9110
/// section 7.6.1 and RFC 9113 section 8.2.2, whether `Connection` names them or not, and the
/// length, because a message is framed anew.
fn is_hop_by_hop(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'c') => matches!(name, "connection" | "content-length"),
        Some(b'h') => name == "http2-settings",
        Some(b'k') => name == "keep-alive",
        Some(b'p') => name == "proxy-connection",
        Some(b't') => matches!(name, "te" | "trailer" | "transfer-encoding"),
        Some(b'u') => name == "upgrade",
        _ => false,
    }
}

/// Returns whether an end-to-end header of a request does not go on. These stay here:
/// - the client's credentials and cookies, and what this proxy sets itself;
/// - the client's address, as reverse proxies and content delivery networks name it (all that end
///   in `-ip`, too);
/// - what would have the backend read another method, path or host than those that were checked;
/// - `alt-used`, which speaks of our host name;
/// - of a WebSocket, what is written anew: the protocols may hold the key, the extensions would
///   compress.
fn is_dropped_from_request(name: &str) -> bool {
    let is_listed = match name.as_bytes().first() {
        Some(b'a') => matches!(
            name,
            "accept-encoding" | "alt-used" | "api-key" | "authorization"
        ),
        Some(b'c') => matches!(name, "cookie" | "cf-connecting-ipv6" | "cf-pseudo-ipv4"),
        Some(b'e') => name == "expect",
        Some(b'f') => name == "forwarded",
        Some(b'h') => matches!(name, "host" | "http-method-override"),
        Some(b'm') => name == "method-override",
        Some(b'o') => matches!(
            name,
            "openai-organization" | "openai-project" | "original-url" | "original-uri"
        ),
        Some(b'p') => name.starts_with("proxy-") || matches!(name, "path-info" | "path-override"),
        Some(b'r') => matches!(name, "request-uri" | "request-url" | "request-method"),
        Some(b's') => matches!(
            name,
            "script-name" | "script-url" | "sec-websocket-extensions" | "sec-websocket-protocol"
        ),
        Some(b'x') => is_dropped_x_header(name),
        _ => false,
    };
    is_listed || name.ends_with("-ip")
}

/// Returns whether a request's header whose name begins with `x` does not go on (see
/// [`is_dropped_from_request`]). The third letter is looked at first, so that the SDKs' many
/// `x-stainless-…` headers cost one comparison.
fn is_dropped_x_header(name: &str) -> bool {
    let starts_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match name.as_bytes().get(2) {
        Some(b'a') => {
            matches!(name, "x-api-key" | "x-arr-original-url") || starts_with(&["x-accel-"])
        }
        Some(b'e') => starts_with(&["x-envoy-original-"]),
        Some(b'f') => starts_with(&["x-forwarded", "x-forward-"]),
        Some(b'h') => name == "x-host" || starts_with(&["x-http-"]),
        Some(b'i') => starts_with(&["x-invoke-"]),
        Some(b'm') => {
            matches!(
                name,
                "x-matched-path" | "x-method" | "x-method-override" | "x-ms-original-url"
            ) || starts_with(&["x-middleware-"])
        }
        Some(b'o') => starts_with(&["x-original-", "x-orig-", "x-override-"]),
        Some(b'p') => matches!(
            name,
            "x-path" | "x-path-info" | "x-path-override" | "x-proxy-url"
        ),
        Some(b'r') => {
            matches!(
                name,
                "x-real-uri"
                    | "x-real-url"
                    | "x-replaced-path"
                    | "x-request-method"
                    | "x-request-path"
                    | "x-request-uri"
                    | "x-request-url"
                    | "x-rest-method"
            ) || starts_with(&["x-rewrite-", "x-rewritten-"])
        }
        Some(b's') => matches!(name, "x-script-name" | "x-script-url" | "x-sendfile-type"),
        Some(b't') => name == "x-tunnel-method",
        Some(b'u') => {
            matches!(
                name,
                "x-unencoded-url" | "x-uri" | "x-url" | "x-url-rewrite"
            ) || starts_with(&["x-upstream-"])
        }
        Some(b'v') => name == "x-verb",
        Some(b'w') => name == "x-waws-unencoded-url",
        _ => false,
    }
}

/// Returns whether a server that passes headers as CGI variables would take the name for that of
/// another header: it turns `-` into `_` (RFC 3875 section 4.1.18), so that `x_forwarded_for` would
/// be the one that stays here.
fn is_ambiguous(name: &str) -> bool {
    name.as_bytes().contains(&b'_')
}

/// Returns whether an end-to-end header of an answer does not go back. A client takes it as said by
/// the host that it asked, which is this proxy's, and often for a long time:
/// - `set-cookie…`: the cookies are for the backend's host;
/// - `strict-transport-security`, `public-key-pins…`, `expect-ct`, `expect-staple`: would demand
///   TLS, or the backend's keys, of our host name;
/// - `alt-svc`: would lead to another address in our name;
/// - `nel`, `report-to`, `reporting-endpoints`: would have browsers report on our host to the
///   backend's collectors;
/// - `accept-ch…`, `critical-ch`, `clear-site-data`, `origin-agent-cluster`,
///   `service-worker-allowed`, `use-as-dictionary`: would change what browsers keep of our host and
///   send to it;
/// - `no-vary-search`, `speculation-rules`, `observe-browsing-topics`, `set-login`,
///   `idp-signin-status`, `shared-storage-write`, `activate-storage-access`: would have browsers
///   cache, load or note what they do with our host;
/// - `refresh`, `onion-location`: would lead a browser to another address;
/// - `server-timing`: measures the backend's machines, not ours;
/// - `www-authenticate`, `authentication-info`, `proxy-authenticat…`: speak of credentials that are
///   not the client's;
/// - `x-accel-redirect`, `x-sendfile` and the like: are orders to a server in front of us to send
///   something of its own.
fn is_dropped_from_answer(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'a') => matches!(
            name,
            "accept-ch"
                | "accept-ch-lifetime"
                | "activate-storage-access"
                | "alt-svc"
                | "authentication-info"
        ),
        Some(b'c') => matches!(name, "clear-site-data" | "critical-ch"),
        Some(b'e') => matches!(name, "expect-ct" | "expect-staple"),
        Some(b'i') => name == "idp-signin-status",
        Some(b'n') => matches!(name, "nel" | "no-vary-search"),
        Some(b'o') => matches!(
            name,
            "observe-browsing-topics" | "onion-location" | "origin-agent-cluster"
        ),
        Some(b'p') => name.starts_with("public-key-pins") || name.starts_with("proxy-authenticat"),
        Some(b'r') => matches!(name, "refresh" | "report-to" | "reporting-endpoints"),
        Some(b's') => matches!(
            name,
            "server-timing"
                | "service-worker-allowed"
                | "set-cookie"
                | "set-cookie2"
                | "set-login"
                | "shared-storage-write"
                | "speculation-rules"
                | "strict-transport-security"
        ),
        Some(b'u') => name == "use-as-dictionary",
        Some(b'w') => name == "www-authenticate",
        Some(b'x') => matches!(
            name,
            "x-accel-redirect"
                | "x-lighttpd-send-file"
                | "x-litespeed-location"
                | "x-litespeed-purge"
                | "x-reproxy-file"
                | "x-reproxy-url"
                | "x-sendfile"
        ),
        _ => false,
    }
}

/// Ways to frame a body (RFC 9112 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    Known(u64),
    /// The length of a body that was read as JSON. It goes on with the content type of JSON,
    /// whatever type the client gave.
    Json(u64),
    Chunked,
}

/// The lines that every request to the backend has. They are made once.
pub struct OwnHeaders {
    /// What comes before a path that does not begin with `/v1/`, and what replaces the `/v1` of one
    /// that does. For a plain HTTP proxy both begin with the backend's scheme and host.
    prefix: String,
    v1: String,
    lines: String,
    /// The backend's key in the header that most clients send, and in that of Anthropic's clients.
    bearer: String,
    x_api_key: String,
}

impl OwnHeaders {
    #[must_use]
    pub fn new(
        url: &BackendUrl,
        plain_proxy: Option<&HttpProxy>,
        key: &Secret,
        organization: Option<&str>,
        project: Option<&str>,
    ) -> Self {
        let mut lines = format!("host: {}\r\n", url.authority);
        let mut add = |name: &str, value: &str| {
            for part in [name, ": ", value, "\r\n"] {
                lines.push_str(part);
            }
        };
        if let Some(organization) = organization {
            add("openai-organization", organization);
        }
        if let Some(project) = project {
            add("openai-project", project);
        }
        // A compressed answer could not be metered event by event.
        add("accept-encoding", "identity");
        if let Some(authorization) = plain_proxy.and_then(|proxy| proxy.authorization.as_deref()) {
            add("proxy-authorization", authorization);
        }
        let origin = plain_proxy.map_or_else(String::new, |_| url.origin());
        let (bearer, x_api_key) = if key.expose().is_empty() {
            (String::new(), String::new())
        } else {
            (
                format!("authorization: Bearer {}\r\n", key.expose()),
                format!("x-api-key: {}\r\n", key.expose()),
            )
        };
        Self {
            prefix: format!("{origin}{}", url.prefix),
            v1: format!("{origin}{}", url.v1),
            lines,
            bearer,
            x_api_key,
        }
    }

    /// Writes the head of a request to the backend.
    #[must_use]
    pub fn head_for(&self, request: &HttpRequest, body: BodyLength) -> Vec<u8> {
        let is_json = matches!(body, BodyLength::Json(_));
        let is_ours = |name: &str| is_json && name == "content-type";
        let mut head =
            self.head_without_framing(request, request.method(), target_of(request), is_ours);
        if is_json {
            head.extend_from_slice(b"content-type: application/json\r\n");
        }
        match body {
            BodyLength::Known(0) if request.method() != Method::POST => {}
            BodyLength::Known(bytes) | BodyLength::Json(bytes) => {
                head.extend_from_slice(b"content-length: ");
                head.extend_from_slice(itoa::Buffer::new().format(bytes).as_bytes());
                head.extend_from_slice(b"\r\n\r\n");
                return head;
            }
            BodyLength::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// Writes the head of a GET of the proxy's own, with the headers of a client's request.
    #[must_use]
    pub fn get_head_for(&self, request: &HttpRequest, target: &str) -> Bytes {
        // The answer is read here, in one piece and one form, whatever part and form the client
        // asked for.
        let is_ours = |name: &str| name == "range" || name == "accept" || name.starts_with("if-");
        let mut head = self.head_without_framing(request, &Method::GET, target, is_ours);
        head.extend_from_slice(b"\r\n");
        head.into()
    }

    /// Writes the head of a GET of the proxy's own, without a client's request.
    #[must_use]
    pub fn get_head(&self, target: &str) -> Bytes {
        let ([front, rest], lines, bearer) = (self.place(target), &self.lines, &self.bearer);
        format!("GET {front}{rest} HTTP/1.1\r\n{lines}{bearer}\r\n").into()
    }

    /// Writes the head of a request for a WebSocket. It offers no extensions, because compressed
    /// messages could not be metered.
    #[must_use]
    pub fn upgrade_head_for(&self, request: &HttpRequest) -> Bytes {
        let mut head =
            self.head_without_framing(request, request.method(), target_of(request), |_| false);
        if let Some(protocols) = protocols(request.headers()) {
            head.extend_from_slice(b"sec-websocket-protocol: ");
            head.extend_from_slice(&protocols);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"connection: Upgrade\r\nupgrade: websocket\r\n\r\n");
        head.into()
    }

    /// Returns a target as the backend has it, in two parts.
    fn place<'t>(&'t self, target: &'t str) -> [&'t str; 2] {
        match below_v1(target) {
            Some(rest) => [&self.v1, rest],
            None => [&self.prefix, target],
        }
    }

    fn head_without_framing(
        &self,
        request: &HttpRequest,
        method: &Method,
        target: &str,
        leaves_out: impl Fn(&str) -> bool,
    ) -> Vec<u8> {
        let mut head = Vec::with_capacity(1024);
        let [front, rest] = self.place(target);
        for part in [
            method.as_str(),
            " ",
            front,
            rest,
            " HTTP/1.1\r\n",
            &self.lines,
            // The backend knows keys in the header in which the client sends its own.
            if sends_x_api_key(request.headers()) {
                &self.x_api_key
            } else {
                &self.bearer
            },
        ] {
            head.extend_from_slice(part.as_bytes());
        }
        let named = named_by_connection(request.headers());
        for (name, value) in request.headers() {
            if goes_to_backend(name)
                && !named.contains(&name.as_str())
                && !leaves_out(name.as_str())
            {
                let own_value = is_idempotency_key(name.as_str())
                    .then(|| distinct_per_user(request.headers(), value.as_bytes()));
                let value = own_value.as_deref().unwrap_or(value.as_bytes());
                for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
                    head.extend_from_slice(part);
                }
            }
        }
        head
    }
}

/// Returns whether a header is an idempotency key. A backend may repeat the answer that it has
/// given to another request with the same one.
fn is_idempotency_key(name: &str) -> bool {
    matches!(name, "idempotency-key" | "x-idempotency-key")
}

/// Returns an idempotency key that no other user's request can have. All users share the backend's
/// key, so that they are one client to the backend. The result is the same whenever the same value
/// comes with the same key in the same header.
fn distinct_per_user(headers: &HeaderMap, value: &[u8]) -> Vec<u8> {
    let mut digest = Sha256::new();
    for name in ["authorization", "api-key", "x-api-key"] {
        for credential in headers.get_all(name) {
            digest.update(credential.as_bytes());
        }
        digest.update([0]);
    }
    digest.update(value);
    let mut hex = Vec::with_capacity(64);
    for byte in digest.finalize() {
        for digit in [byte >> 4, byte & 15] {
            hex.push(b"0123456789abcdef"[usize::from(digit)]);
        }
    }
    hex
}

/// Returns path and query as they came.
fn target_of(request: &HttpRequest) -> &str {
    let target = request.uri().path_and_query();
    target.map_or("/", |target| target.as_str())
}

fn sends_x_api_key(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::AUTHORIZATION) && headers.contains_key("x-api-key")
}

/// Returns the subprotocols that go on, without the one that is a key.
fn protocols(headers: &HeaderMap) -> Option<Vec<u8>> {
    let protocols: Vec<&[u8]> = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|protocol| !protocol.is_empty() && !protocol.starts_with(KEY_PROTOCOL.as_bytes()))
        .collect();
    (!protocols.is_empty()).then(|| protocols.join(&b", "[..]))
}

fn goes_to_backend(name: &HeaderName) -> bool {
    let name = name.as_str();
    !is_hop_by_hop(name) && !is_dropped_from_request(name) && !is_ambiguous(name)
}

/// Returns the headers of an answer that go back to the client.
#[must_use]
pub fn keep_end_to_end(mut headers: HeaderMap) -> HeaderMap {
    let named: smallvec::SmallVec<[String; 4]> = named_by_connection(&headers)
        .into_iter()
        .map(str::to_owned)
        .collect();
    headers.retain(|name, _| {
        let name = name.as_str();
        !is_hop_by_hop(name)
            && !is_dropped_from_answer(name)
            && !named.iter().any(|named| named == name)
    });
    headers
}

/// Returns the names that `Connection` lists, in lower case as header maps hold them.
fn named_by_connection(headers: &HeaderMap) -> smallvec::SmallVec<[&str; 4]> {
    let mut named = smallvec::SmallVec::new();
    for value in headers.get_all(header::CONNECTION) {
        // Nearly all requests have this value.
        if value.as_bytes().eq_ignore_ascii_case(b"keep-alive") {
            continue;
        }
        let options = value.to_str().unwrap_or_default().split(',').map(str::trim);
        // Hop-by-hop headers stay without being named.
        for option in options.filter(|option| !option.is_empty() && !is_hop_by_hop(option)) {
            // The name is taken from the map, so that its case does not matter.
            if let Some((name, _)) = headers
                .iter()
                .find(|(name, _)| name.as_str().eq_ignore_ascii_case(option))
            {
                named.push(name.as_str());
            }
        }
    }
    named
}

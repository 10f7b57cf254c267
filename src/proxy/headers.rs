//! What crosses, both ways: which headers of a request go on to the backend, which of an answer go back to the client.

use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{self, HeaderMap, HeaderName},
    },
};
use bytes::Bytes;

use super::backend::{BackendUrl, HttpProxy};
use crate::model::Secret;

/// Hop-by-hop in either direction (RFC 9110 section 7.6.1); a message's framing is made anew on each connection.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "content-length"
            | "proxy-connection"
    )
}

/// End-to-end headers of a request that do not go on: the client's credentials and address, and what this proxy sets itself.
fn stays_here(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "authorization"
            | "api-key"
            | "x-api-key"
            | "cookie"
            | "forwarded"
            | "x-real-ip"
            // As reverse proxies and content delivery networks name the client's address.
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "true-client-ip"
            | "cf-connecting-ip"
            | "cf-connecting-ipv6"
            | "cf-pseudo-ipv4"
            | "fastly-client-ip"
            | "expect"
            | "accept-encoding"
            | "openai-organization"
            | "openai-project"
            // A socket's are written anew: the first may hold the key, the second would compress.
            | "sec-websocket-protocol"
            | "sec-websocket-extensions"
            // Method and path were checked; a backend must not take others.
            | "x-original-url"
            | "x-rewrite-url"
            | "x-http-method-override"
            | "x-http-method"
            | "x-method-override"
    ) || name.starts_with("x-forwarded-")
        || name.starts_with("proxy-")
}

/// Headers of an answer that do not go back, besides those of the connection: they are about this proxy and the backend.
fn stays_with_backend(name: &str) -> bool {
    matches!(name, "set-cookie" | "proxy-authenticate")
}

/// How a body is framed (RFC 9112 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    Known(u64),
    /// The same, of a body that was read as JSON: its type says so, whatever the client's said.
    Json(u64),
    Chunked,
}

/// The lines that every request to the backend has, made once.
pub struct OwnHeaders {
    /// Comes before the path: the prefix of the backend's URL, or all of it for a plain HTTP proxy.
    target_prefix: String,
    lines: String,
    /// The backend's key as most send it, and as Anthropic's clients do.
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
        let target_prefix = match plain_proxy {
            Some(_) => url.to_string(),
            None => url.prefix.clone(),
        };
        let (bearer, x_api_key) = if key.expose().is_empty() {
            (String::new(), String::new())
        } else {
            (
                format!("authorization: Bearer {}\r\n", key.expose()),
                format!("x-api-key: {}\r\n", key.expose()),
            )
        };
        Self {
            target_prefix,
            lines,
            bearer,
            x_api_key,
        }
    }

    /// Writes the whole head of a request to the backend.
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

    /// The head of a GET of the proxy's own, on behalf of a request.
    #[must_use]
    pub fn get_head_for(&self, request: &HttpRequest, target: &str) -> Bytes {
        // The answer is read here, whole and in one form, whatever part of it in whatever form the client has already.
        let is_ours = |name: &str| name == "range" || name == "accept" || name.starts_with("if-");
        let mut head = self.head_without_framing(request, &Method::GET, target, is_ours);
        head.extend_from_slice(b"\r\n");
        head.into()
    }

    /// The head of a GET of the proxy's own, on behalf of nobody's request.
    #[must_use]
    pub fn get_head(&self, target: &str) -> Bytes {
        let (prefix, lines, bearer) = (&self.target_prefix, &self.lines, &self.bearer);
        format!("GET {prefix}{target} HTTP/1.1\r\n{lines}{bearer}\r\n").into()
    }

    /// The head of a request for a WebSocket. No extensions: what is compressed could not be metered.
    #[must_use]
    pub fn upgrade_head_for(&self, request: &HttpRequest) -> Bytes {
        let mut head =
            self.head_without_framing(request, request.method(), target_of(request), |_| false);
        if let Some(protocols) = super::realtime::protocols(request.headers()) {
            head.extend_from_slice(b"sec-websocket-protocol: ");
            head.extend_from_slice(&protocols);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"connection: Upgrade\r\nupgrade: websocket\r\n\r\n");
        head.into()
    }

    fn head_without_framing(
        &self,
        request: &HttpRequest,
        method: &Method,
        target: &str,
        leaves_out: impl Fn(&str) -> bool,
    ) -> Vec<u8> {
        let mut head = Vec::with_capacity(1024);
        for part in [
            method.as_str(),
            " ",
            &self.target_prefix,
            target,
            " HTTP/1.1\r\n",
            &self.lines,
            // The way the client sends its key is the way its backend knows.
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
                for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                    head.extend_from_slice(part);
                }
            }
        }
        head
    }
}

/// Path and query as they came.
fn target_of(request: &HttpRequest) -> &str {
    let target = request.uri().path_and_query();
    target.map_or("/", |target| target.as_str())
}

fn sends_x_api_key(headers: &HeaderMap) -> bool {
    headers.contains_key("x-api-key") && !headers.contains_key(header::AUTHORIZATION)
}

fn goes_to_backend(name: &HeaderName) -> bool {
    let name = name.as_str();
    !is_hop_by_hop(name) && !stays_here(name)
}

/// What of an answer's headers goes back to the client.
#[must_use]
pub fn keep_end_to_end(mut headers: HeaderMap) -> HeaderMap {
    let named: smallvec::SmallVec<[String; 4]> = named_by_connection(&headers)
        .into_iter()
        .map(str::to_owned)
        .collect();
    headers.retain(|name, _| {
        let name = name.as_str();
        !is_hop_by_hop(name)
            && !stays_with_backend(name)
            && !named.iter().any(|named| named == name)
    });
    headers
}

/// The names listed in `Connection`, in lower case as header maps hold them.
fn named_by_connection(headers: &HeaderMap) -> smallvec::SmallVec<[&str; 4]> {
    let mut named = smallvec::SmallVec::new();
    for value in headers.get_all(header::CONNECTION) {
        let options = value.to_str().unwrap_or_default().split(',').map(str::trim);
        // Hop-by-hop headers stay without being named.
        for option in options.filter(|option| !option.is_empty() && !is_hop_by_hop(option)) {
            // Found by the map's own spelling, so that the case does not matter.
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

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn head(own: &OwnHeaders, request: TestRequest) -> String {
        let head = own.head_for(&request.to_http_request(), BodyLength::Known(7));
        String::from_utf8(head).unwrap()
    }

    fn own(key: &str) -> OwnHeaders {
        let url = "http://backend:81/prefix/v1".parse().unwrap();
        OwnHeaders::new(&url, None, &Secret::new(key), Some("org-1"), None)
    }

    #[test]
    fn credentials_addresses_and_hop_by_hop_headers_stay_here() {
        let mut request = TestRequest::post().uri("/v1/chat/completions?a=b%20c");
        for name in [
            "host",
            "authorization",
            "api-key",
            "x-api-key",
            "cookie",
            "forwarded",
            "x-real-ip",
            "x-client-ip",
            "x-cluster-client-ip",
            "true-client-ip",
            "cf-connecting-ip",
            "cf-connecting-ipv6",
            "cf-pseudo-ipv4",
            "fastly-client-ip",
            "x-original-url",
            "x-rewrite-url",
            "x-http-method",
            "x-http-method-override",
            "x-method-override",
            "expect",
            "accept-encoding",
            "openai-organization",
            "openai-project",
            "sec-websocket-protocol",
            "sec-websocket-extensions",
            "x-forwarded-for",
            "x-forwarded-host",
            "proxy-authorization",
            "te",
            "upgrade",
            "x-named",
        ] {
            request = request.append_header((name, "client-value"));
        }
        request = request
            .append_header(("connection", "keep-alive, X-Named"))
            .append_header(("x-kept", "kept"));
        let head = head(&own("sk-1"), request);
        assert!(
            head.starts_with(
                "POST /prefix/v1/chat/completions?a=b%20c HTTP/1.1\r\nhost: backend:81\r\n"
            ),
            "{head}"
        );
        assert!(!head.contains("client-value"), "{head}");
        for line in [
            "authorization: Bearer sk-1\r\n",
            "openai-organization: org-1\r\n",
            "x-kept: kept\r\n",
            "content-length: 7\r\n\r\n",
        ] {
            assert!(head.contains(line), "{line} in {head}");
        }
    }

    #[test]
    fn an_empty_key_sends_no_authorization() {
        let request = TestRequest::get()
            .uri("/v1/models")
            .append_header(("authorization", "Bearer llmp-x"));
        assert!(!head(&own(""), request).contains("authorization"));
    }

    #[test]
    fn a_plain_http_proxy_is_told_the_whole_url() {
        let url: BackendUrl = "http://backend:81/p".parse().unwrap();
        let proxy = HttpProxy {
            host: "proxy".into(),
            port: 1,
            authorization: Some("Basic eA==".into()),
        };
        let own = OwnHeaders::new(&url, Some(&proxy), &Secret::new(""), None, None);
        let head = head(&own, TestRequest::get().uri("/v1/models"));
        assert!(
            head.starts_with("GET http://backend:81/p/v1/models HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("proxy-authorization: Basic eA==\r\n"));
    }
}

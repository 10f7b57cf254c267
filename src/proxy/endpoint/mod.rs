//! The endpoints that are served, one line each with how they are metered, and the rule for paths.

use actix_web::http::Method;
use percent_encoding::percent_decode_str;

use super::ApiError;

/// One served endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The path, and the name in the ledger. A final `*` stands for any rest.
    pub path: &'static str,
    pub body: Body,
    pub metering: Metering,
    /// `*` is any.
    method: &'static str,
}

/// What is done with a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// None, or nothing that matters here.
    Plain,
    /// JSON that is looked into.
    Json,
    /// JSON; a streamed request is made to ask for usage.
    JsonAskingUsage,
    /// A form with files, which passes as it comes and is looked into on its way. JSON is taken too.
    Form,
    /// Whatever a backend of the operator's own takes.
    Any,
    /// A WebSocket.
    Socket,
}

/// How an answer is booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metering {
    /// Uses no tokens: no row.
    Free,
    /// By what the backend says; where it says nothing, input and output are estimated from the text.
    Text,
    /// The same, but the output is no text.
    Input,
    /// By what the backend says, and only by that.
    Given,
    /// The same, and images are counted.
    Images,
}

const ENDPOINTS: [Endpoint; 18] = [
    endpoint(
        "POST",
        "/v1/chat/completions",
        Body::JsonAskingUsage,
        Metering::Text,
    ),
    endpoint(
        "POST",
        "/v1/completions",
        Body::JsonAskingUsage,
        Metering::Text,
    ),
    endpoint("POST", "/v1/responses", Body::Json, Metering::Text),
    endpoint(
        "POST",
        "/v1/responses/input_tokens",
        Body::Json,
        Metering::Free,
    ),
    endpoint("POST", "/v1/responses/compact", Body::Json, Metering::Text),
    endpoint("POST", "/v1/embeddings", Body::Json, Metering::Input),
    endpoint("POST", "/v1/moderations", Body::Json, Metering::Given),
    endpoint(
        "POST",
        "/v1/images/generations",
        Body::Json,
        Metering::Images,
    ),
    endpoint("POST", "/v1/images/edits", Body::Form, Metering::Images),
    endpoint(
        "POST",
        "/v1/images/variations",
        Body::Form,
        Metering::Images,
    ),
    endpoint("POST", "/v1/audio/speech", Body::Json, Metering::Input),
    endpoint(
        "POST",
        "/v1/audio/transcriptions",
        Body::Form,
        Metering::Given,
    ),
    endpoint(
        "POST",
        "/v1/audio/translations",
        Body::Form,
        Metering::Given,
    ),
    // Anthropic's, which vLLM, llama.cpp and gateways serve too.
    endpoint("POST", "/v1/messages", Body::Json, Metering::Text),
    endpoint(
        "POST",
        "/v1/messages/count_tokens",
        Body::Json,
        Metering::Free,
    ),
    endpoint("GET", "/v1/realtime", Body::Socket, Metering::Given),
    endpoint("GET", "/v1/models", Body::Plain, Metering::Free),
    endpoint("GET", "/v1/models/*", Body::Plain, Metering::Free),
];

/// What no setting opens: it hands out credentials that go around this proxy, or holds what users have stored, which all
/// of them would see. A `*` at the end stands for any rest that begins a new segment, or none.
const CLOSED: [&str; 21] = [
    "/organization*",
    "/projects*",
    "/chatkit*",
    "/realtime/*",
    "/messages/*",
    "/responses/*",
    "/chat/completions/*",
    "/conversations*",
    "/files*",
    "/uploads*",
    "/batches*",
    "/vector_stores*",
    "/containers*",
    "/videos*",
    "/skills*",
    "/evals*",
    "/fine_tuning*",
    "/assistants*",
    "/threads*",
    "/audio/voices*",
    "/audio/voice_consents*",
];

const fn endpoint(
    method: &'static str,
    path: &'static str,
    body: Body,
    metering: Metering,
) -> Endpoint {
    Endpoint {
        path,
        body,
        metering,
        method,
    }
}

/// The endpoints above and those of the setting `EXTRA_ENDPOINTS`.
#[derive(Debug, Default)]
pub struct Endpoints {
    extra: Vec<Endpoint>,
}

/// A path that cannot be an extra endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtraError {
    #[error("{0:?} is no path such as /v1/rerank or /v1/score/*")]
    NoPath(String),
    #[error(
        "{0:?} stays closed: it hands out credentials, or holds what the users of a shared key have stored"
    )]
    Closed(String),
}

impl Endpoints {
    /// Reads a list of further paths, separated by commas or spaces; a `*` at the end of one stands for any rest.
    ///
    /// # Errors
    /// The first that is no path, or one that stays closed.
    pub fn with_extra(list: &str) -> Result<Self, ExtraError> {
        let paths = list
            .split([',', ' '])
            .map(str::trim)
            .filter(|path| !path.is_empty());
        let extra = paths.map(|path| {
            let stem = path.strip_suffix('*').unwrap_or(path);
            let own = ["/admin", "/health"];
            let is_path = stem.len() > 1
                && stem.starts_with('/')
                && !stem.contains(['*', '?', '#'])
                && stem.bytes().all(|byte| byte.is_ascii_graphic())
                && is_unambiguous(stem.strip_suffix('/').unwrap_or(stem))
                && !own.iter().any(|own| is_below(stem, own));
            if !is_path {
                return Err(ExtraError::NoPath(path.to_owned()));
            }
            if is_closed(stem.trim_end_matches('/')) {
                return Err(ExtraError::Closed(path.to_owned()));
            }
            // For as long as the process lives, like the others.
            let path: &'static str = Box::leak(path.to_owned().into_boxed_str());
            Ok(endpoint("*", path, Body::Any, Metering::Given))
        });
        Ok(Self {
            extra: extra.collect::<Result<_, _>>()?,
        })
    }

    /// Finds the endpoint of a request by its path as it came.
    ///
    /// # Errors
    /// 404 for a path that is not served or could be read as another one, 405 for another method.
    pub fn find(&self, method: &Method, path: &str) -> Result<Endpoint, ApiError> {
        let found = ENDPOINTS.iter().find(|endpoint| endpoint.matches(path));
        let found = found.or_else(|| {
            let extra = self.extra.iter().find(|endpoint| endpoint.matches(path));
            extra.filter(|_| !is_closed(path))
        });
        match found {
            // A path that is one of ours to the letter can be read in one way only.
            Some(endpoint) if endpoint.path != path && !is_unambiguous(path) => {
                Err(ApiError::unknown_url(method.as_str(), path))
            }
            Some(endpoint) if [method.as_str(), "*"].contains(&endpoint.method) => Ok(*endpoint),
            Some(endpoint) => Err(ApiError::method_not_allowed(endpoint.method)),
            None if is_closed(path) => Err(ApiError::closed(
                "This endpoint is closed: it hands out credentials, or holds what all users of this proxy would share.",
            )),
            None => Err(ApiError::unknown_url(method.as_str(), path)),
        }
    }
}

impl Endpoint {
    fn matches(&self, path: &str) -> bool {
        match self.path.strip_suffix('*') {
            Some(prefix) => path
                .strip_prefix(prefix)
                .is_some_and(|rest| !rest.is_empty()),
            None => path == self.path,
        }
    }

    /// Whether a request gets a row.
    #[must_use]
    pub fn is_booked(&self) -> bool {
        self.metering != Metering::Free
    }
}

/// Whether a path, however a server may decode it, is one that stays closed.
fn is_closed(path: &str) -> bool {
    let once: Vec<u8> = percent_decode_str(path).collect();
    let twice: Vec<u8> = percent_encoding::percent_decode(&once).collect();
    let plain = String::from_utf8_lossy(&twice).to_ascii_lowercase();
    let plain = plain.strip_prefix("/v1").unwrap_or(&plain);
    // Some servers cut parameters off.
    let plain: String = plain
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or(segment))
        .collect::<Vec<_>>()
        .join("/");
    let served = |path: &str| {
        let whole = format!("/v1{path}");
        ENDPOINTS.iter().any(|endpoint| endpoint.path == whole)
    };
    !served(&plain)
        && CLOSED.iter().any(|closed| match closed.strip_suffix("/*") {
            Some(stem) => plain != stem && is_below(&plain, stem),
            None => is_below(&plain, closed.trim_end_matches('*')),
        })
}

/// Whether a path is another one or lies below it.
fn is_below(path: &str, stem: &str) -> bool {
    path.strip_prefix(stem)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether every server reads the path the same: no empty, `.` or `..` segment, however written, also not in front of a
/// parameter (some servers cut `;…` off), no backslash, no control byte.
fn is_unambiguous(path: &str) -> bool {
    // Twice: a server behind the backend may decode once more.
    let once: Vec<u8> = percent_decode_str(path).collect();
    let twice: Vec<u8> = percent_encoding::percent_decode(&once).collect();
    [path.as_bytes(), &once, &twice].into_iter().all(|form| {
        let segments_ok = form
            .split(|byte| *byte == b'/')
            .skip(1)
            .map(|segment| {
                segment
                    .split(|byte| *byte == b';')
                    .next()
                    .unwrap_or(segment)
            })
            .all(|name| !matches!(name, b"" | b"." | b".."));
        // Not UTF-8 may be an overlong `.` or `/`, which some servers read as one.
        let bytes_ok = std::str::from_utf8(form)
            .is_ok_and(|text| text.chars().all(|c| c != '\\' && !c.is_control()));
        segments_ok && bytes_ok
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(method: &Method, path: &str) -> Result<Endpoint, ApiError> {
        Endpoints::default().find(method, path)
    }

    fn served(path: &str) -> bool {
        find(&Method::GET, path).is_ok()
    }

    #[test]
    fn extra_endpoints_are_served_with_any_method_and_only_they() {
        let endpoints = Endpoints::with_extra(" /v1/rerank, /v1/score/*,/tokenize").unwrap();
        let served = |method: &Method, path: &str| endpoints.find(method, path).is_ok();
        assert!(served(&Method::POST, "/v1/rerank") && served(&Method::GET, "/tokenize"));
        assert!(served(&Method::PUT, "/v1/score/a/b"));
        for path in [
            "/v1/score",
            "/v1/score/",
            "/v1/score/../admin",
            "/v1/reranker",
            "/v2",
        ] {
            assert!(!served(&Method::POST, path), "{path}");
        }
    }

    #[test]
    fn no_setting_opens_what_stays_closed() {
        let endpoints = Endpoints::with_extra("/v1/*").unwrap();
        for path in [
            "/v1/files",
            "/v1/files/file-1/content",
            "/v1/%66iles/x",
            "/v1/%2566iles/x",
            "/v1/FILES",
            "/files/x",
            "/v1/files;a=b",
            "/v1/responses/resp_1",
            "/v1/realtime/client_secrets",
            "/v1/organization/costs",
            "/v1/chatkit/sessions",
        ] {
            assert!(endpoints.find(&Method::POST, path).is_err(), "{path}");
            assert!(
                Endpoints::with_extra(path.split(';').next().unwrap()).is_err(),
                "{path}"
            );
        }
        assert!(endpoints.find(&Method::POST, "/v1/filesystem").is_ok());
        assert!(endpoints.find(&Method::POST, "/v1/responses").is_ok());
        assert!(
            endpoints
                .find(&Method::POST, "/v1/responses/compact")
                .is_ok()
        );
        for path in [
            "v1/x", "/", "*", "/admin/x", "/health", "/v1/../x", "/v1/*/x", "/v1?x",
        ] {
            assert!(Endpoints::with_extra(path).is_err(), "{path}");
        }
    }

    #[test]
    fn models_are_served_with_slashes_and_colons_in_their_names() {
        for path in [
            "/v1/models",
            "/v1/models/gpt-4.1",
            "/v1/models/org/model",
            "/v1/models/org%2Fmodel",
            "/v1/models/ft:gpt:x::1",
        ] {
            assert!(served(path), "{path}");
        }
    }

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_not_served() {
        for path in [
            "/v1/models/",
            "/v1/models/a//b",
            "/v1/models/../admin",
            "/v1/models/./a",
            "/v1/models/%2e%2e/admin",
            "/v1/models/%2E%2E%2Fadmin",
            "/v1/models/a%2F%2Fb",
            "/v1/models/%252e%252e%252fadmin",
            "/v1/models/..%5cadmin",
            "/v1/models/..;x/admin",
            "/v1/models/a/%2e%2e%3b/admin",
            "/v1/models/%c0%ae%c0%ae/admin",
            "/v1/models/a%00",
            "/v1/models/a%0d%0ab",
            "//v1/models",
            "/V1/models",
            "/v1/models;x=1",
            "/v1/model%73",
        ] {
            assert!(!served(path), "{path}");
        }
    }

    #[test]
    fn another_method_is_405() {
        let error = find(&Method::GET, "/v1/chat/completions").unwrap_err();
        assert_eq!(error.status(), 405);
        assert_eq!(
            find(&Method::DELETE, "/v1/models/x").unwrap_err().status(),
            405
        );
    }

    proptest! {
        #[test]
        fn a_served_path_has_no_dot_segment_when_decoded(tail in "[a%2eEfF/.5cC0]{0,12}") {
            let path = format!("/v1/models/{tail}");
            if served(&path) {
                let decoded: Vec<u8> = percent_decode_str(&path).collect();
                prop_assert!(decoded.split(|b| *b == b'/').all(|segment| segment != b".." && segment != b"."));
            }
        }

        #[test]
        fn a_served_path_stays_where_it_is_however_it_is_read(
            pieces in prop::collection::vec(prop::sample::select(vec!["..", "%2e", "%252E", "/", "%2f", "%5c", "\\\\", ";x", "%3B", "admin", "%c0%ae", "a"]), 0..8),
        ) {
            crate::properties::path(pieces.concat().as_bytes());
        }
    }
}

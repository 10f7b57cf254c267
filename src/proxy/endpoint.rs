//! The endpoints that are served, one line each, and the rule for paths.

use actix_web::http::Method;
use percent_encoding::percent_decode_str;

use super::ApiError;

/// How an endpoint is metered and what is done to its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Uses tokens; the body is looked into, streamed requests ask for usage.
    Generation,
    /// Uses none.
    Free,
}

/// One served endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The path, and the name in the ledger. A final `*` stands for any rest.
    pub path: &'static str,
    pub kind: Kind,
    method: &'static str,
}

const ENDPOINTS: [Endpoint; 4] = [
    endpoint("POST", "/v1/chat/completions", Kind::Generation),
    endpoint("POST", "/v1/completions", Kind::Generation),
    endpoint("GET", "/v1/models", Kind::Free),
    endpoint("GET", "/v1/models/*", Kind::Free),
];

const fn endpoint(method: &'static str, path: &'static str, kind: Kind) -> Endpoint {
    Endpoint { path, kind, method }
}

/// Finds the endpoint of a request by its path as it came.
///
/// # Errors
/// 404 for a path that is not served or could be read as another one, 405 for another method.
pub fn find(method: &Method, path: &str) -> Result<Endpoint, ApiError> {
    let found = ENDPOINTS.iter().find(|endpoint| endpoint.matches(path));
    match found {
        Some(endpoint) if !is_unambiguous(path) => {
            Err(ApiError::unknown_url(endpoint.method, path))
        }
        Some(endpoint) if endpoint.method == method.as_str() => Ok(*endpoint),
        Some(endpoint) => Err(ApiError::method_not_allowed(endpoint.method)),
        None => Err(ApiError::unknown_url(method.as_str(), path)),
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

    fn served(path: &str) -> bool {
        find(&Method::GET, path).is_ok()
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
    }
}

//! Programs in browsers: which web pages may call the API from another origin, as the Fetch standard
//! has it (fetch.spec.whatwg.org/#http-cors-protocol). A key is a header that the page sends, so
//! credentials, which a browser would add by itself, are never allowed.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// Time in seconds for which a browser may remember an answer; browsers have limits of their own.
const MAX_AGE_SECONDS: &str = "7200";
/// Path of the page for browsers. It is not part of the API, so that other web pages may not read it.
const PAGE: &str = "/";
const ANY: HeaderValue = HeaderValue::from_static("*");

/// The pages that may call the API, by origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    Any,
    /// Origins in lower case, such as `https://app.example:8443`.
    These(Vec<String>),
}

impl CorsOrigins {
    /// Reads `*`, or origins separated by commas or spaces.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut origins = Vec::new();
        for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
            if word == "*" {
                return Some(Self::Any);
            }
            let url = url::Url::parse(word).ok()?;
            let origin = url.origin();
            // A browser sends an origin without a path, and a default port not at all.
            let is_origin = origin.is_tuple()
                && matches!(url.scheme(), "http" | "https")
                && !url.host_str().unwrap_or_default().contains('*')
                && matches!(url.path(), "" | "/")
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none();
            if !is_origin {
                return None;
            }
            origins.push(origin.ascii_serialization());
        }
        (!origins.is_empty()).then_some(Self::These(origins))
    }

    /// Answers the question of a browser whether a page may send a request. `None` if it is no such
    /// question, or the page may not.
    #[must_use]
    pub fn preflight(&self, request: &HttpRequest) -> Option<HttpResponse> {
        let headers = request.headers();
        if request.path() == PAGE
            || request.method() != Method::OPTIONS
            || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return None;
        }
        let origin = self.allowed(headers)?;
        let mut response = HttpResponse::new(StatusCode::NO_CONTENT);
        let answer = response.headers_mut();
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        set(answer, header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        set(answer, header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
        // SDKs send headers of their own, and `*` would leave out Authorization.
        if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        set(
            answer,
            header::VARY,
            "Origin, Access-Control-Request-Headers",
        );
        Some(response)
    }

    /// Lets the page that sent a request read the answer, if it may. What the backend says of other
    /// origins does not count here.
    pub fn allow(&self, request: &HttpRequest, answer: &mut HeaderMap) {
        if request.path() == PAGE {
            return;
        }
        let names: Vec<HeaderName> = answer
            .keys()
            .filter(|name| name.as_str().starts_with("access-control-"))
            .cloned()
            .collect();
        for name in names {
            answer.remove(name);
        }
        if *self != Self::Any {
            answer.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.allowed(request.headers()) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            set(answer, header::ACCESS_CONTROL_EXPOSE_HEADERS, "*");
        }
    }

    /// Returns the value that allows the origin of a request.
    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut origins = headers.get_all(header::ORIGIN);
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return None;
        };
        match self {
            Self::Any => Some(ANY),
            Self::These(allowed) => {
                let text = origin.to_str().ok()?.to_ascii_lowercase();
                allowed.contains(&text).then(|| origin.clone())
            }
        }
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        let these = |origins: &[&str]| {
            let origins = origins.iter().map(|origin| (*origin).to_owned());
            Some(CorsOrigins::These(origins.collect()))
        };
        for (text, read) in [
            ("*", Some(CorsOrigins::Any)),
            ("https://App.Example", these(&["https://app.example"])),
            ("https://a.example:443/", these(&["https://a.example"])),
            (
                "http://localhost:5173, http://127.0.0.1:8080",
                these(&["http://localhost:5173", "http://127.0.0.1:8080"]),
            ),
            ("", None),
            ("app.example", None),
            ("https://a.example/app", None),
            ("https://user@a.example", None),
            ("null", None),
            ("http://*.example", None),
            ("ftp://a.example", None),
            ("file:///", None),
        ] {
            assert_eq!(CorsOrigins::parse(text), read, "{text}");
        }
    }
}

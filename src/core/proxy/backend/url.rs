//! Takes `OPENAI_BACKEND_URL` or `OPENAI_BASE_URL` apart. The first says where a server is, and
//! paths are appended to it as clients send them, with `/v1`. The second is what the SDKs call by
//! this name: it replaces `/v1`.

use std::{fmt, str::FromStr};

/// The setting that says where the backend is.
pub const BACKEND_URL: &str = "OPENAI_BACKEND_URL";
/// The setting that says where the backend is, in the form that SDKs use.
pub const BASE_URL: &str = "OPENAI_BASE_URL";

/// The backend's address, and what its paths begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendUrl {
    pub tls: bool,
    /// The host, without brackets.
    pub host: String,
    pub port: u16,
    /// The host as the `Host` header has it. The port is there only if it is not the scheme's.
    pub authority: String,
    /// What comes before a path that does not begin with `/v1/`, without a final slash and without
    /// `/v1`.
    pub prefix: String,
    /// What replaces a path's `/v1`, without a final slash.
    pub v1: String,
    /// [`BACKEND_URL`] or [`BASE_URL`], for messages.
    pub variable: &'static str,
}

/// Reasons why a text is no backend URL. The text is not repeated, because it may contain a
/// password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("accepted is a URL such as https://api.openai.com or http://127.0.0.1:8080/prefix")]
    NotAUrl,
    #[error(
        "accepted is a URL such as https://api.openai.com/v1 or http://127.0.0.1:8080/v1beta/openai"
    )]
    NotABaseUrl,
    #[error("accepted are http:// and https://")]
    Scheme,
    #[error("it must not hold a user or password; the key goes into OPENAI_API_KEY")]
    Credentials,
    #[error("it must not have a query or fragment")]
    Query,
}

impl BackendUrl {
    /// Reads an `OPENAI_BASE_URL`. A path without `/v1` is appended to it, less a final `/v1`, so
    /// that a base URL that ends in `/v1` is the same as the backend URL of the same text.
    ///
    /// # Errors
    /// [`UrlError`] says what is accepted.
    pub fn of_base(text: &str) -> Result<Self, UrlError> {
        Self::take_apart(text, BASE_URL).map_err(|error| match error {
            UrlError::NotAUrl => UrlError::NotABaseUrl,
            other => other,
        })
    }

    /// Returns scheme and authority, without a path.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    fn take_apart(text: &str, variable: &'static str) -> Result<Self, UrlError> {
        let url = url::Url::parse(text).map_err(|_| UrlError::NotAUrl)?;
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(UrlError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(UrlError::Query);
        }
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(UrlError::NotAUrl)?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let path = url.path().trim_end_matches('/');
        let prefix = path
            .strip_suffix("/v1")
            .unwrap_or(path)
            .trim_end_matches('/');
        Ok(Self {
            tls,
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: url.port_or_known_default().ok_or(UrlError::NotAUrl)?,
            authority,
            prefix: prefix.to_owned(),
            v1: if variable == BASE_URL {
                path.to_owned()
            } else {
                format!("{prefix}/v1")
            },
            variable,
        })
    }
}

/// Reads an `OPENAI_BACKEND_URL`.
impl FromStr for BackendUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::take_apart(text, BACKEND_URL)
    }
}

/// Shows the URL as the setting has it, apart from what makes no difference.
impl fmt::Display for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.variable == BASE_URL {
            &self.v1
        } else {
            &self.prefix
        };
        write!(f, "{}{path}", self.origin())
    }
}

/// Returns the rest of a target that begins with `/v1/`, with its slash.
#[must_use]
pub fn below_v1(target: &str) -> Option<&str> {
    let rest = target.strip_prefix("/v1")?;
    rest.starts_with('/').then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_final_v1_makes_no_difference() {
        for (text, prefix) in [
            ("https://api.openai.com", ""),
            ("https://api.openai.com/", ""),
            ("https://api.openai.com/v1", ""),
            ("https://api.openai.com/v1/", ""),
            ("http://host/openai/v1", "/openai"),
            ("http://host/a/b/", "/a/b"),
            ("http://host//v1", ""),
            ("http://host/a//v1//", "/a"),
        ] {
            assert_eq!(text.parse::<BackendUrl>().unwrap().prefix, prefix, "{text}");
        }
    }

    #[test]
    fn a_base_url_stands_in_the_place_of_v1() {
        for (text, v1, prefix) in [
            ("https://h", "", ""),
            ("https://h/", "", ""),
            ("https://h/v1", "/v1", ""),
            ("https://h/v1/", "/v1", ""),
            ("https://h/vllm/v1", "/vllm/v1", "/vllm"),
            (
                "https://h/v1beta/openai/",
                "/v1beta/openai",
                "/v1beta/openai",
            ),
            ("https://h/api/paas/v4", "/api/paas/v4", "/api/paas/v4"),
        ] {
            let url = BackendUrl::of_base(text).unwrap();
            assert_eq!((&*url.v1, &*url.prefix), (v1, prefix), "{text}");
            assert_eq!(url.to_string(), text.trim_end_matches('/'));
        }
        assert_eq!(BackendUrl::of_base("h/v1"), Err(UrlError::NotABaseUrl));
    }

    #[test]
    fn only_a_whole_segment_is_v1() {
        for (target, rest) in [
            ("/v1/models?x=/v1/y", Some("/models?x=/v1/y")),
            ("/v1/v1/x", Some("/v1/x")),
            ("/v1", None),
            ("/v1?x", None),
            ("/v1x", None),
            ("/tokenize", None),
        ] {
            assert_eq!(below_v1(target), rest, "{target}");
        }
    }

    #[test]
    fn host_and_port_are_known() {
        let url: BackendUrl = "http://[::1]:8080/x".parse().unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.authority.as_str()),
            ("::1", 8080, "[::1]:8080")
        );
        let url: BackendUrl = "https://API.openai.com:443".parse().unwrap();
        assert_eq!((url.authority.as_str(), url.port), ("api.openai.com", 443));
        assert_eq!(url.to_string(), "https://api.openai.com");
    }

    #[test]
    fn an_unusable_url_is_refused_without_repeating_it() {
        for text in [
            "",
            "api.openai.com",
            "ftp://h",
            "https://u:pa55@h",
            "https://h/?k=pa55",
            "https://h/#x",
            "http://",
        ] {
            let message = text.parse::<BackendUrl>().unwrap_err().to_string();
            assert!(!message.contains("pa55"));
        }
    }

    proptest! {
        #[test]
        fn any_url_is_taken_apart_or_refused(
            url in "(https?:/{0,3})?[a-zA-Z0-9.:@\\[\\]-]{0,12}(/{0,2}(v1|[a-z%.\\PC]{0,4})){0,4}[/?#]{0,2}",
        ) {
            for name in [BACKEND_URL, BASE_URL] {
                crate::properties::texts(format!("{name}={url}").as_bytes());
            }
        }
    }
}

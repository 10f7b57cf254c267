//! `OPENAI_BACKEND_URL` taken apart.

use std::{fmt, str::FromStr};

/// The backend's address and the prefix of its paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendUrl {
    pub tls: bool,
    /// Without brackets.
    pub host: String,
    pub port: u16,
    /// As the `Host` header has it: the port only where it is not the scheme's.
    pub authority: String,
    /// Comes before `/v1/…`; without a final slash and without `/v1`.
    pub prefix: String,
}

/// Why a text is no backend URL. The text is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("accepted is a URL such as https://api.openai.com or http://127.0.0.1:8080/prefix")]
    NotAUrl,
    #[error("accepted are http:// and https://")]
    Scheme,
    #[error("it must not hold a user or password; the key goes into OPENAI_API_KEY")]
    Credentials,
    #[error("it must not have a query or fragment")]
    Query,
}

impl FromStr for BackendUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
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
        Ok(Self {
            tls,
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: url.port_or_known_default().ok_or(UrlError::NotAUrl)?,
            authority,
            prefix: path
                .strip_suffix("/v1")
                .unwrap_or(path)
                .trim_end_matches('/')
                .to_owned(),
        })
    }
}

impl fmt::Display for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.prefix)
    }
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
    fn what_cannot_be_used_is_refused_without_repeating_it() {
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
            crate::properties::settings(format!("OPENAI_API_KEY=k\nOPENAI_BACKEND_URL={url}").as_bytes());
        }
    }
}

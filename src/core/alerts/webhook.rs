//! A URL that alerts are sent to. It is a secret: with many services, who knows it can post.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use url::Url;

use crate::model::Secret;

/// The most webhooks of a server. Each has a task of its own.
pub const MAX_WEBHOOKS: usize = 10;
/// Bytes of the hash that names a webhook in the database.
const ID_BYTES: usize = 8;

/// A webhook. Its `Debug` and its label show scheme, host and port only.
#[derive(Clone)]
pub struct Webhook {
    url: Secret,
    label: String,
    id: String,
}

impl Webhook {
    /// Reads an http:// or https:// URL without a user, a password and a fragment.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text.trim()).ok()?;
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none();
        let host = url.host_str().filter(|_| is_plain)?;
        // The client reads the URL by other rules than the crate `url` does.
        url.as_str().parse::<actix_web::http::Uri>().ok()?;
        let port = url.port().map(|port| format!(":{port}"));
        let label = format!("{}://{host}{}", url.scheme(), port.unwrap_or_default());
        let digest = Sha256::digest(url.as_str().as_bytes());
        Some(Self {
            label,
            id: HEXLOWER.encode(&digest[..ID_BYTES]),
            url: Secret::new(url.as_str()),
        })
    }

    /// Returns the complete URL, which must not be shown.
    #[must_use]
    pub fn url(&self) -> &Secret {
        &self.url
    }

    /// Returns scheme, host and port, for people.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns the beginning of the URL's SHA-256, by which the database knows the webhook.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    #[must_use]
    pub fn is_https(&self) -> bool {
        self.label.starts_with("https:")
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_shows_scheme_and_host_only() {
        let webhook = Webhook::parse(" https://hooks.example.com/services/T0/S3CRET?x=1 ").unwrap();
        assert_eq!(webhook.label(), "https://hooks.example.com");
        assert_eq!(format!("{webhook:?}"), "Webhook(https://hooks.example.com)");
        assert!(webhook.is_https());
        let other = Webhook::parse("http://[::1]:8080/S3CRET").unwrap();
        assert_eq!(other.label(), "http://[::1]:8080");
        assert_ne!(webhook.id(), other.id());
    }

    #[test]
    fn other_texts_are_no_webhooks() {
        for text in [
            "",
            "x",
            "ftp://a/b",
            "https://",
            "https://u:p@a/b",
            "https://a/#b",
            "//a/b",
        ] {
            assert!(Webhook::parse(text).is_none(), "{text}");
        }
    }
}

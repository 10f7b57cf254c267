//! A user's key and the hash it is looked up by.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Every key starts with this, so that people and secret scanners recognise one.
const PREFIX: &str = "llmp-";
/// Number of random bytes in a key: 192 bits.
const RANDOM_BYTES: usize = 24;

/// The shortest key that an operator may choose.
const MIN_GIVEN_CHARS: usize = 20;

/// Beginnings of keys: ours, and those of OpenAI and of most services that imitate it, from which
/// keys are moved here.
const PREFIXES: [&str; 2] = [PREFIX, "sk-"];
/// Length from which on a word with such a beginning is taken for a key.
const MIN_KEY_CHARS: usize = 20;

/// Returns a message without complete keys: each is replaced by its first and last characters.
/// People and programs put a key where a name belongs.
#[must_use]
pub fn without_keys(message: &str) -> String {
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut text = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(is_of_key) {
        let (before, word_on) = rest.split_at(start);
        let end = word_on.find(|c| !is_of_key(c)).unwrap_or(word_on.len());
        let (word, behind) = word_on.split_at(end);
        text.push_str(before);
        let lower = word.to_ascii_lowercase();
        if word.len() >= MIN_KEY_CHARS && PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
            text.push_str(&ApiKey::from_text(word).masked());
        } else {
            text.push_str(word);
        }
        rest = behind;
    }
    text.push_str(rest);
    text
}

/// Why a text cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GivenKeyError {
    #[error("key must have at least {MIN_GIVEN_CHARS} characters")]
    TooShort,
    #[error("key must consist of printable ASCII characters without spaces")]
    NotPrintable,
}

/// A user's complete key. `Debug` and [`ApiKey::masked`] show only its ends; [`ApiKey::expose`]
/// shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// SHA-256 of a key: what keys are looked up by, so that the time a look-up takes says nothing
/// about stored keys.
pub type KeyHash = [u8; 32];

/// A key and the user it belongs to, as a running server needs them.
#[derive(Debug, Clone)]
pub struct KeyHolder {
    pub key_id: i64,
    pub key_hash: KeyHash,
    pub user_id: i64,
    pub username: String,
    /// `false` if the user is forbidden.
    pub is_active: bool,
    /// Unix time in milliseconds from which on the key does not work.
    pub expires_at_ms: Option<i64>,
    pub is_revoked: bool,
}

impl ApiKey {
    /// A new key: `llmp-` and 48 hexadecimal digits from the operating system's generator.
    ///
    /// # Errors
    /// If the operating system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0u8; RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        Ok(Self(format!("{PREFIX}{}", HEXLOWER.encode(&random))))
    }

    /// Takes a key that an operator chose, such as one that is moved here from another service.
    ///
    /// # Errors
    /// [`GivenKeyError`] if it is short, or has characters that a header cannot carry.
    pub fn given(text: &str) -> Result<Self, GivenKeyError> {
        let text = text.trim();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(GivenKeyError::NotPrintable);
        }
        if text.len() < MIN_GIVEN_CHARS {
            return Err(GivenKeyError::TooShort);
        }
        Ok(Self(text.to_owned()))
    }

    /// Takes a key as it stands in the database or came from an operator.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the complete key, to store it or to show it to the operator who asked.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The hash this key is looked up by.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        Self::hash_of(self.0.as_bytes())
    }

    /// The hash of whatever bytes a client sent as its key.
    #[must_use]
    pub fn hash_of(bytes: &[u8]) -> KeyHash {
        Sha256::digest(bytes).into()
    }

    /// Returns whether a text has the form of a key, which tells a key from a user name on the
    /// command line.
    #[must_use]
    pub fn looks_like_one(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Returns whether this is what [`ApiKey::masked`] left of a key, which is all that a database
    /// of hashes knows.
    #[must_use]
    pub fn is_masked(&self) -> bool {
        self.0.contains('…')
    }

    /// The key's beginning and end, enough to recognise it and too little to use it:
    /// `llmp-1a2b…9f0e`.
    #[must_use]
    pub fn masked(&self) -> String {
        if self.is_masked() {
            return self.0.clone();
        }
        let chars: Vec<char> = self.0.chars().collect();
        if chars.len() < 24 {
            return "…".to_owned();
        }
        let head: String = chars[..9].iter().collect();
        let tail: String = chars[chars.len() - 4..].iter().collect();
        format!("{head}…{tail}")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({})", self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_new_key_has_the_prefix_and_192_random_bits() {
        let key = ApiKey::generate().unwrap();
        assert!(key.expose().starts_with("llmp-"));
        assert_eq!(key.expose().len(), 5 + 48);
        assert!(ApiKey::looks_like_one(key.expose()));
        assert_ne!(key, ApiKey::generate().unwrap());
    }

    #[test]
    fn debug_and_mask_do_not_show_the_key() {
        let key = ApiKey::from_text("llmp-0123456789abcdef0123456789abcdef");
        assert_eq!(key.masked(), "llmp-0123…cdef");
        assert!(!format!("{key:?}").contains("456789"));
        assert_eq!(ApiKey::from_text("short").masked(), "…");
    }

    #[test]
    fn messages_show_the_ends_of_keys_only() {
        assert_eq!(
            without_keys(
                "no user is called \"llmp-0123456789abcdef0123456789abcdef\"; try sk-0123456789abcdef0123!"
            ),
            "no user is called \"llmp-0123…cdef\"; try …!"
        );
        for plain in [
            "",
            "llmp-...",
            "alice@ex-ample.org, é",
            "task-0123456789abcdef0123456789",
        ] {
            assert_eq!(without_keys(plain), plain);
        }
    }

    proptest! {
        #[test]
        fn no_key_shows_itself(text in "(llmp-)?[0-9a-fA-Fé]{0,60}") {
            crate::properties::texts(format!("api_key={text}").as_bytes());
        }
    }
}

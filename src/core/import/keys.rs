//! Keys of other programs: what of them can be used here.

use data_encoding::HEXLOWER_PERMISSIVE;

use super::ImportKey;
use crate::model::{ApiKey, KeyHash};

/// What a note says of keys that an operator could not choose here.
pub(super) const SHORT_KEYS: &str =
    "keys of fewer than 20 characters, which can be guessed: replace them with `user rotate`";

/// Returns whether a key is shorter than an operator may choose one here.
pub(super) fn is_short(key: &ImportKey) -> bool {
    let clear = key.clear.as_ref();
    clear.is_some_and(|key| ApiKey::given(key.expose()).is_err())
}

/// Returns whether a header can carry a key.
pub(super) fn can_be_sent(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Reads a SHA-256 in hexadecimal digits.
pub(super) fn hash_of(text: &str) -> Option<KeyHash> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok()
}

/// Returns what stands for a key of which only the hash is known.
pub(super) fn hash_display(hex: &str) -> String {
    let beginning: String = hex.chars().take(8).collect();
    format!("hash:{beginning}…")
}

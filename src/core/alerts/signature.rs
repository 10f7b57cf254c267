//! The signature by which a receiver knows that an alert is this proxy's.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Returns `v1=` and the HMAC-SHA-256 of `<timestamp>.<body>` in hexadecimal. The timestamp is part
/// of it, so that a receiver can refuse an old message that somebody sends again.
#[must_use]
pub fn signature(secret: &[u8], timestamp: i64, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        unreachable!("HMAC takes keys of any length (RFC 2104, section 3)")
    };
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("v1={}", HEXLOWER.encode(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_the_timestamp_and_the_body() {
        // python3 -c 'import hmac; print(hmac.new(b"secret", b"1700000000.{}", "sha256").hexdigest())'
        let expected = "v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163";
        assert_eq!(signature(b"secret", 1_700_000_000, b"{}"), expected);
        assert_ne!(signature(b"secret", 1_700_000_001, b"{}"), expected);
        assert_ne!(signature(b"secret", 1_700_000_000, b"{ }"), expected);
        assert_ne!(signature(b"another", 1_700_000_000, b"{}"), expected);
    }
}

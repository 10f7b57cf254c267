//! The id of a request: every answer has it in a header, and the ledger and the log name it.
//!
//! It is a UUID of version 7 (RFC 9562 section 5.7), written in the 26 characters of a ULID (Crockford's
//! base 32), which are shorter and can be selected with one click. It begins with the time at which
//! the request arrived, so that its row is found by the index on that time.

use std::{cell::Cell, fmt, str::FromStr};

/// Characters of the text.
const LENGTH: usize = 26;
/// Crockford's base 32, in lower case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BITS_OF_CHARACTER: u32 = 5;
/// Bits behind the variant that count the ids of a thread. The others are random, and chosen once a
/// thread (RFC 9562 section 6.2).
const COUNTER_BITS: u32 = 22;

/// The id of a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 16]);

/// A text that is no id of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a request id has {LENGTH} letters and digits, as the header x-llmproxy-request-id shows it")]
pub struct NoRequestId;

thread_local! {
    /// The random part of this thread's ids, and their number so far.
    static STATE: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

impl RequestId {
    /// Returns a new id of a request that arrived at a Unix time in milliseconds.
    #[must_use]
    pub fn new(at_ms: i64) -> Self {
        let (mut random, count) = STATE.get();
        if count == 0 {
            // Without random bits two processes may give the same ids; the address is better than
            // nothing.
            let of_address = STATE.with(|state| std::ptr::from_ref(state).addr() as u64);
            random = getrandom::u64().unwrap_or(of_address);
        }
        STATE.set((random, count + 1));
        let ms = at_ms.unsigned_abs();
        let high = ms << 16 | 0x7000 | random >> 52;
        let low = 1 << 63 | (random << COUNTER_BITS) & (u64::MAX >> 2) | count & ((1 << COUNTER_BITS) - 1);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        Self(bytes)
    }

    /// Returns the id that the database holds as 16 bytes.
    #[must_use]
    pub fn of_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Returns the Unix time in milliseconds at which the request arrived.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        let ms = u128::from_be_bytes(self.0) >> 80;
        i64::try_from(ms).unwrap_or(i64::MAX)
    }

    /// Returns the text of the id, in ASCII.
    #[must_use]
    pub fn text(&self) -> [u8; LENGTH] {
        let mut text = [0; LENGTH];
        let mut rest = u128::from_be_bytes(self.0);
        for place in text.iter_mut().rev() {
            *place = ALPHABET[(rest & 31) as usize];
            rest >>= BITS_OF_CHARACTER;
        }
        text
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Reads the text, in either case.
impl FromStr for RequestId {
    type Err = NoRequestId;

    fn from_str(text: &str) -> Result<Self, NoRequestId> {
        let text = text.trim().as_bytes();
        // The first character has three bits.
        if text.len() != LENGTH || text[0] > b'7' {
            return Err(NoRequestId);
        }
        let value = text.iter().try_fold(0_u128, |value, byte| {
            let digit = ALPHABET.iter().position(|letter| *letter == byte.to_ascii_lowercase());
            Ok(value << BITS_OF_CHARACTER | digit.ok_or(NoRequestId)? as u128)
        })?;
        Ok(Self(value.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_differ_and_begin_with_their_time() {
        let of_other_thread = std::thread::spawn(|| RequestId::new(1_700_000_000_000));
        let ids = [
            RequestId::new(1_700_000_000_000),
            RequestId::new(1_700_000_000_000),
            of_other_thread.join().unwrap(),
        ];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        for id in ids {
            assert_eq!(id.at_ms(), 1_700_000_000_000);
            // Version and variant.
            assert_eq!((id.as_bytes()[6] >> 4, id.as_bytes()[8] >> 6), (7, 2));
        }
        assert!(RequestId::new(1_700_000_000_001).to_string() > ids[0].to_string());
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in ["", "x", "01jd8zk3m9x4t7v2b6n5c8qwr", "81jd8zk3m9x4t7v2b6n5c8qwre", "01jd8zk3m9x4t7v2b6n5c8qwru", "é1jd8zk3m9x4t7v2b6n5c8qwr"] {
            assert_eq!(text.parse::<RequestId>(), Err(NoRequestId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_reads_as_the_id_that_it_was_written_of(bytes: [u8; 16]) {
            let id = RequestId::of_bytes(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        }
    }
}

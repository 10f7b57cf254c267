//! The id of a request: every answer has it in a header, and the ledger and the log name it.
//!
//! It is a UUID of version 7 (RFC 9562 section 5.7), written as 32 hexadecimal digits. It begins with
//! the time at which the request arrived, so that its row is found by the index on that time.

use std::{cell::Cell, fmt, str::FromStr};

use data_encoding::HEXLOWER;

/// Digits of the text.
const LENGTH: usize = 32;
/// Bits at the end that count the ids of a thread. The others behind the time are random, and chosen
/// once a thread (RFC 9562 section 6.2).
const COUNTER_BITS: u32 = 22;

/// The id of a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 16]);

/// A text that is no id of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a request id has {LENGTH} hexadecimal digits, as the header x-llmproxy-request-id shows it"
)]
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
            // Without random bits two processes might give the same ids; an address is better than
            // nothing.
            let address = STATE.with(|state| std::ptr::from_ref(state).addr() as u64);
            random = getrandom::u64().unwrap_or(address);
        }
        STATE.set((random, count + 1));
        let version = 0x7000;
        let high = at_ms.unsigned_abs() << 16 | version | random >> 52;
        let variant = 1 << 63;
        let of_thread = (random << COUNTER_BITS) & (u64::MAX >> 2);
        let low = variant | of_thread | count & ((1 << COUNTER_BITS) - 1);
        Self((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
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

    /// Returns the digits. They are written by hand, because each answer and each line of the log
    /// has them.
    #[must_use]
    pub fn text(&self) -> [u8; LENGTH] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; LENGTH];
        for (byte, digits) in self.0.iter().zip(text.as_chunks_mut().0) {
            *digits = [
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ];
        }
        text
    }

    /// Returns the Unix time in milliseconds at which the request arrived.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        let ms = u128::from_be_bytes(self.0) >> 80;
        i64::try_from(ms).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        // All digits are ASCII.
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Reads the text, in either case, with the dashes that other programs write into a UUID or without.
impl FromStr for RequestId {
    type Err = NoRequestId;

    fn from_str(text: &str) -> Result<Self, NoRequestId> {
        let digits = text.trim().replace('-', "").to_ascii_lowercase();
        let bytes = HEXLOWER.decode(digits.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(NoRequestId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_differ_and_begin_with_their_time() {
        let at_ms = 1_700_000_000_000;
        let of_other_thread = std::thread::spawn(move || RequestId::new(at_ms));
        let ids = [
            RequestId::new(at_ms),
            RequestId::new(at_ms),
            of_other_thread.join().unwrap(),
        ];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        for id in ids {
            assert_eq!(id.at_ms(), at_ms);
            // Version and variant.
            assert_eq!((id.0[6] >> 4, id.0[8] >> 6), (7, 2));
        }
        assert!(RequestId::new(at_ms + 1).to_string() > ids[0].to_string());
    }

    #[test]
    fn other_texts_are_no_ids() {
        let long = "0".repeat(34);
        for text in ["", "x", "req_7b2c", "0193", &long, &"g".repeat(32), "é"] {
            assert_eq!(text.parse::<RequestId>(), Err(NoRequestId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_reads_as_the_id_that_it_was_written_of(bytes: [u8; 16]) {
            let id = RequestId::of_bytes(bytes);
            let text = id.to_string();
            prop_assert_eq!(&text, &HEXLOWER.encode(&bytes));
            prop_assert_eq!(text.parse(), Ok(id));
            let dashed = format!("{}-{}-{}", &text[..8], &text[8..12], &text[12..]);
            prop_assert_eq!(dashed.to_uppercase().parse(), Ok(id));
        }
    }
}

//! A request's body in the parts that it came in, because a long one is neither copied nor needed
//! in one piece.

use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

use super::collector::BytesCollector;

/// Shorter parts are joined, and so are all parts of a body without an announced length: the
/// framing between its chunks is in the same buffers, and could be many times as long as they are.
/// A longer part of another body may hold the buffer that it came in, but such a buffer is filled
/// up with further parts before there is another one. So no client can make a body hold more than
/// twice its bytes, apart from the buffer that its connection has anyway.
const MIN_PART_BYTES: usize = 16 * 1024;

/// A body of one part that is not longer than this is copied when it is edited, which costs less than
/// cutting it in parts.
const MAX_COPIED_BYTES: usize = 4 * 1024;

/// A complete body. Most have one part.
#[derive(Debug, Clone, Default)]
pub struct BodyParts(SmallVec<[Bytes; 1]>);

/// A body as far as it has come.
pub struct BodyBuilder {
    parts: BodyParts,
    bytes: usize,
    is_announced: bool,
    /// Short parts that come after those in `parts`.
    short: BytesCollector,
}

impl BodyParts {
    #[must_use]
    pub fn len(&self) -> usize {
        self.slices().map(<[u8]>::len).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slices().all(<[u8]>::is_empty)
    }

    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Returns the body with other bytes in place of a range. The rest of a long body is not copied.
    #[must_use]
    pub fn replaced(&self, range: &Range<usize>, bytes: Bytes) -> Self {
        if let [whole] = &*self.0
            && whole.len() <= MAX_COPIED_BYTES
        {
            let start = range.start.min(whole.len());
            let end = range.end.clamp(start, whole.len());
            let mut copy = Vec::with_capacity(whole.len() - (end - start) + bytes.len());
            for part in [&whole[..start], &bytes, &whole[end..]] {
                copy.extend_from_slice(part);
            }
            return Self::from(Bytes::from(copy));
        }
        // One part is cut in two, and another comes between.
        let mut parts = SmallVec::with_capacity(self.0.len() + 2);
        parts.extend(self.slice(0..range.start));
        parts.push(bytes);
        parts.extend(self.slice(range.end..usize::MAX));
        Self(parts)
    }

    fn slice(&self, range: Range<usize>) -> impl Iterator<Item = Bytes> {
        let mut before = 0;
        let parts = self.0.iter().map(move |part| {
            let within = |place: usize| place.saturating_sub(before).min(part.len());
            let slice = part.slice(within(range.start)..within(range.end));
            before += part.len();
            slice
        });
        parts.filter(|part| !part.is_empty())
    }

    /// Returns the body in one piece, which is a copy if it has several parts.
    #[must_use]
    pub fn joined(self) -> Bytes {
        let mut whole = BytesCollector::of_announced(self.len() as u64);
        for part in self {
            whole.push(part);
        }
        whole.into_bytes()
    }
}

impl From<Bytes> for BodyParts {
    fn from(whole: Bytes) -> Self {
        Self(SmallVec::from([whole]))
    }
}

impl IntoIterator for BodyParts {
    type Item = Bytes;
    type IntoIter = smallvec::IntoIter<[Bytes; 1]>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

// === impl BodyBuilder ===

impl BodyBuilder {
    pub fn of_announced(announced_bytes: u64) -> Self {
        Self {
            parts: BodyParts::default(),
            bytes: 0,
            is_announced: announced_bytes > 0,
            short: BytesCollector::of_announced(announced_bytes),
        }
    }

    pub fn len_bytes(&self) -> usize {
        self.bytes
    }

    pub fn push(&mut self, part: Bytes) {
        self.bytes += part.len();
        if !self.is_announced || part.len() < MIN_PART_BYTES {
            self.short.push(part);
        } else {
            self.end_short();
            self.parts.0.push(part);
        }
    }

    pub fn into_parts(mut self) -> BodyParts {
        self.end_short();
        self.parts
    }

    fn end_short(&mut self) {
        let short = std::mem::take(&mut self.short).into_bytes();
        if !short.is_empty() {
            self.parts.0.push(short);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arrived(parts: &[Bytes]) -> BodyParts {
        let mut builder = BodyBuilder::of_announced(1);
        for part in parts {
            builder.push(part.clone());
        }
        assert_eq!(builder.len_bytes(), parts.concat().len());
        builder.into_parts()
    }

    #[test]
    fn long_parts_are_not_copied_and_short_ones_hold_no_buffer() {
        let long = Bytes::from(vec![b'l'; MIN_PART_BYTES]);
        let buffer = Bytes::from(vec![b's'; MIN_PART_BYTES]);
        let short = || buffer.slice(..10);
        let parts = arrived(&[long.clone(), short(), short(), long.clone()]);
        let parts: Vec<Bytes> = parts.into_iter().collect();
        assert_eq!(parts.len(), 3);
        assert!(parts[0].as_ptr() == long.as_ptr() && parts[2].as_ptr() == long.as_ptr());
        assert_eq!(parts[1].len(), 20);
        assert!(buffer.is_unique());
    }

    #[test]
    fn parts_of_a_body_of_unknown_length_hold_no_buffer() {
        let buffer = Bytes::from(vec![b'b'; 4 * MIN_PART_BYTES]);
        let mut builder = BodyBuilder::of_announced(0);
        for _ in 0..2 {
            builder.push(buffer.slice(..MIN_PART_BYTES));
        }
        let parts = builder.into_parts();
        assert!(buffer.is_unique());
        assert_eq!(parts.joined(), buffer[..2 * MIN_PART_BYTES]);
    }

    proptest! {
        #[test]
        fn parts_read_like_the_complete_body(
            lengths in prop::collection::vec(prop_oneof![0..9_usize, 16_000..17_000_usize], 0..6),
            places in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        ) {
            let parts: Vec<Bytes> = lengths
                .iter()
                .zip(b'a'..)
                .map(|(length, letter)| Bytes::from(vec![letter; *length]))
                .collect();
            let whole = parts.concat();
            let parts = arrived(&parts);
            prop_assert_eq!(parts.len(), whole.len());
            prop_assert_eq!(parts.is_empty(), whole.is_empty());
            let (one, other) = (places.0.index(whole.len() + 1), places.1.index(whole.len() + 1));
            let range = one.min(other)..one.max(other);
            let replaced = parts.replaced(&range, Bytes::from_static(b"new"));
            let expected = [&whole[..range.start], b"new", &whole[range.end..]].concat();
            prop_assert_eq!(replaced.joined(), expected);
            prop_assert_eq!(parts.joined(), whole);
        }
    }
}

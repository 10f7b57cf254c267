//! Joins a body that comes in parts.

use bytes::{Bytes, BytesMut};

/// Bytes that are allocated at once for an announced length. More are allocated only as they come.
const MAX_RESERVED_BYTES: u64 = 1024 * 1024;

/// A body as far as it has come. A single part stays as it is. With a second one a copy grows,
/// which does not hold the buffers that the parts came in: a part of one byte may be in a buffer of
/// many.
#[derive(Default)]
pub struct BytesCollector {
    /// The announced length of the whole body; 0 if none was announced.
    announced_bytes: u64,
    first: Bytes,
    whole: Option<BytesMut>,
}

impl BytesCollector {
    pub fn of_announced(announced_bytes: u64) -> Self {
        Self {
            announced_bytes,
            ..Self::default()
        }
    }

    pub fn len_bytes(&self) -> usize {
        self.whole.as_ref().map_or(self.first.len(), BytesMut::len)
    }

    pub fn push(&mut self, part: Bytes) {
        if self.len_bytes() == 0 {
            self.first = part;
            return;
        }
        let whole = self.whole.get_or_insert_with(|| {
            let announced = self.announced_bytes.min(MAX_RESERVED_BYTES);
            let expected = usize::try_from(announced).unwrap_or(0);
            let mut whole =
                BytesMut::with_capacity(expected.max(2 * (self.first.len() + part.len())));
            whole.extend_from_slice(&std::mem::take(&mut self.first));
            whole
        });
        whole.extend_from_slice(&part);
    }

    pub fn into_bytes(self) -> Bytes {
        self.whole.map_or(self.first, BytesMut::freeze)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_parts_are_joined_and_their_buffers_released() {
        for announced in [0, 3, 1000, u64::MAX] {
            let mut collected = BytesCollector::of_announced(announced);
            let mut buffer = BytesMut::from(&b"abcdef"[..]);
            for _ in 0..5 {
                collected.push(buffer.split_to(1).freeze());
            }
            assert_eq!(collected.len_bytes(), 5);
            assert!(buffer.freeze().is_unique());
            assert_eq!(collected.into_bytes(), "abcde");
        }
    }

    #[test]
    fn a_lone_part_is_not_copied() {
        let part = Bytes::from(b"abc".to_vec());
        let mut collected = BytesCollector::default();
        collected.push(Bytes::new());
        collected.push(part.clone());
        assert_eq!(collected.into_bytes().as_ptr(), part.as_ptr());
        assert_eq!(BytesCollector::default().into_bytes(), Bytes::new());
    }
}

//! Incremental scanner of a server's WebSocket frames (RFC 6455 section 5.2): finds each text
//! message however the stream is split. A server does not mask, so the messages stand in it as they
//! are.

/// A message longer than this passes unread. Pieces of audio are far shorter.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// The state between two reads.
#[derive(Debug, Default)]
pub struct FrameScan {
    /// The unfinished header of a frame.
    header: Vec<u8>,
    frame: Option<Frame>,
    /// The unfinished text message.
    message: Vec<u8>,
    /// Whether the unfinished message is a text.
    in_text: bool,
    /// Whether the unfinished message is longer than [`MAX_MESSAGE_BYTES`].
    too_long: bool,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: u8,
    is_last: bool,
    left_bytes: u64,
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;

impl FrameScan {
    /// Scans one read. `on_message` gets each finished text message.
    pub fn push(&mut self, mut read: &[u8], on_message: &mut impl FnMut(&[u8])) {
        loop {
            let Some(frame) = self.frame else {
                let Some(used) = self.take_header(read) else {
                    return;
                };
                read = &read[used..];
                continue;
            };
            let count =
                usize::try_from(frame.left_bytes).map_or(read.len(), |left| left.min(read.len()));
            let (here, rest) = read.split_at(count);
            read = rest;
            if self.in_text && frame.opcode <= TEXT {
                self.keep(here);
            }
            let left_bytes = frame.left_bytes - count as u64;
            if left_bytes > 0 {
                self.frame = Some(Frame {
                    left_bytes,
                    ..frame
                });
                return;
            }
            self.frame = None;
            if frame.is_last && frame.opcode <= TEXT && std::mem::take(&mut self.in_text) {
                if !self.too_long {
                    on_message(&self.message);
                }
                self.message.clear();
                self.message.shrink_to(16 * 1024);
                self.too_long = false;
            }
        }
    }

    /// Returns whether the next byte begins a frame. A control frame may be put there, even inside
    /// a message (RFC 6455 section 5.4).
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.frame.is_none() && self.header.is_empty()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.too_long || self.message.len() + bytes.len() > MAX_MESSAGE_BYTES {
            self.too_long = true;
            self.message = Vec::new();
        } else {
            self.message.extend_from_slice(bytes);
        }
    }

    /// Adds to the header. Returns how many bytes of the read it took, once it is complete.
    fn take_header(&mut self, read: &[u8]) -> Option<usize> {
        for (index, byte) in read.iter().enumerate() {
            self.header.push(*byte);
            if let Some(frame) = parse(&self.header) {
                self.header.clear();
                match frame.opcode {
                    TEXT => self.in_text = true,
                    // Binary messages and control frames; the latter may stand inside a message.
                    CONTINUATION | 8.. => {}
                    _ => self.in_text = false,
                }
                self.frame = Some(frame);
                return Some(index + 1);
            }
        }
        None
    }
}

/// The frame that a complete header announces.
fn parse(header: &[u8]) -> Option<Frame> {
    let (first, second) = (*header.first()?, *header.get(1)?);
    let length_bytes = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask_bytes = if second & 0x80 == 0 { 0 } else { 4 };
    if header.len() < 2 + length_bytes + mask_bytes {
        return None;
    }
    let left_bytes = if length_bytes == 0 {
        u64::from(second & 0x7f)
    } else {
        let length = &header[2..2 + length_bytes];
        length
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    Some(Frame {
        opcode: first & 0x0f,
        is_last: first & 0x80 != 0,
        left_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..126 => frame.push(u8::try_from(short).unwrap()),
            medium @ 126..65_536 => {
                frame.push(126);
                frame.extend(u16::try_from(medium).unwrap().to_be_bytes());
            }
            long => {
                frame.push(127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    fn scan(reads: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut scan, mut messages) = (FrameScan::default(), Vec::new());
        for read in reads {
            scan.push(read, &mut |message| messages.push(message.to_vec()));
        }
        messages
    }

    #[test]
    fn the_end_of_a_frame_is_known() {
        let frames = [frame(0x01, b"tw"), frame(0x80, b""), frame(0x82, &[1; 200])];
        let ends: Vec<usize> = frames
            .iter()
            .scan(0, |end, frame| {
                *end += frame.len();
                Some(*end)
            })
            .collect();
        let mut scan = FrameScan::default();
        for (index, byte) in frames.concat().iter().enumerate() {
            scan.push(&[*byte], &mut |_| {});
            assert_eq!(
                scan.is_between_frames(),
                ends.contains(&(index + 1)),
                "{index}"
            );
        }
    }

    #[test]
    fn messages_are_found_however_they_are_split() {
        let long = vec![b'l'; 70_000];
        let stream = [
            frame(0x81, b"one"),
            frame(0x01, b"t"),
            frame(0x89, b"ping"),
            frame(0x00, b"w"),
            frame(0x80, b"o"),
            frame(0x82, b"binary"),
            frame(0x81, b""),
            frame(0x81, &[b'm'; 300]),
            frame(0x81, &long),
            frame(0x88, b""),
        ]
        .concat();
        let expected = [
            b"one".to_vec(),
            b"two".to_vec(),
            vec![],
            vec![b'm'; 300],
            long,
        ];
        assert_eq!(scan(&[&stream]), expected);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(scan(&bytes), expected);
    }

    #[test]
    fn a_message_without_end_is_not_kept() {
        let mut scan = FrameScan::default();
        let part = frame(0x00, &vec![b'x'; 60_000]);
        scan.push(&frame(0x01, b"a"), &mut |_| {});
        for _ in 0..100 {
            scan.push(&part, &mut |_| {});
            assert!(scan.message.len() <= MAX_MESSAGE_BYTES);
        }
        let mut seen = Vec::new();
        scan.push(
            &[frame(0x80, b"b"), frame(0x81, b"next")].concat(),
            &mut |m| seen.push(m.to_vec()),
        );
        assert_eq!(seen, [b"next"]);
    }

    proptest! {
        #[test]
        fn any_split_of_any_bytes_reads_the_same(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(scan(&[&bytes[..cut], &bytes[cut..]]), scan(&[&bytes]));
        }
    }
}

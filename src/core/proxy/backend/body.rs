//! The body of an answer, read as it comes. Only a body that was read to its own end gives its
//! connection back to the pool.

use std::{
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::Instant;

use super::{
    connection::{Connection, Keep},
    head::{Framing, Head},
    pool::Pool,
};

/// Longest line with a chunk's size, extensions included.
const MAX_SIZE_LINE_BYTES: usize = 1024;
/// Longest trailer section. Its fields are dropped.
const MAX_TRAILER_BYTES: usize = 16 * 1024;

const CRLF: &[u8] = b"\r\n";
/// A longer chunk is not moved to join the one before it. Events have a few hundred bytes.
const MAX_JOINED_BYTES: usize = 4 * 1024;

/// A body on its way.
pub struct Body {
    /// `None` when the connection went back or was closed.
    connection: Option<Connection>,
    pool: Rc<Pool>,
    keeps_alive: bool,
    state: State,
}

/// Reasons why a body did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the backend broke off in its answer: {0}")]
    BrokeOff(String),
    #[error("the backend was silent for {0:?} in its answer")]
    Silent(Duration),
    #[error("the backend's chunked encoding is malformed: {0}")]
    Malformed(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Bytes that are left of a known length.
    Length(u64),
    UntilClose,
    Chunk(Chunk),
    Done,
    /// An error in the bytes that were read ahead. It is returned after everything before it.
    Malformed(&'static str),
}

/// Place in the chunked encoding (RFC 9112 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunk {
    Size,
    Data(u64),
    /// At the CRLF after a chunk's data.
    DataEnd,
    Trailers {
        bytes: usize,
    },
}

impl Body {
    pub(super) fn new(connection: Connection, head: &Head, pool: &Rc<Pool>) -> Self {
        let mut body = Self {
            connection: Some(connection),
            pool: Rc::clone(pool),
            keeps_alive: head.keeps_alive,
            state: State::at_start(head.framing),
        };
        body.advance();
        body
    }

    /// Returns whether the last byte has been handed out.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == State::Done
    }

    /// Returns whether bytes are left that came with those handed out.
    #[must_use]
    pub fn has_read_ahead(&self) -> bool {
        let connection = self.connection.as_ref();
        connection.is_some_and(|connection| !connection.has_read_all())
    }

    /// Returns when the last byte came, or `None` if the connection is gone.
    #[must_use]
    pub fn active_at(&self) -> Option<Instant> {
        self.connection.as_ref().map(Connection::active_at)
    }

    /// Returns the next bytes as they came, `None` at the body's own end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            match self.state {
                State::Done => return Poll::Ready(None),
                State::Malformed(reason) => {
                    self.connection = None;
                    return Poll::Ready(Some(Err(BodyError::Malformed(reason))));
                }
                State::Length(_) | State::UntilClose | State::Chunk(_) => {}
            }
            if let Some(connection) = &mut self.connection
                && let Some(bytes) = self.state.take(connection.read_ahead())
            {
                self.advance();
                return Poll::Ready(Some(Ok(bytes)));
            }
            if let Err(error) = ready!(self.poll_fill(cx)) {
                self.connection = None;
                return Poll::Ready(Some(Err(error)));
            }
            self.advance();
        }
    }

    /// Reads more. The end of the stream is the end of a body only if nothing else marks it.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(Err(BodyError::BrokeOff(
                "it was read after its end".to_owned(),
            )));
        };
        match connection.poll_fill(cx, Keep::Shortly) {
            Poll::Ready(Ok(0)) if self.state == State::UntilClose => {
                self.state = State::Done;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(0)) => Poll::Ready(Err(BodyError::BrokeOff(
                "it closed the connection".to_owned(),
            ))),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(BodyError::BrokeOff(error.to_string()))),
            Poll::Pending => {
                ready!(connection.poll_silent(cx));
                Poll::Ready(Err(BodyError::Silent(connection.idle_timeout())))
            }
        }
    }

    /// Reads framing as far as it has come, so that the end is known with the last bytes and not
    /// one read later. At the end the connection goes back to the pool, if it may.
    fn advance(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        self.state.skip_framing(connection.read_ahead());
        if self.state == State::Done
            && let Some(connection) = self.connection.take()
            && self.keeps_alive
            && connection.is_at_rest()
        {
            self.pool.put(connection);
        }
    }
}

impl State {
    pub(crate) fn at_start(framing: Framing) -> Self {
        match framing {
            Framing::Length(0) => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunk(Chunk::Size),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Takes body bytes from what was read, `None` if there are none. Small chunks that came
    /// together leave together, so that the work for a piece is done once a read.
    pub(crate) fn take(&mut self, read: &mut BytesMut) -> Option<Bytes> {
        if read.is_empty() {
            return None;
        }
        // How far was looked, and how much of that is data, which is moved to the front.
        let (mut at, mut data) = (0, 0);
        loop {
            match self {
                Self::Length(left) | Self::Chunk(Chunk::Data(left)) => {
                    let here = read.len() - at;
                    let count = usize::try_from(*left).map_or(here, |left| left.min(here));
                    if count == 0 || (data > 0 && count > MAX_JOINED_BYTES) {
                        break;
                    }
                    *left -= count as u64;
                    if *left == 0 {
                        *self = match self {
                            Self::Length(_) => Self::Done,
                            _ => Self::Chunk(Chunk::DataEnd),
                        };
                    }
                    if data < at {
                        read.copy_within(at..at + count, data);
                    }
                    data += count;
                    at += count;
                }
                Self::UntilClose => {
                    data = read.len();
                    at = data;
                    break;
                }
                Self::Chunk(chunk) => match chunk.next(&read[at..]) {
                    Ok(Some((next, framing))) => {
                        *self = next;
                        at += framing;
                    }
                    Ok(None) => break,
                    Err(reason) => *self = Self::Malformed(reason),
                },
                Self::Done | Self::Malformed(_) => break,
            }
        }
        let mut piece = if at == read.len() {
            std::mem::take(read)
        } else {
            read.split_to(at)
        };
        piece.truncate(data);
        (data > 0).then(|| piece.freeze())
    }

    /// Moves over chunk sizes, line ends and trailers until data, the end, or the end of what was
    /// read.
    pub(crate) fn skip_framing(&mut self, read: &mut BytesMut) {
        while let Self::Chunk(chunk) = *self {
            match chunk.next(read) {
                Ok(Some((next, framing))) => {
                    *self = next;
                    read.advance(framing);
                }
                Ok(None) => return,
                Err(reason) => *self = Self::Malformed(reason),
            }
        }
    }
}

impl Chunk {
    /// Returns the next state and the length of the framing before it, or `None` if more bytes are
    /// needed or data comes next.
    fn next(self, read: &[u8]) -> Result<Option<(State, usize)>, &'static str> {
        match self {
            Self::Data(_) => Ok(None),
            Self::Size => {
                let Some(line) = line(read, MAX_SIZE_LINE_BYTES)? else {
                    return Ok(None);
                };
                let next = match chunk_size(line)? {
                    0 => Self::Trailers { bytes: 0 },
                    size => Self::Data(size),
                };
                Ok(Some((State::Chunk(next), line.len() + CRLF.len())))
            }
            Self::DataEnd => match read.get(..CRLF.len()) {
                None => match read.first() {
                    None | Some(b'\r') => Ok(None),
                    Some(_) => Err("a chunk is longer than its size"),
                },
                Some(CRLF) => Ok(Some((State::Chunk(Self::Size), CRLF.len()))),
                Some(_) => Err("a chunk is longer than its size"),
            },
            Self::Trailers { bytes } => {
                let Some(line) = line(read, MAX_TRAILER_BYTES)? else {
                    return Ok(None);
                };
                let framing = line.len() + CRLF.len();
                if line.is_empty() {
                    return Ok(Some((State::Done, framing)));
                }
                let bytes = bytes + line.len();
                if bytes > MAX_TRAILER_BYTES {
                    return Err("its trailers are too long");
                }
                Ok(Some((State::Chunk(Self::Trailers { bytes }), framing)))
            }
        }
    }
}

/// Returns the first line without its CRLF. A bare LF ends no line, because two readers could
/// disagree on it.
fn line(read: &[u8], limit: usize) -> Result<Option<&[u8]>, &'static str> {
    match memchr::memchr(b'\n', &read[..read.len().min(limit)]) {
        None if read.len() >= limit => Err("a line is too long"),
        None => Ok(None),
        Some(end) => match read[..=end].strip_suffix(CRLF) {
            Some(line) => Ok(Some(line)),
            None => Err("a line ends without CR"),
        },
    }
}

/// Reads hexadecimal digits. Extensions after `;` are ignored.
fn chunk_size(line: &[u8]) -> Result<u64, &'static str> {
    let digits = line
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or(line)
        .trim_ascii_end();
    if digits.is_empty() || digits.len() > 15 {
        return Err("a chunk's size is no number");
    }
    digits.iter().try_fold(0u64, |size, digit| {
        let digit = char::from(*digit)
            .to_digit(16)
            .ok_or("a chunk's size is no number")?;
        Ok(size << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a chunked body that comes in reads. Returns the data, and how it ended.
    fn read(reads: &[&[u8]]) -> (Vec<u8>, State) {
        let mut state = State::Chunk(Chunk::Size);
        let (mut buffer, mut data) = (BytesMut::new(), Vec::new());
        for bytes in reads {
            buffer.extend_from_slice(bytes);
            state.skip_framing(&mut buffer);
            while let Some(bytes) = state.take(&mut buffer) {
                data.extend_from_slice(&bytes);
                state.skip_framing(&mut buffer);
            }
        }
        (data, state)
    }

    #[test]
    fn chunks_are_read_however_they_are_split() {
        let stream = b"5\r\nhello\r\n1;ext=\"x\"\r\n \r\n5 \r\nworld\r\n0\r\nTrailer: x\r\n\r\n";
        for cut in 0..=stream.len() {
            assert_eq!(
                read(&[&stream[..cut], &stream[cut..]]),
                (b"hello world".to_vec(), State::Done),
                "{cut}"
            );
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(read(&bytes), (b"hello world".to_vec(), State::Done));
    }

    #[test]
    fn small_chunks_leave_together_and_long_ones_alone() {
        let pieces = |lengths: &[usize]| {
            let mut buffer = BytesMut::new();
            for length in lengths {
                buffer.extend_from_slice(format!("{length:x}\r\n").as_bytes());
                buffer.extend_from_slice(&b"x".repeat(*length));
                buffer.extend_from_slice(CRLF);
            }
            let mut state = State::Chunk(Chunk::Size);
            let pieces = std::iter::from_fn(|| state.take(&mut buffer));
            pieces.map(|piece| piece.len()).collect::<Vec<_>>()
        };
        assert_eq!(pieces(&[3, 4, 5]), [12]);
        let long = MAX_JOINED_BYTES + 1;
        assert_eq!(pieces(&[3, 4, long, 5, long]), [7, long + 5, long]);
    }

    #[test]
    fn a_cut_stream_is_not_done() {
        let stream = b"5\r\nhello\r\n0\r\n\r\n";
        for cut in 0..stream.len() {
            assert_ne!(read(&[&stream[..cut]]).1, State::Done, "{cut}");
        }
    }

    #[test]
    fn malformed_chunks_are_reported_after_earlier_data() {
        for bad in [
            "x\r\n",
            "-1\r\n",
            "\r\n",
            "5\nhello",
            "1\r\nab\r\n",
            "ffffffffffffffff\r\n",
            "0x5\r\n",
        ] {
            let stream = format!("2\r\nok\r\n{bad}");
            let (data, state) = read(&[stream.as_bytes()]);
            assert!(
                data.starts_with(b"ok") && matches!(state, State::Malformed(_)),
                "{bad:?} {state:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_split_end_the_same(
            bytes in prop::collection::vec(prop::sample::select(b"0123af;\r\n x".to_vec()), 0..60),
            cut in 0usize..61,
        ) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(read(&[&bytes[..cut], &bytes[cut..]]), read(&[&bytes]));
        }
    }
}

//! One connection. It writes a request while it reads the head of the answer, and watches for
//! silence.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use smallvec::SmallVec;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::client::TlsStream;
use tokio_util::io::poll_read_buf;

use super::{
    BackendError, OutgoingRequest, Upload, UploadBroke,
    head::{Head, MAX_HEAD_BYTES, Parsed, RequestKind},
    idle_timer::IdleTimer,
    open::OpenConnection,
};

/// First size of a read. It is doubled while reads fill it, so that a small answer costs little and
/// a large one few calls.
const MIN_READ_BYTES: usize = 16 * 1024;
const MAX_READ_BYTES: usize = 64 * 1024;
/// Most pieces in one write. A megabyte comes in about fifteen pieces.
const MAX_PIECES_A_WRITE: usize = 16;

thread_local! {
    /// The buffer for small reads of all connections of a worker. What is read of a stream is
    /// written on at once, so that the next read finds the same memory free again, and in the
    /// processor's cache, where the buffers of hundreds of streams would not be.
    static SMALL_READS: RefCell<BytesMut> = RefCell::default();
}

/// What becomes of a small read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// The bytes go on soon.
    Shortly,
    /// The bytes are a head, and belong to its answer until that is committed.
    ForLong,
}

/// Longest time from the last byte of a request to the end of a kept connection that counts as
/// closed while it was idle. Such an end comes within a round trip. Later the backend may have
/// worked on the request, and a proxy must not repeat what is not idempotent (RFC 9110 section
/// 9.2.2).
const MAX_STALE_NOTICE: Duration = Duration::from_millis(100);
/// Longest such time for GET and HEAD, which may be repeated. So backends that are far away, or
/// slow to close, cause no error.
const MAX_STALE_NOTICE_IF_SAFE: Duration = Duration::from_secs(1);
/// Most interim answers (1xx) before the final one.
const MAX_INTERIM: usize = 16;

/// Plain TCP, or TLS over it.
pub enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection to the backend, and what was read ahead from it.
pub(super) struct Connection {
    io: Io,
    open: OpenConnection,
    read_ahead: BytesMut,
    read_size: usize,
    idle: IdleTimer,
    /// Answers that were read to their end on it.
    round_trips: u32,
    /// The request was written completely.
    request_sent: bool,
    request_kind: RequestKind,
}

/// An exchange without an answer.
pub(super) struct Failure {
    pub(super) error: BackendError,
    /// The connection was a kept one, and had apparently been closed before the request came.
    pub(super) was_stale: bool,
}

impl Connection {
    pub(super) fn new(io: Io, open: OpenConnection, idle_timeout: Duration) -> Self {
        Self {
            io,
            open,
            read_ahead: BytesMut::new(),
            read_size: MIN_READ_BYTES,
            idle: IdleTimer::new(idle_timeout),
            round_trips: 0,
            request_sent: false,
            request_kind: RequestKind::Request,
        }
    }

    /// Notes that the next request asks to switch protocols.
    pub(super) fn asks_upgrade(&mut self) {
        self.request_kind = RequestKind::Upgrade;
    }

    /// Returns what was read ahead, and the stream itself: no HTTP follows.
    pub(super) fn into_tunnel(self) -> (Bytes, Io, OpenConnection) {
        (self.read_ahead.freeze(), self.io, self.open)
    }

    /// Writes the request and reads the head of its answer. The backend may answer before it has
    /// read the complete request; the rest is then not sent.
    pub(super) async fn round_trip(
        &mut self,
        request: &OutgoingRequest,
        upload: Option<&mut dyn Upload>,
    ) -> Result<Head, Failure> {
        self.idle.touch();
        let mut unsent = Unsent::new(request, upload, self.idle.since);
        if self.request_kind != RequestKind::Upgrade {
            self.request_kind = request.kind();
        }
        self.request_sent = false;
        let result = poll_fn(|cx| self.poll_exchange(cx, &mut unsent)).await;
        let patience = if request.is_safe() {
            MAX_STALE_NOTICE_IF_SAFE
        } else {
            MAX_STALE_NOTICE
        };
        result.map_err(|error| Failure {
            was_stale: self.round_trips > 0
                && self.read_ahead.is_empty()
                && unsent.interim == 0
                && unsent.written_at.elapsed() <= patience
                && matches!(error, BackendError::BrokeOff(_)),
            error,
        })
    }

    fn poll_exchange(
        &mut self,
        cx: &mut Context<'_>,
        unsent: &mut Unsent<'_>,
    ) -> Poll<Result<Head, BackendError>> {
        if !self.request_sent
            && let Poll::Ready(written) = self.poll_write_all(cx, unsent)
        {
            // After a failed write the answer may still be there: many servers refuse, close and
            // leave.
            if unsent.upload_broke {
                return Poll::Ready(Err(BackendError::Upload));
            } else if let Err(error) = written {
                unsent.failed = Some(error);
            } else {
                self.request_sent = true;
                // What TLS held back has only left now.
                if let Io::Tls(_) = self.io {
                    self.idle.touch();
                    unsent.written_at = self.idle.since;
                }
            }
        }
        loop {
            if !self.read_ahead.is_empty() {
                match Head::parse(&mut self.read_ahead, self.request_kind)
                    .map_err(BackendError::InvalidResponse)?
                {
                    Parsed::Whole(head) => return Poll::Ready(Ok(head)),
                    Parsed::Interim => {
                        unsent.interim += 1;
                        if unsent.interim > MAX_INTERIM {
                            return Poll::Ready(Err(BackendError::InvalidResponse(
                                "too many interim answers",
                            )));
                        }
                        continue;
                    }
                    Parsed::Partial if self.read_ahead.len() >= MAX_HEAD_BYTES => {
                        return Poll::Ready(Err(BackendError::InvalidResponse(
                            "the head of its answer is too long",
                        )));
                    }
                    Parsed::Partial => {}
                }
            }
            match self.poll_fill(cx, Keep::ForLong) {
                Poll::Ready(Ok(0)) => {
                    let reason = match unsent.failed.take() {
                        Some(error) => error.to_string(),
                        None => "it closed the connection".to_owned(),
                    };
                    return Poll::Ready(Err(BackendError::BrokeOff(reason)));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(BackendError::BrokeOff(error.to_string())));
                }
                // The client is waited for, not the backend.
                Poll::Pending if unsent.waits_for_client => return Poll::Pending,
                Poll::Pending => {
                    ready!(self.idle.poll_over(cx));
                    return Poll::Ready(Err(BackendError::Silent(self.idle.limit)));
                }
            }
        }
    }

    fn poll_write_all(
        &mut self,
        cx: &mut Context<'_>,
        unsent: &mut Unsent<'_>,
    ) -> Poll<io::Result<()>> {
        if unsent.failed.is_some() {
            return Poll::Pending;
        }
        loop {
            if unsent.is_empty() {
                if unsent.upload.is_some() {
                    // The next bytes may take long to come.
                    let _ = Pin::new(&mut self.io).poll_flush(cx)?;
                }
                if !ready!(unsent.poll_more(cx))? {
                    break;
                }
            }
            let written = ready!(unsent.poll_write(Pin::new(&mut self.io), cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            unsent.advance(written);
            self.idle.touch();
            unsent.written_at = self.idle.since;
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Reads once into `read_ahead`. Returns the number of bytes; 0 is the end of the stream.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        keep: Keep,
    ) -> Poll<io::Result<usize>> {
        let io = Pin::new(&mut self.io);
        let (count, room) = if self.read_ahead.is_empty() && self.read_size == MIN_READ_BYTES {
            ready!(poll_read_small(io, cx, &mut self.read_ahead, keep))?
        } else {
            self.read_ahead.reserve(self.read_size);
            let room = self.read_ahead.capacity() - self.read_ahead.len();
            (ready!(poll_read_buf(io, cx, &mut self.read_ahead))?, room)
        };
        if count >= room {
            self.read_size = (self.read_size * 2).min(MAX_READ_BYTES);
        } else if count < MIN_READ_BYTES {
            self.read_size = MIN_READ_BYTES;
        }
        self.idle.touch();
        Poll::Ready(Ok(count))
    }

    /// Resolves when the backend has been silent for too long.
    pub(super) fn poll_silent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.idle.poll_over(cx)
    }

    /// Returns when the last byte went or came.
    pub(super) fn active_at(&self) -> Instant {
        self.idle.since
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        self.idle.limit
    }

    pub(super) fn read_ahead(&mut self) -> &mut BytesMut {
        &mut self.read_ahead
    }

    /// Returns whether everything that came has been taken.
    pub(super) fn has_read_all(&self) -> bool {
        self.read_ahead.is_empty()
    }

    /// Returns whether the request was written completely and nothing unread is left. Only then the
    /// next request may follow.
    pub(super) fn is_at_rest(&self) -> bool {
        self.request_sent && self.has_read_all()
    }

    /// Gives memory back before a wait in the pool.
    pub(super) fn rest(&mut self) {
        self.round_trips = self.round_trips.saturating_add(1);
        self.read_ahead = BytesMut::new();
        self.read_size = MIN_READ_BYTES;
        self.request_kind = RequestKind::Request;
    }

    /// Returns whether an idle connection is still open and silent. Bytes that come unasked must
    /// never be taken for an answer.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0u8; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        let io = &mut self.io;
        // Unconstrained, because a task that has used up its turn would hear that there is nothing
        // to read, without a look.
        let mut look = pin!(tokio::task::unconstrained(poll_fn(|cx| {
            Pin::new(&mut *io).poll_read(cx, &mut buffer)
        })));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.read_ahead.is_empty() && look.as_mut().poll(&mut cx).is_pending()
    }
}

/// Reads once into an empty buffer. Returns the number of bytes, and how many would have fitted.
fn poll_read_small(
    io: Pin<&mut Io>,
    cx: &mut Context<'_>,
    into: &mut BytesMut,
    keep: Keep,
) -> Poll<io::Result<(usize, usize)>> {
    SMALL_READS.with_borrow_mut(|reads| {
        reads.reserve(MIN_READ_BYTES);
        let room = reads.capacity();
        let count = ready!(poll_read_buf(io, cx, reads))?;
        *into = match keep {
            Keep::Shortly => reads.split_to(count),
            Keep::ForLong => BytesMut::from(&reads[..]),
        };
        reads.clear();
        Poll::Ready(Ok((count, room)))
    })
}

/// The rest of a request that is to be written.
struct Unsent<'a> {
    /// Pieces of the request. No piece that is still to be written is empty.
    pieces: SmallVec<[Bytes; 2]>,
    /// Number of the pieces that were written.
    written: usize,
    /// The source of further pieces, until it has ended.
    upload: Option<&'a mut dyn Upload>,
    waits_for_client: bool,
    upload_broke: bool,
    interim: usize,
    failed: Option<io::Error>,
    /// Time at which the last byte so far went out; before the first one, when the exchange began.
    written_at: Instant,
}

impl<'a> Unsent<'a> {
    fn new(
        request: &OutgoingRequest,
        upload: Option<&'a mut dyn Upload>,
        begun_at: Instant,
    ) -> Self {
        let pieces = std::iter::once(request.head.clone()).chain(request.body.clone());
        Self {
            pieces: pieces.filter(|piece| !piece.is_empty()).collect(),
            written: 0,
            upload,
            waits_for_client: false,
            upload_broke: false,
            interim: 0,
            failed: None,
            written_at: begun_at,
        }
    }

    /// Fetches more to write. Returns whether there was any.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Some(upload) = &mut self.upload else {
            return Poll::Ready(Ok(false));
        };
        self.waits_for_client = true;
        let next = ready!(upload.poll_next(cx));
        self.waits_for_client = false;
        match next {
            Some(Ok(bytes)) => {
                self.pieces.clear();
                self.written = 0;
                if !bytes.is_empty() {
                    self.pieces.push(bytes);
                }
                Poll::Ready(Ok(true))
            }
            Some(Err(UploadBroke)) => {
                self.upload_broke = true;
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
            None => {
                self.upload = None;
                Poll::Ready(Ok(false))
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.written == self.pieces.len()
    }

    /// Writes many pieces with one call, if the stream can.
    fn poll_write(&self, io: Pin<&mut Io>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match &self.pieces[self.written..] {
            [] => Poll::Ready(Ok(0)),
            pieces @ [_, _, ..] if io.is_write_vectored() => {
                let mut slices = [IoSlice::new(&[]); MAX_PIECES_A_WRITE];
                for (slice, piece) in slices.iter_mut().zip(pieces) {
                    *slice = IoSlice::new(piece);
                }
                io.poll_write_vectored(cx, &slices[..pieces.len().min(MAX_PIECES_A_WRITE)])
            }
            [first, ..] => io.poll_write(cx, first),
        }
    }

    fn advance(&mut self, mut written: usize) {
        for piece in &mut self.pieces[self.written..] {
            let here = written.min(piece.len());
            piece.advance(here);
            written -= here;
            if !piece.is_empty() {
                break;
            }
            self.written += 1;
        }
    }
}

// === impl Io ===

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

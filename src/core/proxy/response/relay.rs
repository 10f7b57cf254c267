//! The response body on its way to the client. Each read is metered and passed on at once, and the
//! row is committed before the last byte leaves. Dropping the relay, early or not, ends the
//! exchange: backend connection, permit and row.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::coalescer::StreamCoalescer;
use crate::proxy::{
    accounting::exchange::Exchange,
    backend::{Body, BodyError},
};
use crate::{model::Outcome, store::ledger::NotWritten};

/// Longest piece that is handed to actix, which copies a piece at once, however slowly the client
/// reads.
const MAX_PIECE_BYTES: usize = 64 * 1024;

/// Longest time that an answer is read on for a client that left. A backend names an object at
/// once, or after a queue. The request keeps its permit all the while.
const MAX_READING_ON: Duration = Duration::from_secs(600);

/// A body that meters as it passes.
pub struct Relay {
    source: Body,
    exchange: Box<Exchange>,
    size: BodySize,
    /// Bytes that are metered and not sent yet.
    out: Pieces,
    /// The error that the source ended with before the relay was made.
    broke: Option<BodyError>,
    state: State,
    /// Decides when a stream of events is read on.
    coalescer: Option<StreamCoalescer>,
}

enum State {
    Passing,
    /// The row is being written. What is in `out` waits for it.
    Committing(Pin<Box<dyn Future<Output = Result<(), NotWritten>>>>),
    /// The body ends uncleanly, as soon as what it has yielded is on the wire.
    Breaking {
        error: RelayError,
        flushed: bool,
    },
    Ended,
}

/// Takes over the relay of a client that left before the answer named its object.
pub struct DetachedReader(oneshot::Sender<Relay>);

/// Hands its relay to a background task if the client disconnects before the object is named.
struct DetachOnDrop {
    /// `None` when it is being dropped.
    relay: Option<Relay>,
    detached: Option<DetachedReader>,
}

/// Bytes to be sent, in order. There is rarely more than one piece, so that one takes no memory of
/// its own.
#[derive(Debug, Default)]
struct Pieces {
    first: Option<Bytes>,
    more: VecDeque<Bytes>,
}

/// Why a client's answer is broken off.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error(transparent)]
    Backend(#[from] BodyError),
    #[error(transparent)]
    Ledger(#[from] NotWritten),
}

impl Relay {
    /// Makes a relay. `passed` was read and metered before.
    #[must_use]
    pub fn new(
        source: Body,
        mut exchange: Box<Exchange>,
        length: Option<u64>,
        passed: Bytes,
    ) -> Self {
        // What has passed may name the object, and waits like any other read.
        let named = exchange.remember();
        Self {
            source,
            exchange,
            size: length.map_or(BodySize::Stream, BodySize::Sized),
            out: Pieces::of(passed),
            broke: None,
            state: named.map_or(State::Passing, |named| State::Committing(Box::pin(named))),
            coalescer: None,
        }
    }

    /// Lets the relay leave small reads to the next tick of a busy worker.
    #[must_use]
    pub fn coalesced(mut self, coalescer: StreamCoalescer) -> Self {
        self.coalescer = Some(coalescer);
        self
    }

    /// Lets the relay pass on what came, and then break off as the backend did.
    #[must_use]
    pub fn broken(mut self, error: BodyError) -> Self {
        self.broke = Some(error);
        self
    }

    /// Returns the relay as a response body. `detached` reads on if the client disconnects before
    /// the object is named.
    #[must_use]
    pub fn into_body(self, detached: Option<DetachedReader>) -> BoxBody {
        match detached {
            Some(_) => BoxBody::new(DetachOnDrop {
                relay: Some(self),
                detached,
            }),
            None => BoxBody::new(self),
        }
    }

    /// Reads on without a client until the object is remembered, or the body ends. When it is
    /// dropped, the answer is booked as it is then.
    async fn until_named(mut self) {
        while self.exchange.awaits_name() {
            match poll_fn(|cx| Pin::new(&mut self).poll_next(cx)).await {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    fn break_off(&mut self, error: BodyError) {
        let Self { exchange, out, .. } = self;
        exchange.meter().finish(&mut |bytes| out.push(bytes));
        exchange.warn(&error);
        exchange.book(Outcome::BackendBroke);
        self.state = State::breaking(error);
    }

    /// Resolves when the source may be read. Bytes that were read already do not wait for a tick,
    /// nor does the end of a stream after its last event.
    fn poll_ready(&mut self, cx: &Context<'_>) -> Poll<()> {
        match &mut self.coalescer {
            Some(coalescer) if !self.source.has_read_ahead() && !self.exchange.is_booked() => {
                coalescer.poll_ready(cx)
            }
            _ => Poll::Ready(()),
        }
    }

    /// Takes one read from the backend; `None` is the end of its body.
    fn take_in(&mut self, read: Option<Bytes>) {
        let Self { exchange, out, .. } = self;
        let ends = read.is_none() || self.source.is_complete();
        if let Some(read) = read {
            if let (Some(coalescer), Some(now)) = (&mut self.coalescer, self.source.active_at()) {
                coalescer.note_read(now, read.len());
            }
            exchange.meter().push(read, &mut |bytes| out.push(bytes));
            exchange.observe();
        }
        if ends {
            exchange.meter().finish(&mut |bytes| out.push(bytes));
        }
        // `[DONE]` is the last event for the client, although the connection may go on: the row is
        // written before it is passed on.
        if (ends || exchange.meter().reading().done) && !exchange.is_booked() {
            self.state = State::Committing(Box::pin(exchange.commit(Outcome::Completed)));
        } else if let Some(remembered) = exchange.remember() {
            self.state = State::Committing(Box::pin(remembered));
        }
    }
}

impl MessageBody for Relay {
    type Error = RelayError;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, RelayError>>> {
        let this = self.get_mut();
        loop {
            if let State::Committing(committed) = &mut this.state {
                match committed.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => this.state = State::Passing,
                    Poll::Ready(Err(error)) => {
                        this.exchange.log_cut("its row cannot be written");
                        this.exchange.mark_withheld();
                        this.out.clear();
                        this.state = State::breaking(error);
                    }
                }
            }
            if let Some(bytes) = this.out.pop() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            match &mut this.state {
                State::Passing if this.broke.is_some() => {
                    if let Some(error) = this.broke.take() {
                        this.break_off(error);
                    }
                }
                State::Passing if this.source.is_complete() && this.exchange.is_booked() => {
                    this.state = State::Ended;
                }
                State::Passing => {
                    ready!(this.poll_ready(cx));
                    match ready!(this.source.poll_read(cx)) {
                        Some(Ok(read)) => this.take_in(Some(read)),
                        Some(Err(error)) => this.break_off(error),
                        None => this.take_in(None),
                    }
                }
                State::Committing(_) => {}
                // actix discards what it has buffered when an error comes in the same poll as data.
                State::Breaking {
                    flushed: flushed @ false,
                    ..
                } => {
                    *flushed = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                State::Breaking { .. } => {
                    if let State::Breaking { error, .. } =
                        std::mem::replace(&mut this.state, State::Ended)
                    {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl DetachedReader {
    /// Makes the task that takes over. It must be called on the relay's worker, and before it is
    /// needed, because `drop` cannot wait.
    #[must_use]
    pub fn new() -> Self {
        let (detached, relay) = oneshot::channel::<Relay>();
        tokio::task::spawn_local(async {
            if let Ok(relay) = relay.await {
                let _ = tokio::time::timeout(MAX_READING_ON, relay.until_named()).await;
            }
        });
        Self(detached)
    }
}

impl MessageBody for DetachOnDrop {
    type Error = RelayError;

    fn size(&self) -> BodySize {
        self.relay.as_ref().map_or(BodySize::None, Relay::size)
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, RelayError>>> {
        match &mut self.get_mut().relay {
            Some(relay) => Pin::new(relay).poll_next(cx),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for DetachOnDrop {
    fn drop(&mut self) {
        if let (Some(relay), Some(DetachedReader(detached))) =
            (self.relay.take(), self.detached.take())
            && relay.exchange.awaits_name()
        {
            // There is nobody to take it if the worker ends.
            let _ = detached.send(relay);
        }
    }
}

impl State {
    fn breaking(error: impl Into<RelayError>) -> Self {
        Self::Breaking {
            error: error.into(),
            flushed: false,
        }
    }
}

// === impl Pieces ===

impl Pieces {
    fn of(mut bytes: Bytes) -> Self {
        let mut pieces = Self::default();
        while !bytes.is_empty() {
            let length = bytes.len().min(MAX_PIECE_BYTES);
            pieces.push(bytes.split_to(length));
        }
        pieces
    }

    fn push(&mut self, piece: Bytes) {
        // If there are more pieces, there is a first one.
        if self.first.is_none() {
            self.first = Some(piece);
        } else {
            self.more.push_back(piece);
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        std::mem::replace(&mut self.first, self.more.pop_front())
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

//! An open socket: bytes pass untouched both ways, and each answer that comes through is booked
//! before it is passed on.

use std::{
    cell::Cell,
    collections::VecDeque,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_web::{
    body::{BodySize, MessageBody},
    web,
};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf},
    task::AbortHandle,
    time::{Interval, MissedTickBehavior, interval},
};

use super::events::{Part, Responding, read_server_event};
use crate::{
    limits::Admitted,
    model::{Outcome, now_ms},
    proxy::{
        accounting::exchange::Exchange,
        backend::{Io, OpenConnection, Socket},
        error::ApiError,
        state::Shared,
    },
    store::ledger::NotWritten,
    usage::{FrameScan, SessionModels},
};

/// Interval at which an open socket is checked. A forbidden key ends it within twice this time.
const CHECK: Duration = Duration::from_millis(400);
/// A socket is at rest if nothing has come for this long from either side. An answer to what was
/// sent a moment ago may still be on its way.
const REST: Duration = Duration::from_secs(2);
const READ_BYTES: usize = 16 * 1024;

/// The backend's side of an open socket, as the body of the answer that opened it.
pub struct Tunnel {
    from_backend: ReadHalf<Io>,
    /// The task that carries what the client sends. It ends with the tunnel.
    to_backend: AbortHandle,
    /// Counts the connection as open.
    _open: OpenConnection,
    shared: Arc<Shared>,
    exchange: Box<Exchange>,
    frames: FrameScan,
    responding: Option<Responding>,
    /// The model that transcribes what the user says, as the session names it.
    transcription_model: Option<String>,
    opened_at: Instant,
    /// Time of the last bytes from either side.
    active_at: Rc<Cell<Instant>>,
    /// Bytes that came and were not sent on yet.
    out: VecDeque<Bytes>,
    /// Rows that are being written. What is in `out` waits for them.
    committing: Option<Committing>,
    check: Interval,
    /// Responses that are being made. A client may ask for several at once.
    responses: u64,
    /// A response has ended, so that the next one has to be reserved.
    needs_reservation: bool,
    /// What the next responses can use is being reserved. What is in `out` waits for that.
    reserving: Option<Reserving>,
    /// Why a limit of the user lets no other response begin.
    refused: Option<Closing>,
    has_ended: bool,
    backend_broke: bool,
}

type Committing = Pin<Box<dyn Future<Output = Result<(), NotWritten>>>>;
type Reserving = Pin<Box<dyn Future<Output = Result<Admitted, ApiError>>>>;

/// Reasons why this proxy closes a socket, with the codes of RFC 6455 section 7.4.1.
struct Closing {
    code: u16,
    /// What the client is told.
    reason: &'static str,
    /// What the log says.
    cause: &'static str,
}

const KEY_FORBIDDEN: Closing = Closing {
    code: 1008,
    reason: "This API key has been disabled by the operator of this proxy.",
    cause: "its key was forbidden",
};
const LIMIT_REACHED: Closing = Closing {
    code: 1008,
    reason: "A limit of this user is reached, or the model is not allowed. GET /v1/usage shows the limits.",
    cause: "a limit of its user",
};
const GOING_AWAY: Closing = Closing {
    code: 1001,
    reason: "This proxy is shutting down.",
    cause: "the server stops",
};

impl Closing {
    fn frame(&self) -> Bytes {
        let code = self.code.to_be_bytes();
        // A control frame has at most 125 bytes.
        let reason = self.reason.as_bytes();
        let length = u8::try_from(code.len() + reason.len()).unwrap_or(0);
        [&[0x88, length], &code[..], reason].concat().into()
    }
}

/// Reasons why a socket is cut.
#[derive(Debug, thiserror::Error)]
enum TunnelError {
    #[error("the backend broke off: {0}")]
    Backend(#[from] std::io::Error),
    #[error(transparent)]
    Ledger(#[from] NotWritten),
}

impl Tunnel {
    /// Makes a tunnel and starts to carry what the client sends.
    #[must_use]
    pub fn new(
        socket: Socket,
        payload: web::Payload,
        exchange: Box<Exchange>,
        shared: Arc<Shared>,
    ) -> Self {
        let (from_backend, to_backend) = tokio::io::split(socket.io);
        let active_at = Rc::new(Cell::new(Instant::now()));
        let carrier = carry(payload, to_backend, Rc::clone(&active_at));
        let carrier = tokio::task::spawn_local(carrier);
        let mut check = interval(CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tunnel = Self {
            from_backend,
            to_backend: carrier.abort_handle(),
            _open: socket.open,
            shared,
            exchange,
            frames: FrameScan::default(),
            responding: None,
            transcription_model: None,
            opened_at: Instant::now(),
            active_at,
            out: VecDeque::new(),
            committing: None,
            check,
            responses: 0,
            needs_reservation: false,
            reserving: None,
            refused: None,
            has_ended: false,
            backend_broke: false,
        };
        tunnel.take_in(socket.read_ahead);
        tunnel
    }

    /// Looks into one read, and lets it wait for the rows that come of it.
    fn take_in(&mut self, read: Bytes) {
        let Self {
            frames,
            responding,
            transcription_model,
            exchange,
            opened_at,
            shared,
            responses,
            needs_reservation,
            refused,
            ..
        } = self;
        let mut has_more = false;
        let mut rows: Vec<Committing> = Vec::new();
        frames.push(
            &read,
            &mut |message| match read_server_event(message, responding, *opened_at) {
                Some(Part::Begun) => {
                    *responses = responses.saturating_add(1);
                    has_more |= *responses > 1;
                }
                Some(Part::Reported(started, usage)) => {
                    *responses = responses.saturating_sub(1);
                    *needs_reservation = true;
                    rows.push(Box::pin(exchange.commit_part(started, usage)));
                }
                Some(Part::Unreported(Responding { since, text })) => {
                    *responses = responses.saturating_sub(1);
                    *needs_reservation = true;
                    rows.push(Box::pin(exchange.commit_estimated_part(since, text)));
                }
                Some(Part::Transcription(usage)) => {
                    let model = transcription_model.as_deref();
                    rows.push(Box::pin(exchange.commit_transcription(model, usage)));
                }
                Some(Part::Session(models)) => {
                    if refuses_models(shared, exchange, &models) {
                        *refused = Some(LIMIT_REACHED);
                    }
                    if let Some(model) = models.transcription {
                        *transcription_model = Some(model);
                    }
                }
                None => {}
            },
        );
        // After the end of a response, all that are being made are reserved together.
        if has_more && rows.is_empty() {
            self.reserve_next();
        }
        if !rows.is_empty() {
            self.committing = Some(Box::pin(async move {
                for row in rows {
                    row.await?;
                }
                Ok(())
            }));
        }
        if !read.is_empty() {
            self.active_at.set(Instant::now());
            self.out.push_back(read);
        }
    }

    /// Reserves what the responses that are being made can use, or the next one of the session,
    /// which the backend may begin by itself. If a limit refuses it, the socket is closed.
    fn reserve_next(&mut self) {
        let limits = &self.shared.admission.limits;
        let responses = self.responses.max(1);
        match self.exchange.give_up_reserved(limits, responses) {
            Ok(None) => {}
            Ok(Some((rules, demand))) => {
                let shared = Arc::clone(&self.shared);
                self.reserving = Some(Box::pin(async move {
                    let admission = &shared.admission;
                    let at = admission.limits.shared.moment(now_ms());
                    admission.reserve_demand(&rules, &demand, at).await
                }));
            }
            Err(error) => self.refuse(&error),
        }
    }

    fn refuse(&mut self, error: &ApiError) {
        log::debug!("{error}");
        self.refused = Some(LIMIT_REACHED);
    }

    /// Returns why the socket is to be closed now. While the server stops, a response may be
    /// finished first.
    fn closing(&self) -> Option<Closing> {
        if !self
            .shared
            .admission
            .keys
            .still_allows(self.exchange.caller())
        {
            return Some(KEY_FORBIDDEN);
        }
        let is_at_rest = || self.responding.is_none() && self.active_at.get().elapsed() >= REST;
        let may_go = self.shared.admission.drain.is_draining() && is_at_rest();
        (may_go && self.is_quiet()).then_some(GOING_AWAY)
    }

    /// Returns whether everything that came has been passed on, and ended with a complete frame.
    fn is_quiet(&self) -> bool {
        self.committing.is_none()
            && self.reserving.is_none()
            && self.out.is_empty()
            && self.frames.is_between_frames()
    }

    fn broken(&self, error: impl Into<TunnelError>) -> TunnelError {
        let error = error.into();
        self.exchange.log_cut(&error.to_string());
        error
    }

    fn poll_backend(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Bytes>> {
        let mut buffer = BytesMut::zeroed(READ_BYTES);
        let mut read = ReadBuf::new(&mut buffer);
        match Pin::new(&mut self.from_backend).poll_read(cx, &mut read) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                let length = read.filled().len();
                buffer.truncate(length);
                Poll::Ready(Ok(buffer.freeze()))
            }
        }
    }
}

impl MessageBody for Tunnel {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if !this.has_ended && this.check.poll_tick(cx).is_ready() {
            // The interval is polled again, so that its next tick wakes this task.
            let _ = this.check.poll_tick(cx);
            if let Some(closing) = this.closing() {
                this.exchange.log_cut(closing.cause);
                this.has_ended = true;
                // There is no room for a closing frame in the middle of another: the client sees
                // the socket cut.
                return Poll::Ready(this.is_quiet().then(|| Ok(closing.frame())));
            }
        }
        loop {
            if let Some(committing) = &mut this.committing {
                match committing.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => {
                        this.committing = None;
                        if std::mem::take(&mut this.needs_reservation) {
                            this.reserve_next();
                        }
                    }
                    Poll::Ready(Err(error)) => {
                        this.out.clear();
                        return Poll::Ready(Some(Err(this.broken(error).into())));
                    }
                }
            }
            if let Some(reserving) = &mut this.reserving {
                let reserved = ready!(reserving.as_mut().poll(cx));
                this.reserving = None;
                match reserved {
                    Ok(admitted) => this.exchange.set_reserved(admitted),
                    Err(error) => this.refuse(&error),
                }
            }
            if let Some(bytes) = this.out.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            if this.has_ended {
                return Poll::Ready(None);
            }
            if let Some(closing) = this.refused.take() {
                this.exchange.log_cut(closing.cause);
                this.has_ended = true;
                // The rest of a frame that has begun is lost, and the client sees the socket cut.
                return Poll::Ready(this.is_quiet().then(|| Ok(closing.frame())));
            }
            match this.poll_backend(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(read)) if read.is_empty() => this.has_ended = true,
                Poll::Ready(Ok(read)) => this.take_in(read),
                Poll::Ready(Err(error)) => {
                    this.backend_broke = true;
                    return Poll::Ready(Some(Err(this.broken(error).into())));
                }
            }
        }
    }
}

/// Books a response that was being made when the socket ended: it has used tokens too.
impl Drop for Tunnel {
    fn drop(&mut self) {
        self.to_backend.abort();
        if let Some(responding) = self.responding.take() {
            let outcome = if self.backend_broke {
                Outcome::BackendBroke
            } else {
                Outcome::ClientGone
            };
            self.exchange
                .book_part(responding.since, responding.text, outcome);
        }
    }
}

/// Returns whether a limit of the user refuses a model of the session.
fn refuses_models(shared: &Shared, exchange: &Exchange, models: &SessionModels) -> bool {
    let limits = &shared.admission.limits;
    let Some(rules) = limits.of_user(exchange.caller().id) else {
        return false;
    };
    let named = [&models.model, &models.transcription];
    let mut named = named.into_iter().flatten();
    named.any(|model| limits.check_model(&rules, model).is_err())
}

/// Passes on what the client sends, until it ends.
async fn carry(
    mut payload: web::Payload,
    mut to_backend: WriteHalf<Io>,
    active_at: Rc<Cell<Instant>>,
) {
    loop {
        let chunk = std::future::poll_fn(|cx| Pin::new(&mut payload).poll_next(cx)).await;
        let Some(Ok(chunk)) = chunk else { break };
        active_at.set(Instant::now());
        if to_backend.write_all(&chunk).await.is_err() || to_backend.flush().await.is_err() {
            break;
        }
    }
    // The backend is told that nothing more comes; what it sends then still passes.
    let _ = to_backend.shutdown().await;
}

//! awc in the place of the client of our own, to compare the two: `--features awc`. For measuring, not for service. What awc
//! would get wrong with other users' answers is repaired here or refused: an answer that breaks off in the chunked encoding,
//! one that only the close ends, a kept connection that turns out dead. What cannot be repaired from outside stays: early and
//! interim answers are lost, so are the order and spelling of header names, heads have 96 headers at most, and a plain
//! HTTP proxy is not told the whole URL. Uploads and sockets go the usual way.

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use actix_web::{
    HttpMessage,
    dev::{Payload, fn_service},
    http::{Method, Uri},
    rt::net::{ActixStream, Ready},
};
use awc::error::{ConnectError as AwcConnectError, SendRequestError};
use bytes::Bytes;
use futures_core::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    time::{Instant, timeout},
};

use super::{
    BackendError, BodyError, Connector, OutgoingRequest, Response, body,
    connect::authority,
    connection::Io,
    head::{Framing, framing},
    idle_timer::IdleTimer,
    pool::MAX_IDLE,
};

const MAX_AGE: Duration = Duration::from_secs(3600);
const MAX_HEADERS: usize = 96;

/// One worker's client.
pub(super) struct Client {
    keeping: awc::Client,
    /// For what a kept connection turned out too old for.
    fresh: awc::Client,
    /// awc names its connections by it; where they go is the connector's business.
    authority: String,
    connect_timeout: Duration,
    idle_timeout: Duration,
}

/// A body on its way, of an answer by either client.
pub enum Body {
    Own(body::Body),
    Awc(AwcBody),
}

/// A body that awc reads.
pub struct AwcBody {
    payload: Payload,
    connection: Rc<Watched>,
    framing: Framing,
    is_complete: bool,
    idle: IdleTimer,
}

/// What awc does not tell of a connection.
#[derive(Debug, Default)]
struct Watched {
    exchanges: Cell<u32>,
    /// Something was read since the last write.
    has_answered: Cell<bool>,
    has_ended: Cell<bool>,
    /// It must not be used again.
    is_spent: Cell<bool>,
}

thread_local! {
    /// The connection that was read or written last: after a poll of a request, the request's own.
    static LAST: RefCell<Option<Rc<Watched>>> = const { RefCell::new(None) };
}

impl Client {
    pub(super) fn new(connector: &Arc<Connector>) -> Self {
        let settings = connector.settings();
        let client = |max_idle| {
            let shared = Arc::clone(connector);
            let connect = fn_service(move |info: ConnectInfo<Uri>| {
                let shared = Arc::clone(&shared);
                async move {
                    let io = shared.connect_io(shared.settings().connect_timeout).await;
                    let io = WatchedIo::new(io.map_err(ConnectError::Io)?);
                    Ok::<_, ConnectError>(Connection::new(info.request().clone(), io))
                }
            });
            let connector = awc::Connector::new()
                .connector(connect)
                .timeout(settings.connect_timeout)
                .limit(0)
                .conn_keep_alive(max_idle)
                .conn_lifetime(MAX_AGE);
            awc::Client::builder()
                .connector(connector)
                .disable_timeout()
                .disable_redirects()
                .no_default_headers()
                .finish()
        };
        Self {
            keeping: client(MAX_IDLE),
            fresh: client(Duration::ZERO),
            authority: authority(&settings.url.host, settings.url.port),
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.idle_timeout,
        }
    }

    /// See [`Backend::send`](super::Backend::send).
    pub(super) async fn send(
        &self,
        request: &OutgoingRequest,
        mut on_connected: impl FnMut(),
    ) -> Result<Response, BackendError> {
        // It may not be, which awc does not tell before the end.
        on_connected();
        let was_stale = |connection: &Option<Rc<Watched>>| {
            connection.as_ref().is_some_and(|connection| {
                connection.exchanges.get() > 0 && !connection.has_answered.get()
            })
        };
        match self.send_by(&self.keeping, request).await {
            Err((_, connection)) if was_stale(&connection) => {
                let sent = self.send_by(&self.fresh, request).await;
                sent.map_err(|(error, _)| error)
            }
            sent => sent.map_err(|(error, _)| error),
        }
    }

    async fn send_by(
        &self,
        client: &awc::Client,
        request: &OutgoingRequest,
    ) -> Result<Response, (BackendError, Option<Rc<Watched>>)> {
        let request = self
            .request(client, request)
            .map_err(|error| (error, None))?;
        let mut sending = pin!(request);
        let mut connection = None;
        let watched = poll_fn(|cx| {
            LAST.take();
            let sent = sending.as_mut().poll(cx);
            connection = LAST.take().or(connection.take());
            sent
        });
        let mut response = match timeout(self.idle_timeout, watched).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err((self.failure(error), connection)),
            Err(_) => return Err((BackendError::Silent(self.idle_timeout), None)),
        };
        let nonsense = |reason| (BackendError::InvalidResponse(reason), None);
        let connection = connection.ok_or_else(|| nonsense("it came without a connection"))?;
        connection.exchanges.set(connection.exchanges.get() + 1);
        let (framing, is_clear) =
            framing(response.status(), response.headers()).map_err(nonsense)?;
        if framing == Framing::UntilClose || !is_clear || response.status().is_informational() {
            // awc takes such an answer for empty, and the connection for one that is at rest.
            connection.is_spent.set(true);
            return Err(nonsense("awc cannot read an answer without length"));
        }
        Ok(Response {
            status: response.status(),
            headers: response.headers().clone(),
            length: match framing {
                Framing::Length(length) => Some(length),
                _ => None,
            },
            body: Body::Awc(AwcBody {
                payload: response.take_payload(),
                connection,
                framing,
                is_complete: framing == Framing::Length(0),
                idle: IdleTimer::new(self.idle_timeout),
            }),
        })
    }

    /// The request as awc wants it: taken apart again.
    fn request(
        &self,
        client: &awc::Client,
        request: &OutgoingRequest,
    ) -> Result<awc::SendClientRequest, BackendError> {
        let refused = || BackendError::InvalidResponse("awc does not take the request");
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(head_bytes)) = head.parse(&request.head) else {
            return Err(refused());
        };
        let method = Method::from_bytes(head.method.unwrap_or_default().as_bytes())
            .map_err(|_| refused())?;
        let target = head.path.unwrap_or_default();
        let uri = format!("http://{}{target}", self.authority);
        let mut sent = client.request(method, uri);
        for header in head.headers {
            if !header.name.eq_ignore_ascii_case("content-length") {
                sent = sent.append_header((header.name, header.value));
            }
        }
        let mut body = request.body.clone();
        if head_bytes < request.head.len() {
            body = request.head.slice(head_bytes..).into();
        }
        Ok(if body.is_empty() {
            sent.send()
        } else {
            sent.send_body(body.joined())
        })
    }

    fn failure(&self, error: SendRequestError) -> BackendError {
        match error {
            SendRequestError::Connect(AwcConnectError::Timeout) => {
                BackendError::ConnectTimeout(self.connect_timeout)
            }
            SendRequestError::Connect(AwcConnectError::Io(error)) => {
                super::connect::failure(&error)
            }
            SendRequestError::Connect(AwcConnectError::Disconnected)
            | SendRequestError::Send(_) => BackendError::BrokeOff(error.to_string()),
            SendRequestError::Response(_) => BackendError::InvalidResponse("awc cannot read it"),
            error => BackendError::Unreachable(error.to_string()),
        }
    }
}

// === impl Body ===

impl Body {
    /// See [`body::Body::is_complete`].
    #[must_use]
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Own(body) => body.is_complete(),
            Self::Awc(body) => body.is_complete,
        }
    }

    /// See [`body::Body::has_read_ahead`].
    #[must_use]
    pub fn has_read_ahead(&self) -> bool {
        match self {
            Self::Own(body) => body.has_read_ahead(),
            // It hands out one chunk at a time, and does not tell whether it has more.
            Self::Awc(_) => true,
        }
    }

    /// See [`body::Body::active_at`].
    #[must_use]
    pub fn active_at(&self) -> Option<Instant> {
        match self {
            Self::Own(body) => body.active_at(),
            Self::Awc(body) => Some(body.idle.since),
        }
    }

    /// See [`body::Body::poll_read`].
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match self {
            Self::Own(body) => body.poll_read(cx),
            Self::Awc(body) => body.poll_read(cx),
        }
    }
}

impl AwcBody {
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.is_complete {
            return Poll::Ready(None);
        }
        let Poll::Ready(read) = Pin::new(&mut self.payload).poll_next(cx) else {
            ready!(self.idle.poll_over(cx));
            return Poll::Ready(Some(Err(BodyError::Silent(self.idle.limit))));
        };
        self.idle.touch();
        let broke_off = |reason: &str| Poll::Ready(Some(Err(BodyError::BrokeOff(reason.into()))));
        match (read, &mut self.framing) {
            (Some(Ok(bytes)), Framing::Length(left)) => {
                *left = left.saturating_sub(bytes.len() as u64);
                if *left == 0 {
                    self.is_complete = true;
                    // Only then awc keeps the connection.
                    let _ = Pin::new(&mut self.payload).poll_next(cx);
                }
                Poll::Ready(Some(Ok(bytes)))
            }
            (Some(Ok(bytes)), _) => Poll::Ready(Some(Ok(bytes))),
            (Some(Err(error)), _) => broke_off(&error.to_string()),
            (None, Framing::Chunked) if !self.connection.has_ended.get() => {
                self.is_complete = true;
                Poll::Ready(None)
            }
            (None, _) => broke_off("it closed the connection"),
        }
    }
}

// === impl WatchedIo ===

/// A connection that notes what awc does not tell.
struct WatchedIo {
    io: Io,
    watched: Rc<Watched>,
}

impl WatchedIo {
    fn new(io: Io) -> Self {
        Self {
            io,
            watched: Rc::default(),
        }
    }

    fn note(&self) {
        LAST.set(Some(Rc::clone(&self.watched)));
    }

    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match &self.io {
            Io::Plain(tcp) => tcp.ready(interest).await,
            Io::Tls(tls) => tls.get_ref().0.ready(interest).await,
        }
    }
}

impl fmt::Debug for WatchedIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.watched.fmt(f)
    }
}

impl AsyncRead for WatchedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.note();
        if self.watched.is_spent.get() {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.watched.has_answered.set(true);
        } else {
            self.watched.has_ended.set(true);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WatchedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.note();
        self.watched.has_answered.set(false);
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl ActixStream for WatchedIo {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        pin!(self.ready(Interest::READABLE)).poll(cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        pin!(self.ready(Interest::WRITABLE)).poll(cx)
    }
}

//! The client that talks to the backend: HTTP/1.1 over TCP or TLS, directly or through an HTTP
//! proxy, connections kept per worker. Written for this proxy because every rule on the wire
//! matters here: a truncated answer is never a clean end, an answer without length is read to the
//! close and its connection never used again, an early answer is read while the request is still
//! being written, and a kept connection that turns out dead costs the client nothing unless the
//! backend may have begun to work on its request.

mod addresses;
pub(crate) mod body;
mod connect;
mod connection;
pub(crate) mod head;
mod http_proxy;
mod idle_timer;
mod open;
mod pool;
mod url;

use std::{
    path::Path,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::http::{StatusCode, header::HeaderMap};
use bytes::Bytes;

pub use body::{Body, BodyError};
pub use connect::{Connector, TlsError, tls_config};
pub use connection::Io;
pub use http_proxy::HttpProxy;
pub use open::OpenConnection;
pub use url::{BACKEND_URL, BASE_URL, BackendUrl, UrlError, below_v1};

use connection::Connection;
use head::{Head, RequestKind};
use pool::Pool;

use super::body::BodyParts;

/// What is needed to reach the backend; shared by all workers.
#[derive(Debug, Clone)]
pub struct BackendSettings {
    pub url: BackendUrl,
    pub http_proxy: Option<HttpProxy>,
    pub connect_timeout: Duration,
    /// Longest silence between two bytes of an answer, the first byte included.
    pub idle_timeout: Duration,
}

/// The client of one worker.
pub struct Backend {
    connector: Arc<Connector>,
    pool: Rc<Pool>,
}

/// A body up to this length is copied behind its head, because one piece costs the kernel less than
/// two.
const MAX_JOINED_BODY_BYTES: usize = 4 * 1024;

/// A request as it goes out. Its head is complete; a long body comes in parts that are not copied.
pub struct OutgoingRequest {
    head: Bytes,
    body: BodyParts,
}

impl OutgoingRequest {
    #[must_use]
    pub fn new(mut head: Vec<u8>, body: BodyParts) -> Self {
        if body.len() > MAX_JOINED_BODY_BYTES {
            let head = head.into();
            return Self { head, body };
        }
        for part in body.slices() {
            head.extend_from_slice(part);
        }
        Self::of_head(head)
    }

    /// Makes a request without a body, or one whose body follows.
    #[must_use]
    pub fn of_head(head: impl Into<Bytes>) -> Self {
        Self {
            head: head.into(),
            body: BodyParts::default(),
        }
    }

    fn kind(&self) -> RequestKind {
        if self.head.starts_with(b"HEAD ") {
            RequestKind::Head
        } else {
            RequestKind::Request
        }
    }

    /// Returns whether a repetition changes nothing (RFC 9110 section 9.2.1).
    fn is_safe(&self) -> bool {
        self.head.starts_with(b"GET ") || self.kind() == RequestKind::Head
    }
}

/// A request's body that goes out while it comes in.
pub trait Upload {
    /// Returns the next bytes, framed as the head announces, `None` at the end.
    ///
    /// # Errors
    /// [`UploadBroke`] if the client breaks off. The upload knows why.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadBroke>>>;
}

/// The client did not send its body to the end.
#[derive(Debug, Clone, Copy)]
pub struct UploadBroke;

/// The backend's answer: its head, and its body as it comes.
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The length that the backend announced. For an answer to HEAD it is that of the body that is
    /// not sent.
    pub length: Option<u64>,
    pub body: Body,
}

/// The backend's answer to a request for a WebSocket.
pub enum Opened {
    Socket(Socket),
    Refused(Response),
}

/// An open WebSocket.
pub struct Socket {
    /// The headers of the answer that opened the socket.
    pub headers: HeaderMap,
    /// Bytes that came with the answer's head.
    pub read_ahead: Bytes,
    pub io: Io,
    /// Counts the connection as open.
    pub open: OpenConnection,
}

/// Reasons why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    #[error("cannot connect to the backend: {0}")]
    Unreachable(String),
    #[error("no file descriptor is left for a connection to the backend: raise `ulimit -n`")]
    OutOfFiles,
    #[error("connecting to the backend took longer than {0:?}")]
    ConnectTimeout(Duration),
    #[error("the backend broke off before its answer: {0}")]
    BrokeOff(String),
    #[error("the backend was silent for {0:?}")]
    Silent(Duration),
    #[error("the backend sent an invalid response: {0}")]
    InvalidResponse(&'static str),
    #[error("the client broke off its upload")]
    Upload,
}

/// Loads the certificates and prepares connecting. Done once per process.
///
/// # Errors
/// [`TlsError`] if the file of extra root certificates cannot be used.
pub fn connector(
    settings: BackendSettings,
    extra_roots: Option<&Path>,
) -> Result<Arc<Connector>, TlsError> {
    Connector::new(settings, extra_roots).map(Arc::new)
}

impl Backend {
    #[must_use]
    pub fn new(connector: Arc<Connector>) -> Self {
        Self {
            connector,
            pool: Pool::new(),
        }
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// A kept connection that ends within a round trip of the request (100 ms; 1 s for GET and
    /// HEAD), before the first byte of an answer, had been closed by the backend while it was idle:
    /// the request is sent once more, on a new connection. If it ends later, the backend may have
    /// worked on the request, which is then not sent again (RFC 9110 section 9.2.2).
    ///
    /// `on_connected` is called when there is a connection and the request is about to be written.
    ///
    /// # Errors
    /// [`BackendError`] if there is no answer.
    pub async fn send(
        &self,
        request: &OutgoingRequest,
        mut on_connected: impl FnMut(),
    ) -> Result<Response, BackendError> {
        if let Some(connection) = self.pool.take() {
            on_connected();
            match self.round_trip(connection, request, None).await {
                Err(failure) if failure.was_stale => {
                    log::debug!("a kept connection was closed by the backend, trying a fresh one");
                }
                other => return other.map_err(|failure| failure.error),
            }
        }
        // Boxed, because connections are kept and most requests find one.
        let sent = Box::pin(async {
            let connection = self.connector.connect().await?;
            on_connected();
            let sent = self.round_trip(connection, request, None).await;
            sent.map_err(|failure| failure.error)
        });
        sent.await
    }

    /// Sends a request whose body comes in meanwhile, and waits for the head of the answer. What
    /// has gone out cannot be sent again, so that a new connection is used.
    ///
    /// # Errors
    /// [`BackendError`] if there is no answer.
    pub async fn send_upload(
        &self,
        request: &OutgoingRequest,
        upload: &mut dyn Upload,
    ) -> Result<Response, BackendError> {
        let connection = self.connector.connect().await?;
        self.round_trip(connection, request, Some(upload))
            .await
            .map_err(|failure| failure.error)
    }

    /// Asks for a WebSocket.
    ///
    /// # Errors
    /// [`BackendError`] if there is no answer.
    pub async fn open_socket(&self, request: &OutgoingRequest) -> Result<Opened, BackendError> {
        let mut connection = self.connector.connect().await?;
        connection.asks_upgrade();
        let head = connection.round_trip(request, None).await;
        let head = head.map_err(|failure| failure.error)?;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let (read_ahead, io, open) = connection.into_tunnel();
            return Ok(Opened::Socket(Socket {
                headers: head.headers,
                read_ahead,
                io,
                open,
            }));
        }
        Ok(Opened::Refused(self.response(connection, head)))
    }

    async fn round_trip(
        &self,
        mut connection: Connection,
        request: &OutgoingRequest,
        upload: Option<&mut dyn Upload>,
    ) -> Result<Response, connection::Failure> {
        let head = connection.round_trip(request, upload).await?;
        Ok(self.response(connection, head))
    }

    fn response(&self, connection: Connection, head: Head) -> Response {
        let body = Body::new(connection, &head, &self.pool);
        Response {
            length: head.announced_length,
            status: head.status,
            headers: head.headers,
            body,
        }
    }
}

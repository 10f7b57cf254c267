//! The client that talks to the backend: HTTP/1.1 over TCP or TLS, directly or through an HTTP proxy, connections kept
//! per worker. Written for this proxy because every rule on the wire matters here: a truncated answer is never a clean
//! end, an answer without length is read to the close and its connection never used again, an early answer is read while
//! the request is still being written, and a kept connection that turns out dead costs the client nothing.

mod body;
mod connect;
mod connection;
mod head;
mod http_proxy;
mod pool;
mod url;

use std::{path::Path, rc::Rc, sync::Arc, time::Duration};

use actix_web::http::{StatusCode, header::HeaderMap};
use bytes::Bytes;

pub use body::{Body, BodyError};
pub use connect::{Connector, TlsError};
pub use http_proxy::HttpProxy;
pub use url::{BackendUrl, UrlError};

use connection::Connection;
use pool::Pool;

/// How to reach the backend; shared by all workers.
#[derive(Debug, Clone)]
pub struct BackendSettings {
    pub url: BackendUrl,
    pub http_proxy: Option<HttpProxy>,
    pub connect_timeout: Duration,
    /// Longest silence between two bytes of an answer, the first byte included.
    pub idle_timeout: Duration,
}

/// One worker's client.
pub struct Backend {
    connector: Arc<Connector>,
    pool: Rc<Pool>,
}

/// A request as it goes out: the head is complete, the body comes in pieces that are not copied.
pub struct OutgoingRequest {
    pub head: Vec<u8>,
    pub body: [Bytes; 3],
}

/// The backend's answer: its head, and its body as it comes.
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Announced length of the body, where the backend announced one.
    pub length: Option<u64>,
    pub body: Body,
}

/// Why there is no answer.
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
    #[error("the backend answered nonsense: {0}")]
    Nonsense(&'static str),
}

/// Loads the certificates and prepares connecting; once per process.
///
/// # Errors
/// When the file of extra root certificates cannot be used.
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
    /// A kept connection that closes before the first byte of an answer had been closed by the backend while it was idle:
    /// the request is sent once more, on a fresh connection (RFC 9112 section 9.3.1 names this case).
    ///
    /// `on_connected` is called when there is a connection and the request is about to be written.
    ///
    /// # Errors
    /// [`BackendError`] when there is no answer.
    pub async fn send(
        &self,
        request: &OutgoingRequest,
        mut on_connected: impl FnMut(),
    ) -> Result<Response, BackendError> {
        if let Some(connection) = self.pool.take() {
            on_connected();
            match self.exchange(connection, request).await {
                Err(failure) if failure.was_stale => {
                    log::debug!("a kept connection was closed by the backend, trying a fresh one");
                }
                other => return other.map_err(|failure| failure.error),
            }
        }
        let connection = self.connector.connect().await?;
        on_connected();
        self.exchange(connection, request)
            .await
            .map_err(|failure| failure.error)
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        request: &OutgoingRequest,
    ) -> Result<Response, connection::Failure> {
        let head = connection.exchange(request).await?;
        let length = head.announced_length();
        let body = Body::new(connection, &head, &self.pool);
        Ok(Response {
            status: head.status,
            headers: head.headers,
            length,
            body,
        })
    }
}

//! Makes connections: name, TCP, the tunnel of an HTTP proxy, TLS.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::{CertificateError, ClientConfig, InvalidMessage, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{
    BackendError, BackendSettings, HttpProxy,
    addresses::{LastGood, connect_to_first, in_order},
    connection::{Connection, Io},
    open::OpenConnection,
};

/// Silence after which a connection is probed, and interval of the probes. A NAT on the way forgets
/// longer silent connections, often after a minute, and a machine that is gone is noticed although
/// nothing is sent to it.
const PROBE_AFTER: Duration = Duration::from_secs(30);
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// Longest answer of an HTTP proxy to CONNECT.
const MAX_TUNNEL_HEAD_BYTES: usize = 16 * 1024;

/// Makes connections to the one backend; shared by all workers.
pub struct Connector {
    settings: BackendSettings,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    last_good: LastGood,
    open: Arc<AtomicUsize>,
}

/// Reasons why TLS to the backend cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("SSL_CERT_FILE: cannot read certificates from \"{path}\": {reason}")]
    Roots { path: PathBuf, reason: String },
    #[error("{0}: its host is no valid name for a certificate")]
    ServerName(&'static str),
    #[error("cannot set up TLS")]
    Setup(#[from] rustls::Error),
}

impl Connector {
    pub(super) fn new(
        settings: BackendSettings,
        extra_roots: Option<&Path>,
    ) -> Result<Self, TlsError> {
        let tls = if settings.url.tls {
            let name = ServerName::try_from(settings.url.host.clone())
                .map_err(|_| TlsError::ServerName(settings.url.variable))?;
            Some((TlsConnector::from(tls_config(extra_roots)?), name))
        } else {
            None
        };
        Ok(Self {
            settings,
            tls,
            last_good: LastGood::default(),
            open: Arc::default(),
        })
    }

    /// Returns the HTTP proxy for plain HTTP. A request through it names the complete URL (RFC 9112
    /// section 3.2.2) and carries the proxy's credentials.
    #[must_use]
    pub fn plain_proxy(&self) -> Option<&HttpProxy> {
        self.settings
            .http_proxy
            .as_ref()
            .filter(|_| !self.settings.url.tls)
    }

    /// Returns how many connections are open, idle ones and WebSockets included.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Returns a new connection, ready for a request.
    pub(super) async fn connect(&self) -> Result<Connection, BackendError> {
        let limit = self.settings.connect_timeout;
        match tokio::time::timeout(limit, self.connect_io(limit)).await {
            Ok(Ok(io)) => {
                let open = OpenConnection::new(&self.open);
                Ok(Connection::new(io, open, self.settings.idle_timeout))
            }
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(BackendError::ConnectTimeout(limit)),
        }
    }

    /// Connects, opens the tunnel and sets up TLS. The name is looked up for each connection, by
    /// the operating system's resolver on the blocking pool.
    pub(super) async fn connect_io(&self, limit: Duration) -> io::Result<Io> {
        let url = &self.settings.url;
        let (host, port) = match &self.settings.http_proxy {
            None => (url.host.as_str(), url.port),
            Some(proxy) => (proxy.host.as_str(), proxy.port),
        };
        let resolved = tokio::net::lookup_host((host, port)).await?;
        let addresses = in_order(resolved, self.last_good.get());
        let (address, mut tcp) = connect_to_first(addresses, limit, dial).await?;
        let io = match &self.tls {
            None => Io::Plain(tcp),
            Some((connector, name)) => {
                if let Some(proxy) = &self.settings.http_proxy {
                    open_tunnel(&mut tcp, proxy, &url.host, url.port).await?;
                }
                Io::Tls(Box::new(connector.connect(name.clone(), tcp).await?))
            }
        };
        self.last_good.set(address);
        Ok(io)
    }
}

/// Returns the reason why there is no connection.
pub(super) fn failure(error: &io::Error) -> BackendError {
    if is_out_of_files(error) {
        BackendError::OutOfFiles
    } else {
        BackendError::Unreachable(advice_for(error))
    }
}

/// Returns a text that says what to do about the usual mistakes in setting up TLS, whose errors are
/// written for programmers.
fn advice_for(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    match tls {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "its certificate is signed by an authority that is not known here; SSL_CERT_FILE can name the authority's certificate"
                .to_owned()
        }
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
            if format!("{other:?}").contains("CaUsedAsEndEntity") =>
        {
            "its certificate is an authority's and no server's; it needs one with basicConstraints CA:FALSE".to_owned()
        }
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "it does not speak TLS there; its URL may have to begin with http://".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Returns whether the process or the machine has no file descriptor left (EMFILE, ENFILE).
fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// Dials the backend or an HTTP proxy, and sets the options of the connection.
async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // An event or a small request must not wait for the acknowledgement of the one before it.
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(PROBE_AFTER)
        .with_interval(PROBE_EVERY);
    // A system that cannot probe can still connect.
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    Ok(stream)
}

/// Returns a host, which may be an IPv6 address, and a port (RFC 3986 section 3.2).
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Opens a tunnel with CONNECT (RFC 9110 section 9.3.6).
async fn open_tunnel(
    tcp: &mut TcpStream,
    proxy: &HttpProxy,
    host: &str,
    port: u16,
) -> io::Result<()> {
    let authority = authority(host, port);
    let authorization = proxy
        .authorization
        .as_ref()
        .map_or_else(String::new, |value| {
            format!("Proxy-Authorization: {value}\r\n")
        });
    let request =
        format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\r\n");
    tcp.write_all(request.as_bytes()).await?;

    let mut head = Vec::with_capacity(256);
    // The head is read byte by byte, because what follows it belongs to TLS.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_TUNNEL_HEAD_BYTES {
            return Err(io::Error::other(
                "the HTTP proxy's answer to CONNECT is too long",
            ));
        }
        head.push(tcp.read_u8().await?);
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(&head) {
        Ok(httparse::Status::Complete(_)) if matches!(response.code, Some(200..=299)) => Ok(()),
        Ok(_) => Err(io::Error::other(format!(
            "the HTTP proxy {}:{} answered CONNECT with status {}",
            proxy.host,
            proxy.port,
            response.code.unwrap_or(0)
        ))),
        Err(_) => Err(io::Error::other(
            "the HTTP proxy sent an invalid response to CONNECT",
        )),
    }
}

/// Makes the TLS settings with Mozilla's roots, which are embedded, and those of `SSL_CERT_FILE`.
pub fn tls_config(extra_roots: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(path) = extra_roots {
        let failed = |reason: String| TlsError::Roots {
            path: path.to_owned(),
            reason,
        };
        let certificates =
            CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
        let mut added = 0;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| failed(error.to_string()))?;
            added += usize::from(roots.add(certificate).is_ok());
        }
        if added == 0 {
            return Err(failed("there is no usable certificate in it".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_probed_after_30_s_and_every_10_s_then() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_io().build().unwrap().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let stream = dial(address).await.unwrap();
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().unwrap() && stream.nodelay().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), PROBE_AFTER);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), PROBE_EVERY);
        });
    }
}

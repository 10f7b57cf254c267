//! Sockets, and actix's HTTP/1.1 on them, with TLS or without. Its `HttpServer` would bring HTTP/2, which
//! nobody asks for here, and is compiled anew for each kind of application.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use actix_http::HttpService;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, map_config};
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{
    App, Error,
    dev::{AppConfig, Server, ServiceResponse},
    rt::net::TcpStream,
    web::ServiceConfig,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::tls::ServerCertificate;

/// Time after which an idle client connection is closed. It is longer than the pools of the common
/// SDKs keep theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Time that the bytes of the last answers have to leave for slow clients.
const FLUSH_GRACE_SECONDS: u64 = 5;
/// Time for a client to take note that its connection ends.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Silence of a client after which TCP keep-alive probes its machine.
const CLIENT_PROBE_AFTER: Duration = Duration::from_secs(60);
/// Interval of the probes.
const CLIENT_PROBE_EVERY: Duration = Duration::from_secs(15);
/// Time without an acknowledgement after which the kernel drops a client (tcp(7),
/// `TCP_USER_TIMEOUT`).
#[cfg(target_os = "linux")]
const CLIENT_UNREAD_TIMEOUT: Duration = Duration::from_secs(600);

/// TLS handshakes that a worker may have at once.
const MAX_HANDSHAKES: usize = 10_000;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Adds data, routes and the default service to the application of a worker.
pub type AddRoutes = Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>;

/// How a port behaves.
pub struct PortSettings {
    /// Time limit for a client to send the head of a request.
    pub header_timeout: Duration,
    /// `None` is one for each core.
    pub workers: Option<usize>,
    /// The certificate that the port speaks TLS with, if it does.
    pub tls: Option<Arc<ServerCertificate>>,
}

/// Prepares the workers of a server, which serves when it is awaited.
///
/// # Errors
/// [`io::Error`] if a socket cannot be used.
pub fn serve(
    listeners: Vec<TcpListener>,
    settings: &PortSettings,
    add: &AddRoutes,
) -> io::Result<Server> {
    // Half-open handshakes of strangers must not keep others waiting; each ends after 3 s.
    actix_tls::accept::max_concurrent_tls_connect(MAX_HANDSHAKES);
    let mut server = Server::build()
        .shutdown_timeout(FLUSH_GRACE_SECONDS)
        .disable_signals();
    if let Some(workers) = settings.workers {
        server = server.workers(workers);
    }
    let header_timeout = settings.header_timeout;
    let shutdown = server.graceful_shutdown_signal();
    for listener in listeners {
        let (add, shutdown) = (Arc::clone(add), shutdown.clone());
        server = match &settings.tls {
            None => server.listen("http", listener, move || {
                let shutdown = shutdown.clone();
                HttpService::build()
                    .graceful_shutdown_signal(move || {
                        let signal = shutdown.clone();
                        async move { signal.notified().await }
                    })
                    .keep_alive(KEEP_ALIVE)
                    .client_request_timeout(header_timeout)
                    .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                    // Otherwise a client that hangs up while no byte flows is never noticed, and its
                    // request goes on costing tokens.
                    .h1_allow_half_closed(false)
                    .tcp_nodelay(true)
                    .on_connect_ext(|stream: &TcpStream, _| watch_client(stream))
                    .h1(service(&add))
                    .tcp()
            })?,
            Some(tls) => {
                let tls = Arc::clone(tls);
                server.listen("https", listener, move || {
                    let shutdown = shutdown.clone();
                    HttpService::build()
                        .graceful_shutdown_signal(move || {
                            let signal = shutdown.clone();
                            async move { signal.notified().await }
                        })
                        .keep_alive(KEEP_ALIVE)
                        .client_request_timeout(header_timeout)
                        // No limit here for the last bytes, which TLS still holds: a slow client gets them.
                        .h1_allow_half_closed(false)
                        .tcp_nodelay(true)
                        .on_connect_ext(|io: &TlsStream<TcpStream>, _| watch_client(io.get_ref().0))
                        .h1(service(&add))
                        .rustls_0_23(tls.config())
                })?
            }
        };
    }
    Ok(server.run())
}

/// Makes the application of a worker.
fn service(
    add: &AddRoutes,
) -> impl ServiceFactory<
    actix_http::Request,
    Config = (),
    Response = ServiceResponse,
    Error = actix_web::HttpResponse,
    InitError = (),
> + use<> {
    let app = App::new().configure(|config| add(config));
    let app = app
        .into_factory()
        .map_err(|error: Error| error.error_response());
    map_config(app, |()| AppConfig::default())
}

/// Makes the kernel notice a client that vanished or stopped reading, so that it does not keep its
/// place at the backend.
fn watch_client(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(CLIENT_PROBE_AFTER)
        .with_interval(CLIENT_PROBE_EVERY);
    // A system without these options still serves.
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(CLIENT_UNREAD_TIMEOUT));
}

/// Binds each address of a host, as actix does.
pub(super) fn bind(host: &str, port: u16) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut failed = None;
    for address in (host, port).to_socket_addrs()? {
        match bind_one(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

//! The port: it listens, hands each request to the proxy or to the server's own routes, and stops without
//! losing an answer. actix's part of the way of a request is compiled here, for speed.

mod port;
mod systemd;
mod tls;
mod validity;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{
    Route,
    dev::ServerHandle,
    guard,
    web::{self, ServiceConfig},
};
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use port::{AddRoutes, PortSettings, serve};
pub use systemd::{Notifier, Watchdog};
pub use tls::{CertificateError, ServerCertificate};

use crate::proxy::{
    self,
    admission::gate::Drain,
    backend::Connector,
    objects::reconciler,
    state::{Shared, Worker},
};

/// Time that the workers have to drop the answers that were broken off.
const BREAK_OFF_GRACE: Duration = Duration::from_secs(2);

/// Time after a signal in which another one is the same wish.
const SAME_SIGNAL_MS: u64 = 200;

/// Everything that the port needs.
pub struct ListenerParts {
    pub shared: Arc<Shared>,
    pub connector: Arc<Connector>,
    /// `None` if nobody watches this process.
    pub watchdog: Option<Arc<Watchdog>>,
    /// Time limit for a client to send the head of a request.
    pub client_header_timeout: Duration,
    /// The certificate that the port speaks TLS with, if it does.
    pub tls: Option<Arc<ServerCertificate>>,
    pub own: OwnRoutes,
}

/// What the server answers itself, and not the backend.
#[derive(Clone)]
pub struct OwnRoutes {
    /// Returns whether a path may be one of them. All others pass over them at once.
    pub may_be: fn(&str) -> bool,
    /// Adds them to the application of a worker.
    pub add: AddRoutes,
}

/// A server that listens.
pub struct Listening {
    server: actix_web::dev::Server,
    pub addresses: Vec<SocketAddr>,
    /// `http` or `https`.
    pub scheme: &'static str,
}

/// Binds the sockets and prepares the workers. Nothing is served before [`Listening::run`] is
/// awaited.
///
/// # Errors
/// [`io::Error`] if the address cannot be bound.
pub fn listen(host: &str, port: u16, parts: ListenerParts) -> io::Result<Listening> {
    let scheme = if parts.tls.is_some() { "https" } else { "http" };
    let settings = PortSettings {
        header_timeout: parts.client_header_timeout,
        workers: None,
        tls: parts.tls.clone(),
    };
    let listeners = port::bind(host, port)?;
    let addresses = listeners.iter().map(TcpListener::local_addr);
    let addresses = addresses.collect::<io::Result<_>>()?;
    let add: AddRoutes = Arc::new(move |config| add_routes(config, &parts));
    Ok(Listening {
        server: serve(listeners, &settings, &add)?,
        addresses,
        scheme,
    })
}

/// Makes a worker, and adds the routes of its application.
fn add_routes(config: &mut ServiceConfig, parts: &ListenerParts) {
    let worker = Worker::new(Arc::clone(&parts.shared), Arc::clone(&parts.connector));
    let worker = web::Data::new(worker);
    reconciler::start(&worker);
    if let Some(watchdog) = &parts.watchdog {
        watchdog.watch_worker();
    }
    let OwnRoutes { may_be, add } = parts.own.clone();
    // Each service costs a request for another some 200 instructions to compare its path, so that
    // requests for the proxy pass over all of them at once.
    let own = web::scope("")
        .guard(guard::fn_guard(move |request| {
            may_be(request.head().uri.path())
        }))
        .configure(|config| add(config));
    config
        .app_data(worker)
        .service(own)
        .default_service(to_proxy());
}

/// Returns the route that hands requests to the proxy.
#[must_use]
pub fn to_proxy() -> Route {
    web::to(proxy::handle)
}

impl Listening {
    /// Returns what stops the server without a signal.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until a signal comes, then gives answers the time `grace` to finish. A second signal
    /// breaks them off, and a third ends all waiting.
    ///
    /// # Errors
    /// [`io::Error`] if signals cannot be received or the server fails.
    pub async fn run(
        self,
        drain: Arc<Drain>,
        grace: Duration,
        notifier: &Notifier,
    ) -> io::Result<()> {
        let mut signals = Signals::new()?;
        let handle = self.server.handle();
        let mut serving = std::pin::pin!(self.server);
        tokio::select! {
            result = &mut serving => return result,
            name = signals.next() => log::info!("stopping: signal={name} answers={} grace={grace:?}", drain.in_flight()),
        }
        notifier.stopping();
        let began = Instant::now();
        let graceful = tokio::select! {
            result = &mut serving => return result,
            graceful = drained(&drain, grace, &mut signals) => graceful,
        };
        let result = tokio::select! {
            result = close(serving, &handle, graceful, &drain) => result,
            name = signals.again() => {
                log::warn!("closing connections without booking their answers: signal={name} answers={}", drain.in_flight());
                Ok(())
            }
        };
        log::info!("stopped: duration={:.1?}", began.elapsed());
        result
    }
}

/// Refuses new requests and waits for those in flight. Returns whether all of them finished.
async fn drained(drain: &Drain, grace: Duration, signals: &mut Signals) -> bool {
    drain.start();
    tokio::select! {
        () = drain.empty() => true,
        () = tokio::time::sleep(grace) => {
            log::warn!("breaking off answers that did not finish: answers={} grace={grace:?}", drain.in_flight());
            false
        }
        name = signals.again() => {
            log::warn!("breaking off answers: signal={name} answers={}", drain.in_flight());
            false
        }
    }
}

/// Closes the server's connections.
async fn close(
    serving: impl Future<Output = io::Result<()>>,
    handle: &ServerHandle,
    graceful: bool,
    drain: &Drain,
) -> io::Result<()> {
    let (result, ()) = tokio::join!(serving, handle.stop(graceful));
    // The workers drop and book the broken answers on their own threads.
    let _ = tokio::time::timeout(BREAK_OFF_GRACE, drain.empty()).await;
    result
}

/// Runs `work` on its own thread and waits for it. If a signal comes first, its name is the inner
/// error.
///
/// # Errors
/// [`io::Error`] if the thread panicked.
pub fn until_signalled<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Result<T, &'static str>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    // If signals cannot be received, the work is done without interruption.
    let Ok(runtime) = runtime else {
        return Ok(Ok(work()));
    };
    let _inside = runtime.enter();
    let Ok(mut signals) = Signals::new() else {
        return Ok(Ok(work()));
    };
    let (done, is_done) = tokio::sync::oneshot::channel();
    // A thread that cannot be started drops its closure, so the work is kept outside of it.
    let work = Arc::new(Mutex::new(Some(work)));
    let taken = {
        let work = Arc::clone(&work);
        move || work.lock().ok().and_then(|mut work| work.take())
    };
    let on_thread = taken.clone();
    let thread = std::thread::Builder::new().spawn(move || {
        if let Some(work) = on_thread() {
            let _ = done.send(work());
        }
    });
    if thread.is_err()
        && let Some(work) = taken()
    {
        return Ok(Ok(work()));
    }
    runtime.block_on(async {
        tokio::select! {
            answer = is_done => answer.map(Ok).map_err(io::Error::other),
            name = signals.again() => Ok(Err(name)),
        }
    })
}

/// Whether a signal came so shortly after the last one that it is the same wish: a terminal, a shell
/// and a service manager each send one.
fn is_repetition() -> bool {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    /// Milliseconds from the first signal to the last one that counted.
    static LAST_MS: AtomicU64 = AtomicU64::new(u64::MAX);
    let since_first = FIRST.get_or_init(Instant::now).elapsed();
    let now_ms = u64::try_from(since_first.as_millis()).unwrap_or(u64::MAX);
    let last_ms = LAST_MS.load(Ordering::Relaxed);
    if last_ms != u64::MAX && now_ms - last_ms < SAME_SIGNAL_MS {
        return true;
    }
    LAST_MS.store(now_ms, Ordering::Relaxed);
    false
}

/// The signals that end the server.
#[cfg(unix)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Comes when the terminal or the ssh session ends. `None` if the process was started to ignore
    /// it.
    hangup: Option<Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        let hangup = (!ignores_hangup()).then(|| signal(SignalKind::hangup()));
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: hangup.transpose()?,
        })
    }

    async fn next(&mut self) -> &'static str {
        let Self {
            terminate,
            interrupt,
            hangup,
        } = self;
        let hangup = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            _ = hangup => "SIGHUP",
        };
        is_repetition();
        name
    }

    /// Waits for a further signal from an operator who does not want to wait. A hangup does not
    /// count, because a closing terminal causes two: one from the kernel and one from the shell.
    async fn again(&mut self) -> &'static str {
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            };
            if !is_repetition() {
                return name;
            }
        }
    }
}

/// Whether the process was started by nohup(1) or a similar program. Linux reports it
/// (proc_pid_status(5), `SigIgn`); elsewhere it cannot be read without `unsafe`.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP is 1, the lowest bit.
    ignored.is_some_and(|mask| mask & 1 == 1)
}

/// Other systems have only Ctrl-C.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[allow(clippy::unnecessary_wraps)]
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        let _ = tokio::signal::ctrl_c().await;
        is_repetition();
        "Ctrl-C"
    }

    async fn again(&mut self) -> &'static str {
        loop {
            let _ = tokio::signal::ctrl_c().await;
            if !is_repetition() {
                return "Ctrl-C";
            }
        }
    }
}

//! What systemd is told: that the server is ready, that it stops, and that it lives (sd_notify(3)). A
//! message is one datagram of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names. Without
//! the variable nothing is sent.

#[cfg(unix)]
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::{
    ffi::OsStr,
    io,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval};

use crate::store::ledger::Ledger;

/// The least time that a watchdog is taken to wait, so that its timers are no busy loops.
const MIN_TIMEOUT: Duration = Duration::from_millis(10);

/// Sends messages to systemd, if it has started this process and waits for them.
#[derive(Default)]
pub struct Notifier {
    #[cfg(unix)]
    socket: Option<(UnixDatagram, SocketAddr)>,
}

impl Notifier {
    /// Opens the socket that the environment names.
    #[must_use]
    pub fn from_env() -> Self {
        match std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) {
            Some(name) => Self::of_socket(&name).unwrap_or_else(|error| {
                let name = name.to_string_lossy();
                log::warn!("systemd: cannot use the socket: NOTIFY_SOCKET={name:?}: {error}");
                Self::default()
            }),
            None => Self::default(),
        }
    }

    #[cfg(unix)]
    fn of_socket(name: &OsStr) -> io::Result<Self> {
        let address = address_of(name)?;
        let socket = UnixDatagram::unbound()?;
        // A receiver that is stuck must not hold up the server.
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: Some((socket, address)),
        })
    }

    #[cfg(not(unix))]
    fn of_socket(_: &OsStr) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Says that requests are served.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// Says that the server stops.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=Waiting for the answers in flight");
    }

    #[cfg(unix)]
    fn send(&self, message: &str) {
        let Some((socket, address)) = &self.socket else {
            return;
        };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            log::warn!("systemd: cannot send {message:?}: {error}");
        }
    }

    #[cfg(not(unix))]
    fn send(&self, _: &str) {}
}

/// Returns the address of a socket: a path, or an abstract name that begins with `@`.
#[cfg(unix)]
fn address_of(name: &OsStr) -> io::Result<SocketAddr> {
    use std::os::unix::ffi::OsStrExt;
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name),
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(name)
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Tells systemd that the server lives, as long as all of its threads do.
///
/// A restart helps if a worker is stuck or the ledger's thread has died. It does not help against a
/// disk that is full or a database that is locked, and would break off answers: these stop nothing.
pub struct Watchdog {
    /// Time after which systemd restarts a server that says nothing.
    timeout: Duration,
    start: Instant,
    pulses: Mutex<Vec<Weak<Pulse>>>,
}

/// When a worker last had its turn: milliseconds since the watchdog's start.
struct Pulse(AtomicU64);

impl Watchdog {
    /// Returns the watchdog that systemd waits for, if it does.
    #[must_use]
    pub fn from_env() -> Option<Arc<Self>> {
        let variable = |name: &str| std::env::var(name).ok();
        let is_ours = match variable("WATCHDOG_PID") {
            Some(pid) => pid == std::process::id().to_string(),
            None => true,
        };
        let micros: u64 = variable("WATCHDOG_USEC")?.parse().ok()?;
        let timeout = Duration::from_micros(micros).max(MIN_TIMEOUT);
        (is_ours && micros > 0).then(|| Arc::new(Self::new(timeout)))
    }

    fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            start: Instant::now(),
            pulses: Mutex::default(),
        }
    }

    /// Watches the worker on whose thread this is called.
    pub fn watch_worker(self: &Arc<Self>) {
        let pulse = Arc::new(Pulse(AtomicU64::new(self.now_ms())));
        let mut pulses = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        pulses.push(Arc::downgrade(&pulse));
        let watchdog = Arc::clone(self);
        actix_web::rt::spawn(async move {
            let mut ticks = interval(watchdog.timeout / 4);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                pulse.0.store(watchdog.now_ms(), Ordering::Relaxed);
            }
        });
    }

    /// Starts the task that sends signs of life, at half the time that systemd waits.
    pub fn start(self: Arc<Self>, notifier: Arc<Notifier>, ledger: Ledger) {
        actix_web::rt::spawn(async move {
            let mut ticks = interval(self.timeout / 2);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                match self.problem(ledger.is_alive()) {
                    None => notifier.send("WATCHDOG=1"),
                    Some(problem) => {
                        log::error!(
                            "systemd: no sign of life is sent, so that the server is restarted: {problem}"
                        );
                    }
                }
            }
        });
    }

    /// Returns what only a restart can mend.
    fn problem(&self, has_ledger: bool) -> Option<&'static str> {
        if !has_ledger {
            return Some("the ledger's thread has died");
        }
        let oldest = self.now_ms().saturating_sub(self.half_timeout_ms());
        let mut pulses = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        // The pulse of a worker that has ended is gone; actix starts another worker.
        pulses.retain(|pulse| pulse.strong_count() > 0);
        let is_stuck = |pulse: Arc<Pulse>| pulse.0.load(Ordering::Relaxed) < oldest;
        let stuck = pulses.iter().filter_map(Weak::upgrade).any(is_stuck);
        stuck.then_some("a worker is stuck")
    }

    fn half_timeout_ms(&self) -> u64 {
        u64::try_from(self.timeout.as_millis() / 2).unwrap_or(u64::MAX)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_worker_and_a_dead_ledger_stop_the_signs_of_life() {
        let watchdog = Watchdog::new(Duration::from_millis(100));
        assert_eq!(watchdog.problem(true), None);
        assert!(watchdog.problem(false).is_some());
        let pulse = Arc::new(Pulse(AtomicU64::new(0)));
        watchdog.pulses.lock().unwrap().push(Arc::downgrade(&pulse));
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(watchdog.problem(true), Some("a worker is stuck"));
        pulse.0.store(watchdog.now_ms(), Ordering::Relaxed);
        assert_eq!(watchdog.problem(true), None);
        drop(pulse);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(watchdog.problem(true), None, "that worker has ended");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_is_a_path_or_an_abstract_name() {
        use std::os::linux::net::SocketAddrExt;
        let address = |name: &str| address_of(OsStr::new(name)).ok();
        let path = address("/run/systemd/notify").unwrap();
        assert_eq!(
            path.as_pathname().unwrap().to_str(),
            Some("/run/systemd/notify")
        );
        let name = address("@llmproxy/notify").unwrap();
        assert_eq!(name.as_abstract_name(), Some(&b"llmproxy/notify"[..]));
        assert!(address("vsock:2:9999").is_none() && address("relative").is_none());
    }
}

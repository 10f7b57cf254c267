//! How a connection is made: to one host after the other, and with a limit of time also where a host takes
//! the connection and then says nothing.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, sync_channel},
    },
    thread,
    time::Duration,
};

use postgres::{
    Client, Config,
    config::{Host, LoadBalanceHosts, TargetSessionAttrs},
};
use rustls::ClientConfig;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::password;
use crate::store::sql_error::{SqlError, describe};

/// Time for signing in, beyond that for the connection.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Most attempts that still wait for a host after their time. Each is a thread that nothing can end.
const MAX_LATE: usize = 2;

/// What can be done where a server asks for a password and there is none.
const NO_PASSWORD: &str =
    "set PGPASSWORD, write it to ~/.pgpass, or name a password file with passfile=FILE in the URL";
/// PostgreSQL compiles statements that it takes for dear (postgresql.org/docs/current/jit-reason.html). For
/// those of reports, which are long and find little, that took forty times as long as to run them.
const NO_COMPILER: &str = "SET jit = off";

/// The hosts of a URL, each by itself.
pub(super) struct Hosts {
    each: Vec<OneHost>,
    tls: Arc<ClientConfig>,
    /// Where to look for a password that the URL does not have.
    password_file: Option<PathBuf>,
    /// Where an attempt begins: with the host that took the last connection.
    first: AtomicUsize,
}

struct OneHost {
    /// As messages name it.
    name: String,
    config: Config,
    /// Number of attempts that still wait after their time.
    late: Arc<AtomicUsize>,
}

impl Hosts {
    pub(super) fn new(
        config: &Config,
        tls: Arc<ClientConfig>,
        password_file: Option<PathBuf>,
    ) -> Self {
        let places = 0..config.get_hosts().len();
        let hosts = places.map(|place| OneHost {
            name: shown_host(config, place),
            config: only(config, place),
            late: Arc::default(),
        });
        let hosts: Vec<OneHost> = hosts.collect();
        let first = match config.get_load_balance_hosts() {
            LoadBalanceHosts::Random => getrandom::u32().unwrap_or_default() as usize,
            _ => 0,
        };
        Self {
            first: AtomicUsize::new(first % hosts.len().max(1)),
            each: hosts,
            tls,
            password_file,
        }
    }

    #[cfg(test)]
    pub(super) fn ssl_mode(&self) -> postgres::config::SslMode {
        self.each[0].config.get_ssl_mode()
    }

    /// Connects to the first host that takes writes.
    pub(super) fn connect(&self) -> Result<Client, SqlError> {
        let first = self.first.load(Ordering::Relaxed);
        let hosts = self.each.iter().enumerate();
        let in_order = hosts.clone().skip(first).chain(hosts.take(first));
        let mut reasons = Vec::new();
        for (place, host) in in_order {
            match host.connect(&self.tls, self.password_file.as_deref()) {
                Ok(client) => {
                    self.first.store(place, Ordering::Relaxed);
                    return Ok(client);
                }
                Err(reason) if self.each.len() == 1 => reasons.push(reason),
                Err(reason) => reasons.push(format!("{}: {reason}", host.name)),
            }
        }
        Err(SqlError::Connect(reasons.join("; ")))
    }
}

impl OneHost {
    fn connect(&self, tls: &ClientConfig, password_file: Option<&Path>) -> Result<Client, String> {
        let mut config = self.config.clone();
        let mut unusable = None;
        if config.get_password().is_none() {
            match password::find(&config, password_file) {
                Ok(Some(password)) => _ = config.password(password),
                Ok(None) => {}
                // The server may not need one.
                Err(reason) => unusable = Some(reason),
            }
        }
        self.connect_in_time(config, tls).map_err(|reason| {
            if reason.contains("password missing") {
                let hint = unusable.as_deref().unwrap_or(NO_PASSWORD);
                format!("{reason}; {hint}")
            } else if let Some(hint) = hint_for(&reason) {
                format!("{reason}; {hint}")
            } else {
                reason
            }
        })
    }

    /// Connects in a thread of its own, so that its time can be limited.
    fn connect_in_time(&self, config: Config, tls: &ClientConfig) -> Result<Client, String> {
        let connect_timeout = config.get_connect_timeout().copied();
        let limit = connect_timeout.unwrap_or_default() + LOGIN_TIMEOUT;
        let is_silent = || format!("the server has said nothing for {} s", limit.as_secs());
        if self.late.load(Ordering::Relaxed) >= MAX_LATE {
            return Err(is_silent());
        }
        let late = Arc::clone(&self.late);
        let tls = MakeRustlsConnect::new(tls.clone());
        // Without room for a value: what is sent is received, or nobody waits any more.
        let (sender, receiver) = sync_channel(0);
        let attempt = move || {
            // The client ignores `tls` where TLS is switched off. A second client without TLS would be 45 kB more.
            let connected = config.connect(tls).map(|mut client| {
                // Through PgBouncer it holds for one of its connections only; transactions say it
                // themselves. A server that does not know it does without.
                let _ = client.batch_execute(NO_COMPILER);
                client
            });
            let connected = connected.map_err(|error| describe(&error));
            if sender.send(connected).is_err() {
                late.fetch_sub(1, Ordering::Relaxed);
            }
        };
        let thread = thread::Builder::new().name("connect".to_owned());
        thread.spawn(attempt).map_err(|error| error.to_string())?;
        match receiver.recv_timeout(limit) {
            Ok(connected) => connected,
            Err(RecvTimeoutError::Timeout) => {
                self.late.fetch_add(1, Ordering::Relaxed);
                Err(is_silent())
            }
            Err(RecvTimeoutError::Disconnected) => Err("the attempt to connect died".to_owned()),
        }
    }
}

/// Returns a configuration for one of its hosts.
fn only(config: &Config, place: usize) -> Config {
    let mut one = Config::new();
    match &config.get_hosts()[place] {
        Host::Tcp(name) => one.host(name),
        #[cfg(unix)]
        Host::Unix(path) => one.host_path(path),
    };
    if let Some(address) = config.get_hostaddrs().get(place) {
        one.hostaddr(*address);
    }
    let ports = config.get_ports();
    if let Some(port) = ports.get(place).or(ports.first()) {
        one.port(*port);
    }
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(name) = config.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    if let Some(name) = config.get_application_name() {
        one.application_name(name);
    }
    if let Some(timeout) = config.get_connect_timeout() {
        one.connect_timeout(*timeout);
    }
    if let Some(timeout) = config.get_tcp_user_timeout() {
        one.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        one.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        one.keepalives_retries(retries);
    }
    one.keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        // A standby would answer, and refuse every write.
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .load_balance_hosts(config.get_load_balance_hosts());
    one
}

/// Returns a host as messages name it.
pub(super) fn shown_host(config: &Config, place: usize) -> String {
    let ports = config.get_ports();
    let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432);
    match &config.get_hosts()[place] {
        Host::Tcp(name) if port == 5432 => name.clone(),
        Host::Tcp(name) => format!("{name}:{port}"),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    }
}

/// Returns what can be done about a connection that failed.
fn hint_for(reason: &str) -> Option<&'static str> {
    const HINTS: &[(&str, &str)] = &[
        (
            "CaUsedAsEndEntity",
            "the server uses the certificate of an authority: give it one that the authority has signed",
        ),
        (
            "NotValidForName",
            "the certificate is for another name: write that host in the URL",
        ),
        (
            "certificate",
            "name the authority that signed it with sslrootcert=FILE in the URL, or do without encryption with sslmode=disable",
        ),
        (
            "does not allow writes",
            "it is a standby, or read-only: name the server that takes writes",
        ),
        (
            "[3D000]",
            "make it with `createdb -E UTF8 -T template0 NAME`",
        ),
        (
            "[53300]",
            "raise max_connections, or put PgBouncer in between",
        ),
    ];
    let mut hints = HINTS.iter();
    let found = hints.find(|(part, _)| reason.contains(part));
    found.map(|(_, hint)| *hint)
}

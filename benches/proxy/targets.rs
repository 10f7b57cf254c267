//! What is measured: the upstream itself, or a proxy before it, which is a process that ends with
//! its value.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::machine;

const LLMPROXY: &str = env!("CARGO_BIN_EXE_llmproxy");
/// The name of llmproxy with PostgreSQL as its database.
pub const ON_POSTGRES: &str = "on PostgreSQL";
const START_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_micros(500);

pub struct Target {
    pub name: &'static str,
    pub address: SocketAddr,
    pub key: String,
    /// How many answers the clients hold.
    pub answered: u64,
    server: Option<Server>,
}

struct Server {
    spawned: Instant,
    child: Child,
    /// Ends the child with its children; without it the child has none and is killed.
    stop: Option<Command>,
    dir: TempDir,
    /// Of llmproxy.
    database_url: Option<String>,
}

impl Target {
    pub fn direct(upstream: SocketAddr) -> Self {
        Self::new("direct", upstream, "sk-bench", None)
    }

    /// With a new file as its database, which knows one user.
    pub fn llmproxy(upstream: SocketAddr, log_level: &str) -> io::Result<Self> {
        Self::llmproxy_on("llmproxy", None, upstream, log_level)
    }

    /// With an empty database of a server, which then knows one user.
    pub fn llmproxy_on_postgres(
        database_url: String,
        upstream: SocketAddr,
        log_level: &str,
    ) -> io::Result<Self> {
        Self::llmproxy_on(ON_POSTGRES, Some(database_url), upstream, log_level)
    }

    fn llmproxy_on(
        name: &'static str,
        database_url: Option<String>,
        upstream: SocketAddr,
        log_level: &str,
    ) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let address = free_address()?;
        let database_url = database_url.unwrap_or_else(|| url_of_file_in(&dir));
        let llmproxy = || {
            let mut command = llmproxy(&dir);
            command.env("DATABASE_URL", &database_url);
            command
        };
        let key = output(llmproxy().args(["user", "add", "bench"]))?;
        let mut serve = llmproxy();
        serve
            .arg("serve")
            .env("OPENAI_API_KEY", "sk-bench")
            .env("OPENAI_BACKEND_URL", format!("http://{upstream}"))
            .env("HOST", "127.0.0.1")
            .env("PORT", address.port().to_string())
            .env("MAX_CONCURRENT_REQUESTS", "0")
            .env("RUST_LOG", log_level);
        let mut server = Server::start(serve, None, dir, address)?;
        server.database_url = Some(database_url);
        Ok(Self::new(name, address, key.trim(), Some(server)))
    }

    /// As plain a reverse proxy as nginx can be: kept connections both ways, nothing logged or
    /// buffered.
    pub fn nginx(upstream: SocketAddr, workers: usize) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let address = free_address()?;
        fs::write(
            dir.path().join("nginx.conf"),
            nginx_conf(upstream, address, workers, &dir)?,
        )?;
        let nginx = || {
            let mut command = Command::new("nginx");
            command
                .arg("-p")
                .arg(dir.path())
                .args(["-e", "stderr", "-c", "nginx.conf"]);
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let (serve, mut stop) = (nginx(), nginx());
        stop.args(["-s", "stop"]);
        let server = Server::start(serve, Some(stop), dir, address)?;
        Ok(Self::new("nginx", address, "sk-bench", Some(server)))
    }

    fn new(name: &'static str, address: SocketAddr, key: &str, server: Option<Server>) -> Self {
        Self {
            name,
            address,
            key: key.into(),
            answered: 0,
            server,
        }
    }

    pub fn is_proxy(&self) -> bool {
        self.server.is_some()
    }

    /// Time since its process was spawned.
    pub fn age(&self) -> Duration {
        self.server
            .as_ref()
            .map_or(Duration::ZERO, |server| server.spawned.elapsed())
    }

    /// User and system time of all its processes.
    pub fn cpu(&self) -> io::Result<Duration> {
        self.pids()?
            .into_iter()
            .map(|pid| Ok(machine::stat_of(pid)?.cpu))
            .sum()
    }

    /// Resident memory of all its processes, a page that they share counted once.
    pub fn memory_bytes(&self) -> io::Result<u64> {
        self.pids()?.into_iter().map(machine::memory_of).sum()
    }

    fn pids(&self) -> io::Result<Vec<u32>> {
        let Some(server) = &self.server else {
            return Ok(Vec::new());
        };
        let mut pids = vec![server.child.id()];
        pids.extend(machine::children_of(server.child.id())?);
        Ok(pids)
    }

    /// Requests that llmproxy's ledger counts.
    pub fn rows_in_ledger(&self) -> io::Result<Option<u64>> {
        let Some((server, database_url)) = self
            .server
            .as_ref()
            .and_then(|server| Some((server, server.database_url.as_ref()?)))
        else {
            return Ok(None);
        };
        let mut costs = llmproxy(&server.dir);
        costs
            .env("DATABASE_URL", database_url)
            .args(["costs", "--json"]);
        let costs: Value = serde_json::from_str(&output(&mut costs)?)?;
        Ok(Some(
            costs["costs"][0]["total_requests"].as_u64().unwrap_or(0),
        ))
    }
}

/// None of the caller's settings reach it: neither variables nor an `.env` file.
pub fn llmproxy(dir: &TempDir) -> Command {
    let mut command = Command::new(LLMPROXY);
    command
        .env_clear()
        .env("DATABASE_URL", url_of_file_in(dir))
        .current_dir(dir.path());
    command
}

fn url_of_file_in(dir: &TempDir) -> String {
    format!("sqlite:///{}", database_in(dir).display())
}

pub fn database_in(dir: &TempDir) -> PathBuf {
    dir.path().join("bench.db")
}

pub fn llmproxy_bytes() -> u64 {
    fs::metadata(LLMPROXY).map_or(0, |metadata| metadata.len())
}

/// None where it is not installed.
pub fn nginx_version() -> Option<String> {
    let version = Command::new("nginx").arg("-v").output().ok()?.stderr;
    Some(
        String::from_utf8_lossy(&version)
            .trim()
            .replace("nginx version: ", ""),
    )
}

/// What it prints; anything but success is an error.
pub fn output(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{command:?}: {reason}")));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

/// Free a moment ago, which is as much as can be known.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn nginx_conf(
    upstream: SocketAddr,
    address: SocketAddr,
    workers: usize,
    dir: &TempDir,
) -> io::Result<String> {
    // Its workers write into the directory; only root's nginx would change their user.
    let user = if fs::metadata(dir.path())?.uid() == 0 {
        "user root;"
    } else {
        ""
    };
    Ok(format!(
        "{user}
        daemon off;
        pid nginx.pid;
        error_log error.log;
        worker_processes {workers};
        events {{ worker_connections 8192; }}
        http {{
            access_log off;
            client_max_body_size 256m;
            client_body_buffer_size 2m;
            client_body_temp_path body;
            proxy_temp_path proxy;
            fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi;
            scgi_temp_path scgi;
            keepalive_requests 1000000000;
            upstream backend {{
                server {upstream};
                keepalive 1024;
                keepalive_requests 1000000000;
            }}
            server {{
                listen {address} backlog=1024;
                location / {{
                    proxy_pass http://backend;
                    proxy_http_version 1.1;
                    proxy_set_header Connection \"\";
                    proxy_buffering off;
                    proxy_read_timeout 600s;
                }}
            }}
        }}"
    ))
}

impl Server {
    /// Returns once it accepts connections.
    fn start(
        mut command: Command,
        stop: Option<Command>,
        dir: TempDir,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let log = dir.path().join("log");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let spawned = Instant::now();
        let mut server = Self {
            spawned,
            child: command.spawn()?,
            stop,
            dir,
            database_url: None,
        };
        while TcpStream::connect(address).is_err() {
            if spawned.elapsed() > START_TIMEOUT || server.child.try_wait()?.is_some() {
                let log = fs::read_to_string(&log)?;
                return Err(io::Error::other(format!(
                    "{command:?} does not listen: {log}"
                )));
            }
            thread::sleep(POLL);
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = self.stop.as_mut().map(Command::status);
        if !matches!(stopped, Some(Ok(status)) if status.success()) {
            // It may have ended by itself, and then there is nothing to kill.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

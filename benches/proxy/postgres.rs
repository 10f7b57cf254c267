//! A PostgreSQL server of the benchmark's own, made from the programs on the machine. It listens on
//! loopback, has its data on the machine's disk and the server's own settings, so that each commit
//! waits for the disk as it does in production. It ends with its value.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use tempfile::TempDir;

use crate::machine;

const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

pub struct PostgresServer {
    child: Child,
    port: u16,
    databases: Cell<u32>,
    version: String,
    /// Removed after the server has ended.
    _dir: TempDir,
}

impl PostgresServer {
    /// None if PostgreSQL is not installed.
    pub fn start() -> io::Result<Option<Self>> {
        let Some(programs) = programs() else {
            return Ok(None);
        };
        let dir = tempfile::Builder::new()
            .prefix("llmproxy-bench-pg-")
            .tempdir()?;
        if is_root(dir.path())? {
            succeed(Command::new("chown").arg("postgres").arg(dir.path()))?;
        }
        let mut initdb = as_postgres(&programs.join("initdb"), dir.path())?;
        initdb.args(["-D", "data", "-U", "llmproxy", "-A", "trust", "-E", "UTF8"]);
        succeed(initdb.args(["--locale=C", "--no-sync"]))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let log = dir.path().join("log");
        let mut serve = as_postgres(&programs.join("postgres"), dir.path())?;
        serve
            .args(["-D", "data", "-p", &port.to_string(), "-k", ""])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let mut server = Self {
            child: serve.spawn()?,
            port,
            databases: Cell::new(0),
            version: String::new(),
            _dir: dir,
        };
        server.version = server.wait_until_it_answers(&log)?;
        Ok(Some(server))
    }

    fn wait_until_it_answers(&mut self, log: &Path) -> io::Result<String> {
        let begun = Instant::now();
        loop {
            if let Ok(mut client) = self.connect("postgres") {
                let version = client.query_one("SHOW server_version", &[]);
                return Ok(version.map_err(io::Error::other)?.get(0));
            }
            if begun.elapsed() > START_TIMEOUT || self.child.try_wait()?.is_some() {
                let log = fs::read_to_string(log)?;
                return Err(io::Error::other(format!(
                    "PostgreSQL does not start: {log}"
                )));
            }
            thread::sleep(POLL);
        }
    }

    /// Makes an empty database and returns its name.
    pub fn create_database(&self) -> io::Result<String> {
        let number = self.databases.get() + 1;
        self.databases.set(number);
        let name = format!("bench_{number}");
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        self.run(&create)?;
        // Writes back what was written before, so that it does not fall into the next measurement.
        self.run("CHECKPOINT")?;
        Ok(name)
    }

    pub fn drop_database(&self, name: &str) -> io::Result<()> {
        self.run(&format!("DROP DATABASE {name} WITH (FORCE)"))
    }

    fn run(&self, sql: &str) -> io::Result<()> {
        let mut client = self.connect("postgres")?;
        client.batch_execute(sql).map_err(io::Error::other)
    }

    pub fn connect(&self, database: &str) -> io::Result<Client> {
        Client::connect(&url(self.address(), database), NoTls).map_err(io::Error::other)
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// User and system time of all its processes, also of those that have ended.
    pub fn cpu(&self) -> io::Result<Duration> {
        let own = machine::stat_of(self.child.id())?;
        let mut cpu = own.cpu + own.children_cpu;
        for pid in machine::children_of(self.child.id())? {
            // A connection may have ended meanwhile.
            if let Ok(stat) = machine::stat_of(pid) {
                cpu += stat.cpu;
            }
        }
        Ok(cpu)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // An immediate shutdown: nobody needs the data any more.
        let stopped = Command::new("kill")
            .args(["-QUIT", &self.child.id().to_string()])
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// The URL of a database at an address, which may be that of something before the server.
pub fn url(address: SocketAddr, database: &str) -> String {
    format!("postgres://llmproxy@{address}/{database}")
}

/// The directory of the newest PostgreSQL on the machine.
fn programs() -> Option<PathBuf> {
    let version_of = |bin: &PathBuf| {
        let name = bin.parent()?.file_name()?.to_str()?;
        name.parse::<u32>().ok()
    };
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let installed = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists());
    let in_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|dir| dir.join("initdb").exists())
    };
    installed.max_by_key(version_of).or_else(in_path)
}

/// PostgreSQL's programs refuse to run as root. They end with the benchmark, however it ends.
fn as_postgres(program: &Path, dir: &Path) -> io::Result<Command> {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=KILL");
    if is_root(Path::new("/proc/self"))? {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg(program).current_dir(dir);
    Ok(command)
}

fn is_root(own: &Path) -> io::Result<bool> {
    Ok(fs::metadata(own)?.uid() == 0)
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {reason}")))
}

//! llmproxy under callgrind, with a database of its own.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::wire::Wire;

const LLMPROXY: &str = env!("CARGO_BIN_EXE_llmproxy");
/// Has glibc copy and clear by loops: valgrind counts each byte of a `rep movsb` or `rep stosb` as an
/// instruction, so that 3 kB that the compiler clears in one call would count as much as the half of
/// a request.
const NO_STRING_INSTRUCTIONS: &str =
    "glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_rep_stosb_threshold=1073741824";
/// Under callgrind everything takes fifty times as long.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

pub struct Server {
    pub wire: Wire,
    process: Process,
    dir: TempDir,
}

/// What callgrind has written.
pub struct Written {
    dir: TempDir,
}

/// What a server is started for.
#[derive(Clone, Copy)]
pub enum Start {
    /// To count what requests take, of a user with limits of every kind or none.
    Counted { has_limits: bool },
    /// To see what the first start runs, which makes the database. Functions have the linker's names.
    First,
}

/// Killed when dropped.
struct Process(Child);

/// Limits of every kind, of which none is ever reached.
const LIMITS: [&str; 18] = [
    "--budget",
    "1Musd/month",
    "--budget",
    "900Gtokens/day",
    "--budget",
    "1Grequests/week",
    "--requests-per-minute",
    "1G",
    "--tokens-per-minute",
    "900G",
    "--concurrent",
    "1000",
    "--models",
    "*",
    "--deny-models",
    "none-such*",
    "--max-output-tokens",
    "1000000",
];

impl Server {
    /// Returns once it listens.
    pub fn start(start: Start) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let backend = TcpListener::bind("127.0.0.1:0")?;
        let address = free_address()?;
        let (key, demangle) = match start {
            Start::Counted { has_limits } => {
                let limits: &[&str] = if has_limits { &LIMITS } else { &[] };
                (add_user(&dir, limits)?, "yes")
            }
            Start::First => (String::new(), "no"),
        };
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--demangle={demangle}"))
            .arg(format!("--callgrind-out-file={}", out_file(&dir).display()))
            .arg(LLMPROXY)
            .arg("serve");
        clean(&mut valgrind, &dir)
            .env("OPENAI_API_KEY", "sk-bench")
            .env(
                "OPENAI_BACKEND_URL",
                format!("http://{}", backend.local_addr()?),
            )
            .env("GLIBC_TUNABLES", NO_STRING_INSTRUCTIONS)
            .env("HOST", "127.0.0.1")
            .env("PORT", address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("log"))?);
        let mut process = Process(valgrind.spawn()?);
        let spawned = Instant::now();
        let client = loop {
            if let Ok(client) = TcpStream::connect(address) {
                break client;
            }
            if spawned.elapsed() > START_TIMEOUT || process.0.try_wait()?.is_some() {
                let log = fs::read_to_string(dir.path().join("log"))?;
                return Err(io::Error::other(format!(
                    "{valgrind:?} does not listen: {log}"
                )));
            }
            thread::sleep(POLL);
        };
        Ok(Self {
            wire: Wire::new(client, backend, &key)?,
            process,
            dir,
        })
    }

    /// Ends it in peace, so that callgrind writes what it counted.
    pub fn stop(self) -> io::Result<Written> {
        let Self {
            wire,
            mut process,
            dir,
        } = self;
        drop(wire);
        let pid = process.0.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let status = process.0.wait()?;
        if !status.success() {
            let log = fs::read_to_string(dir.path().join("log"))?;
            return Err(io::Error::other(format!(
                "llmproxy ended with {status}: {log}"
            )));
        }
        Ok(Written { dir })
    }
}

impl Written {
    pub fn path(&self) -> PathBuf {
        out_file(&self.dir)
    }

    pub fn instructions(&self) -> io::Result<u64> {
        let text = fs::read_to_string(self.path())?;
        let total = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("totals: "));
        total
            .and_then(|total| total.trim().parse().ok())
            .ok_or_else(|| io::Error::other("callgrind's file has no totals"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn add_user(dir: &TempDir, limits: &[&str]) -> io::Result<String> {
    let mut add = Command::new(LLMPROXY);
    let output = clean(add.args(["user", "add", "bench"]).args(limits), dir).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// None of the caller's settings reach it, neither variables nor an `.env` file; valgrind finds its
/// parts.
fn clean<'a>(command: &'a mut Command, dir: &TempDir) -> &'a mut Command {
    let database = dir.path().join("bench.db");
    command
        .env_clear()
        .envs(
            ["PATH", "VALGRIND_LIB"]
                .into_iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .env("DATABASE_URL", format!("sqlite:///{}", database.display()))
        .current_dir(dir.path())
}

fn out_file(dir: &TempDir) -> PathBuf {
    dir.path().join("callgrind.out")
}

/// Free a moment ago, which is as much as can be known.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

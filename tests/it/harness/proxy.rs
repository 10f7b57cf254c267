//! The real binary: its home (a directory and settings of its own), its commands and its running server.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::OpenFlags;
use serde_json::Value;
use tempfile::TempDir;

use super::{Answer, Backend, CHAT, Connection, PATIENCE, Request, wait_until};
use super::{postgres::on_postgres, postgres_suite::PostgresDatabase};

/// The backend's key, which clients must never see, and which must be in no output.
pub const BACKEND_KEY: &str = "sk-backend-secret";
/// Lines of a server's log that a failed test shows.
const SHOWN_LINES: usize = 20;

/// A working directory, an environment with nothing but what is set here, and the arguments of `serve`.
pub struct Home {
    dir: TempDir,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    launcher: Option<String>,
    postgres: Option<PostgresDatabase>,
}

impl Home {
    pub fn new(backend: &Backend) -> Self {
        Self::with_backend_url(&backend.url())
    }

    pub fn with_backend_url(url: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let postgres = on_postgres().then(PostgresDatabase::new);
        let database = match &postgres {
            Some(database) => database.url(),
            None => format!("sqlite:///{}", dir.path().join("test.db").display()),
        };
        Self {
            dir,
            environment: Vec::new(),
            arguments: Vec::new(),
            launcher: None,
            postgres,
        }
        .set("HOST", "127.0.0.1")
        .set("PORT", "0")
        .set("OPENAI_API_KEY", BACKEND_KEY)
        .set("OPENAI_BACKEND_URL", url)
        .set("DATABASE_URL", &database)
        .set("RUST_LOG", "info")
    }

    pub fn set(self, name: &str, value: &str) -> Self {
        let mut home = self.unset(name);
        home.environment.push((name.to_owned(), value.to_owned()));
        home
    }

    pub fn unset(mut self, name: &str) -> Self {
        self.environment.retain(|(n, _)| n != name);
        self
    }

    /// Adds arguments to `serve`.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Runs every command by a line of shell that ends in a command which runs another: `umask 0; exec`.
    pub fn launched_by(mut self, words: &str) -> Self {
        self.launcher = Some(words.to_owned());
        self
    }

    /// Writes a file into the working directory.
    pub fn file(self, name: &str, contents: &str) -> Self {
        std::fs::write(self.path(name), contents).unwrap();
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let binary = env!("CARGO_BIN_EXE_llmproxy");
        let mut command = Command::new(binary);
        if let Some(words) = &self.launcher {
            command = Command::new("sh");
            command.args(["-c", &format!("{words} \"$0\" \"$@\""), binary]);
        }
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    pub fn cli(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// Adds a user and returns the key.
    #[track_caller]
    pub fn user(&self, name: &str) -> String {
        let ran = self.cli(&["user", "add", name]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout.trim_end().to_owned()
    }

    #[track_caller]
    pub fn serve(self) -> Proxy {
        let (child, port, log) = spawn(&self);
        Proxy {
            home: self,
            child,
            port,
            log,
        }
    }

    /// Starts a proxy with one user, `alice`. Returns it and her key.
    #[track_caller]
    pub fn serve_alice(self) -> (Proxy, String) {
        let key = self.user("alice");
        (self.serve(), key)
    }

    /// Runs a `serve` that must end before it listens.
    #[track_caller]
    pub fn refused(&self) -> Ran {
        Ran::of(self.command(&["serve"]).args(&self.arguments))
    }

    /// Opens the database for looking at it. That of a server is copied into a file for it.
    pub fn database(&self) -> rusqlite::Connection {
        if let Some(postgres) = &self.postgres {
            static COUNT: AtomicUsize = AtomicUsize::new(0);
            let copy = format!("copy-{}.db", COUNT.fetch_add(1, Ordering::Relaxed));
            let copied = self.cli(&["db", "copy", "--from", &postgres.url(), "--to", &copy]);
            assert_eq!(copied.code, Some(0), "{copied:?}");
            let copy = rusqlite::Connection::open(self.path(&copy)).unwrap();
            postgres.copy_running(&copy);
            return copy;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        self.open(flags)
    }

    /// Returns `DATABASE_URL`.
    pub fn database_url(&self) -> String {
        let mut set = self.environment.iter();
        let url = set.find(|(name, _)| name == "DATABASE_URL");
        url.map_or_else(String::new, |(_, url)| url.clone())
    }

    /// Opens the database for tests that write rows which take too long to come about.
    pub fn writable_database(&self) -> rusqlite::Connection {
        self.open(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
    }

    fn open(&self, flags: OpenFlags) -> rusqlite::Connection {
        assert!(
            self.postgres.is_none(),
            "this test is about a file: see ABOUT_FILES"
        );
        let database = rusqlite::Connection::open_with_flags(self.path("test.db"), flags).unwrap();
        database.busy_timeout(PATIENCE).unwrap();
        database
    }

    /// Returns the rows on disk, oldest first.
    pub fn rows(&self) -> Vec<Row> {
        if let Some(postgres) = &self.postgres {
            let sql = "SELECT * FROM usage_logs ORDER BY id";
            let rows = postgres.query(sql);
            return rows.iter().map(Row::of_postgres).collect();
        }
        let database = self.database();
        let mut statement = database
            .prepare("SELECT * FROM usage_logs ORDER BY id")
            .unwrap();
        let rows = statement.query_map([], |row| {
            Ok(Row {
                started_at_ms: row.get("started_at_ms")?,
                user_id: row.get("user_id")?,
                endpoint: row.get("endpoint")?,
                model: row.get("model")?,
                served_model: row.get("served_model")?,
                input: row.get("input_tokens")?,
                output: row.get("output_tokens")?,
                cached: row.get("cached_tokens")?,
                reasoning: row.get("reasoning_tokens")?,
                status: row.get("status")?,
                outcome: row.get("outcome")?,
                source: row.get("usage_source")?,
                duration_ms: row.get("duration_ms")?,
                first_byte_ms: row.get("first_byte_ms")?,
                backend_request_id: row.get("backend_request_id")?,
            })
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Returns the tokens and the source of each row, oldest first.
    pub fn booked(&self) -> Vec<([i64; 4], String)> {
        let rows = self.rows().into_iter();
        rows.map(|row| (row.tokens(), row.source)).collect()
    }

    /// Returns the users as `user list --json` prints them.
    #[track_caller]
    pub fn users(&self) -> Vec<Value> {
        let listed = self.cli(&["user", "list", "--json"]).json();
        listed["users"].as_array().unwrap().clone()
    }

    /// Waits for the ledger's only row and returns it. The row of a client that disconnected is written later.
    #[track_caller]
    pub fn only_row(&self) -> Row {
        wait_until("the ledger has a row", PATIENCE, || !self.rows().is_empty());
        let mut rows = self.rows();
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Runs a command to its end, which must come soon: a `serve` that should have refused to start fails the test.
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::end_of(command.spawn().unwrap())
    }

    #[track_caller]
    pub fn end_of(child: Child) -> Self {
        Self::end_within(PATIENCE, child)
    }

    #[track_caller]
    pub fn end_within(limit: Duration, mut child: Child) -> Self {
        // A command whose pipe is full stops until somebody reads.
        let stdout = child.stdout.take().map(read_in_background);
        let stderr = child.stderr.take().map(read_in_background);
        let ended = wait_for_exit(&mut child, limit).is_some();
        let _ = child.kill();
        let text = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
            let bytes = reader.map_or_else(Vec::new, |reader| reader.join().unwrap());
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let ran = Self {
            code: child.wait().unwrap().code(),
            stdout: text(stdout),
            stderr: text(stderr),
        };
        assert!(ended, "still running after {limit:?}: {ran:?}");
        ran
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that the command failed as an operator wants it: exit code 1 and one line that says why.
    #[track_caller]
    pub fn assert_one_line_error(&self) {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.stderr.trim_end().lines().count(), 1, "{self:?}");
        assert!(!self.stderr.trim().is_empty(), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }
}

impl From<std::process::Output> for Ran {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A row of `usage_logs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub started_at_ms: i64,
    pub user_id: i64,
    pub endpoint: String,
    pub model: Option<String>,
    pub served_model: Option<String>,
    pub input: i64,
    pub output: i64,
    pub cached: i64,
    pub reasoning: i64,
    pub status: i64,
    pub outcome: String,
    pub source: String,
    pub duration_ms: Option<i64>,
    pub first_byte_ms: Option<i64>,
    pub backend_request_id: Option<String>,
}

impl Row {
    fn of_postgres(row: &postgres::Row) -> Self {
        Self {
            started_at_ms: row.get("started_at_ms"),
            user_id: row.get("user_id"),
            endpoint: row.get("endpoint"),
            model: row.get("model"),
            served_model: row.get("served_model"),
            input: row.get("input_tokens"),
            output: row.get("output_tokens"),
            cached: row.get("cached_tokens"),
            reasoning: row.get("reasoning_tokens"),
            status: row.get("status"),
            outcome: row.get("outcome"),
            source: row.get("usage_source"),
            duration_ms: row.get("duration_ms"),
            first_byte_ms: row.get("first_byte_ms"),
            backend_request_id: row.get("backend_request_id"),
        }
    }

    pub fn tokens(&self) -> [i64; 4] {
        [self.input, self.output, self.cached, self.reasoning]
    }

    pub fn labels(&self) -> [&str; 2] {
        [&self.outcome, &self.source]
    }
}

/// A server that listens. It is killed when dropped.
pub struct Proxy {
    home: Home,
    child: Child,
    port: u16,
    log: Arc<Mutex<String>>,
}

impl Deref for Proxy {
    type Target = Home;

    fn deref(&self) -> &Home {
        &self.home
    }
}

impl Proxy {
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub fn open(&self) -> Connection {
        Connection::open(self.address())
    }

    /// Sends a request on a connection of its own and reads the whole answer.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Answer {
        self.start(request).answer()
    }

    /// Sends a request and leaves it to the caller to read the answer.
    pub fn start(&self, request: &Request) -> Connection {
        let mut connection = self.open();
        connection.send(request);
        connection
    }

    #[track_caller]
    pub fn chat(&self, key: &str, body: &str) -> Answer {
        self.send(&Request::post(CHAT, body).key(key))
    }

    #[track_caller]
    pub fn get_json(&self, target: &str) -> Value {
        let answer = self.send(&Request::get(target));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Returns everything that the server has written so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits until the log contains a text. Lines of a busy log come a moment after their event.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        wait_until(&format!("the log says {text:?}"), PATIENCE, || {
            self.log().contains(text)
        });
    }

    /// Returns the number of descriptors that the server has open. Linux only.
    pub fn open_files(&self) -> usize {
        let directory = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(directory).unwrap().count()
    }

    /// Returns a figure of `/proc/PID/status` in kB: `VmRSS` for the memory in use, `VmHWM` for the peak.
    #[track_caller]
    pub fn memory_kb(&self, figure: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(figure));
        let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        kb.unwrap_or_else(|| panic!("{figure} in {status}"))
    }

    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts the server again on the same database; it may listen on another port.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill9();
        (self.child, self.port, self.log) = spawn(&self.home);
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -s {name} {}", self.child.id())])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Stops the server with SIGSTOP, and waits until all of its threads stand still. Linux only.
    pub fn stand_still(&self) {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.child.id());
        wait_until("the server stands still", PATIENCE, || {
            std::fs::read_dir(&tasks).unwrap().all(|task| {
                let stat = std::fs::read_to_string(task.unwrap().path().join("stat"));
                stat.is_ok_and(|stat| stat.contains(") T "))
            })
        });
    }

    /// Returns how the server ended, or `None` if it is still running after `limit`.
    pub fn exit_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        wait_for_exit(&mut self.child, limit)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.kill9();
        if thread::panicking()
            && let Ok(log) = self.log.lock()
        {
            let last: Vec<&str> = log.lines().rev().take(SHOWN_LINES).collect();
            eprintln!("the log of {} ends with:", self.address());
            for line in last.iter().rev() {
                eprintln!("  {line}");
            }
        }
    }
}

fn read_in_background(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

fn wait_for_exit(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            None if start.elapsed() < limit => thread::sleep(Duration::from_millis(2)),
            status => return status,
        }
    }
}

/// Starts `serve` and waits for the line that says where it listens.
#[track_caller]
fn spawn(home: &Home) -> (Child, u16, Arc<Mutex<String>>) {
    let mut command = home.command(&["serve"]);
    command
        .args(&home.arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    let (listens, port) = mpsc::channel();
    // Each pipe is read to its end by a thread, because a server whose pipe is full stops.
    collect(child.stdout.take().unwrap(), log.clone(), None);
    collect(child.stderr.take().unwrap(), log.clone(), Some(listens));
    if let Ok(port) = port.recv_timeout(PATIENCE) {
        return (child, port, log);
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("the server does not listen: {}", log.lock().unwrap());
}

fn collect(
    pipe: impl Read + Send + 'static,
    log: Arc<Mutex<String>>,
    listens: Option<mpsc::Sender<u16>>,
) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let port = line.split_once("listening on http").and_then(|(_, rest)| {
                let (_, rest) = rest.split_once("://")?;
                let authority = rest.split([' ', ',', '/', ';']).next()?;
                authority.rsplit(':').next()?.parse().ok()
            });
            log.lock().unwrap().push_str(&(line + "\n"));
            if let (Some(port), Some(listens)) = (port, &listens) {
                let _ = listens.send(port);
            }
        }
    });
}

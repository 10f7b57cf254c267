//! The private PostgreSQL server of a run of tests, with a database for each test. It is made from the
//! programs on the machine, is reached over loopback only, and is gone with the tests. The tests of the
//! store include this file, too.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use postgres::{Client, NoTls};

/// Makes the server, says when it listens, and removes it when its standard input ends, as it does
/// when the tests have ended however they did. `$0` is the directory of the programs, `$1` that of
/// the server, `$2` its port.
const SERVER: &str = r#"
    "$0/initdb" -D "$1/data" -U llmproxy -A trust -E UTF8 --locale=C --no-sync >"$1/initdb.log" 2>&1 || exit 1
    "$0/postgres" -D "$1/data" -p "$2" -k "$1" -c listen_addresses=127.0.0.1 -c max_connections=400 \
        -c fsync=off -c full_page_writes=off -c autovacuum=off >"$1/log" 2>&1 </dev/null &
    server=$!
    until "$0/pg_isready" -q -h 127.0.0.1 -p "$2"; do
        kill -0 "$server" 2>/dev/null || exit 1
        sleep 0.05
    done
    echo ready
    read -r _
    kill -INT "$server"
    wait "$server"
    rm -rf "$1"
"#;

/// A database of the private server, empty at first. It is emptied with this, and used again: making
/// and dropping one takes longer than most tests.
pub struct PostgresDatabase {
    name: String,
    /// A connection for looking at the tables, which tests do a hundred times a second.
    client: Mutex<Option<Client>>,
}

impl PostgresDatabase {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let server = server();
        let unused = server.unused.lock().unwrap().pop();
        let name = unused.unwrap_or_else(|| {
            let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
            server.run(&format!("CREATE DATABASE {name} TEMPLATE template0"));
            name
        });
        Self {
            name,
            client: Mutex::default(),
        }
    }

    pub fn url(&self) -> String {
        server().url(&self.name)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn connect(&self) -> Client {
        Client::connect(&self.url(), NoTls).unwrap()
    }
}

impl PostgresDatabase {
    /// Returns the rows that a statement finds: none before there is a table.
    pub fn query(&self, sql: &str) -> Vec<postgres::Row> {
        let mut client = self.client.lock().unwrap();
        let client = client.get_or_insert_with(|| self.connect());
        client.query(sql, &[]).unwrap_or_default()
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let empty = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid(); \
             DROP SCHEMA public CASCADE; CREATE SCHEMA public";
        // A test that has failed may leave a process behind that is in the way.
        if self.connect().batch_execute(empty).is_ok() {
            let mut unused = server().unused.lock().unwrap();
            unused.push(std::mem::take(&mut self.name));
        }
    }
}

struct Server {
    dir: PathBuf,
    port: u16,
    admin: Mutex<Client>,
    /// Databases that are empty again.
    unused: Mutex<Vec<String>>,
    /// Its standard input keeps the server running.
    _supervisor: Child,
}

impl Server {
    /// Returns the URL of a database, by the socket in the file system: some tests have a network of
    /// their own.
    fn url(&self, database: &str) -> String {
        let dir = self.dir.display().to_string().replace('/', "%2F");
        format!("postgres://llmproxy@{dir}:{}/{database}", self.port)
    }

    fn run(&self, sql: &str) {
        let mut admin = self.admin.lock().unwrap();
        admin.batch_execute(sql).unwrap();
    }
}

fn server() -> &'static Server {
    static SERVER_OF_SUITE: OnceLock<Server> = OnceLock::new();
    SERVER_OF_SUITE.get_or_init(start)
}

/// Returns the port of the suite's server.
pub fn suite_port() -> u16 {
    server().port
}

fn start() -> Server {
    let programs = programs()
        .expect("PostgreSQL's programs are installed, or LLMPROXY_TEST_DATABASE is not set");
    let dir = tempfile::Builder::new()
        .prefix("llmproxy-pg-")
        .tempdir()
        .unwrap()
        .keep();
    let port = free_port();
    let mut command = if is_root() {
        let owned = Command::new("chown").arg("postgres").arg(&dir).status();
        assert!(owned.unwrap().success());
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "sh",
        ]);
        command
    } else {
        Command::new("sh")
    };
    let mut supervisor = command
        .args(["-c", SERVER])
        .arg(&programs)
        .arg(&dir)
        .arg(port.to_string())
        .current_dir(&dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut word = String::new();
    let mut said = BufReader::new(supervisor.stdout.take().unwrap());
    said.read_line(&mut word).unwrap();
    assert_eq!(word.trim(), "ready", "see {}", dir.display());
    let url = format!("postgres://llmproxy@127.0.0.1:{port}/postgres");
    Server {
        admin: Mutex::new(Client::connect(&url, NoTls).unwrap()),
        unused: Mutex::default(),
        dir,
        port,
        _supervisor: supervisor,
    }
}

/// Runs a program that refuses to run as root. It ends with the test.
pub fn as_postgres(program: &std::path::Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--pdeathsig=KILL",
        ])
        .arg(program);
    command
}

/// Returns the directory of the newest PostgreSQL on the machine.
pub fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut found: Vec<PathBuf> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    let in_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|dir| dir.join("initdb").exists())
    };
    found.pop().or_else(in_path)
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

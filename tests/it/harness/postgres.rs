//! The other database: with `LLMPROXY_TEST_DATABASE=postgres` the whole suite runs on a private
//! PostgreSQL server, each test in a database of its own. The server is made from the programs on
//! the machine, is reached over loopback only, and is gone with the tests.

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

/// Returns whether the suite runs on PostgreSQL.
pub fn on_postgres() -> bool {
    std::env::var("LLMPROXY_TEST_DATABASE").is_ok_and(|value| value == "postgres")
}

/// A database of the private server. It is dropped with this.
pub struct PostgresDatabase {
    name: String,
}

impl PostgresDatabase {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        server().run(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        Self { name }
    }

    pub fn url(&self) -> String {
        let port = server().port;
        format!("postgres://llmproxy@127.0.0.1:{port}/{}", self.name)
    }

    pub fn connect(&self) -> Client {
        Client::connect(&self.url(), NoTls).unwrap()
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        server().run(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

struct Server {
    port: u16,
    admin: Mutex<Client>,
    /// Its standard input keeps the server running.
    _supervisor: Child,
}

impl Server {
    fn run(&self, sql: &str) {
        let mut admin = self.admin.lock().unwrap();
        admin.batch_execute(sql).unwrap();
    }
}

fn server() -> &'static Server {
    static SERVER_OF_SUITE: OnceLock<Server> = OnceLock::new();
    SERVER_OF_SUITE.get_or_init(start)
}

fn start() -> Server {
    let programs = programs()
        .expect("PostgreSQL's programs are installed, or LLMPROXY_TEST_DATABASE is not set");
    let dir = tempfile::Builder::new()
        .prefix("llmproxy-pg-")
        .tempdir()
        .unwrap()
        .keep();
    let free_port = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free_port.local_addr().unwrap().port();
    drop(free_port);
    // It refuses to run as root.
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    let mut command = if is_root {
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
        port,
        admin: Mutex::new(Client::connect(&url, NoTls).unwrap()),
        _supervisor: supervisor,
    }
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

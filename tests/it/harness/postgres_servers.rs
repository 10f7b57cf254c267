//! Servers of one test: a PostgreSQL that may be killed, cut off and promoted, and PgBouncer in front of
//! the suite's one.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use postgres::{Client, NoTls};

use super::{
    PATIENCE,
    postgres_suite::{PostgresDatabase, as_postgres, free_port, is_root, programs, suite_port},
    wait_until,
};

/// A server that was killed under load reads its log before it answers.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// How a server differs from the plainest one.
#[derive(Default)]
pub struct Setup<'s> {
    /// A process whose network the server is in, and its address there.
    pub network: Option<(u32, &'s str)>,
    /// A certificate and its key, both as PEM.
    pub tls: Option<(&'s str, &'s str)>,
    /// The password without which nobody is let in.
    pub password: Option<&'s str>,
}

/// A server of one test, which may kill it.
pub struct PostgresServer {
    dir: PathBuf,
    pub port: u16,
    network: Option<u32>,
    address: String,
    settings: Vec<String>,
    child: Option<Child>,
}

impl PostgresServer {
    pub fn start() -> Self {
        Self::start_as(&Setup::default())
    }

    pub fn start_as(setup: &Setup<'_>) -> Self {
        let mut server = Self::without_data();
        server.run(
            "initdb",
            "-D data -U llmproxy -A trust -E UTF8 --locale=C --no-sync",
        );
        let mut rules = String::new();
        if let Some((process, address)) = setup.network {
            server.network = Some(process);
            address.clone_into(&mut server.address);
            rules.push_str("host all all 10.0.0.0/8 trust\n");
        }
        if let Some((certificate, key)) = setup.tls {
            server.file("server.crt", certificate);
            server.file("server.key", key);
            server.settings.push("ssl=on".to_owned());
        }
        if let Some(password) = setup.password {
            server.run_sql(&format!("ALTER ROLE llmproxy PASSWORD '{password}'"));
            rules.push_str("host all all 127.0.0.1/32 scram-sha-256\n");
        }
        if !rules.is_empty() {
            let path = server.dir.join("data/pg_hba.conf");
            let others = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, rules + &others).unwrap();
        }
        server.launch();
        server
    }

    /// Makes a standby of a server, to which each commit goes before it is acknowledged.
    pub fn standby_of(primary: &Self) -> Self {
        let mut standby = Self::without_data();
        let port = primary.port;
        standby.run(
            "pg_basebackup",
            &format!("-D data -h 127.0.0.1 -p {port} -U llmproxy -R -X stream -c fast"),
        );
        standby.launch();
        let mut admin = primary.connect("postgres");
        admin
            .batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            .unwrap();
        admin.batch_execute("SELECT pg_reload_conf()").unwrap();
        standby
    }

    fn without_data() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("llmproxy-pg-")
            .tempdir()
            .unwrap()
            .keep();
        give_to_postgres(&dir);
        Self {
            dir,
            port: free_port(),
            network: None,
            address: "127.0.0.1".to_owned(),
            settings: Vec::new(),
            child: None,
        }
    }

    /// Starts the server, also again.
    pub fn launch(&mut self) {
        let program = programs().unwrap().join("postgres");
        let mut command = match self.network {
            None => as_postgres(&program),
            Some(process) => {
                let mut command = Command::new("nsenter");
                command.args(["-t", &process.to_string(), "-n"]);
                let inner = as_postgres(&program);
                command.arg(inner.get_program()).args(inner.get_args());
                command
            }
        };
        let dir = self.dir.display();
        let mut settings = vec![
            format!("listen_addresses={}", self.address),
            format!("unix_socket_directories={dir}"),
            "fsync=off".to_owned(),
        ];
        settings.extend_from_slice(&self.settings);
        command
            .args(["-D", "data", "-p", &self.port.to_string()])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let url = self.socket_url("postgres");
        let child = self.child.insert(command.spawn().unwrap());
        wait_until("the server answers", START_PATIENCE, || {
            // It refuses to start while a process of one that was killed still uses its memory.
            if child.try_wait().unwrap().is_some() {
                *child = command.spawn().unwrap();
            }
            Client::connect(&url, NoTls).is_ok()
        });
    }

    /// Kills the server as `kill -9` does, with all its connections.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends a signal to all processes of the server.
    pub fn signal(&self, signal: &str) {
        let Some(child) = &self.child else { return };
        let server = child.id().to_string();
        let processes = std::fs::read_dir("/proc").unwrap();
        let names = processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        // Behind the name in parentheses: the state, and the parent (proc(5)).
        let is_child = |process: &String| {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
            let stat = stat.unwrap_or_default();
            let (_, rest) = stat.rsplit_once(')').unwrap_or_default();
            rest.split_whitespace().nth(1) == Some(&*server)
        };
        let children: Vec<String> = names.filter(is_child).collect();
        assert!(!children.is_empty(), "it has connections");
        let all = children.join(" ");
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -s {signal} {all} {server}")])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Makes a standby the server that takes writes.
    pub fn promote(&self) {
        self.run("pg_ctl", "-D data -w promote");
    }

    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://llmproxy@{}:{}/{database}",
            self.address, self.port
        )
    }

    /// Connects by the socket in the file system, whatever network the server is in.
    pub fn connect(&self, database: &str) -> Client {
        Client::connect(&self.socket_url(database), NoTls).unwrap()
    }

    fn socket_url(&self, database: &str) -> String {
        let dir = self.dir.display().to_string().replace('/', "%2F");
        format!("postgres://llmproxy@{dir}:{}/{database}", self.port)
    }

    /// Writes a file of the database's directory, that only the server's user can read.
    fn file(&self, name: &str, content: &str) {
        let path = self.dir.join("data").join(name);
        std::fs::write(&path, content).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).unwrap();
        give_to_postgres(&path);
    }

    /// Runs a statement while the server is not running.
    fn run_sql(&self, sql: &str) {
        let program = programs().unwrap().join("postgres");
        let mut child = as_postgres(&program)
            .args(["--single", "-D", "data", "postgres"])
            .current_dir(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, format!("{sql}\n").as_bytes()).unwrap();
        drop(input);
        assert!(child.wait().unwrap().success());
    }

    fn run(&self, program: &str, arguments: &str) {
        let ran = as_postgres(&programs().unwrap().join(program))
            .args(arguments.split(' '))
            .current_dir(&self.dir)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{program}: {ran:?}");
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// PgBouncer in transaction mode in front of the suite's server.
pub struct Bouncer {
    dir: tempfile::TempDir,
    pub port: u16,
    child: Child,
}

impl Bouncer {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = users.txt\npool_mode = transaction\nmax_client_conn = 200\n\
             default_pool_size = 5\n",
            suite_port()
        );
        let path = dir.path().join("pgbouncer.ini");
        std::fs::write(&path, config).unwrap();
        std::fs::write(dir.path().join("users.txt"), "\"llmproxy\" \"\"\n").unwrap();
        give_to_postgres(dir.path());
        let child = as_postgres(Path::new("pgbouncer"))
            .arg(&path)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bouncer = Self { dir, port, child };
        wait_until("PgBouncer answers", PATIENCE, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        bouncer
    }

    /// Returns the URL of a database that goes through PgBouncer.
    pub fn url(&self, database: &PostgresDatabase) -> String {
        assert!(self.dir.path().exists());
        format!(
            "postgres://llmproxy@127.0.0.1:{}/{}",
            self.port,
            database.name()
        )
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn give_to_postgres(path: &Path) {
    if is_root() {
        let owned = Command::new("chown")
            .args(["-R", "postgres"])
            .arg(path)
            .status();
        assert!(owned.unwrap().success());
    }
}

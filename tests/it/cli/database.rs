//! A database is private to its owner, and an unsuitable one is refused.

use std::os::unix::fs::PermissionsExt;

use super::home;
use crate::harness::{ASK, Backend, Home, PATIENCE, Ran, chat_completion, wait_until};

#[test]
fn every_form_of_a_database_url_means_its_file() {
    let forms = [
        (None, "llm_proxy.db"),
        (Some("sqlite+aiosqlite:///./llm_proxy.db"), "llm_proxy.db"),
        (Some("sqlite+aiosqlite:///plain.db"), "plain.db"),
        (Some("sqlite+pysqlite:///pysqlite.db"), "pysqlite.db"),
        (Some("sqlite:///relative.db"), "relative.db"),
        (Some("sqlite:///./dotted.db"), "dotted.db"),
        (Some("sqlite:///data/inner.db"), "data/inner.db"),
        (Some("sqlite:////HOME/absolute.db"), "absolute.db"),
        (Some("sqlite+aiosqlite:////HOME/aio.db"), "aio.db"),
        (Some("sqlite://two-slashes.db"), "two-slashes.db"),
        (Some("bare.db"), "bare.db"),
        (Some("./data/bare.db"), "data/bare.db"),
        (Some("/HOME/bare-absolute.db"), "bare-absolute.db"),
        (Some("sqlite:///with%20space.db"), "with space.db"),
        (Some("name with space.db"), "name with space.db"),
    ];
    for (url, file) in forms {
        let home = home().unset("DATABASE_URL");
        std::fs::create_dir(home.path("data")).unwrap();
        let here = home.path("").display().to_string();
        let home = match url {
            Some(url) => home.set("DATABASE_URL", &url.replace("/HOME/", &here)),
            None => home,
        };
        home.user("alice");
        assert!(home.path(file).is_file(), "{url:?} means {file}");
        let list = home.cli(&["user", "list", "--json"]);
        assert_eq!(list.json()["users"][0]["username"], "alice", "{url:?}");
    }
}

#[test]
fn another_database_url_is_refused_without_showing_its_password() {
    let urls = [
        "mysql://root:hunter2@db.example/llm",
        "oracle://scott:hunter2@db.example/llm",
        "http://user:hunter2@db.example/llm.db",
        "sqlite:///:memory:",
        ":memory:",
        "sqlite://",
    ];
    for url in urls {
        let home = home().set("DATABASE_URL", url);
        for ran in [home.refused(), home.cli(&["user", "add", "alice"])] {
            ran.assert_one_line_error();
            assert!(ran.stderr.contains("DATABASE_URL"), "{ran:?}");
            assert!(
                ran.stderr.contains("sqlite:///"),
                "it lists what is accepted: {ran:?}"
            );
            assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
        }
    }
}

/// A home whose commands are run by somebody who hides nothing.
fn open_minded(backend: &Backend) -> Home {
    Home::new(backend).launched_by("umask 0; exec")
}

#[track_caller]
fn assert_private(home: &Home, files: &[&str]) {
    for file in files {
        let mode = std::fs::metadata(home.path(file))
            .unwrap_or_else(|error| panic!("{file}: {error}"))
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}: {mode:o}");
    }
}

const FILES: [&str; 3] = ["test.db", "test.db-wal", "test.db-shm"];

#[test]
fn a_database_made_by_a_command_is_readable_by_its_owner_only() {
    let backend = Backend::json(chat_completion(1, 1));
    let home = open_minded(&backend);
    let key = home.user("alice");
    assert_private(&home, &FILES[..1]);
    // Kept open, so that the next command leaves its log behind.
    let reader = home.database();
    reader
        .query_row("SELECT count(*) FROM users", [], |_| Ok(()))
        .unwrap();
    home.user("bob");
    assert_private(&home, &FILES);
    let proxy = home.serve();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    assert_private(&proxy, &FILES);
}

#[test]
fn a_database_made_by_the_server_is_readable_by_its_owner_only() {
    let backend = Backend::json(chat_completion(1, 1));
    let proxy = open_minded(&backend).serve();
    assert_private(&proxy, &FILES);
    let key = proxy.user("alice");
    wait_until("alice's key works", PATIENCE, || {
        proxy.chat(&key, ASK).status == 200
    });
    assert_private(&proxy, &FILES);
}

/// What `serve` and a command say of the file that `make` has put in place.
fn refusals(make: impl Fn(&std::path::Path)) -> [Ran; 3] {
    let home = home();
    make(&home.path("test.db"));
    [
        home.refused(),
        home.cli(&["user", "list"]),
        home.cli(&["costs"]),
    ]
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    for ran in refusals(|path| {
        let database = rusqlite::Connection::open(path).unwrap();
        database
            .execute_batch("CREATE TABLE users (id INTEGER); PRAGMA user_version = 9999")
            .unwrap();
    }) {
        ran.assert_one_line_error();
        assert!(
            ran.stderr.contains("9999") || ran.stderr.contains("newer"),
            "{ran:?}"
        );
    }
}

/// What 0.1.0 made.
const OF_VERSION_0_1_0: &str = concat!(
    include_str!("../../../src/core/store/sqlite/migrations/001_init.sql"),
    "PRAGMA user_version = 1;"
);

#[test]
fn only_the_server_migrates_an_older_database() {
    // A server of that version may be writing into it, in its own way.
    let home = home();
    rusqlite::Connection::open(home.path("test.db"))
        .unwrap()
        .execute_batch(OF_VERSION_0_1_0)
        .unwrap();
    let version = |home: &Home| -> i64 {
        home.database()
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    };
    let commands: [&[&str]; 5] = [
        &["user", "add", "alice"],
        &["user", "list"],
        &["user", "forbid", "alice"],
        &["user", "hash-keys"],
        &["costs"],
    ];
    for command in commands {
        let ran = home.cli(command);
        ran.assert_one_line_error();
        assert!(
            ran.stderr.contains("older version") && ran.stderr.contains("llmproxy serve"),
            "{ran:?}"
        );
        assert_eq!(version(&home), 1, "{command:?} leaves it alone");
    }
    let proxy = home.serve();
    assert!(version(&proxy) > 1);
    proxy.user("alice");
}

#[test]
fn adding_a_user_reports_a_new_database() {
    let home = home().unset("DATABASE_URL");
    let first = home.cli(&["user", "add", "alice"]);
    assert_eq!(
        first.stderr, "llmproxy: created a new database at \"./llm_proxy.db\"\n",
        "{first:?}"
    );
    assert!(first.stdout.starts_with("llmp-") && first.stdout.lines().count() == 1);
    let second = home.cli(&["user", "add", "bob"]);
    assert_eq!((second.code, second.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let text = "This is my diary, and not a database.\n".repeat(100);
    let home = home().file("test.db", &text);
    for ran in [
        home.refused(),
        home.cli(&["user", "list"]),
        home.cli(&["user", "add", "alice"]),
    ] {
        ran.assert_one_line_error();
        assert!(ran.stderr.contains("test.db"), "{ran:?}");
    }
    assert_eq!(std::fs::read_to_string(home.path("test.db")).unwrap(), text);
}

#[test]
fn a_path_that_cannot_hold_a_database_is_refused() {
    for ran in refusals(|path| std::fs::create_dir(path).unwrap()) {
        ran.assert_one_line_error();
        assert!(ran.stderr.contains("test.db"), "{ran:?}");
    }
    let home = home().set("DATABASE_URL", "sqlite:///no/such/directory/test.db");
    for ran in [home.refused(), home.cli(&["user", "add", "alice"])] {
        ran.assert_one_line_error();
        assert!(ran.stderr.contains("no/such/directory"), "{ran:?}");
    }
}

#[test]
fn a_database_deleted_between_runs_starts_anew() {
    let home = home();
    home.user("alice");
    for file in ["test.db", "test.db-wal", "test.db-shm"] {
        let _ = std::fs::remove_file(home.path(file));
    }
    home.user("alice");
    assert_eq!(home.users().len(), 1);
}

#[test]
fn commands_at_the_same_time_do_not_disturb_each_other() {
    let home = home();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let home = &home;
            scope.spawn(move || home.user(&format!("user {n}")));
        }
    });
    assert_eq!(home.users().len(), 8);
}

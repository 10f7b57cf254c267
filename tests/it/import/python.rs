//! The database of the Python service, as SQLAlchemy makes it.

use super::*;

pub const ALICE: &str = "llmp-a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718";
pub const BOB: &str = "llmp-b1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718";

pub const SQL: &str = "
CREATE TABLE users (
	id INTEGER NOT NULL, 
	username VARCHAR(255) NOT NULL, 
	api_key VARCHAR(255) NOT NULL, 
	created_at DATETIME, 
	is_active BOOLEAN, 
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX ix_users_username ON users (username);
CREATE UNIQUE INDEX ix_users_api_key ON users (api_key);
CREATE TABLE usage_logs (
	id INTEGER NOT NULL, 
	user_id INTEGER NOT NULL, 
	model VARCHAR(255) NOT NULL, 
	input_tokens INTEGER, 
	output_tokens INTEGER, 
	cached_tokens INTEGER, 
	created_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(user_id) REFERENCES users (id)
);
INSERT INTO users VALUES
    (1, 'alice', 'llmp-a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718', '2024-01-15 10:30:00.123456', 1),
    (2, 'bob', 'llmp-b1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718', '2024-02-15 10:30:00.000000', 0);
INSERT INTO usage_logs VALUES
    (1, 1, 'gpt-4.1-mini', 1000, 500, 200, '2026-02-08 10:00:00.000001'),
    (2, 1, 'gpt-4.1-mini', 2000, 100, NULL, '2026-02-09 10:00:00.999999'),
    (3, 2, 'no-such-model', 10, 5, 0, '2026-02-08 10:00:00');
";

#[test]
fn keys_and_usage_of_the_python_service_come_over() {
    let (_backend, home) = home();
    let source = database(&home, "old.db", SQL);
    drop(source);
    let before = bytes(&home, "old.db");
    let summary = import(&home, &["old.db"]);
    assert_eq!(summary["format"], "python");
    assert_eq!(
        (&summary["new_users"], &summary["new_rows"]),
        (&2.into(), &3.into())
    );
    assert_eq!(summary["unpriced_rows"], 1);
    // 2,800 at 0.40, 200 at 0.10, 600 at 1.60 dollars a million.
    let cost = "0.002100000";
    assert_eq!(summary["cost_usd"], cost);
    assert_eq!(sums(&home, "alice"), (3000, 200, 600, 2, cost.to_owned()));
    assert_eq!(sums(&home, "bob"), (10, 0, 5, 1, "0.000000000".to_owned()));
    let users = home.users();
    assert_eq!(users[0]["api_key"], ALICE);
    assert_eq!(users[0]["created_at"], "2024-01-15T10:30:00Z");
    assert_eq!(users[1]["is_active"], false);
    let rows = home.rows();
    assert_eq!(rows[0].started_at_ms, 1_770_544_800_000);
    assert_eq!((rows[0].endpoint.as_str(), rows[0].status), ("import", 200));
    assert_consistent(&home);
    assert_eq!(bytes(&home, "old.db"), before, "the source is not changed");
    assert!(!home.path("old.db-wal").exists() && !home.path("old.db-journal").exists());
    let proxy = home.serve();
    wait_for_chat(&proxy, ALICE, 200);
    wait_for_chat(&proxy, BOB, 403);
    let found = proxy.cli(&["costs", "--by", "key", "--user", "alice", "--json"]);
    assert!(found.stdout.contains("llmp-a1b2…0718"), "{found:?}");
}

#[test]
fn other_names_of_columns_are_understood() {
    let (_backend, home) = home();
    database(
        &home,
        "old.db",
        "CREATE TABLE users (uid TEXT, name TEXT, token TEXT, disabled INTEGER);
         CREATE TABLE usage_logs (id TEXT PRIMARY KEY, username TEXT, model_name TEXT, prompt_tokens REAL,
             completion_tokens TEXT, timestamp REAL, status_code INTEGER);
         INSERT INTO users VALUES ('u-1', 'alice', 'llmp-a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718', 0),
             ('u-2', 'bob', 'llmp-b1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718', 1);
         INSERT INTO usage_logs VALUES ('x', 'alice', 'gpt-4.1-mini', 1000.0, '500', 1770544800.5, 200),
             ('y', 'bob', 'gpt-4.1-mini', 1, '1', 1770544800, 502);",
    );
    import(&home, &["old.db"]);
    let (input, _, output, requests, _) = sums(&home, "alice");
    assert_eq!((input, output, requests), (1000, 500, 1));
    assert_eq!(sums(&home, "bob").3, 0, "it was no success");
    assert_eq!(home.rows()[0].started_at_ms, 1_770_544_800_500);
    assert_eq!(home.users()[1]["is_active"], false);
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there() {
    let (_backend, home) = home();
    database(
        &home,
        "old.db",
        "CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT, api_key TEXT);
         CREATE TABLE usage_logs (id INTEGER PRIMARY KEY, user_id INTEGER, model TEXT, tin INTEGER, tout INTEGER, timestamp TEXT);",
    );
    let error = refused(&home, &["old.db"]);
    for part in [
        "the table \"usage_logs\" has no column for the input tokens",
        "it has id, user_id, model, tin, tout, timestamp",
        "none of input_tokens, prompt_tokens",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    database(
        &home,
        "old.db",
        "ALTER TABLE users RENAME COLUMN api_key TO pass",
    );
    let error = refused(&home, &["old.db"]);
    assert!(
        error.contains("no column for the key: it has id, username, pass"),
        "{error}"
    );
    assert!(
        !home.path("test.db").exists(),
        "no database is made for nothing"
    );
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let (_backend, home) = home();
    database(&home, "old.db", SQL);
    let looked = import(&home, &["old.db", "--dry-run"]);
    assert_eq!(looked["is_dry_run"], true);
    assert!(!home.path("test.db").exists(), "not even a database");
    let came = import(&home, &["old.db"]);
    for member in [
        "new_users",
        "new_keys",
        "new_rows",
        "input_tokens",
        "cost_usd",
        "users",
        "notes",
    ] {
        assert_eq!(looked[member], came[member], "{member}");
    }
    database(
        &home,
        "old.db",
        "INSERT INTO users VALUES (3, 'carol', 'llmp-c1b2c3d4e5f60718293a4b5c6d7e8f90', NULL, 1)",
    );
    home.writable_database()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let before = bytes(&home, "test.db");
    assert_eq!(import(&home, &["old.db", "--dry-run"])["new_users"], 1);
    assert_eq!(home.users().len(), 2);
    assert_eq!(bytes(&home, "test.db"), before);
    let ran = run(&home, &["import", "old.db", "--dry-run"]);
    assert!(ran.stdout.contains("nothing was written"), "{ran:?}");
}

#[test]
fn names_and_keys_of_others_are_named_and_nothing_is_imported() {
    let (_backend, home) = home();
    run(&home, &["user", "add", "alice"]);
    run(&home, &["user", "add", "robert", "--key", BOB]);
    database(&home, "old.db", SQL);
    let ran = home.cli(&["import", "old.db"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for part in [
        "users row 1: the name \"alice\" is taken",
        "users row 2: the key llmp-b1b2…0718 belongs to \"robert\" here",
        "nothing was imported",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {ran:?}");
    }
    assert!(
        !ran.stderr.contains(&BOB[9..20]),
        "no key is shown: {ran:?}"
    );
    assert_eq!(home.users().len(), 2);
    assert!(home.rows().is_empty());
}

#[test]
fn twenty_mistakes_are_named_and_the_rest_counted() {
    let (_backend, home) = home();
    let source = database(&home, "old.db", SQL);
    for n in 0..33 {
        let sql = "INSERT INTO users (username, api_key) VALUES (?1, 'with space ' || ?1)";
        source.execute(sql, [format!("user {n}")]).unwrap();
    }
    let ran = home.cli(&["import", "old.db"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.stderr.matches("users row").count(), 20, "{ran:?}");
    assert!(ran.stderr.contains("and 13 more"), "{ran:?}");
}

#[test]
fn names_that_cannot_be_here_are_changed_and_rows_that_cannot_be_are_left_out() {
    let (_backend, home) = home();
    let source = database(&home, "old.db", SQL);
    source
        .execute_batch(
            "UPDATE users SET username = 'al' || char(7) || 'ice' WHERE id = 1;
             UPDATE users SET username = '' WHERE id = 2;
             INSERT INTO usage_logs VALUES (4, 1, 'm', -5, 1, 0, '2026-02-08'), (5, 1, 'm', 9223372036854775807, 1, 0, '2026-02-08'),
                 (6, 99, 'm', 1, 1, 0, '2026-02-08'), (7, 1, 'm', 1, 1, 0, 'yesterday'), (8, 1, 'm', x'00ff', 1, 0, '2026-02-08');",
        )
        .unwrap();
    let summary = import(&home, &["old.db"]);
    let names: Vec<&str> = summary["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["username"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["al_ice", "user-2"]);
    assert_eq!(summary["new_rows"], 3);
    assert_eq!(
        summary["notes"].as_array().unwrap().len(),
        6,
        "{}",
        summary["notes"]
    );
    let ran = run(&home, &["import", "old.db"]);
    assert!(
        ran.stdout
            .contains("their user is not in the file: 1 (row 6)"),
        "{ran:?}"
    );
}

#[test]
fn with_hashed_keys_no_key_is_stored() {
    let (_backend, home) = home();
    let home = home.set("STORE_KEYS", "hashed");
    database(&home, "old.db", SQL);
    import(&home, &["old.db"]);
    for file in ["test.db", "test.db-wal"] {
        let bytes = std::fs::read(home.path(file)).unwrap_or_default();
        assert!(
            memchr::memmem::find(&bytes, ALICE.as_bytes()).is_none(),
            "{file}"
        );
    }
    let proxy = home.serve();
    wait_for_chat(&proxy, ALICE, 200);
}

#[test]
fn all_users_can_be_put_into_one_group() {
    let (_backend, home) = home();
    database(&home, "old.db", SQL);
    let summary = import(&home, &["old.db", "--group", "course-7"]);
    assert_eq!(summary["new_groups"], 1);
    assert!(home.users().iter().all(|user| user["group"] == "course-7"));
}

#[test]
fn the_tables_fit_a_terminal_of_80_columns() {
    let (_backend, home) = home();
    database(&home, "old.db", SQL);
    let ran = run(&home, &["import", "old.db", "--dry-run"]);
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(
        ran.stdout.contains("llmp-a1b2…0718") && !ran.stdout.contains(ALICE),
        "{ran:?}"
    );
}

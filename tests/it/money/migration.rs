//! A database of each earlier version becomes one of this version when the server starts.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use rusqlite::{Connection, params};
use serde_json::Value;

use super::{dump_of, wait_until_summed};
use crate::harness::{ASK, Backend, Home, PATIENCE, Proxy, alone, wait_until};

/// The steps as earlier programs ran them. Three of them are written in a faster way today.
const STEPS: [&str; 7] = [
    include_str!("../../../src/core/store/sqlite/migrations/001_init.sql"),
    include_str!("schema/002_rollup.sql"),
    include_str!("../../../src/core/store/sqlite/migrations/003_objects.sql"),
    include_str!("../../../src/core/store/sqlite/migrations/004_kept_estimates.sql"),
    include_str!("schema/005_estimates.sql"),
    include_str!("../../../src/core/store/sqlite/migrations/006_expiring_objects.sql"),
    include_str!("schema/007_estimated_parts.sql"),
];

/// Keys of alice, bob and carol, and their hashes.
struct Keys(Vec<(String, Vec<u8>)>);

impl Keys {
    fn make(backend: &Backend) -> Self {
        let home = Home::new(backend);
        let keys = ["alice", "bob", "carol"].map(|name| home.user(name));
        let database = home.database();
        let hash = |id: usize| -> Vec<u8> {
            let sql = "SELECT hash FROM keys WHERE id = ?1";
            database
                .query_row(sql, [i64::try_from(id).unwrap()], |row| row.get(0))
                .unwrap()
        };
        Self(
            keys.into_iter()
                .enumerate()
                .map(|(place, key)| (key, hash(place + 1)))
                .collect(),
        )
    }
}

/// Makes a database of a version with alice, whose key is in clear, bob, of whose key only the ends
/// are kept, and rows of both and of carol, the newest user, who was removed by hand.
fn make(path: &Path, version: usize, keys: &Keys, rows: i64) {
    let mut database = Connection::open(path).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    let transaction = database.transaction().unwrap();
    for step in &STEPS[..version] {
        transaction.execute_batch(step).unwrap();
    }
    transaction
        .pragma_update(None, "user_version", i64::try_from(version).unwrap())
        .unwrap();
    for (place, name) in ["alice", "bob", "carol"].into_iter().enumerate() {
        let (key, hash) = &keys.0[place];
        let kept = if name == "alice" {
            key.clone()
        } else {
            format!("{}…{}", &key[..9], &key[key.len() - 4..])
        };
        let values = params![name, kept, hash, 1_700_000_000_000_i64];
        let insert = "INSERT INTO users (username, api_key, key_hash, created_at_ms) VALUES (?1, ?2, ?3, ?4)";
        transaction.execute(insert, values).unwrap();
    }
    transaction
        .execute("DELETE FROM users WHERE username = 'carol'", [])
        .unwrap();
    transaction
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
             INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, served_model, input_tokens, output_tokens, cached_tokens,
                 reasoning_tokens, status, outcome, usage_source, duration_ms, first_byte_ms)
             SELECT 1764000000000 + i * 60000, 1 + i % 3, iif(i % 5 = 0, '/v1/responses', '/v1/chat/completions'),
                 iif(i % 2 = 0, 'gpt-4o', 'own'), NULL, iif(i % 7 = 6, 0, 100 + i % 1000), i % 50, i % 100, i % 10,
                 CASE WHEN i % 7 = 6 THEN 400 WHEN i % 11 = 3 THEN 499 ELSE 200 END, 'completed',
                 CASE WHEN i % 7 = 6 THEN 'none' WHEN i % 4 = 1 THEN 'estimate' ELSE 'backend' END, 5, NULL FROM n",
            [rows],
        )
        .unwrap();
    // From the second version on the newest rows are not summed yet.
    let summed = if version == 1 { rows } else { rows * 9 / 10 };
    let (estimates, estimated) = if version >= 5 {
        (
            ", estimated_requests, estimated_input_tokens, estimated_output_tokens",
            ", sum(usage_source = 'estimate' AND status BETWEEN 200 AND 299), \
             sum(iif(usage_source = 'estimate', input_tokens, 0)), sum(iif(usage_source = 'estimate', output_tokens, 0))",
        )
    } else {
        ("", "")
    };
    transaction
        .execute(
            &format!(
                "INSERT INTO usage_hourly (hour, user_id, endpoint, model, requests, requests_ok, input_tokens, output_tokens,
                     cached_tokens, reasoning_tokens{estimates})
                 SELECT started_at_ms / 3600000, user_id, endpoint, model, count(*), sum(status BETWEEN 200 AND 299),
                     sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(reasoning_tokens){estimated}
                 FROM usage_logs WHERE id <= ?1 GROUP BY 1, 2, 3, 4"
            ),
            [summed],
        )
        .unwrap();
    if version >= 2 {
        let sql = "UPDATE usage_rollup SET last_id = ?1";
        transaction.execute(sql, [summed]).unwrap();
    }
    if version >= 3 {
        let sql = "INSERT INTO objects (id, kind, user_id, made_at_ms, is_settled) VALUES ('file-1', 'file', 1, 1764000000000, 1)";
        transaction.execute(sql, []).unwrap();
    }
    transaction.commit().unwrap();
}

/// Sums of a user and model: input, output, cached and reasoning tokens, requests, estimated requests
/// and input, unpriced.
type Sums = Vec<(String, String, [i64; 8])>;

fn sums_of_rows(database: &Connection) -> Sums {
    let mut statement = database
        .prepare(
            "SELECT CASE user_id WHEN 1 THEN 'alice' WHEN 2 THEN 'bob' ELSE '(deleted user 3)' END, model, sum(input_tokens),
                 sum(output_tokens), sum(cached_tokens), sum(reasoning_tokens), sum(status = 200),
                 sum(usage_source = 'estimate' AND status = 200), sum(iif(usage_source = 'estimate', input_tokens, 0)),
                 sum(status = 200 OR input_tokens > 0 OR output_tokens > 0)
             FROM usage_logs GROUP BY 1, 2 ORDER BY 1, 2",
        )
        .unwrap();
    let sums = statement.query_map([], |row| {
        let mut sums = [0; 8];
        for (place, sum) in sums.iter_mut().enumerate() {
            *sum = row.get(place + 2)?;
        }
        Ok((row.get(0)?, row.get(1)?, sums))
    });
    sums.unwrap().map(Result::unwrap).collect()
}

#[track_caller]
fn sums_of_report(proxy: &Proxy) -> Sums {
    let report = proxy.get_json("/admin/list_costs?by=user,model");
    let lines = report["costs"].as_array().unwrap().iter();
    let mut sums: Sums = lines
        .map(|line| {
            let members = [
                "total_input_tokens",
                "total_output_tokens",
                "total_cached_tokens",
                "total_reasoning_tokens",
                "total_requests",
                "estimated_requests",
                "estimated_input_tokens",
                "unpriced_requests",
            ];
            let text = |member: &str| line[member].as_str().unwrap().to_owned();
            let sums = members.map(|member| line[member].as_i64().unwrap());
            (text("username"), text("model"), sums)
        })
        .collect();
    sums.sort();
    sums
}

#[test]
fn each_earlier_version_is_migrated_with_all_users_keys_rows_and_sums() {
    let backend = Backend::chats(3, 4);
    let keys = Keys::make(&backend);
    for version in 1..=STEPS.len() {
        let home = Home::new(&backend);
        make(&home.path("test.db"), version, &keys, 700);
        let before = sums_of_rows(&home.database());
        let old = home.cli(&["costs"]);
        old.assert_one_line_error();
        for word in ["llmproxy serve", &format!("schema {version},")] {
            assert!(old.stderr.contains(word), "{word}: {old:?}");
        }
        let proxy = home.serve();
        assert_eq!(sums_of_report(&proxy), before, "version {version}");
        for place in 0..2 {
            let answer = proxy.chat(&keys.0[place].0, ASK);
            assert_eq!(answer.status, 200, "version {version}: {answer:?}");
        }
        assert_eq!(proxy.chat(&keys.0[2].0, ASK).status, 401);
        for text in [
            "migrating the database:",
            "rows=700",
            &format!("from={version}"),
            "the database is migrated",
        ] {
            proxy.wait_for_log(text);
        }
        wait_until_summed(&proxy);
        let mut with_new = before.clone();
        with_new.extend(["alice", "bob"].map(|name| {
            (
                name.to_owned(),
                "gpt-4.1-mini".to_owned(),
                [3, 4, 0, 0, 1, 0, 0, 0],
            )
        }));
        with_new.sort();
        assert_eq!(
            sums_of_report(&proxy),
            with_new,
            "version {version}, summed"
        );
        assert_ids(&proxy, version);
        assert_view_and_integrity(&proxy, version);
    }
}

/// Checks that keys have the ids of their users, and that no id is given twice.
#[track_caller]
fn assert_ids(proxy: &Proxy, version: usize) {
    let database = proxy.database();
    let mut statement = database
        .prepare("SELECT id, user_id, clear IS NOT NULL, display FROM keys ORDER BY id")
        .unwrap();
    let found: Vec<(i64, i64, bool, String)> = statement
        .query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].0, found[0].1, found[0].2), (1, 1, true));
    assert_eq!((found[1].0, found[1].1, found[1].2), (2, 2, false));
    assert!(found.iter().all(|key| key.3.contains('…')), "{found:?}");
    proxy.user("dora");
    let (user_id, key_id): (i64, i64) = database
        .query_row(
            "SELECT users.id, keys.id FROM users JOIN keys ON user_id = users.id WHERE username = 'dora'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert!(
        user_id > 3 && key_id > 3,
        "version {version}: {user_id} {key_id}"
    );
    let by_key = proxy.get_json("/admin/list_costs?by=user,key");
    let key_of = |name: &str| -> Vec<String> {
        let lines = by_key["costs"].as_array().unwrap().iter();
        lines
            .filter(|line| line["username"] == name)
            .map(|line| line["key"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        key_of("alice").len(),
        1,
        "one key before and after: {by_key}"
    );
    assert!(key_of("alice")[0].starts_with("1:"), "{by_key}");
    assert_eq!(key_of("(deleted user 3)"), ["3:(removed)"]);
}

#[track_caller]
fn assert_view_and_integrity(proxy: &Proxy, version: usize) {
    let database = proxy.database();
    let view: (i64, i64, i64) = database
        .query_row(
            "SELECT count(*), sum(username = '(deleted user 3)'), sum(cost_usd IS NOT NULL) FROM usage",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(view, (702, 233, 2), "version {version}");
    let intact: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(intact, "ok", "version {version}");
    // A new database has the same columns in the same order.
    let fresh = Home::new(&Backend::chats(1, 1));
    fresh.user("alice");
    let columns = |database: &Connection, table: &str| -> Vec<String> {
        let mut statement = database
            .prepare("SELECT name || type || \"notnull\" || coalesce(dflt_value, '') FROM pragma_table_info(?1)")
            .unwrap();
        let columns = statement.query_map([table], |row| row.get(0)).unwrap();
        columns.map(Result::unwrap).collect()
    };
    for table in [
        "usage_logs",
        "usage_hourly",
        "usage_daily",
        "users",
        "keys",
        "objects",
        "usage",
    ] {
        assert_eq!(
            columns(&database, table),
            columns(&fresh.database(), table),
            "{table}, version {version}"
        );
    }
}

#[test]
fn a_migration_killed_at_ten_points_and_begun_again_loses_nothing() {
    let _alone = alone();
    let backend = Backend::chats(3, 4);
    let keys = Keys::make(&backend);
    let rows = 150_000;
    let reference = Home::new(&backend);
    make(&reference.path("test.db"), 1, &keys, rows);
    let start = std::fs::read(reference.path("test.db")).unwrap();
    assert!(
        !reference.path("test.db-wal").exists(),
        "all is in the file"
    );
    let begun = Instant::now();
    let reference = reference.serve();
    let whole = begun.elapsed();
    wait_until_summed(&reference);
    let tables = [
        "usage_hourly",
        "usage_daily",
        "users",
        "keys",
        "usage_rollup",
        "settings",
        "sqlite_sequence",
    ];
    let digest = |home: &Home| -> String {
        let database = home.database();
        let rows: String = database
            .query_row(
                "SELECT count(*) || ' ' || sum(id * (1 + input_tokens) * (1 + status) + started_at_ms % 977) FROM usage_logs",
                [],
                |row| row.get(0),
            )
            .unwrap();
        let tables = tables.map(|table| dump_of(&database, table));
        rows + &tables.join("\n")
    };
    let expected = digest(&reference);
    let home = Home::new(&backend);
    std::fs::write(home.path("test.db"), &start).unwrap();
    let version = || -> i64 {
        let database = home.database();
        database
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap()
    };
    let mut in_between = 0;
    // Other tests may have slowed the first migration down.
    let mut whole = whole;
    for point in (1..=10).cycle().take(30) {
        if in_between >= 10 {
            break;
        }
        if version() != 1 {
            std::fs::write(home.path("test.db"), &start).unwrap();
            let _ = std::fs::remove_file(home.path("test.db-wal"));
            let _ = std::fs::remove_file(home.path("test.db-shm"));
        }
        let mut child = home
            .command(&["serve"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Where it is killed is what this test varies.
        std::thread::sleep(whole * point / 11);
        child.kill().unwrap();
        child.wait().unwrap();
        if version() == 1 {
            in_between += 1;
        } else {
            whole = whole * 4 / 5;
        }
    }
    assert!(in_between >= 5, "{in_between} before the end");
    let proxy = home.serve();
    wait_until("all rows are summed", 3 * PATIENCE, || {
        digest(&proxy) == expected
    });
    eprintln!("{rows} rows in {whole:?}, {in_between} times killed before the end");
    let total: Value = proxy.get_json("/admin/list_costs");
    assert_eq!(
        total["total"],
        reference.get_json("/admin/list_costs")["total"]
    );
}

#[test]
fn two_servers_that_start_at_once_migrate_once() {
    let backend = Backend::chats(3, 4);
    let keys = Keys::make(&backend);
    let home = Home::new(&backend);
    make(&home.path("test.db"), 3, &keys, 20_000);
    let before = sums_of_rows(&home.database());
    let mut second = home
        .command(&["serve"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let proxy = home.serve();
    wait_until_summed(&proxy);
    assert_eq!(sums_of_report(&proxy), before);
    second.kill().unwrap();
    second.wait().unwrap();
}

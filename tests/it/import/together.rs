//! Imports beside a running server, and large ones.

use std::time::Duration;

use super::{
    python::{ALICE, SQL},
    *,
};
use crate::harness::{ASK, alone};

/// Rows of the large import: some seconds of an unoptimised build.
const MANY: i64 = 60_000;

#[test]
fn a_running_server_knows_imported_keys_limits_and_usage() {
    let (_backend, home) = home();
    let (proxy, bob) = home.serve_alice();
    run(&proxy, &["user", "rename", "alice", "robert"]);
    database(&proxy, "old.db", SQL);
    let summary = import(&proxy, &["old.db"]);
    assert_eq!(summary["new_users"], 2);
    wait_for_chat(&proxy, ALICE, 200);
    assert_eq!(proxy.chat(&bob, ASK).status, 200);
    let costs = proxy.get_json("/admin/list_costs");
    let entries = costs["costs"].as_array().unwrap().iter();
    let alice = entries
        .clone()
        .find(|entry| entry["username"] == "alice")
        .unwrap();
    assert_eq!(alice["total_cached_tokens"], 200, "{costs}");
    let server = format!("http://{}", proxy.address());
    run(&proxy, &["audit", "--server", &server]);
    // A budget that is set now counts what was used there.
    run(
        &proxy,
        &["user", "set", "alice", "--budget", "3000tokens/total"],
    );
    wait_for_chat(&proxy, ALICE, 429);
}

/// Makes a database with many rows of alice and bob.
fn many_rows(home: &Home) {
    let source = database(home, "old.db", SQL);
    source
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 + 9)
             INSERT INTO usage_logs SELECT i, 1 + i % 2, 'gpt-4.1-mini', i % 1000, 5, 0, '2026-02-08 10:00:00' FROM n",
            [MANY],
        )
        .unwrap();
}

#[test]
fn an_import_that_was_killed_is_completed_by_importing_again() {
    let _alone = alone();
    let (_backend, home) = home();
    many_rows(&home);
    home.user("robert");
    let mut child = home
        .command(&["import", "old.db", "--json"])
        .spawn()
        .unwrap();
    let rows = || -> i64 {
        let count = "SELECT count(*) FROM usage_logs";
        home.database()
            .query_row(count, [], |row| row.get(0))
            .unwrap()
    };
    wait_until("some rows are there", PATIENCE, || rows() > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    let first = rows();
    assert!((1..MANY).contains(&first), "{first}");
    let is_active = || home.users()[1]["is_active"].clone();
    assert_eq!(is_active(), false, "no key works before all is booked");
    let summary = import(&home, &["old.db"]);
    assert_eq!(summary["known_rows"], first);
    assert_eq!(rows(), MANY + 3);
    assert_eq!(is_active(), true);
    assert_consistent(&home);
    assert_eq!(import(&home, &["old.db"])["new_rows"], 0);
}

#[test]
fn requests_are_served_while_a_large_import_runs() {
    let _alone = alone();
    let (_backend, home) = home();
    let (proxy, key) = home.serve_alice();
    run(&proxy, &["user", "rename", "alice", "robert"]);
    many_rows(&proxy);
    let mut command = proxy.command(&["import", "old.db", "--json"]);
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut served, mut slowest) = (0, Duration::ZERO);
    while child.try_wait().unwrap().is_none() {
        let start = std::time::Instant::now();
        let answer = proxy.chat(&key, ASK);
        assert_eq!(answer.status, 200, "{answer:?}");
        slowest = slowest.max(start.elapsed());
        served += 1;
        // The keys wait for all that they have used.
        let early = proxy.chat(ALICE, ASK).status;
        assert!(matches!(early, 401 | 403 | 200), "{early}");
    }
    let ran = Ran::end_of(child);
    assert_eq!(ran.json()["new_rows"], MANY + 3);
    eprintln!("{served} requests beside the import, the slowest took {slowest:?}");
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    wait_for_chat(&proxy, ALICE, 200);
    let server = format!("http://{}", proxy.address());
    wait_until("the sums agree", PATIENCE, || {
        proxy.cli(&["audit", "--server", &server]).code == Some(0)
    });
    assert_eq!(
        proxy.get_json("/admin/list_limits")["limits"],
        serde_json::json!([])
    );
}

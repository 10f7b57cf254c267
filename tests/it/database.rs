//! Nothing is served while the database file is missing or replaced, and backups are complete.

use std::fs;

use crate::harness::{
    ASK, ASK_STREAM, Backend, Home, PATIENCE, Proxy, assert_openai_error, wait_until,
};

fn backend() -> Backend {
    Backend::chats(19, 10)
}

/// Checks that a client gets no complete answer, because its row cannot be written.
#[track_caller]
fn assert_withheld(proxy: &Proxy, key: &str) {
    let answer = proxy.chat(key, ASK);
    assert!(answer.status != 200 || !answer.clean, "{answer:?}");
}

fn is_refused(proxy: &Proxy, key: &str) -> bool {
    let answer = proxy.chat(key, ASK);
    answer.status == 503 && answer.header("retry-after").is_some()
}

#[test]
fn nothing_is_served_while_the_database_file_is_missing() {
    let backend = backend();
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    let (file, away) = (proxy.path("test.db"), proxy.path("away.db"));
    fs::rename(&file, &away).unwrap();
    assert_withheld(&proxy, &key);
    wait_until("new requests get 503", PATIENCE, || {
        is_refused(&proxy, &key)
    });
    assert_openai_error(&proxy.chat(&key, ASK_STREAM), 503);
    proxy.wait_for_log("was deleted while the server runs");
    assert!(!file.exists(), "no new file is made in its place");

    fs::rename(&away, &file).unwrap();
    wait_until("requests are served again", PATIENCE, || {
        proxy.chat(&key, ASK).status == 200
    });
    assert!(
        proxy.rows().len() >= 3,
        "the row that had to wait is there too"
    );
}

#[test]
fn nothing_is_served_after_the_database_file_was_replaced() {
    let backend = backend();
    let (proxy, key) = Home::new(&backend).serve_alice();
    fs::copy(proxy.path("test.db"), proxy.path("other.db")).unwrap();
    fs::rename(proxy.path("other.db"), proxy.path("test.db")).unwrap();
    assert_withheld(&proxy, &key);
    wait_until("new requests get 503", PATIENCE, || {
        is_refused(&proxy, &key)
    });
    proxy.wait_for_log("was replaced while the server runs");
}

#[test]
fn a_backup_made_while_the_server_writes_is_complete() {
    let backend = backend();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let backup = proxy.path("backup.db");
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            for _ in 0..100 {
                assert_eq!(proxy.chat(&key, ASK).status, 200);
            }
        });
        wait_until("some rows are there", PATIENCE, || proxy.rows().len() > 10);
        // The statement of docs/accounting.md, through the library.
        let sql = format!("VACUUM INTO '{}'", backup.display());
        proxy.database().execute_batch(&sql).unwrap();
        busy.join().unwrap();
    });
    let copy = rusqlite::Connection::open(&backup).unwrap();
    let (integrity, rows, summed): (String, i64, i64) = copy
        .query_row(
            "SELECT (SELECT * FROM pragma_integrity_check), (SELECT count(*) FROM usage_logs), (SELECT coalesce(sum(requests), 0) FROM usage_hourly) \
             + (SELECT count(*) FROM usage_logs WHERE id > (SELECT last_id FROM usage_rollup))",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(integrity, "ok");
    assert!(
        rows > 10 && rows == summed,
        "{rows} rows, {summed} in the hourly sums"
    );
}

#[test]
fn two_servers_on_one_file_are_both_exact() {
    let backend = backend();
    let (first, key) = Home::new(&backend).serve_alice();
    let second = Home::new(&backend)
        .set("DATABASE_URL", first.path("test.db").to_str().unwrap())
        .serve();
    std::thread::scope(|scope| {
        for server in [&first, &second] {
            for body in [ASK, ASK_STREAM] {
                let key = &key;
                scope.spawn(move || {
                    for _ in 0..50 {
                        assert_eq!(server.chat(key, body).status, 200);
                    }
                });
            }
        }
    });
    let rows = first.rows();
    assert_eq!(rows.len(), 200);
    assert!(rows.iter().all(|row| row.tokens() == [19, 10, 0, 0]));
    let costs = first.get_json("/admin/list_costs");
    assert_eq!(costs, second.get_json("/admin/list_costs"));
    assert_eq!(costs["costs"][0]["total_input_tokens"], 200 * 19);
}

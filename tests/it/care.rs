//! Looking after the database: backup, restore, prune, check, size.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::harness::{ASK, Backend, Home, PATIENCE, Proxy, wait_until};

const DAY_MS: i64 = 86_400_000;

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_millis()).unwrap()
}

/// Writes a row of user 1 or 2 every 11 minutes, from so many days ago until now.
fn write_rows(home: &Home, days: i64) -> i64 {
    let database = home.writable_database();
    let sql = "WITH RECURSIVE times(at) AS (SELECT ?1 UNION ALL SELECT at + 660000 FROM times WHERE at + 660000 < ?2) \
        INSERT INTO usage_logs (started_at_ms, user_id, key_id, endpoint, model, input_tokens, output_tokens, cached_tokens, \
            reasoning_tokens, status, outcome, usage_source, duration_ms, cost_nano_usd) \
        SELECT at, 1 + at / 660000 % 2, 1 + at / 660000 % 2, '/v1/chat/completions', \
            iif(at / 660000 % 3, 'gpt-4.1', 'gpt-4o'), at / 1000 % 997, at / 1000 % 101, 0, 0, \
            iif(at / 660000 % 7, 200, 500), 'completed', 'backend', 5, at / 1000 % 100003 FROM times";
    let rows = database
        .execute(sql, [now_ms() - days * DAY_MS, now_ms()])
        .unwrap();
    i64::try_from(rows).unwrap()
}

fn count(home: &Home) -> i64 {
    let database = home.database();
    database
        .query_row("SELECT count(*) FROM usage_logs", [], |row| row.get(0))
        .unwrap()
}

fn stop(proxy: &mut Proxy) {
    proxy.signal("TERM");
    assert!(proxy.exit_within(PATIENCE).unwrap().success());
}

#[track_caller]
fn done(home: &Home, arguments: &[&str]) -> String {
    let ran = home.cli(arguments);
    assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    ran.stdout
}

/// The reports that must not change.
fn reports(home: &Home) -> Vec<String> {
    let month = |months_ago: i64| {
        let at = (now_ms() - months_ago * 31 * DAY_MS) / 1000;
        let time = humantime::format_rfc3339_seconds(
            std::time::UNIX_EPOCH + std::time::Duration::from_secs(at.unsigned_abs()),
        );
        time.to_string()[..7].to_owned()
    };
    let (last, before) = (month(1), month(2));
    let mut reports = Vec::new();
    for arguments in [
        &["costs", "--json", "--by-model"][..],
        &["costs", "--json", "--by", "day,user"],
        &["costs", "--json", "--by", "week,key,endpoint"],
        &["costs", "--json", "--by", "month,group,model"],
        &["costs", "--json", "--month", &last],
        &["costs", "--json", "--month", &before, "--by", "model"],
        &["costs", "--json", "--last-hours", "1"],
    ] {
        reports.push(done(home, arguments));
    }
    reports
}

#[test]
fn a_backup_of_a_busy_server_is_restored_when_it_has_stopped() {
    let backend = Backend::chats(7, 3);
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    for _ in 0..20 {
        assert_eq!(proxy.chat(&key, ASK).status, 200);
    }
    let file = proxy.path("copy.db");
    let name = file.display().to_string();
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            for _ in 0..50 {
                assert_eq!(proxy.chat(&key, ASK).status, 200);
            }
        });
        let copied = done(&proxy, &["backup", &name]);
        assert!(copied.contains("1 user, "), "{copied}");
        busy.join().unwrap();
    });
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = proxy.cli(&["backup", &name]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("never overwritten"), "{again:?}");

    done(&proxy, &["user", "add", "after-the-backup"]);
    let refused = proxy.cli(&["restore", &name, "--yes"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("stop it first"), "{refused:?}");
    assert_eq!(proxy.chat(&key, ASK).status, 200, "the server is not hurt");

    stop(&mut proxy);
    let home: &Home = &proxy;
    assert_eq!(home.rows().len(), 71);
    let unasked = home.cli(&["restore", &name]);
    assert_eq!(unasked.code, Some(2), "{unasked:?}");
    assert_eq!(home.rows().len(), 71);
    done(home, &["restore", &name, "--yes"]);
    assert!((20..=70).contains(&home.rows().len()));
    assert_eq!(home.users().len(), 1);
    done(home, &["db", "check"]);
    proxy.restart();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    let mode: String = proxy
        .database()
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn what_is_no_good_backup_is_not_restored() {
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend);
    home.user("alice");
    home.user("bob");
    write_rows(&home, 3);
    let name = home.path("copy.db").display().to_string();
    done(&home, &["backup", &name]);
    let mut bytes = std::fs::read(&name).unwrap();
    let middle = bytes.len() / 2;
    for byte in &mut bytes[middle..middle + 4096] {
        *byte ^= 0x5a;
    }
    std::fs::write(&name, &bytes).unwrap();
    for (file, said) in [
        (name.as_str(), "damaged"),
        ("/dev/null", "is no database of llmproxy"),
        ("no-such-file", "No such file"),
        ("/", "Is a directory"),
    ] {
        let before = count(&home);
        let ran = home.cli(&["restore", file, "--yes"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains(said) || file == "/", "{file}: {ran:?}");
        assert_eq!(count(&home), before);
    }
    std::fs::write(home.path("text.db"), "this is no database, by any means").unwrap();
    let ran = home.cli(&["restore", "text.db", "--yes"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");

    // A backup goes where there is no database yet, too.
    std::fs::remove_file(&name).unwrap();
    done(&home, &["backup", &name]);
    let other = Home::new(&backend);
    done(&other, &["restore", &name]);
    assert_eq!(other.users().len(), 2);
    assert_eq!(count(&other), count(&home));
}

#[test]
fn pruning_changes_no_total_and_gives_space_back() {
    for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata"] {
        let backend = Backend::chats(7, 3);
        let home = Home::new(&backend).set("TIME_ZONE", zone);
        home.user("alice");
        home.user("bob");
        let rows = write_rows(&home, 100);
        done(&home, &["user", "set", "alice", "--budget", "500usd/total"]);
        let (before, limits) = (reports(&home), done(&home, &["limits", "alice", "--json"]));
        let planned = done(&home, &["prune", "--older-than", "40d", "--dry-run"]);
        assert!(planned.contains("would delete"), "{planned}");
        assert_eq!(count(&home), rows);
        // So that the log of the database is in the file.
        home.writable_database()
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        let bytes = home.path("test.db").metadata().unwrap().len();
        let pruned = done(&home, &["prune", "--older-than", "40d", "--json"]);
        let pruned: Value = serde_json::from_str(&pruned).unwrap();
        let deleted = pruned["rows"].as_i64().unwrap();
        assert!(deleted > rows / 2, "{zone}: {deleted} of {rows}");
        assert_eq!(count(&home), rows - deleted);

        assert_eq!(reports(&home), before, "{zone}");
        assert_eq!(done(&home, &["limits", "alice", "--json"]), limits);
        done(&home, &["audit"]);
        done(&home, &["db", "check"]);
        home.writable_database()
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        let left = home.path("test.db").metadata().unwrap().len();
        assert!(left < bytes * 8 / 10, "{zone}: {left} of {bytes} bytes");

        // A second time, and by a server, which counts all of it in the budget.
        assert_eq!(
            done(&home, &["prune", "--older-than", "40d", "--json"])
                .matches("\"rows\":0")
                .count(),
            1
        );
        let proxy = home.serve();
        let server = format!("http://{}", proxy.address());
        done(&proxy, &["audit", "--server", &server]);
    }
}

/// What is deleted cannot be priced any more, so that a check that counted it would never be clean.
#[test]
fn the_check_of_prices_is_about_the_rows_that_are_there() {
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend);
    home.user("alice");
    home.user("bob");
    write_rows(&home, 60);
    let database = home.writable_database();
    let old = now_ms() - 50 * DAY_MS;
    let sql =
        "UPDATE usage_logs SET cost_nano_usd = NULL, model = 'unheard-of' WHERE started_at_ms < ?1";
    assert!(database.execute(sql, [old]).unwrap() > 0);
    let check = done(&home, &["price", "check", "--json"]);
    assert!(check.contains("unheard-of"), "{check}");
    done(&home, &["prune", "--older-than", "40d"]);
    let check = done(&home, &["price", "check", "--json"]);
    assert!(!check.contains("unheard-of"), "{check}");
    let costs = done(&home, &["costs", "--by-model", "--json"]);
    assert!(costs.contains("unheard-of"), "reports still have it");
}

#[test]
fn a_window_within_an_hour_without_rows_takes_the_whole_hour() {
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend);
    home.user("alice");
    home.user("bob");
    write_rows(&home, 10);
    let hour = (now_ms() - 8 * DAY_MS) / 3_600_000 * 3_600_000;
    let time = |ms: i64| {
        let at = std::time::Duration::from_millis(ms.unsigned_abs());
        humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + at).to_string()
    };
    let costs = |home: &Home, start: i64, end: i64| {
        let (start, end) = (time(start), time(end));
        done(
            home,
            &[
                "costs",
                "--json",
                "--start-time",
                &start,
                "--end-time",
                &end,
            ],
        )
    };
    let whole = costs(&home, hour, hour + 3_599_999);
    let part = costs(&home, hour + 600_000, hour + 1_200_000);
    assert_ne!(whole, part);
    done(&home, &["prune", "--older-than", "5d"]);
    assert_eq!(costs(&home, hour, hour + 3_599_999), whole);
    assert_eq!(costs(&home, hour + 600_000, hour + 1_200_000), whole);
}

#[test]
fn a_server_with_retention_prunes_by_itself() {
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend).set("RETENTION", "5d");
    let key = home.user("alice");
    home.user("bob");
    let rows = write_rows(&home, 10);
    let before = reports(&home);
    let mut proxy = home.serve();
    wait_until("old rows are gone", PATIENCE, || {
        count(&proxy) < rows * 7 / 10
    });
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    wait_until("the log says so", PATIENCE, || {
        proxy.log().contains("retention: deleted old rows: rows=")
    });
    done(&proxy, &["audit"]);
    stop(&mut proxy);
    // All totals but those of the one new request.
    proxy
        .writable_database()
        .execute_batch(
            "DELETE FROM usage_hourly WHERE user_id = 1 AND model = 'gpt-4.1-mini'; \
             DELETE FROM usage_logs WHERE model = 'gpt-4.1-mini';",
        )
        .unwrap();
    assert_eq!(reports(&proxy), before);
}

#[test]
fn retention_below_a_day_is_refused() {
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend).set("RETENTION", "5h");
    let refused = home.refused();
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("an age of at least a day"),
        "{refused:?}"
    );
    let ran = home.cli(&["prune", "--older-than", "soon"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--older-than \"soon\""), "{ran:?}");
}

#[test]
fn the_check_finds_sums_that_are_wrong_and_the_size_is_told() {
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend);
    home.user("alice");
    home.user("bob");
    write_rows(&home, 30);
    done(&home, &["prune", "--older-than", "20d"]);
    let size: Value = serde_json::from_str(&done(&home, &["db", "size", "--json"])).unwrap();
    let tables = size["tables"].as_array().unwrap();
    let rows = tables
        .iter()
        .find(|table| table["name"] == "usage_logs")
        .unwrap();
    assert_eq!(rows["rows"].as_i64(), Some(count(&home)));
    assert!(rows["bytes"].as_i64().unwrap() > 10_000, "{size}");

    home.writable_database()
        .execute("UPDATE usage_hourly SET input_tokens = input_tokens + 1 WHERE hour = (SELECT max(hour) FROM usage_hourly)", [])
        .unwrap();
    let ran = home.cli(&["db", "check"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("input_tokens"), "{ran:?}");
}

#[test]
fn a_database_of_another_program_is_not_replaced_and_a_replaced_one_is_private() {
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend);
    home.user("alice");
    let name = home.path("copy.db").display().to_string();
    done(&home, &["backup", &name]);
    let target = |file: &str| format!("sqlite:///{}", home.path(file).display());

    let foreign = rusqlite::Connection::open(home.path("foreign.db")).unwrap();
    foreign.execute_batch("CREATE TABLE own (x)").unwrap();
    drop(foreign);
    std::fs::write(
        home.path("text.db"),
        "no database at all, but somebody's text",
    )
    .unwrap();
    for file in ["foreign.db", "text.db"] {
        let before = std::fs::read(home.path(file)).unwrap();
        let arguments = ["restore", &name, "--yes", "--database-url", &target(file)];
        let ran = home.cli(&arguments);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("move it away"), "{ran:?}");
        assert_eq!(std::fs::read(home.path(file)).unwrap(), before, "{file}");
    }

    std::fs::write(home.path("empty.db"), "").unwrap();
    let open = PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(home.path("empty.db"), open).unwrap();
    done(
        &home,
        &["restore", &name, "--database-url", &target("empty.db")],
    );
    let mode = home
        .path("empty.db")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn pruning_goes_on_by_the_zone_that_it_began_with() {
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend).set("TIME_ZONE", "Asia/Kolkata");
    home.user("alice");
    home.user("bob");
    write_rows(&home, 60);
    done(&home, &["prune", "--older-than", "50d"]);
    let before = count(&home);
    let home = home.set("TIME_ZONE", "UTC");
    let ran = home.cli(&["prune", "--older-than", "20d"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("set TIME_ZONE=Asia/Kolkata"), "{ran:?}");
    assert_eq!(count(&home), before);
    done(
        &home,
        &[
            "prune",
            "--older-than",
            "20d",
            "--time-zone",
            "Asia/Kolkata",
        ],
    );
    assert!(count(&home) < before);
}

#[test]
fn rows_are_not_deleted_where_their_sums_are_wrong() {
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend);
    home.user("alice");
    home.user("bob");
    write_rows(&home, 30);
    done(&home, &["prune", "--older-than", "25d"]);
    home.writable_database()
        .execute("UPDATE usage_logs SET input_tokens = input_tokens + 1 WHERE id = (SELECT id FROM usage_logs ORDER BY started_at_ms LIMIT 1)", [])
        .unwrap();
    let before = count(&home);
    let ran = home.cli(&["prune", "--older-than", "10d"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("nothing was deleted"), "{ran:?}");
    assert_eq!(count(&home), before);
}

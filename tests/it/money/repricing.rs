//! `costs reprice` writes what changes beside the rows, and all sums include it.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{alice, ask_chat, dollars, dump, dump_of, echoing, set_price, wait_until_summed};
use crate::harness::{Backend, Home, PATIENCE, Proxy, Ran, alone, wait_until};

/// Writes rows of alice, one a second from 2026-03-01 on, without a cost: of `m`, `other`, and a
/// refusal of `m` now and then.
fn insert_rows(home: &Home, count: i64) {
    let start_ms = "2026-03-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap();
    let database = home.writable_database();
    let inserted = database.execute(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
         INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, cached_tokens,
             reasoning_tokens, status, outcome, usage_source, duration_ms)
         SELECT ?2 + i * 1000, 1, '/v1/chat/completions', iif(i % 3 = 0, 'other', 'm'), iif(i % 10 = 9, 0, 1000), 0, 0, 0,
             iif(i % 10 = 9, 400, 200), 'completed', iif(i % 10 = 9, 'none', 'backend'), 1 FROM n",
        [count, start_ms.as_millisecond()],
    );
    assert_eq!(i64::try_from(inserted.unwrap()), Ok(count));
}

/// A proxy with 1,000 rows that have no cost, and a price for `m`: a nano-dollar a token.
fn repriceable() -> (Backend, Proxy, String) {
    let backend = echoing();
    let (proxy, key) = Home::new(&backend).serve_alice();
    insert_rows(&proxy, 1_000);
    set_price(
        &proxy,
        &[
            "m",
            "--input",
            "0.001",
            "--output",
            "1",
            "--from",
            "2026-01-01",
        ],
    );
    (backend, proxy, key)
}

#[track_caller]
fn reprice(home: &Home, arguments: &[&str]) -> Value {
    let mut command = home.command(&[&["costs", "reprice", "--json"], arguments].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // SQLite without optimization prices a thousand rows a second on a busy machine.
    let ran = Ran::end_within(6 * PATIENCE, command.spawn().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()
}

const ALL: [&str; 2] = ["--start-time", "1970-01-01"];
/// 666 rows of `m`, a tenth of them refused.
const ROWS_OF_M: i64 = 600;
const COST_OF_M: i64 = ROWS_OF_M * 1_000;

#[test]
fn a_dry_run_says_what_would_change_and_writes_nothing() {
    let (_backend, proxy, _) = repriceable();
    wait_until_summed(&proxy);
    let before = dump(&proxy.database());
    let dry = reprice(&proxy, &[&ALL[..], &["--dry-run"]].concat());
    assert_eq!(dry["is_dry_run"], true);
    assert_eq!(dry["rows"], 1_000);
    assert_eq!(dry["changed_rows"], ROWS_OF_M, "{dry}");
    assert_eq!(dry["newly_priced_rows"], ROWS_OF_M);
    assert_eq!(dry["cost_delta_usd"], dollars(COST_OF_M));
    assert_eq!(dump(&proxy.database()), before);
    let done = reprice(&proxy, &ALL);
    for member in [
        "rows",
        "changed_rows",
        "newly_priced_rows",
        "unpriced_rows",
        "cost_delta_usd",
        "models",
    ] {
        assert_eq!(done[member], dry[member], "{member}");
    }
}

#[test]
fn repricing_adds_to_all_sums_at_once_and_twice_changes_nothing() {
    for summed_first in [false, true] {
        let (_backend, proxy, _) = repriceable();
        if summed_first {
            wait_until_summed(&proxy);
        }
        let rows = dump_of(&proxy.database(), "usage_logs");
        assert_eq!(alice(&proxy).1, 900, "all that were answered are unpriced");
        let done = reprice(&proxy, &ALL);
        assert_eq!(done["changed_rows"], ROWS_OF_M, "{done}");
        let expected = (dollars(COST_OF_M), 900 - ROWS_OF_M);
        assert_eq!(alice(&proxy), expected);
        wait_until_summed(&proxy);
        assert_eq!(alice(&proxy), expected);
        let adjusted = dump(&proxy.database());
        let again = reprice(&proxy, &ALL);
        assert_eq!(again["changed_rows"], 0, "{again}");
        assert_eq!(again["cost_delta_usd"], "0.000000000");
        assert_eq!(dump(&proxy.database()), adjusted);
        assert_eq!(dump_of(&proxy.database(), "usage_logs"), rows);
        let view: (i64, i64) = proxy
            .database()
            .query_row(
                "SELECT sum(cost_nano_usd), sum(priced_as = 'm') FROM usage WHERE cost_nano_usd > 0",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        assert_eq!(view, (COST_OF_M, ROWS_OF_M));
    }
}

#[test]
fn a_model_and_a_range_limit_what_is_repriced() {
    let (_backend, proxy, _) = repriceable();
    set_price(
        &proxy,
        &[
            "other",
            "--input",
            "0.001",
            "--output",
            "1",
            "--from",
            "2026-01-01",
        ],
    );
    let none = reprice(&proxy, &[&ALL[..], &["--model", "unheard-of"]].concat());
    assert_eq!(
        (&none["rows"], &none["changed_rows"]),
        (&0.into(), &0.into())
    );
    // Rows 0 to 299, of which every third is of the other model, and a tenth refused.
    let range = [
        "--start-time",
        "2026-03-01",
        "--end-time",
        "2026-03-01T00:04:59.999Z",
    ];
    let some = reprice(&proxy, &[&range[..], &["--model", "other"]].concat());
    assert_eq!(
        (&some["rows"], &some["changed_rows"]),
        (&100.into(), &90.into())
    );
    assert_eq!(alice(&proxy), (dollars(90 * 1_000), 810));
    let ran = proxy.cli(&["costs", "reprice"]);
    assert_eq!(ran.code, Some(2), "everything must be asked for: {ran:?}");
    assert!(ran.stderr.contains("start-time"), "{ran:?}");
}

#[test]
fn a_price_that_is_withdrawn_leaves_costs_and_a_new_one_changes_them() {
    let (_backend, proxy, key) = repriceable();
    reprice(&proxy, &ALL);
    proxy.cli(&["price", "unset", "m"]);
    let done = reprice(&proxy, &ALL);
    assert_eq!(done["changed_rows"], 0, "{done}");
    assert_eq!(alice(&proxy), (dollars(COST_OF_M), 900 - ROWS_OF_M));
    set_price(
        &proxy,
        &[
            "m",
            "--input",
            "0.003",
            "--output",
            "1",
            "--from",
            "2026-01-01",
        ],
    );
    let server = format!("http://{}", proxy.address());
    let done = reprice(&proxy, &[&ALL[..], &["--server", &server]].concat());
    assert_eq!(done["cost_delta_usd"], dollars(2 * COST_OF_M), "{done}");
    assert_eq!(done["newly_priced_rows"], 0, "{done}");
    assert_eq!(alice(&proxy), (dollars(3 * COST_OF_M), 900 - ROWS_OF_M));
    // A lower price takes some of it back. New rows are priced by it from the beginning.
    set_price(
        &proxy,
        &[
            "m",
            "--input",
            "0.002",
            "--output",
            "1",
            "--from",
            "2026-01-01",
        ],
    );
    wait_until("the server knows the price", PATIENCE, || {
        ask_chat(&proxy, &key, "m", 1_000, 0);
        super::costs_of_rows(&proxy).last().unwrap().0 == Some(2_000)
    });
    let done = reprice(&proxy, &ALL);
    let taken_back: i64 = done["cost_delta_usd"]
        .as_str()
        .unwrap()
        .replace(['.', '-'], "")
        .parse()
        .unwrap();
    assert!(
        done["cost_delta_usd"].as_str().unwrap().starts_with('-'),
        "{done}"
    );
    assert!(taken_back >= COST_OF_M, "{done}");
    assert_sums_agree(&proxy);
}

/// Checks that reports, hours, days and the view say what the rows and their adjustments do.
#[track_caller]
fn assert_sums_agree(proxy: &Proxy) {
    let sum_of = |sql: &str| -> i64 {
        let database = proxy.database();
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let rows = "SELECT (SELECT coalesce(sum(cost_nano_usd), 0) FROM usage_logs) + coalesce((SELECT sum(cost_delta_nano_usd) \
         FROM usage_adjustments), 0)";
    let view = "SELECT coalesce(sum(cost_nano_usd), 0) FROM usage";
    let report = alice(proxy);
    assert_eq!(report.0, dollars(sum_of(rows)));
    assert_eq!(report.0, dollars(sum_of(view)));
    let unpriced =
        "SELECT count(*) FROM usage WHERE cost_nano_usd IS NULL AND status BETWEEN 200 AND 299";
    assert_eq!(report.1, sum_of(unpriced));
    wait_until_summed(proxy);
    for table in ["usage_hourly", "usage_daily"] {
        let costs = format!("SELECT sum(cost_nano_usd) FROM {table}");
        assert_eq!(sum_of(&costs), sum_of(rows), "{table}");
        let missing = format!("SELECT sum(unpriced_requests) FROM {table}");
        assert_eq!(sum_of(&missing), report.1, "{table}");
    }
}

#[test]
fn two_at_once_and_a_running_server_book_each_row_once() {
    let (_backend, proxy, key) = repriceable();
    insert_rows(&proxy, 30_000);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                ask_chat(&proxy, &key, "m", 1_000, 0);
            }
        });
        for price in ["0.002", "0.004", "0.003"] {
            set_price(
                &proxy,
                &[
                    "m",
                    "--input",
                    price,
                    "--output",
                    "1",
                    "--from",
                    "2026-01-01",
                ],
            );
            let server = format!("http://{}", proxy.address());
            let two = [
                vec!["costs", "reprice", "--start-time", "2026-01-01"],
                vec![
                    "costs",
                    "reprice",
                    "--start-time",
                    "2026-01-01",
                    "--server",
                    &server,
                ],
            ];
            let running = two.map(|arguments| {
                let mut command = proxy.command(&arguments);
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().unwrap()
            });
            for child in running {
                let ran = Ran::end_within(6 * PATIENCE, child);
                assert_eq!(ran.code, Some(0), "{ran:?}");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    reprice(&proxy, &ALL);
    assert_sums_agree(&proxy);
    let rows_of_m =
        "SELECT count(*) FROM usage WHERE model = 'm' AND status = 200 AND cost_nano_usd <> 3000";
    let other: i64 = proxy
        .database()
        .query_row(rows_of_m, [], |row| row.get(0))
        .unwrap();
    assert_eq!(other, 0);
}

#[test]
fn repricing_that_is_killed_and_repeated_gives_the_same_sums() {
    let (_backend, proxy, _) = repriceable();
    insert_rows(&proxy, 6_000);
    let whole_rows = 600 + 3_600;
    let mut killed = 0;
    for delay_ms in [5, 20, 40, 60, 90, 120, 160, 200] {
        let mut child = proxy
            .command(&["costs", "reprice", "--start-time", "2026-01-01"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // How far it gets is what this test varies.
        std::thread::sleep(Duration::from_millis(delay_ms));
        killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        let _ = child.wait();
        assert_sums_agree(&proxy);
    }
    assert!(killed > 2, "{killed}");
    reprice(&proxy, &ALL);
    assert_eq!(alice(&proxy).0, dollars(whole_rows * 1_000));
    assert_sums_agree(&proxy);
}

#[test]
fn requests_go_on_while_many_rows_are_repriced() {
    let _alone = alone();
    let (_backend, proxy, key) = repriceable();
    insert_rows(&proxy, 10_000);
    // A model without rows is a case of its own, because all rows are looked at for it.
    for arguments in [&["--model", "unheard-of"][..], &["--dry-run"], &[]] {
        let mut command = proxy.command(
            &[
                &["costs", "reprice", "--start-time", "2026-01-01"],
                arguments,
            ]
            .concat(),
        );
        let begun = Instant::now();
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (mut longest, mut count) = (Duration::ZERO, 0);
        while child.try_wait().unwrap().is_none() {
            let start = Instant::now();
            ask_chat(&proxy, &key, "gpt-4o", 1, 1);
            longest = longest.max(start.elapsed());
            count += 1;
        }
        let whole = begun.elapsed();
        eprintln!("{arguments:?}: {count} requests in {whole:?}, the longest {longest:?}");
        // On a busy machine both take longer.
        assert!(
            longest < Duration::from_millis(500).max(whole / 3),
            "{arguments:?}: {longest:?} of {whole:?}"
        );
    }
    assert_sums_agree(&proxy);
}

#[test]
fn rows_of_different_days_get_the_price_of_their_day() {
    let (_backend, proxy, _) = repriceable();
    // From the 301st second on.
    set_price(
        &proxy,
        &[
            "m",
            "--input",
            "0.005",
            "--output",
            "1",
            "--from",
            "2026-03-01T00:05:00Z",
        ],
    );
    reprice(&proxy, &ALL);
    let database = proxy.database();
    let mut sums = database
        .prepare(
            "SELECT started_at < '2026-03-01T00:05:00', min(cost_nano_usd), max(cost_nano_usd) \
         FROM usage WHERE model = 'm' AND status = 200 GROUP BY 1 ORDER BY 1",
        )
        .unwrap()
        .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))
        .unwrap()
        .map(Result::unwrap)
        .collect::<Vec<[i64; 3]>>();
    sums.sort_unstable();
    assert_eq!(sums, [[0, 5_000, 5_000], [1, 1_000, 1_000]]);
    let days = proxy.cli(&["costs", "--by", "day", "--json"]).json();
    assert_eq!(days["costs"].as_array().unwrap().len(), 1, "{days}");
}

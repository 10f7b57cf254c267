//! `llmproxy audit` replays the ledger and finds what does not agree with it.

use std::thread;

use super::serve_limited;
use crate::harness::{
    ASK, ASK_STREAM, Backend, Home, PATIENCE, chat_completion, counted_stream, wait_until,
};

#[test]
fn an_audit_agrees_under_load_and_finds_a_sum_that_was_changed() {
    let backend = Backend::start(|seen, wire| {
        if seen.asks_to_stream() {
            wire.sse(&counted_stream(7, 9));
        } else {
            wire.json(&chat_completion(10, 20));
        }
    });
    let budgets = [
        "--budget",
        "9Mtokens/day",
        "--budget",
        "100usd/total",
        "--budget",
        "1Mrequests/month",
    ];
    let (proxy, key) = serve_limited(Home::new(&backend), &budgets);
    let server = format!("http://127.0.0.1:{}", proxy.port());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for body in [ASK, ASK_STREAM].repeat(25) {
                    assert_eq!(proxy.chat(&key, body).status, 200);
                }
            });
        }
        for _ in 0..3 {
            let ran = proxy.cli(&["audit", "--server", &server]);
            assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        }
    });
    let ran = proxy.cli(&["audit", "--server", &server, "--json"]);
    let report = ran.json();
    assert_eq!(report["is_consistent"], true, "{report}");
    let memory = report["checks"].as_array().unwrap().iter();
    let memory: Vec<_> = memory
        .filter(|check| check["name"] == "budgets in memory")
        .collect();
    assert_eq!(
        memory[0]["compared"], 9,
        "three windows and units: {report}"
    );
    let summed = "SELECT count(*) FROM usage_hourly";
    wait_until("the rows are summed", PATIENCE, || {
        proxy
            .database()
            .query_row(summed, [], |row| row.get::<_, i64>(0))
            .unwrap()
            > 0
    });
    let database = proxy.writable_database();
    database
        .execute(
            "UPDATE usage_hourly SET output_tokens = output_tokens + 1",
            [],
        )
        .unwrap();
    let ran = proxy.cli(&["audit"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("output_tokens"), "{}", ran.stderr);
    assert!(ran.stdout.contains("hourly sums"), "{}", ran.stdout);
}

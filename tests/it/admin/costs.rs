//! `list_costs` sums exactly the rows of its range.

use super::{assert_admin_error, proxy};
use crate::harness::{ASK, PATIENCE, Proxy, Request, ask, totals, wait_until};

const HOUR_MS: i64 = 3_600_000;

fn iso(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap().to_string()
}

/// Alice's totals (input, output, cached, requests) for a query.
#[track_caller]
fn alice_totals(proxy: &Proxy, query: &str) -> [i64; 4] {
    let costs = proxy.get_json(&format!("/admin/list_costs?{query}"));
    let alice = &costs["costs"][0];
    assert_eq!(alice["username"], "alice", "{costs}");
    totals(alice)
}

#[test]
fn both_bounds_are_inclusive_and_each_may_stand_alone() {
    let (_backend, proxy, key) = proxy();
    proxy.chat(&key, ASK);
    let at = proxy.only_row().started_at_ms;
    let (in_window, outside) = ([19, 10, 0, 1], [0; 4]);
    let bounds = [
        (at, at, in_window),
        (at - 1, at + 1, in_window),
        (at + 1, at + 1000, outside),
        (at - 1000, at - 1, outside),
    ];
    for (start, end, expected) in bounds {
        let query = format!("start_time={}&end_time={}", iso(start), iso(end));
        assert_eq!(alice_totals(&proxy, &query), expected, "{query}");
        let ran = proxy.cli(&[
            "costs",
            "--json",
            "--start-time",
            &iso(start),
            "--end-time",
            &iso(end),
        ]);
        assert_eq!(totals(&ran.json()["costs"][0]), expected, "{ran:?}");
    }
    assert_eq!(
        alice_totals(&proxy, &format!("start_time={}", iso(at))),
        in_window
    );
    assert_eq!(
        alice_totals(&proxy, &format!("start_time={}", iso(at + 1))),
        outside
    );
    assert_eq!(
        alice_totals(&proxy, &format!("end_time={}", iso(at))),
        in_window
    );
    assert_eq!(
        alice_totals(&proxy, &format!("end_time={}", iso(at - 1))),
        outside
    );
    assert_eq!(alice_totals(&proxy, "last_hours=1"), in_window);
}

#[test]
fn a_time_may_have_a_zone_an_offset_or_none_and_may_be_a_date() {
    let (_backend, proxy, key) = proxy();
    proxy.chat(&key, ASK);
    let at = proxy.only_row().started_at_ms;
    let utc = iso(at - HOUR_MS).trim_end_matches('Z').to_owned();
    let in_new_york = iso(at - 6 * HOUR_MS).replace('Z', "-05:00");
    let in_kolkata = iso(at - HOUR_MS + 11 * HOUR_MS / 2).replace('Z', "%2B05:30");
    let date = &iso(at)[..10];
    for start in [
        format!("{utc}Z"),
        utc.clone(),
        in_new_york,
        in_kolkata,
        date.to_owned(),
    ] {
        assert_eq!(
            alice_totals(&proxy, &format!("start_time={start}"))[3],
            1,
            "{start}"
        );
        assert_eq!(
            alice_totals(&proxy, &format!("end_time={start}"))[3],
            0,
            "{start}"
        );
    }
    assert_eq!(
        alice_totals(
            &proxy,
            "start_time=2020-01-01T00:00:00Z&end_time=2020-02-08T00:00:00Z"
        ),
        [0; 4]
    );
}

#[test]
fn users_without_usage_are_listed_with_zeros() {
    let (_backend, proxy, key) = proxy();
    proxy.user("bob");
    proxy.chat(&key, ASK);
    let costs = proxy.get_json("/admin/list_costs?by_model=true");
    let bob = costs["costs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["username"] == "bob")
        .unwrap();
    assert_eq!(totals(bob), [0; 4]);
    assert_eq!(bob["model_costs"], serde_json::json!([]));
}

#[test]
fn costs_are_split_by_model_only_on_request() {
    let (_backend, proxy, key) = proxy();
    proxy.chat(&key, &ask("a"));
    proxy.chat(&key, &ask("b"));
    proxy.chat(&key, &ask("a"));
    for query in ["", "?by_model=false"] {
        let costs = proxy.get_json(&format!("/admin/list_costs{query}"));
        assert!(costs["costs"][0].get("model_costs").is_none(), "{costs}");
    }
    let costs = proxy.get_json("/admin/list_costs?by_model=true");
    let models = costs["costs"][0]["model_costs"].as_array().unwrap();
    let mut models: Vec<_> = models
        .iter()
        .map(|model| (model["model"].as_str().unwrap(), totals(model)))
        .collect();
    models.sort_unstable();
    assert_eq!(models, [("a", [38, 20, 0, 2]), ("b", [19, 10, 0, 1])]);
}

#[test]
fn an_invalid_query_is_400_and_the_error_has_the_field() {
    let (_backend, proxy, _) = proxy();
    let wrong = [
        (
            "last_hours=24&start_time=2026-02-08T00:00:00Z",
            "last_hours",
        ),
        ("last_hours=24&end_time=2026-02-08T00:00:00Z", "last_hours"),
        (
            "start_time=2026-02-09T00:00:00Z&end_time=2026-02-08T00:00:00Z",
            "end_time",
        ),
        ("last_hours=abc", "last_hours"),
        ("last_hours=-1", "last_hours"),
        ("last_hours=NaN", "last_hours"),
        ("start_time=yesterday", "start_time"),
        ("start_time=2026-02-30", "start_time"),
        ("end_time=2026-02-08T25:00:00Z", "end_time"),
        ("by_model=perhaps", "by_model"),
    ];
    for (query, field) in wrong {
        let answer = proxy.send(&Request::get(&format!("/admin/list_costs?{query}")));
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        let message = assert_admin_error(&answer, 400);
        assert!(message.contains(field), "{query}: {message}");
    }
    let huge = proxy.send(&Request::get(
        "/admin/list_costs?last_hours=99999999999999999999",
    ));
    assert!(huge.status == 200 || huge.status == 400, "{huge:?}");
}

#[test]
fn the_costs_of_any_window_equal_the_sum_of_its_rows() {
    let (_backend, proxy, key) = proxy();
    for model in ["a", "b", "a"] {
        proxy.chat(&key, &ask(model));
    }
    // A hundred rows over the last forty hours, made of these three as the server itself would have written them.
    let database = proxy.writable_database();
    let mut random = 7_u64;
    let mut next = |below: i64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(random >> 33).unwrap() % below
    };
    for _ in 0..100 {
        let (back_ms, from, tokens) = (next(40 * HOUR_MS), 1 + next(3), next(1000));
        let copy = "INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, served_model, input_tokens, output_tokens, \
             cached_tokens, reasoning_tokens, status, outcome, usage_source, duration_ms, first_byte_ms, backend_request_id) \
             SELECT started_at_ms - ?1, user_id, endpoint, model, served_model, ?3, ?3 * 2, ?3 / 2, 0, 200, outcome, usage_source, \
             duration_ms, first_byte_ms, NULL FROM usage_logs WHERE id = ?2";
        assert_eq!(database.execute(copy, [back_ms, from, tokens]).unwrap(), 1);
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let this_hour = now / HOUR_MS * HOUR_MS;
    let mut windows = vec![
        (this_hour - 5 * HOUR_MS, this_hour),
        (this_hour - 5 * HOUR_MS, this_hour - 1),
        (this_hour - 5 * HOUR_MS + 1, this_hour - HOUR_MS),
        (this_hour - 2 * HOUR_MS - 1, this_hour - 2 * HOUR_MS),
        (
            this_hour - 9 * HOUR_MS + 17,
            this_hour - 9 * HOUR_MS + 1_800_000,
        ),
        (0, now),
    ];
    windows.extend((0..60).map(|_| {
        let (a, b) = (now - next(42 * HOUR_MS), now - next(42 * HOUR_MS));
        (a.min(b), a.max(b))
    }));
    // Right now most rows are in no hour's sum yet; a second later all are.
    for is_summed in [false, true] {
        if is_summed {
            wait_until("all rows are summed up", PATIENCE, || {
                let left = "SELECT (SELECT max(id) FROM usage_logs) - last_id FROM usage_rollup";
                database
                    .query_row(left, [], |row| row.get::<_, i64>(0))
                    .unwrap()
                    == 0
            });
        }
        assert_windows(&proxy, &database, &windows);
    }
}

fn assert_windows(proxy: &Proxy, database: &rusqlite::Connection, windows: &[(i64, i64)]) {
    for &(start, end) in windows {
        let sums = "SELECT coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cached_tokens), 0), \
             count(*) FROM usage_logs WHERE started_at_ms BETWEEN ?1 AND ?2";
        let columns = [0, 1, 2, 3];
        let expected: Result<[i64; 4], _> = database.query_row(sums, [start, end], |row| {
            Ok(columns.map(|column| row.get(column).unwrap()))
        });
        let query = format!("start_time={}&end_time={}", iso(start), iso(end));
        assert_eq!(alice_totals(proxy, &query), expected.unwrap(), "{query}");
    }
}

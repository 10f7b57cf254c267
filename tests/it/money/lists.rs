//! The flags of `costs`, and how lists look in a pipe and as a table.

use jiff::{Span, Timestamp, tz::TimeZone};
use serde_json::Value;

use super::{ask_chat, echoing, set_price};
use crate::harness::{Backend, Home, Proxy};

const MS_PER_HOUR: i64 = 3_600_000;

/// A proxy with three users, of whom two have used something.
fn used() -> (Backend, Proxy) {
    let backend = echoing();
    let home = Home::new(&backend);
    let keys = ["alice", "bob"].map(|name| home.user(name));
    home.user("idle");
    set_price(&home, &["m", "--input", "0.001", "--output", "1"]);
    set_price(&home, &["n", "--input", "2.5", "--output", "10"]);
    let proxy = home.serve();
    ask_chat(&proxy, &keys[0], "m", 1_000, 0);
    ask_chat(&proxy, &keys[1], "n", 1_000_001, 3);
    ask_chat(&proxy, &keys[1], "m", 1, 0);
    (backend, proxy)
}

#[track_caller]
fn stdout(home: &Home, arguments: &[&str]) -> String {
    let ran = home.cli(arguments);
    assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    ran.stdout
}

#[test]
fn windows_are_days_and_months_of_the_time_zone() {
    let backend = echoing();
    for zone_name in ["Asia/Kathmandu", "Europe/Berlin", "America/New_York"] {
        let home = Home::new(&backend).set("TIME_ZONE", zone_name);
        home.user("alice");
        let database = home.writable_database();
        let now = Timestamp::now();
        // A row each half an hour for 70 days.
        let rows = 70 * 48;
        database
            .execute(
                "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
                 INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, cached_tokens,
                     reasoning_tokens, status, outcome, usage_source, duration_ms)
                 SELECT ?2 - i * 1800000 - 1, 1, '/e', 'm', 1, 0, 0, 0, 200, 'completed', 'backend', 1 FROM n",
                [rows, now.as_millisecond()],
            )
            .unwrap();
        let zone = TimeZone::get(zone_name).unwrap();
        let today = now.to_zoned_datetime(zone.clone()).date();
        let midnight = |date: jiff::civil::Date| {
            let start = zone.to_zoned_datetime(date.at(0, 0, 0, 0)).unwrap();
            start.timestamp().as_millisecond()
        };
        let back = |days: i64| today.checked_sub(Span::new().days(days)).unwrap();
        let month = today.first_of_month();
        let month_before = month.checked_sub(Span::new().months(1)).unwrap();
        let end = now.as_millisecond() + MS_PER_HOUR;
        let named = month_before.to_string()[..7].to_owned();
        let date = back(9).to_string();
        let windows: [(&[&str], i64, i64); 5] = [
            (&["--today"], midnight(today), end),
            (&["--yesterday"], midnight(back(1)), midnight(today)),
            (&["--month"], midnight(month), end),
            (
                &["--month", &named],
                midnight(month_before),
                midnight(month),
            ),
            (&["--since", &date], midnight(back(9)), end),
        ];
        for (flags, start, end) in windows {
            let in_window = (0..rows)
                .map(|i| now.as_millisecond() - i * 1_800_000 - 1)
                .filter(|at| (start..end).contains(at));
            let json = stdout(&home, &[&["costs", "--json"], flags].concat());
            let json: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(
                json["total"]["total_requests"],
                in_window.count(),
                "{zone_name} {flags:?}"
            );
        }
        // An age is counted from now, wherever midnight is.
        let json = stdout(&home, &["costs", "--json", "--since", "7d"]);
        let json: Value = serde_json::from_str(&json).unwrap();
        let count = json["total"]["total_requests"].as_i64().unwrap();
        assert!((7 * 48 - 2..=7 * 48).contains(&count), "{count}");
    }
}

#[test]
fn flags_that_exclude_each_other_and_unknown_words_are_wrong_usage() {
    let (_backend, proxy) = used();
    for flags in [
        "--today --yesterday",
        "--today --month",
        "--today --since 7d",
        "--month 2026-11 --since 7d",
        "--month --last-hours 3",
        "--since 7d --start-time 2026-01-01",
        "--yesterday --end-time 2026-01-01",
        "--by-model --by day",
        "--by day,month",
        "--by year",
        "--sort price",
        "--top 0",
        "--top -1",
        "--top many",
        "--month 2026-13",
        "--month november",
        "--since yesterday",
        "--since 7x",
        "--json --csv",
        "--start-time 2026-02-02 --end-time 2026-02-01",
    ] {
        let flags: Vec<&str> = flags.split(' ').collect();
        let ran = proxy.cli(&[&["costs"], &flags[..]].concat());
        assert_eq!(ran.code, Some(2), "{flags:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{flags:?}");
        let server = format!("http://{}", proxy.address());
        let ran = proxy.cli(&[&["costs", "--server", &server], &flags[..]].concat());
        assert_eq!(ran.code, Some(2), "{flags:?} --server: {ran:?}");
    }
    for arguments in [
        &["costs", "--user", "nobody"][..],
        &["costs", "--group", "nothing"],
    ] {
        proxy.cli(arguments).assert_one_line_error();
    }
    for arguments in [
        &["price", "set", "m"][..],
        &["price", "set", "m", "--input", "-1"],
        &["price", "set", "m", "--input", "one"],
        &["price", "set", "m", "input_cost_per_tokn=1"],
        &["price", "set", "m", "input_cost_per_token"],
        &["price", "set", "m", "--input", "1", "--from", "tomorrow"],
        &["price", "set", "m", "--like", "nothing-like-it"],
    ] {
        let ran = proxy.cli(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
    }
    let typo = proxy.cli(&["price", "set", "m", "input_cost_per_tokn=1"]);
    assert!(typo.stderr.contains("input_cost_per_token"), "{typo:?}");
}

#[test]
fn sort_and_top_choose_lines_and_the_total_is_that_of_all() {
    let (_backend, proxy) = used();
    for (sort, first) in [
        ("cost", "bob"),
        ("tokens", "bob"),
        ("requests", "bob"),
        ("name", "alice"),
    ] {
        let json = stdout(&proxy, &["costs", "--sort", sort, "--top", "1", "--json"]);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["costs"].as_array().unwrap().len(), 1, "{json}");
        assert_eq!(json["costs"][0]["username"], first, "{sort}");
        assert_eq!(json["total"]["total_requests"], 3, "{json}");
        assert_eq!(json["total"]["cost_usd"], "2.500033501");
        let table = stdout(&proxy, &["costs", "--sort", sort, "--top", "1", "--table"]);
        let total = table.lines().find(|line| line.contains("TOTAL"));
        let total = total.unwrap_or_else(|| panic!("the total of all is there: {table}"));
        assert!(total.contains(" 3 ") && total.contains("2.50"), "{table}");
    }
}

#[test]
fn users_without_usage_are_listed_with_all_only() {
    let (_backend, proxy) = used();
    assert!(!stdout(&proxy, &["costs"]).contains("idle"));
    assert!(stdout(&proxy, &["costs", "--all"]).contains("idle"));
    assert!(stdout(&proxy, &["costs", "--user", "idle"]).contains("idle"));
    let ran = proxy.cli(&["costs", "--end-time", "2020-01-01"]);
    assert_eq!(ran.stdout.trim(), "nothing was used in this period");
}

#[test]
fn groups_are_those_of_now() {
    let (_backend, proxy) = used();
    for (arguments, groups) in [
        (&["group", "add", "lab"][..], "-"),
        (&["user", "set", "bob", "--group", "lab"], "- lab"),
    ] {
        assert_eq!(proxy.cli(arguments).code, Some(0), "{arguments:?}");
        let csv = stdout(&proxy, &["costs", "--by", "group", "--csv"]);
        let found: Vec<&str> = csv
            .lines()
            .skip(1)
            .map(|line| line.split(',').next().unwrap())
            .collect();
        assert_eq!(found.join(" "), groups);
    }
    let lab = stdout(&proxy, &["costs", "--group", "lab", "--json"]);
    let lab: Value = serde_json::from_str(&lab).unwrap();
    assert_eq!(lab["total"]["total_requests"], 2, "{lab}");
    assert_eq!(lab["costs"][0]["username"], "bob");
}

#[test]
fn a_pipe_gets_text_that_sort_and_awk_understand() {
    let (_backend, proxy) = used();
    let binary = env!("CARGO_BIN_EXE_llmproxy");
    let shell = |line: &str| {
        let mut command = proxy.command(&[]);
        let mut sh = std::process::Command::new("sh");
        sh.args(["-c", line]).current_dir(proxy.path(""));
        sh.env_clear().env("LLMPROXY", binary);
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                sh.env(name, value);
            }
        }
        command.env_clear();
        crate::harness::Ran::of(&mut sh).stdout
    };
    let text = shell("\"$LLMPROXY\" costs --by user,model");
    assert!(!text.contains(['│', '┆', '█', ',']), "{text}");
    assert!(
        !text.contains("TOTAL"),
        "a sum of all would count twice: {text}"
    );
    let columns = text.lines().next().unwrap().split_whitespace().count();
    assert!(
        text.lines()
            .all(|line| line.split_whitespace().count() == columns),
        "{text}"
    );
    let sum = "\"$LLMPROXY\" costs --by user,model | awk 'NR > 1 { n += $3; usd += $NF } END { printf \"%d %.9f\", n, usd }'";
    assert_eq!(shell(sum), "3 2.500033501");
    let sorted =
        "\"$LLMPROXY\" costs --by user,model | tail -n +2 | sort -k4 -n | awk '{ print $1 $2 }'";
    assert_eq!(shell(sorted), "bobm\nalicem\nbobn\n");
    let prices = shell("\"$LLMPROXY\" price list | awk '$1 == \"gpt-4o\" { print $2, $4 }'");
    assert_eq!(prices, "2.50 10.00\n");
}

#[test]
fn a_bar_stands_behind_the_sorted_figure_in_a_table_only() {
    let (_backend, proxy) = used();
    assert!(stdout(&proxy, &["costs", "--sort", "cost", "--table"]).contains('█'));
    for arguments in [
        &["costs", "--table"][..],
        &["costs", "--sort", "cost"],
        &["costs", "--sort", "name", "--table"],
        &["costs", "--sort", "cost", "--csv"],
        &["costs", "--sort", "cost", "--json"],
    ] {
        assert!(!stdout(&proxy, arguments).contains('█'), "{arguments:?}");
    }
}

#[test]
fn json_has_nine_places_and_what_is_billable_of_the_input() {
    let backend = Backend::json(
        r#"{"model":"m","choices":[],"usage":{"prompt_tokens":1001,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":333}}}"#,
    );
    let home = Home::new(&backend);
    set_price(&home, &["m", "--input", "1", "--output", "1"]);
    let (proxy, key) = home.serve_alice();
    proxy.chat(&key, &crate::harness::ask("m"));
    let costs = proxy.get_json("/admin/list_costs");
    // 668 tokens at a micro-dollar, and 333 at half of it.
    assert_eq!(costs["costs"][0]["cost_usd"], "0.000834500");
    assert_eq!(costs["costs"][0]["billable_input_tokens"], 834.5);
    assert_eq!(costs["costs"][0]["total_input_tokens"], 1001);
    assert_eq!(costs["costs"][0]["unpriced_requests"], 0);
}

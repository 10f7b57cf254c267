//! `llmproxy reconcile`: the ledger beside what OpenAI says.

use std::fmt::Write;

use serde_json::Value;

use crate::harness::{Backend, Home};

/// 2026-01-01 UTC.
const JANUARY: i64 = 1_767_225_600;
const DAY: i64 = 86_400;

/// A ledger with two models on each of the first three days of January, the last hour of each day.
fn ledger(home: &Home) {
    home.user("alice");
    let database = home.writable_database();
    for day in 0..3 {
        for (model, input, output, nanos) in [
            ("gpt-4.1", 1_000, 100, 2_800_000),
            ("gpt-4o-mini", 500, 50, 105_000),
        ] {
            let at_ms = (JANUARY + day * DAY + DAY - 60) * 1000;
            database
                .execute(
                    "INSERT INTO usage_logs (started_at_ms, user_id, key_id, endpoint, model, input_tokens, output_tokens, \
                        cached_tokens, reasoning_tokens, status, outcome, usage_source, duration_ms, cost_nano_usd) \
                     VALUES (?1, 1, 1, '/v1/chat/completions', ?2, ?3, ?4, 0, 0, 200, 'completed', 'backend', 5, ?5)",
                    rusqlite::params![at_ms, model, input, output, nanos],
                )
                .unwrap();
        }
    }
}

fn costs_csv(last: &str) -> String {
    let mut csv = "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id\n"
        .to_owned();
    for day in 0..3 {
        let start = JANUARY + day * DAY;
        for (item, amount) in [
            ("\"gpt-4.1-2025-04-14, input\"", "0.0020000"),
            ("\"gpt-4.1-2025-04-14, output\"", "0.00080"),
            ("\"gpt-4o-mini-2024-07-18, input\"", "7.5e-05"),
            (
                "\"gpt-4o-mini-2024-07-18, output\"",
                if day == 2 { last } else { "0.00003" },
            ),
        ] {
            let end = start + DAY;
            writeln!(csv, "{start},{end},,,{amount},usd,{item},proj").unwrap();
        }
    }
    csv
}

#[test]
fn a_ledger_that_agrees_with_the_costs_is_said_to() {
    let backend = Backend::chats(7, 3);
    // Days are those of UTC all the same.
    let home = Home::new(&backend)
        .set("TIME_ZONE", "America/New_York")
        .file("costs.csv", &costs_csv("0.00003"));
    ledger(&home);
    let ran = home.cli(&["reconcile", "costs.csv"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("no day and model drifts"), "{ran:?}");
    assert!(ran.stderr.contains("2026-01-01 to 2026-01-03"), "{ran:?}");
    assert!(ran.stderr.contains("a drift of +0.00 %"), "{ran:?}");
    let all = home
        .cli(&["reconcile", "costs.csv", "--all", "--json"])
        .json();
    assert_eq!(all["lines"].as_array().unwrap().len(), 6);
    for side in ["ledger", "statement"] {
        assert_eq!(all["total"][side]["nano_usd"], 3 * 2_905_000);
    }
}

#[test]
fn drift_is_shown_where_it_is_and_fails() {
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend).file("costs.csv", &costs_csv("0.00103"));
    ledger(&home);
    let ran = home.cli(&["reconcile", "costs.csv"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(lines[1].starts_with("2026-01-03"), "{ran:?}");
    assert!(
        lines[1].contains("gpt-4o-mini") && lines[1].ends_with("-90.49"),
        "{ran:?}"
    );
    assert!(
        ran.stderr.contains("more than the tolerance of 1 %"),
        "{ran:?}"
    );
    let ran = home.cli(&["reconcile", "costs.csv", "--tolerance", "15"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = home.cli(&["reconcile", "costs.csv", "--month", "2025-12"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let ran = home.cli(&["reconcile", "costs.csv", "--month", "December"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("--month \"December\""), "{ran:?}");
}

#[test]
fn an_export_of_usage_is_compared_by_tokens() {
    let backend = Backend::chats(7, 3);
    let csv = format!(
        "start_time,end_time,num_model_requests,model,batch,input_tokens,output_tokens,input_cached_tokens\n\
         {JANUARY},{},1,gpt-4.1-2025-04-14,false,1000,100,0\n{},{},2,gpt-4.1-2025-04-14,false,1100,100,0\n",
        JANUARY + DAY,
        JANUARY + DAY,
        JANUARY + 2 * DAY
    );
    let home = Home::new(&backend).file("usage.csv", &csv);
    ledger(&home);
    let ran = home.cli(&["reconcile", "usage.csv", "--csv"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr
            .contains("left out, because the export has none of it: gpt-4o-mini"),
        "{ran:?}"
    );
    assert!(
        ran.stdout
            .contains("2026-01-02,gpt-4.1,1000,-100,100,0,0,0,1,-1,-8.33"),
        "{ran:?}"
    );
}

#[test]
fn openai_is_asked_page_by_page_with_the_admin_key() {
    let backend = Backend::start(|request, wire| {
        if request.header("authorization") != Some("Bearer sk-admin-1") {
            wire.answer(
                "401 Unauthorized",
                &[("content-type", "application/json")],
                r#"{"error":{"message":"Incorrect API key provided: sk-admin-2-0123456789abcdef.","type":"invalid_request_error","param":null,"code":null}}"#,
            );
            return;
        }
        assert!(request.target().starts_with("/v1/organization/costs?"));
        assert!(request.target().contains("group_by=line_item"));
        assert!(
            request.target().contains(&format!("start_time={JANUARY}&"))
                || request.target().contains(&format!("start_time={JANUARY}"))
        );
        let day = i64::from(request.target().contains("page=second"));
        let (start, next) = (
            JANUARY + day * DAY,
            if day == 0 { "\"second\"" } else { "null" },
        );
        wire.json(&format!(
            r#"{{"object":"page","data":[{{"object":"bucket","start_time":{start},"end_time":{},"results":[
                {{"object":"organization.costs.result","amount":{{"value":0.0028,"currency":"usd"}},"line_item":"gpt-4.1-2025-04-14, input"}},
                {{"object":"organization.costs.result","amount":{{"value":0.000105,"currency":"usd"}},"line_item":"gpt-4o-mini, input"}}]}}],
                "has_more":{},"next_page":{next}}}"#,
            start + DAY,
            day == 0
        ));
    });
    let home = Home::new(&backend).set("OPENAI_ADMIN_KEY", "sk-admin-1");
    ledger(&home);
    let ran = home.cli(&["reconcile", "--month", "2026-01", "--json", "--all"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report: Value = ran.json();
    let drifting = |line: &&Value| line["basis_points"] != 0;
    let lines = report["lines"].as_array().unwrap();
    let drifting: Vec<&Value> = lines.iter().filter(drifting).collect();
    assert_eq!(
        drifting.len(),
        2,
        "the third day is not on the pages: {report}"
    );

    let home = home.set("OPENAI_ADMIN_KEY", "sk-admin-2-0123456789abcdef");
    let ran = home.cli(&["reconcile", "--month", "2026-01"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("must be an admin key"), "{ran:?}");
    assert!(
        !ran.stderr.contains("sk-admin-2-0123456789abcdef"),
        "{ran:?}"
    );
    let home = home.unset("OPENAI_ADMIN_KEY");
    assert_eq!(home.cli(&["reconcile"]).code, Some(2));
}

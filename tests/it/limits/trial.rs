//! `llmproxy limits try` replays the ledger under limits that are not set.

use serde_json::json;

use crate::harness::{Backend, Home};

/// Adds a row for a user: minutes ago, seconds long, tokens, model.
fn add_row(home: &Home, user_id: i64, minutes_ago: i64, seconds: i64, tokens: i64, model: &str) {
    let now_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let at_ms = i64::try_from(now_ms).unwrap() - minutes_ago * 60_000;
    let sql = "INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, cached_tokens, \
               reasoning_tokens, status, outcome, usage_source, duration_ms) \
               VALUES (?1, ?2, '/v1/chat/completions', ?3, ?4, 5, 0, 0, 200, 'completed', 'backend', ?5)";
    home.writable_database()
        .execute(
            sql,
            rusqlite::params![at_ms, user_id, model, tokens - 5, seconds * 1_000],
        )
        .unwrap();
}

#[test]
fn a_trial_says_what_limits_would_have_refused() {
    let backend = Backend::chats(1, 1);
    let home = Home::new(&backend);
    home.user("alice");
    home.user("bob");
    // Four requests within a minute, two of them at the same time, and one of long ago.
    add_row(&home, 1, 60 * 24 * 30, 1, 100, "gpt-4o");
    for (minutes_ago, model) in [(61, "gpt-4o"), (61, "gpt-4o"), (60, "o3"), (60, "gpt-4o")] {
        add_row(&home, 1, minutes_ago, 30, 100, model);
    }
    add_row(&home, 2, 60, 1, 100, "gpt-4o");
    let tried = |flags: &[&str]| {
        let ran = home.cli(&[&["limits", "try", "--json"][..], flags].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let answer = ran.json();
        json!([answer["requests"], answer["refused"]])
    };
    for (flags, expected) in [
        (&["alice", "--budget", "250tokens/total"][..], [4, 3]),
        (&["alice", "--budget", "1000tokens/total"], [4, 0]),
        (&["alice", "--concurrent", "1"], [4, 2]),
        (&["alice", "--models", "gpt*"], [4, 1]),
        (&["alice", "--requests-per-minute", "1"], [4, 2]),
        (&["alice", "--max-output-tokens", "4"], [4, 4]),
        (&["--everybody", "--tokens-per-minute", "99"], [5, 5]),
        (
            &["--everybody", "--budget", "0requests/day", "--since", "60d"],
            [6, 6],
        ),
    ] {
        assert_eq!(tried(flags), json!(expected), "{flags:?}");
    }
    let ran = home.cli(&["limits", "try", "alice", "--concurrent", "1"]);
    assert!(ran.stdout.contains("of 4 requests since"), "{}", ran.stdout);
    assert!(
        home.cli(&["limits"]).stdout.contains("no limits yet"),
        "nothing is set"
    );
}

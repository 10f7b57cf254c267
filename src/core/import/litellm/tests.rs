use super::*;
use crate::import::Note;

const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
/// 2024-05-16T12:00:00Z, a Thursday.
const NOW_MS: i64 = 1_715_860_800_000;

fn import(json: &str) -> Import {
    read(json.as_bytes(), &Calendar::default(), NOW_MS).unwrap()
}

/// Returns the import of one key with these further members.
fn one(members: &str) -> Import {
    import(&format!(
        "[{{\"token\":\"{HASH}\",\"key_name\":\"sk-...abcd\"{members}}}]"
    ))
}

fn limits(user: &ImportUser) -> Vec<String> {
    let limits = user.limits.iter();
    limits
        .map(|limit| format!("{} {limit}", limit.kind.name()))
        .collect()
}

fn notes(import: Import) -> Vec<String> {
    import.notes.into_vec().iter().map(Note::line).collect()
}

#[test]
fn a_key_comes_by_its_hash_with_the_name_of_its_alias() {
    let import = one(r#","key_alias":"ci","user_id":"u1","team_id":"t1","team_alias":"Research""#);
    let user = &import.users[0];
    assert_eq!(user.name.as_str(), "ci");
    assert_eq!(user.group.as_ref().unwrap().as_str(), "Research");
    let key = &user.keys[0];
    assert_eq!(key.hash, ApiKey::hash_of(b"test"));
    assert!(key.clear.is_none());
    assert_eq!(key.display, "sk-…abcd");
    assert_eq!(key.label.as_deref(), Some("u1"));
    assert_eq!(one(r#","user_id":"u1""#).users[0].name.as_str(), "u1");
    assert_eq!(one("").users[0].name.as_str(), "sk-...abcd");
}

#[test]
fn nameless_keys_with_the_same_ends_stay_two_users() {
    let other = "0".repeat(64);
    let json = format!(
        r#"[{{"token":"{HASH}","key_name":"sk-...abcd"}},{{"token":"{other}","key_name":"sk-...abcd"}},{{"token":"sk-old-0123456789abcdef0"}}]"#
    );
    let import = import(&json);
    let names: Vec<&str> = import.users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(
        names[..2],
        ["sk-...abcd (9f86d081)", "sk-...abcd (00000000)"]
    );
    assert!(names[2].starts_with("key-"));
    assert_eq!(
        import.users[2].keys[0].hash,
        ApiKey::hash_of(b"sk-old-0123456789abcdef0")
    );
    assert!(import.users[2].keys[0].clear.is_some());
}

#[test]
fn limits_of_a_key_become_those_of_its_user() {
    let import = one(
        r#","max_budget":10.5,"budget_duration":"30d","rpm_limit":60,"tpm_limit":30000,"max_parallel_requests":4,"models":["gpt-4o","o4-mini"]"#,
    );
    assert_eq!(
        limits(&import.users[0]),
        [
            "budget 10.50usd/month",
            "unpriced allow",
            "requests_per_minute 60",
            "tokens_per_minute 30000",
            "concurrent 4",
            "models gpt-4o,o4-mini",
        ]
    );
    assert!(notes(import).is_empty());
    let import = one(r#","max_budget":5,"budget_duration":"90d""#);
    assert_eq!(limits(&import.users[0])[0], "budget 5usd/total");
    assert!(notes(import)[0].contains("line 1: 90d → total"));
    assert_eq!(
        limits(&one(r#","max_budget":1e-05"#).users[0])[0],
        "budget 0.00001usd/total"
    );
    let shared = one(r#","litellm_budget_table":{"max_budget":3,"budget_duration":"1d"}"#);
    assert_eq!(limits(&shared.users[0])[0], "budget 3usd/day");
}

#[test]
fn words_for_models_are_understood() {
    for (models, limit) in [
        (r#"["all-team-models"]"#, None),
        (r#"["all-proxy-models"]"#, None),
        (r#"["*"]"#, None),
        ("[]", None),
        (r#"["no-default-models"]"#, Some("deny_models *")),
        (r#"["openai/*"]"#, Some("models openai/*")),
    ] {
        let import = one(&format!(",\"models\":{models}"));
        let limits = limits(&import.users[0]);
        assert_eq!(limits.first().map(String::as_str), limit, "{models}");
    }
}

#[test]
fn keys_of_one_user_share_their_limits_only_if_all_have_them() {
    let key = |hash: &str, rest: &str| format!("{{\"token\":\"{hash}\",\"user_id\":\"u1\"{rest}}}");
    let other = "0".repeat(64);
    let json = format!(
        "[{},{}]",
        key(HASH, r#","max_budget":1,"rpm_limit":5,"models":["a"]"#),
        key(&other, r#","max_budget":2,"models":["b"]"#)
    );
    let import = import(&json);
    assert_eq!(import.users.len(), 1);
    assert_eq!(import.users[0].keys.len(), 2);
    assert_eq!(
        limits(&import.users[0]),
        ["budget 3usd/total", "unpriced allow", "models a,b"]
    );
    let notes = notes(import);
    assert!(
        notes
            .iter()
            .any(|note| note.contains("requests_per_minute 5")),
        "{notes:?}"
    );
}

#[test]
fn keys_that_do_not_work_take_no_limit_away() {
    let (blocked, expired) = ("1".repeat(64), "2".repeat(64));
    let json = format!(
        r#"[{{"token":"{HASH}","user_id":"u1","max_budget":1}},{{"token":"{blocked}","user_id":"u1","blocked":true}},
        {{"token":"{expired}","user_id":"u1","expires":"2024-01-15"}}]"#
    );
    assert_eq!(limits(&import(&json).users[0])[0], "budget 1usd/total");
}

#[test]
fn a_limit_that_cannot_be_read_is_a_mistake() {
    for (members, mistake) in [
        (
            r#","max_budget":"plenty""#,
            "line 1: max_budget is no number: \"plenty\"",
        ),
        (
            r#","rpm_limit":[1]"#,
            "line 1: rpm_limit is no number: \"[1]\"",
        ),
    ] {
        assert_eq!(one(members).mistakes, [mistake]);
    }
    assert_eq!(
        limits(&one(r#","max_budget":-1"#).users[0])[0],
        "budget 0usd/total"
    );
    assert!(
        one(r#","max_budget":"Infinity""#).users[0]
            .limits
            .is_empty()
    );
}

#[test]
fn blocked_and_expired_keys_do_not_work() {
    let import = one(r#","blocked":true"#);
    assert!(import.users[0].keys[0].is_stopped);
    let import = one(r#","expires":"2024-01-15 10:30:00.123""#);
    assert_eq!(
        import.users[0].keys[0].expires_at_ms,
        Some(1_705_314_600_123)
    );
    let import = one(r#","expires":"in a while""#);
    assert!(
        import.users[0].keys[0].is_stopped,
        "it must end at some time"
    );
}

#[test]
fn what_was_spent_is_booked_in_the_window_that_it_is_of() {
    let spend = |members: &str| {
        let import = one(&format!(",\"spend\":0.00001234549{members}"));
        import.users[0].keys[0].spend.unwrap()
    };
    assert_eq!(spend("").cost, NanoUsd(12_345));
    assert_eq!(spend("").at_ms, NOW_MS);
    let last = r#","last_active":"2024-05-10T08:00:00Z""#;
    let last_ms = 1_715_328_000_000;
    assert_eq!(spend(last).at_ms, last_ms);
    let monthly =
        format!(r#"{last},"budget_duration":"30d","budget_reset_at":"2024-06-01T00:00:00Z""#);
    assert_eq!(spend(&monthly).at_ms, last_ms);
    // Monday, because the sum is of this week.
    let weekly =
        format!(r#"{last},"budget_duration":"7d","budget_reset_at":"2024-05-20T00:00:00Z""#);
    assert_eq!(spend(&weekly).at_ms, 1_715_558_400_000);
    // The window was over before the export.
    let over = r#","budget_duration":"1d","budget_reset_at":"2024-05-15T00:00:00Z""#;
    assert_eq!(spend(over).at_ms, 1_715_731_200_000 - 1);
    assert!(one(r#","spend":0"#).users[0].keys[0].spend.is_none());
    let absurd = one(r#","spend":1e300"#);
    assert!(absurd.users[0].keys[0].spend.is_none());
    assert!(notes(absurd)[0].contains("spend"));
}

#[test]
fn sessions_of_the_dashboard_are_left_out_and_broken_tokens_are_mistakes() {
    assert!(one(r#","team_id":"litellm-dashboard""#).users.is_empty());
    let import = import("[\n{\"token\":\"nonsense\"},\n{\"token\":null}]");
    assert_eq!(import.mistakes.len(), 2);
    assert!(import.mistakes[0].starts_with("line 2: the token is neither"));
    assert!(import.mistakes[1].starts_with("line 3: it has no token"));
}

#[test]
fn a_file_of_psql_is_read() {
    let csv = format!(
        "token,key_name,key_alias,spend,expires,models,user_id,team_id,blocked,max_budget,budget_duration,created_at,metadata\n\
         {HASH},sk-...abcd,ci,0.0025,2099-03-31 00:00:00,\"{{gpt-4o,gpt-4}}\",,,f,5,30d,2024-05-01 10:00:00.5,\"{{\"\"a\"\": 1}}\"\n"
    );
    let import = read(csv.as_bytes(), &Calendar::default(), NOW_MS).unwrap();
    let user = &import.users[0];
    assert_eq!(user.name.as_str(), "ci");
    assert_eq!(
        limits(user),
        ["budget 5usd/month", "unpriced allow", "models gpt-4,gpt-4o"]
    );
    assert_eq!(user.keys[0].spend.unwrap().cost, NanoUsd(2_500_000));
    assert!(!user.keys[0].is_stopped);
    assert_eq!(user.created_at_ms, Some(1_714_557_600_500));
}

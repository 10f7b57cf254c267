//! LiteLLM's virtual keys, as psql and LiteLLM's own API write them.

use super::*;

/// The keys sk-alice-0123456789abcdef and sk-bob-0123456789abcdef.
const ALICE: &str = "sk-alice-0123456789abcdef";
const BOB: &str = "sk-bob-0123456789abcdef";

fn hash(key: &str) -> String {
    use sha2::{Digest, Sha256};
    data_encoding::HEXLOWER.encode(&Sha256::digest(key))
}

/// What `COPY … TO STDOUT WITH CSV HEADER` writes.
fn csv() -> String {
    format!(
        "token,key_name,key_alias,soft_budget_cooldown,spend,expires,models,aliases,config,user_id,team_id,permissions,max_parallel_requests,metadata,blocked,tpm_limit,rpm_limit,max_budget,budget_duration,budget_reset_at,allowed_cache_controls,model_spend,model_max_budget,budget_id,created_at,created_by,updated_at,updated_by\n\
         {},sk-...cdef,alice-laptop,f,1.2345678905,,\"{{gpt-4.1-mini,\"\"my model\"\"}}\",{{}},{{}},alice,research,{{}},,{{}},,,60,10,30d,2099-12-01 00:00:00,{{}},{{}},{{}},,2024-05-01 10:00:00.123,,2026-11-01 10:00:00,\n\
         {},sk-...cdef,,f,0,2020-01-01 00:00:00,{{}},{{}},{{}},bob,,{{}},,{{}},t,,,,,,{{}},{{}},{{}},,2024-05-01 10:00:00.123,,2026-11-01 10:00:00,\n",
        hash(ALICE),
        hash(BOB)
    )
}

#[test]
fn keys_of_a_csv_work_unchanged_by_their_hash() {
    let (_backend, home) = home();
    let home = home.file("keys.csv", &csv());
    let summary = import(&home, &["keys.csv"]);
    assert_eq!(summary["format"], "litellm");
    assert_eq!(summary["cost_usd"], "1.234567891");
    let users = home.users();
    assert_eq!(users[0]["username"], "alice-laptop");
    assert_eq!(users[0]["group"], "research");
    assert_eq!(
        (&users[0]["api_key"], &users[0]["key"]),
        (&Value::Null, &"sk-…cdef".into())
    );
    assert_eq!(users[0]["created_at"], "2024-05-01T10:00:00Z");
    let mut limits = limits(&home, "alice-laptop");
    limits.sort();
    assert_eq!(
        limits,
        [
            "budget 10usd/month",
            "models gpt-4.1-mini,my model",
            "requests_per_minute 60",
            "unpriced allow"
        ]
    );
    assert_eq!(sums(&home, "alice-laptop").4, "1.234567891");
    let row = &home.rows()[0];
    assert_eq!(
        (row.model.as_deref(), row.endpoint.as_str()),
        (Some("import"), "import")
    );
    assert_consistent(&home);
    let proxy = home.serve();
    wait_for_chat(&proxy, ALICE, 200);
    assert_eq!(proxy.chat(ALICE, &ask("gpt-4o")).status, 404);
    wait_for_chat(&proxy, BOB, 401);
    // The budget counts what was spent before.
    let list = proxy.get_json("/admin/list_limits?username=alice-laptop");
    let entries = list["limits"].as_array().unwrap().iter();
    let budget = entries
        .clone()
        .find(|limit| limit["kind"] == "budget")
        .unwrap();
    assert!(
        budget["used"].as_str().unwrap().starts_with("1.2345"),
        "{list}"
    );
}

#[test]
fn a_budget_that_is_used_up_stays_used_up() {
    let (_backend, home) = home();
    let json = format!(
        r#"{{"keys":[{{"token":"{}","key_name":"sk-...cdef","key_alias":"alice","spend":5.0001,"max_budget":5.0,"models":[],"blocked":null}}],"total_count":1,"current_page":1,"total_pages":1}}"#,
        hash(ALICE)
    );
    let home = home.file("keys.json", &json);
    import(&home, &["keys.json"]);
    let proxy = home.serve();
    wait_for_chat(&proxy, ALICE, 429);
}

#[test]
fn json_of_every_kind_is_read() {
    let (_backend, home) = home();
    let object = |key: &str, alias: &str| {
        format!(
            r#"{{"token":"{}","key_alias":"{alias}","spend":1e-05,"expires":"2099-01-01T00:00:00+00:00"}}"#,
            hash(key)
        )
    };
    let lines = format!("{}\n{}\n", object(ALICE, "alice"), object(BOB, "bob"));
    let home = home.file("keys.ndjson", &lines);
    let summary = import(&home, &["keys.ndjson"]);
    assert_eq!(summary["new_users"], 2);
    assert_eq!(summary["cost_usd"], "0.000020000");
    let array = format!("[{},{}]", object(ALICE, "alice"), object(BOB, "bob"));
    let home = home.file("keys.json", &array);
    let again = import(&home, &["keys.json", "--format", "litellm"]);
    assert_eq!(
        (&again["known_keys"], &again["new_rows"]),
        (&2.into(), &0.into())
    );
    assert_eq!(home.users()[0]["expires_at"], "2099-01-01T00:00:00Z");
}

#[test]
fn budgets_of_other_times_are_named() {
    let (_backend, home) = home();
    let json = format!(
        r#"[{{"token":"{}","key_alias":"alice","max_budget":9,"budget_duration":"14d"}}]"#,
        hash(ALICE)
    );
    let home = home.file("keys.json", &json);
    let ran = run(&home, &["import", "keys.json", "--dry-run"]);
    assert!(ran.stdout.contains("14d → month"), "{ran:?}");
    assert!(ran.stdout.contains("9usd/month"), "{ran:?}");
}

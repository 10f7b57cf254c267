//! Misspelt names of settings, parameters and members are errors that say what was probably meant.

use serde_json::json;

use super::*;

#[test]
fn a_misspelt_setting_in_the_env_file_stops_every_command() {
    for (line, meant) in [
        ("MAX_CONCURENT=5", "MAX_CONCURRENT_REQUESTS"),
        ("ADMIN_TOKN=x", "ADMIN_TOKEN"),
        ("export DATABSE_URL=x.db", "DATABASE_URL"),
        ("LLMPROXY_SEVER=http://x", "LLMPROXY_SERVER"),
    ] {
        let home = home().file(".env", &format!("# ours\n{line}\n"));
        for arguments in [&["user", "list"][..], &["costs"], &["serve"]] {
            let ran = home.cli(arguments);
            ran.assert_one_line_error();
            let advice = format!("did you mean {meant}?");
            assert!(ran.stderr.contains(&advice), "{line}: {ran:?}");
        }
    }
}

#[test]
fn names_of_other_programs_in_the_env_file_are_none_of_ours() {
    let home = home().file(
        ".env",
        "POSTGRES_URL=x\nANTHROPIC_API_KEY=y\nOPENAI_API_KEY_2=z\nLOG_LEVEL=debug\nCOMPOSE_PROJECT_NAME=a\nTZ=UTC\n",
    );
    home.user("alice");
    assert_eq!(home.users().len(), 1);
}

#[test]
fn a_misspelt_query_parameter_is_refused() {
    let (_backend, proxy, key) = proxy();
    for (target, advice) in [
        (
            "/admin/list_costs?last_hour=24",
            "did you mean \"last_hours\"?",
        ),
        (
            "/admin/list_costs?by_modell=true",
            "did you mean \"by_model\"?",
        ),
        ("/admin/list_users?grop=x", "did you mean \"group\"?"),
        ("/admin/list_keys?user=alice", "did you mean \"username\"?"),
        ("/v1/usage?last_hour=24", "did you mean \"last_hours\"?"),
        ("/admin/list_users?colour=red", "known are group, inactive"),
        ("/admin/list_groups?x=1", "there are none"),
    ] {
        let answer = proxy.send(&Request::get(target).key(&key));
        assert_eq!(answer.status, 400, "{target}: {answer:?}");
        let message = message_of(&answer, "unknown_parameter");
        assert!(message.contains(advice), "{target}: {message}");
    }
}

#[test]
fn a_misspelt_member_is_refused_and_nothing_is_done() {
    let (_backend, proxy, _) = proxy();
    for (path, body, advice) in [
        (
            "/admin/gen_key",
            json!({"username": "bob", "expire": "90d"}),
            "did you mean \"expires\"?",
        ),
        (
            "/admin/rotate_key",
            json!({"username": "alice", "grcae": "24h"}),
            "did you mean \"grace\"?",
        ),
        (
            "/admin/add_users",
            json!({"users": [{"username": "bob"}, {"username": "carol", "grop": "x"}]}),
            "did you mean \"group\"?",
        ),
        (
            "/admin/add_users",
            json!({"users": [{"usernam": "bob"}]}),
            "did you mean \"username\"?",
        ),
        (
            "/admin/add_users",
            json!({"user": [{"username": "bob"}]}),
            "did you mean \"users\"?",
        ),
    ] {
        let answer = proxy.send(&Request::post(path, body.to_string()));
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        let message = message_of(&answer, "unknown_parameter");
        assert!(message.contains(advice), "{path} {body}: {message}");
    }
    assert_eq!(proxy.users().len(), 1);
    assert_eq!(keys_of(&proxy, "alice").len(), 1);
}

#[test]
fn a_member_of_an_entry_with_a_wrong_type_is_named() {
    let (_backend, proxy, _) = proxy();
    for (users, says) in [
        (json!([{"username": 7}]), "username must be a string"),
        (
            json!([{"username": "bob", "label": []}]),
            "label must be a string",
        ),
        (json!(["bob"]), "entry 1"),
        (
            json!([{"username": "bob"}, {"group": "x"}]),
            "entry 2: username must not be empty",
        ),
        (json!({}), "users must be a list of objects"),
        (json!([]), "users is missing"),
        (json!(null), "users is missing"),
    ] {
        let body = json!({"users": users}).to_string();
        let answer = proxy.send(&Request::post("/admin/add_users", body));
        assert_eq!(answer.status, 400, "{users}: {answer:?}");
        let error = answer.json()["error"].clone();
        assert!(text(&error, "message").contains(says), "{users}: {error}");
        assert_eq!(error["param"], "users", "{users}");
    }
}

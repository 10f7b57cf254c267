//! Names that would look like something else are refused, and no message repeats a key.

use serde_json::json;

use super::*;

/// Names that are refused, with a part of the reason.
const REFUSED: [(&str, &str); 12] = [
    ("TOTAL", "TOTAL"),
    ("total", "TOTAL"),
    ("-", "TOTAL or -"),
    ("llmp-0123456789", "looks like a key"),
    ("LLMP-alice", "looks like a key"),
    ("al\u{200b}ice", "U+200B"),
    ("alice\u{ad}", "U+00AD"),
    ("ali\u{a0}ce", "U+00A0"),
    ("\u{2060}alice", "U+2060"),
    ("al\u{fe0f}ice", "U+FE0F"),
    ("al\u{202e}ice", "control characters"),
    ("", "empty"),
];

#[test]
fn the_command_line_refuses_names_that_look_like_something_else() {
    let home = home();
    home.user("bob");
    run(&home, &["group", "add", "team"]);
    for (name, reason) in REFUSED {
        for arguments in [
            &["user", "add", "--", name][..],
            &["user", "add", "--", "carol", name],
            &["user", "rename", "--", "bob", name],
            &["group", "add", "--", name],
            &["group", "rename", "--", "team", name],
        ] {
            let ran = home.cli(arguments);
            assert!(matches!(ran.code, Some(1 | 2)), "{arguments:?}: {ran:?}");
            assert!(ran.stderr.contains(reason), "{arguments:?}: {ran:?}");
            assert_eq!(ran.stdout, "", "{arguments:?}");
        }
    }
    assert_eq!(home.users().len(), 1);
    let groups = run(&home, &["group", "list", "--json"]).json();
    assert_eq!(groups["groups"].as_array().unwrap().len(), 1);
}

#[test]
fn the_api_refuses_names_that_look_like_something_else() {
    let (_backend, proxy, _) = proxy();
    proxy.send(&Request::post("/admin/add_group", r#"{"name":"team"}"#));
    for (name, reason) in REFUSED {
        for (path, body) in [
            ("/admin/gen_key", json!({"username": name})),
            ("/admin/add_users", json!({"users": [{"username": name}]})),
            (
                "/admin/rename_user",
                json!({"username": "alice", "new_username": name}),
            ),
            ("/admin/add_group", json!({"name": name})),
            (
                "/admin/rename_group",
                json!({"name": "team", "new_name": name}),
            ),
        ] {
            let answer = proxy.send(&Request::post(path, body.to_string()));
            assert_eq!(answer.status, 400, "{path} {name:?}: {answer:?}");
            let code = if path == "/admin/add_users" {
                "invalid_entries"
            } else {
                "invalid_value"
            };
            let message = message_of(&answer, code);
            assert!(message.contains(reason), "{path} {name:?}: {message}");
        }
    }
    assert_eq!(proxy.users()[0]["username"], "alice");
}

/// A key of nobody.
const STRAY: &str = "llmp-0123456789abcdef0123456789abcdef0123456789abcdef";

/// Keys whose every use in the place of a name is tried: of nobody, of alice, and one that was given.
fn keys(home: &Home, alice: &str) -> Vec<String> {
    let given = "sk-given-0123456789abcdef";
    run(home, &["key", "add", "alice", "--key", given]);
    vec![STRAY.to_owned(), alice.to_owned(), given.to_owned()]
}

#[test]
fn no_command_repeats_a_key_that_stands_for_a_name() {
    let home = home();
    let alice = home.user("alice");
    run(&home, &["group", "add", "team"]);
    for key in &keys(&home, &alice) {
        let key = key.as_str();
        let commands: [&[&str]; 37] = [
            &["user", "show", key],
            &["user", "set", key, "--group", "team"],
            &["user", "set", key, "--group", key],
            &["user", "set", "alice", "--group", key],
            &["user", "rename", key, "alice"],
            &["user", "rename", "alice", key],
            &["group", "add", key],
            &["user", "rename", "nobody", key],
            &["user", "delete", key],
            &["user", "forbid", key],
            &["user", "allow", key],
            &["user", "list", "--group", key],
            &["user", "rotate", key, "--grace", key],
            &["user", "rotate", "alice", "--key-id", key],
            &["user", "rotate", "nobody", "--label", key],
            &["user", "add", "bob", "--group", key],
            &["user", "add", "bob", "--expires", key],
            &["user", "add", "alice", "--key", key],
            &["user", "add", "bob", "--from", key],
            &["user", key],
            &["key", "add", key, "--expires", "soon"],
            &["key", "list", key],
            &["key", "set", key, "--label", "x"],
            &["key", "set", "99", "--label", key],
            &["key", "set", "99", "--expires", key],
            &["key", "revoke", "99", key],
            &["group", "show", key],
            &["group", "set", key, "--add", "alice"],
            &["group", "set", "team", "--add", key, "--remove", "nobody"],
            &["group", "set", "team", "--remove", key],
            &["group", "rename", key, "x"],
            &["group", "delete", key, "--yes"],
            &["costs", "--user", key],
            &["costs", "--group", key],
            &["costs", "--by", key],
            &["costs", "--since", key],
            &[key],
        ];
        for arguments in commands {
            let ran = home.cli(arguments);
            let said = format!("{}{}", ran.stdout, ran.stderr).replace('\n', "");
            assert!(!said.contains(key), "{arguments:?}: {ran:?}");
            assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        }
    }
}

#[test]
fn no_answer_repeats_a_key_that_stands_for_a_name() {
    let (_backend, proxy, alice) = proxy();
    run(&proxy, &["group", "add", "team"]);
    for key in &keys(&proxy, &alice) {
        let posts = [
            (
                "/admin/rename_user",
                json!({"username": "nobody", "new_username": key}),
            ),
            ("/admin/set_user", json!({"username": key, "group": key})),
            (
                "/admin/set_user",
                json!({"username": "alice", "group": key}),
            ),
            (
                "/admin/delete_user",
                json!({"username": format!("{key} ?")}),
            ),
            ("/admin/forbid_key", json!({"username": key})),
            ("/admin/forbid_key", json!({"api_key": format!("{key}0")})),
            ("/admin/gen_key", json!({"username": key})),
            ("/admin/gen_key", json!({"username": "bob", "group": key})),
            ("/admin/gen_key", json!({"username": "bob", "expires": key})),
            ("/admin/gen_key", json!({key: "bob"})),
            ("/admin/add_users", json!({"users": [key]})),
            (
                "/admin/add_users",
                json!({"users": [{"username": "bob", key: 1}]}),
            ),
            (
                "/admin/add_users",
                json!({"users": [{"username": "bob", "line": key}]}),
            ),
            (
                "/admin/add_users",
                json!({"users": [{"username": "bob", "group": key}]}),
            ),
            ("/admin/add_users", json!({"users": [{"username": key}]})),
            ("/admin/add_users", json!({"users": key})),
            (
                "/admin/rotate_key",
                json!({"username": "alice", "grace": key}),
            ),
            (
                "/admin/rotate_key",
                json!({"username": "nobody", "api_key": key}),
            ),
            ("/admin/revoke_key", json!({"key_id": key})),
            ("/admin/set_key", json!({"key_id": 99, "label": key})),
            ("/admin/add_group", json!({"name": key})),
            (
                "/admin/set_group",
                json!({"name": "team", "add": ["nobody", key]}),
            ),
            ("/admin/set_group", json!({"name": "team", "remove": [key]})),
            (
                "/admin/set_group",
                json!({"name": "team", "remove": [[key]]}),
            ),
            (
                "/admin/set_group",
                json!({"name": key, "remove": ["alice"]}),
            ),
            ("/admin/rename_group", json!({"name": key, "new_name": "x"})),
            ("/admin/delete_group", json!({"name": key})),
        ];
        for (path, body) in posts {
            let answer = proxy.send(&Request::post(path, body.to_string()));
            if path == "/admin/gen_key" && answer.status == 200 {
                continue;
            }
            assert!(
                !answer.text().contains(key.as_str()),
                "{path} {body}: {answer:?}"
            );
        }
        for target in [
            format!("/admin/list_users?group={key}"),
            format!("/admin/list_users?{key}=1"),
            format!("/admin/list_keys?username={key}"),
            format!("/admin/show_group?name={key}"),
            format!("/admin/list_costs?username={key}"),
            format!("/admin/list_costs?by={key}"),
            format!("/v1/usage?by={key}"),
            format!("/v1/usage?{key}=1"),
        ] {
            let answer = proxy.send(&Request::get(&target).key(&alice));
            assert!(
                !answer.text().contains(key.as_str()),
                "{target}: {answer:?}"
            );
        }
    }
    for key in [STRAY, &alice] {
        assert!(!proxy.log().contains(key), "{}", proxy.log());
    }
}

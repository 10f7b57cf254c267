//! The life of a key, by the command line and by HTTP alike. Each change takes effect on a running
//! server within 250 ms.

use serde_json::json;

use super::*;
use crate::harness::{alone, totals, wait_until};

#[test]
fn a_further_key_with_a_label_works_beside_the_first() {
    let _alone = alone();
    for way in WAYS {
        let (_backend, proxy, first) = proxy();
        let issued = way.change(
            &proxy,
            &["key", "add", "alice", "--label", "laptop"],
            "/admin/add_key",
            &json!({"username": "alice", "label": "laptop"}),
        );
        assert_soon(&proxy, text(&issued, "api_key"), 200);
        assert_eq!(proxy.chat(&first, ASK).status, 200);
        assert_eq!(issued["label"], "laptop");
        let keys = keys_of(&proxy, "alice");
        assert_eq!(keys.len(), 2, "{keys:?}");
        assert_eq!(keys[1]["id"], issued["key_id"]);
        assert_eq!(keys[1]["label"], "laptop");
        assert_eq!(keys[1]["status"], "active");
        let second = issued["key_id"].as_i64().unwrap();
        assert_eq!(bookings(&proxy), [(1, second), (1, 1)], "{way:?}");
        let alice = &proxy.users()[0];
        assert_eq!(alice["active_keys"], 2);
        assert_eq!(
            alice["api_key"], issued["api_key"],
            "the newest that works is shown"
        );
    }
}

#[test]
fn after_a_rotation_with_grace_both_keys_work_and_then_only_the_new_one() {
    let _alone = alone();
    for way in WAYS {
        let (_backend, proxy, old) = proxy();
        let rotated = way.change(
            &proxy,
            &["user", "rotate", "alice", "--grace", "2s"],
            "/admin/rotate_key",
            &json!({"username": "alice", "grace": "2s"}),
        );
        let new = text(&rotated, "api_key");
        assert_soon(&proxy, new, 200);
        assert_eq!(proxy.chat(&old, ASK).status, 200, "{way:?}");
        assert_eq!(rotated["replaced"]["id"], 1);
        assert_eq!(rotated["replaced"]["status"], "active");
        assert_eq!(rotated["other_active_keys"], 0);
        let end = text(&rotated["replaced"], "expires_at").to_owned();
        let refused = wait_for_status(&proxy, &old, 401);
        let message = message_of(&refused, "invalid_api_key");
        assert!(message.contains(&format!("expired at {end}")), "{message}");
        assert_eq!(proxy.chat(new, ASK).status, 200);
        let keys = keys_of(&proxy, "alice");
        assert_eq!(keys[0]["status"], "expired");
        assert_eq!(keys[1]["expires_at"], json!(null));
    }
}

#[test]
fn a_rotation_without_grace_stops_the_old_key() {
    let _alone = alone();
    for way in WAYS {
        let (_backend, proxy, old) = proxy();
        let rotated = way.change(
            &proxy,
            &["user", "rotate", "alice"],
            "/admin/rotate_key",
            &json!({"username": "alice"}),
        );
        let refused = assert_soon(&proxy, &old, 401);
        let message = message_of(&refused, "invalid_api_key");
        assert!(message.contains("revoked"), "{message}");
        assert_eq!(proxy.chat(text(&rotated, "api_key"), ASK).status, 200);
        assert_eq!(rotated["replaced"]["status"], "revoked");
    }
}

#[test]
fn of_several_keys_the_chosen_one_is_rotated() {
    let _alone = alone();
    for way in WAYS {
        let (_backend, proxy, first) = proxy();
        let add = ["key", "add", "alice", "--label", "ci", "--expires", "90d"];
        let second = run(&proxy, &[&add[..], &["--json"]].concat()).json();
        let third = run(&proxy, &["key", "add", "alice"]).stdout;
        let id = second["key_id"].as_i64().unwrap();
        let rotated = way.change(
            &proxy,
            &["user", "rotate", "alice", "--key-id", &id.to_string()],
            "/admin/rotate_key",
            &json!({"username": "alice", "key_id": id}),
        );
        assert_soon(&proxy, text(&second, "api_key"), 401);
        for key in [&first, third.trim(), text(&rotated, "api_key")] {
            assert_eq!(proxy.chat(key, ASK).status, 200, "{way:?}");
        }
        assert_eq!(rotated["replaced"]["id"], id);
        assert_eq!(rotated["other_active_keys"], 2);
        for kept in ["label", "expires_at"] {
            assert_eq!(rotated[kept], second[kept], "{kept} is the old key's");
        }
    }
}

#[test]
fn a_key_in_the_place_of_the_name_is_the_one_that_is_rotated() {
    for way in WAYS {
        let (_backend, proxy, _) = proxy();
        let given = "sk-imported-0123456789abcdef";
        for key in [
            run(&proxy, &["key", "add", "alice"]).stdout.trim(),
            run(&proxy, &["key", "add", "alice", "--key", given])
                .stdout
                .trim(),
        ] {
            // A newer key, which must stay.
            run(&proxy, &["key", "add", "alice"]);
            let rotated = way.change(
                &proxy,
                &["user", "rotate", key],
                "/admin/rotate_key",
                &json!({"username": key}),
            );
            wait_for_status(&proxy, key, 401);
            assert_eq!(rotated["username"], "alice", "{way:?} {key}");
            assert_eq!(rotated["replaced"]["status"], "revoked");
        }
    }
}

#[test]
fn an_expired_key_is_401_and_the_message_says_when_it_expired() {
    let _alone = alone();
    for way in WAYS {
        let (_backend, proxy, first) = proxy();
        let issued = way.change(
            &proxy,
            &["key", "add", "alice", "--expires", "2s"],
            "/admin/add_key",
            &json!({"username": "alice", "expires": "2s"}),
        );
        let key = text(&issued, "api_key");
        assert_soon(&proxy, key, 200);
        let refused = wait_for_status(&proxy, key, 401);
        let message = message_of(&refused, "invalid_api_key");
        let end = text(&issued, "expires_at");
        assert!(message.contains(&format!("expired at {end}")), "{message}");
        assert_eq!(proxy.chat(&first, ASK).status, 200, "the other works on");
        assert_eq!(keys_of(&proxy, "alice")[1]["status"], "expired");
    }
}

#[test]
fn a_revoked_key_is_401_and_the_others_work_on() {
    let _alone = alone();
    for way in WAYS {
        let (_backend, proxy, first) = proxy();
        let second = run(&proxy, &["key", "add", "alice"]).stdout;
        for (command, body) in [
            (&["key", "revoke", "1"], json!({"key_id": 1})),
            (&["key", "revoke", &first], json!({"api_key": first})),
        ] {
            let revoked = way.change(&proxy, command, "/admin/revoke_key", &body);
            let refused = assert_soon(&proxy, &first, 401);
            let message = message_of(&refused, "invalid_api_key");
            assert!(message.contains("revoked"), "{message}");
            assert_eq!(revoked["status"], "revoked");
            assert_eq!(revoked["id"], 1);
        }
        assert_eq!(proxy.chat(second.trim(), ASK).status, 200, "{way:?}");
    }
}

#[test]
fn label_and_end_of_a_key_can_be_set_and_removed() {
    let _alone = alone();
    for way in WAYS {
        let (_backend, proxy, key) = proxy();
        let set = |flags: [&str; 2], member: serde_json::Value| {
            let mut body = json!({"key_id": 1});
            let members = member.as_object().unwrap().clone();
            body.as_object_mut().unwrap().extend(members);
            let command = ["key", "set", "1", flags[0], flags[1]];
            way.change(&proxy, &command, "/admin/set_key", &body)
        };
        let changed = set(["--label", "old laptop"], json!({"label": "old laptop"}));
        assert_eq!(changed["label"], "old laptop");
        let changed = set(["--expires", "1s"], json!({"expires": "1s"}));
        assert_eq!(changed["label"], "old laptop", "it stays");
        assert!(changed["expires_at"].is_string());
        wait_for_status(&proxy, &key, 401);
        let changed = set(["--expires", "never"], json!({"expires": null}));
        assert_soon(&proxy, &key, 200);
        assert_eq!(changed["expires_at"], json!(null));
        assert_eq!(changed["status"], "active");
        assert_eq!(
            set(["--label", ""], json!({"label": null}))["label"],
            json!(null)
        );
    }
}

#[test]
fn a_user_who_is_renamed_keeps_keys_and_usage() {
    let _alone = alone();
    for way in WAYS {
        let (_backend, proxy, key) = proxy();
        proxy.chat(&key, ASK);
        let renamed = way.change(
            &proxy,
            &["user", "rename", "alice", "alice.liddell"],
            "/admin/rename_user",
            &json!({"username": "alice", "new_username": "alice.liddell"}),
        );
        assert_eq!(renamed["username"], "alice.liddell");
        assert_eq!(renamed["id"], 1);
        assert_eq!(proxy.chat(&key, ASK).status, 200);
        let costs = costs_of(&proxy, "alice.liddell");
        assert_eq!(totals(&costs[0]), [38, 20, 0, 2], "{way:?}");
        assert!(costs_of(&proxy, "alice").is_empty());
        // The log calls her by the new name as soon as the server knows it.
        wait_until("the log has the new name", SOON, || {
            proxy.chat(&key, ASK);
            proxy.log().contains("alice.liddell")
        });
    }
}

#[test]
fn a_deleted_user_stops_the_usage_stays_and_the_name_is_free() {
    let _alone = alone();
    for way in WAYS {
        let (_backend, proxy, key) = proxy();
        let second = run(&proxy, &["key", "add", "alice"]).stdout;
        assert_soon(&proxy, second.trim(), 200);
        proxy.chat(&key, ASK);
        let deleted = way.change(
            &proxy,
            &["user", "delete", "alice", "--yes"],
            "/admin/delete_user",
            &json!({"username": "alice"}),
        );
        assert_eq!(deleted, json!({"username": "alice", "is_deleted": true}));
        for key in [&key, second.trim()] {
            assert_soon(&proxy, key, 401);
        }
        assert!(proxy.users().is_empty());
        let count = i64::try_from(bookings(&proxy).len()).unwrap();
        let new = way.change(
            &proxy,
            &["user", "add", "alice"],
            "/admin/gen_key",
            &json!({"username": "alice"}),
        );
        assert_soon(&proxy, text(&new, "api_key"), 200);
        let costs = costs_of(&proxy, "alice");
        let sums = |is_deleted: bool| {
            let mut entries = costs
                .iter()
                .filter(|user| (user["is_deleted"] == true) == is_deleted);
            let entry = entries.next().unwrap_or_else(|| panic!("{costs:?}"));
            assert!(entries.next().is_none(), "{costs:?}");
            totals(entry)
        };
        assert_eq!(sums(true), [19 * count, 10 * count, 0, count], "{way:?}");
        assert_eq!(sums(false), [19, 10, 0, 1], "{way:?}");
        assert_eq!(proxy.users()[0]["id"], 2, "an id is given once");
        let keys = keys_of(&proxy, "alice");
        assert_eq!(keys.len(), 1, "the old keys are not hers: {keys:?}");
    }
}

#[test]
fn forbidding_a_user_stops_all_keys_and_allowing_starts_them_again() {
    let _alone = alone();
    for way in WAYS {
        let (_backend, proxy, first) = proxy();
        let second = run(&proxy, &["key", "add", "alice"]).stdout;
        let second = second.trim();
        assert_soon(&proxy, second, 200);
        for (word, status) in [("forbid", 403), ("allow", 200), ("allow", 200)] {
            for (by, body) in [
                ("alice", json!({"username": "alice"})),
                (second, json!({"api_key": second})),
            ] {
                let path = format!("/admin/{word}_key");
                let changed = way.change(&proxy, &["user", word, by], &path, &body);
                let is_active = status == 200;
                assert_eq!(
                    changed,
                    json!({"username": "alice", "is_active": is_active})
                );
                assert_soon(&proxy, &first, status);
                assert_eq!(proxy.chat(second, ASK).status, status, "{way:?}");
            }
        }
    }
}

#[test]
fn a_key_that_was_given_stands_for_its_user_in_every_command() {
    let (_backend, proxy, _) = proxy();
    let given = "sk-imported-0123456789abcdef";
    run(&proxy, &["key", "add", "alice", "--key", given]);
    for arguments in [
        &["user", "show", given][..],
        &["key", "list", given],
        &["user", "forbid", given],
        &["user", "allow", given],
        &["key", "set", given, "--label", "old"],
        &["key", "revoke", given],
    ] {
        let ran = run(&proxy, arguments);
        assert!(ran.stdout.contains("alice"), "{arguments:?}: {ran:?}");
        assert!(!ran.stdout.contains(given), "{ran:?}");
    }
    assert_eq!(keys_of(&proxy, "alice")[1]["status"], "revoked");
    let digits = "00000000000000000001";
    run(&proxy, &["key", "add", "alice", "--key", digits]);
    run(&proxy, &["key", "revoke", digits]);
    assert_eq!(keys_of(&proxy, "alice")[0]["status"], "active");
    assert_eq!(keys_of(&proxy, "alice")[2]["status"], "revoked");
}

#[test]
fn a_user_moves_into_a_group_and_out_of_it() {
    for way in WAYS {
        let (_backend, proxy, _) = proxy();
        let group = way.change(
            &proxy,
            &["group", "add", "course-7"],
            "/admin/add_group",
            &json!({"name": "course-7"}),
        );
        assert_eq!(group["users"], 0);
        let user = way.change(
            &proxy,
            &["user", "set", "alice", "--group", "course-7"],
            "/admin/set_user",
            &json!({"username": "alice", "group": "course-7"}),
        );
        assert_eq!(user["group"], "course-7");
        let user = way.change(
            &proxy,
            &["user", "set", "alice", "--no-group"],
            "/admin/set_user",
            &json!({"username": "alice", "group": null}),
        );
        assert_eq!(user["group"], json!(null));
        let shown = way.change(
            &proxy,
            &["group", "set", "course-7", "--add", "alice"],
            "/admin/set_group",
            &json!({"name": "course-7", "add": ["alice"], "remove": null}),
        );
        assert_eq!(shown["users"][0]["username"], "alice", "{way:?}");
        let renamed = way.change(
            &proxy,
            &["group", "rename", "course-7", "course-8"],
            "/admin/rename_group",
            &json!({"name": "course-7", "new_name": "course-8"}),
        );
        assert_eq!(renamed["users"], 1);
        way.change(
            &proxy,
            &["group", "delete", "course-8", "--yes"],
            "/admin/delete_group",
            &json!({"name": "course-8"}),
        );
        assert_eq!(proxy.users()[0]["group"], json!(null), "users stay");
    }
}

#[test]
fn last_use_is_written_once_a_minute_and_at_the_end_and_moves_no_counter() {
    let (_backend, mut proxy, key) = proxy();
    let version = || {
        let counter = "SELECT version FROM users_version";
        let read = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        proxy.database().query_row(counter, [], read).unwrap()
    };
    let last_used_ms = |proxy: &Proxy| {
        let time = "SELECT last_used_at_ms FROM keys WHERE id = 1";
        let read = |row: &rusqlite::Row<'_>| row.get::<_, Option<i64>>(0);
        proxy.database().query_row(time, [], read).unwrap()
    };
    let before = version();
    assert_eq!(last_used_ms(&proxy), None);
    let asked_ms = jiff::Timestamp::now().as_millisecond();
    proxy.chat(&key, ASK);
    wait_until("the first use is written", PATIENCE, || {
        last_used_ms(&proxy).is_some()
    });
    let first_ms = last_used_ms(&proxy).unwrap();
    assert!((asked_ms..asked_ms + 10_000).contains(&first_ms));
    assert!(proxy.users()[0]["last_used_at"].is_string());
    // Several further looks of the server pass, each of which a change over the file takes part in.
    for n in 0..3 {
        proxy.chat(&key, ASK);
        let name = format!("user {n}");
        assert_soon(&proxy, &proxy.user(&name), 200);
    }
    assert_eq!(last_used_ms(&proxy), Some(first_ms), "once a minute");
    let added = version() - before;
    assert_eq!(added, 6, "three users with a key each, and no use of a key");
    proxy.signal("TERM");
    assert!(proxy.exit_within(PATIENCE).is_some());
    assert!(last_used_ms(&proxy).unwrap() > first_ms, "also at the end");
}

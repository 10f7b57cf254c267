//! With `STORE_KEYS=hashed` the database never contains a complete key.

use std::fs;

use crate::harness::{ASK, Backend, Home, PATIENCE, chat_completion, wait_until};

/// Whether any of the database's files holds the text.
fn files_hold(home: &Home, text: &str) -> bool {
    ["test.db", "test.db-wal", "test.db-shm"]
        .iter()
        .any(|name| {
            let bytes = fs::read(home.path(name)).unwrap_or_default();
            memchr::memmem::find(&bytes, text.as_bytes()).is_some()
        })
}

#[test]
fn with_store_keys_hashed_a_key_is_shown_once_and_never_stored() {
    let home = Home::new(&Backend::json("{}")).set("STORE_KEYS", "hashed");
    let key = home.user("alice");
    assert!(key.starts_with("llmp-") && !files_hold(&home, &key));
    assert!(home.users()[0]["api_key"].is_null());
    let listed = home.users()[0]["key"].clone();
    let listed = listed.as_str().unwrap();
    assert!(
        listed.len() < 20 && key.starts_with(&listed[..9]),
        "{listed}"
    );
}

#[test]
fn keys_hashed_while_the_server_runs_are_wiped_and_still_work() {
    let backend = Backend::json(chat_completion(19, 10));
    let (proxy, alice) = Home::new(&backend).serve_alice();
    assert!(files_hold(&proxy, &alice), "clear keys are stored whole");
    let ran = proxy.cli(&["user", "hash-keys"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("hashed 1 key;"), "{ran:?}");
    assert!(
        !files_hold(&proxy, &alice),
        "neither in the file nor in the WAL"
    );
    assert_eq!(proxy.chat(&alice, ASK).status, 200);

    let bob = proxy.user("bob");
    assert!(!files_hold(&proxy, &bob), "new keys are hashed too");
    wait_until("bob's key works", PATIENCE, || {
        proxy.chat(&bob, ASK).status == 200
    });
    assert_eq!(
        proxy.cli(&["user", "forbid", &alice]).code,
        Some(0),
        "a hash is found by its key"
    );
    wait_until("alice is forbidden", PATIENCE, || {
        proxy.chat(&alice, ASK).status == 403
    });
}

use std::{future::Future, sync::Arc};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::{
    model::{ApiKey, Entry, KeyHolder, Origin, RequestId, StoredObject},
    proxy::{admission::auth::KeyTable, error::ErrorShape},
    store::{
        DatabaseLocation, IfMissing,
        ledger::{LedgerThread, OnFailure, ServerLinks, Sync},
    },
};

const FILE: ObjectKind = ObjectKind::File;
const RESPONSE: ObjectKind = ObjectKind::Response;

/// Users 1 and 2, and their objects in a database of their own.
struct Fixture {
    owners: Owners,
    alice: Arc<Caller>,
    dir: tempfile::TempDir,
}

fn fixture(objects: &[(&str, ObjectKind, i64)]) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let location = DatabaseLocation::parse(dir.path().join("x.db").to_str().unwrap()).unwrap();
    let store = Store::open(&location, IfMissing::Create).unwrap();
    let thread = LedgerThread::start(
        &store,
        Sync::Normal,
        OnFailure::Refuse,
        ServerLinks::default(),
    );
    let thread = thread.unwrap();
    let made = objects.iter().map(|(id, kind, user_id)| {
        Entry::Made(StoredObject {
            id: (*id).to_owned(),
            kind: *kind,
            user_id: *user_id,
            key_id: *user_id,
            made_at_ms: 1,
            is_billed: true,
            origin: Origin::Produced,
            hold: None,
        })
    });
    thread.handle().push(made.collect());
    assert_eq!(thread.close(), 0);
    let giving = GivenIds::default();
    Fixture {
        owners: Owners { store, giving },
        alice: caller(1),
        dir,
    }
}

fn caller(id: i64) -> Arc<Caller> {
    let api_key = ApiKey::from_text("llmp-key");
    let holder = KeyHolder {
        key_id: id,
        key_hash: api_key.hash(),
        user_id: id,
        username: "alice".to_owned(),
        is_active: true,
        expires_at_ms: None,
        is_revoked: false,
    };
    let keys = KeyTable::default();
    keys.refresh(|| Ok(vec![holder])).unwrap();
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_static("llmp-key");
    headers.insert(HeaderName::from_static("api-key"), value);
    keys.authenticate(&headers).unwrap()
}

fn wait<T>(question: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(question)
}

fn reference(member: &str, id: &str, is_looked_up: bool) -> Reference {
    Reference {
        member: member.to_owned(),
        claim: Claim {
            id: id.to_owned(),
            kind: FILE,
            is_looked_up,
        },
    }
}

/// Status, message and `param` of an error.
fn parts_of(error: &ApiError) -> (u16, String, Option<String>) {
    let body = actix_web::body::to_bytes(
        error
            .to_response(ErrorShape::OpenAi, RequestId::new(0))
            .into_body(),
    );
    let body = wait(body).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let param = json["error"]["param"].as_str().map(str::to_owned);
    (error.status().as_u16(), error.to_string(), param)
}

#[test]
fn foreign_and_unknown_objects_get_the_same_answer() {
    let Fixture {
        owners,
        alice,
        dir: _dir,
    } = fixture(&[("file-a", FILE, 1), ("file-b", FILE, 2)]);
    let path = |ids: &[(ObjectKind, &str)]| wait(owners.check_path(&alice, ids)).map(|_| ());
    assert!(path(&[(FILE, "file-a")]).is_ok() && path(&[]).is_ok());
    // The last one is alice's, and of another kind.
    for (kind, id) in [(FILE, "file-b"), (FILE, "file-x"), (RESPONSE, "file-a")] {
        let expected = (404, format!("No such object: {id}"), Some("id".to_owned()));
        assert_eq!(parts_of(&path(&[(kind, id)]).unwrap_err()), expected);
        let mixed = path(&[(FILE, "file-a"), (kind, id)]).unwrap_err();
        assert_eq!(parts_of(&mixed), expected);
        let found = reference("file_id", id, true);
        if kind == FILE {
            let refused = wait(owners.check_references(&alice, &[found])).unwrap_err();
            let (status, message, param) = parts_of(&refused);
            assert_eq!((status, message), (expected.0, expected.1));
            assert_eq!(param.as_deref(), Some("file_id"));
        }
    }
}

#[test]
fn complete_items_are_not_looked_up() {
    let Fixture {
        owners,
        alice,
        dir: _dir,
    } = fixture(&[("file-b", FILE, 2)]);
    let item = reference("input.id", "file-b", false);
    assert!(wait(owners.check_references(&alice, std::slice::from_ref(&item))).is_ok());
    let named = reference("file_id", "file-b", true);
    let refused = wait(owners.check_references(&alice, &[item, named])).unwrap_err();
    assert_eq!(parts_of(&refused).2.as_deref(), Some("file_id"));
}

#[test]
fn a_cursor_must_be_an_own_object_of_the_list_s_kind() {
    let Fixture {
        owners,
        alice,
        dir: _dir,
    } = fixture(&[("file-a", FILE, 1), ("file-b", FILE, 2)]);
    let check = |query: &str, kind| wait(owners.check_cursors(&alice, query, kind));
    for query in [
        "",
        "limit=3",
        "after=",
        "after=file-a",
        "before=file%2Da&x=file-b",
    ] {
        assert!(check(query, FILE).is_ok(), "{query}");
    }
    for (query, param) in [
        ("after=file-b", "after"),
        ("limit=1&before=file-x", "before"),
    ] {
        let (status, _, named) = parts_of(&check(query, FILE).unwrap_err());
        assert_eq!((status, named.as_deref()), (404, Some(param)), "{query}");
    }
    assert!(check("after=file-a", RESPONSE).is_err());
}

#[test]
fn only_ids_that_are_not_own_count_as_given() {
    let Fixture {
        owners,
        alice,
        dir: _dir,
    } = fixture(&[("file-a", FILE, 1), ("file-b", FILE, 2)]);
    let count = |ids: Vec<String>| wait(owners.reserve(&alice, ids));
    let ids = ["file-a", "file-b", "file-x"].map(str::to_owned);
    let giving = count(ids.to_vec()).unwrap();
    assert_eq!(giving.ids(), ["file-b", "file-x"]);
    assert!(owners.giving.contains("file-x") && !owners.giving.contains("file-a"));
    drop(giving);
    let many = |count: usize| (0..count).map(|n| format!("msg_{n}")).collect();
    assert!(count(many(MAX_GIVEN_IDS)).is_ok());
    let refused = count(many(MAX_GIVEN_IDS + 1)).err().unwrap();
    assert_eq!(refused.status().as_u16(), 400);
}

#[test]
fn a_database_that_cannot_be_read_is_503() {
    let Fixture {
        owners,
        alice,
        dir: _dir,
    } = fixture(&[("file-a", FILE, 1)]);
    // A table that is missing stands for everything that can go wrong.
    let other = owners.store.own_connection().unwrap();
    other
        .file()
        .execute_batch("ALTER TABLE objects RENAME TO away")
        .unwrap();
    let refused = wait(owners.check_path(&alice, &[(FILE, "file-a")])).unwrap_err();
    assert_eq!(refused.status().as_u16(), 503);
}

#[test]
fn a_long_id_is_shortened_in_the_message() {
    let error = unknown_object(&"x".repeat(10_000));
    assert!(error.to_string().len() < 400);
}

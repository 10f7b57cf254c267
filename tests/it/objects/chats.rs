//! Each user can list, read, change and delete their own stored chat completions.

use serde_json::json;

use super::{get, id_of, post};
use crate::harness::{
    ASK, Backend, CHAT, DONE, Home, Proxy, Request, assert_openai_error, chat_completion,
};

const STORE: &str = r#"{"model":"gpt-4.1-mini","store":true,"messages":[]}"#;

/// A backend that keeps two chats, one of them an operator's.
fn store() -> Backend {
    Backend::start(|request, wire| {
        let method = request.head.split(' ').next().unwrap_or_default();
        let path = request.target().split('?').next().unwrap_or_default();
        match (method, path) {
            ("POST", CHAT) if request.asks_to_stream() => wire.sse(&[
                "data: {\"id\":\"chatcmpl-2\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n",
                DONE,
            ]),
            ("GET", CHAT) => wire.json(
                r#"{"object":"list","data":[{"id":"chatcmpl-1"},{"id":"chatcmpl-9"}],"has_more":false}"#,
            ),
            ("DELETE", _) => wire.json(r#"{"id":"chatcmpl-1","deleted":true}"#),
            ("GET", path) if path.ends_with("/messages") => {
                wire.json(r#"{"object":"list","data":[{"id":"chatcmpl-1-0","role":"user"}]}"#);
            }
            _ => wire.json(&chat_completion(3, 1)),
        }
    })
}

fn serve() -> (Backend, Proxy, String, String) {
    let backend = store();
    let home = Home::new(&backend);
    let keys = (home.user("alice"), home.user("bob"));
    (backend, home.serve(), keys.0, keys.1)
}

#[test]
fn a_stored_chat_belongs_to_its_owner() {
    let (backend, proxy, alice, bob) = serve();
    assert_eq!(proxy.chat(&alice, STORE).status, 200);
    let list = get(&proxy, &alice, CHAT).json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["data"][0]["id"], "chatcmpl-1");
    assert!(
        get(&proxy, &bob, CHAT).json()["data"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let chat = format!("{CHAT}/chatcmpl-1");
    let asked = backend.requests().len();
    for path in [chat.clone(), format!("{chat}/messages")] {
        assert_openai_error(&get(&proxy, &bob, &path), 404);
    }
    let update = json!({"metadata": {"a": "b"}});
    assert_openai_error(&post(&proxy, &bob, &chat, &update), 404);
    let delete = |key: &str| proxy.send(&Request::new("DELETE", &chat).key(key));
    assert_openai_error(&delete(&bob), 404);
    assert_eq!(backend.requests().len(), asked, "the backend is not asked");
    for path in [chat.clone(), format!("{chat}/messages")] {
        assert_eq!(get(&proxy, &alice, &path).status, 200);
    }
    assert_eq!(post(&proxy, &alice, &chat, &update).status, 200);
    assert_eq!(delete(&alice).status, 200);
    assert_openai_error(&get(&proxy, &alice, &chat), 404);
    assert_eq!(proxy.rows().len(), 1, "looks use no tokens");
}

#[test]
fn a_streamed_chat_is_stored_under_the_id_of_its_first_event() {
    let (_backend, proxy, alice, bob) = serve();
    let body = STORE.replace("\"store\":true", "\"store\":true,\"stream\":true");
    assert!(proxy.chat(&alice, &body).clean);
    let chat = format!("{CHAT}/chatcmpl-2");
    assert_eq!(get(&proxy, &alice, &chat).status, 200);
    assert_openai_error(&get(&proxy, &bob, &chat), 404);
}

#[test]
fn a_chat_that_is_not_stored_is_unowned() {
    let (_backend, proxy, alice, _) = serve();
    id_of(&proxy.chat(&alice, ASK));
    assert_openai_error(&get(&proxy, &alice, &format!("{CHAT}/chatcmpl-1")), 404);
}

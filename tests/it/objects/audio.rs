//! The id of an answer's audio may be used in later requests by the user who got the answer only.

use serde_json::{Value, json};

use super::{post, remembered};
use crate::harness::{Backend, Home, Request, assert_openai_error};

const CHAT: &str = "/v1/chat/completions";

/// Says something aloud, under a new name each time.
fn speaker() -> Backend {
    Backend::start(|request, wire| {
        let id = request.json()["user"].clone();
        if request.asks_to_stream() {
            let delta =
                |audio: Value| json!({"choices": [{"index": 0, "delta": {"audio": audio}}]});
            let event = |data: Value| format!("data: {data}\n\n");
            return wire.sse(&[
                event(delta(json!({"id": id, "transcript": "h"}))),
                event(delta(json!({"id": id, "data": "A".repeat(9_000)}))),
                event(
                    json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}),
                ),
                "data: [DONE]\n\n".to_owned(),
            ]);
        }
        let audio = json!({"data": "A".repeat(2 << 20), "id": id, "transcript": "hi"});
        let message = json!({"role": "assistant", "content": null, "audio": audio});
        let usage = json!({"prompt_tokens": 3, "completion_tokens": 4});
        wire.json(&json!({"choices": [{"message": message}], "usage": usage}).to_string());
    })
}

fn asked(id: &str, further: &Value) -> Value {
    let mut body =
        json!({"model": "m", "user": id, "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in further.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn naming(id: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "assistant", "audio": {"id": id}}, {"role": "user", "content": "and?"}]})
}

#[test]
fn an_answer_s_audio_may_be_used_by_its_owner_only() {
    let backend = speaker();
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (alice, bob) = (home.user("alice"), home.user("bob"));
    let proxy = home.serve();
    let voice = json!({"voice": "alloy", "format": "pcm16"});
    for (id, further) in [
        ("audio_1", json!({"audio": voice})),
        ("audio_2", json!({"modalities": ["text", "audio"]})),
        ("audio_3", json!({"audio": voice, "stream": true})),
    ] {
        let answer = post(&proxy, &alice, CHAT, &asked(id, &further));
        assert_eq!(answer.status, 200, "{id}");
        let count = backend.requests().len();
        let error = assert_openai_error(&post(&proxy, &bob, CHAT, &naming(id)), 404);
        assert_eq!(error["param"], "messages.audio", "{id}");
        assert_eq!(backend.requests().len(), count, "the backend was not asked");
        assert_eq!(post(&proxy, &alice, CHAT, &naming(id)).status, 200, "{id}");
    }
    assert_openai_error(&post(&proxy, &alice, CHAT, &naming("audio_elsewhere")), 404);
    assert!(proxy.rows().iter().all(|row| row.tokens() == [3, 4, 0, 0]));
}

#[test]
fn answers_without_audio_are_not_searched_for_it() {
    let backend = speaker();
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (proxy, alice) = home.serve_alice();
    for (id, further) in [
        ("audio_1", json!({})),
        ("audio_2", json!({"modalities": ["text"], "audio": null})),
    ] {
        assert_eq!(post(&proxy, &alice, CHAT, &asked(id, &further)).status, 200);
        assert!(!remembered(&proxy, id), "{id}");
    }
}

#[test]
fn with_stored_objects_off_any_audio_id_passes() {
    let backend = speaker();
    let (proxy, key) = Home::new(&backend)
        .set("STATEFUL_ENDPOINTS", "off")
        .serve_alice();
    let body = naming("audio_1").to_string();
    let answer = proxy.send(&Request::post(CHAT, body.clone()).key(&key));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(backend.last().text(), body);
}

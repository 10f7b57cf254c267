//! The first steps of every operator and client: add a user, chat, read the costs.

use serde_json::json;

use crate::harness::{
    ASK, ASK_STREAM, Answer, Backend, CHAT, COMPLETIONS, DONE, Home, Proxy, Request,
    chat_completion, counted_stream, delta, legacy_completion, totals, usage_event,
};

const LEGACY: &str = r#"{"model":"gpt-3.5-turbo-instruct","prompt":"Say hello"}"#;
const LEGACY_STREAM: &str =
    r#"{"model":"gpt-3.5-turbo-instruct","prompt":"Say hello","stream":true}"#;
const MODELS: &str =
    r#"{"object":"list","data":[{"id":"gpt-4.1-mini","object":"model","owned_by":"system"}]}"#;
const MODEL: &str = r#"{"id":"gpt-4.1-mini","object":"model","owned_by":"system"}"#;

/// Answers each endpoint as OpenAI does: chat costs 19 + 10 tokens, a legacy completion 5 + 7.
fn openai() -> Backend {
    Backend::start(|request, wire| {
        let streamed = request.asks_to_stream();
        match (request.target(), streamed) {
            (CHAT, false) => wire.json(&chat_completion(19, 10)),
            (CHAT, true) => wire.sse(&counted_stream(19, 10)),
            (COMPLETIONS, false) => wire.json(&legacy_completion(5, 7)),
            (COMPLETIONS, true) => {
                wire.sse(&[legacy_delta(" hello"), usage_event(5, 7), DONE.to_owned()]);
            }
            ("/v1/models", _) => wire.json(MODELS),
            ("/v1/models/gpt-4.1-mini", _) => wire.json(MODEL),
            _ => wire.answer("404 Not Found", &[], ""),
        }
    })
}

fn legacy_delta(text: &str) -> String {
    let text = json!(text);
    format!(
        r#"data: {{"id":"cmpl-1","object":"text_completion","choices":[{{"text":{text},"index":0,"finish_reason":null}}]}}"#
    ) + "\n\n"
}

fn completion(proxy: &Proxy, key: &str, body: &str) -> Answer {
    proxy.send(&Request::post(COMPLETIONS, body).key(key))
}

#[test]
fn a_new_user_chats_and_the_costs_are_exact() {
    let backend = openai();
    let home = Home::new(&backend);
    let added = home.cli(&["user", "add", "alice"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    assert_eq!(added.stdout.lines().count(), 1, "the key alone: {added:?}");
    let key = added.stdout.trim_end().to_owned();
    assert!(key.starts_with("llmp-"), "{added:?}");

    let proxy = home.serve();
    let answer = proxy.chat(&key, ASK);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), chat_completion(19, 10));

    let costs = proxy.get_json("/admin/list_costs?by_model=true");
    let alice = &costs["costs"][0];
    assert_eq!(alice["username"], "alice");
    assert_eq!(totals(alice), [19, 10, 0, 1]);
    assert_eq!(alice["model_costs"][0]["model"], "gpt-4.1-mini");
    assert_eq!(totals(&alice["model_costs"][0]), [19, 10, 0, 1]);
}

#[test]
fn a_streamed_chat_is_counted_and_looks_unchanged() {
    let backend = openai();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let answer = proxy.chat(&key, ASK_STREAM);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(
        answer.text(),
        [delta("Hello"), delta(" there"), DONE.to_owned()].concat()
    );
    assert!(answer.clean);
    assert_eq!(
        totals(&proxy.get_json("/admin/list_costs")["costs"][0]),
        [19, 10, 0, 1]
    );
}

#[test]
fn legacy_completions_work_plain_and_streamed() {
    let backend = openai();
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(
        completion(&proxy, &key, LEGACY).text(),
        legacy_completion(5, 7)
    );
    let streamed = completion(&proxy, &key, LEGACY_STREAM);
    assert_eq!(
        streamed.text(),
        [legacy_delta(" hello"), DONE.to_owned()].concat()
    );
    assert_eq!(
        totals(&proxy.get_json("/admin/list_costs")["costs"][0]),
        [10, 14, 0, 2]
    );
    for row in proxy.rows() {
        assert!(
            row.endpoint.ends_with("completions") && !row.endpoint.contains("chat"),
            "{row:?}"
        );
        assert_eq!(row.model.as_deref(), Some("gpt-3.5-turbo-instruct"));
    }
}

#[test]
fn models_are_listed_and_looked_up_and_cost_nothing() {
    let backend = openai();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let list = proxy.send(&Request::get("/v1/models").key(&key));
    assert_eq!((list.status, list.text().as_str()), (200, MODELS));
    let one = proxy.send(&Request::get("/v1/models/gpt-4.1-mini").key(&key));
    assert_eq!((one.status, one.text().as_str()), (200, MODEL));
    assert_eq!(proxy.rows(), [], "models use no tokens");
}

#[test]
fn costs_are_the_same_on_the_command_line_and_over_http() {
    let backend = openai();
    let (proxy, alice) = Home::new(&backend).serve_alice();
    let bob = proxy.user("bob");
    crate::harness::wait_until("bob's key works", crate::harness::PATIENCE, || {
        proxy.chat(&bob, ASK).status == 200
    });
    proxy.chat(&alice, ASK);
    proxy.chat(&alice, ASK_STREAM);
    completion(&proxy, &alice, LEGACY);
    completion(&proxy, &alice, LEGACY_STREAM);

    let by_http = proxy.get_json("/admin/list_costs?by_model=true");
    let ran = proxy.cli(&["costs", "--by-model", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json(), by_http);

    let user = |name: &str| {
        let users = by_http["costs"].as_array().unwrap();
        users
            .iter()
            .find(|user| user["username"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(totals(&user("bob")), [19, 10, 0, 1]);
    assert_eq!(totals(&user("alice")), [48, 34, 0, 4]);
    let mut models = user("alice")["model_costs"].as_array().unwrap().clone();
    models.sort_by_key(|model| model["model"].to_string());
    let models: Vec<_> = models
        .iter()
        .map(|model| (model["model"].as_str().unwrap(), totals(model)))
        .collect();
    assert_eq!(
        models,
        [
            ("gpt-3.5-turbo-instruct", [10, 14, 0, 2]),
            ("gpt-4.1-mini", [38, 20, 0, 2])
        ]
    );

    let plain = proxy.get_json("/admin/list_costs");
    assert!(plain["costs"][0].get("model_costs").is_none(), "{plain}");
    assert_eq!(proxy.cli(&["costs", "--json"]).json(), plain);
    let one = proxy.cli(&["costs", "--user", "bob", "--json"]).json();
    assert_eq!(one["costs"].as_array().unwrap().len(), 1, "{one}");
    assert_eq!(one["costs"][0]["username"], "bob");
}

#[test]
fn users_are_the_same_on_the_command_line_and_over_http() {
    let backend = openai();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let ran = proxy.cli(&["user", "list", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json(), proxy.get_json("/admin/list_users"));
    let alice = &ran.json()["users"][0];
    assert_eq!(alice["username"], "alice");
    assert_eq!(alice["api_key"], key);
    assert_eq!(alice["is_active"], true);
}

#[test]
fn health_needs_no_key() {
    let backend = openai();
    let (proxy, _) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.get_json("/health"), json!({"status": "ok"}));
    assert!(backend.requests().is_empty(), "the backend is not asked");
}

//! Every class of usage that a backend reports is in the row.

use serde_json::{Map, Value, json};

use crate::harness::{ASK, Backend, CHAT, DONE, Home, Proxy, Request, chat_completion, delta};

const COUNTS: [&str; 11] = [
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "cached_audio_tokens",
    "cached_image_tokens",
    "audio_output_tokens",
    "image_output_tokens",
    "web_searches",
    "file_searches",
    "code_calls",
];

/// Returns the columns of the only row that are not 0, false or null: the four kinds of tokens, the
/// classes, the tier and whether it is a batch.
fn booked(proxy: &Proxy) -> Value {
    let row = proxy.only_row();
    let mut found = Map::new();
    let tokens = ["input", "output", "cached", "reasoning"];
    for (name, count) in tokens.into_iter().zip(row.tokens()) {
        if count != 0 {
            found.insert(name.to_owned(), count.into());
        }
    }
    let database = proxy.database();
    let column = |name: &str| -> rusqlite::types::Value {
        let query = format!("SELECT {name} FROM usage_logs");
        database.query_row(&query, [], |row| row.get(0)).unwrap()
    };
    for name in COUNTS.into_iter().chain(["is_batch", "service_tier"]) {
        match column(name) {
            rusqlite::types::Value::Integer(count) if count != 0 => {
                found.insert(name.to_owned(), count.into());
            }
            rusqlite::types::Value::Text(text) => {
                found.insert(name.to_owned(), text.into());
            }
            _ => {}
        }
    }
    Value::Object(found)
}

/// Sends a request to a backend that answers with this JSON, and returns what is booked.
fn booked_of(path: &str, body: &Value, answer: &Value) -> Value {
    let backend = Backend::json(answer.to_string());
    let (proxy, key) = Home::new(&backend).serve_alice();
    let request = Request::post(path, body.to_string()).key(&key);
    assert_eq!(proxy.send(&request).status, 200);
    booked(&proxy)
}

/// Sends a request to a backend that answers with these events, and returns what is booked.
fn booked_of_stream(path: &str, events: &[Value]) -> Value {
    let events: Vec<String> = events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect();
    let backend = Backend::sse(events);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let body =
        json!({"model": "m", "stream": true, "input": "Hello!", "max_tokens": 9, "messages": []});
    let request = Request::post(path, body.to_string()).key(&key);
    assert_eq!(proxy.send(&request).status, 200);
    booked(&proxy)
}

#[test]
fn a_chat_with_sound_and_pictures_is_booked_by_class() {
    let usage = json!({"prompt_tokens": 120, "completion_tokens": 300, "total_tokens": 420,
        "prompt_tokens_details": {"text_tokens": 20, "audio_tokens": 70, "image_tokens": 30, "cached_tokens": 10, "cache_write_tokens": 50},
        "completion_tokens_details": {"text_tokens": 40, "audio_tokens": 250, "reasoning_tokens": 10}});
    let answer = json!({"model": "m", "choices": [], "service_tier": "priority", "usage": usage});
    assert_eq!(
        booked_of(CHAT, &json!({"model": "m", "messages": []}), &answer),
        json!({"input": 120, "output": 300, "cached": 10, "reasoning": 10, "cache_write_5m_tokens": 50, "audio_input_tokens": 70,
            "image_input_tokens": 30, "audio_output_tokens": 250, "service_tier": "priority"})
    );
}

#[test]
fn the_tier_of_the_answer_counts_before_that_of_the_request() {
    let answer = |tier: &Value| {
        let mut answer: Value = serde_json::from_str(&chat_completion(1, 2)).unwrap();
        answer["service_tier"] = tier.clone();
        answer
    };
    for (asked, answered, expected) in [
        (json!("flex"), Value::Null, json!("flex")),
        (json!("flex"), json!("default"), json!("default")),
        (json!("auto"), json!("priority"), json!("priority")),
        (json!("auto"), json!("auto"), Value::Null),
    ] {
        let body = json!({"model": "m", "messages": [], "service_tier": asked});
        let booked = booked_of(CHAT, &body, &answer(&answered));
        assert_eq!(booked["service_tier"], expected, "{asked} {answered}");
    }
}

#[test]
fn a_chunk_s_tier_is_booked() {
    let event = delta("word").replacen("data: {", r#"data: {"service_tier":"flex","#, 1);
    let backend = Backend::sse([event, DONE.to_owned()]);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let ask = ASK.replacen('{', r#"{"stream":true,"#, 1);
    assert_eq!(proxy.chat(&key, &ask).status, 200);
    assert_eq!(booked(&proxy)["service_tier"], "flex");
}

#[test]
fn a_search_model_s_chat_is_one_search() {
    for (model, searches) in [("gpt-4o-search-preview", json!(1)), ("gpt-4o", Value::Null)] {
        let body = json!({"model": model, "messages": [], "web_search_options": {}});
        let answer = json!({"model": model, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}});
        assert_eq!(booked_of(CHAT, &body, &answer)["web_searches"], searches);
    }
}

#[test]
fn an_anthropic_answer_is_booked_by_class() {
    let usage = json!({"input_tokens": 25, "output_tokens": 15, "cache_creation_input_tokens": 300, "cache_read_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "server_tool_use": {"web_search_requests": 2}, "service_tier": "batch"});
    let body = json!({"model": "m", "max_tokens": 9, "messages": []});
    let answer = json!({"type": "message", "model": "m", "content": [], "usage": usage});
    let expected = json!({"input": 332, "output": 15, "cached": 7, "cache_write_5m_tokens": 100, "cache_write_1h_tokens": 200,
        "web_searches": 2, "is_batch": 1});
    assert_eq!(booked_of("/v1/messages", &body, &answer), expected);

    let events = [
        json!({"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 25, "output_tokens": 1,
            "cache_creation_input_tokens": 300, "cache_read_input_tokens": 7, "service_tier": "batch",
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}}}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 15, "server_tool_use": {"web_search_requests": 2}}}),
        json!({"type": "message_stop"}),
    ];
    assert_eq!(booked_of_stream("/v1/messages", &events), expected);
}

#[test]
fn a_compaction_is_booked_with_its_message() {
    let usage = json!({"input_tokens": 23_000, "output_tokens": 1_000, "iterations": [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
        {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000}]});
    let body = json!({"model": "m", "max_tokens": 9, "messages": []});
    let answer = json!({"type": "message", "model": "m", "content": [], "usage": usage});
    assert_eq!(
        booked_of("/v1/messages", &body, &answer),
        json!({"input": 203_000, "output": 4_500})
    );
}

#[test]
fn calls_of_tools_are_booked_once_in_answers_and_streams() {
    let output = [
        json!({"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "q"}}),
        json!({"type": "web_search_call", "id": "ws_2", "action": {"type": "open_page", "url": "u"}}),
        json!({"type": "file_search_call", "id": "fs_1", "queries": ["q"], "results": null}),
        json!({"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1"}),
        json!({"type": "code_interpreter_call", "id": "ci_2", "container_id": "cntr_1"}),
    ];
    let response = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "m", "service_tier": "flex", "output": output,
        "usage": {"input_tokens": 328, "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 20}, "output_tokens": 52,
            "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 380}});
    let expected = json!({"input": 328, "output": 52, "cached": 8, "reasoning": 2, "cache_write_5m_tokens": 20, "web_searches": 1,
        "file_searches": 1, "code_calls": 1, "service_tier": "flex"});
    let body = json!({"model": "m", "input": "Hello!"});
    assert_eq!(booked_of("/v1/responses", &body, &response), expected);

    let done = |item: &Value| json!({"type": "response.output_item.done", "item": item});
    let mut events: Vec<Value> = output.iter().map(done).collect();
    events.push(json!({"type": "response.completed", "response": response}));
    assert_eq!(booked_of_stream("/v1/responses", &events), expected);
}

#[test]
fn a_stream_that_breaks_off_is_booked_with_the_calls_that_were_done() {
    let backend = Backend::start(|_, wire| {
        wire.sse_head();
        wire.chunk("data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"web_search_call\",\"id\":\"ws_1\"}}\n\n");
        wire.close();
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let body = r#"{"model":"m","stream":true,"input":"Hello!"}"#;
    assert!(
        !proxy
            .send(&Request::post("/v1/responses", body).key(&key))
            .clean
    );
    assert_eq!(booked(&proxy)["web_searches"], 1);
}

#[test]
fn pictures_speech_and_transcriptions_are_booked_by_class() {
    let usage = json!({"total_tokens": 100, "input_tokens": 50, "output_tokens": 50, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}});
    let expected =
        json!({"input": 50, "output": 50, "image_input_tokens": 40, "image_output_tokens": 50});
    let body = json!({"model": "gpt-image-1", "prompt": "a cat"});
    let answer = json!({"created": 1, "data": [{"b64_json": "AA=="}], "usage": usage});
    assert_eq!(
        booked_of("/v1/images/generations", &body, &answer),
        expected
    );
    let event = json!({"type": "image_generation.completed", "b64_json": "AA==", "usage": usage});
    assert_eq!(
        booked_of_stream("/v1/images/generations", &[event]),
        expected
    );

    let event = json!({"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}});
    assert_eq!(
        booked_of_stream("/v1/audio/speech", &[event]),
        json!({"input": 14, "output": 101, "audio_output_tokens": 101})
    );

    let usage = json!({"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 10, "audio_tokens": 4},
        "output_tokens": 101, "total_tokens": 115});
    let answer = json!({"text": "Imagine", "usage": usage});
    assert_eq!(
        booked_of(
            "/v1/audio/transcriptions",
            &json!({"model": "gpt-4o-transcribe"}),
            &answer
        ),
        json!({"input": 14, "output": 101, "audio_input_tokens": 4})
    );
}

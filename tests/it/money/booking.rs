//! Each row costs what the second calculator says, and all reports say the same.

use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use super::{alice, costs_of_rows, dollars, echoing, wait_until_summed};
use crate::harness::{Backend, CHAT, Home, Proxy, Request};

const FIXTURE: &str = include_str!("../../../src/core/prices/cost/fixture.json");

/// A usage of the fixture.
struct Case {
    model: String,
    usage: Map<String, Value>,
    tier: Option<String>,
    nanos: i64,
}

impl Case {
    fn count(&self, class: &str) -> u64 {
        self.usage.get(class).and_then(Value::as_u64).unwrap_or(0)
    }

    /// Whether it has only these classes.
    fn is_of(&self, classes: &[&str]) -> bool {
        self.usage
            .keys()
            .all(|class| classes.contains(&class.as_str()))
    }
}

/// Returns the usages that have no batch and a cost that both calculators agree on.
fn cases() -> Vec<Case> {
    cases_where(|case| case["batch"] != true)
}

fn cases_where(is_wanted: impl Fn(&Value) -> bool) -> Vec<Case> {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let all = fixture["cases"].as_array().unwrap().iter();
    all.filter(|case| case.get("ours").is_none() && is_wanted(case))
        .map(|case| Case {
            model: case["model"].as_str().unwrap().to_owned(),
            usage: case["usage"].as_object().unwrap().clone(),
            tier: case["tier"].as_str().map(str::to_owned),
            nanos: case["litellm"]
                .as_str()
                .unwrap()
                .replace('.', "")
                .parse()
                .unwrap(),
        })
        .collect()
}

fn openai_usage(case: &Case) -> Value {
    let (input, output) = (case.count("input"), case.count("output"));
    json!({
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {
            "cached_tokens": case.count("cached"),
            "audio_tokens": case.count("audio_input"),
            "image_tokens": case.count("image_input"),
        },
        "completion_tokens_details": {
            "reasoning_tokens": case.count("reasoning"),
            "audio_tokens": case.count("audio_output"),
            "image_tokens": case.count("image_output"),
        },
    })
}

/// Asks for an answer and checks what its row costs.
#[track_caller]
fn assert_cost(proxy: &Proxy, request: &Request, case: &Case) {
    let before = costs_of_rows(proxy).len();
    let answer = proxy.send(request);
    assert_eq!(answer.status, 200, "{answer:?}");
    let rows = costs_of_rows(proxy);
    assert_eq!(rows.len(), before + 1);
    let expected = (Some(case.nanos), Some(case.model.clone()));
    assert_eq!(rows[before], expected, "{:?} {:?}", case.usage, case.tier);
}

#[test]
fn chats_cost_what_a_second_calculator_says() {
    let classes = [
        "input",
        "output",
        "cached",
        "reasoning",
        "audio_input",
        "audio_output",
        "image_input",
        "image_output",
    ];
    let backend = echoing();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let cases: Vec<Case> = cases()
        .into_iter()
        .filter(|case| case.is_of(&classes) && case.count("output") > 0)
        .collect();
    assert!(cases.len() > 90, "{}", cases.len());
    let mut sum = 0;
    for case in &cases {
        let answer = json!({"model": case.model, "choices": [], "service_tier": case.tier, "usage": openai_usage(case)});
        let body = json!({"model": case.model, "messages": [], "answer": answer});
        assert_cost(
            &proxy,
            &Request::post(CHAT, body.to_string()).key(&key),
            case,
        );
        sum += case.nanos;
    }
    let has = |class: &str| cases.iter().any(|case| case.count(class) > 0);
    assert!(classes.into_iter().all(has), "all classes are there");
    for tier in ["flex", "priority", "default"] {
        assert!(cases.iter().any(|case| case.tier.as_deref() == Some(tier)));
    }
    assert_everybody_says(&proxy, &key, sum, cases.len());
    wait_until_summed(&proxy);
    assert_everybody_says(&proxy, &key, sum, cases.len());
}

/// Checks the sum of all rows in each of the places that have one.
#[track_caller]
fn assert_everybody_says(proxy: &Proxy, key: &str, nanos: i64, requests: usize) {
    let sum = dollars(nanos);
    assert_eq!(alice(proxy), (sum.clone(), 0));
    let split = proxy.get_json("/admin/list_costs?by=day,model,endpoint,key");
    assert_eq!(split["total"]["cost_usd"], sum);
    let own = proxy.send(&Request::get("/v1/usage").key(key)).json();
    assert_eq!(own["total"]["cost_usd"], sum);
    assert_eq!(own["total"]["total_requests"], requests);
    let json = proxy.cli(&["costs", "--json"]).json();
    assert_eq!(json["costs"][0]["cost_usd"], sum);
    assert_eq!(json["total"]["cost_usd"], sum);
    let csv = proxy.cli(&["costs", "--by", "model", "--csv"]).stdout;
    let mut lines = csv.lines();
    let place = lines
        .next()
        .unwrap()
        .split(',')
        .position(|name| name == "cost_usd");
    let of_lines: i64 = lines
        .map(|line| {
            let cell = line.split(',').nth(place.unwrap()).unwrap();
            cell.replace('.', "").parse::<i64>().unwrap()
        })
        .sum();
    assert_eq!(of_lines, nanos);
    let view: (i64, i64) = proxy
        .database()
        .query_row(
            "SELECT sum(cost_nano_usd), sum(replace(cost_usd, '.', '') + 0) FROM usage WHERE username = 'alice'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(view, (nanos, nanos));
}

#[test]
fn anthropic_messages_cost_what_a_second_calculator_says() {
    let classes = [
        "input",
        "output",
        "cached",
        "cache_write_5m",
        "cache_write_1h",
        "web_searches",
    ];
    let backend = Backend::start(|request, wire| {
        let asked = request.json();
        match asked["events"].as_array() {
            Some(events) => {
                let events: Vec<String> = events
                    .iter()
                    .map(|event| {
                        format!(
                            "event: {}\ndata: {event}\n\n",
                            event["type"].as_str().unwrap()
                        )
                    })
                    .collect();
                wire.sse(&events);
            }
            None => wire.json(&asked["answer"].to_string()),
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let cases: Vec<Case> = cases()
        .into_iter()
        .filter(|case| case.model.starts_with("claude") && case.is_of(&classes))
        .collect();
    assert!(cases.len() > 20, "{}", cases.len());
    for (place, case) in cases.iter().enumerate() {
        let (short, long) = (case.count("cache_write_5m"), case.count("cache_write_1h"));
        let fresh = case.count("input") - case.count("cached") - short - long;
        let input = json!({
            "input_tokens": fresh, "output_tokens": 1,
            "cache_read_input_tokens": case.count("cached"), "cache_creation_input_tokens": short + long,
            "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
            "service_tier": case.tier,
        });
        let output = json!({"output_tokens": case.count("output"), "server_tool_use": {"web_search_requests": case.count("web_searches")}});
        let mut usage = input.clone();
        usage
            .as_object_mut()
            .unwrap()
            .extend(output.as_object().unwrap().clone());
        let events = json!([
            {"type": "message_start", "message": {"model": case.model, "usage": input}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": output},
            {"type": "message_stop"},
        ]);
        let mut body = json!({"model": case.model, "max_tokens": 9, "messages": [],
            "answer": {"type": "message", "model": case.model, "content": [], "usage": usage}});
        if place % 2 == 0 {
            body["stream"] = true.into();
            body["events"] = events;
        }
        let request = Request::post("/v1/messages", body.to_string()).key(&key);
        assert_cost(&proxy, &request, case);
    }
}

#[test]
fn streams_cost_what_a_second_calculator_says() {
    let backend = Backend::start(|request, wire| {
        let asked = request.json();
        let text =
            json!({"choices": [{"index": 0, "delta": {"content": "Hi"}}], "model": asked["model"]});
        let end = json!({"choices": [], "model": asked["model"], "usage": asked["usage"], "service_tier": asked["metadata"]});
        wire.sse(&[
            format!("data: {text}\n\n"),
            format!("data: {end}\n\n"),
            "data: [DONE]\n\n".to_owned(),
        ]);
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let classes = ["input", "output", "cached", "reasoning"];
    let cases = cases().into_iter().filter(|case| case.is_of(&classes));
    for case in cases.filter(|case| case.count("output") > 0).step_by(4) {
        let body = json!({"model": case.model, "stream": true, "messages": [], "usage": openai_usage(&case), "metadata": case.tier});
        assert_cost(
            &proxy,
            &Request::post(CHAT, body.to_string()).key(&key),
            &case,
        );
    }
}

#[test]
fn responses_with_tools_cost_what_a_second_calculator_says() {
    let classes = [
        "input",
        "output",
        "cached",
        "reasoning",
        "file_searches",
        "code_calls",
        "web_searches",
    ];
    // The answer is no part of the request, in which the ids of its calls would be looked up.
    let next = Arc::new(Mutex::new(Value::Null));
    let backend = Backend::start({
        let next = next.clone();
        move |_, wire| wire.json(&next.lock().unwrap().to_string())
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let cases = cases().into_iter().filter(|case| {
        let tools = ["file_searches", "code_calls", "web_searches"];
        let uses_tools = tools.iter().any(|tool| case.count(tool) > 0);
        case.is_of(&classes) && uses_tools && case.model.starts_with("gpt-")
    });
    let cases: Vec<Case> = cases.collect();
    assert!(cases.len() > 6, "{}", cases.len());
    for case in &cases {
        let mut output = Vec::new();
        for call in 0..case.count("web_searches") {
            output.push(json!({"type": "web_search_call", "id": format!("ws_{call}"), "action": {"type": "search", "query": "q"}}));
        }
        for call in 0..case.count("file_searches") {
            output.push(
                json!({"type": "file_search_call", "id": format!("fs_{call}"), "queries": ["q"]}),
            );
        }
        for call in 0..case.count("code_calls") {
            output.push(json!({"type": "code_interpreter_call", "id": format!("ci_{call}"), "container_id": format!("c_{call}")}));
        }
        let usage = json!({"input_tokens": case.count("input"), "output_tokens": case.count("output"),
            "input_tokens_details": {"cached_tokens": case.count("cached")},
            "output_tokens_details": {"reasoning_tokens": case.count("reasoning")}});
        let answer = json!({"id": "resp_1", "object": "response", "status": "completed", "model": case.model,
            "service_tier": case.tier, "output": output, "usage": usage});
        *next.lock().unwrap() = answer;
        let body = json!({"model": case.model, "input": "Hello!"});
        let request = Request::post("/v1/responses", body.to_string()).key(&key);
        assert_cost(&proxy, &request, case);
    }
}

#[test]
fn pictures_embeddings_and_transcriptions_cost_what_a_second_calculator_says() {
    let backend = echoing();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut seen = [0; 4];
    for case in cases() {
        let is_speech = case.model.contains("tts");
        let (kind, path, usage) = if case.model.starts_with("gpt-image")
            && case.count("image_output") > 0
        {
            let image = case.count("image_input");
            let usage = json!({"input_tokens": case.count("input"), "output_tokens": case.count("output"),
                "input_tokens_details": {"text_tokens": case.count("input") - image, "image_tokens": image}});
            (0, "/v1/images/generations", usage)
        } else if case.model.starts_with("text-embedding") {
            let tokens = case.count("input");
            (
                1,
                "/v1/embeddings",
                json!({"prompt_tokens": tokens, "total_tokens": tokens}),
            )
        } else if case.model == "whisper-1" && case.count("audio_ms").is_multiple_of(1000) {
            let seconds = case.count("audio_ms") / 1000;
            (
                2,
                "/v1/audio/transcriptions",
                json!({"type": "duration", "seconds": seconds}),
            )
        } else if case.model.contains("transcribe") && !is_speech {
            let audio = case.count("audio_input");
            let usage = json!({"type": "tokens", "input_tokens": case.count("input"), "output_tokens": case.count("output"),
                "input_token_details": {"text_tokens": case.count("input") - audio, "audio_tokens": audio}});
            (3, "/v1/audio/transcriptions", usage)
        } else {
            continue;
        };
        seen[kind] += 1;
        let answer = json!({"text": "Imagine", "data": [], "usage": usage});
        let body = json!({"model": case.model, "prompt": "a cat", "input": "x", "answer": answer});
        assert_cost(
            &proxy,
            &Request::post(path, body.to_string()).key(&key),
            &case,
        );
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn batches_cost_what_a_second_calculator_says() {
    let backend = echoing();
    let (proxy, key) = Home::new(&backend).serve_alice();
    // Anthropic says in the usage that an answer belongs to a batch.
    let classes = ["input", "output", "cached", "cache_write_5m"];
    let cases = cases_where(|case| case["batch"] == true);
    let of_anthropic = |case: &&Case| case.model.starts_with("claude") && case.is_of(&classes);
    let cases: Vec<&Case> = cases.iter().filter(of_anthropic).collect();
    assert!(cases.len() > 3, "{}", cases.len());
    for case in cases {
        let written = case.count("cache_write_5m");
        let usage = json!({"input_tokens": case.count("input") - case.count("cached") - written, "output_tokens": case.count("output"),
            "cache_read_input_tokens": case.count("cached"), "cache_creation_input_tokens": written, "service_tier": "batch"});
        let answer = json!({"type": "message", "model": case.model, "content": [], "usage": usage});
        let body = json!({"model": case.model, "max_tokens": 9, "messages": [], "answer": answer});
        let request = Request::post("/v1/messages", body.to_string()).key(&key);
        assert_cost(&proxy, &request, case);
    }
}

const LINE: &str = r#"{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4.1","messages":[]}}"#;

#[test]
fn a_batch_of_openai_costs_half() {
    let backend = Backend::start(|request, wire| {
        if request.target().ends_with("/content") {
            wire.json(LINE);
        } else if request.target().starts_with("/v1/files") {
            wire.json(r#"{"id":"file-1","object":"file","purpose":"batch"}"#);
        } else if request.head.starts_with("POST") {
            wire.json(r#"{"id":"batch_1","object":"batch","status":"validating"}"#);
        } else {
            wire.json(r#"{"id":"batch_1","object":"batch","status":"completed","model":"gpt-4.1","usage":{"input_tokens":30726,
                "input_tokens_details":{"cached_tokens":14854},"output_tokens":6081,"output_tokens_details":{"reasoning_tokens":3017}}}"#);
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let file = format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"a.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n{LINE}\r\n--b--\r\n"
    );
    let upload = Request::new("POST", "/v1/files")
        .header("Content-Type", "multipart/form-data; boundary=b")
        .with_body(file)
        .key(&key);
    assert_eq!(proxy.send(&upload).status, 200);
    let body =
        r#"{"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h"}"#;
    let made = proxy.send(&Request::post("/v1/batches", body).key(&key));
    assert_eq!(made.status, 200, "{made:?}");
    let done = proxy.send(&Request::get("/v1/batches/batch_1").key(&key));
    assert_eq!(done.status, 200, "{done:?}");
    let case = cases_where(|case| case["batch"] == true)
        .into_iter()
        .find(|case| case.model == "gpt-4.1" && case.count("input") == 30_726)
        .unwrap();
    assert_eq!(
        costs_of_rows(&proxy),
        [(Some(case.nanos), Some("gpt-4.1".to_owned()))]
    );
}

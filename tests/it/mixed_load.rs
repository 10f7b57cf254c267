//! After thousands of mixed requests the ledger equals what the look-alike has reported.

use std::thread;

use llmproxy::look_alike::{LookAlike, Settings};
use serde_json::{Value, json};

use crate::harness::{CHAT, Home, PATIENCE, Request, wait_until};

const CLIENTS: usize = 16;
const REQUESTS: usize = 60;

/// Request number `n`: plain and streamed, chat and legacy, tools and pictures, every way to state usage, errors too.
fn request(n: usize) -> (&'static str, Value) {
    let stream = n.is_multiple_of(2);
    let mut body = json!({ "model": format!("model-{}", n % 5), "stream": stream });
    let words = "lorem ipsum dolor sit amet ".repeat(n % 7 + 1);
    let path = if n.is_multiple_of(3) {
        body["prompt"] = json!(words);
        "/v1/completions"
    } else {
        let picture =
            json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } });
        body["messages"] =
            json!([{ "role": "user", "content": [{ "type": "text", "text": words }, picture] }]);
        if n % 4 == 1 {
            body["tools"] = json!([{ "type": "function", "function": { "name": "look_up" } }]);
        }
        CHAT
    };
    match n % 11 {
        3 => body["x_backend"] = json!({ "status": 429 }),
        5 if stream => body["x_backend"] = json!({ "usage": "every_chunk", "reasoning_tokens": 3 }),
        6 if stream => body["x_backend"] = json!({ "usage": "last_chunk" }),
        7 => body["x_backend"] = json!({ "cached_tokens": 1, "crlf": true }),
        8 => body["x_backend"] = json!({ "usage": "zero" }),
        9 if stream => body["stream_options"] = json!({ "include_usage": true }),
        _ => {}
    }
    (path, body)
}

#[test]
fn the_ledger_equals_the_usage_the_backend_reported() {
    let backend = LookAlike::start(Settings::default()).unwrap();
    let (proxy, _) = Home::with_backend_url(&backend.url()).serve_alice();
    let keys: Vec<String> = (0..4).map(|n| proxy.user(&format!("user-{n}"))).collect();
    let budget = ["limits", "set", "--everybody", "--budget", "9Gtokens/month"];
    assert_eq!(proxy.cli(&budget).code, Some(0));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (proxy, key) = (&proxy, &keys[client % keys.len()]);
            scope.spawn(move || {
                let mut connection = proxy.open();
                for n in 0..REQUESTS {
                    let (path, body) = request(client * REQUESTS + n);
                    connection.send(&Request::post(path, body.to_string()).key(key));
                    let answer = connection.answer();
                    assert!(
                        answer.clean && matches!(answer.status, 200 | 429),
                        "{body}: {answer:?}"
                    );
                }
            });
        }
    });
    let given = backend.stats().total;
    let report = proxy.get_json("/admin/list_costs?by_model=true");
    let sum = |member: &str| -> u64 {
        let costs = report["costs"].as_array().unwrap();
        costs
            .iter()
            .map(|user| user[member].as_u64().unwrap())
            .sum()
    };
    assert_eq!(
        [
            sum("total_requests"),
            sum("total_input_tokens"),
            sum("total_output_tokens"),
            sum("total_cached_tokens"),
        ],
        [
            given.requests,
            given.usage.input_tokens,
            given.usage.output_tokens,
            given.usage.cached_tokens,
        ]
    );
    assert_eq!(
        proxy.rows().len(),
        CLIENTS * REQUESTS,
        "errors have rows too"
    );
    // Every sum that is derived from the rows agrees with them, those in memory too.
    let server = format!("http://127.0.0.1:{}", proxy.port());
    wait_until("the budget is read", PATIENCE, || {
        let ran = proxy.cli(&["audit", "--server", &server, "--json"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.json()["checks"][3]["compared"] != 0
    });
}

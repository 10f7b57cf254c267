//! Counts reported before the end count only what came before them; errors within answers are booked as errors.

use crate::harness::{
    ASK_STREAM, Backend, CHAT, DONE, Home, PATIENCE, Proxy, Request, Row, delta, usage_event,
    wait_until,
};

const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"gpt-4o\",\
    \"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n";
const ERROR: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n";

fn message_text() -> String {
    "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\" word\"}}\n\n"
        .to_owned()
}

fn ask_message(key: &str) -> Request {
    let body = r#"{"model":"gpt-4o","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"Hello!"}]}"#;
    Request::post("/v1/messages", body).key(key)
}

/// The row of a stream that the client leaves when all of it has come, and that goes on.
fn row_when_left(request: impl Fn(&str) -> Request, events: Vec<String>) -> Row {
    let count = events.len();
    let backend = Backend::start(move |_, wire| {
        wire.sse_head();
        wire.chunks(&events);
        wire.closed_by_peer_within(PATIENCE);
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut client = proxy.start(&request(&key));
    client.head();
    for _ in 0..count {
        client.event().unwrap();
    }
    drop(client);
    proxy.only_row()
}

/// The row of a stream that ends, cleanly or not.
fn row_when_ended(request: impl Fn(&str) -> Request, events: Vec<String>, is_clean: bool) -> Row {
    let backend = Backend::start(move |_, wire| {
        wire.sse_head();
        wire.chunks(&events);
        if is_clean {
            wire.end();
        } else {
            wire.close();
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    proxy.send(&request(&key));
    proxy.only_row()
}

fn chat(key: &str) -> Request {
    Request::post(CHAT, ASK_STREAM.replace("gpt-4.1-mini", "gpt-4o")).key(key)
}

#[test]
fn a_placeholder_at_the_start_is_not_the_final_count() {
    let words = || vec![message_text(); 300];
    let begun = || [vec![START.to_owned()], words()].concat();
    let left = row_when_left(ask_message, begun());
    assert_eq!(
        (left.input, left.labels()),
        (25, ["client_gone", "estimate"])
    );
    assert_eq!(left.output, 301);
    let broke = row_when_ended(ask_message, begun(), false);
    assert_eq!(
        (broke.input, broke.output, broke.labels()),
        (25, 301, ["backend_broke", "estimate"])
    );
    let failed = [begun(), vec![ERROR.to_owned()]].concat();
    let failed = row_when_ended(ask_message, failed, true);
    assert_eq!(
        (failed.input, failed.output, failed.labels()),
        (25, 301, ["backend_error", "estimate"])
    );
    let endless = row_when_ended(ask_message, begun(), true);
    assert_eq!(
        (endless.input, endless.output, endless.labels()),
        (25, 301, ["completed", "estimate"])
    );
}

#[test]
fn a_count_at_the_start_of_a_chat_is_not_the_final_one() {
    for (input, output) in [(10, 0), (10, 5)] {
        let events = [
            vec![delta("").replace("}]}", &format!(r#"}}],"usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{}}}}}"#, input + output))],
            vec![delta(" word"); 100],
        ]
        .concat();
        let row = row_when_left(chat, events.clone());
        assert_eq!((row.input, row.output), (input, output + 100));
        assert_eq!(row.labels(), ["client_gone", "estimate"]);
        let whole = [events, vec![DONE.to_owned()]].concat();
        let row = row_when_ended(chat, whole, true);
        assert_eq!((row.input, row.output), (input, output + 100));
        assert_eq!(row.labels(), ["completed", "estimate"]);
    }
}

#[test]
fn zeros_in_every_event_count_only_at_the_end() {
    let zeros = delta(" word").replace(
        "}]}",
        r#"}],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#,
    );
    let row = row_when_left(chat, vec![zeros.clone(); 50]);
    assert_eq!(
        (row.input, row.output, row.source.as_str()),
        (9, 50, "estimate")
    );
    let told = [
        vec![zeros.clone(); 50],
        vec![usage_event(9, 50), DONE.to_owned()],
    ]
    .concat();
    let row = row_when_ended(chat, told, true);
    assert_eq!(
        (row.tokens(), row.source.as_str()),
        ([9, 50, 0, 0], "backend")
    );
}

#[test]
fn an_error_event_ends_a_row_as_an_error() {
    for error in [
        "data: {\"error\":{\"message\":\"x\",\"code\":500}}\n\n",
        "event: error\ndata: {\"message\":\"x\"}\n\n",
        "data: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"x\"}\n\n",
    ] {
        let row = row_when_ended(chat, vec![error.to_owned()], true);
        assert_eq!(
            (row.status, row.tokens(), row.labels()),
            (200, [0; 4], ["backend_error", "none"]),
            "{error}"
        );
        let row = row_when_ended(chat, vec![delta(" word"), error.to_owned()], true);
        assert_eq!((row.output, row.input), (1, 9), "{error}");
        assert_eq!(row.labels(), ["backend_error", "estimate"], "{error}");
    }
    let counted = vec![delta("a"), usage_event(9, 1), ERROR.to_owned()];
    let row = row_when_ended(chat, counted, true);
    assert_eq!(
        (row.tokens(), row.labels()),
        ([9, 1, 0, 0], ["backend_error", "backend"])
    );
}

#[test]
fn an_error_under_status_200_is_one_without_a_stream_too() {
    let backend = Backend::json(r#"{"error":{"message":"overloaded","code":529}}"#);
    let (proxy, key) = Home::new(&backend).serve_alice();
    proxy.chat(&key, crate::harness::ASK);
    let row = proxy.only_row();
    assert_eq!(
        (row.tokens(), row.labels()),
        ([0; 4], ["backend_error", "none"])
    );
}

#[test]
fn text_before_an_error_counts_in_a_plain_answer_too() {
    let words = " word".repeat(300);
    for (path, answer) in [
        (
            CHAT,
            format!(
                r#"{{"choices":[{{"message":{{"content":"{words}"}}}}],"error":{{"message":"x"}}}}"#
            ),
        ),
        (
            "/v1/responses",
            format!(
                r#"{{"id":"resp_1","status":"failed","error":{{"code":"server_error","message":"x"}},"usage":null,
                    "output":[{{"type":"message","content":[{{"type":"output_text","text":"{words}"}}]}}]}}"#
            ),
        ),
        (
            "/v1/messages",
            format!(
                r#"{{"type":"error","content":[{{"type":"text","text":"{words}"}}],"error":{{"message":"x"}}}}"#
            ),
        ),
    ] {
        let backend = Backend::json(&answer);
        let (proxy, key) = Home::new(&backend).serve_alice();
        let body = r#"{"model":"gpt-4o","max_tokens":9,"input":"Hello!","messages":[{"role":"user","content":"Hello!"}]}"#;
        let body = match path {
            "/v1/responses" => {
                body.replace(r#","messages":[{"role":"user","content":"Hello!"}]"#, "")
            }
            _ => body.replace(r#","input":"Hello!""#, ""),
        };
        proxy.send(&Request::post(path, body).key(&key));
        let row = proxy.only_row();
        assert_eq!((row.input, row.output), (9, 300), "{path}");
        assert_eq!(row.labels(), ["backend_error", "estimate"], "{path}");
        assert_eq!(row.endpoint, path);
    }
}

#[test]
fn a_count_that_does_not_grow_counts_no_more_text() {
    let told = delta(" word").replace(
        "}]}",
        r#"}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#,
    );
    let row = row_when_left(chat, vec![told.clone(); 50]);
    assert_eq!(
        (row.input, row.output, row.source.as_str()),
        (9, 50, "estimate")
    );
    // One that grows does, and so does the last one of a whole answer.
    let growing = |count| told.replace(":1}", &format!(":{count}}}"));
    let grown: Vec<String> = (1..=50).map(|count| growing(count / 2)).collect();
    let row = row_when_left(chat, grown.clone());
    assert_eq!((row.output, row.source.as_str()), (25, "backend"));
    let whole = [vec![told; 50], vec![DONE.to_owned()]].concat();
    let row = row_when_ended(chat, whole, true);
    assert_eq!((row.output, row.source.as_str()), (1, "backend"));
}

/// The numbers of the only user's report: tokens in and out, and how much of them is estimated.
fn reported(proxy: &Proxy) -> [i64; 4] {
    let costs = proxy.get_json("/admin/list_costs")["costs"][0].clone();
    [
        "total_input_tokens",
        "total_output_tokens",
        "estimated_input_tokens",
        "estimated_output_tokens",
    ]
    .map(|name| costs[name].as_i64().unwrap())
}

#[test]
fn only_unreported_tokens_are_marked_as_estimated() {
    let words = || vec![delta(" word"); 300];
    let with = |usage: &str| delta("").replace("}]}", &format!(r#"}}],"usage":{usage}}}"#));
    for (events, expected) in [
        (
            [
                vec![with(r#"{"prompt_tokens":1000,"completion_tokens":1}"#)],
                words(),
            ]
            .concat(),
            [1000, 301, 0, 300],
        ),
        (
            [vec![with(r#"{"prompt_tokens":10}"#)], words()].concat(),
            [10, 300, 0, 300],
        ),
        (
            [words(), vec![with(r#"{"completion_tokens":5}"#)]].concat(),
            [9, 5, 9, 0],
        ),
        (words(), [9, 300, 9, 300]),
    ] {
        let events = [events, vec![DONE.to_owned()]].concat();
        let backend = Backend::start(move |_, wire| wire.sse(&events));
        let (proxy, key) = Home::new(&backend).serve_alice();
        proxy.send(&chat(&key));
        proxy.only_row();
        // From the row, from the sums of the hour, and from sums that were made again.
        assert_eq!(reported(&proxy), expected);
        wait_until("the sums are written", PATIENCE, || {
            let hours = "SELECT count(*) FROM usage_hourly";
            proxy.database().query_row(hours, [], |row| row.get(0)) == Ok(1_i64)
        });
        assert_eq!(reported(&proxy), expected);
        forget_sums(&proxy);
        assert_eq!(reported(&proxy), expected);
        proxy.chat(&key, crate::harness::ASK);
        wait_until("the sums are written again", PATIENCE, || {
            let sums = "SELECT coalesce(sum(requests), 0) FROM usage_hourly";
            proxy.database().query_row(sums, [], |row| row.get(0)) == Ok(2_i64)
        });
        assert_eq!(reported(&proxy)[3], 2 * expected[3]);
    }
}

fn of_responses(key: &str) -> Request {
    let body = r#"{"model":"gpt-4o","input":"Hello!","stream":true}"#;
    Request::post("/v1/responses", body).key(key)
}

#[test]
fn a_flood_of_base64_counts_nothing() {
    let picture = "iVBORw0KGgo/".repeat(100_000);
    let partial = format!(
        "event: response.image_generation_call.partial_image\ndata: {{\"type\":\"response.image_generation_call.partial_image\",\
         \"partial_image_index\":0,\"partial_image_b64\":\"{picture}\"}}\n\n"
    );
    let row = row_when_left(of_responses, vec![partial]);
    assert!(row.output < 100, "{row:?}");
}

#[test]
fn a_long_last_event_is_read_wherever_its_usage_stands() {
    let picture = "iVBORw0KGgo/".repeat(100_000);
    let last = format!(
        "data: {{\"type\":\"response.completed\",\"response\":{{\"id\":\"resp_1\",\"usage\":{{\"input_tokens\":7,\"output_tokens\":8}},\
         \"output\":[{{\"type\":\"image_generation_call\",\"result\":\"{picture}\"}}]}}}}\n\n"
    );
    let row = row_when_ended(of_responses, vec![last], true);
    assert_eq!(
        (row.tokens(), row.labels()),
        ([7, 8, 0, 0], ["completed", "backend"])
    );
}

#[test]
fn a_report_says_how_much_is_estimated() {
    let backend = Backend::start(|request, wire| {
        if request.asks_to_stream() {
            wire.sse(&[delta(" word"), delta(" word"), DONE.to_owned()]);
        } else if request.model() == "misspelt" {
            wire.answer(
                "404 Not Found",
                &[("content-type", "application/json")],
                "{}",
            );
        } else {
            wire.json(&crate::harness::chat_completion(100, 50));
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    proxy.chat(&key, crate::harness::ASK);
    proxy.chat(&key, ASK_STREAM);
    proxy.chat(&key, &crate::harness::ask("misspelt"));
    wait_until("the sums are written", PATIENCE, || {
        let hours = "SELECT count(*) FROM usage_hourly";
        proxy.database().query_row(hours, [], |row| row.get(0)) == Ok(2_i64)
    });
    for _ in 0..2 {
        let costs = proxy.get_json("/admin/list_costs?by_model=true")["costs"][0].clone();
        assert_eq!(costs["estimated_requests"], 1);
        assert_eq!(costs["estimated_input_tokens"], 9);
        assert_eq!(costs["estimated_output_tokens"], 2);
        assert_eq!(costs["total_requests"], 2);
        let models = costs["model_costs"].as_array().unwrap().clone();
        assert_eq!(
            models.len(),
            1,
            "a name that was refused is no model: {models:?}"
        );
        assert_eq!(models[0]["estimated_input_tokens"], 9);
        // The same from the rows, where the sums are gone.
        forget_sums(&proxy);
    }
    let csv = proxy.cli(&["costs", "--csv", "--by", "model"]).stdout;
    assert!(
        csv.lines()
            .next()
            .unwrap()
            .contains(",estimated_requests,estimated_input_tokens,estimated_output_tokens,")
    );
    assert!(csv.contains(",1,9,2,"), "{csv}");
    let table = proxy.cli(&["costs"]).stdout;
    assert!(
        table.contains("estimated") && table.contains(" 11 "),
        "{table}"
    );
}

fn forget_sums(proxy: &Proxy) {
    let database = proxy.writable_database();
    database
        .execute_batch("BEGIN IMMEDIATE; DELETE FROM usage_hourly; UPDATE usage_rollup SET last_id = 0; COMMIT")
        .unwrap();
}

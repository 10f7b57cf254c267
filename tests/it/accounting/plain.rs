//! Answers in one piece are booked.

use serde_json::json;

use crate::harness::{
    ASK, ASK_STREAM, Backend, Home, PATIENCE, Row, ask, chat_completion, gzip, wait_until,
};

/// The row that a backend's answer to one plain chat leaves behind.
fn row_of(answer: &str) -> Row {
    let backend = Backend::json(answer);
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).text(), answer);
    proxy.only_row()
}

#[test]
fn a_row_has_user_model_time_and_tokens() {
    let answer = json!({
        "model": "gpt-4.1-mini-2025-04-14",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 1117, "completion_tokens": 46, "total_tokens": 1163,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 32, "accepted_prediction_tokens": 0},
        },
    })
    .to_string();
    let backend = Backend::start(move |_, wire| {
        wire.answer(
            "200 OK",
            &[
                ("Content-Type", "application/json"),
                ("x-request-id", "req_abc"),
            ],
            &answer,
        );
    });
    let now_ms = || jiff::Timestamp::now().as_millisecond();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let before = now_ms();
    proxy.chat(&key, ASK);
    let row = proxy.only_row();
    assert_eq!(row.tokens(), [1117, 46, 1024, 32]);
    assert_eq!(row.labels(), ["completed", "backend"]);
    assert_eq!(row.status, 200);
    assert_eq!(
        row.model.as_deref(),
        Some("gpt-4.1-mini"),
        "the model as asked for"
    );
    assert_eq!(row.served_model.as_deref(), Some("gpt-4.1-mini-2025-04-14"));
    assert_eq!(row.backend_request_id.as_deref(), Some("req_abc"));
    assert_eq!(
        row.user_id,
        proxy.get_json("/admin/list_users")["users"][0]["id"]
            .as_i64()
            .unwrap()
    );
    assert!(row.endpoint.ends_with("chat/completions"), "{row:?}");
    assert!((before..=now_ms()).contains(&row.started_at_ms), "{row:?}");
    assert!(row.first_byte_ms <= row.duration_ms, "{row:?}");
}

#[test]
fn a_request_without_a_model_is_booked_under_the_served_one() {
    for (answer, model) in [
        (
            r#"{"model":"m-2","usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
            "m-2",
        ),
        (
            r#"{"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
            "unknown",
        ),
    ] {
        let backend = Backend::json(answer);
        let (proxy, key) = Home::new(&backend).serve_alice();
        proxy.chat(&key, r#"{"messages":[]}"#);
        assert_eq!(proxy.only_row().model.as_deref(), Some(model));
        let costs = proxy.get_json("/admin/list_costs?by_model=true");
        assert_eq!(costs["costs"][0]["model_costs"][0]["model"], model);
    }
}

#[test]
fn a_zero_from_the_backend_stays_zero() {
    let row = row_of(&chat_completion(0, 0));
    assert_eq!(
        (row.tokens(), row.labels()),
        ([0; 4], ["completed", "backend"])
    );
}

#[test]
fn usage_is_found_wherever_it_stands_and_never_in_a_text() {
    let quoting =
        json!({"content": "\"usage\": {\"prompt_tokens\": 999, \"completion_tokens\": 999}"})
            .to_string();
    let nested = r#"{"usage":{"prompt_tokens":888,"completion_tokens":888}}"#;
    let usage = r#""usage" : { "completion_tokens" : 2 , "prompt_tokens" : 3 }"#;
    let answers = [
        format!("{{{usage},\"model\":\"m\",\"choices\":[{{\"message\":{quoting}}}]}}"),
        format!("{{\"choices\":[{{\"message\":{quoting}}}],\n  {usage}\n}}\n"),
        format!("{{\"choices\":[{{\"message\":{{\"tool_calls\":[{nested}]}}}}],{usage}}}"),
        format!("{{{usage},\"choices\":[],\"debug\":{nested}}}"),
        format!(
            "{{\"us\\u0061ge\":{{\"prompt_tokens\":3,\"completion_tokens\":2}},\"choices\":[{{\"message\":{quoting}}}]}}"
        ),
    ];
    for answer in answers {
        let row = row_of(&answer);
        assert_eq!(
            (row.tokens(), row.source.as_str()),
            ([3, 2, 0, 0], "backend"),
            "{answer}"
        );
    }
}

#[test]
fn null_or_missing_details_count_as_zero() {
    for details in [
        "null",
        "{}",
        r#"{"cached_tokens":null,"reasoning_tokens":null}"#,
    ] {
        let usage = format!(
            r#"{{"usage":{{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{details},"completion_tokens_details":{details}}}}}"#
        );
        assert_eq!(row_of(&usage).tokens(), [3, 2, 0, 0], "{usage}");
    }
}

#[test]
fn an_answer_without_usage_is_an_estimate_and_not_free() {
    let text = "word ".repeat(100);
    for usage in ["", r#","usage":null"#] {
        let answer = format!(
            r#"{{"choices":[{{"message":{{"role":"assistant","content":"{text}"}}}}]{usage}}}"#
        );
        let row = row_of(&answer);
        assert_eq!(row.labels(), ["completed", "estimate"]);
        assert_eq!((row.input, row.output), (9, 101), "{row:?}");
    }
}

#[test]
fn a_reported_number_is_never_replaced_by_an_estimate() {
    let row = row_of(
        r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":777,"total_tokens":777}}"#,
    );
    assert_eq!(row.input, 777);
}

#[test]
fn a_compressed_answer_is_counted_and_unchanged() {
    let body = gzip(chat_completion(19, 10).as_bytes());
    let served = body.clone();
    let backend = Backend::start(move |request, wire| {
        let headers = [
            ("Content-Type", "application/json"),
            ("Content-Encoding", "gzip"),
        ];
        match request.model().as_str() {
            "chunked" => {
                wire.head(
                    "200 OK",
                    &[headers.as_slice(), &[("Transfer-Encoding", "chunked")]].concat(),
                );
                wire.chunks(served.chunks(7));
                wire.end();
            }
            _ => wire.answer("200 OK", &headers, &served),
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for model in ["whole", "chunked"] {
        let answer = proxy.chat(&key, &ask(model));
        assert_eq!((answer.status, answer.clean), (200, true));
        assert_eq!(answer.header("content-encoding"), Some("gzip"));
        assert!(
            answer.body == body,
            "the compressed bytes changed on their way"
        );
    }
    for row in proxy.rows() {
        assert_eq!(
            (row.tokens(), row.labels()),
            ([19, 10, 0, 0], ["completed", "backend"])
        );
    }
    assert_eq!(proxy.rows().len(), 2);
}

#[test]
fn an_answer_of_megabytes_is_counted() {
    let image = "iVBORw0KGgo".repeat(300_000);
    let usage = r#"{"prompt_tokens":19,"completion_tokens":10}"#;
    let backend = Backend::start(move |request, wire| {
        wire.json(&match request.model().as_str() {
            "first" => {
                format!(r#"{{"usage":{usage},"choices":[{{"message":{{"content":"{image}"}}}}]}}"#)
            }
            _ => {
                format!(r#"{{"choices":[{{"message":{{"content":"{image}"}}}}],"usage":{usage}}}"#)
            }
        });
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for model in ["first", "last"] {
        let answer = proxy.chat(&key, &ask(model));
        assert!(answer.clean && answer.body.len() > 3_000_000);
    }
    let reported = ([19, 10, 0, 0], "backend".to_owned());
    assert_eq!(proxy.booked(), [reported.clone(), reported]);
}

#[test]
fn an_answer_is_read_by_its_own_type_not_the_requested_one() {
    let backend = Backend::start(|request, wire| {
        if request.asks_to_stream() {
            wire.json(&chat_completion(19, 10));
        } else {
            wire.sse(&crate::harness::counted_stream(19, 10));
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK_STREAM).text(), chat_completion(19, 10));
    assert_eq!(
        proxy.chat(&key, ASK).text(),
        crate::harness::counted_stream(19, 10).concat()
    );
    let reported = ([19, 10, 0, 0], "backend".to_owned());
    assert_eq!(proxy.booked(), [reported.clone(), reported]);
}

#[test]
fn an_error_answer_has_a_row_with_its_status_and_no_tokens() {
    let error = r#"{"error":{"message":"no"},"usage":{"prompt_tokens":99,"completion_tokens":99}}"#;
    let backend = Backend::start(move |request, wire| {
        let status = format!("{} Whatever", request.model());
        wire.answer(&status, &[("Content-Type", "application/json")], error);
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for (count, status) in [(1, 429), (2, 500), (3, 400)] {
        let ask = if status == 400 {
            crate::harness::ask_stream("400")
        } else {
            ask(&status.to_string())
        };
        assert_eq!(proxy.chat(&key, &ask).text(), error);
        let rows = proxy.rows();
        assert_eq!(rows.len(), count);
        let row = &rows[count - 1];
        assert_eq!(
            (row.status, row.tokens(), row.source.as_str()),
            (status, [0; 4], "none")
        );
    }
    assert_eq!(
        proxy.get_json("/admin/list_costs")["costs"][0]["total_requests"],
        0,
        "only 2xx count as requests"
    );
}

#[test]
fn requests_that_the_backend_never_answered_leave_no_row() {
    let backend = Backend::start(|_, wire| wire.close());
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat("llmp-nobody", ASK).status, 401);
    assert_eq!(proxy.chat(&key, "not json").status, 400);
    assert_eq!(proxy.chat(&key, ASK).status, 502);
    assert_eq!(proxy.rows(), []);
}

#[test]
fn an_answer_with_half_a_surrogate_pair_is_counted() {
    let body = chat_completion(19, 10).replacen("\"content\":\"", "\"content\":\"\\ud83d", 1);
    assert!(body.contains("\\ud83d"));
    let backend = Backend::json(body.clone());
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).text(), body);
    let row = proxy.only_row();
    assert_eq!(
        (row.tokens(), row.labels()),
        ([19, 10, 0, 0], ["completed", "backend"])
    );
}

#[test]
fn the_served_model_is_booked_as_one_short_line() {
    let served = format!("m\\n\\u001b[2J{}", "x".repeat(500_000));
    let body = chat_completion(1, 2).replacen("gpt-4.1-mini-2025-04-14", &served, 1);
    assert!(body.contains(&served));
    let backend = Backend::json(body.clone());
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).text(), body);
    let booked = proxy.only_row().served_model.unwrap();
    assert!(booked.starts_with("m\u{fffd}\u{fffd}[2Jx"), "{booked}");
    assert_eq!(booked.chars().count(), 200);
}

#[test]
fn a_refused_backend_key_leaves_a_row_before_the_answer() {
    let backend = Backend::start(|_, wire| wire.answer("401 Unauthorized", &[], "{}"));
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 502);
    let row = proxy.only_row();
    assert_eq!(
        (row.status, row.tokens(), row.source.as_str()),
        (502, [0; 4], "none")
    );
    let lines = || {
        proxy
            .log()
            .lines()
            .filter(|line| line.contains(" access: "))
            .count()
    };
    wait_until("the access line is there", PATIENCE, || lines() > 0);
    assert_eq!(lines(), 1, "one line a request: {}", proxy.log());
}

//! Usage is found under the names and in the places that gateways and vendors use.

use serde_json::json;

use crate::harness::{ASK, ASK_STREAM, Backend, DONE, Home, Request, Row, delta};

/// The row of one plain chat whose answer has this usage object.
fn row_of_chat(usage: &str) -> Row {
    let answer = format!(
        r#"{{"id":"x","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"a"}}}}],"usage":{usage}}}"#
    );
    let backend = Backend::json(answer);
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    proxy.only_row()
}

/// The row of one streamed chat whose last event before the end is this.
fn row_of_stream(last: &str) -> Row {
    let backend = Backend::sse([delta("a"), format!("data: {last}\n\n"), DONE.to_owned()]);
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert!(proxy.chat(&key, ASK_STREAM).clean);
    proxy.only_row()
}

#[test]
fn zeros_under_another_name_do_not_hide_counts() {
    const OWN: &str =
        r#""prompt_tokens":12,"completion_tokens":22,"prompt_tokens_details":{"cached_tokens":5}"#;
    for other in [
        r#""input_tokens":0,"output_tokens":0"#,
        r#""input_tokens":null,"output_tokens":null,"input_tokens_details":null"#,
        r#""input_tokens":0,"input_tokens_details":{"cached_tokens":0}"#,
    ] {
        for usage in [format!("{{{OWN},{other}}}"), format!("{{{other},{OWN}}}")] {
            let row = row_of_chat(&usage);
            assert_eq!(
                (row.tokens(), row.source.as_str()),
                ([12, 22, 5, 0], "backend"),
                "{usage}"
            );
            let row = row_of_stream(&format!(r#"{{"choices":[],"usage":{usage}}}"#));
            assert_eq!(row.tokens(), [12, 22, 5, 0], "{usage}");
        }
    }
}

#[test]
fn cache_counts_that_are_included_are_not_added() {
    for (usage, expected) in [
        (
            r#"{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,
               "prompt_tokens_details":{"cached_tokens":1920},"cache_read_input_tokens":1920}"#,
            [2006, 300, 1920, 0],
        ),
        (
            r#"{"prompt_tokens":31,"completion_tokens":3,"cache_creation_input_tokens":1253}"#,
            [1284, 3, 0, 0],
        ),
        (
            r#"{"prompt_tokens":2006,"completion_tokens":300,"prompt_cache_hit_tokens":1920}"#,
            [2006, 300, 1920, 0],
        ),
        (
            r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,
               "completion_tokens_details":{"reasoning_tokens":94}}"#,
            [32, 103, 0, 94],
        ),
    ] {
        assert_eq!(row_of_chat(usage).tokens(), expected, "{usage}");
    }
}

#[test]
fn usage_in_a_choice_or_a_vendor_s_member_is_read() {
    for last in [
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":19,"completion_tokens":13}}]}"#,
        r#"{"choices":[{"index":0,"delta":{}}],"x_groq":{"id":"r","usage":{"prompt_tokens":19,"completion_tokens":13}}}"#,
    ] {
        let row = row_of_stream(last);
        assert_eq!(
            (row.tokens(), row.source.as_str()),
            ([19, 13, 0, 0], "backend"),
            "{last}"
        );
    }
}

#[test]
fn a_message_delta_leaves_the_cache_counts_of_the_start() {
    const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":\
        {\"input_tokens\":25,\"cache_read_input_tokens\":2000,\"cache_creation_input_tokens\":10,\"output_tokens\":1}}}\n\n";
    let text = json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}});
    for usage in [
        json!({"output_tokens": 15}),
        json!({"input_tokens": 25, "output_tokens": 15}),
        json!({"input_tokens": 25, "output_tokens": 15, "cache_read_input_tokens": null}),
    ] {
        let end =
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage});
        let backend = Backend::sse([
            START.to_owned(),
            format!("data: {text}\n\n"),
            format!("data: {end}\n\n"),
            "data: {\"type\":\"message_stop\"}\n\n".to_owned(),
        ]);
        let (proxy, key) = Home::new(&backend).serve_alice();
        let body = r#"{"model":"m","max_tokens":9,"stream":true,"messages":[]}"#;
        proxy.send(&Request::post("/v1/messages", body).key(&key));
        let row = proxy.only_row();
        assert_eq!(
            (row.tokens(), row.labels()),
            ([2035, 15, 2000, 0], ["completed", "backend"]),
            "{usage}"
        );
    }
}

#[test]
fn a_transcription_without_a_model_is_booked_as_the_served_one() {
    let backend = Backend::json(
        r#"{"text":"hi","model":"whisper-large","usage":{"type":"duration","seconds":2}}"#,
    );
    for model in ["", " "] {
        let (proxy, key) = Home::new(&backend).serve_alice();
        let body = format!(
            "--X\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n\
             --X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--X--\r\n"
        );
        let request = Request::post("/v1/audio/transcriptions", body)
            .without("content-type")
            .header("content-type", "multipart/form-data; boundary=X")
            .key(&key);
        assert_eq!(proxy.send(&request).status, 200);
        assert_eq!(proxy.only_row().model.as_deref(), Some("whisper-large"));
        let (proxy, key) = Home::new(&backend).serve_alice();
        for body in [
            r#"{"model":null,"messages":[]}"#,
            r#"{"model":" ","messages":[]}"#,
        ] {
            proxy.chat(&key, body);
        }
        for row in proxy.rows() {
            assert_eq!(row.model.as_deref(), Some("whisper-large"));
        }
    }
}

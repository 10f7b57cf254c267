//! What is made in the background is booked whatever becomes of its client, its id or the backend, and never twice.

use serde_json::{Value, json};

use super::post;
use crate::harness::{Backend, Home};

const DONE: &str = r#"{"id":"resp_1","status":"completed","model":"m-2","usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}"#;

fn private(backend: &Backend) -> Home {
    Home::new(backend).set("STATEFUL_ENDPOINTS", "private")
}

fn in_background() -> Value {
    json!({"model": "m", "input": "x", "background": true})
}

#[test]
fn what_is_done_at_once_is_booked_though_its_id_is_none_to_come_back_with() {
    let backend = Backend::json(DONE.replace("resp_1", "resp/abc+="));
    let (proxy, key) = private(&backend).serve_alice();
    assert_eq!(
        post(&proxy, &key, "/v1/responses", &in_background()).status,
        200
    );
    let row = proxy.only_row();
    assert_eq!(
        (row.tokens(), row.labels()),
        ([3, 4, 0, 0], ["completed", "backend"])
    );
}

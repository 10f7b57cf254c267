//! Every endpoint of the table meets every limit: a new one that is not enforced fails here.

use llmproxy::{
    model::ObjectKind,
    proxy::routes::{Body, Endpoint, Endpoints},
};

use super::serve_limited;
use crate::harness::{Answer, Backend, Home, Proxy, Request};

const BOUNDARY: &str = "limit";

/// A backend that answers everything, and has the input of a batch.
fn backend() -> Backend {
    Backend::start(|seen, wire| {
        if seen.target().ends_with("/content") {
            wire.answer(
                "200 OK",
                &[],
                r#"{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4o","messages":[],"max_tokens":50}}"#,
            );
        } else {
            wire.json(r#"{"id":"new-1","object":"list","data":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#);
        }
    })
}

/// Returns the path of an endpoint with ids of the caller's own objects.
fn path_of(endpoint: &Endpoint) -> String {
    let segments = endpoint.path.split('/').map(|segment| {
        match segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        {
            Some("") => "part-1".to_owned(),
            Some(kind) => id_of(kind),
            None => segment.replace('*', "gpt-4o"),
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

fn id_of(kind: &str) -> String {
    format!("{kind}-own")
}

/// Returns a request that the endpoint would serve to a user without limits.
fn request_to(endpoint: &Endpoint, key: &str) -> Request {
    let path = path_of(endpoint);
    let json = r#"{"model":"gpt-4o","messages":[],"input":"x","prompt":"x","input_file_id":"file-own","max_tokens":50,"max_output_tokens":50}"#;
    let request = match endpoint.body {
        Body::Plain => Request::new(endpoint.method(), &path),
        Body::Form => {
            let form = format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt-4o\r\n--{BOUNDARY}--\r\n"
            );
            Request::new(endpoint.method(), &path)
                .with_body(form)
                .without("content-type")
                .header(
                    "content-type",
                    &format!("multipart/form-data; boundary={BOUNDARY}"),
                )
        }
        Body::Socket => Request::new(endpoint.method(), &format!("{path}?model=gpt-4o"))
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        _ if path == "/v1/batches" => Request::post(
            &path,
            r#"{"input_file_id":"file-own","endpoint":"/v1/chat/completions"}"#,
        ),
        Body::OptionalJson => Request::post(&path, "{}"),
        _ => Request::post(&path, json),
    };
    request.key(key)
}

/// Serves alice, who owns an object of each kind, with limits.
fn serve(flags: &[&str]) -> (Proxy, String, Backend) {
    let backend = backend();
    let home = Home::new(&backend).set("MAX_CONCURRENT_REQUESTS", "0");
    let (proxy, key) = serve_limited(home, flags);
    let kinds = Endpoints::default();
    let kinds = kinds.iter().flat_map(|endpoint| endpoint.path.split('/'));
    let kinds = kinds.filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let database = proxy.writable_database();
    for kind in kinds.filter(|kind| ObjectKind::parse(kind).is_some()) {
        let sql = "INSERT OR IGNORE INTO objects (id, kind, user_id, made_at_ms, is_settled, key_id) VALUES (?1, ?2, 1, 0, 1, 1)";
        database.execute(sql, [&id_of(kind), kind]).unwrap();
    }
    (proxy, key, backend)
}

/// Sends a request to every endpoint, and says how each is answered.
fn answers(flags: &[&str]) -> Vec<(Endpoint, Answer)> {
    let (proxy, key, _backend) = serve(flags);
    let endpoints = Endpoints::default();
    let mut all: Vec<Endpoint> = endpoints.iter().copied().collect();
    // Objects are deleted last, because others refer to them.
    all.sort_by_key(|endpoint| endpoint.method() == "DELETE");
    let answers = all.into_iter().map(|endpoint| {
        let mut connection = proxy.start(&request_to(&endpoint, &key));
        (endpoint, connection.answer())
    });
    answers.collect()
}

fn code_of(answer: &Answer) -> String {
    serde_json::from_slice::<serde_json::Value>(&answer.body)
        .ok()
        .and_then(|body| Some(body["error"]["code"].as_str()?.to_owned()))
        .unwrap_or_default()
}

/// Returns whether a request to the endpoint may use tokens.
fn uses_tokens(endpoint: &Endpoint) -> bool {
    endpoint.is_booked() || endpoint.path == "/v1/batches" && endpoint.method() == "POST"
}

#[test]
fn every_endpoint_counts_requests_a_minute_and_at_once() {
    for flags in [&["--requests-per-minute", "0"], &["--concurrent", "0"]] {
        for (endpoint, answer) in answers(flags) {
            let (method, path) = (endpoint.method(), endpoint.path);
            assert_eq!(
                answer.status,
                429,
                "{flags:?} {method} {path}: {}",
                answer.text()
            );
        }
    }
}

#[test]
fn every_endpoint_that_uses_tokens_has_the_budgets_and_rates_of_its_user() {
    for flags in [
        &["--budget", "0usd/total"],
        &["--budget", "0tokens/day"],
        &["--budget", "0requests/week"],
        &["--tokens-per-minute", "0"],
    ] {
        for (endpoint, answer) in answers(flags) {
            let (method, path) = (endpoint.method(), endpoint.path);
            let is_refused = [429, 403].contains(&answer.status);
            let text = answer.text();
            assert_eq!(
                is_refused,
                uses_tokens(&endpoint),
                "{flags:?} {method} {path}: {} {text}",
                answer.status
            );
        }
    }
}

#[test]
fn every_endpoint_refuses_models_that_are_not_allowed() {
    for flags in [&["--models", "o4-*"], &["--deny-models", "gpt*"]] {
        for (endpoint, answer) in answers(flags) {
            let (method, path) = (endpoint.method(), endpoint.path);
            let names_model = uses_tokens(&endpoint)
                || path.contains("input_tokens")
                || path.contains("count_tokens")
                || path == "/v1/models/*"
                || path == "/v1/content_provenance_checks";
            // Anthropic's errors have no code.
            let says_so = code_of(&answer) == "model_not_found" || path.starts_with("/v1/messages");
            let is_refused = answer.status == 404 && says_so;
            if names_model {
                assert!(
                    is_refused,
                    "{flags:?} {method} {path}: {} {}",
                    answer.status,
                    answer.text()
                );
            }
        }
    }
}

#[test]
fn every_endpoint_with_a_limit_of_output_has_that_of_its_user() {
    for (endpoint, answer) in answers(&["--max-output-tokens", "49"]) {
        let (method, path) = (endpoint.method(), endpoint.path);
        let has_limit =
            !endpoint.output_limits().is_empty() || path == "/v1/batches" && method == "POST";
        assert_eq!(
            answer.status == 400,
            has_limit,
            "{method} {path}: {} {}",
            answer.status,
            answer.text()
        );
    }
}

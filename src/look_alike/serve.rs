//! The server: which endpoint a request is for, and how it is answered.

use std::{
    io,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::BodySize,
    dev::Server,
    http::header::{HeaderName, HeaderValue},
    web,
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::listener::{self, AddRoutes, PortSettings};

use super::{
    answer::Answer,
    embeddings,
    playing::{Piece, play},
    refusal::Refusal,
    request::{Endpoint, read},
    responses,
    script::Script,
    stats::{Served, Stats, Usage},
};

const MODELS: [&str; 6] = [
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4o-mini",
    "o4-mini",
    "gpt-3.5-turbo-instruct",
    "text-embedding-3-small",
];
const BODY_BYTES_MAX: usize = 256 << 20;

/// What all requests share.
pub(super) struct Backend {
    key: Option<String>,
    stats: Arc<Stats>,
    requests: AtomicU64,
}

impl Backend {
    pub(super) fn new(key: Option<String>, stats: Arc<Stats>) -> Self {
        Self {
            key,
            stats,
            requests: AtomicU64::new(0),
        }
    }
}

/// Makes the server.
pub(super) fn serve(listener: TcpListener, backend: web::Data<Backend>) -> io::Result<Server> {
    let add: AddRoutes = Arc::new(move |config| {
        config
            .app_data(backend.clone())
            .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
            .default_service(web::to(handle));
    });
    let settings = PortSettings {
        header_timeout: Duration::from_secs(5),
        workers: Some(2),
        tls: None,
    };
    listener::serve(vec![listener], &settings, &add)
}

async fn handle(backend: web::Data<Backend>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let started = Instant::now();
    let id = format!("{:032x}", backend.requests.fetch_add(1, Ordering::Relaxed));
    let answered = route(&backend, &request, &body, &id).await;
    let mut response = answered.unwrap_or_else(Refusal::into_response);
    let took_ms = started.elapsed().as_millis().to_string();
    for (name, value) in [
        ("openai-processing-ms", took_ms),
        ("x-request-id", format!("req_{id}")),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    response
}

async fn route(
    backend: &Backend,
    request: &HttpRequest,
    body: &[u8],
    id: &str,
) -> Result<HttpResponse, Refusal> {
    let path = request.path();
    if path == "/stats" {
        return Ok(HttpResponse::Ok().json(&*backend.stats.lock()));
    }
    let key = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let key = key
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    if backend.key.as_ref().is_some_and(|expected| expected != key) {
        return Err(Refusal::wrong_key(key));
    }
    let endpoint = match (request.method().as_str(), path) {
        ("POST", "/v1/chat/completions") => Endpoint::Chat,
        ("POST", "/v1/completions") => Endpoint::Completions,
        ("POST", "/v1/responses") => Endpoint::Responses,
        ("POST", "/v1/embeddings") => return embeddings::answer(body, &backend.stats),
        ("GET", "/v1/models") => {
            let models = json!({"object": "list", "data": MODELS.map(model_json)});
            return Ok(HttpResponse::Ok().json(models));
        }
        ("GET", path) if path.starts_with("/v1/models/") => {
            let id = &path["/v1/models/".len()..];
            let unknown = || format!("The model '{id}' does not exist");
            let model = MODELS.iter().find(|model| **model == id);
            let model = model.ok_or_else(|| Refusal::new(404, "model_not_found", unknown()))?;
            return Ok(HttpResponse::Ok().json(model_json(model)));
        }
        (method, path) => {
            return Err(Refusal::new(
                404,
                "unknown_url",
                format!("Invalid URL ({method} {path})"),
            ));
        }
    };
    complete(endpoint, &backend.stats, key, body, id).await
}

fn model_json(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": 1_715_367_049, "owned_by": "system"})
}

async fn complete(
    endpoint: Endpoint,
    stats: &Arc<Stats>,
    key: &str,
    body: &[u8],
    id: &str,
) -> Result<HttpResponse, Refusal> {
    let body = read(body, endpoint.input())?;
    let model = body["model"].as_str().unwrap_or_default();
    let script =
        Script::of(&body).map_err(|error| Refusal::new(400, "", format!("x_backend: {error}")))?;

    let served = Served::begin(stats, model);
    sleep(Duration::from_millis(script.delay_ms)).await;
    if let Some(status) = script.status {
        return Err(Refusal::scripted(status, key));
    }
    served.count(1, Usage::default());
    let answer = Answer::new(endpoint, &body, &script, id);
    let mut response = HttpResponse::Ok();
    if body["stream"] == true {
        let mut events = events_of(&answer, body["stream_options"]["include_usage"] == true);
        events.truncate(script.break_after.unwrap_or(events.len()));
        response.content_type("text/event-stream; charset=utf-8");
        return Ok(response.body(play(events, BodySize::Stream, &script, served)));
    }
    let mut whole = whole_of(&answer);
    let size = BodySize::Sized(whole.bytes.len() as u64);
    if script.break_after.is_some() {
        // Half an answer reports no usage.
        whole.bytes.truncate(whole.bytes.len() / 2);
        whole.usage = None;
    }
    let pieces = if script.break_after == Some(0) {
        vec![]
    } else {
        vec![whole]
    };
    Ok(response
        .content_type("application/json")
        .body(play(pieces, size, &script, served)))
}

fn whole_of(answer: &Answer) -> Piece {
    match answer.endpoint {
        Endpoint::Responses => responses::whole(answer),
        Endpoint::Chat | Endpoint::Completions => answer.whole(),
    }
}

fn events_of(answer: &Answer, wants_usage: bool) -> Vec<Piece> {
    match answer.endpoint {
        Endpoint::Responses => responses::events(answer),
        Endpoint::Chat | Endpoint::Completions => answer.events(wants_usage),
    }
}

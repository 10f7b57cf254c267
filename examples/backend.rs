//! A small OpenAI look-alike, to try llmproxy without a key and to test it:
//!
//!     cargo run --example backend -- --port 9000 [--host 127.0.0.1] [--key sk-…]
//!
//! It serves chat completions, legacy completions (both plain and streamed) and models, and echoes:
//! "You said: …". A word is a token, so that [`expected_usage`] can foretell the bill: input is the
//! words of all messages or prompts (85 for an image, a file or a sound), a third of it is cached;
//! output is the words of the answer. A request with `tools` is answered with a call of the first
//! one. `GET /stats` says what was given out since the start.
//!
//! A request chooses what happens to it with an `x_backend` object in its body, each member of it
//! optional:
//!
//! | member | meaning |
//! | --- | --- |
//! | `words` | length of the answer, up to 10,000: the echo is repeated or cut |
//! | `cached_tokens`, `reasoning_tokens` | these instead of a third and of 0; reasoning adds to the output |
//! | `delay_ms`, `event_delay_ms` | wait before the head, before each event |
//! | `status` | 400 to 599: an error in OpenAI's shape; 401 quotes the key, 429 has `Retry-After: 1` |
//! | `usage` | `none`: never stated; `zero`: all numbers are 0; and in streams `every_chunk`: a running count in each; `last_chunk`: beside `finish_reason` only; `usage_only`: in a chunk of its own though not asked for |
//! | `break_after` | drop the connection after so many events, a plain answer halfway; 0: before the head |
//! | `crlf` | lines of events end in CRLF |

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Server, ServerHandle};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use clap::Parser;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::sleep};

const MODELS: [&str; 4] = ["gpt-4o", "gpt-4o-mini", "o4-mini", "gpt-3.5-turbo-instruct"];
const TOKENS_OF_AN_IMAGE: u64 = 85;
const WORDS_MAX: usize = 10_000;
const CHUNK: [&str; 2] = ["chat.completion.chunk", "delta"];
const BODY_BYTES_MAX: usize = 256 << 20;

fn main() -> io::Result<()> {
    let mut backend = start(Settings::parse())?;
    println!("listening on {}", backend.url());
    backend.wait();
    Ok(())
}

/// An OpenAI look-alike to try and test llmproxy with
#[derive(Clone, Debug, Parser)]
pub struct Settings {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// The key to insist on; without it any will do, and none as well
    #[arg(long)]
    pub key: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self::parse_from(["backend"])
    }
}

/// Runs a backend in a thread of its own until the handle is dropped.
pub fn start(settings: Settings) -> io::Result<Handle> {
    let listener = TcpListener::bind((settings.host.as_str(), settings.port))?;
    let address = listener.local_addr()?;
    let stats = Arc::new(Stats::default());
    let backend = Backend {
        key: settings.key,
        stats: stats.clone(),
        requests: AtomicU64::new(0),
    };
    let (started, server) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = serve(listener, web::Data::new(backend))?;
            started.send(server.handle()).map_err(io::Error::other)?;
            server.await
        })
    });
    let server = server.recv().map_err(io::Error::other)?;
    Ok(Handle {
        address,
        stats,
        server,
        thread: Some(thread),
    })
}

pub struct Handle {
    pub address: SocketAddr,
    stats: Arc<Stats>,
    server: ServerHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Handle {
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn stats(&self) -> Totals {
        self.stats.lock().clone()
    }

    /// Returns when the server has ended.
    pub fn wait(&mut self) {
        if let Some(Err(_) | Ok(Err(_))) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the backend broke down");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The call itself sends the command; its future would only wait for the end.
        drop(self.server.stop(false));
        self.wait();
    }
}

/// The usage that a whole answer to this request states when asked to; None if it never states any.
pub fn expected_usage(body: &Value) -> Option<Usage> {
    let endpoint = if body["messages"].is_array() {
        Endpoint::Chat
    } else {
        Endpoint::Completions
    };
    let script = script_of(body).ok()?;
    let silent = script.status.is_some() || script.usage == Stated::None;
    (!silent).then(|| Answer::new(endpoint, body, &script, "").usage)
}

// === what was given out ===

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cached_tokens: u64,
    pub reasoning_tokens: u64,
}

impl Usage {
    fn to_json(self) -> Value {
        json!({
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens, "audio_tokens": 0},
        })
    }
}

/// A request counts when it is answered with 200; tokens when the client is told their final
/// number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub in_flight: u64,
    pub total: Sums,
    /// By the name that the request used.
    pub models: BTreeMap<String, Sums>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    pub requests: u64,
    #[serde(flatten)]
    pub usage: Usage,
}

impl Sums {
    fn add(&mut self, requests: u64, usage: Usage) {
        self.requests += requests;
        self.usage.input_tokens += usage.input_tokens;
        self.usage.output_tokens += usage.output_tokens;
        self.usage.cached_tokens += usage.cached_tokens;
        self.usage.reasoning_tokens += usage.reasoning_tokens;
    }
}

#[derive(Default)]
struct Stats(Mutex<Totals>);

impl Stats {
    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request from its arrival to its last byte or its client's leaving.
struct Served {
    stats: Arc<Stats>,
    model: String,
}

impl Served {
    fn begin(stats: &Arc<Stats>, model: &str) -> Self {
        stats.lock().in_flight += 1;
        Self {
            stats: stats.clone(),
            model: model.to_owned(),
        }
    }

    fn count(&self, requests: u64, usage: Usage) {
        let mut totals = self.stats.lock();
        totals.total.add(requests, usage);
        totals
            .models
            .entry(self.model.clone())
            .or_default()
            .add(requests, usage);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stats.lock().in_flight -= 1;
    }
}

// === what serves ===

struct Backend {
    key: Option<String>,
    stats: Arc<Stats>,
    requests: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Chat,
    Completions,
}

impl Endpoint {
    fn input(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Completions => "prompt",
        }
    }
}

fn serve(listener: TcpListener, backend: web::Data<Backend>) -> io::Result<Server> {
    let app = move || {
        App::new()
            .app_data(backend.clone())
            .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
            .default_service(web::to(handle))
    };
    let server = HttpServer::new(app)
        .workers(2)
        .disable_signals()
        .keep_alive(Duration::from_secs(75))
        .tcp_nodelay(true)
        // Otherwise a client that leaves is not noticed before the next write.
        .h1_allow_half_closed(false)
        .listen(listener)?;
    Ok(server.run())
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
    let refuse = |message: String| Refusal::new(400, "", message);
    let body: Value = serde_json::from_slice(body).map_err(|why| {
        refuse(format!(
            "We could not parse the JSON body of your request: {why}"
        ))
    })?;
    let model = body["model"].as_str();
    let model = model.ok_or_else(|| refuse("you must provide a model parameter".into()))?;
    if body[endpoint.input()].is_null() {
        return Err(refuse(format!(
            "Missing required parameter: '{}'.",
            endpoint.input()
        )));
    }
    let script = script_of(&body).map_err(|why| refuse(format!("x_backend: {why}")))?;

    let served = Served::begin(stats, model);
    sleep(Duration::from_millis(script.delay_ms)).await;
    if let Some(status) = script.status {
        return Err(Refusal::scripted(status, key));
    }
    served.count(1, Usage::default());
    let answer = Answer::new(endpoint, &body, &script, id);
    let mut response = HttpResponse::Ok();
    if body["stream"] == true {
        let mut events = answer.events(body["stream_options"]["include_usage"] == true);
        events.truncate(script.break_after.unwrap_or(events.len()));
        response.content_type("text/event-stream; charset=utf-8");
        return Ok(response.body(play(events, BodySize::Stream, &script, served)));
    }
    let mut whole = answer.whole();
    let size = BodySize::Sized(whole.bytes.len() as u64);
    if script.break_after.is_some() {
        // Nobody learns a usage from half an answer.
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

struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: u16, code: &'static str, message: String) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            code,
            message,
        }
    }

    fn wrong_key(key: &str) -> Self {
        let message = match key {
            "" => "You didn't provide an API key in an Authorization header.".into(),
            key => {
                format!("Incorrect API key provided: {key}. You can find yours in your account.")
            }
        };
        Self::new(401, "invalid_api_key", message)
    }

    fn scripted(status: u16, key: &str) -> Self {
        let message = format!("x_backend asked for status {status}");
        match status {
            401 => Self::wrong_key(key),
            429 => Self::new(429, "rate_limit_exceeded", message),
            400..=599 => Self::new(status, "", message),
            _ => Self::new(400, "", "x_backend.status must be 400 to 599".into()),
        }
    }

    fn into_response(self) -> HttpResponse {
        let kind = match self.status.as_u16() {
            429 => "requests",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        let code = Some(self.code).filter(|code| !code.is_empty());
        let error = json!({"message": self.message, "type": kind, "param": null, "code": code});
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.insert_header(("retry-after", "1"));
        }
        response.json(json!({ "error": error }))
    }
}

// === what is answered ===

/// The `x_backend` member. A misspelt one is refused, lest a test passes for the wrong reason.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Script {
    words: Option<usize>,
    cached_tokens: Option<u64>,
    reasoning_tokens: u64,
    delay_ms: u64,
    event_delay_ms: u64,
    status: Option<u16>,
    usage: Stated,
    break_after: Option<usize>,
    crlf: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stated {
    #[default]
    AsOpenai,
    None,
    Zero,
    EveryChunk,
    LastChunk,
    UsageOnly,
}

fn script_of(body: &Value) -> serde_json::Result<Script> {
    body.get("x_backend")
        .map_or(Ok(Script::default()), Script::deserialize)
}

/// All that an answer says, computed from the request alone.
struct Answer {
    endpoint: Endpoint,
    id: String,
    model: String,
    /// What is said, or the arguments of the tool's call.
    text: String,
    tool: Option<String>,
    finish: &'static str,
    usage: Usage,
    script: Script,
}

/// What is written at once, and the final usage if it states that.
struct Piece {
    bytes: Bytes,
    usage: Option<Usage>,
}

impl Answer {
    fn new(endpoint: Endpoint, body: &Value, script: &Script, id: &str) -> Self {
        let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let mut contents: Vec<&Value> =
            messages.iter().map(|message| &message["content"]).collect();
        if endpoint == Endpoint::Completions {
            contents = vec![&body["prompt"]];
        }
        let echo = format!(
            "You said: {}",
            contents.last().map_or("", |last| text_of(last))
        );
        let echo: Vec<&str> = echo.split_whitespace().collect();
        let wanted = script.words.unwrap_or(echo.len()).min(WORDS_MAX);
        let limit = body["max_completion_tokens"]
            .as_u64()
            .or(body["max_tokens"].as_u64());
        let said = limit.map_or(wanted, |limit| {
            wanted.min(usize::try_from(limit).unwrap_or(wanted))
        });
        let text = echo
            .into_iter()
            .cycle()
            .take(said)
            .collect::<Vec<_>>()
            .join(" ");

        let called = messages
            .last()
            .is_some_and(|message| message["role"] == "tool");
        let tool = body["tools"][0]["function"]["name"].as_str();
        let tool = tool
            .filter(|_| !called && body["tool_choice"] != "none")
            .map(str::to_owned);
        let text = if tool.is_some() {
            json!({"text": text}).to_string()
        } else {
            text
        };
        let input_tokens = contents.into_iter().map(tokens_in).sum();
        let usage = match script.usage {
            Stated::Zero => Usage::default(),
            _ => Usage {
                input_tokens,
                output_tokens: tokens_in(&json!(text)) + script.reasoning_tokens,
                cached_tokens: script.cached_tokens.unwrap_or(input_tokens / 3),
                reasoning_tokens: script.reasoning_tokens,
            },
        };
        Self {
            endpoint,
            id: format!(
                "{}-{id}",
                if endpoint == Endpoint::Chat {
                    "chatcmpl"
                } else {
                    "cmpl"
                }
            ),
            // OpenAI answers with the version that a model's alias stands for.
            model: format!("{}-2024-07-18", body["model"].as_str().unwrap_or_default()),
            text,
            finish: match tool {
                _ if said < wanted => "length",
                Some(_) => "tool_calls",
                None => "stop",
            },
            tool,
            usage,
            script: script.clone(),
        }
    }

    fn whole(&self) -> Piece {
        let object = ["chat.completion", "message"];
        let mut answer = self.envelope(object, &self.opening(&self.text), Some(self.finish));
        let usage = Some(self.usage).filter(|_| self.script.usage != Stated::None);
        if let Some(usage) = usage {
            answer["usage"] = usage.to_json();
        }
        Piece {
            bytes: answer.to_string().into(),
            usage,
        }
    }

    fn events(&self, wants_usage: bool) -> Vec<Piece> {
        let own_chunk = match self.script.usage {
            Stated::AsOpenai | Stated::Zero | Stated::EveryChunk => wants_usage,
            Stated::UsageOnly => true,
            Stated::None | Stated::LastChunk => false,
        };
        let chunks = self.chunks();
        let last = chunks.len() - 1;
        let mut events = Vec::with_capacity(chunks.len() + 2);
        for (number, (mut chunk, words)) in chunks.into_iter().enumerate() {
            let states = match self.script.usage {
                Stated::EveryChunk => true,
                Stated::LastChunk => number == last,
                _ => false,
            };
            if states {
                let output_tokens = self.script.reasoning_tokens + words;
                chunk["usage"] = Usage {
                    output_tokens,
                    ..self.usage
                }
                .to_json();
            } else if own_chunk {
                chunk["usage"] = Value::Null;
            }
            let is_final = states && number == last && !own_chunk;
            events.push(self.event(&chunk.to_string(), is_final));
        }
        if own_chunk {
            let mut chunk = self.envelope(CHUNK, &Value::Null, None);
            chunk["choices"] = json!([]);
            chunk["usage"] = self.usage.to_json();
            events.push(self.event(&chunk.to_string(), true));
        }
        events.push(self.event("[DONE]", false));
        events
    }

    /// The opening, a chunk for each word, the end; each with the number of words said by then.
    fn chunks(&self) -> Vec<(Value, u64)> {
        let mut chunks = Vec::new();
        let mut words = 0;
        if self.endpoint == Endpoint::Chat {
            chunks.push((self.envelope(CHUNK, &self.opening(""), None), words));
        }
        for word in self.text.split_inclusive(' ') {
            words += 1;
            chunks.push((self.envelope(CHUNK, &self.saying(word), None), words));
        }
        let nothing = if self.endpoint == Endpoint::Chat {
            json!({})
        } else {
            json!("")
        };
        chunks.push((self.envelope(CHUNK, &nothing, Some(self.finish)), words));
        chunks
    }

    /// What comes first, or at once: who speaks, which tool is called.
    fn opening(&self, text: &str) -> Value {
        let mut said = self.saying(text);
        if self.endpoint == Endpoint::Chat {
            said["role"] = json!("assistant");
        }
        if let Some(name) = &self.tool {
            said["content"] = Value::Null;
            said["tool_calls"][0]["id"] = json!(format!("call_{}", self.id));
            said["tool_calls"][0]["type"] = json!("function");
            said["tool_calls"][0]["function"]["name"] = json!(name);
        }
        said
    }

    fn saying(&self, text: &str) -> Value {
        match (self.endpoint, &self.tool) {
            (Endpoint::Completions, _) => json!(text),
            (Endpoint::Chat, None) => json!({"content": text}),
            (Endpoint::Chat, Some(_)) => {
                json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})
            }
        }
    }

    /// `of_chat` names the object and what holds the words; legacy completions have one form for
    /// all.
    fn envelope(&self, of_chat: [&str; 2], said: &Value, finish: Option<&str>) -> Value {
        let [object, holder] = match self.endpoint {
            Endpoint::Chat => of_chat,
            Endpoint::Completions => ["text_completion", "text"],
        };
        let choice = json!({"index": 0, holder: said, "logprobs": null, "finish_reason": finish});
        json!({"id": self.id, "object": object, "created": 1_721_260_800, "model": self.model,
            "system_fingerprint": "fp_lookalike", "choices": [choice]})
    }

    fn event(&self, data: &str, is_final: bool) -> Piece {
        let line_end = if self.script.crlf { "\r\n" } else { "\n" };
        let bytes = format!("data: {data}{line_end}{line_end}").into();
        Piece {
            bytes,
            usage: is_final.then_some(self.usage),
        }
    }
}

/// Of a content or a prompt: text, a list of parts or texts, token ids.
fn tokens_in(content: &Value) -> u64 {
    match content {
        Value::String(text) => text.split_whitespace().count() as u64,
        Value::Array(parts) => parts.iter().map(tokens_in).sum(),
        Value::Object(part) => part.get("text").map_or(TOKENS_OF_AN_IMAGE, tokens_in),
        Value::Number(_) => 1,
        Value::Null | Value::Bool(_) => 0,
    }
}

fn text_of(content: &Value) -> &str {
    match content {
        Value::Array(parts) => parts
            .iter()
            .rev()
            .map(text_of)
            .find(|text| !text.is_empty())
            .unwrap_or_default(),
        Value::Object(part) => part.get("text").map_or("", text_of),
        other => other.as_str().unwrap_or_default(),
    }
}

// === how it is written ===

/// A body played to a script. Only one piece waits at a time, so that each is a write of its own:
/// the server asks for the next one, is told to wait, and flushes what it has.
struct Playing {
    pieces: mpsc::Receiver<io::Result<Piece>>,
    size: BodySize,
    served: Served,
}

fn play(pieces: Vec<Piece>, size: BodySize, script: &Script, served: Served) -> Playing {
    let (sender, receiver) = mpsc::channel(1);
    let gap = Duration::from_millis(script.event_delay_ms);
    let breaks = script.break_after.is_some();
    let broken = || {
        Err(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "x_backend.break_after",
        ))
    };
    if breaks && pieces.is_empty() {
        // An error at its first look at the body makes the server drop the head as well.
        let _ = sender.try_send(broken());
    }
    actix_web::rt::spawn(async move {
        let end = breaks.then(broken);
        for piece in pieces.into_iter().map(Ok).chain(end) {
            if !gap.is_zero() {
                sleep(gap).await;
            }
            if sender.send(piece).await.is_err() {
                break; // the client is gone
            }
        }
    });
    Playing {
        pieces: receiver,
        size,
        served,
    }
}

impl MessageBody for Playing {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        self.pieces.poll_recv(cx).map_ok(|piece| {
            if let Some(usage) = piece.usage {
                self.served.count(0, usage);
            }
            piece.bytes
        })
    }
}

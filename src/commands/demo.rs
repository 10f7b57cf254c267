//! `llmproxy demo`: the whole way of a request without a key of OpenAI. A look-alike of OpenAI
//! answers, the server of `llmproxy serve` stands between, and the database is temporary.

use std::{
    fmt::Write as _,
    future::poll_fn,
    io::{self, Write as _},
    pin::Pin,
    thread,
    time::Duration,
};

use actix_web::http::{StatusCode, header};
use anyhow::{Context, bail};
use comfy_table::Table;
use futures_core::Stream;
use log::LevelFilter;
use serde_json::{Value, json};

use super::{logging, print, serve::serve_with, tables::CostLines};
use crate::{
    admin::{AdminContext, GenerateKey, ListCosts},
    cli::start::DemoArgs,
    config::ServeSettings,
    look_alike::{self, LookAlike},
    model::ApiKey,
    store::{IfMissing, Store, reports::CostReport},
};

const USER: &str = "alice";
const MODEL: &str = "gpt-4.1-mini";
const QUESTION: &str = "Hello! Is anybody there?";
/// Key that the proxy has for the look-alike, which takes any.
const BACKEND_KEY: &str = "sk-demo";
/// Time between two events of the stream, so that one sees them come.
const EVENT_DELAY_MS: u64 = 60;
/// Time that an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let home = tempfile::Builder::new()
        .prefix("llmproxy-demo-")
        .tempdir()
        .context("cannot make a temporary directory")?;
    let database = home.path().join("llm_proxy.db").display().to_string();
    let backend = LookAlike::start(look_alike::Settings::default())
        .context("cannot start the look-alike of OpenAI")?;
    let config = ServeSettings::of_flags([
        "--openai-backend-url",
        &backend.url(),
        "--openai-api-key",
        BACKEND_KEY,
        "--database-url",
        &database,
        "--host",
        "127.0.0.1",
        "--port",
        &args.port.to_string(),
        "--rust-log",
        if args.serve {
            "info,access=info"
        } else {
            "warn"
        },
    ])?;
    let context = AdminContext::of_store(Store::open(&config.database, IfMissing::Create)?);
    let key = context.run(GenerateKey {
        username: Some(USER.to_owned()),
        ..GenerateKey::default()
    })?;
    let demo = Demo {
        key: ApiKey::from_text(key.api_key),
        context,
        backend_url: backend.url(),
        database,
        is_kept: args.serve,
    };
    let _log = logging::start(&config.log_filter, config.log_format);
    // Lines of the log would stand between those of the demonstration.
    log::set_max_level(LevelFilter::Warn);
    let mut visitor = None;
    let served = serve_with(config, |listening| {
        let Some(address) = listening.addresses.first() else {
            return;
        };
        let (url, server) = (format!("http://{address}"), listening.handle());
        visitor = Some(thread::spawn(move || {
            let visited = demo.visit(&url);
            if visited.is_err() || !demo.is_kept {
                // The call itself sends the command.
                drop(server.stop(true));
            }
            visited
        }));
    });
    let served = served.map_err(|error| {
        let is_taken = error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse);
        if is_taken {
            error.context("--port names a port that is in use")
        } else {
            error
        }
    });
    match visitor.map(thread::JoinHandle::join) {
        Some(Ok(visited)) => visited?,
        Some(Err(_)) => bail!("the demonstration panicked"),
        None => {}
    }
    served
}

/// What is shown.
struct Demo {
    key: ApiKey,
    context: AdminContext,
    backend_url: String,
    database: String,
    /// The server goes on running.
    is_kept: bool,
}

impl Demo {
    /// Sends the requests and prints what happens.
    fn visit(&self, url: &str) -> anyhow::Result<()> {
        print(&format!(
            "A look-alike of OpenAI runs on {}, and llmproxy in front of it on\n{url}, with a temporary database.\n",
            self.backend_url
        ))?;
        print(&format!(
            "1. A user, as by `llmproxy user add {USER}`. The key is {}.\n",
            self.key.masked()
        ))?;
        actix_web::rt::System::new().block_on(async {
            print("2. A request with this key, and its answer:")?;
            let whole = self.ask(url, false).await?;
            print(&format!("   > {QUESTION}\n   < {whole}\n"))?;
            print("3. The same, streamed:")?;
            print(&format!("   > {QUESTION}"))?;
            self.ask(url, true).await?;
            anyhow::Ok(())
        })?;
        print("\n4. What is booked, as by `llmproxy costs --by-model`:\n")?;
        print(&self.costs()?)?;
        print(&self.farewell(url))?;
        log::set_max_level(LevelFilter::Info);
        Ok(())
    }

    /// Asks the question and returns the answer. A stream is printed as it comes.
    async fn ask(&self, url: &str, is_streamed: bool) -> anyhow::Result<String> {
        let body = json!({
            "model": MODEL,
            "stream": is_streamed,
            "messages": [{"role": "user", "content": QUESTION}],
            "x_backend": {"event_delay_ms": if is_streamed { EVENT_DELAY_MS } else { 0 }},
        });
        let client = awc::Client::builder().timeout(PATIENCE).finish();
        let sent = client
            .post(format!("{url}/v1/chat/completions"))
            .insert_header((
                header::AUTHORIZATION,
                format!("Bearer {}", self.key.expose()),
            ))
            .send_json(&body)
            .await;
        // The errors of awc cannot be sent between threads.
        let mut response = sent.map_err(|error| anyhow::anyhow!("cannot reach {url}: {error}"))?;
        if response.status() != StatusCode::OK {
            bail!("{url} answered {}", response.status());
        }
        if is_streamed {
            return print_stream(&mut response).await;
        }
        let answer: Value = response
            .json()
            .await
            .map_err(|error| anyhow::anyhow!("{url} answered no JSON: {error}"))?;
        let text = answer["choices"][0]["message"]["content"].as_str();
        Ok(text.unwrap_or_default().to_owned())
    }

    fn costs(&self) -> anyhow::Result<String> {
        let report = self.context.run(ListCosts {
            by_model: Some(true),
            ..ListCosts::default()
        })?;
        let report: CostReport =
            serde_json::from_str(report.get()).context("cannot read the report")?;
        let listing = CostLines::of_users(report, false).listing(None);
        Ok(listing.boxed(Table::new().width()))
    }

    /// Returns what to do next.
    fn farewell(&self, url: &str) -> String {
        let mut text = String::new();
        if self.is_kept {
            let _ = write!(
                text,
                "\nThe server goes on until Ctrl-C, and its database is gone then. For an SDK:\n\n  \
                 export OPENAI_BASE_URL={url}/v1\n  export OPENAI_API_KEY={}\n\nIts page is {url}/, \
                 and commands find its database by\n\n  export DATABASE_URL=sqlite:///{}\n",
                self.key.expose(),
                self.database
            );
        }
        text.push_str(
            "\nWith a key of OpenAI:\n  \
             llmproxy init      asks for the key, writes .env and makes the first user\n  \
             llmproxy serve     listens on port 8000\n  \
             llmproxy costs     says who used what",
        );
        text
    }
}

/// Prints the text of a stream as it comes, and returns it.
async fn print_stream<S>(response: &mut S) -> anyhow::Result<String>
where
    S: Stream<Item = Result<bytes::Bytes, awc::error::PayloadError>> + Unpin,
{
    let (mut waiting, mut text) = (Vec::new(), String::new());
    print_part("   < ")?;
    while let Some(read) = poll_fn(|context| Pin::new(&mut *response).poll_next(context)).await {
        waiting.extend_from_slice(&read.context("the stream broke off")?);
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            let event: Value = line
                .strip_prefix(b"data: ")
                .and_then(|data| serde_json::from_slice(data).ok())
                .unwrap_or_default();
            let delta = event["choices"][0]["delta"]["content"].as_str();
            let delta = delta.unwrap_or_default();
            print_part(delta)?;
            text.push_str(delta);
        }
    }
    print("")?;
    Ok(text)
}

/// Prints a part of a line.
fn print_part(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

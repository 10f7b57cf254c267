//! The product's own calls over HTTP, with awc: to a running llmproxy, and for the price file.

use std::{path::Path, time::Duration};

use actix_web::http::{StatusCode, header};
use anyhow::{Context, bail};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{admin::Method, model::Secret, proxy::backend::tls_config};

/// Time that a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that the server has to answer. Pricing a large ledger anew takes longest.
const TIMEOUT: Duration = Duration::from_secs(600);
/// The longest answer that is read. A report of 100,000 users has less.
const MAX_ANSWER_BYTES: usize = 512 * 1024 * 1024;

/// A request to a server.
pub(super) struct HttpRequest<'a> {
    pub(super) method: Method,
    pub(super) url: &'a str,
    /// The token or key that is sent, and never shown.
    pub(super) bearer: Option<&'a Secret>,
    /// An object: the query of GET, the body of POST.
    pub(super) members: Value,
    pub(super) extra_roots: Option<&'a Path>,
}

/// The answer of a server.
pub(super) struct HttpAnswer {
    url: String,
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// An error in OpenAI's form.
#[derive(Deserialize)]
struct ErrorBody {
    error: Refusal,
}

/// What a server says about a request that it refuses.
#[derive(Deserialize)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) param: Option<String>,
    pub(super) code: Option<String>,
}

/// Sends a request and waits for the answer. Redirects are not followed, because they could lead the
/// token elsewhere.
pub(super) fn send(request: HttpRequest<'_>) -> anyhow::Result<HttpAnswer> {
    actix_web::rt::System::new().block_on(exchange(request))
}

async fn exchange(request: HttpRequest<'_>) -> anyhow::Result<HttpAnswer> {
    let url = request.url;
    let connector = awc::Connector::new().timeout(CONNECT_TIMEOUT);
    let connector = if url.starts_with("https:") {
        connector.rustls_0_23(tls_config(request.extra_roots)?)
    } else {
        connector
    };
    let client = awc::Client::builder()
        .connector(connector)
        .disable_redirects()
        .timeout(TIMEOUT)
        .finish();
    let mut call = match request.method {
        Method::Get => client.get(url),
        Method::Post => client.post(url),
    };
    if let Some(token) = request.bearer {
        let value = format!("Bearer {}", token.expose());
        call = call.insert_header((header::AUTHORIZATION, value));
    }
    let sent = match request.method {
        Method::Get => {
            let pairs = query_of(request.members);
            if pairs.is_empty() {
                // Not even a question mark: the URL may be a file's.
                call.send().await
            } else {
                call.query(&pairs)?.send().await
            }
        }
        Method::Post => call.send_json(&request.members).await,
    };
    // The errors of awc cannot be sent between threads.
    let mut response = sent.map_err(|error| anyhow::anyhow!("cannot reach {url}: {error}"))?;
    let body = response.body().limit(MAX_ANSWER_BYTES).await;
    let body = body.map_err(|error| anyhow::anyhow!("{url} broke off its answer: {error}"))?;
    Ok(HttpAnswer {
        url: url.to_owned(),
        status: response.status(),
        body: body.to_vec(),
    })
}

impl HttpAnswer {
    /// Reads the JSON of an answer with a status of success. `bad_request` makes the error of a 400
    /// that says what is wrong with the input.
    pub(super) fn into_json<T: DeserializeOwned>(
        self,
        bad_request: impl FnOnce(Refusal) -> anyhow::Error,
    ) -> anyhow::Result<T> {
        let Self { url, status, body } = self;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .with_context(|| format!("{url} answered something else than llmproxy does"));
        }
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(body) if status == StatusCode::BAD_REQUEST => Err(bad_request(body.error)),
            Ok(body) => bail!("{}", body.error.message),
            Err(_) => bail!("{url} answered {status}"),
        }
    }
}

/// Returns the members as parameters of a query.
fn query_of(members: Value) -> Vec<(String, String)> {
    let Value::Object(members) = members else {
        return Vec::new();
    };
    let pairs = members.into_iter().filter_map(|(name, value)| match value {
        Value::Null => None,
        Value::String(text) => Some((name, text)),
        other => Some((name, other.to_string())),
    });
    pairs.collect()
}

//! What a command administers: the database file, or a running server over HTTP. Both run the same
//! operations.

use std::{path::Path, sync::Arc, time::Duration};

use actix_web::http::{StatusCode, header};
use anyhow::{Context, bail};
use clap::ArgMatches;
use serde_json::Value;

use super::{WrongUsage, note};
use crate::{
    admin::{AdminContext, AdminError, Method, Operation},
    config::{RemoteServer, TargetSettings, env_file::Variables},
    proxy::backend::tls_config,
    store::{IfMissing, Store},
};

/// Time that the server has to answer. Hashing all keys of a large database takes longest.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The longest answer that is read. A report of 100,000 users has less.
const MAX_ANSWER_BYTES: usize = 512 * 1024 * 1024;

/// What a command administers.
pub(super) enum Target {
    File(Box<AdminContext>),
    Server(Box<RemoteServer>),
}

impl Target {
    /// Opens the target that the settings name.
    pub(super) fn open(
        settings: &TargetSettings,
        matches: &ArgMatches,
        variables: &Variables,
        if_missing: IfMissing,
    ) -> anyhow::Result<Self> {
        if let Some(server) = settings.remote(matches, variables)? {
            return Ok(Self::Server(Box::new(server)));
        }
        let path = settings.database_path(matches)?;
        let store = Store::open(&path, if_missing)?;
        if store.is_new() {
            // The command may have been run in the wrong directory.
            let path = path.as_path().display();
            note(&format!("created a new database at \"{path}\""));
        }
        Ok(Self::File(Box::new(AdminContext {
            store,
            key_storage: settings.key_storage(matches)?,
            calendar: settings.calendar(matches)?,
            on_change: None,
        })))
    }

    /// Runs an operation.
    pub(super) fn run<O: Operation>(&self, operation: O) -> anyhow::Result<O::Answer> {
        match self {
            Self::File(context) => context.run(operation).map_err(of_input),
            Self::Server(server) => ask(server, &operation),
        }
    }
}

/// Turns an error of the input into one of wrong usage. Flags are written with hyphens.
pub(super) fn of_input(error: AdminError) -> anyhow::Error {
    match error {
        AdminError::Field { field, message } => {
            let flag = field.replace('_', "-");
            WrongUsage(
                message
                    .replace(field, &flag)
                    .replace("_time", "-time")
                    .replace("last_hours", "last-hours"),
            )
            .into()
        }
        AdminError::UnknownMember(message) => WrongUsage(message).into(),
        other => other.into(),
    }
}

/// Asks a server to run an operation.
fn ask<O: Operation>(server: &RemoteServer, operation: &O) -> anyhow::Result<O::Answer> {
    let members = serde_json::to_value(operation)?;
    let url = format!("{}{}", server.url, O::PATH);
    let (status, body) =
        actix_web::rt::System::new().block_on(send(server, O::METHOD, &url, members))?;
    if status.is_success() {
        return serde_json::from_slice(&body)
            .with_context(|| format!("{url} answered something else than llmproxy does"));
    }
    let message = error_message(&body);
    let message = message.unwrap_or_else(|| format!("{url} answered {status}"));
    match status {
        StatusCode::BAD_REQUEST => {
            let flags = message
                .replace("_time", "-time")
                .replace("last_hours", "last-hours");
            Err(WrongUsage(flags).into())
        }
        _ => bail!("{message}"),
    }
}

/// Sends one request, without following redirects, which could lead the token elsewhere.
async fn send(
    server: &RemoteServer,
    method: Method,
    url: &str,
    members: Value,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let connector = awc::Connector::new().timeout(Duration::from_secs(10));
    let connector = if url.starts_with("https:") {
        let tls = tls_config(server.extra_roots.as_deref().map(Path::new))?;
        connector.rustls_0_23(Arc::clone(&tls))
    } else {
        connector
    };
    let client = awc::Client::builder()
        .connector(connector)
        .disable_redirects()
        .timeout(TIMEOUT)
        .finish();
    let mut request = match method {
        Method::Get => client.get(url),
        Method::Post => client.post(url),
    };
    if let Some(token) = &server.token {
        let value = format!("Bearer {}", token.expose());
        request = request.insert_header((header::AUTHORIZATION, value));
    }
    let sent = match method {
        Method::Get => {
            let pairs = query_of(members);
            request.query(&pairs)?.send().await
        }
        Method::Post => request.send_json(&members).await,
    };
    let mut response = sent.map_err(|error| {
        // The error of awc has no `std::error::Error` that lives long enough.
        anyhow::anyhow!("cannot reach {}: {error}", server.url)
    })?;
    let body = response.body().limit(MAX_ANSWER_BYTES).await;
    let body =
        body.map_err(|error| anyhow::anyhow!("{} broke off its answer: {error}", server.url))?;
    Ok((response.status(), body.to_vec()))
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

/// Returns the message of an error in OpenAI's form.
fn error_message(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let message = body.get("error")?.get("message")?.as_str()?;
    Some(message.to_owned())
}

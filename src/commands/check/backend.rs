//! Does the backend answer, and does it accept the key? Asked by the proxy's own client, so that
//! names, certificates and an HTTP proxy are those of the server.

use std::{
    future::poll_fn,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use actix_web::http::{
    StatusCode,
    header::{self, HttpDate},
};
use serde::Deserialize;

use super::{Finding, Verdict};
use crate::{
    config::Config,
    model::Secret,
    proxy::{
        backend::{
            Backend, BackendError, BackendSettings, BackendUrl, Connector, HttpProxy,
            OutgoingRequest, connector,
        },
        headers::OwnHeaders,
    },
};

/// A list of models costs nothing and needs the key.
const PATH: &str = "/v1/models";
/// Time that the whole answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest list of models that is counted.
const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;
/// Difference from the backend's clock that is worth a warning.
const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);

/// What is needed to ask a backend.
pub(in crate::commands) struct Probe<'a> {
    pub(in crate::commands) url: &'a BackendUrl,
    pub(in crate::commands) key: &'a Secret,
    pub(in crate::commands) organization: Option<&'a str>,
    pub(in crate::commands) project: Option<&'a str>,
    pub(in crate::commands) http_proxy: Option<HttpProxy>,
    pub(in crate::commands) connect_timeout: Duration,
    pub(in crate::commands) extra_roots: Option<&'a Path>,
}

/// What a backend answered.
pub(in crate::commands) struct Answer {
    pub(in crate::commands) status: StatusCode,
    /// Number of models, if the answer is a list of them.
    pub(in crate::commands) models: Option<usize>,
    /// Difference of the two clocks, if the backend said what time it is.
    clock_difference: Option<Duration>,
}

#[derive(Deserialize)]
struct ModelList {
    data: Vec<serde::de::IgnoredAny>,
}

impl Probe<'_> {
    /// Asks for the list of models.
    ///
    /// # Errors
    /// If there is no answer, or the root certificates cannot be used.
    pub(in crate::commands) fn ask(&self) -> anyhow::Result<Answer> {
        let settings = BackendSettings {
            url: self.url.clone(),
            http_proxy: self.http_proxy.clone(),
            connect_timeout: self.connect_timeout,
            idle_timeout: PATIENCE,
        };
        let connector = connector(settings, self.extra_roots)?;
        let asked = self.ask_by(connector);
        Ok(actix_web::rt::System::new().block_on(asked)?)
    }

    async fn ask_by(&self, connector: Arc<Connector>) -> Result<Answer, BackendError> {
        let headers = OwnHeaders::new(
            self.url,
            connector.plain_proxy(),
            self.key,
            self.organization,
            self.project,
        );
        let request = OutgoingRequest::of_head(headers.get_head(PATH));
        let asked = async {
            let mut response = Backend::new(connector).send(&request, || ()).await?;
            let date = response.headers.get(header::DATE);
            let date = date.and_then(|date| date.to_str().ok()?.parse::<HttpDate>().ok());
            let clock_difference = date.map(|date| {
                let (here, there) = (SystemTime::now(), SystemTime::from(date));
                let behind = here.duration_since(there);
                behind.unwrap_or_else(|ahead| ahead.duration())
            });
            let mut body = Vec::new();
            // A list that breaks off or is too long is not counted.
            while let Some(Ok(read)) = poll_fn(|context| response.body.poll_read(context)).await {
                body.extend_from_slice(&read);
                if body.len() > MAX_LIST_BYTES {
                    break;
                }
            }
            let list: Option<ModelList> = serde_json::from_slice(&body).ok();
            Ok(Answer {
                status: response.status,
                models: list.map(|list| list.data.len()),
                clock_difference,
            })
        };
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        asked.unwrap_or(Err(BackendError::Silent(PATIENCE)))
    }
}

impl Answer {
    /// Says what is wrong with an answer, or `None` if the backend accepts the key.
    pub(in crate::commands) fn problem(&self, has_key: bool) -> Option<String> {
        match self.status {
            status if status.is_success() => None,
            StatusCode::UNAUTHORIZED if has_key => {
                Some("the backend refuses the key (401): check OPENAI_API_KEY".to_owned())
            }
            StatusCode::UNAUTHORIZED => {
                Some("the backend wants a key (401): set OPENAI_API_KEY".to_owned())
            }
            StatusCode::FORBIDDEN => Some(
                "the backend answers 403: the key may not list models, or your region or network is not allowed"
                    .to_owned(),
            ),
            StatusCode::NOT_FOUND => Some(
                "the backend has no /v1/models (404): check the URL, or ignore this if your server lists no models"
                    .to_owned(),
            ),
            status => Some(format!("the backend answers {status} to /v1/models")),
        }
    }

    /// Returns whether the answer means that requests will fail. A key with few rights may still
    /// serve chats, and some servers list no models.
    fn is_failure(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED || self.status.is_redirection()
    }
}

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let url = &config.backend_url;
    let has_key = !config.backend_key.expose().is_empty();
    let probe = Probe {
        url,
        key: &config.backend_key,
        organization: config.organization.as_deref(),
        project: config.project.as_deref(),
        http_proxy: config.http_proxy.clone(),
        connect_timeout: config.connect_timeout,
        extra_roots: config.extra_roots.as_deref(),
    };
    let answer = match probe.ask() {
        Ok(answer) => answer,
        Err(error) => {
            return vec![Finding::new(
                "backend",
                Verdict::Failed,
                format!("{url}: {error:#}"),
            )];
        }
    };
    let key = if has_key {
        "accepts the key"
    } else {
        "needs no key"
    };
    let backend = match (answer.problem(has_key), answer.models) {
        (None, Some(models)) => Finding::new(
            "backend",
            Verdict::Ok,
            format!("{url} {key} and lists {models} models"),
        ),
        (None, None) => Finding::new(
            "backend",
            Verdict::Warning,
            format!("{url} answers, but not with a list of models: check the URL"),
        ),
        (Some(problem), _) => {
            let is_failure = answer.is_failure();
            let verdict = if is_failure {
                Verdict::Failed
            } else {
                Verdict::Warning
            };
            Finding::new("backend", verdict, format!("{url}: {problem}"))
        }
    };
    let clock = answer.clock_difference.map(|difference| {
        let seconds = difference.as_secs();
        if difference <= MAX_CLOCK_DIFFERENCE {
            return Finding::new("clock", Verdict::Ok, "agrees with the backend's");
        }
        Finding::new(
            "clock",
            Verdict::Warning,
            format!("{seconds} s off the backend's: rows and budgets get wrong times; use NTP"),
        )
    });
    [backend].into_iter().chain(clock).collect()
}

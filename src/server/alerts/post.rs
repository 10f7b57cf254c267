//! One POST to a webhook.

use std::{sync::Arc, time::Duration};

use actix_web::http::header;

use crate::{
    alerts::{RaisedAlert, Webhook, signature},
    model::{Secret, now_ms},
};

/// Time that an attempt may take, from the look-up of the name to the answer's head.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read of an answer. It is dropped.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The longest error that is kept, in characters.
const MAX_ERROR_CHARS: usize = 200;

const ALERT_ID: &str = "x-llmproxy-alert-id";
const TIMESTAMP: &str = "x-llmproxy-timestamp";
const SIGNATURE: &str = "x-llmproxy-signature";

/// Posts alerts to one webhook.
pub(super) struct Poster {
    pub(super) webhook: Webhook,
    secret: Option<Secret>,
    client: awc::Client,
}

impl Poster {
    pub(super) fn new(
        webhook: Webhook,
        secret: Option<Secret>,
        tls: Option<Arc<rustls::ClientConfig>>,
    ) -> Self {
        let connector = awc::Connector::new().timeout(TIMEOUT);
        let connector = match tls {
            Some(tls) if webhook.is_https() => connector.rustls_0_23(tls),
            _ => connector,
        };
        let client = awc::Client::builder()
            .connector(connector)
            // A redirect could lead the alert elsewhere.
            .disable_redirects()
            .timeout(TIMEOUT)
            .finish();
        Self {
            webhook,
            secret,
            client,
        }
    }

    /// Posts an alert. A status of success is success.
    ///
    /// # Errors
    /// A text for people, without the URL.
    pub(super) async fn post(&self, alert: &RaisedAlert) -> Result<(), String> {
        let sent = tokio::time::timeout(TIMEOUT, self.exchange(alert)).await;
        sent.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())))
    }

    async fn exchange(&self, alert: &RaisedAlert) -> Result<(), String> {
        let timestamp = now_ms().div_euclid(1000);
        let mut request = self
            .client
            .post(self.webhook.url().expose())
            // A kept connection may have been closed by the time of the next alert.
            .force_close()
            .content_type("application/json")
            .insert_header((header::USER_AGENT, "llmproxy"))
            .insert_header((ALERT_ID, alert.id.as_str()))
            .insert_header((TIMESTAMP, timestamp));
        if let Some(secret) = &self.secret {
            let signed = signature(
                secret.expose().as_bytes(),
                timestamp,
                alert.payload.as_bytes(),
            );
            request = request.insert_header((SIGNATURE, signed));
        }
        let sent = request.send_body(alert.payload.clone()).await;
        let mut answer = sent.map_err(|error| self.shown(&error.to_string()))?;
        let status = answer.status();
        // A receiver that is still writing should not meet a closed connection. Whether the rest
        // arrives does not matter.
        let _ = tokio::time::timeout(
            Duration::from_secs(1),
            answer.body().limit(MAX_ANSWER_BYTES),
        )
        .await;
        if status.is_success() {
            return Ok(());
        }
        if status.is_redirection() {
            return Err(format!(
                "status {}: redirects are not followed, set the final URL",
                status.as_u16()
            ));
        }
        Err(format!("status {}", status.as_u16()))
    }

    /// Returns an error without what is secret of the URL.
    fn shown(&self, error: &str) -> String {
        let url = self.webhook.url().expose();
        let rest = url.get(self.webhook.label().len()..).unwrap_or_default();
        let is_secret = |text: &&str| text.len() > 1;
        let mut error = error.replace(url, self.webhook.label());
        for part in [Some(rest), rest.split_once('?').map(|(path, _)| path)]
            .into_iter()
            .flatten()
            .filter(is_secret)
        {
            error = error.replace(part, "…");
        }
        error.chars().take(MAX_ERROR_CHARS).collect()
    }
}

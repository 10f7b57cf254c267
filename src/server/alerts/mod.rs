//! Sends alerts to the webhooks: one task saves what workers and the ledger report, and a task for
//! each webhook sends what is queued for it, in order. An alert that cannot be saved, because the
//! database fails, is sent from memory and saved later.

mod post;
mod webhook;

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use crate::store::sql::Connection;
use actix_web::{rt, web};
use tokio::{sync::Notify, time::Instant};

use self::{post::Poster, webhook::WebhookTask};
use crate::{
    alerts::{AlertSink, Webhook},
    model::{Secret, now_ms},
    store::{Store, StoreError, alerts},
};

/// Interval of the look at expiring keys and old alerts.
const MAINTAIN_EVERY: Duration = Duration::from_secs(600);
/// Least time between two looks because another connection changed something.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause after which a database that fails is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Everything that the sender needs.
pub struct AlertParts {
    pub store: Store,
    pub sink: AlertSink,
    /// The webhooks, which [`alerts::register`] knows already.
    pub webhooks: Vec<Webhook>,
    /// The key of the signature; without it there is none.
    pub secret: Option<Secret>,
    /// For webhooks with https://.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// What the tasks share.
struct Outbox {
    store: Store,
    sink: AlertSink,
    webhooks: Vec<Webhook>,
    /// Wakes the task of each webhook.
    wakes: Vec<Notify>,
    /// Whether the last attempt to save failed.
    cannot_save: Cell<bool>,
    /// Whether the queue is being saved, so that nothing may be sent from it.
    is_saving: Cell<bool>,
    /// Number of webhooks that are getting an alert from the queue, so that it may not be saved.
    sending_unsaved: Cell<usize>,
}

/// Starts the tasks on this thread. They end with its actix system.
pub fn start(parts: AlertParts) {
    let AlertParts {
        store,
        sink,
        webhooks,
        secret,
        tls,
    } = parts;
    let outbox = Rc::new(Outbox {
        store,
        sink,
        wakes: webhooks.iter().map(|_| Notify::new()).collect(),
        webhooks,
        cannot_save: Cell::new(false),
        is_saving: Cell::new(false),
        sending_unsaved: Cell::new(0),
    });
    for (index, webhook) in outbox.webhooks.iter().enumerate() {
        let poster = Poster::new(webhook.clone(), secret.clone(), tls.clone());
        rt::spawn(WebhookTask::new(Rc::clone(&outbox), index, poster).run());
    }
    rt::spawn(save_what_comes(outbox));
}

/// Saves what is queued before the process ends. It blocks.
///
/// # Errors
/// If the database fails.
pub fn save_rest(store: &Store, sink: &AlertSink, webhooks: &[Webhook]) -> Result<(), StoreError> {
    let queued = sink.queued();
    if queued.is_empty() {
        return Ok(());
    }
    let saved = alerts::save(&*store.connection()?, &queued, webhooks, now_ms());
    saved.map_err(|error| store.explain(error))
}

async fn save_what_comes(outbox: Rc<Outbox>) {
    let mut next_maintenance = Instant::now();
    loop {
        let begun = Instant::now();
        let is_maintaining = begun >= next_maintenance;
        if is_maintaining {
            next_maintenance = begun + MAINTAIN_EVERY;
        }
        outbox.save(is_maintaining).await;
        for wake in &outbox.wakes {
            wake.notify_one();
        }
        let sink = &outbox.sink;
        let changed = async {
            if outbox.webhooks.is_empty() {
                // What others raise is for their webhooks.
                std::future::pending::<()>().await;
            }
            sink.until_changed().await;
            tokio::time::sleep_until(begun + LOOK_EVERY).await;
        };
        let retry = async {
            if !outbox.cannot_save.get() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        };
        tokio::select! {
            () = sink.until_raised() => {}
            () = changed => {}
            () = retry => {}
            () = tokio::time::sleep_until(next_maintenance) => {}
        }
    }
}

impl Outbox {
    /// Saves the queue, and queues for the webhooks what is new in the database.
    async fn save(&self, is_maintaining: bool) {
        if self.sending_unsaved.get() > 0 {
            // The task wakes this one when it is done.
            return;
        }
        let queued = self.sink.queued();
        let saved = queued.clone();
        let webhooks = self.webhooks.clone();
        self.is_saving.set(true);
        let result = self.on_database(move |connection| {
            let now_ms = now_ms();
            if is_maintaining {
                alerts::maintain(connection, now_ms)?;
            }
            alerts::save(connection, &queued, &webhooks, now_ms)
        });
        let result = result.await;
        self.is_saving.set(false);
        match result {
            Ok(()) => {
                self.sink.remove(&saved);
                self.cannot_save.set(false);
            }
            Err(error) => {
                if !self.cannot_save.replace(true) {
                    log::warn!("alerts: cannot save alerts, will try again: {error}");
                }
            }
        }
    }

    /// Runs something on a connection, on a thread that may block.
    async fn on_database<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.store.clone();
        let done = web::block(move || {
            let connection = store.connection()?;
            work(&connection).map_err(|error| store.explain(error))
        });
        done.await.unwrap_or_else(|error| {
            Err(StoreError::Unavailable {
                place: self.store.location().to_string(),
                reason: error.to_string(),
            })
        })
    }
}

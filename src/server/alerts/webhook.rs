//! The task of one webhook. It sends one alert after the other; a webhook that is down or slow
//! delays no other one.

use std::{rc::Rc, time::Duration};

use tokio::time::Instant;

use super::{
    Outbox, RETRY_PAUSE,
    post::{Poster, TIMEOUT},
};
use crate::{
    alerts::{AlertId, GIVE_UP_AFTER, pause_after},
    model::now_ms,
    store::alerts::{self, Attempt, Delivery, NextDelivery},
};

/// Time for which a delivery is claimed: an attempt, and then time to note how it ended.
const CLAIM: Duration = TIMEOUT.saturating_add(Duration::from_secs(5));
/// Least wait for a delivery that another server has claimed.
const LEAST_WAIT: Duration = Duration::from_millis(50);

pub(super) struct WebhookTask {
    outbox: Rc<Outbox>,
    /// The place of the webhook in the outbox.
    index: usize,
    poster: Poster,
    /// Failed attempts of the first unsaved alert, and the time before which there is no other.
    unsaved: Option<UnsavedAttempts>,
}

struct UnsavedAttempts {
    id: AlertId,
    attempts: u32,
    not_before: Instant,
}

/// When to look again, unless the task is woken before.
enum Next {
    AtOnce,
    After(Duration),
    WhenWoken,
}

impl WebhookTask {
    pub(super) fn new(outbox: Rc<Outbox>, index: usize, poster: Poster) -> Self {
        Self {
            outbox,
            index,
            poster,
            unsaved: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let next = if self.outbox.cannot_save.get() {
                self.send_unsaved().await
            } else {
                self.send_saved().await
            };
            let wait = async {
                match next {
                    Next::AtOnce => {}
                    Next::After(pause) => tokio::time::sleep(pause).await,
                    Next::WhenWoken => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => {}
                () = self.outbox.wakes[self.index].notified() => {}
            }
        }
    }

    /// Sends the first delivery in the database, if it is due.
    async fn send_saved(&self) -> Next {
        let webhook = self.poster.webhook.id().to_owned();
        let now_ms = now_ms();
        let until_ms = now_ms.saturating_add(millis(CLAIM));
        let claimed = self
            .outbox
            .on_database(move |connection| {
                alerts::claim_next(connection, &webhook, now_ms, until_ms)
            })
            .await;
        match claimed {
            Ok(NextDelivery::None) => Next::WhenWoken,
            Ok(NextDelivery::NotBefore(at_ms)) => {
                let wait_ms = u64::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(0);
                Next::After(Duration::from_millis(wait_ms).max(LEAST_WAIT))
            }
            Ok(NextDelivery::Claimed(delivery)) => {
                let sent = self.poster.post(&delivery.alert).await;
                self.note(&delivery, sent).await;
                Next::AtOnce
            }
            Err(error) => {
                log::debug!("alerts: cannot read what is to be sent: {error}");
                Next::After(RETRY_PAUSE)
            }
        }
    }

    /// Notes how an attempt ended. It tries until the database takes it, because the alert would be
    /// sent once more.
    async fn note(&self, delivery: &Delivery, sent: Result<(), String>) {
        let attempt = self.attempt_of(delivery, sent);
        let number = delivery.number;
        let mut is_logged = false;
        loop {
            let (webhook, attempt) = (self.poster.webhook.id().to_owned(), attempt.clone());
            let noted = self.outbox.on_database(move |connection| {
                alerts::finish(connection, &webhook, number, &attempt, now_ms())
            });
            let Err(error) = noted.await else { return };
            if !std::mem::replace(&mut is_logged, true) {
                log::warn!("alerts: cannot note that an alert was sent, will try again: {error}");
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    fn attempt_of(&self, delivery: &Delivery, sent: Result<(), String>) -> Attempt {
        let (label, id) = (self.poster.webhook.label(), &delivery.alert.id);
        let attempts = delivery.attempts.saturating_add(1);
        let Err(error) = sent else {
            log::info!("alerts: sent: webhook={label} alert={id} attempts={attempts}");
            return Attempt::Sent;
        };
        let now_ms = now_ms();
        if now_ms.saturating_sub(delivery.alert.at_ms) >= millis(GIVE_UP_AFTER) {
            log::error!(
                "alerts: given up: webhook={label} alert={id} attempts={attempts}: {error}"
            );
            return Attempt::GivenUp { error };
        }
        self.log_failure(id, attempts, &error);
        Attempt::Retry {
            at_ms: now_ms.saturating_add(millis(pause_after(attempts))),
            error,
        }
    }

    /// Logs the first failure of an alert; the others are for those who look closely.
    fn log_failure(&self, id: &AlertId, attempts: u32, error: &str) {
        let level = if attempts == 1 {
            log::Level::Warn
        } else {
            log::Level::Debug
        };
        let label = self.poster.webhook.label();
        log::log!(
            level,
            "alerts: not delivered, will try again: webhook={label} alert={id} attempts={attempts}: {error}"
        );
    }

    /// Sends the first alert that could not be saved.
    async fn send_unsaved(&mut self) -> Next {
        let outbox = Rc::clone(&self.outbox);
        if outbox.is_saving.get() {
            return Next::WhenWoken;
        }
        let webhook = self.poster.webhook.id().to_owned();
        let Some(alert) = outbox.sink.first_unsent(&webhook) else {
            return Next::WhenWoken;
        };
        let earlier = self.unsaved.take().filter(|unsaved| unsaved.id == alert.id);
        if let Some(unsaved) = &earlier
            && let wait = unsaved.not_before.saturating_duration_since(Instant::now())
            && !wait.is_zero()
        {
            self.unsaved = earlier;
            return Next::After(wait);
        }
        outbox.sending_unsaved.update(|sending| sending + 1);
        let sent = self.poster.post(&alert).await;
        outbox.sending_unsaved.update(|sending| sending - 1);
        match sent {
            Ok(()) => outbox.sink.mark_sent(&alert.id, &webhook),
            Err(error) => {
                let attempts = earlier.map_or(1, |unsaved| unsaved.attempts.saturating_add(1));
                self.log_failure(&alert.id, attempts, &error);
                self.unsaved = Some(UnsavedAttempts {
                    id: alert.id,
                    attempts,
                    not_before: Instant::now() + pause_after(attempts),
                });
            }
        }
        // The queue may be saved again.
        outbox.sink.wake();
        Next::AtOnce
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

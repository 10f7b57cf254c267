//! The queue of alerts that workers and the ledger's thread report. Nothing here waits: the sender
//! takes what is queued, saves it and sends it.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::{Alert, AlertId, RaisedAlert};
use crate::model::now_ms;

/// The most alerts that wait to be saved. Further ones are dropped, and the log says so.
const MAX_QUEUED: usize = 1_000;
/// Least time between two alerts that the backend refuses the key, which each request would raise.
const REFUSED_KEY_QUIET: Duration = Duration::from_secs(3600);

/// A handle to the queue; clones share it.
#[derive(Clone, Default)]
pub struct AlertSink {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// There is something to save or to send.
    raised: Notify,
    /// Another connection changed the database.
    changed: Notify,
    /// Unix time in milliseconds of the last alert that the backend refuses the key.
    refused_key_at_ms: AtomicI64,
}

#[derive(Default)]
struct Queue {
    alerts: VecDeque<QueuedAlert>,
    is_overflowing: bool,
}

/// An alert that is not in the database yet.
#[derive(Debug, Clone)]
pub struct QueuedAlert {
    pub alert: Alert,
    pub raised: RaisedAlert,
    /// Webhooks that have got it all the same, because the database could not be written.
    pub sent_to: HashSet<String>,
}

impl AlertSink {
    /// Queues an alert. It never waits.
    pub fn push(&self, alert: Alert) {
        let raised = alert.raised(AlertId::random(), now_ms());
        let mut queue = self.lock();
        if queue.alerts.len() >= MAX_QUEUED {
            let is_first = !std::mem::replace(&mut queue.is_overflowing, true);
            drop(queue);
            if is_first {
                let event = alert.event();
                log::warn!(
                    "alerts: {MAX_QUEUED} wait already, further ones are dropped: event={event}"
                );
            }
            return;
        }
        queue.alerts.push_back(QueuedAlert {
            alert,
            raised,
            sent_to: HashSet::new(),
        });
        drop(queue);
        self.wake();
    }

    /// Queues the alert that the backend refuses the key of this proxy, at most once an hour.
    pub fn backend_refuses_key(&self, status: u16) {
        let quiet_ms = i64::try_from(REFUSED_KEY_QUIET.as_millis()).unwrap_or(i64::MAX);
        let now_ms = now_ms();
        let last = &self.shared.refused_key_at_ms;
        let last_ms = last.load(Ordering::Relaxed);
        let is_quiet = last_ms != 0 && (0..quiet_ms).contains(&(now_ms - last_ms));
        // Of several workers one raises it.
        if !is_quiet
            && last
                .compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.push(Alert::BackendRefusesKey { status });
        }
    }

    /// Makes the sender look at once: an alert was raised in the database.
    pub fn wake(&self) {
        self.shared.raised.notify_one();
    }

    /// Makes the sender look within a second: another connection changed something in the database,
    /// which may be an alert.
    pub fn note_change(&self) {
        self.shared.changed.notify_one();
    }

    /// Waits for [`AlertSink::push`] or [`AlertSink::wake`].
    pub async fn until_raised(&self) {
        self.shared.raised.notified().await;
    }

    /// Waits for [`AlertSink::note_change`].
    pub async fn until_changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Returns what is queued, oldest first.
    #[must_use]
    pub fn queued(&self) -> Vec<QueuedAlert> {
        self.lock().alerts.iter().cloned().collect()
    }

    /// Returns the oldest queued alert that a webhook has not got.
    #[must_use]
    pub fn first_unsent(&self, webhook: &str) -> Option<RaisedAlert> {
        let queue = self.lock();
        let unsent = |queued: &&QueuedAlert| !queued.sent_to.contains(webhook);
        queue
            .alerts
            .iter()
            .find(unsent)
            .map(|queued| queued.raised.clone())
    }

    /// Notes that a webhook has got a queued alert.
    pub fn mark_sent(&self, id: &AlertId, webhook: &str) {
        let mut queue = self.lock();
        if let Some(queued) = queue
            .alerts
            .iter_mut()
            .find(|queued| queued.raised.id == *id)
        {
            queued.sent_to.insert(webhook.to_owned());
        }
    }

    /// Takes saved alerts out of the queue.
    pub fn remove(&self, saved: &[QueuedAlert]) {
        let saved: HashSet<&AlertId> = saved.iter().map(|queued| &queued.raised.id).collect();
        let mut queue = self.lock();
        queue
            .alerts
            .retain(|queued| !saved.contains(&queued.raised.id));
        queue.is_overflowing = false;
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.shared
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_and_keeps_the_oldest() {
        let sink = AlertSink::default();
        for _ in 0..MAX_QUEUED + 10 {
            sink.push(Alert::Test);
        }
        let queued = sink.queued();
        assert_eq!(queued.len(), MAX_QUEUED);
        sink.remove(&queued[1..]);
        assert_eq!(sink.queued()[0].raised, queued[0].raised);
    }

    #[test]
    fn a_refused_key_is_reported_once_an_hour() {
        let sink = AlertSink::default();
        for _ in 0..100 {
            sink.backend_refuses_key(401);
        }
        assert_eq!(sink.queued().len(), 1);
    }

    #[test]
    fn each_webhook_gets_its_next_alert() {
        let sink = AlertSink::default();
        sink.push(Alert::Test);
        sink.push(Alert::Test);
        let [first, second] = [0, 1].map(|index| sink.queued()[index].raised.clone());
        sink.mark_sent(&first.id, "a");
        assert_eq!(sink.first_unsent("a"), Some(second));
        assert_eq!(sink.first_unsent("b"), Some(first));
    }
}

//! The reconciler looks at batches and background responses that have not been billed: a client may
//! never come back for them, and their files may be used without a look at the batch itself.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use actix_web::{http::StatusCode, web};

use super::{billing, subrequest};
use crate::proxy::{
    error::ApiError,
    response::{backend_error::unreadable, read::whole_body},
    routes::{BATCHES, RESPONSES, Stateful},
    state::Worker,
};
use crate::{
    model::{Entry, ObjectKind, ms_ago},
    store::accounts::{OpenAccount, Place},
    usage::AnswerObjects,
};

/// Age at which an object is given up. A batch takes a day at most, and its maker may look at it
/// for some days.
const MAX_AGE: Duration = Duration::from_secs(8 * 24 * 3600);
/// Younger objects are looked at in each round, older ones in one round of [`ROUNDS_FOR_OLD`].
const YOUNG: Duration = Duration::from_secs(3600);
const ROUNDS_FOR_OLD: u64 = 10;
/// Age below which an account is not given up. Its answer may still be on its way to a client, from
/// a backend that keeps none; and a failure between this server and the backend for an hour must
/// not cost an account.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// Time for which an id stays unowned that was given by a client or belonged to a deleted object.
/// OpenAI keeps responses as long.
const MAX_AGE_OF_UNOWNED: Duration = Duration::from_secs(30 * 24 * 3600);
/// Objects in one round.
const MAX_OBJECTS: usize = 500;
/// Failures in a row after which the round ends. One may be the object's own, so many are the
/// backend's.
const MAX_FAILURES: usize = 5;
/// The user as whom the reconciler waits in line.
const NOBODY: i64 = 0;
/// Longest look at one object, because the next ones wait.
const MAX_LOOK: Duration = Duration::from_secs(60);

/// The objects of an age, looked at round after round.
struct OpenAccounts {
    age: Duration,
    /// The place of the last object of the round before, if that did not come to the end. The next
    /// round begins behind it, so that all have their turn.
    behind: Option<Place>,
}

/// Starts the reconciler on a worker, unless another has it or stored objects are closed.
pub fn start(worker: &web::Data<Worker>) {
    let shared = &worker.shared;
    let is_open = shared.endpoints.stateful() == Stateful::Private;
    if is_open && !shared.has_reconciler.swap(true, Ordering::Relaxed) {
        let interval = shared.reconcile_interval;
        tokio::task::spawn_local(run(Arc::downgrade(worker), interval));
    }
}

/// Reconciles until the worker ends.
async fn run(worker: Weak<Worker>, every: Duration) {
    let (mut young, mut all) = (OpenAccounts::new(YOUNG), OpenAccounts::new(MAX_AGE));
    for round_number in 1_u64.. {
        tokio::time::sleep(every).await;
        let Some(worker) = worker.upgrade() else {
            return;
        };
        if worker.shared.admission.drain.enter().is_err()
            || !worker.accounting.ledger.accepts_requests()
        {
            continue;
        }
        let accounts = if round_number.is_multiple_of(ROUNDS_FOR_OLD) {
            let _ = give_up_oldest(&worker).await;
            &mut all
        } else {
            &mut young
        };
        // The error was logged, and the next round tries again.
        let _ = accounts.reconcile(&worker).await;
    }
}

impl OpenAccounts {
    fn new(age: Duration) -> Self {
        Self { age, behind: None }
    }

    async fn reconcile(&mut self, worker: &Worker) -> Result<(), ApiError> {
        let oldest = Place::before(ms_ago(self.age));
        let behind = match self.behind.take() {
            Some(place) => place.max(oldest),
            None => oldest,
        };
        let pending = worker
            .shared
            .admission
            .owners
            .look_up(move |store| store.pending_objects(&behind, MAX_OBJECTS))
            .await?;
        let is_end = pending.len() < MAX_OBJECTS;
        let end = pending.last().filter(|_| is_end).map(OpenAccount::place);
        let mut failures = 0;
        for object in pending {
            let place = object.place();
            let _permit = worker.shared.admission.admit_own(NOBODY).await?;
            let looked = tokio::time::timeout(MAX_LOOK, poll_object(worker, object)).await;
            failures = match looked {
                Ok(Ok(())) => 0,
                Ok(Err(_)) | Err(_) => failures + 1,
            };
            self.behind = Some(place);
            if failures == MAX_FAILURES {
                break;
            }
        }
        if self.behind == end {
            self.behind = None;
        }
        Ok(())
    }
}

/// Bills what is kept of objects that will not be looked at any more, and forgets ids that were
/// unowned for long.
async fn give_up_oldest(worker: &Worker) -> Result<(), ApiError> {
    let before_ms = ms_ago(MAX_AGE);
    let owners = &worker.shared.admission.owners;
    let expired = owners
        .look_up(move |store| store.expired_objects(before_ms, MAX_OBJECTS))
        .await?;
    let rows = expired.into_iter().filter_map(billing::given_up);
    let made_before_ms = ms_ago(MAX_AGE_OF_UNOWNED);
    let entries = rows.chain([Entry::Expired { made_before_ms }]);
    // Entries that could not be written are found again.
    let _ = worker.accounting.ledger.commit(entries).await;
    Ok(())
}

/// Gets one object from the backend, and bills it if it is done.
///
/// # Errors
/// 502 if the backend does not answer, which may be the object's own fault or not.
async fn poll_object(worker: &Worker, object: OpenAccount) -> Result<(), ApiError> {
    let (id, kind, user_id) = (object.id.clone(), object.kind, object.user_id);
    let collection = match kind {
        ObjectKind::Batch => BATCHES,
        _ => RESPONSES,
    };
    let mut response = subrequest::get_alone(worker, &format!("{collection}/{id}")).await?;
    let entries = match response.status {
        StatusCode::OK => {
            let limit_bytes = worker.shared.max_body_bytes;
            let Ok(body) =
                whole_body(&mut response, limit_bytes, &worker.shared.admission.bodies).await
            else {
                return Ok(());
            };
            if kind == ObjectKind::Batch {
                billing::entries_of_batch(&id, user_id, &body)
            } else {
                let mut stored = AnswerObjects::default();
                stored.read(&body);
                if stored.is_final() {
                    // The next round finds a row again that could not be written.
                    let _ = billing::bill_response(worker, &id, user_id, &body).await;
                }
                Vec::new()
            }
        }
        StatusCode::NOT_FOUND => {
            let is_old = object.made_at_ms < ms_ago(PATIENCE);
            if is_old && subrequest::reports_missing(worker, &mut response, &id).await {
                // No more will ever be known of it.
                let row = billing::given_up(object);
                row.into_iter()
                    .chain([Entry::Forgotten { id, user_id }])
                    .collect()
            } else {
                Vec::new()
            }
        }
        StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS => {
            return Err(unreadable());
        }
        status if status.is_server_error() => return Err(unreadable()),
        _ => Vec::new(),
    };
    let _ = worker.accounting.ledger.commit(entries).await;
    Ok(())
}

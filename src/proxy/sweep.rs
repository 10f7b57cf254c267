//! Looks, now and then, at batches and background responses that have not been booked: somebody may have used what they made
//! without ever looking at them, and a client may never come back.

use std::{sync::Weak, time::Duration};

use actix_web::http::StatusCode;

use super::{
    ApiError, Proxy,
    endpoint::{BATCHES, RESPONSES},
    settle, subrequest,
};
use crate::{
    model::{Entry, ObjectKind, ms_ago},
    store::accounts::{self, OpenAccount, Place},
    usage::AnswerObjects,
};

/// A batch takes a day at most, and its maker may look at it for a while.
const MAX_AGE: Duration = Duration::from_secs(8 * 24 * 3600);
/// Older ones are looked at in one sweep of so many.
const YOUNG: Duration = Duration::from_secs(3600);
const SWEEPS_FOR_OLD: u64 = 10;
/// An account is not given up earlier. Its answer may still be on its way to a client, from a backend that keeps none; and
/// what is wrong between this server and the backend for an hour costs no account.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// How long an id stays nobody's that was given by a client or belonged to what was deleted. OpenAI keeps responses as long.
const MAX_AGE_OF_UNOWNED: Duration = Duration::from_secs(30 * 24 * 3600);
/// Objects in one sweep.
const MAX_OBJECTS: usize = 500;
/// What may be wrong with one object alone is wrong with the backend when it is so with this many in a row.
const MAX_FAILURES: usize = 5;
/// For one object: the next ones wait.
const MAX_LOOK: Duration = Duration::from_secs(60);

/// Goes through the objects of an age, one sweep after the other.
struct Round {
    age: Duration,
    /// Where the last sweep ended, if it did not come to the end: the next begins behind it, so that all have their turn.
    behind: Option<Place>,
}

/// Sweeps until the worker ends. One of a server's workers does it.
pub(super) async fn run(proxy: Weak<Proxy>, every: Duration) {
    let (mut young, mut all) = (Round::new(YOUNG), Round::new(MAX_AGE));
    for sweep in 1_u64.. {
        tokio::time::sleep(every).await;
        let Some(proxy) = proxy.upgrade() else {
            return;
        };
        if proxy.shared.drain.enter().is_err() || !proxy.books.ledger.accepts_requests() {
            continue;
        }
        let round = if sweep.is_multiple_of(SWEEPS_FOR_OLD) {
            let _ = give_up_oldest(&proxy).await;
            &mut all
        } else {
            &mut young
        };
        // What is wrong was logged; the next sweep tries again.
        let _ = round.sweep(&proxy).await;
    }
}

impl Round {
    fn new(age: Duration) -> Self {
        Self { age, behind: None }
    }

    async fn sweep(&mut self, proxy: &Proxy) -> Result<(), ApiError> {
        let oldest = Place::before(ms_ago(self.age));
        let behind = match self.behind.take() {
            Some(place) => place.max(oldest),
            None => oldest,
        };
        let pending = proxy
            .shared
            .owners
            .read(move |connection| accounts::pending(connection, &behind, MAX_OBJECTS))
            .await?;
        let is_end = pending.len() < MAX_OBJECTS;
        let end = pending.last().filter(|_| is_end).map(OpenAccount::place);
        let mut failures = 0;
        for object in pending {
            let place = object.place();
            let _permit = proxy.shared.gate.enter().await?;
            let looked = tokio::time::timeout(MAX_LOOK, look_at(proxy, object)).await;
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

/// Books what is kept of objects that will not be looked at any more, and forgets ids that have been nobody's for long.
async fn give_up_oldest(proxy: &Proxy) -> Result<(), ApiError> {
    let before_ms = ms_ago(MAX_AGE);
    let owners = &proxy.shared.owners;
    let expired = owners
        .read(move |connection| accounts::expired(connection, before_ms, MAX_OBJECTS))
        .await?;
    let rows = expired.into_iter().filter_map(settle::given_up);
    let made_before_ms = ms_ago(MAX_AGE_OF_UNOWNED);
    let entries = rows.chain([Entry::Expired { made_before_ms }]);
    // What could not be written is found again.
    let _ = proxy.books.ledger.commit(entries).await;
    Ok(())
}

/// # Errors
/// When the backend does not answer, which may be the object's own fault or not.
async fn look_at(proxy: &Proxy, object: OpenAccount) -> Result<(), ApiError> {
    let (id, kind, user_id) = (object.id.clone(), object.kind, object.user_id);
    let collection = match kind {
        ObjectKind::Batch => BATCHES,
        _ => RESPONSES,
    };
    let mut response = subrequest::get_alone(proxy, &format!("{collection}/{id}")).await?;
    let entries = match response.status {
        StatusCode::OK => {
            let limit_bytes = proxy.shared.max_body_bytes;
            let Ok(body) =
                subrequest::whole_body(&mut response, limit_bytes, &proxy.shared.body_budget).await
            else {
                return Ok(());
            };
            if kind == ObjectKind::Batch {
                settle::of_batch(&id, user_id, &body)
            } else {
                let mut stored = AnswerObjects::default();
                stored.read(&body);
                if stored.is_final() {
                    // Nobody waits for it; what could not be written is found again.
                    let _ = settle::book(proxy, &id, user_id, &body).await;
                }
                Vec::new()
            }
        }
        StatusCode::NOT_FOUND => {
            let is_old = object.made_at_ms < ms_ago(PATIENCE);
            if is_old && subrequest::tells_gone(proxy, &mut response, &id).await {
                // Nothing more will ever be known of it.
                let row = settle::given_up(object);
                row.into_iter()
                    .chain([Entry::Forgotten { id, user_id }])
                    .collect()
            } else {
                Vec::new()
            }
        }
        StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS => {
            return Err(subrequest::unreadable());
        }
        status if status.is_server_error() => return Err(subrequest::unreadable()),
        _ => Vec::new(),
    };
    let _ = proxy.books.ledger.commit(entries).await;
    Ok(())
}

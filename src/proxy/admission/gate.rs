//! The gate limits how many requests are at the backend at once, over all workers, first come,
//! first served. The drain counts the requests in flight, which a stopping server waits for.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::proxy::error::ApiError;
use actix_web::http::StatusCode;

/// Limits the requests at the backend; shared by all workers.
pub struct Gate {
    /// `None` if there is no limit.
    permits: Option<Arc<Semaphore>>,
    queue_timeout: Duration,
    drain: Arc<Drain>,
}

/// The right to be at the backend. Dropping it lets the next request in.
pub struct Permit {
    _permit: Option<OwnedSemaphorePermit>,
}

/// Limits how many uploads each user has at once; shared by all workers. An upload holds its permit
/// while its body comes in, and a slow one holds it long, so that without this limit one user could
/// hold all permits.
pub struct UploadShares {
    limit: usize,
    counts: Mutex<HashMap<i64, usize>>,
}

/// One upload of a user, until it is dropped.
pub struct UploadShare<'s> {
    shares: &'s UploadShares,
    user_id: i64,
}

impl UploadShares {
    /// Gives each user a quarter of all permits, and at least one; `places` 0 is unlimited.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self {
            limit: if places == 0 {
                usize::MAX
            } else {
                places.div_ceil(4)
            },
            counts: Mutex::default(),
        }
    }

    /// Counts an upload.
    ///
    /// # Errors
    /// 429 for a user who has too many.
    pub fn enter(&self, user_id: i64) -> Result<UploadShare<'_>, ApiError> {
        let mut counts = self.lock();
        let count = counts.entry(user_id).or_default();
        if *count >= self.limit {
            return Err(ApiError::too_many_uploads(self.limit));
        }
        *count += 1;
        Ok(UploadShare {
            shares: self,
            user_id,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UploadShare<'_> {
    fn drop(&mut self) {
        let mut counts = self.shares.lock();
        if let Some(count) = counts.get_mut(&self.user_id) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user_id);
            }
        }
    }
}

/// Knows whether the server is stopping, and how many requests are in flight.
#[derive(Default)]
pub struct Drain {
    draining: AtomicBool,
    in_flight: AtomicUsize,
    changed: Notify,
}

/// One request in flight, until it is dropped.
pub struct InFlight {
    drain: Arc<Drain>,
}

impl Gate {
    /// A `limit` of 0 is unlimited.
    #[must_use]
    pub fn new(limit: usize, queue_timeout: Duration, drain: Arc<Drain>) -> Self {
        Self {
            permits: (limit > 0).then(|| Arc::new(Semaphore::new(limit))),
            queue_timeout,
            drain,
        }
    }

    /// Waits in line. Dropping the future leaves the line.
    ///
    /// # Errors
    /// 503 if the wait is longer than `queue_timeout` or the server stops.
    pub async fn enter(&self) -> Result<Permit, ApiError> {
        let Some(permits) = &self.permits else {
            return Ok(Permit { _permit: None });
        };
        if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            return Ok(Permit {
                _permit: Some(permit),
            });
        }
        tokio::select! {
            permit = Arc::clone(permits).acquire_owned() => match permit {
                Ok(permit) => Ok(Permit { _permit: Some(permit) }),
                Err(_) => Err(shutting_down()),
            },
            () = self.drain.started() => Err(shutting_down()),
            () = tokio::time::sleep(self.queue_timeout) => Err(ApiError::server(
                StatusCode::SERVICE_UNAVAILABLE,
                "queue_timeout",
                "All places at the backend are taken and the wait in line was too long. Try again later.",
            )
            .retry_after(5)),
        }
    }
}

impl Drain {
    /// Counts a request, unless the server is stopping.
    ///
    /// # Errors
    /// 503 if it is stopping.
    pub fn enter(self: &Arc<Self>) -> Result<InFlight, ApiError> {
        // The request is counted first, so that a stop that begins in between waits for it.
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let in_flight = InFlight {
            drain: Arc::clone(self),
        };
        if self.is_draining() {
            return Err(shutting_down());
        }
        Ok(in_flight)
    }

    /// Refuses new requests from now on.
    pub fn start(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Resolves when no request is in flight.
    pub async fn empty(&self) {
        loop {
            let changed = self.changed.notified();
            if self.in_flight() == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Resolves when the server begins to stop.
    async fn started(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_draining() {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let before = self.drain.in_flight.fetch_sub(1, Ordering::SeqCst);
        if before == 1 && self.drain.is_draining() {
            self.drain.changed.notify_waiters();
        }
    }
}

fn shutting_down() -> ApiError {
    ApiError::server(
        StatusCode::SERVICE_UNAVAILABLE,
        "shutting_down",
        "The proxy is shutting down. Try again in a moment.",
    )
    .retry_after(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_a_share_of_the_uploads_and_gives_it_back() {
        let shares = UploadShares::new(8);
        let held: Vec<_> = (0..2).map(|_| shares.enter(1).ok().unwrap()).collect();
        assert!(shares.enter(1).is_err_and(|error| error.status() == 429));
        assert!(shares.enter(2).is_ok());
        drop(held);
        assert!(shares.lock().is_empty() && shares.enter(1).is_ok());
        let single = UploadShares::new(1);
        assert!(single.enter(1).is_ok());
    }
}

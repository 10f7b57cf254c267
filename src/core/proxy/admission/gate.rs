//! The gate limits how many requests are at the backend at once, over all workers, in the order of
//! [`FairQueue`]. The drain counts the requests in flight, which a stopping server waits for.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, oneshot};

use crate::{
    limits::fair_queue::{Claim, FairQueue, Grant, Place, Weight},
    proxy::error::ApiError,
};
use actix_web::http::StatusCode;

/// Limits the requests at the backend; shared by all workers.
pub struct Gate {
    /// `None` if there is no limit.
    line: Option<Arc<Line>>,
    queue_timeout: Duration,
    drain: Arc<Drain>,
}

/// The right to be at the backend. Dropping it lets the next request in.
pub struct Permit {
    /// `None` if there is no limit.
    held: Option<HeldPermit>,
}

struct HeldPermit {
    line: Arc<Line>,
    grant: Grant,
    /// The service that the request had, or what was reserved until that is known.
    service: u64,
}

/// The permits and who waits for them.
struct Line {
    queue: Mutex<FairQueue<oneshot::Sender<Permit>>>,
}

/// A request in line, until it is dropped.
struct WaitingRequest<'l> {
    line: &'l Line,
    place: Place,
    /// Gets the permit. If it is dropped with a permit in it, that goes to the next.
    permit: oneshot::Receiver<Permit>,
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
        let line = || Line {
            queue: Mutex::new(FairQueue::new(limit)),
        };
        Self {
            line: (limit > 0).then(|| Arc::new(line())),
            queue_timeout,
            drain,
        }
    }

    /// Waits for a permit. `service` is what the request will probably use, in the unit of
    /// [`service`](crate::limits::fair_queue::service). `waits` is called if there is no permit at
    /// once. Dropping the future leaves the line.
    ///
    /// # Errors
    /// 503 if the wait is longer than `queue_timeout` or the server stops.
    pub async fn enter(
        &self,
        user_id: i64,
        weight: Weight,
        service: u64,
        waits: impl FnOnce(),
    ) -> Result<Permit, ApiError> {
        let Some(line) = &self.line else {
            return Ok(Permit { held: None });
        };
        let claim = Claim {
            user_id,
            weight,
            service,
        };
        match line.enter(claim) {
            Ok(permit) => Ok(permit),
            Err(waiting) => {
                waits();
                self.wait(waiting).await
            }
        }
    }

    async fn wait(&self, mut waiting: WaitingRequest<'_>) -> Result<Permit, ApiError> {
        tokio::select! {
            biased;
            permit = &mut waiting.permit => permit.map_err(|_| shutting_down()),
            () = self.drain.started() => Err(shutting_down()),
            () = tokio::time::sleep(self.queue_timeout) => Err(ApiError::server(
                StatusCode::SERVICE_UNAVAILABLE,
                "queue_timeout",
                "All places at the backend are taken and the wait in line was too long. Try again later.",
            )
            .retry_after(5)),
        }
    }

    /// Returns the number of requests that wait in line.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line.as_ref().map_or(0, |line| line.lock().waiting())
    }

    /// Returns the number of permits in use; 0 without a limit.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.line.as_ref().map_or(0, |line| line.lock().in_use())
    }
}

impl Line {
    /// Takes a permit, or a place in line.
    fn enter(self: &Arc<Self>, claim: Claim) -> Result<Permit, WaitingRequest<'_>> {
        let mut queue = self.lock();
        if let Some(grant) = queue.try_enter(claim) {
            drop(queue);
            return Ok(self.permit(claim.service, grant));
        }
        let (sender, permit) = oneshot::channel();
        let place = queue.wait(claim, sender);
        drop(queue);
        Err(WaitingRequest {
            line: self,
            place,
            permit,
        })
    }

    /// Takes a permit back and gives it to the next in line who is still there.
    fn release(self: &Arc<Self>, mut grant: Grant, mut service: u64) {
        loop {
            let mut queue = self.lock();
            queue.release(grant, service);
            let next = queue.hand_out();
            drop(queue);
            let Some((waiter, next)) = next else {
                return;
            };
            // Waking another thread is a system call, which no one should wait for with the lock.
            let Err(mut refused) = waiter.send(self.permit(next.service(), next)) else {
                return;
            };
            // The waiter vanished a moment ago.
            let Some(held) = refused.held.take() else {
                return;
            };
            (grant, service) = (held.grant, 0);
        }
    }

    fn permit(self: &Arc<Self>, service: u64, grant: Grant) -> Permit {
        Permit {
            held: Some(HeldPermit {
                line: Arc::clone(self),
                grant,
                service,
            }),
        }
    }

    /// A panic while the lock was held would be a bug of the queue; the permits go on.
    fn lock(&self) -> MutexGuard<'_, FairQueue<oneshot::Sender<Permit>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Notes the service that the request had. It counts for its user when the permit goes back.
    pub fn correct(&mut self, actual_service: u64) {
        if let Some(held) = &mut self.held {
            held.service = actual_service;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(HeldPermit {
            line,
            grant,
            service,
        }) = self.held.take()
        {
            line.release(grant, service);
        }
    }
}

impl Drop for WaitingRequest<'_> {
    fn drop(&mut self) {
        let left = self.line.lock().cancel(self.place);
        drop(left);
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
    use std::{
        future::{Future, poll_fn},
        pin::Pin,
        task::Poll,
    };

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

    fn gate(limit: usize) -> Gate {
        Gate::new(limit, Duration::from_secs(60), Arc::default())
    }

    async fn enter(gate: &Gate, user_id: i64) -> Permit {
        let entered = gate.enter(user_id, Weight::ONE, 1_000, || {}).await;
        entered.ok().unwrap()
    }

    /// Polls a future once.
    async fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_permit_whose_waiter_vanished_goes_to_the_next() {
        let gate = gate(1);
        let first = enter(&gate, 1).await;
        let mut vanishing = Box::pin(gate.enter(2, Weight::ONE, 1_000, || {}));
        let mut waiting = Box::pin(gate.enter(3, Weight::ONE, 1_000, || {}));
        assert!(poll(&mut vanishing).await.is_pending());
        assert!(poll(&mut waiting).await.is_pending());
        assert_eq!((gate.waiting(), gate.in_use()), (2, 1));
        drop(first);
        assert_eq!((gate.waiting(), gate.in_use()), (1, 1));
        // The permit is on its way to the second.
        drop(vanishing);
        assert_eq!((gate.waiting(), gate.in_use()), (0, 1));
        drop(waiting.await);
        assert_eq!((gate.waiting(), gate.in_use()), (0, 0));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn dropping_the_future_leaves_the_line_and_a_stop_ends_it() {
        let gate = gate(1);
        let first = enter(&gate, 1).await;
        let mut leaving = Box::pin(gate.enter(2, Weight::ONE, 1_000, || {}));
        assert!(poll(&mut leaving).await.is_pending());
        drop(leaving);
        assert_eq!((gate.waiting(), gate.in_use()), (0, 1));
        let mut stopped = Box::pin(gate.enter(2, Weight::ONE, 1_000, || {}));
        assert!(poll(&mut stopped).await.is_pending());
        gate.drain.start();
        assert!(stopped.await.is_err_and(|error| error.status() == 503));
        drop(first);
        assert_eq!((gate.waiting(), gate.in_use()), (0, 0));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_corrected_permit_counts_as_what_it_used() {
        let gate = gate(1);
        let mut first = enter(&gate, 1).await;
        let mut of_first = Box::pin(gate.enter(1, Weight::ONE, 10, || {}));
        let mut of_second = Box::pin(gate.enter(2, Weight::ONE, 10, || {}));
        assert!(poll(&mut of_first).await.is_pending());
        assert!(poll(&mut of_second).await.is_pending());
        first.correct(100_000);
        drop(first);
        assert!(poll(&mut of_first).await.is_pending());
        drop(of_second.await);
        assert!(of_first.await.is_ok());
    }
}

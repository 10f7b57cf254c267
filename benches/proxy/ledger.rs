//! The ledger alone, as the server uses it: writers on worker threads, each waiting for its row to
//! be committed before it makes the next one, a `Port` a worker, a database in a file.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use llmproxy::model::{Entry, EstimatedTokens, Outcome, Usage, UsageRow, UsageSource, now_ms};
use llmproxy::store::ledger::{
    Ledger, LedgerThread, NotWritten, OnFailure, ServerLinks, Sync, WorkerLedger,
};
use llmproxy::store::{DatabaseLocation, IfMissing, Store};
use rusqlite::Connection;
use tokio::task::LocalSet;

use crate::{WARM_UP, machine};

const WRITERS: usize = 64;
/// More workers than these share the writers too thinly to say anything of the ledger.
const WORKERS_MAX: usize = 2;

pub struct Committed {
    pub rows_per_second: f64,
    /// From handing a row over to its acknowledgement.
    pub latencies_ns: Vec<u64>,
}

/// # Errors
/// Also when the database does not hold the rows that were acknowledged, no more and no less.
pub fn measure(duration: Duration) -> io::Result<Committed> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("ledger.db");
    let location =
        DatabaseLocation::parse(&path.display().to_string()).map_err(io::Error::other)?;
    let store = Store::open(&location, IfMissing::Create).map_err(io::Error::other)?;
    let ledger = LedgerThread::start(
        &store,
        Sync::Normal,
        OnFailure::Refuse,
        ServerLinks::default(),
    )
    .map_err(io::Error::other)?;
    let workers = machine::cores().min(WORKERS_MAX);
    let begun = Instant::now();
    let running: Vec<_> = (0..workers)
        .map(|worker| {
            let writers = (worker..WRITERS).step_by(workers).count();
            let ledger = ledger.handle();
            thread::spawn(move || run_worker(ledger, writers, begun, duration))
        })
        .collect();
    let mut total = Written::default();
    for worker in running {
        let written = worker
            .join()
            .map_err(|_| io::Error::other("a worker of the ledger panicked"))??;
        total.rows += written.rows;
        total.latencies_ns.extend(written.latencies_ns);
    }
    let lost = ledger.close();
    let rows: i64 = Connection::open(&path)
        .map_err(io::Error::other)?
        .query_row("SELECT count(*) FROM usage_logs", [], |row| row.get(0))
        .map_err(io::Error::other)?;
    if lost > 0 || rows != total.rows {
        return Err(io::Error::other(format!(
            "{} rows were acknowledged, {rows} are in the database",
            total.rows
        )));
    }
    Ok(Committed {
        rows_per_second: total.latencies_ns.len() as f64 / duration.as_secs_f64(),
        latencies_ns: total.latencies_ns,
    })
}

#[derive(Default)]
struct Written {
    rows: i64,
    /// Of those that were acknowledged behind the warm-up and within the duration.
    latencies_ns: Vec<u64>,
}

/// The runtime is what actix gives each of its workers.
fn run_worker(
    ledger: Ledger,
    writers: usize,
    begun: Instant,
    duration: Duration,
) -> io::Result<Written> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async move {
        let worker_ledger = WorkerLedger::new(ledger);
        let running: Vec<_> = (0..writers)
            .map(|_| {
                let worker_ledger = std::rc::Rc::clone(&worker_ledger);
                tokio::task::spawn_local(async move {
                    write_in_turn(&worker_ledger, begun, duration).await
                })
            })
            .collect();
        let mut total = Written::default();
        for writer in running {
            let written = writer.await.map_err(io::Error::other)?;
            let written = written.map_err(io::Error::other)?;
            total.rows += written.rows;
            total.latencies_ns.extend(written.latencies_ns);
        }
        Ok(total)
    })
}

async fn write_in_turn(
    worker_ledger: &WorkerLedger,
    begun: Instant,
    duration: Duration,
) -> Result<Written, NotWritten> {
    let mut written = Written::default();
    loop {
        let handed_over = Instant::now();
        worker_ledger.commit([Entry::Row(row())]).await?;
        written.rows += 1;
        let now = begun.elapsed();
        if now >= WARM_UP + duration {
            return Ok(written);
        }
        if now >= WARM_UP {
            let latency_ns = handed_over.elapsed().as_nanos();
            let latency_ns = u64::try_from(latency_ns).unwrap_or(u64::MAX);
            written.latencies_ns.push(latency_ns);
        }
    }
}

/// As full as the row of an answer of OpenAI's.
fn row() -> UsageRow {
    UsageRow {
        user_id: 1,
        key_id: 1,
        started_at_ms: now_ms(),
        endpoint: "/v1/chat/completions",
        model: "gpt-4o-mini".to_owned(),
        served_model: Some("gpt-4o-mini-2024-07-18".to_owned()),
        usage: Usage {
            input: 19,
            output: 100,
            cached: 4,
            ..Usage::default()
        },
        service_tier: None,
        is_batch: false,
        estimated: EstimatedTokens::default(),
        status: 200,
        outcome: Outcome::Completed,
        source: UsageSource::Backend,
        duration_ms: 812,
        first_byte_ms: Some(344),
        wait_ms: 0,
        request_id: None,
        backend_request_id: Some("req_b376dfbbd5c04e6f9a8d7c6b5a493827".to_owned()),
        hold: None,
    }
}

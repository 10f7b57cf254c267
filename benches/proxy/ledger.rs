//! The ledger alone, as the server uses it: writers on worker threads, each waiting for its row to
//! be committed before it makes the next one, a `WorkerLedger` a worker, a database of its own.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use llmproxy::model::{Entry, EstimatedTokens, Outcome, Usage, UsageRow, UsageSource, now_ms};
use llmproxy::sight::{Histogram, Sight};
use llmproxy::store::ledger::{
    Ledger, LedgerThread, NotWritten, OnFailure, ServerLinks, Sync, WorkerLedger,
};
use llmproxy::store::{DatabaseLocation, IfMissing, Store};
use rusqlite::Connection;
use tokio::task::LocalSet;

use crate::{WARM_UP, machine};

/// More workers than these share the writers too thinly to say anything of the ledger.
const WORKERS_MAX: usize = 2;

pub struct Committed {
    pub rows_per_second: f64,
    /// From handing a row over to its acknowledgement.
    pub latencies_ns: Vec<u64>,
    /// All rows, also those of the warm-up.
    pub rows: i64,
    /// The commits of those rows, and the time that they took together.
    pub commits: u64,
    pub commit_time: Duration,
    /// What this process used meanwhile: the ledger's thread and the writers.
    pub cpu: Duration,
}

/// Where the rows go.
pub enum Database<'d> {
    File(&'d Path, Sync),
    /// The URL, and what counts the rows when the ledger has ended.
    Postgres(&'d str, &'d dyn Fn() -> io::Result<i64>),
}

/// Measures on a new file.
///
/// # Errors
/// Those of [`measure`].
pub fn measure_file(writers: usize, sync: Sync, duration: Duration) -> io::Result<Committed> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("ledger.db");
    measure(&Database::File(&path, sync), 1, writers, duration)
}

/// Measures writers that are spread over nodes, each of which has a ledger of its own.
///
/// # Errors
/// Also when the database does not hold the rows that were acknowledged, no more and no less.
pub fn measure(
    database: &Database<'_>,
    nodes: usize,
    writers: usize,
    duration: Duration,
) -> io::Result<Committed> {
    let location = DatabaseLocation::parse(&database.location()).map_err(io::Error::other)?;
    let store = Store::open(&location, IfMissing::Create).map_err(io::Error::other)?;
    let sights: Vec<Sight> = (0..nodes).map(|_| Sight::default()).collect();
    let start = |sight: &Sight| {
        let links = ServerLinks {
            sight: Some(Arc::clone(sight.ledger())),
            ..ServerLinks::default()
        };
        LedgerThread::start(&store, database.sync(), OnFailure::Refuse, links)
    };
    let ledgers = sights.iter().map(start).collect::<Result<Vec<_>, _>>();
    let ledgers = ledgers.map_err(io::Error::other)?;
    let workers = machine::cores().min(WORKERS_MAX);
    let cpu_before = machine::own_cpu()?;
    let begun = Instant::now();
    let running: Vec<_> = (0..workers)
        .map(|worker| {
            let writers = (worker..writers).step_by(workers).count();
            let ledgers: Vec<Ledger> = ledgers.iter().map(LedgerThread::handle).collect();
            thread::spawn(move || run_worker(ledgers, writers, begun, duration))
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
    let cpu = machine::own_cpu()?.saturating_sub(cpu_before);
    let lost: usize = ledgers.into_iter().map(LedgerThread::close).sum();
    let rows = database.rows()?;
    if lost > 0 || rows != total.rows {
        return Err(io::Error::other(format!(
            "{} rows were acknowledged, {rows} are in the database",
            total.rows
        )));
    }
    let mut commits = Histogram::default();
    for sight in &sights {
        commits.add(&sight.ledger().sums().commits);
    }
    Ok(Committed {
        rows_per_second: total.latencies_ns.len() as f64 / duration.as_secs_f64(),
        latencies_ns: total.latencies_ns,
        rows,
        commits: commits.counts.iter().sum(),
        commit_time: Duration::from_micros(commits.sum_micros),
        cpu,
    })
}

impl Database<'_> {
    fn location(&self) -> String {
        match self {
            Self::File(path, _) => path.display().to_string(),
            Self::Postgres(url, _) => (*url).to_owned(),
        }
    }

    /// PostgreSQL has a setting of its own.
    fn sync(&self) -> Sync {
        match self {
            Self::File(_, sync) => *sync,
            Self::Postgres(..) => Sync::Normal,
        }
    }

    fn rows(&self) -> io::Result<i64> {
        match self {
            Self::File(path, _) => Connection::open(path)
                .map_err(io::Error::other)?
                .query_row("SELECT count(*) FROM usage_logs", [], |row| row.get(0))
                .map_err(io::Error::other),
            Self::Postgres(_, rows) => rows(),
        }
    }
}

#[derive(Default)]
struct Written {
    rows: i64,
    /// Of those that were acknowledged behind the warm-up and within the duration.
    latencies_ns: Vec<u64>,
}

/// The runtime is what actix gives each of its workers.
fn run_worker(
    ledgers: Vec<Ledger>,
    writers: usize,
    begun: Instant,
    duration: Duration,
) -> io::Result<Written> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async move {
        let worker_ledgers: Vec<_> = ledgers.into_iter().map(WorkerLedger::new).collect();
        let running: Vec<_> = (0..writers)
            .map(|writer| {
                let node = writer % worker_ledgers.len();
                let worker_ledger = std::rc::Rc::clone(&worker_ledgers[node]);
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

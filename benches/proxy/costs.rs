//! `llmproxy costs --by-model` over millions of rows, as the command line's user meets it: the real
//! binary, started anew for each report, on a database of thirty days whose newest rows are not
//! summed up yet, as after a crash.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use llmproxy::model::{format_utc, now_ms};
use llmproxy::store::ledger::{LedgerThread, OnFailure, ServerLinks, Sync};
use llmproxy::store::{DatabaseLocation, IfMissing, Store};
use rusqlite::{Connection, params};
use serde_json::Value;
use tempfile::TempDir;

use crate::{machine, targets};

const USERS: i64 = 20;
const HOUR_MS: i64 = 3_600_000;
const SPAN_MS: i64 = 30 * 24 * HOUR_MS;
/// The ledger sums up a thousand at a time, at the latest after a second; under load somewhat more
/// can wait.
const NOT_SUMMED_UP: i64 = 5_000;
/// Rows of one transaction: what the write-ahead log must hold.
const BATCH_ROWS: i64 = 200_000;
/// Measured: 170 with the index.
const ROW_BYTES: i64 = 200;
const SPARE_BYTES: i64 = 500 << 20;
const REPORTS: usize = 5;

pub struct Times {
    pub whole_ms: Vec<f64>,
    /// Of a window that begins and ends within an hour.
    pub window_ms: Vec<f64>,
}

/// None when the disk has no room for it.
pub fn measure(rows: i64) -> io::Result<Option<Times>> {
    let dir = tempfile::Builder::new()
        .prefix("llmproxy-bench-")
        .tempdir()?;
    let needed = rows * ROW_BYTES + SPARE_BYTES;
    if let Some(free) = machine::free_bytes(dir.path()).filter(|&free| free < needed) {
        let (needed, free, at) = (needed >> 20, free >> 20, dir.path().display());
        eprintln!(
            "costs: skipped, {rows} rows need {needed} MiB and {at} has {free}; set TMPDIR to a larger disk, or --rows"
        );
        return Ok(None);
    }
    delete_when_interrupted(dir.path().to_owned());
    let now_ms = now_ms();
    let begin_ms = now_ms - SPAN_MS;
    let built = Instant::now();
    let connection = build(&dir, rows, begin_ms)?;
    let bytes = fs::metadata(targets::database_in(&dir))?.len();
    eprintln!(
        "costs: {rows} rows, {:.0} MB, made in {:.0} s",
        bytes as f64 / 1e6,
        built.elapsed().as_secs_f64()
    );
    let whole_ms = time_reports(&dir, &[], rows)?;
    let half_past = |ms: i64| ms - ms % HOUR_MS + HOUR_MS / 2;
    let (from_ms, to_ms) = (
        half_past(begin_ms + SPAN_MS / 4),
        half_past(now_ms - 2 * HOUR_MS),
    );
    // Counted without the sums that are measured.
    let in_window = connection
        .query_row(
            "SELECT count(*) FROM usage_logs WHERE started_at_ms BETWEEN ?1 AND ?2",
            [from_ms, to_ms],
            |row| row.get(0),
        )
        .map_err(io::Error::other)?;
    let (from, to) = (format_utc(from_ms), format_utc(to_ms));
    let window = ["--start-time", &from, "--end-time", &to];
    let window_ms = time_reports(&dir, &window, in_window)?;
    Ok(Some(Times {
        whole_ms,
        window_ms,
    }))
}

/// Gigabytes must not stay behind when somebody has seen enough.
fn delete_when_interrupted(dir: PathBuf) {
    const INTERRUPTED: i32 = 130;
    thread::spawn(move || {
        if wait_for_interrupt().is_ok() {
            // It may be gone already.
            let _ = fs::remove_dir_all(dir);
            std::process::exit(INTERRUPTED);
        }
    });
}

fn wait_for_interrupt() -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(tokio::signal::ctrl_c())
}

/// The hours are summed up by the product's own ledger, which does so to the end when it is closed.
fn build(dir: &TempDir, rows: i64, begin_ms: i64) -> io::Result<Connection> {
    for user in 1..=USERS {
        targets::output(targets::llmproxy(dir).args(["user", "add", &format!("user-{user}")]))?;
    }
    let path = targets::database_in(dir).display().to_string();
    let location = DatabaseLocation::parse(&path).map_err(io::Error::other)?;
    let store = Store::open(&location, IfMissing::Refuse).map_err(io::Error::other)?;
    let connection = Connection::open(&path).map_err(io::Error::other)?;
    // A power cut may take this database.
    connection
        .pragma_update(None, "synchronous", "OFF")
        .map_err(io::Error::other)?;
    let newest = (rows - NOT_SUMMED_UP).max(0);
    insert(&connection, 0..newest, rows, begin_ms).map_err(io::Error::other)?;
    let ledger = LedgerThread::start(
        &store,
        Sync::Normal,
        OnFailure::Refuse,
        ServerLinks::default(),
    )
    .map_err(io::Error::other)?;
    // Nothing was queued that could be left unwritten.
    let _ = ledger.close();
    insert(&connection, newest..rows, rows, begin_ms).map_err(io::Error::other)?;
    Ok(connection)
}

/// Rows evenly over the time, each user and model in each hour; texts of the usual length.
const INSERT: &str = "WITH RECURSIVE numbers(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?2), \
     rows AS (SELECT n, CASE n / ?5 % 5 WHEN 0 THEN 'gpt-4o-mini' WHEN 1 THEN 'gpt-4o' WHEN 2 THEN 'gpt-4.1-mini' \
       WHEN 3 THEN 'o4-mini' ELSE 'text-embedding-3-small' END AS model FROM numbers) \
     INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, served_model, input_tokens, output_tokens, \
       cached_tokens, reasoning_tokens, status, outcome, usage_source, duration_ms, first_byte_ms, backend_request_id) \
     SELECT ?3 + n * ?6 / ?4, 1 + n % ?5, CASE model WHEN 'text-embedding-3-small' THEN '/v1/embeddings' \
       ELSE '/v1/chat/completions' END, model, model || '-2024-07-18', 100 + n % 900, n % 700, n % 100, 0, 200, \
       'completed', 'backend', 500 + n % 3000, 300, printf('req_%032x', n) FROM rows";

fn insert(
    connection: &Connection,
    numbers: std::ops::Range<i64>,
    rows: i64,
    begin_ms: i64,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(INSERT)?;
    let mut first = numbers.start;
    while first < numbers.end {
        let end = numbers.end.min(first + BATCH_ROWS);
        insert.execute(params![first, end, begin_ms, rows, USERS, SPAN_MS])?;
        first = end;
    }
    Ok(())
}

/// The first report is only checked; it also brings the binary and the sums into the kernel's
/// memory.
fn time_reports(dir: &TempDir, window: &[&str], expected_requests: i64) -> io::Result<Vec<f64>> {
    let mut times_ms = Vec::new();
    for report in 0..=REPORTS {
        let mut costs = targets::llmproxy(dir);
        costs.args(["costs", "--by-model", "--json"]).args(window);
        let begun = Instant::now();
        let text = targets::output(&mut costs)?;
        let elapsed: Duration = begun.elapsed();
        if report > 0 {
            times_ms.push(elapsed.as_secs_f64() * 1e3);
            continue;
        }
        let requests = requests_in(&serde_json::from_str(&text)?);
        if requests != expected_requests {
            return Err(io::Error::other(format!(
                "{costs:?} counts {requests} requests, the database holds {expected_requests}"
            )));
        }
    }
    Ok(times_ms)
}

fn requests_in(report: &Value) -> i64 {
    let of_all_models = |user: &Value| {
        let models = user["model_costs"].as_array().into_iter().flatten();
        models
            .filter_map(|model| model["total_requests"].as_i64())
            .sum::<i64>()
    };
    let users = report["costs"].as_array().into_iter().flatten();
    users.map(of_all_models).sum()
}

//! What the simulation assumes, each with where it comes from.

use clap::Args;

/// Times of the database and of the network.
#[derive(Debug, Clone, Copy, Args)]
pub struct Parameters {
    /// Milliseconds of a round trip between a node and the database. Two machines of one data centre
    #[arg(long, default_value_t = 0.5)]
    pub round_trip_ms: f64,
    /// Milliseconds until the disk has a commit. `pg_test_fsync` on the benchmarks' machine said 2.3 for
    /// fdatasync; a disk with a battery takes 0.1
    #[arg(long, default_value_t = 2.3)]
    pub flush_ms: f64,
    /// Milliseconds of a small statement at the server: the snapshot of a poll, as the server logs it
    /// (`log_min_duration_statement=0`): 0.10 to parse it, 0.05 to plan it
    #[arg(long, default_value_t = 0.15)]
    pub statement_ms: f64,
    /// Milliseconds in which the server parses and plans the statement that inserts rows, before it asks
    /// for the lock. The log said 0.55 and 0.41
    #[arg(long, default_value_t = 0.96)]
    pub plan_ms: f64,
    /// Milliseconds in which that statement runs with one row, without the flush. The log said 0.40
    #[arg(long, default_value_t = 0.4)]
    pub insert_ms: f64,
    /// Milliseconds that each further row of that statement takes: 30 ms for 973 with
    /// `synchronous_commit=off`
    #[arg(long, default_value_t = 0.03)]
    pub row_ms: f64,
    /// Milliseconds that a row takes to be added to the sums of its hour and of its day: 55 for 1,000 rows
    /// of as many users, measured in psql
    #[arg(long, default_value_t = 0.05)]
    pub sum_row_ms: f64,
    /// Milliseconds of the server's CPU for a row that another node reads to keep its budgets. A read of
    /// 1,000 lines took 0.84
    #[arg(long, default_value_t = 0.001)]
    pub read_row_ms: f64,
    /// Cores of the database's machine
    #[arg(long, default_value_t = 32.0)]
    pub database_cores: f64,
    /// Users, each of which sends as many requests as any other
    #[arg(long, default_value_t = 100_000.0)]
    pub users: f64,
    /// Share of the requests that run for longer than a second, which have notes in the database
    #[arg(long, default_value_t = 0.5)]
    pub long_share: f64,
    /// Seconds that such a request runs
    #[arg(long, default_value_t = 8.0)]
    pub long_seconds: f64,
}

/// Bytes that a row of another node takes on the wire: the six columns of `ROWS_BEHIND`
/// (src/core/store/limit_usage.rs), five of 8 bytes and one of 1, their lengths and the message's head.
pub const READ_ROW_BYTES: f64 = 72.0;
/// Bytes of a line of `server_runs` on the wire, of which each node reads all once a second.
pub const RUN_BYTES: f64 = 110.0;
/// Interval of the polls if changes are announced (`ANNOUNCED_POLL` in src/core/store/ledger/watch.rs).
pub const POLL_NS: u64 = 200_000_000;
/// Statements of a poll when something was committed: the snapshot, the version of the users.
pub const POLL_STATEMENTS: u32 = 2;
/// Further ones where there are budgets: reservations, the position, rows, adjustments.
pub const BUDGET_POLL_STATEMENTS: u32 = 4;
/// Longest sleep of the ledger's thread (`USERS_POLL`).
pub const SLEEP_NS: u64 = 50_000_000;
/// Interval of signs of life, of leases, of looks at other nodes, and of sums.
pub const SECOND_NS: u64 = 1_000_000_000;
/// Interval of signs of life of a node with notes (`ALIVE_EVERY` in src/core/store/running.rs).
pub const SIGN_NS: u64 = 100_000_000;
/// Interval at which a worker hands over notes (`TICK` in src/core/proxy/accounting/running.rs).
pub const NOTES_NS: u64 = 250_000_000;
/// Gathering (`BUSY_ROWS`, `ENOUGH_ROWS`, `GATHER` and `MAX_BATCH_ROWS` in src/core/store/ledger/writer.rs).
pub const BUSY_ROWS: usize = 12;
pub const ENOUGH_ROWS: usize = 48;
pub const GATHER_NS: u64 = 1_000_000;
pub const MAX_BATCH_ROWS: usize = 4_096;
/// Rows of one transaction that sums up (`BATCH_ROWS` in src/core/store/ledger/rollup.rs), and the time for
/// which it waits for the lock (`IfBusy::Fail` in src/core/store/postgres/session.rs).
pub const SUM_ROWS: f64 = 1_000.0;
pub const SUM_WAIT_NS: u64 = 1_000_000;
/// Time after which it waits as long as it takes (`MAX_POSTPONED` in src/core/store/ledger/rollup.rs).
pub const MAX_POSTPONED_NS: u64 = 1_000_000_000;
/// Seconds after its last request after which a lease is given back, one to two (`Leases::give_back`).
pub const LEASE_IDLE_SECONDS: f64 = 1.5;
/// Connections of a node: the ledger, the listener, the pool when it is quiet.
pub const NODE_CONNECTIONS: f64 = 3.0;

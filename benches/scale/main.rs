//! Many nodes on one PostgreSQL, on paper: 10, 100 and 1,000 nodes, 100,000 users, 10 billion rows.
//!
//! cargo bench --bench scale [-- --round-trip-ms 2 --flush-ms 0.1] [-- --help]
//!
//! No database is needed. A simulation of the ledgers' threads and of the lock that they take in turn
//! says what saturates first, and what each change of the design would bring. It takes the times of the
//! database as options; their defaults were measured by `cargo bench --bench proxy -- --only
//! ledger-postgres`. It is seeded, so that the same options print the same figures.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)] // counts and times become rounded figures in a table

mod checks;
mod design;
mod disk;
mod node;
mod parameters;
mod random;
mod simulation;
mod steps;

use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};

use design::{Design, Load};
use parameters::{
    BUDGET_POLL_STATEMENTS, NODE_CONNECTIONS, POLL_NS, POLL_STATEMENTS, Parameters, READ_ROW_BYTES,
    RUN_BYTES,
};
use simulation::{Outcome, simulate};

const NODES: [usize; 3] = [10, 100, 1_000];
const REQUESTS_PER_SECOND: [f64; 3] = [100.0, 1_000.0, 10_000.0];

/// Longest wait of a row, and of an ask, at the 99th percentile: longer ones are felt.
const LONGEST_WAIT_NS: u64 = 250_000_000;
/// What the database's machine sends at most: 10 gigabits.
const NETWORK_BYTES_PER_SECOND: f64 = 1.25e9;
const FULL: f64 = 0.95;

/// What is built.
pub const AS_IT_IS: Design = Design {
    flushes_in_lock: true,
    talks_in_lock: true,
    all_nodes_sum: true,
    lease_idle_seconds: parameters::LEASE_IDLE_SECONDS,
    users_stay: false,
    reads_all_rows: true,
};

/// Simulate many nodes on one PostgreSQL
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    parameters: Parameters,
    /// Seconds that are simulated, after a warm-up
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Given by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    if !options.bench {
        eprintln!("run it by `cargo bench --bench scale`");
        return;
    }
    checks::run();
    println!("{:?}\n", options.parameters);
    println!("As it is:\n{}\n", loads(&options));
    println!(
        "What nodes with budgets read if nothing is in their way:\n{}\n",
        reading(&options.parameters)
    );
    println!(
        "What each change brings, with a budget for each user:\n{}\n",
        changes(&options)
    );
    println!("{}", disk::report(options.parameters.users));
}

/// Each number of nodes with each load.
fn loads(options: &Options) -> Table {
    let mut table = new_table(&[
        "nodes",
        "budgets",
        "requests/s",
        "rows a commit",
        "a row waits p50, ms",
        "p99, ms",
        "an ask for a budget waits p99, ms",
        "lock held",
        "node's thread busy",
        "statements/s",
        "database's cores",
        "saturated",
    ]);
    for nodes in [&[2], &NODES[..]].concat() {
        for has_budgets in [false, true] {
            for requests_per_second in REQUESTS_PER_SECOND {
                let load = Load {
                    nodes,
                    requests_per_second,
                    has_budgets,
                    seconds: options.seconds,
                };
                let outcome = simulate(options.parameters, AS_IT_IS, load);
                let [p50, p99] = percentiles_ms(&outcome.waits_ns);
                let [_, ask_p99] = percentiles_ms(&outcome.ask_waits_ns);
                table.add_row([
                    number(nodes as f64),
                    if has_budgets { "each user" } else { "none" }.to_owned(),
                    number(requests_per_second),
                    number(outcome.rows as f64 / outcome.commits.max(1) as f64),
                    p50,
                    p99,
                    ask_p99,
                    percent(outcome.lock_held),
                    percent(outcome.thread_busy),
                    number(outcome.statements_per_second),
                    number(outcome.database_cpu_cores),
                    saturated(&outcome, &load, &options.parameters),
                ]);
            }
        }
    }
    table
}

/// What nodes with budgets read if nothing is in their way.
fn reading(parameters: &Parameters) -> Table {
    let mut table = new_table(&[
        "nodes",
        "requests/s",
        "connections",
        "statements/s of polls",
        "rows of others/s",
        "MB/s",
        "lines of other nodes/s",
        "MB/s",
        "database's cores",
    ]);
    let polls = 1e9 / POLL_NS as f64 * f64::from(POLL_STATEMENTS + BUDGET_POLL_STATEMENTS);
    for nodes in NODES {
        for requests_per_second in REQUESTS_PER_SECOND {
            let count = nodes as f64;
            let (statements, rows) = (count * polls, count * requests_per_second);
            let lines = count * count;
            let cpu_ms =
                statements * parameters.statement_ms + (rows + lines) * parameters.read_row_ms;
            table.add_row([
                number(count),
                number(requests_per_second),
                number(count * NODE_CONNECTIONS),
                number(statements),
                number(rows),
                number(rows * READ_ROW_BYTES / 1e6),
                number(lines),
                number(lines * RUN_BYTES / 1e6),
                number(cpu_ms / 1e3),
            ]);
        }
    }
    table
}

/// One change of the design after the other.
fn changes(options: &Options) -> Table {
    let mut table = new_table(&[
        "most requests/s, with all changes above",
        "10 nodes",
        "100 nodes",
        "1,000 nodes",
    ]);
    let mut design = AS_IT_IS;
    let mut line = |name: &str, design: Design| {
        let most = NODES.map(|nodes| {
            let most = most_requests(options, design, nodes);
            most.map_or("none".to_owned(), number)
        });
        table.add_row([name.to_owned()].into_iter().chain(most));
    };
    line("as it is", design);
    design.flushes_in_lock = false;
    line(
        "the lock is given up before the disk has the commit",
        design,
    );
    design.all_nodes_sum = false;
    line("one node sums up", design);
    design.talks_in_lock = false;
    line("each transaction is one round trip", design);
    design.users_stay = true;
    line("a user's requests go to one node", design);
    design.lease_idle_seconds = 60.0;
    line("a lease is kept for a minute", design);
    design.reads_all_rows = false;
    line("a node reads sums of its users, not rows", design);
    table
}

/// The most requests a second, in steps of a third, at which rows wait for at most a quarter of a second
/// at the 99th percentile and the database has cores enough. None if there are not even ten.
fn most_requests(options: &Options, design: Design, nodes: usize) -> Option<f64> {
    const MOST: f64 = 100_000.0;
    let mut found = None;
    let mut requests_per_second = 10.0;
    while requests_per_second <= MOST {
        let load = Load {
            nodes,
            requests_per_second,
            has_budgets: true,
            seconds: options.seconds,
        };
        let outcome = simulate(options.parameters, design, load);
        if !saturated(&outcome, &load, &options.parameters).is_empty() {
            return found;
        }
        found = Some(requests_per_second);
        requests_per_second *= 4.0 / 3.0;
    }
    found
}

/// What is not as it should be, and the scarcest thing.
fn saturated(outcome: &Outcome, load: &Load, parameters: &Parameters) -> String {
    let waits_ns = |waits: &[u64]| waits.get(waits.len() * 99 / 100).copied().unwrap_or(0);
    let is_late = waits_ns(&outcome.waits_ns) > LONGEST_WAIT_NS
        || waits_ns(&outcome.ask_waits_ns) > LONGEST_WAIT_NS
        || outcome.backlog as f64 > load.requests_per_second;
    let cores = outcome.database_cpu_cores / parameters.database_cores;
    let network = outcome.read_bytes_per_second / NETWORK_BYTES_PER_SECOND;
    let mut names = Vec::new();
    if is_late && outcome.lock_held > FULL {
        names.push("lock");
    } else if is_late {
        names.push("node's thread");
    }
    if cores > FULL {
        names.push("database's CPU");
    }
    if network > FULL {
        names.push("network");
    }
    // Reports read what is not summed from the rows: more each second.
    if outcome.not_summed > (load.requests_per_second * load.seconds / 2.0).max(2_000.0) {
        names.push("sums");
    }
    names.join(", ")
}

fn percentiles_ms(sorted_ns: &[u64]) -> [String; 2] {
    [50, 99].map(|percent| {
        let at = sorted_ns.len() * percent / 100;
        sorted_ns
            .get(at)
            .map_or("–".to_owned(), |ns| number(*ns as f64 / 1e6))
    })
}

fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header.iter().copied());
    let columns = table.column_iter_mut();
    columns.for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Three figures, as many as are worth anything.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0..0.005 => "0".to_owned(),
        _ if value.fract() == 0.0 && value < 100.0 => format!("{value:.0}"),
        0.005..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => {
            let digits = format!("{value:.0}");
            let head = digits.len() % 3;
            let (first, rest) = digits.split_at(head);
            let groups = rest.as_bytes().chunks(3).map(String::from_utf8_lossy);
            let groups: Vec<_> = std::iter::once(first.into())
                .filter(|first: &std::borrow::Cow<'_, str>| !first.is_empty())
                .chain(groups)
                .collect();
            groups.join(",")
        }
    }
}

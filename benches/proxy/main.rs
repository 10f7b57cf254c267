//! What llmproxy costs, next to nginx as a plain reverse proxy and to no proxy at all, against its
//! goals:
//!
//! cargo bench --bench proxy [-- --quick] [-- --only plain,stream] [-- --rounds 5 --seconds 4] [--
//! --rows 1000000]
//!
//! Every round starts fresh processes and puts them through the same loads in turn, so that a noisy
//! moment of the machine does not fall on one of them alone. CPU time is that of a proxy's whole
//! processes; clients and upstream run in this one, on the same cores: trust ratios before absolute
//! numbers.

#![allow(clippy::cast_precision_loss)] // counts and bytes become rounded figures in a table

mod cases;
mod costs;
mod databases;
mod delay;
mod goals;
mod ledger;
mod load;
mod machine;
mod noise;
mod postgres;
mod readers;
mod report;
mod rounds;
mod targets;
mod upstream;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use cases::Case;
use noise::Noise;
use report::Report;
use rounds::Bench;

const WARM_UP: Duration = Duration::from_millis(300);

// The ledger is measured in this process, and is to find what it finds in the server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure llmproxy next to nginx and to no proxy
#[derive(Parser)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are flags of a command line"
)]
struct Options {
    /// One short round, for a first look; without the costs and PostgreSQL unless --only names them
    #[arg(long)]
    quick: bool,
    /// Only these cases
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Case>,
    /// How often everything is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long a load lasts
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Over how many rows the costs are reported
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(i64).range(1..=1_000_000_000))]
    rows: i64,
    /// Put a further llmproxy through the loads, on a private PostgreSQL server
    #[arg(long)]
    postgres: bool,
    /// Run llmproxy with RUST_LOG=warn, which means without its access log
    #[arg(long)]
    quiet_log: bool,
    /// Given by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if !options.bench {
        eprintln!("a benchmark takes its time: run it by `cargo bench --bench proxy`");
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(report) if report.complaints.is_empty() => ExitCode::SUCCESS,
        Ok(report) => {
            for complaint in &report.complaints {
                eprintln!("wrong: {complaint}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<Report> {
    machine::raise_file_limit();
    let noise = Noise::begin()?;
    let bench = Bench::new(options)?;
    let report = bench.run()?;
    let (met, compared) = report.met();
    println!("{}", bench.heading());
    if !report.is_empty() {
        println!("{}\ngoals: {met} of {compared} met", report.table());
    }
    for table in &report.further {
        println!("{table}");
    }
    println!("{}", noise.end(&report)?);
    Ok(report)
}

//! What llmproxy costs, next to nginx as a plain reverse proxy and to no proxy at all:
//!
//!     cargo bench --bench proxy [-- --quick] [-- --only plain,stream] [-- --rounds 5 --seconds 4]
//!
//! Every round starts fresh processes and puts them through the same loads in turn, so that a noisy moment
//! of the machine does not fall on one of them alone. CPU time is that of a proxy's whole processes; clients
//! and upstream run in this one, on the same cores: trust ratios before absolute numbers.

#![allow(clippy::cast_precision_loss)] // counts and bytes become rounded figures in a table

mod cases;
mod load;
mod machine;
mod report;
mod targets;
mod upstream;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use cases::{Case, Load};
use load::Outcome;
use report::{Measured, Report};
use targets::Target;

const WARM_UP: Duration = Duration::from_millis(300);
const QUICK: Duration = Duration::from_millis(500);

/// Measure llmproxy next to nginx and to no proxy
#[derive(Parser)]
struct Options {
    /// One short round, for a first look
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
    let mut report = Report::default();
    let mut proxies_cpu = Duration::ZERO;
    for round in 0..bench.rounds {
        eprintln!("round {} of {}", round + 1, bench.rounds);
        proxies_cpu += bench.round(round, &mut report)?;
    }
    println!(
        "{}\n{}\n{}",
        bench.heading(),
        report.table(),
        noise.end(proxies_cpu, &report)?
    );
    Ok(report)
}

struct Bench {
    upstream: SocketAddr,
    /// For the clients, and as many for the upstream; a proxy may use all cores.
    threads: usize,
    cases: Vec<Case>,
    rounds: usize,
    duration: Duration,
    log_level: &'static str,
    /// Its version, where it is installed.
    nginx: Option<String>,
}

impl Bench {
    fn new(options: &Options) -> io::Result<Self> {
        let threads = (machine::cores() / 4).max(1);
        let duration = Duration::try_from_secs_f64(options.seconds).map_err(io::Error::other)?;
        let all = options.only.is_empty();
        Ok(Self {
            upstream: upstream::start(threads)?,
            threads,
            cases: if all {
                Case::value_variants().to_vec()
            } else {
                options.only.clone()
            },
            rounds: if options.quick { 1 } else { options.rounds },
            duration: if options.quick { QUICK } else { duration },
            log_level: if options.quiet_log { "warn" } else { "info" },
            nginx: targets::nginx_version(),
        })
    }

    fn heading(&self) -> String {
        let nginx = self.nginx.as_deref().unwrap_or("no nginx on PATH");
        format!(
            "{}\nllmproxy {} ({:.1} MB, RUST_LOG={}), {nginx}; rounds: {}, {:.1} s a load",
            machine::describe(),
            env!("CARGO_PKG_VERSION"),
            targets::llmproxy_bytes() as f64 / 1e6,
            self.log_level,
            self.rounds,
            self.duration.as_secs_f64(),
        )
    }

    /// Returns the CPU time that the proxies took.
    fn round(&self, round: usize, report: &mut Report) -> io::Result<Duration> {
        let mut targets = vec![
            Target::direct(self.upstream),
            self.fresh(Target::llmproxy(self.upstream, self.log_level)?, report)?,
        ];
        if self.nginx.is_some() {
            targets.push(self.fresh(Target::nginx(self.upstream, machine::cores())?, report)?);
        }
        for &case in &self.cases {
            let Some(load) = case.load() else { continue };
            let turn = round % targets.len();
            targets.rotate_left(turn);
            let mut measured = Vec::new();
            for target in &mut targets {
                measured.push(self.measure(case, &load, target, report)?);
            }
            report.record(case, &load, &measured);
        }
        let mut proxies_cpu = Duration::ZERO;
        for target in targets.iter().filter(|target| target.is_proxy()) {
            proxies_cpu += target.cpu()?;
            if self.cases.contains(&Case::Memory) {
                report.add(
                    Case::Memory,
                    "after the loads, MB",
                    target.name,
                    megabytes(target)?,
                );
            }
            let (rows, answered) = (target.rows_in_ledger()?, target.answered);
            if let Some(rows) = rows.filter(|&rows| rows != answered) {
                let complaint = format!("{rows} rows in the ledger for {answered} answers");
                report.complaints.push(complaint);
            }
        }
        Ok(proxies_cpu)
    }

    /// Measures what only a process can tell that has just been spawned.
    fn fresh(&self, mut target: Target, report: &mut Report) -> io::Result<Target> {
        let first = load::run(&Load::first_answer().job(&target, Duration::ZERO), 1)?;
        let age = target.age();
        take_in(Case::Start, &mut target, &first, report);
        if self.cases.contains(&Case::Start) {
            report.add(
                Case::Start,
                "first answer, ms",
                target.name,
                age.as_secs_f64() * 1e3,
            );
        }
        if self.cases.contains(&Case::Memory) {
            let idle = megabytes(&target)?;
            let job = Load::open_streams().job(&target, Duration::ZERO);
            let streams = thread::spawn(move || load::run(&job, 1));
            thread::sleep(Duration::from_secs(2));
            let open = megabytes(&target)?;
            let streams = streams
                .join()
                .map_err(|_| io::Error::other("the load panicked"))??;
            let an_open_stream = (open - idle) * 1e3 / streams.answered.max(1) as f64;
            report.add(Case::Memory, "idle, MB", target.name, idle);
            report.add(
                Case::Memory,
                "an open stream, kB",
                target.name,
                an_open_stream,
            );
            take_in(Case::Memory, &mut target, &streams, report);
        }
        Ok(target)
    }

    fn measure(
        &self,
        case: Case,
        load: &Load,
        target: &mut Target,
        report: &mut Report,
    ) -> io::Result<Measured> {
        if load.gap.is_none() {
            let warm_up = load::run(&load.job(target, WARM_UP), self.threads)?;
            take_in(case, target, &warm_up, report);
        }
        let before = target.cpu()?;
        let outcome = load::run(&load.job(target, self.duration), self.threads)?;
        let cpu = target
            .is_proxy()
            .then_some(target.cpu()?.saturating_sub(before));
        take_in(case, target, &outcome, report);
        Ok(Measured {
            target: target.name,
            cpu,
            outcome,
        })
    }
}

fn take_in(case: Case, target: &mut Target, outcome: &Outcome, report: &mut Report) {
    target.answered += outcome.answered;
    if let Some(first) = outcome.failures.first() {
        let (count, title, name) = (outcome.failures.len(), case.title(), target.name);
        report.complaints.push(format!(
            "{title}, {name}: {count} failures, the first: {first}"
        ));
    }
}

fn megabytes(target: &Target) -> io::Result<f64> {
    Ok(target.memory_bytes()? as f64 / 1e6)
}

/// How quiet the machine was.
struct Noise {
    begun: Instant,
    load_average: String,
    busy_before: Duration,
}

impl Noise {
    fn begin() -> io::Result<Self> {
        Ok(Self {
            begun: Instant::now(),
            load_average: machine::load_average(),
            busy_before: machine::busy()?,
        })
    }

    fn end(&self, proxies_cpu: Duration, report: &Report) -> io::Result<String> {
        let busy = machine::busy()?.saturating_sub(self.busy_before);
        let others = busy.saturating_sub(machine::own_cpu()? + proxies_cpu);
        let capacity = self.begun.elapsed() * u32::try_from(machine::cores()).unwrap_or(1);
        let between_rounds = report
            .cpu_spread()
            .map_or(String::new(), |(middle, worst)| {
                format!("; CPU time of the rounds lay {middle:.0} % apart, at worst {worst:.0} %")
            });
        Ok(format!(
            "noise: load average {} before, {} after; other processes took {:.1} % of the machine{between_rounds}",
            self.load_average,
            machine::load_average(),
            others.div_duration_f64(capacity) * 100.0,
        ))
    }
}

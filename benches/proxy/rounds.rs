//! One round after the other: fresh processes, each load through each of them, and what needs no
//! round once.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use llmproxy::store::ledger::Sync;

use crate::cases::{Case, Load};
use crate::load::{self, Outcome};
use crate::postgres::{self, PostgresServer};
use crate::report::{Measured, Report, percentiles_ms};
use crate::targets::{self, Target};
use crate::{Options, WARM_UP, costs, databases, ledger, machine, readers, upstream};

const QUICK: Duration = Duration::from_millis(500);
const LEDGER_WRITERS: usize = 64;

pub struct Bench {
    upstream: SocketAddr,
    /// For the clients, and as many for the upstream; a proxy may use all cores.
    threads: usize,
    cases: Vec<Case>,
    rounds: usize,
    rows: i64,
    duration: Duration,
    log_level: &'static str,
    /// Its version, where it is installed.
    nginx: Option<String>,
    /// The server for a further llmproxy, if that is asked for.
    postgres: Option<PostgresServer>,
}

impl Bench {
    pub fn new(options: &Options) -> io::Result<Self> {
        let threads = (machine::cores() / 4).max(1);
        let duration = Duration::try_from_secs_f64(options.seconds).map_err(io::Error::other)?;
        let mut cases = options.only.clone();
        if cases.is_empty() {
            let all = Case::value_variants().iter().copied();
            // Millions of rows take a minute to make, and so do the databases.
            let is_long = |case| matches!(case, Case::Costs | Case::LedgerPostgres);
            cases = all
                .filter(|&case| !is_long(case) || !options.quick)
                .collect();
        }
        let postgres = if options.postgres {
            let server = PostgresServer::start()?;
            if server.is_none() {
                eprintln!("--postgres: left out, PostgreSQL is not installed");
            }
            server
        } else {
            None
        };
        Ok(Self {
            upstream: upstream::start(threads)?,
            threads,
            cases,
            rows: options.rows,
            rounds: if options.quick { 1 } else { options.rounds },
            duration: if options.quick { QUICK } else { duration },
            log_level: if options.quiet_log { "warn" } else { "info" },
            nginx: targets::nginx_version(),
            postgres,
        })
    }

    pub fn heading(&self) -> String {
        let nginx = self.nginx.as_deref().unwrap_or("no nginx on PATH");
        let costs = if self.has(Case::Costs) {
            format!(", costs over {} rows", self.rows)
        } else {
            String::new()
        };
        format!(
            "{}\nllmproxy {} ({:.1} MB, RUST_LOG={}), {nginx}; rounds: {}, {:.1} s a load{costs}",
            machine::describe(),
            env!("CARGO_PKG_VERSION"),
            targets::llmproxy_bytes() as f64 / 1e6,
            self.log_level,
            self.rounds,
            self.duration.as_secs_f64(),
        )
    }

    pub fn run(&self) -> io::Result<Report> {
        let mut report = Report::default();
        let mut owed = self.cases.clone();
        for round in 0..self.rounds {
            eprintln!("round {} of {}", round + 1, self.rounds);
            self.round(round, &mut report)?;
        }
        if self.has(Case::Costs) {
            match costs::measure(self.rows)? {
                Some(times) => record_costs(&times, &mut report),
                None => owed.retain(|&case| case != Case::Costs),
            }
        }
        if self.has(Case::LedgerPostgres) {
            report
                .further
                .extend(databases::measure(self.rounds, self.duration)?);
        }
        if self.has(Case::Start) {
            let binary = targets::llmproxy_bytes() as f64 / 1e6;
            report.add(Case::Start, "binary, MB", "llmproxy", binary);
        }
        let missing = report.missing(&owed);
        report.complaints.extend(missing);
        Ok(report)
    }

    fn has(&self, case: Case) -> bool {
        self.cases.contains(&case)
    }

    fn round(&self, round: usize, report: &mut Report) -> io::Result<()> {
        if self.has(Case::Ledger) {
            let committed = ledger::measure_file(LEDGER_WRITERS, Sync::Normal, self.duration)?;
            let [p50, p99] = percentiles_ms(&committed.latencies_ns);
            let mut add = |label, value| report.add(Case::Ledger, label, "llmproxy", value);
            add("rows/s", committed.rows_per_second);
            add("acknowledged p50, ms", p50);
            add("acknowledged p99, ms", p99);
        }
        if self.has(Case::Readers) {
            self.slow_readers(report)?;
        }
        if self.cases.iter().any(|&case| case.needs_targets()) {
            self.loads(round, report)?;
        }
        Ok(())
    }

    /// With processes of their own: those that were under load have memory to spare.
    fn slow_readers(&self, report: &mut Report) -> io::Result<()> {
        for mut target in self.proxies()? {
            let first = load::run(&Load::first_answer().job(&target, Duration::ZERO), 1)?;
            take_in(Case::Readers, &mut target, &first, report);
            let growth = readers::growth_bytes(&mut target)? as f64 / 1e6;
            report.add(Case::Readers, "growth, MB", target.name, growth);
            check_ledger(&target, report)?;
        }
        Ok(())
    }

    fn proxies(&self) -> io::Result<Vec<Target>> {
        let mut proxies = vec![Target::llmproxy(self.upstream, self.log_level)?];
        if self.nginx.is_some() {
            proxies.push(Target::nginx(self.upstream, machine::cores())?);
        }
        Ok(proxies)
    }

    fn loads(&self, round: usize, report: &mut Report) -> io::Result<()> {
        let mut targets = vec![
            Target::direct(self.upstream),
            self.fresh(Target::llmproxy(self.upstream, self.log_level)?, report)?,
        ];
        if self.nginx.is_some() {
            targets.push(self.fresh(Target::nginx(self.upstream, machine::cores())?, report)?);
        }
        if let Some(postgres) = &self.postgres {
            let url = postgres::url(postgres.address(), &postgres.create_database()?);
            let target = Target::llmproxy_on_postgres(url, self.upstream, self.log_level)?;
            targets.push(self.fresh(target, report)?);
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
        for target in targets.iter().filter(|target| target.is_proxy()) {
            if self.has(Case::Memory) {
                let memory = megabytes(target)?;
                report.add(Case::Memory, "after the loads, MB", target.name, memory);
            }
            check_ledger(target, report)?;
        }
        Ok(())
    }

    /// Measures what only a process can tell that has just been spawned.
    fn fresh(&self, mut target: Target, report: &mut Report) -> io::Result<Target> {
        let first = load::run(&Load::first_answer().job(&target, Duration::ZERO), 1)?;
        let age = target.age();
        take_in(Case::Start, &mut target, &first, report);
        if self.has(Case::Start) {
            report.add(
                Case::Start,
                "first answer, ms",
                target.name,
                age.as_secs_f64() * 1e3,
            );
        }
        if self.has(Case::Memory) {
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
        let postgres = self.postgres.as_ref();
        let postgres = postgres.filter(|_| target.name == targets::ON_POSTGRES);
        let postgres_before = postgres.map(PostgresServer::cpu).transpose()?;
        let before = target.cpu()?;
        let outcome = load::run(&load.job(target, self.duration), self.threads)?;
        let cpu = target
            .is_proxy()
            .then_some(target.cpu()?.saturating_sub(before));
        if let Some((postgres, before)) = postgres.zip(postgres_before) {
            let cpu = postgres.cpu()?.saturating_sub(before);
            let cpu_us = cpu.as_secs_f64() * 1e6 / outcome.answered.max(1) as f64;
            report.add(case, "PostgreSQL's own CPU, µs", target.name, cpu_us);
        }
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

/// As many rows as the clients hold answers: a fast proxy that forgets some is wrong.
fn check_ledger(target: &Target, report: &mut Report) -> io::Result<()> {
    let (rows, answered) = (target.rows_in_ledger()?, target.answered);
    if let Some(rows) = rows.filter(|&rows| rows != answered) {
        let complaint = format!("{rows} rows in the ledger for {answered} answers");
        report.complaints.push(complaint);
    }
    Ok(())
}

fn record_costs(times: &costs::Times, report: &mut Report) {
    let lines = [
        ("whole time, ms", &times.whole_ms),
        ("from half past to half past, ms", &times.window_ms),
    ];
    for (label, times_ms) in lines {
        for &time_ms in times_ms {
            report.add(Case::Costs, label, "llmproxy", time_ms);
        }
    }
}

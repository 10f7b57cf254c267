//! How many instructions llmproxy's own code takes for a request, counted by callgrind and compared
//! with what is checked in:
//!
//!     cargo bench --bench instructions [-- --write] [-- --tolerance 5] [-- --keep DIR]
//!
//! Times are noisy, counts are not: a few percent more here are a few percent more code on the hot
//! path. What the kernel does for it is not counted. Everything goes step by step over one
//! connection, and each figure is the difference of two runs, so that start-up and shut-down cancel
//! out.

mod figures;
mod order;
mod server;
mod wire;

use std::env::consts::ARCH;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;

use figures::{BY_READS, Figures};
use server::{Server, Start};

/// Count the instructions of a request and compare them with those checked in
#[derive(Parser)]
struct Options {
    /// Check the figures in as they are now
    #[arg(long)]
    write: bool,
    /// How many percent more than checked in are a failure; four times as many for the request of 1
    /// MB, by its reads
    #[arg(long, default_value_t = 5.0)]
    tolerance: f64,
    /// Keep callgrind's files there, for callgrind_annotate, and compare nothing
    #[arg(long, value_name = "DIR", conflicts_with = "write")]
    keep: Option<PathBuf>,
    /// Write which functions a start runs, for the linker: of a binary that has their names, built
    /// as `just start-order` does
    #[arg(long, value_name = "FILE", conflicts_with_all = ["write", "keep"])]
    order: Option<PathBuf>,
    /// Given by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one run sends.
#[derive(Clone, Copy, Default)]
struct Work {
    /// Its user has limits.
    has_limits: bool,
    plain: u64,
    streams: u64,
    events_a_stream: u64,
    large: u64,
}

/// Code that runs once, such as filling a pool, is in every run.
const WARM_UP: Work = Work {
    has_limits: false,
    plain: 100,
    streams: 20,
    events_a_stream: 10,
    large: 2,
};
const PLAIN: u64 = 2_000;
const STREAMS: u64 = 500;
const EVENTS: u64 = 10;
const EVENTS_LONG: u64 = 60;
const LARGE: u64 = 40;

fn main() -> ExitCode {
    let options = Options::parse();
    if !options.bench {
        eprintln!("counting takes its time: run it by `cargo bench --bench instructions`");
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether nothing costs more than it may.
fn run(options: &Options) -> io::Result<bool> {
    let valgrind = version_of("valgrind").map_err(|error| {
        io::Error::other(format!("valgrind does not start ({error}), install it"))
    })?;
    if let Some(file) = &options.order {
        return order::write(file).map(|()| true);
    }
    let tools = format!("{}, {valgrind}, {ARCH}", version_of("rustc")?);
    if let Some(keep) = &options.keep {
        fs::create_dir_all(keep)?;
    }
    let counted = measure(options.keep.as_deref())?;
    if options.keep.is_some() {
        print!("{counted}");
        return Ok(true);
    }
    if options.write {
        counted.write(&tools)?;
        print!("{counted}");
        return Ok(true);
    }
    let checked_in = Figures::checked_in()?;
    print!("{}", counted.beside(&checked_in));
    if checked_in.tools != tools {
        eprintln!(
            "not compared: checked in by {}, now {tools}",
            checked_in.tools
        );
        return Ok(true);
    }
    let costlier = counted.costlier_than(&checked_in, options.tolerance);
    for name in &costlier {
        let tolerance = options.tolerance;
        eprintln!("{name}: too much above what is checked in, at {tolerance} %");
    }
    Ok(costlier.is_empty())
}

fn measure(keep: Option<&Path>) -> io::Result<Figures> {
    let stream = |events_a_stream| Work {
        streams: STREAMS,
        events_a_stream,
        ..Work::default()
    };
    let plain = Work {
        plain: PLAIN,
        ..Work::default()
    };
    let large = Work {
        large: LARGE,
        ..Work::default()
    };
    let nothing = |has_limits| Work {
        has_limits,
        ..Work::default()
    };
    let nothing_limited = count("nothing-limited", nothing(true), keep)?;
    let limited = Work {
        has_limits: true,
        ..plain
    };
    let limited = count("limited", limited, keep)?.saturating_sub(nothing_limited);
    let nothing = count("nothing", nothing(false), keep)?;
    let beyond = |name, work| Ok::<_, io::Error>(count(name, work, keep)?.saturating_sub(nothing));
    let plain = beyond("plain", plain)?;
    let short = beyond("streams", stream(EVENTS))?;
    let long = beyond("long-streams", stream(EVENTS_LONG))?;
    let large = beyond("large", large)?;
    Ok(Figures::new([
        ("plain request", plain / PLAIN),
        ("with all limits", limited / PLAIN),
        ("stream of 10 events", short / STREAMS),
        (
            "further event",
            long.saturating_sub(short) / (STREAMS * (EVENTS_LONG - EVENTS)),
        ),
        (BY_READS, large / LARGE),
    ]))
}

/// Instructions of a whole process: start, warm-up, work, end.
fn count(name: &str, work: Work, keep: Option<&Path>) -> io::Result<u64> {
    eprintln!("counting: {name}");
    let has_limits = work.has_limits;
    let mut server = Server::start(Start::Counted { has_limits })?;
    for work in [WARM_UP, work] {
        for _ in 0..work.plain {
            server.wire.plain()?;
        }
        for _ in 0..work.streams {
            server.wire.stream(work.events_a_stream)?;
        }
        for _ in 0..work.large {
            server.wire.large()?;
        }
    }
    let written = server.stop()?;
    if let Some(keep) = keep {
        fs::copy(written.path(), keep.join(format!("callgrind.out.{name}")))?;
    }
    written.instructions()
}

fn version_of(program: &str) -> io::Result<String> {
    let output = Command::new(program).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.trim().to_owned())
}

//! `llmproxy db copy`.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use super::{WrongUsage, print, print_json};
use crate::{
    cli::care::DbCopyArgs,
    model::{NanoUsd, grouped},
    store::{
        DatabaseLocation,
        copy::{self, Progress},
    },
};

/// Interval between two words on how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

pub(super) fn copy(args: &DbCopyArgs) -> anyhow::Result<()> {
    let location = |flag: &str, url: &str| {
        DatabaseLocation::parse(url).map_err(|error| WrongUsage(format!("{flag}: {error}")))
    };
    let (from, to) = (location("--from", &args.from)?, location("--to", &args.to)?);
    let mut progress = Shown::default();
    let copied = copy::copy(&from, &to, |now| progress.show(now));
    progress.end();
    let copied = copied?;
    if args.output.json {
        return print_json(&copied);
    }
    print(&format!(
        "copied {from} into {to}: {} new rows; it has {} users, {} keys and {} rows, which cost {} USD; all sums are equal",
        grouped(copied.new_rows.unsigned_abs()),
        grouped(copied.users.unsigned_abs()),
        grouped(copied.keys.unsigned_abs()),
        grouped(copied.rows.unsigned_abs()),
        NanoUsd(copied.cost_nano_usd),
    ))
}

/// How far it is: a line that changes on a terminal, or a line every few seconds.
#[derive(Default)]
struct Shown {
    last: Option<Instant>,
    is_open: bool,
}

impl Shown {
    fn show(&mut self, now: Progress) {
        let is_due = self
            .last
            .is_none_or(|last| last.elapsed() >= PROGRESS_EVERY);
        if !is_due || now.all == 0 {
            return;
        }
        // The first one is too early to say anything.
        let is_first = self.last.replace(Instant::now()).is_none();
        if is_first {
            return;
        }
        let line = format!(
            "{} of {} {}",
            grouped(now.done.unsigned_abs()),
            grouped(now.all.unsigned_abs()),
            now.what
        );
        let mut stderr = std::io::stderr();
        // A closed stderr loses it.
        let _ = if stderr.is_terminal() {
            self.is_open = true;
            write!(stderr, "\r{line:<40}")
        } else {
            writeln!(stderr, "{line}")
        };
    }

    fn end(&self) {
        if self.is_open {
            let _ = writeln!(std::io::stderr());
        }
    }
}

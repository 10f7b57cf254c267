//! `llmproxy import FILE`: users, keys and usage of another program.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use clap::ArgMatches;

use super::{
    WrongUsage, note, print, print_json, print_table, tables,
    target::{Target, of_input},
};
use crate::{
    admin::{AdminError, ImportFile, ImportSummary},
    cli::import::ImportArgs,
    config::env_file::Variables,
    model::{grouped, without_keys},
    store::IfMissing,
};

/// The most users that a person is shown.
const MAX_USERS: usize = 20;
/// Interval between two looks at how far it is, and the rows between two looks at the clock.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
const ROWS_A_LOOK: u64 = 1_024;

pub(super) fn run(
    args: &ImportArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let file = ImportFile {
        path: args.file.clone(),
        format: args.format,
        group: args.group.clone(),
    };
    // Before a new database is made for a file that cannot be imported.
    let read = file.read(&args.target.calendar(matches)?);
    let import = read.map_err(name_each_mistake)?;
    let if_missing = if args.dry_run {
        IfMissing::Pretend
    } else {
        IfMissing::Create
    };
    let Target::File(context) = Target::open(&args.target, matches, variables, if_missing)? else {
        let message = "import works on the database file: run it on the server's machine, without --server and LLMPROXY_SERVER";
        return Err(WrongUsage(message.to_owned()).into());
    };
    let mut progress = Progress::new();
    let mut show = |rows| progress.show(rows);
    let summary = if args.dry_run {
        import.look(&context, &mut show)
    } else {
        import.bring(&context, &mut show)
    };
    progress.clear();
    let summary = summary.map_err(name_each_mistake)?;
    if args.json {
        return print_json(&summary);
    }
    print_summary(&summary)
}

fn print_summary(summary: &ImportSummary) -> anyhow::Result<()> {
    print_table(&tables::import_counts(summary))?;
    let mut users: Vec<_> = summary.users.iter().collect();
    users.retain(|user| user.new_rows > 0 || !user.new_keys.is_empty() || user.fate == "new");
    users.sort_by_key(|user| std::cmp::Reverse(user.cost_usd));
    let more = users.len().saturating_sub(MAX_USERS);
    users.truncate(MAX_USERS);
    if !users.is_empty() {
        print("")?;
        print_table(&tables::imported_users(&users))?;
    }
    if more > 0 {
        print(&format!(
            "and {} more users; --json lists all",
            grouped(u64::try_from(more)?)
        ))?;
    }
    if !summary.notes.is_empty() {
        print("")?;
    }
    for note in &summary.notes {
        print(&without_keys(&note.line()))?;
    }
    print("")?;
    if summary.is_dry_run {
        return print("nothing was written: without --dry-run this is imported");
    }
    let has_come = summary.new_users + summary.new_keys > 0 || summary.new_rows > 0;
    print(if has_come {
        "imported; a running server knows the keys within 250 ms"
    } else {
        "nothing is new: all that can be imported is here already"
    })
}

/// Prints what is wrong with each entry, and returns the error of the whole.
fn name_each_mistake(error: AdminError) -> anyhow::Error {
    match error {
        AdminError::Entries(lines) => {
            for line in &lines {
                note(line);
            }
            anyhow::anyhow!("nothing was imported, because of these mistakes")
        }
        other => of_input(other),
    }
}

/// How far a long import is, on a terminal.
struct Progress {
    is_shown: bool,
    next: Instant,
    has_printed: bool,
}

impl Progress {
    fn new() -> Self {
        Self {
            is_shown: std::io::stderr().is_terminal(),
            next: Instant::now() + PROGRESS_EVERY,
            has_printed: false,
        }
    }

    fn show(&mut self, rows: u64) {
        if !self.is_shown || !rows.is_multiple_of(ROWS_A_LOOK) || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + PROGRESS_EVERY;
        self.has_printed = true;
        let _ = write!(std::io::stderr(), "\r{} rows", grouped(rows));
    }

    fn clear(&mut self) {
        if self.has_printed {
            let _ = write!(std::io::stderr(), "\r{:30}\r", "");
        }
    }
}

//! `llmproxy backup` and `llmproxy restore`.

use std::io::{IsTerminal, Write};

use anyhow::{Context, bail};
use bytesize::ByteSize;
use clap::ArgMatches;
use serde_json::json;

use super::{confirm, note, print, print_json};
use crate::{
    cli::care::{BackupArgs, RestoreArgs},
    model::{format_seconds, grouped},
    store::backup::{self, BackupContents, ExclusiveDatabase},
};

pub(super) fn backup(args: &BackupArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let location = args.database.location(matches)?;
    let location = location.only_file("backup", "use pg_dump, or the backups of the server")?;
    let database = location.as_path();
    if !database.exists() {
        bail!(
            "there is no database at \"{}\": set DATABASE_URL",
            database.display()
        );
    }
    if args.file.as_os_str() == "-" {
        bail!("a backup is written to a file, not to standard output: name one");
    }
    let contents = backup::write(database, &args.file)?;
    if args.output.json {
        return print_json(&json!({
            "file": args.file,
            "bytes": contents.bytes,
            "users": contents.users,
            "rows": contents.rows,
            "newest": contents.newest_ms.map(format_seconds),
        }));
    }
    print(&format!(
        "wrote {}: {}",
        args.file.display(),
        description(&contents)
    ))
}

pub(super) fn restore(args: &RestoreArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let location = args.database.location(matches)?;
    let location = location.only_file("restore", "use pg_restore or psql")?;
    let database = location.as_path();
    let contents = backup::check(&args.file)?;
    let is_there = database.metadata().is_ok_and(|file| file.len() > 0);
    let own = ExclusiveDatabase::take(&location)?;
    if is_there {
        let present = own
            .contents()
            .map_or_else(|error| error.to_string(), |present| description(&present));
        let question = format!(
            "Replace {} ({present})\nby {} ({})?",
            database.display(),
            args.file.display(),
            description(&contents)
        );
        confirm(args.yes, &question)?;
    }
    let mut progress = Progress::new();
    own.restore(&args.file, |done, all| progress.show(done, all))
        .context("the database is as it was before")?;
    progress.end();
    print(&format!(
        "restored {}: {}",
        database.display(),
        description(&contents)
    ))?;
    note("start the server: it knows the users, keys and costs of the backup");
    Ok(())
}

fn description(contents: &BackupContents) -> String {
    let plural = |count: i64| if count == 1 { "" } else { "s" };
    let newest = contents.newest_ms.map_or_else(String::new, |newest| {
        format!(", the newest of {}", format_seconds(newest))
    });
    format!(
        "{} user{}, {} row{}{newest}, {}",
        grouped(contents.users.unsigned_abs()),
        plural(contents.users),
        grouped(contents.rows.unsigned_abs()),
        plural(contents.rows),
        ByteSize::b(contents.bytes).display().iec()
    )
}

/// A line on a terminal that says how far something is.
struct Progress {
    is_shown: bool,
    percent: i32,
}

impl Progress {
    fn new() -> Self {
        Self {
            is_shown: std::io::stderr().is_terminal(),
            percent: 0,
        }
    }

    fn show(&mut self, done: i32, all: i32) {
        let percent = i32::try_from(i64::from(done) * 100 / i64::from(all.max(1))).unwrap_or(0);
        if self.is_shown && percent != self.percent {
            self.percent = percent;
            // A closed stderr loses it.
            let _ = write!(std::io::stderr(), "\r{percent} %");
        }
    }

    fn end(&self) {
        if self.is_shown && self.percent > 0 {
            let _ = write!(std::io::stderr(), "\r      \r");
        }
    }
}

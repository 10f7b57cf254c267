//! `llmproxy prune` and `llmproxy db …`.

use std::{path::Path, time::Duration};

use anyhow::bail;
use bytesize::ByteSize;
use clap::ArgMatches;
use serde_json::json;

use super::{
    WrongUsage,
    listing::{Cell, Column, ColumnKind, Listing},
    note, print, print_json, print_list, tables,
};
use crate::{
    admin::{AdminContext, Audit, AuditCheck},
    cli::care::{DbCheckArgs, DbSizeArgs, PruneArgs},
    model::{format_seconds, grouped, now_ms},
    store::{
        DatabaseLocation, IfMissing, Store,
        prune::{self, FreeSpace},
        size,
    },
};

#[cfg(feature = "sqlite")]
use crate::store::backup::{BackupError, ExclusiveDatabase};

/// The least age, as of RETENTION.
const MIN_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Free space that is worth a word.
const MUCH_FREE_BYTES: u64 = 1024 * 1024;

pub(super) fn prune(args: &PruneArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let age = humantime::parse_duration(args.older_than.trim()).map_err(|_| {
        WrongUsage(format!(
            "--older-than {:?} is no age; use one such as 400d, 18months or 2years",
            args.older_than
        ))
    })?;
    if age < MIN_AGE {
        return Err(WrongUsage(format!(
            "--older-than {:?} is less than a day",
            args.older_than
        ))
        .into());
    }
    let calendar = args.zone.calendar(matches)?;
    let location = args.database.location(matches)?;
    let store = Store::open(&location, IfMissing::Refuse)?;
    let connection = store.own_connection()?;
    let before_ms = prune::cutoff_ms(&calendar, age, now_ms());
    let plan = prune::plan(&connection, &calendar, before_ms)?;
    let (rows, before) = (plan.rows, format_seconds(before_ms));
    if args.dry_run {
        if args.output.json {
            return print_json(&json!({ "before": before, "rows": rows, "dry_run": true }));
        }
        return print(&format!(
            "would delete {} rows from before {before}; their sums would stay",
            grouped(rows)
        ));
    }
    let deleted = prune::delete(&connection, &calendar, &plan, |_| true)?;
    prune::give_back(&connection, || true)?;
    let free = prune::free_space(&connection)?;
    drop(connection);
    drop(store);
    let free = give_back_all(&location, free)?;
    if args.output.json {
        return print_json(&json!({ "before": before, "rows": deleted, "free_bytes": free.bytes }));
    }
    print(&format!(
        "deleted {} rows from before {before}; their sums stay",
        grouped(deleted)
    ))?;
    if free.bytes > MUCH_FREE_BYTES {
        note(&format!(
            "{} are free inside the file and will be used again; this command gives them back to the disk while no server runs",
            ByteSize::b(free.bytes).display().iec()
        ));
    }
    Ok(())
}

#[cfg(not(feature = "sqlite"))]
fn give_back_all(_: &DatabaseLocation, free: FreeSpace) -> anyhow::Result<FreeSpace> {
    Ok(free)
}

/// Writes a file anew that cannot give space back step by step, if nobody has it open.
#[cfg(feature = "sqlite")]
fn give_back_all(location: &DatabaseLocation, free: FreeSpace) -> anyhow::Result<FreeSpace> {
    if free.is_incremental || free.bytes <= MUCH_FREE_BYTES {
        return Ok(free);
    }
    let file = location.only_file("giving space back", "VACUUM does that")?;
    match ExclusiveDatabase::take(&file) {
        Ok(own) => {
            own.vacuum()?;
            Ok(FreeSpace {
                bytes: 0,
                is_incremental: true,
            })
        }
        Err(BackupError::InUse { .. }) => Ok(free),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn check(args: &DbCheckArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let store = Store::open(&args.database.location(matches)?, IfMissing::Refuse)?;
    let damage = store.damage()?;
    let context = AdminContext::of_store(store);
    let mut report = context.run(Audit {})?;
    let differences: Vec<String> = damage.into_iter().collect();
    report.is_consistent &= differences.is_empty();
    let is_file = context.store.location().file().is_some();
    if is_file {
        report.checks.insert(
            0,
            AuditCheck {
                name: "structure of the file".to_owned(),
                compared: 1,
                different: differences.len() as u64,
                differences,
            },
        );
    }
    print_list(&args.output, &report, &tables::audit(&report), "")?;
    if !args.output.json {
        for difference in report.checks.iter().flat_map(|check| &check.differences) {
            note(difference);
        }
    }
    if report.is_consistent {
        return Ok(());
    }
    let how = if is_file {
        " with `llmproxy restore`"
    } else {
        ""
    };
    bail!(
        "{} is not in order: keep a copy, and go back to a backup{how}",
        context.store.location()
    )
}

pub(super) fn size(args: &DbSizeArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let store = Store::open(&args.database.location(matches)?, IfMissing::Refuse)?;
    let length = |path: &Path| path.metadata().map_or(0, |file| file.len());
    let file_bytes = store.file().map(|path| {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        (length(path), length(Path::new(&log)))
    });
    let connection = store.connection()?;
    let size = size::measure(&connection, file_bytes, now_ms())?;
    let bytes = |bytes: i64| Cell {
        shown: ByteSize::b(bytes.unsigned_abs())
            .display()
            .iec()
            .to_string(),
        plain: bytes.to_string(),
    };
    let rows = size.tables.iter().map(|table| {
        vec![
            Cell::text(&table.name),
            Cell::number(table.rows),
            bytes(table.bytes),
        ]
    });
    let listing = Listing {
        columns: vec![
            Column::new("table", "table", ColumnKind::Name),
            Column::new("rows", "rows", ColumnKind::Number),
            Column::new("size", "bytes", ColumnKind::Number),
        ],
        rows: rows.collect(),
        total: None,
    };
    print_list(&args.output, &size, &listing, "")?;
    if args.output.json || args.output.csv {
        return Ok(());
    }
    let iec = |bytes: u64| ByteSize::b(bytes).display().iec();
    note(&format!(
        "{}: {}, of which {} free, and {} of log; {} rows a day of the last week, {} a month",
        store.location(),
        iec(size.file_bytes),
        iec(size.free_bytes),
        iec(size.log_bytes),
        grouped(size.rows_a_day.unsigned_abs()),
        iec(size.bytes_a_day.unsigned_abs() * 30)
    ));
    Ok(())
}

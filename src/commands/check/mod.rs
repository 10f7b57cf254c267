//! `llmproxy check`: would `llmproxy serve` work with these settings, and is anything about them a
//! likely mistake? Nothing is changed.

pub(super) mod backend;
mod database;
mod surroundings;

use anyhow::bail;
use clap::ArgMatches;
use serde::Serialize;

use super::{
    listing::{Cell, Column, ColumnKind, Listing},
    print_list,
};
use crate::{
    cli::start::CheckArgs,
    config::{Config, env_file::Variables},
};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// It works, and may be a mistake.
    Warning,
    /// It does not work.
    Failed,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "WARNING",
            Self::Failed => "FAILED",
        }
    }
}

/// What a check found.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    result: Verdict,
    /// What is so, and what to do about it.
    message: String,
}

impl Finding {
    fn new(check: &'static str, result: Verdict, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            check,
            result,
            message,
        }
    }
}

#[derive(Serialize)]
struct Report {
    checks: Vec<Finding>,
    is_ok: bool,
}

pub(super) fn run(
    args: &CheckArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let mut checks = surroundings::env_file(variables);
    match Config::from_settings(&args.settings, matches, variables) {
        Ok(config) => {
            checks.extend(backend::check(&config));
            checks.extend(database::check(&config));
            checks.extend(surroundings::doors(&config));
        }
        // Without it nothing else can be looked at.
        Err(error) => {
            checks.push(Finding::new("settings", Verdict::Failed, error.to_string()));
        }
    }
    let count = |verdict| {
        checks
            .iter()
            .filter(|check| check.result == verdict)
            .count()
    };
    let (warnings, failures) = (count(Verdict::Warning), count(Verdict::Failed));
    let listing = listing(&checks);
    let is_ok = failures == 0 && (warnings == 0 || !args.strict);
    print_list(&args.output, &Report { checks, is_ok }, &listing, "")?;
    if is_ok {
        return Ok(());
    }
    let plural = |count| if count == 1 { "" } else { "s" };
    bail!(
        "{failures} check{} failed, {warnings} warning{}",
        plural(failures),
        plural(warnings)
    )
}

fn listing(checks: &[Finding]) -> Listing {
    let columns = vec![
        Column::new("check", "check", ColumnKind::Text),
        Column::new("result", "result", ColumnKind::Text),
        Column::new("message", "message", ColumnKind::Name),
    ];
    let row = |finding: &Finding| {
        vec![
            Cell::text(finding.check),
            Cell::text(finding.result.word()),
            Cell::text(&finding.message),
        ]
    };
    Listing {
        columns,
        rows: checks.iter().map(row).collect(),
        total: None,
    }
}

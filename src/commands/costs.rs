//! `llmproxy costs`: who used how many tokens.

use anyhow::Context;
use clap::ArgMatches;

use super::{
    WrongUsage, open_existing, print, print_json,
    tables::{self, Lines},
};
use crate::{
    cli::CostsArgs,
    model::{Dimension, TimeRange, now_ms},
    store::costs::{self, CostReport, Split, SplitReport},
};

/// A report of either kind.
enum Report {
    Users(CostReport),
    Split(SplitReport),
}

pub(super) fn run(args: &CostsArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let range = TimeRange::parse(
        args.last_hours.as_deref(),
        args.start_time.as_deref(),
        args.end_time.as_deref(),
        now_ms(),
    )
    // Flags are written with hyphens.
    .map_err(|error| WrongUsage(error.to_string().replace('_', "-")))?;
    let split = if args.by_model {
        Split::ByModel
    } else {
        Split::None
    };
    let store = open_existing(&args.database.path(matches)?)?;
    let mut connection = store.connection()?;
    let user = args.user.as_deref().map(str::trim);
    let by = Dimension::without_doubles(&args.by);
    let report = if by.is_empty() {
        costs::report(&mut connection, range, split, user).map(Report::Users)
    } else {
        costs::split_report(&mut connection, range, &by, user).map(Report::Split)
    };
    let report = report.map_err(|error| store.explain(error))?;
    if args.output.json {
        return match report {
            Report::Users(report) => print_json(&report),
            Report::Split(report) => print_json(&report),
        };
    }
    let lines = match &report {
        Report::Users(report) => Lines::of_users(report, split),
        Report::Split(report) => Lines::of_split(report),
    };
    if args.csv {
        return print(csv(&lines)?.trim_end());
    }
    match report {
        Report::Users(report) if report.costs.is_empty() => {
            print("no users yet: add one with `llmproxy user add NAME`")
        }
        Report::Split(report) if report.costs.is_empty() => {
            print("nothing was used in this period")
        }
        _ => print(&tables::costs(&lines)),
    }
}

/// Formats lines as CSV (RFC 4180) with LF as line end.
fn csv(lines: &Lines) -> anyhow::Result<String> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let totals = [
        "total_requests",
        "total_input_tokens",
        "total_cached_tokens",
        "total_output_tokens",
        "total_reasoning_tokens",
        "total_audio_seconds",
        "total_images",
        "estimated_requests",
        "estimated_input_tokens",
        "estimated_output_tokens",
    ];
    out.write_record(lines.members.iter().chain(&totals))?;
    for (labels, sum) in &lines.sums {
        let numbers = [
            sum.total_requests,
            sum.total_input_tokens,
            sum.total_cached_tokens,
            sum.total_output_tokens,
            sum.total_reasoning_tokens,
        ];
        let numbers = numbers.iter().map(ToString::to_string);
        let others = [
            seconds(sum.total_audio_ms),
            sum.total_images.to_string(),
            sum.estimated_requests.to_string(),
            sum.estimated_input_tokens.to_string(),
            sum.estimated_output_tokens.to_string(),
        ];
        out.write_record(
            labels
                .iter()
                .map(|label| no_formula(label))
                .chain(numbers)
                .chain(others),
        )?;
    }
    let bytes = out.into_inner().context("cannot write the table")?;
    Ok(String::from_utf8(bytes)?)
}

/// Formats milliseconds as seconds without trailing zeros.
fn seconds(ms: i64) -> String {
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Quotes a label that a spreadsheet would run as a formula. Names of models come from clients.
fn no_formula(label: &str) -> String {
    let is_formula = label.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula && label != "-" {
        return format!("'{label}");
    }
    label.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_the_digits_they_need() {
        for (ms, text) in [
            (0, "0"),
            (1_000, "1"),
            (10_000, "10"),
            (1_500, "1.5"),
            (1_001, "1.001"),
        ] {
            assert_eq!(seconds(ms), text);
        }
    }

    #[test]
    fn cells_that_a_spreadsheet_would_run_are_quoted() {
        assert_eq!(no_formula("=1+1"), "'=1+1");
        assert_eq!(no_formula("gpt-4.1"), "gpt-4.1");
    }
}

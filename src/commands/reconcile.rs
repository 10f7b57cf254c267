//! `llmproxy reconcile`: how far is the ledger from what OpenAI says?

use std::path::Path;

use anyhow::{Context, bail};
use clap::ArgMatches;
use jiff::Timestamp;
use serde_json::{json, value::RawValue};

use super::{
    WrongUsage,
    http::{self, HttpRequest},
    listing::{Cell, Column, ColumnKind, Listing},
    note, print_list,
    target::Target,
};
use crate::{
    admin::{ListCosts, Method, Window},
    cli::money::ReconcileArgs,
    config::{env_file::Variables, extra_roots, openai_admin},
    model::{
        Calendar, Dimension, NanoUsd, Period, format_seconds, format_utc, format_utc_date, grouped,
        now_ms, scaled,
    },
    reconcile::{
        ByDayAndModel, COSTS_PATH, Comparison, CostPage, Drift, Figures, Statement, StatementKind,
        compare,
    },
    store::{IfMissing, reports::SplitReport},
};

const MS_PER_DAY: i64 = 86_400_000;
/// Days that OpenAI puts on one page.
const DAYS_A_PAGE: u32 = 31;
/// The most pages that are asked for.
const MAX_PAGES: usize = 100;
/// The longest file that is read.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

pub(super) fn run(
    args: &ReconcileArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let tolerance = tolerance(&args.tolerance)?;
    // OpenAI's days and months are those of UTC.
    let utc = Calendar::default();
    let month = match &args.month {
        Some(month) => Some(
            utc.parse_period(month, now_ms())
                .map_err(|error| WrongUsage(error.to_string().replace("period", "--month")))?,
        ),
        None => None,
    };
    let days = month.map(|month| {
        let day = |ms: Option<i64>| ms.unwrap_or_default().div_euclid(MS_PER_DAY);
        (day(month.start_ms()), day(month.end_ms()))
    });
    let mut statement = match &args.file {
        Some(path) => read(path)?,
        None => ask(days, variables)?,
    };
    if let Some((first, last)) = days {
        statement.keep_days(first, last);
    }
    let Some((first, last)) = statement.days else {
        bail!("there is no line in it, or none of the month that --month names");
    };
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let ledger = ledger(&target, first, last)?;
    let mut compared = compare(&statement, &ledger);
    if !compared.left_out.is_empty() {
        note(&format!(
            "left out, because the export has none of it: {}",
            compared.left_out.join(", ")
        ));
    }
    let total = compared.total.clone();
    if !args.all {
        let drifts = |line: &Drift| line.basis_points.abs() > tolerance;
        compared.lines.retain(drifts);
    }
    print_list(
        &args.output,
        &compared,
        &listing(&compared),
        "no day and model drifts more than the tolerance",
    )?;
    let said = format!(
        "{} to {}: {}",
        format_utc_date(first),
        format_utc_date(last),
        summary(&compared)
    );
    if total.basis_points.abs() > tolerance {
        bail!(
            "{said}, which is more than the tolerance of {} %",
            args.tolerance
        );
    }
    note(&said);
    Ok(())
}

/// Reads a percentage as hundredths of a percent.
fn tolerance(text: &str) -> anyhow::Result<i64> {
    let points = scaled(text.trim().trim_end_matches('%'), 2);
    match points {
        Ok(points) if points >= 0 => Ok(points),
        _ => Err(WrongUsage(format!(
            "--tolerance {text:?} is no percentage such as 1 or 0.5"
        ))
        .into()),
    }
}

fn read(path: &Path) -> anyhow::Result<Statement> {
    let shown = path.display();
    let length = path
        .metadata()
        .with_context(|| format!("cannot read \"{shown}\""))?
        .len();
    if length > MAX_FILE_BYTES {
        bail!("\"{shown}\" has more than 256 MiB: export fewer days");
    }
    let bytes = std::fs::read(path).with_context(|| format!("cannot read \"{shown}\""))?;
    let text = String::from_utf8(bytes).with_context(|| format!("\"{shown}\" is no text"))?;
    Statement::read(&text).with_context(|| format!("\"{shown}\""))
}

/// Asks OpenAI for the costs of days, or of the current month.
fn ask(days: Option<(i64, i64)>, variables: &Variables) -> anyhow::Result<Statement> {
    let Some(admin) = openai_admin(variables)? else {
        return Err(WrongUsage(
            "name a file that OpenAI's dashboard has exported, or set OPENAI_ADMIN_KEY".to_owned(),
        )
        .into());
    };
    let (first, last) = days.unwrap_or_else(|| {
        let month = Calendar::default().range(Period::Month, now_ms(), 0);
        let today = now_ms().div_euclid(MS_PER_DAY);
        (
            month.start_ms().unwrap_or_default().div_euclid(MS_PER_DAY),
            today,
        )
    });
    let seconds = |day: i64| day * MS_PER_DAY / 1000;
    let url = format!("{}{COSTS_PATH}", admin.base_url);
    let roots = extra_roots(variables);
    let mut statement: Option<Statement> = None;
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let answer = http::send(HttpRequest {
            method: Method::Get,
            url: &url,
            bearer: Some(&admin.key),
            members: json!({
                "start_time": seconds(first),
                "end_time": seconds(last + 1),
                "bucket_width": "1d",
                "group_by": "line_item",
                "limit": DAYS_A_PAGE,
                "page": cursor,
            }),
            extra_roots: roots.as_deref(),
        })?;
        let status = answer.status;
        let page: Box<RawValue> = answer
            .into_json(|refusal| anyhow::anyhow!("{}", refusal.message))
            .with_context(|| match status.as_u16() {
                401 | 403 => "OpenAI refuses OPENAI_ADMIN_KEY, which must be an admin key",
                _ => "OpenAI did not tell the costs",
            })?;
        let page = CostPage::read(page.get()).with_context(|| url.clone())?;
        match &mut statement {
            Some(statement) => statement.extend(page.statement),
            None => statement = Some(page.statement),
        }
        cursor = page.next_page;
        if cursor.is_none() {
            break;
        }
    }
    if cursor.is_some() {
        bail!("OpenAI has more than {MAX_PAGES} pages: ask for fewer days with --month");
    }
    let mut statement = statement.context("OpenAI told no costs")?;
    // Also days without costs were asked for.
    statement.days = Some((first, last));
    Ok(statement)
}

/// Asks for the ledger's sums of these days. Hours are summed here, because a server's days may be those
/// of another time zone.
fn ledger(target: &Target, first: i64, last: i64) -> anyhow::Result<ByDayAndModel> {
    let report = target.run(ListCosts {
        window: Window {
            start_time: Some(format_seconds(first * MS_PER_DAY)),
            end_time: Some(format_utc((last + 1) * MS_PER_DAY - 1)),
            ..Window::default()
        },
        by: Some("hour,model".to_owned()),
        ..ListCosts::default()
    })?;
    let report: SplitReport =
        serde_json::from_str(report.get()).context("cannot read the report")?;
    let mut ledger = ByDayAndModel::new();
    for line in report.costs {
        let (mut day, mut model) = (None, String::new());
        for (dimension, value) in line.values {
            if dimension == Dimension::Model {
                model = value;
            } else {
                let hour: Option<Timestamp> = value.parse().ok();
                day = hour.map(|hour| hour.as_second().div_euclid(MS_PER_DAY / 1000));
            }
        }
        let day = day.context("the report has an hour that is no time")?;
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let usage = &line.totals.usage;
        let figures = Figures {
            requests: line.totals.requests,
            input_tokens: count(usage.input),
            cached_tokens: count(usage.cached),
            output_tokens: count(usage.output),
            nano_usd: line.totals.cost.0,
        };
        ledger.entry((day, model)).or_default().add(&figures);
    }
    Ok(ledger)
}

/// Returns what the ledger has more, in percent: `+0.25`.
fn percent(basis_points: i64) -> String {
    let sign = if basis_points < 0 { '-' } else { '+' };
    let points = basis_points.unsigned_abs();
    format!("{sign}{}.{:02}", points / 100, points % 100)
}

fn summary(compared: &Comparison) -> String {
    let total = &compared.total;
    let percent = percent(total.basis_points);
    match compared.kind {
        StatementKind::Costs => {
            let (ours, theirs) = (
                NanoUsd(total.ledger.nano_usd),
                NanoUsd(total.statement.nano_usd),
            );
            format!(
                "the ledger has {} dollars and OpenAI {}, a drift of {percent} %",
                ours.rounded(),
                theirs.rounded()
            )
        }
        StatementKind::Usage => {
            let tokens = |figures: &Figures| {
                let tokens = figures.input_tokens.saturating_add(figures.output_tokens);
                grouped(tokens.unsigned_abs())
            };
            format!(
                "the ledger has {} tokens and OpenAI {}, a drift of {percent} %",
                tokens(&total.ledger),
                tokens(&total.statement)
            )
        }
    }
}

fn listing(compared: &Comparison) -> Listing {
    use ColumnKind::{Name, Number, Text};
    let mut columns = vec![
        Column::new("day", "day", Text),
        Column::new("model", "model", Name),
    ];
    match compared.kind {
        StatementKind::Costs => columns.extend([
            Column::new("ledger $", "ledger_usd", Number),
            Column::new("OpenAI $", "openai_usd", Number),
            Column::new("drift $", "drift_usd", Number).rank(1),
        ]),
        StatementKind::Usage => columns.extend([
            Column::new("input", "ledger_input_tokens", Number),
            Column::new("drift", "drift_input_tokens", Number),
            Column::new("output", "ledger_output_tokens", Number),
            Column::new("drift", "drift_output_tokens", Number),
            Column::new("cached", "ledger_cached_tokens", Number).rank(3),
            Column::new("drift", "drift_cached_tokens", Number).rank(3),
            Column::new("requests", "ledger_requests", Number).rank(2),
            Column::new("drift", "drift_requests", Number).rank(2),
        ]),
    }
    columns.push(Column::new("drift %", "drift_percent", Number));
    let dollars = |nano: i64| Cell {
        shown: NanoUsd(nano).rounded(),
        plain: NanoUsd(nano).to_string(),
    };
    let row = |line: &Drift, day: &str| {
        let (ours, theirs) = (&line.ledger, &line.statement);
        let mut cells = vec![Cell::text(day), Cell::text(&line.model)];
        match compared.kind {
            StatementKind::Costs => cells.extend([
                dollars(ours.nano_usd),
                dollars(theirs.nano_usd),
                dollars(ours.nano_usd.saturating_sub(theirs.nano_usd)),
            ]),
            StatementKind::Usage => {
                for (ours, theirs) in [
                    (ours.input_tokens, theirs.input_tokens),
                    (ours.output_tokens, theirs.output_tokens),
                    (ours.cached_tokens, theirs.cached_tokens),
                    (ours.requests, theirs.requests),
                ] {
                    cells.push(Cell::number(ours));
                    cells.push(Cell::number(ours.saturating_sub(theirs)));
                }
            }
        }
        cells.push(Cell::text(percent(line.basis_points)));
        cells
    };
    Listing {
        rows: compared
            .lines
            .iter()
            .map(|line| row(line, &line.day))
            .collect(),
        total: Some(row(&compared.total, "TOTAL")),
        columns,
    }
}

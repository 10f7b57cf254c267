//! `llmproxy costs`: who used how many tokens, and what they cost.

use anyhow::Context;
use clap::ArgMatches;

use super::{
    WrongUsage,
    listing::Listing,
    note, print, print_list, print_raw_list,
    tables::{self, CostLines},
    target::{Target, of_input},
};
use crate::{
    admin::{ListCosts, Reprice, Window},
    cli::money::{CostsArgs, CostsCommand, RepriceArgs, WindowArgs},
    config::env_file::Variables,
    model::Dimension,
    store::{
        IfMissing,
        reports::{CostReport, SortBy, SplitReport},
    },
};

pub(super) fn run(
    args: &CostsArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    if let Some(CostsCommand::Reprice(args)) = &args.command {
        return reprice(args, matches, variables);
    }
    let by = Dimension::parse_list(args.by.as_deref().unwrap_or_default())
        .map_err(|error| WrongUsage(format!("--by: {error}")))?;
    let window = window(&args.window);
    // Before there is a database: a wrong time is wrong usage in any case.
    window
        .parse(&args.target.calendar(matches)?)
        .map_err(of_input)?;
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let report = target.run(ListCosts {
        window,
        by_model: args.by_model.then_some(true),
        by: args.by.clone().filter(|_| !by.is_empty()),
        username: args.user.clone(),
        group: args.group.clone(),
        sort: args.sort.clone(),
        top: args.top,
    })?;
    if args.output.json {
        return print(report.get());
    }
    let lines = if by.is_empty() {
        let report: CostReport =
            serde_json::from_str(report.get()).context("cannot read the report")?;
        if report.costs.is_empty() && !args.output.csv {
            return print("no users yet: add one with `llmproxy user add NAME`");
        }
        // A user who was asked for is shown in any case.
        CostLines::of_users(report, args.all || args.user.is_some())
    } else {
        let report: SplitReport =
            serde_json::from_str(report.get()).context("cannot read the report")?;
        CostLines::of_split(report, &by)
    };
    if lines.is_empty() && !args.output.csv {
        return print("nothing was used in this period");
    }
    let sort = args.sort.as_deref().and_then(SortBy::parse);
    let listing = |bars: Option<SortBy>| -> Listing { lines.listing(bars) };
    print_raw_list(&args.output, &listing(None), &listing(sort))?;
    for (model, price) in &lines.priced_as {
        note(&format!(
            "{model} has no price of its own; that of {price} was taken"
        ));
    }
    Ok(())
}

/// Prices usage of the past anew.
fn reprice(args: &RepriceArgs, matches: &ArgMatches, variables: &Variables) -> anyhow::Result<()> {
    let window = window(&args.window);
    window
        .parse(&args.target.calendar(matches)?)
        .map_err(of_input)?;
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let done = target.run(Reprice {
        window,
        model: args.model.clone(),
        dry_run: args.dry_run.then_some(true),
    })?;
    if !done.models.is_empty() || args.output.json {
        let listing = tables::repriced(&done.models);
        print_list(&args.output, &done, &listing, "")?;
    }
    let (rows, changed) = (done.rows, done.changed_rows);
    let verb = if args.dry_run {
        "would change"
    } else {
        "changed"
    };
    let delta = done.cost_delta_usd.rounded();
    let unpriced = done.unpriced_rows;
    note(&format!(
        "{verb} the cost of {changed} of {rows} requests, by {delta} dollars in all; {unpriced} have no price"
    ));
    Ok(())
}

/// Returns the window as the HTTP API takes it.
pub(super) fn window(args: &WindowArgs) -> Window {
    let period = if args.today {
        Some("today".to_owned())
    } else if args.yesterday {
        Some("yesterday".to_owned())
    } else {
        args.month.clone()
    };
    Window {
        last_hours: args.last_hours.clone(),
        start_time: args.start_time.clone(),
        end_time: args.end_time.clone(),
        period,
        since: args.since.clone(),
    }
}

//! `llmproxy costs`: who used how many tokens.

use clap::ArgMatches;

use super::{WrongUsage, open_existing, print, print_json, tables};
use crate::{
    cli::CostsArgs,
    model::{TimeRange, now_ms},
    store::costs::{self, Split},
};

pub(super) fn run(args: &CostsArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let range = TimeRange::parse(
        args.last_hours.as_deref(),
        args.start_time.as_deref(),
        args.end_time.as_deref(),
        now_ms(),
    )
    // As the flags are spelled.
    .map_err(|error| WrongUsage(error.to_string().replace('_', "-")))?;
    let split = if args.by_model {
        Split::ByModel
    } else {
        Split::None
    };
    let store = open_existing(&args.database.path(matches)?)?;
    let report = costs::report(
        &mut *store.connection()?,
        range,
        split,
        args.user.as_deref(),
    )
    .map_err(|error| store.explain(error))?;
    if args.output.json {
        print_json(&report)
    } else if report.costs.is_empty() {
        print("no users yet: add one with `llmproxy user add NAME`")
    } else {
        print(&tables::costs(&report, split))
    }
}

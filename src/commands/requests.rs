//! `llmproxy log` and `llmproxy explain`: single requests.

use std::{io::Write, time::Duration};

use clap::ArgMatches;

use super::{print, print_json, print_list, tables, target::Target};
use crate::{
    admin::{ExplainRequest, ListRequests, RequestList},
    cli::requests::{ExplainArgs, LogArgs},
    config::env_file::Variables,
    store::IfMissing,
};

/// Interval at which new requests are looked for.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

pub(super) fn log(
    args: &LogArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let ask = |cursor: Option<String>| {
        target.run(ListRequests {
            username: args.user.clone(),
            status: args.status.clone(),
            since: cursor.is_none().then(|| args.since.clone()),
            limit: Some(args.limit),
            cursor,
        })
    };
    let mut list = ask(None)?;
    if !args.follow {
        let listing = tables::requests(&list.requests);
        return print_list(&args.output, &list, &listing, "no requests in this time");
    }
    let mut is_open = write_lines(&list, args.output.json)?;
    while is_open {
        std::thread::sleep(FOLLOW_EVERY);
        list = ask(Some(list.cursor))?;
        is_open = write_lines(&list, args.output.json)?;
    }
    Ok(())
}

/// Writes a line for each request. Returns whether somebody still reads.
fn write_lines(list: &RequestList, is_json: bool) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    for request in &list.requests {
        let line = if is_json {
            serde_json::to_string(request)?
        } else {
            tables::request_line(request)
        };
        match writeln!(out, "{line}") {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(false),
            other => other?,
        }
    }
    Ok(true)
}

pub(super) fn explain(
    args: &ExplainArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let explanation = target.run(ExplainRequest {
        request_id: Some(args.request_id.clone()),
    })?;
    if args.output.json {
        return print_json(&explanation);
    }
    print(&tables::explanation(&explanation))
}

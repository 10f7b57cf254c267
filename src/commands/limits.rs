//! `llmproxy limits …`: what is set, and what is left of it.

use clap::ArgMatches;

use super::{print, print_json, print_list, print_table, tables, target::Target};
use crate::{
    admin::{ListLimits, SetLimits, TryLimits},
    cli::limits::{LimitsArgs, LimitsSetArgs, LimitsTryArgs},
    config::env_file::Variables,
    store::IfMissing,
};

pub(super) fn list(
    args: &LimitsArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let list = target.run(ListLimits {
        username: args.user.clone(),
        group: args.group.clone(),
    })?;
    let listing = tables::limits(&list.limits);
    let if_empty = match (&args.user, &args.group) {
        (Some(user), _) => format!("no limits apply to {user:?}"),
        (None, Some(group)) => format!("the group {group:?} has no limits"),
        (None, None) => {
            "no limits yet: set one with `llmproxy limits set --everybody --budget 20usd/month`"
                .to_owned()
        }
    };
    print_list(&args.output, &list, &listing, &if_empty)
}

pub(super) fn set(
    args: &LimitsSetArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let list = target.run(SetLimits {
        username: args.user.clone(),
        group: args.group.clone(),
        everybody: args.everybody.then_some(true),
        changes: args.limits.changes(),
    })?;
    if args.output.json {
        return print_json(&list);
    }
    if list.limits.is_empty() {
        return print("no limits are left");
    }
    print_table(&tables::limits(&list.limits))
}

pub(super) fn try_out(
    args: &LimitsTryArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let tried = target.run(TryLimits {
        username: args.user.clone(),
        group: args.group.clone(),
        everybody: args.everybody.then_some(true),
        since: Some(args.since.clone()),
        limits: args.limits.changes(),
    })?;
    print_list(&args.output, &tried, &tables::tried_limits(&tried), "")?;
    if args.output.json || args.output.csv {
        return Ok(());
    }
    if !tried.users.is_empty() {
        print_table(&tables::tried_users(&tried))?;
    }
    print(&format!(
        "of {} requests since {}, {} would have been refused",
        tried.requests, tried.since, tried.refused
    ))
}

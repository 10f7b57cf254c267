//! `llmproxy alert …`: what an operator should know, and whether the webhooks got it.

use clap::ArgMatches;

use super::{print, print_json, print_list, tables, target::Target};
use crate::{
    admin::{ListAlerts, TestAlert},
    cli::alerts::{AlertListArgs, AlertTestArgs},
    config::env_file::Variables,
    store::IfMissing,
};

pub(super) fn list(
    args: &AlertListArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let list = target.run(ListAlerts { limit: args.limit })?;
    let listing = tables::alerts(&list.alerts);
    print_list(&args.output, &list, &listing, "no alerts")
}

pub(super) fn test(
    args: &AlertTestArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let alert = target.run(TestAlert {})?;
    if args.output.json {
        return print_json(&alert);
    }
    print(&format!(
        "raised the alert {}; a running server with ALERT_WEBHOOK sends it within seconds, and \
         `llmproxy alert list` shows whether it arrived",
        alert.id
    ))
}

//! The commands on usage and cost.

use clap::{Args, ValueHint};

use super::people::ListOutputArgs;
use crate::config::TargetSettings;

#[derive(Debug, Args)]
pub struct CostsArgs {
    #[command(flatten)]
    pub window: WindowArgs,

    /// Print a line for each user and model
    #[arg(long, conflicts_with = "by")]
    pub by_model: bool,

    /// Split the sums by endpoint, model, user, group, key, hour, day, week or month
    ///
    /// Several are separated by commas, such as day,model.
    #[arg(long, value_name = "DIMENSIONS", value_hint = ValueHint::Other)]
    pub by: Option<String>,

    /// Show only this user
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub user: Option<String>,

    /// Show only users who are in this group now
    #[arg(long, value_name = "GROUP", value_hint = ValueHint::Other)]
    pub group: Option<String>,

    /// Sort by cost, tokens or requests, the largest first, or by name
    #[arg(long, value_name = "cost|tokens|requests|name", value_hint = ValueHint::Other)]
    pub sort: Option<String>,

    /// Show only the first N lines
    #[arg(long, value_name = "N", value_hint = ValueHint::Other)]
    pub top: Option<i64>,

    /// List users who used nothing, too
    #[arg(long)]
    pub all: bool,

    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

/// The window of a report.
#[derive(Debug, Default, Args)]
#[group(multiple = true)]
pub struct WindowArgs {
    /// Show only the last N hours, for example 24 or 0.5
    #[arg(long, value_name = "N", value_hint = ValueHint::Other, conflicts_with_all = ["start_time", "end_time"], allow_negative_numbers = true)]
    pub last_hours: Option<String>,

    /// Show only requests from this time on
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other)]
    pub start_time: Option<String>,

    /// Show only requests up to this time
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other)]
    pub end_time: Option<String>,

    /// Show only today
    #[arg(long, conflicts_with_all = ["last_hours", "start_time", "end_time", "yesterday", "month", "since"])]
    pub today: bool,

    /// Show only yesterday
    #[arg(long, conflicts_with_all = ["last_hours", "start_time", "end_time", "month", "since"])]
    pub yesterday: bool,

    /// Show only this month, or the one that is named
    #[arg(long, value_name = "YYYY-MM", num_args = 0..=1, default_missing_value = "month", value_hint = ValueHint::Other, conflicts_with_all = ["last_hours", "start_time", "end_time", "since"])]
    pub month: Option<String>,

    /// Show only what came since, for example 7d or 2026-11-01
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other, conflicts_with_all = ["last_hours", "start_time", "end_time"])]
    pub since: Option<String>,
}

pub(super) const COSTS_EXAMPLES: &str = "\
Examples:
  llmproxy costs --month --by-model
  llmproxy costs --since 7d --sort cost --top 10
  llmproxy costs --start-time 2026-02-01 --end-time 2026-02-28T23:59:59.999Z --json
  llmproxy costs --month 2026-11 --by group --csv > bill.csv
  llmproxy costs --by day,model --user alice";

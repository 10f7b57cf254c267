//! The commands on single requests.

use clap::{Args, ValueHint};

use super::output::{ListOutputArgs, OutputArgs};
use crate::config::TargetSettings;

#[derive(Debug, Args)]
pub struct LogArgs {
    /// Show only the requests of this user
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub user: Option<String>,

    /// Show only this status, such as 429 or 4xx
    #[arg(long, value_name = "STATUS", value_hint = ValueHint::Other)]
    pub status: Option<String>,

    /// Begin at an age such as 1h, or at a time
    #[arg(long, value_name = "TIME", default_value = "1h", value_hint = ValueHint::Other)]
    pub since: String,

    /// Show no more than the newest of these
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100, value_hint = ValueHint::Other)]
    pub limit: i64,

    /// Go on with new requests as they are booked, until it is interrupted
    #[arg(long, short = 'f', conflicts_with_all = ["csv", "table"])]
    pub follow: bool,

    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The id in the header x-llmproxy-request-id of the answer or in the log, or the backend's id
    #[arg(value_name = "REQUEST_ID", value_hint = ValueHint::Other)]
    pub request_id: String,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

pub const LOG_EXAMPLES: &str = "\
Examples:
  llmproxy log
  llmproxy log --user alice --status 4xx --since 1d
  llmproxy log --follow";

pub const EXPLAIN_EXAMPLES: &str = "\
Examples:
  llmproxy explain 01a2291e2e8a79299882d6b7ebc00002
  llmproxy explain req_7b2c --json";

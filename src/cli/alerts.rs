//! The commands on alerts.

use clap::{Args, Subcommand, ValueHint};

use super::output::{ListOutputArgs, OutputArgs};
use crate::config::TargetSettings;

#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// List alerts, the newest first, and whether the webhooks got them
    List(AlertListArgs),

    /// Raise a test alert, which a running server sends to its webhooks within seconds
    Test(AlertTestArgs),
}

#[derive(Debug, Args)]
pub struct AlertListArgs {
    /// Show so many alerts, 100 if it is not set
    #[arg(long, value_name = "N", value_hint = ValueHint::Other)]
    pub limit: Option<i64>,

    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct AlertTestArgs {
    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

pub(super) const ALERT_EXAMPLES: &str = "\
Examples:
  llmproxy alert test
  llmproxy alert list --limit 20";

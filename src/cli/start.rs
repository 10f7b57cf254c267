//! The commands of the first minutes: a demonstration, the set-up, and a check of it.

use clap::{Args, ValueHint};

use super::output::ListOutputArgs;
use crate::config::{InitSettings, ListenSettings, ServeSettings};

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the server running, for an SDK or a browser
    #[arg(long)]
    pub serve: bool,

    /// Port to listen on with --serve; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 0, requires = "serve", value_hint = ValueHint::Other)]
    pub port: u16,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Make this user, too, and print the key
    ///
    /// Without it, the command asks on a terminal.
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub user: Option<String>,

    /// Do not ask the backend whether it accepts the key
    #[arg(long)]
    pub no_check: bool,

    #[command(flatten)]
    pub settings: InitSettings,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Fail on warnings, too
    #[arg(long)]
    pub strict: bool,

    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub settings: Box<ServeSettings>,
}

#[derive(Debug, Args)]
pub struct HealthArgs {
    #[command(flatten)]
    pub listen: ListenSettings,
}

pub const DEMO_EXAMPLES: &str = "\
Examples:
  llmproxy demo
  llmproxy demo --serve --port 8000";

pub const INIT_EXAMPLES: &str = "\
Examples:
  llmproxy init
  llmproxy init --openai-backend-url http://127.0.0.1:8080 --user alice
  pass show openai | llmproxy --env-file /etc/llmproxy.env init --user alice";

pub const CHECK_EXAMPLES: &str = "\
Examples:
  llmproxy check
  llmproxy --env-file /etc/llmproxy.env check --strict";

pub const HEALTH_EXAMPLES: &str = "\
Examples:
  llmproxy health
  llmproxy --env-file /etc/llmproxy.env health";

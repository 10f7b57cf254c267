//! The commands on usage and cost.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::output::{ListOutputArgs, OutputArgs};
use crate::config::TargetSettings;

/// Where LiteLLM's newest price file is.
const LITELLM_PRICES: &str =
    "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json";

#[derive(Debug, Args)]
pub struct CostsArgs {
    #[command(subcommand)]
    pub command: Option<CostsCommand>,

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

#[derive(Debug, Subcommand)]
pub enum CostsCommand {
    /// Price usage of the past anew, and book the difference
    ///
    /// Each request is priced by what holds now for its time: prices of `llmproxy price set`, of
    /// PRICES_FILE and of the program. What that changes is written beside the rows of the ledger,
    /// which stay as they are; all sums include it.
    #[command(after_long_help = REPRICE_EXAMPLES)]
    Reprice(Box<RepriceArgs>),
}

#[derive(Debug, Args)]
pub struct RepriceArgs {
    #[command(flatten)]
    pub window: WindowArgs,

    /// Only requests that asked for this model
    #[arg(long, value_name = "MODEL", value_hint = ValueHint::Other)]
    pub model: Option<String>,

    /// Say what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Subcommand)]
pub enum PriceCommand {
    /// List prices: of one model with all details, or of all models whose names contain a text
    #[command(after_long_help = PRICE_LIST_EXAMPLES)]
    List(PriceListArgs),

    /// Name the models in the ledger whose requests have no price
    Check(PriceCheckArgs),

    /// Set the price of a model, from now or another time on
    ///
    /// It goes before PRICES_FILE and the prices in the program. Requests that were priced before
    /// keep their cost; `llmproxy costs reprice` prices them anew.
    #[command(after_long_help = PRICE_SET_EXAMPLES)]
    Set(Box<PriceSetArgs>),

    /// Withdraw the latest price that was set for a model
    Unset(PriceUnsetArgs),

    /// Get the newest price file of LiteLLM, for PRICES_FILE
    ///
    /// The file is checked and compared with the old one, or with the prices in the program. If it
    /// lacks more than 5 % of the models, or changes a price more than threefold, it is written only
    /// with --yes. A running server reads it when it is restarted.
    #[command(after_long_help = FETCH_EXAMPLES)]
    FetchFile(FetchFileArgs),
}

#[derive(Debug, Args)]
pub struct PriceListArgs {
    /// Name of a model, or a part of names
    #[arg(value_name = "MODEL", value_hint = ValueHint::Other)]
    pub model: Option<String>,

    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct PriceCheckArgs {
    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct PriceSetArgs {
    /// Name of the model, as requests have it
    #[arg(value_name = "MODEL", value_hint = ValueHint::Other)]
    pub model: String,

    /// Further prices, by the names of LiteLLM's price file, in dollars a unit
    ///
    /// For example output_cost_per_token_batches=0.000005.
    #[arg(value_name = "NAME=USD", value_hint = ValueHint::Other)]
    pub fields: Vec<String>,

    /// Dollars for a million input tokens
    #[arg(long, value_name = "USD", value_hint = ValueHint::Other)]
    pub input: Option<String>,

    /// Dollars for a million cached input tokens; half of --input if it is not set
    #[arg(long, value_name = "USD", value_hint = ValueHint::Other)]
    pub cached: Option<String>,

    /// Dollars for a million output tokens
    #[arg(long = "output", id = "output_price", value_name = "USD", value_hint = ValueHint::Other)]
    pub output_price: Option<String>,

    /// Take the price of another model for what is not given
    #[arg(long, value_name = "MODEL", value_hint = ValueHint::Other)]
    pub like: Option<String>,

    /// Time from which on the price holds, for example 2026-12-01
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other)]
    pub from: Option<String>,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct PriceUnsetArgs {
    /// Name of the model
    #[arg(value_name = "MODEL", value_hint = ValueHint::Other)]
    pub model: String,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct FetchFileArgs {
    /// The file to write
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// Where to get it: an https:// or http:// URL, or a local file
    #[arg(long, value_name = "URL|FILE", default_value = LITELLM_PRICES, value_hint = ValueHint::Url)]
    pub from: String,

    /// Write the file also if it lacks models or changes prices a lot
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct UsageArgs {
    #[command(flatten)]
    pub window: WindowArgs,

    /// Split by day, model or key, or several of them, separated by commas
    #[arg(long, value_name = "DIMENSIONS", default_value = "day,model", value_hint = ValueHint::Other)]
    pub by: String,

    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub account: crate::config::AccountSettings,
}

#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// A CSV file of usage or costs that OpenAI's dashboard has exported, or an answer of its API
    ///
    /// Without it, OpenAI's API is asked for the costs, with OPENAI_ADMIN_KEY.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,

    /// Compare this month only
    ///
    /// Without it, all days of the file are compared, or the current month.
    #[arg(long, value_name = "YYYY-MM", value_hint = ValueHint::Other)]
    pub month: Option<String>,

    /// Drift that is no failure, in percent
    #[arg(long, value_name = "PERCENT", default_value = "1", value_hint = ValueHint::Other)]
    pub tolerance: String,

    /// List days and models within the tolerance, too
    #[arg(long)]
    pub all: bool,

    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

pub(super) const RECONCILE_EXAMPLES: &str = "\
Examples:
  llmproxy reconcile cost_2026-11-01_2026-11-30.csv
  OPENAI_ADMIN_KEY=sk-admin-... llmproxy reconcile --month 2026-11 --tolerance 0.5";

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

const REPRICE_EXAMPLES: &str = "\
Examples:
  llmproxy costs reprice --since 2026-11-01 --dry-run
  llmproxy costs reprice --month 2026-11 --model gpt-4o";

pub(super) const PRICE_EXAMPLES: &str = "\
Examples:
  llmproxy price check
  llmproxy price list gpt-5
  llmproxy price set my-model --input 0.20 --output 0.60";

const PRICE_LIST_EXAMPLES: &str = "\
Examples:
  llmproxy price list gpt-5
  llmproxy price list claude --csv";

const PRICE_SET_EXAMPLES: &str = "\
Examples:
  llmproxy price set my-model --input 0.20 --cached 0.05 --output 0.60
  llmproxy price set gpt-5 --like gpt-5 --output 8 --from 2026-12-01
  llmproxy price set my-whisper input_cost_per_second=0.0001";

const FETCH_EXAMPLES: &str = "\
Examples:
  llmproxy price fetch-file prices.json
  PRICES_FILE=prices.json llmproxy serve";

pub(super) const USAGE_EXAMPLES: &str = "\
Examples:
  OPENAI_BASE_URL=http://llmproxy.example:8000/v1 OPENAI_API_KEY=llmp-... llmproxy usage
  llmproxy usage --month --by model";

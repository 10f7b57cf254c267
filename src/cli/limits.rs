//! The commands on limits, and the flags that set limits wherever a user or a group is set up.

use clap::{Args, Subcommand, ValueHint};

use super::output::{ListOutputArgs, OutputArgs};
use crate::{admin::LimitChanges, config::TargetSettings};

const LIMITS: &str = "Limits";

/// Limits of a user, a group or everybody. `none` removes one.
#[derive(Debug, Clone, Default, Args)]
pub struct LimitArgs {
    /// Limit what may be used in a time, such as 20usd/month, 2Mtokens/day, 500requests/week or
    /// 100usd/total; may be given several times
    ///
    /// `none` removes all budgets. A budget of 0 blocks.
    #[arg(long, value_name = "AMOUNT/WINDOW", value_hint = ValueHint::Other, help_heading = LIMITS)]
    pub budget: Vec<String>,

    /// Limit the requests a minute
    #[arg(long, value_name = "N", value_hint = ValueHint::Other, help_heading = LIMITS)]
    pub requests_per_minute: Option<String>,

    /// Limit the tokens a minute, such as 30k
    #[arg(long, value_name = "N", value_hint = ValueHint::Other, help_heading = LIMITS)]
    pub tokens_per_minute: Option<String>,

    /// Limit the requests at the same time
    #[arg(long, value_name = "N", value_hint = ValueHint::Other, help_heading = LIMITS)]
    pub concurrent: Option<String>,

    /// Allow only these models, such as 'gpt-4.1*,o4-mini'
    #[arg(long, value_name = "PATTERNS", value_hint = ValueHint::Other, help_heading = LIMITS)]
    pub models: Option<String>,

    /// Deny these models, whatever else is allowed
    #[arg(long, value_name = "PATTERNS", value_hint = ValueHint::Other, help_heading = LIMITS)]
    pub deny_models: Option<String>,

    /// Limit the output of each answer
    ///
    /// A request that asks for more is refused; one that names no limit gets this one.
    #[arg(long, value_name = "N", value_hint = ValueHint::Other, help_heading = LIMITS)]
    pub max_output_tokens: Option<String>,

    /// Share where requests wait for their turn; 2 gets twice as much as 1
    #[arg(long, value_name = "W", value_hint = ValueHint::Other, help_heading = LIMITS)]
    pub weight: Option<String>,

    /// Allow or refuse models without a price under a budget in dollars
    #[arg(long, value_name = "allow|refuse", value_hint = ValueHint::Other, help_heading = LIMITS)]
    pub unpriced: Option<String>,

    /// Let the limits of this command refuse nothing: they count and alert
    #[arg(long, help_heading = LIMITS)]
    pub watch: bool,

    /// Raise budgets for a while: 20usd raises each in dollars, 20usd/month only that one
    #[arg(long, value_name = "AMOUNT", value_hint = ValueHint::Other, help_heading = LIMITS)]
    pub extra: Option<String>,

    /// End of --extra: a time such as 7d, or a date
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other, help_heading = LIMITS)]
    pub until: Option<String>,
}

impl LimitArgs {
    /// Returns the changes that the flags ask for.
    #[must_use]
    pub fn changes(&self) -> LimitChanges {
        LimitChanges {
            budget: self.budget.clone(),
            requests_per_minute: self.requests_per_minute.clone(),
            tokens_per_minute: self.tokens_per_minute.clone(),
            concurrent: self.concurrent.clone(),
            models: self.models.clone(),
            deny_models: self.deny_models.clone(),
            max_output_tokens: self.max_output_tokens.clone(),
            weight: self.weight.clone(),
            unpriced: self.unpriced.clone(),
            watch: self.watch.then_some(true),
            extra: self.extra.clone(),
            until: self.until.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub struct LimitsArgs {
    #[command(subcommand)]
    pub command: Option<LimitsCommand>,

    /// Show all limits that apply to this user
    #[arg(value_name = "USER", value_hint = ValueHint::Other)]
    pub user: Option<String>,

    /// Show the limits of this group
    #[arg(long, value_name = "GROUP", conflicts_with = "user", value_hint = ValueHint::Other)]
    pub group: Option<String>,

    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// Set limits of everybody, a group or a user
    ///
    /// A limit of everybody is the default of each user who has none of the kind; all budgets in
    /// dollars are of one kind, and so are those in tokens and in requests.
    #[command(after_long_help = LIMITS_SET_EXAMPLES)]
    Set(Box<LimitsSetArgs>),

    /// Say what limits would have refused, without setting them
    ///
    /// It replays the requests of the ledger, last week's unless --since says otherwise, with what
    /// they really used. Only the limits of this command are tried, none that is set.
    #[command(after_long_help = LIMITS_TRY_EXAMPLES)]
    Try(Box<LimitsTryArgs>),
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("subject").required(true).args(["everybody", "group", "user"]))]
pub struct LimitsTryArgs {
    /// Try them as the default of all users
    #[arg(long)]
    pub everybody: bool,

    /// Try them on this group
    #[arg(long, value_name = "GROUP", value_hint = ValueHint::Other)]
    pub group: Option<String>,

    /// Try them on this user
    #[arg(value_name = "USER", value_hint = ValueHint::Other)]
    pub user: Option<String>,

    /// Beginning of the requests: an age such as 7d, or a time
    #[arg(long, value_name = "TIME", default_value = "7d", value_hint = ValueHint::Other)]
    pub since: String,

    #[command(flatten)]
    pub limits: LimitArgs,

    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("subject").required(true).args(["everybody", "group", "user"]))]
pub struct LimitsSetArgs {
    /// Set the default of all users
    #[arg(long)]
    pub everybody: bool,

    /// Set limits of this group
    #[arg(long, value_name = "GROUP", value_hint = ValueHint::Other)]
    pub group: Option<String>,

    /// Set limits of this user
    #[arg(long, value_name = "USER", value_hint = ValueHint::Other)]
    pub user: Option<String>,

    #[command(flatten)]
    pub limits: LimitArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

pub(super) const AUDIT_EXAMPLES: &str = "\
Examples:
  llmproxy audit
  llmproxy audit --server http://127.0.0.1:8000";

pub(super) const LIMITS_EXAMPLES: &str = "\
Examples:
  llmproxy limits
  llmproxy limits alice
  llmproxy limits set --everybody --budget 20usd/month --requests-per-minute 60";

const LIMITS_TRY_EXAMPLES: &str = "\
Examples:
  llmproxy limits try alice --budget 2usd/day
  llmproxy limits try --everybody --requests-per-minute 20 --since 30d";

const LIMITS_SET_EXAMPLES: &str = "\
Examples:
  llmproxy limits set --everybody --budget 20usd/month
  llmproxy limits set --group course-7 --budget 500usd/total --models 'gpt-4.1*,o4-mini'
  llmproxy limits set --user alice --budget none";

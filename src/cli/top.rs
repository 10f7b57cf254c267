//! The command `top`.

use clap::{Args, ValueHint};

use crate::config::TargetSettings;

#[derive(Debug, Args)]
pub struct TopArgs {
    /// Sort by in_flight, waiting, requests, tokens, first_byte, refused, cost, budget or name
    #[arg(long, value_name = "COLUMN", default_value = "in_flight", value_hint = ValueHint::Other)]
    pub sort: String,

    /// Show only users whose name or group contains this
    #[arg(long, value_name = "TEXT", value_hint = ValueHint::Other)]
    pub filter: Option<String>,

    /// Show users too who did nothing today
    #[arg(long)]
    pub all: bool,

    /// Time between two looks
    #[arg(long, value_name = "TIME", default_value = "1s", value_hint = ValueHint::Other,
          value_parser = interval)]
    pub interval: std::time::Duration,

    /// Print the users once, as a list, and end
    #[arg(long)]
    pub once: bool,

    /// Print the JSON of `GET /admin/live` once, and end
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub target: TargetSettings,
}

/// Reads an interval such as `500ms`, from 100 ms to a minute.
fn interval(text: &str) -> Result<std::time::Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (100..=60_000).contains(&interval.as_millis()) {
        return Ok(interval);
    }
    Err("from 100ms to 1m".to_owned())
}

pub const TOP_EXAMPLES: &str = "\
Examples:
  llmproxy top
  llmproxy top --server https://llm.example.org --sort cost
  llmproxy top --once
  llmproxy top --json | jq .cost_today

Keys:
  Up Down PgUp PgDn Home End   move; also j and k
  Tab     users, live requests, last errors
  i w r t sort by in flight, waiting, requests a minute, tokens a minute
  b x c u sort by first byte, refused, cost today, budget used
  n       sort by name
  < >     sort by the column to the left or right
  /       filter users by name or group; Esc clears the filter
  a       show users too who did nothing today, or only those who did
  f       forbid all keys of the selected user, or allow them; it asks first
  p       pause
  ?       this help
  q       quit; also Ctrl-C";

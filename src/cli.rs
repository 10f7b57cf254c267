//! The command line: every command, flag and help text. Completions, man pages and docs/settings.md
//! are generated from it.

use std::{
    ffi::{OsStr, OsString},
    io::ErrorKind,
    path::PathBuf,
};

use anyhow::{Context, anyhow};
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};

use crate::config::{DatabaseSettings, KeySettings, ServeSettings, env_file::Variables};
use crate::model::Dimension;

/// Env file that is read if it exists, unless `--env-file` names another one.
const DEFAULT_ENV_FILE: &str = ".env";

/// Share one OpenAI key: an OpenAI-compatible proxy with a key per user and an exact token ledger
/// in SQLite.
///
/// Every setting is a flag, an environment variable and a line of `.env`, in that order of
/// precedence.
#[derive(Debug, Parser)]
#[command(
    name = "llmproxy",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_long_help = EXAMPLES
)]
pub struct Cli {
    /// Read settings from this file instead of `.env` in the working directory
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Option<PathBuf>,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the proxy
    ///
    /// It checks the key of each user, forwards requests to the backend, streams the answers back
    /// and books their tokens.
    #[command(after_long_help = SERVE_EXAMPLES)]
    Serve(Box<ServeSettings>),

    /// Add, list, forbid and allow users
    ///
    /// The commands work on the database file, whether the server runs or not. A running server
    /// notices changes within 250 ms.
    #[command(subcommand, after_long_help = USER_EXAMPLES)]
    User(UserCommand),

    /// Show who used how many tokens
    ///
    /// The command works on the database file, whether the server runs or not. Bounds are
    /// inclusive. Times are ISO 8601 with `Z`, an offset or neither (UTC). A date alone means its
    /// midnight.
    #[command(after_long_help = COSTS_EXAMPLES)]
    Costs(CostsArgs),

    /// Write completions/, man/ and docs/settings.md into a directory
    #[command(hide = true)]
    Generate {
        /// The directory to write into
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user and print the new key
    ///
    /// The key is printed in a table on a terminal, and alone in a pipe.
    #[command(after_long_help = USER_ADD_EXAMPLES)]
    Add(UserAddArgs),

    /// List all users with masked keys
    #[command(after_long_help = USER_LIST_EXAMPLES)]
    List(UserListArgs),

    /// Stop a user's key at once
    ///
    /// The user and the usage so far stay in the database. It is no error to forbid a user twice.
    #[command(after_long_help = USER_FORBID_EXAMPLES)]
    Forbid(UserAccessArgs),

    /// Allow a forbidden user's key again
    #[command(after_long_help = USER_ALLOW_EXAMPLES)]
    Allow(UserAccessArgs),

    /// Replace all stored keys by their hashes, which cannot be undone
    ///
    /// All keys go on working, but they cannot be shown again: lists show their first and last
    /// characters. New keys are hashed, too, and shown only when they are made. Older backups still
    /// contain the keys.
    #[command(after_long_help = USER_HASH_KEYS_EXAMPLES)]
    HashKeys(UserHashKeysArgs),
}

#[derive(Debug, Args)]
pub struct UserAddArgs {
    /// Name of the new user: 1 to 128 characters
    #[arg(value_name = "NAME")]
    pub name: String,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub database: DatabaseSettings,

    #[command(flatten)]
    pub keys: KeySettings,
}

#[derive(Debug, Args)]
pub struct UserListArgs {
    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub database: DatabaseSettings,
}

#[derive(Debug, Args)]
pub struct UserHashKeysArgs {
    #[command(flatten)]
    pub database: DatabaseSettings,
}

#[derive(Debug, Args)]
pub struct UserAccessArgs {
    /// Name of the user, or the key itself
    #[arg(value_name = "NAME|KEY", value_hint = ValueHint::Other)]
    pub who: String,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub database: DatabaseSettings,
}

#[derive(Debug, Args)]
pub struct CostsArgs {
    /// Show only the last N hours, for example 24 or 0.5
    #[arg(long, value_name = "N", value_hint = ValueHint::Other, conflicts_with_all = ["start_time", "end_time"], allow_negative_numbers = true)]
    pub last_hours: Option<String>,

    /// Show only requests from this time on
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other)]
    pub start_time: Option<String>,

    /// Show only requests up to this time
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other)]
    pub end_time: Option<String>,

    /// Print a line for each user and model
    #[arg(long, conflicts_with = "by")]
    pub by_model: bool,

    /// Split the sums by endpoint, model, user or day (UTC); several are separated by commas
    #[arg(long, value_name = "endpoint|model|user|day", value_delimiter = ',', value_hint = ValueHint::Other)]
    pub by: Vec<Dimension>,

    /// Show only this user
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub user: Option<String>,

    #[command(flatten)]
    pub output: OutputArgs,

    /// Print CSV with a header line
    ///
    /// A name that a spreadsheet would take for a formula gets a ' in front.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,

    #[command(flatten)]
    pub database: DatabaseSettings,
}

#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Print the JSON that the HTTP admin API returns
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  OPENAI_API_KEY=sk-... llmproxy serve
  llmproxy user add alice
  llmproxy costs --last-hours 24 --by-model";

const SERVE_EXAMPLES: &str = "\
Examples:
  OPENAI_API_KEY=sk-... llmproxy serve
  OPENAI_API_KEY= llmproxy serve --openai-backend-url http://127.0.0.1:8080 --port 9000
  llmproxy --env-file /etc/llmproxy.env serve";

const USER_EXAMPLES: &str = "\
Examples:
  llmproxy user add alice
  llmproxy user forbid alice";

const USER_LIST_EXAMPLES: &str = "\
Examples:
  llmproxy user list
  llmproxy user list --json --database-url sqlite:////var/lib/llmproxy/llm_proxy.db";

const USER_FORBID_EXAMPLES: &str = "\
Examples:
  llmproxy user forbid alice
  llmproxy user forbid llmp-...";

const USER_ALLOW_EXAMPLES: &str = "\
Examples:
  llmproxy user allow alice";

const USER_HASH_KEYS_EXAMPLES: &str = "\
Examples:
  llmproxy user hash-keys";

const USER_ADD_EXAMPLES: &str = "\
Examples:
  llmproxy user add alice
  KEY=$(llmproxy user add alice)";

const COSTS_EXAMPLES: &str = "\
Examples:
  llmproxy costs --last-hours 24 --by-model
  llmproxy costs --start-time 2026-02-01 --end-time 2026-02-28T23:59:59.999Z --json
  llmproxy costs --by day,model --user alice
  llmproxy costs --by endpoint,user --csv > costs.csv";

/// Parses the command line. The matches say where each value came from.
///
/// # Errors
/// [`clap::Error`] for wrong usage, help and version.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    variables: &Variables,
) -> Result<(Cli, ArgMatches), clap::Error> {
    let matches = with_file(Cli::command(), variables).try_get_matches_from(args)?;
    let cli = Cli::from_arg_matches(&matches)?;
    Ok((cli, matches))
}

/// Replaces defaults by the values of the env file. clap itself prefers flags and the environment
/// to defaults. The help does not show these values, because some are secret.
fn with_file(command: clap::Command, variables: &Variables) -> clap::Command {
    command
        .mut_args(|arg| {
            let name = arg.get_env().and_then(OsStr::to_str);
            match name.and_then(|name| variables.in_file(name)) {
                Some(value) => arg.default_value(value.to_owned()).hide_default_value(true),
                None => arg,
            }
        })
        .mut_subcommands(|command| with_file(command, variables))
}

/// Reads the env file.
///
/// # Errors
/// An error if the file of `--env-file` is missing, or if a file cannot be read.
pub fn variables(args: impl IntoIterator<Item = OsString>) -> anyhow::Result<Variables> {
    // Arguments after `--` are not flags.
    let args: Vec<OsString> = args.into_iter().take_while(|arg| arg != "--").collect();
    if args
        .iter()
        .any(|arg| matches!(arg.to_str(), Some("-h" | "--help" | "-V" | "--version")))
    {
        return Ok(Variables::default());
    }
    let named = named_env_file(args);
    let path = named.clone().unwrap_or_else(|| DEFAULT_ENV_FILE.into());
    match std::fs::read(&path) {
        Ok(bytes) => Variables::read(&bytes)
            // The file is not added as context, because a colon would follow it.
            .map_err(|error| anyhow!("\"{}\" {error}", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => {
            Ok(Variables::default())
        }
        Err(error) => {
            Err(error).with_context(|| format!("cannot read the env file \"{}\"", path.display()))
        }
    }
}

/// Returns the name of the variable that is not UTF-8. clap reports an argument without its name.
pub fn variable_not_utf8(
    error: &clap::Error,
    args: impl IntoIterator<Item = OsString>,
) -> Option<String> {
    let is_argument = || args.into_iter().any(|arg| arg.to_str().is_none());
    if error.kind() != clap::error::ErrorKind::InvalidUtf8 || is_argument() {
        return None;
    }
    not_utf8(&Cli::command())
}

fn not_utf8(command: &clap::Command) -> Option<String> {
    let of_this = command.get_arguments().filter_map(|arg| {
        let name = arg.get_env()?;
        let value = std::env::var_os(name)?;
        value
            .to_str()
            .is_none()
            .then(|| name.to_string_lossy().into_owned())
    });
    let of_others = command.get_subcommands().filter_map(not_utf8);
    of_this.chain(of_others).next()
}

/// Finds the value of `--env-file`, which must be known before clap reads the environment.
fn named_env_file(args: impl IntoIterator<Item = OsString>) -> Option<PathBuf> {
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--env-file" {
            return args.next().map(PathBuf::from);
        }
        if let Some(path) = arg.to_str().and_then(|arg| arg.strip_prefix("--env-file=")) {
            return Some(PathBuf::from(path));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_env_file_is_found_in_both_forms() {
        let find = |args: &[&str]| named_env_file(args.iter().map(OsString::from));
        assert_eq!(
            find(&["llmproxy", "--env-file", "a", "serve"]),
            Some("a".into())
        );
        assert_eq!(
            find(&["llmproxy", "serve", "--env-file=b"]),
            Some("b".into())
        );
        assert_eq!(find(&["llmproxy", "user", "add", "b"]), None);
    }
}

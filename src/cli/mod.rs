//! The command line: every command, flag and help text. Completions, man pages and docs/settings.md
//! are generated from it.

pub mod alerts;
pub mod care;
pub mod import;
pub mod limits;
pub mod money;
pub mod output;
pub mod people;
pub mod requests;
pub mod start;
pub mod top;

use std::{
    ffi::{OsStr, OsString},
    io::ErrorKind,
    path::PathBuf,
};

use anyhow::{Context, anyhow, bail};
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};

use crate::config::{ServeSettings, env_file::Variables, misspelt_name};

/// Env file that is read if it exists, unless `--env-file` names another one.
pub const DEFAULT_ENV_FILE: &str = ".env";

/// Share one OpenAI key: an OpenAI-compatible proxy with a key per user and an exact token ledger
/// in SQLite or PostgreSQL.
///
/// Every setting is a flag, an environment variable and a line of `.env`, in that order of
/// precedence.
#[derive(Debug, Parser)]
#[command(
    name = "llmproxy",
    version = version(),
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

    /// Show the whole way of a request, without a key of OpenAI
    ///
    /// A look-alike of OpenAI answers "You said: …", the proxy stands between, and the database is
    /// temporary: a user is made, asks once plainly and once streamed, and the costs are shown.
    /// Nothing is left behind, no setting is read, and only this machine is reached.
    #[command(after_long_help = start::DEMO_EXAMPLES)]
    Demo(start::DemoArgs),

    /// Ask for the backend's key, try it, and write `.env`
    ///
    /// The key is not shown while it is typed; in a script it is read from standard input. The file
    /// can be read by its owner only. An existing file is never overwritten. --env-file names
    /// another one.
    #[command(after_long_help = start::INIT_EXAMPLES)]
    Init(Box<start::InitArgs>),

    /// Look for mistakes in the settings and around them
    ///
    /// Does the backend answer and accept the key, can the database be written, is there room on the
    /// disk, who may read the env file, is the clock right, what is open to whom, which models have
    /// no price? The settings are those of `llmproxy serve`. The exit code is 1 if a check failed.
    #[command(after_long_help = start::CHECK_EXAMPLES)]
    Check(Box<start::CheckArgs>),

    /// Ask the server on this machine whether it serves
    ///
    /// It asks for /health where HOST and PORT say, and by TLS if TLS_CERT_FILE is set. The exit code
    /// is 1 if no answer comes within seconds. It is for health checks of containers without curl.
    #[command(after_long_help = start::HEALTH_EXAMPLES)]
    Health(start::HealthArgs),

    /// Add, list, rename, rotate, forbid and delete users
    ///
    /// The commands work on the database, whether the server runs or not. A running server
    /// notices changes within 250 ms.
    #[command(subcommand, after_long_help = people::USER_EXAMPLES)]
    User(people::UserCommand),

    /// Add, list, change and revoke single keys of users
    ///
    /// A user may have any number of keys, for example one for each machine. Usage is booked to user
    /// and key.
    #[command(subcommand, after_long_help = people::KEY_EXAMPLES)]
    Key(people::KeyCommand),

    /// Put users into groups, such as courses or teams
    #[command(subcommand, after_long_help = people::GROUP_EXAMPLES)]
    Group(people::GroupCommand),

    /// Show who used how many tokens, and what they cost
    ///
    /// Bounds are inclusive. Times are ISO 8601 with `Z`, an offset or neither (UTC). A date alone
    /// means its midnight. Days, weeks and months are those of TIME_ZONE.
    #[command(after_long_help = money::COSTS_EXAMPLES, args_conflicts_with_subcommands = true)]
    Costs(money::CostsArgs),

    /// Show limits and what is left of them
    ///
    /// Without a user or group it lists everything that is set. With --server it also knows what is
    /// in flight.
    #[command(after_long_help = limits::LIMITS_EXAMPLES, args_conflicts_with_subcommands = true)]
    Limits(Box<limits::LimitsArgs>),

    /// Compare the ledger with all sums that are derived from it
    ///
    /// It adds up all rows and compares with the hourly and daily sums and with the reports; with
    /// --server also with the budgets in the server's memory. The exit code is 1 if anything differs.
    #[command(after_long_help = limits::AUDIT_EXAMPLES)]
    Audit(limits::AuditArgs),

    /// Watch who does what, on a terminal
    ///
    /// For each user: requests in flight and waiting, requests and tokens of the last minute, mean
    /// time to the first byte, refusals, cost today, and how much of the fullest budget is used. With
    /// --server it asks a running server. The file alone knows of a request when it has run for a
    /// second, and of none that waits.
    #[command(after_long_help = top::TOP_EXAMPLES)]
    Top(Box<top::TopArgs>),

    /// List the last requests, also those that were refused
    ///
    /// Each has an id, which the client has in the header x-llmproxy-request-id of its answer, and
    /// which `llmproxy explain` takes.
    #[command(after_long_help = requests::LOG_EXAMPLES)]
    Log(requests::LogArgs),

    /// Say everything that is known of a request
    ///
    /// Who asked for what, how it ended and when, what it used and cost and by which price, and the
    /// limits of its user.
    #[command(after_long_help = requests::EXPLAIN_EXAMPLES)]
    Explain(requests::ExplainArgs),

    /// List, check and set prices of models
    #[command(subcommand, after_long_help = money::PRICE_EXAMPLES)]
    Price(money::PriceCommand),

    /// Bring users, keys and usage over from another program
    ///
    /// It reads the SQLite database of the Python service, that of one-api or new-api, or LiteLLM's
    /// virtual keys as CSV or JSON. Keys go on working unchanged. The file is never changed, and
    /// importing it again adds only what is new in it. If anything cannot be imported, it is named,
    /// and nothing is.
    #[command(after_long_help = import::IMPORT_EXAMPLES)]
    Import(import::ImportArgs),

    /// Compare the ledger with what OpenAI says, by day and model
    ///
    /// Days are those of UTC, as OpenAI's are, and dated models count to their base models. The exit
    /// code is 1 if the two are further apart than the tolerance. Usage that did not go through the
    /// proxy, discounts and credits are drift, too.
    #[command(after_long_help = money::RECONCILE_EXAMPLES)]
    Reconcile(Box<money::ReconcileArgs>),

    /// List alerts, and try whether they arrive
    ///
    /// Alerts say that the ledger or the backend's key fails, that a budget is nearly used up, or
    /// that a key expires soon. ALERT_WEBHOOK says where the server sends them.
    #[command(subcommand, after_long_help = alerts::ALERT_EXAMPLES)]
    Alert(alerts::AlertCommand),

    /// Show what you have used, with your own key
    ///
    /// For people who have a key of a proxy and nothing else. The key is read from the variable
    /// OPENAI_API_KEY or from `.env`, the address from OPENAI_BASE_URL, like in OpenAI's SDKs.
    #[command(after_long_help = money::USAGE_EXAMPLES)]
    Usage(Box<money::UsageArgs>),

    /// Write a copy of the database, while the server runs
    ///
    /// The copy is of one moment, has no free space in it, and can be read by its owner only. It
    /// appears under its name when every page of it has been read back without an error.
    #[command(after_long_help = care::BACKUP_EXAMPLES)]
    Backup(care::BackupArgs),

    /// Put a backup in the place of the database, while no server runs
    ///
    /// The backup is read completely before anything is changed. After a crash in the middle the
    /// database has its old contents.
    #[command(after_long_help = care::BACKUP_EXAMPLES)]
    Restore(care::RestoreArgs),

    /// Delete old rows and keep what they add up to
    ///
    /// Whole days of TIME_ZONE are deleted. Totals of users, groups, keys, models and endpoints stay
    /// as they are, in reports of hours, days, weeks and months. What goes is what only single
    /// requests have: `llmproxy log`, `explain`, `costs reprice` and `limits try` of that time. The
    /// server may run meanwhile, and does it by itself if RETENTION is set.
    #[command(after_long_help = care::PRUNE_EXAMPLES)]
    Prune(care::PruneArgs),

    /// Check the database, copy it, and say what makes it large
    #[command(subcommand, after_long_help = care::DB_EXAMPLES)]
    Db(care::DbCommand),

    /// Print what a shell needs to complete commands, users, groups and models
    #[command(after_long_help = care::COMPLETIONS_EXAMPLES)]
    Completions(care::CompletionsArgs),

    /// Show the manual page of a command
    ///
    /// On a terminal it is shown by man(1); in a pipe the page is printed as man(1) reads it.
    #[command(after_long_help = care::MAN_EXAMPLES)]
    Man(care::ManArgs),

    /// Write completions/, man/ and docs/settings.md into a directory
    #[command(hide = true)]
    Generate {
        /// The directory to write into
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

/// The version without what it was built of.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns the version with the commit, if it is known, and the schema of the database.
#[must_use]
pub fn version() -> String {
    let commit = env!("LLMPROXY_COMMIT");
    let commit = if commit.is_empty() {
        String::new()
    } else {
        format!("commit {commit}, ")
    };
    format!("{VERSION} ({commit}schema {})", crate::store::SCHEMA)
}

const EXAMPLES: &str = "\
Examples:
  llmproxy demo
  OPENAI_API_KEY=sk-... llmproxy serve
  llmproxy user add alice
  llmproxy costs --month --by-model";

const SERVE_EXAMPLES: &str = "\
Examples:
  OPENAI_API_KEY=sk-... llmproxy serve
  OPENAI_API_KEY= llmproxy serve --openai-backend-url http://127.0.0.1:8080 --port 9000
  llmproxy --env-file /etc/llmproxy.env serve";

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
    // One of these is to make the file, and the other reads no setting.
    if matches!(subcommand(&args), Some("init" | "demo")) {
        return Ok(Variables::default());
    }
    let named = named_env_file(args);
    let path = named.clone().unwrap_or_else(|| DEFAULT_ENV_FILE.into());
    match std::fs::read(&path) {
        Ok(bytes) => {
            // The file is not added as context, because a colon would follow it.
            let shown = path.display();
            let variables =
                Variables::read(&bytes).map_err(|error| anyhow!("\"{shown}\" {error}"))?;
            if let Some((name, meant)) = misspelt_name(&variables) {
                bail!("\"{shown}\" sets {name}, which is no setting: did you mean {meant}?");
            }
            Ok(variables.of_file(path))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => {
            Ok(Variables::default())
        }
        Err(error) => {
            Err(error).with_context(|| format!("cannot read the env file \"{}\"", path.display()))
        }
    }
}

/// Returns the flags that are settings, each once: those of `serve`, then those that only the
/// administering commands have.
#[must_use]
pub fn with_settings(command: &clap::Command) -> Vec<&clap::Arg> {
    let serve = command.find_subcommand("serve");
    let user_list = command
        .find_subcommand("user")
        .and_then(|user| user.find_subcommand("list"));
    let mut flags: Vec<&clap::Arg> = Vec::new();
    for flag in [serve, user_list]
        .into_iter()
        .flatten()
        .flat_map(clap::Command::get_arguments)
    {
        let is_new = flags.iter().all(|known| known.get_env() != flag.get_env());
        if flag.get_env().is_some() && is_new {
            flags.push(flag);
        }
    }
    flags
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

/// Finds the name of the subcommand.
fn subcommand(args: &[OsString]) -> Option<&str> {
    let mut args = args.iter().skip(1);
    while let Some(arg) = args.next() {
        match arg.to_str()? {
            "--env-file" => {
                args.next();
            }
            flag if flag.starts_with('-') => {}
            name => return Some(name),
        }
    }
    None
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

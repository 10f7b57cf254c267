//! One file for each command. This one has the match that picks the command, and the exit codes.

mod costs;
mod generate;
mod logging;
mod serve;
mod tables;
mod user;

use clap::ArgMatches;

use crate::{
    cli::{Cli, Command, UserCommand},
    config::{SettingError, env_file::Variables},
    store::StoreError,
};

/// Runs a parsed command line.
///
/// # Errors
/// A chain of errors that is printed as one line.
pub fn run(cli: Cli, matches: &ArgMatches, variables: &Variables) -> anyhow::Result<()> {
    let matches = deepest(matches);
    match cli.command {
        Command::Serve(settings) => serve::run(&settings, matches, variables),
        Command::User(UserCommand::Add(args)) => user::add(&args, matches),
        Command::User(UserCommand::List(args)) => user::list(&args, matches),
        Command::User(UserCommand::Forbid(args)) => user::forbid(&args, matches),
        Command::User(UserCommand::Allow(args)) => user::allow(&args, matches),
        Command::User(UserCommand::HashKeys(args)) => user::hash_keys(&args, matches),
        Command::Costs(args) => costs::run(&args, matches),
        Command::Generate { dir } => generate::run(&dir),
    }
}

/// Returns the exit code of an error: 2 for wrong usage, as in clap, and 1 for everything else.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let wrong_flag = error
        .downcast_ref::<SettingError>()
        .is_some_and(|error| error.from_flag)
        || error.downcast_ref::<WrongUsage>().is_some();
    if wrong_flag { 2 } else { 1 }
}

/// An error in an argument that clap does not check.
#[derive(Debug, thiserror::Error)]
#[error("{0}; try '--help'")]
struct WrongUsage(String);

/// Returns the matches of the subcommand that runs.
fn deepest(matches: &ArgMatches) -> &ArgMatches {
    matches
        .subcommand()
        .map_or(matches, |(_, inner)| deepest(inner))
}

/// Opens the database for a command that does not create one.
fn open_existing(path: &crate::store::DatabasePath) -> Result<crate::store::Store, StoreError> {
    crate::store::Store::open(path, crate::store::IfMissing::Refuse)
}

/// Prints a line to stdout. A reader that closed the pipe (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a note to stderr. It is lost if stderr is closed.
fn note(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "llmproxy: {text}");
}

/// Prints the JSON that the HTTP admin API returns.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string(value)?)
}

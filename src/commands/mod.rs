//! One file a command; here the one match that picks it, and the exit codes.

mod costs;
mod generate;
mod logging;
mod serve;
mod tables;
mod user;

use clap::ArgMatches;

use crate::{
    cli::{Cli, Command, UserCommand},
    config::SettingError,
    env_file::Variables,
    store::StoreError,
};

/// Runs a parsed command line.
///
/// # Errors
/// What went wrong, in one chain that reads as one line.
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

/// 2 for wrong usage of a flag, as clap has it; 1 for everything else.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let wrong_flag = error
        .downcast_ref::<SettingError>()
        .is_some_and(|error| error.from_flag)
        || error.downcast_ref::<WrongUsage>().is_some();
    if wrong_flag { 2 } else { 1 }
}

/// An argument that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}; try --help")]
struct WrongUsage(String);

/// The matches of the subcommand that runs.
fn deepest(matches: &ArgMatches) -> &ArgMatches {
    matches
        .subcommand()
        .map_or(matches, |(_, inner)| deepest(inner))
}

/// Opens the database of a command that does not make one.
fn open_existing(path: &crate::store::DatabasePath) -> Result<crate::store::Store, StoreError> {
    crate::store::Store::open(path, crate::store::IfMissing::Refuse)
}

/// Prints a line to stdout; a reader that has gone away (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Says on stderr what is no failure; where nobody can be told, it is left.
fn note(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "llmproxy: {text}");
}

/// Prints what the HTTP admin API returns.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string(value)?)
}

//! One file for each command. This one has the match that picks the command, and the exit codes.

mod alert;
mod audit;
#[cfg(feature = "sqlite")]
mod backup;
mod check;
pub mod completion;
mod copy;
mod costs;
mod db;
mod demo;
mod generate;
mod group;
mod health;
mod hidden_input;
mod http;
mod import;
mod init;
mod key;
mod limits;
mod listing;
mod logging;
mod price;
mod reconcile;
mod requests;
mod serve;
mod tables;
mod target;
mod top;
mod usage;
mod user;

use std::io::IsTerminal;

use anyhow::Context;
use clap::ArgMatches;

use crate::{
    cli::{
        Cli, Command, DEFAULT_ENV_FILE,
        alerts::AlertCommand,
        care::DbCommand,
        limits::LimitsCommand,
        money::PriceCommand,
        output::ListOutputArgs,
        people::{GroupCommand, KeyCommand, UserCommand},
    },
    config::{SettingError, env_file::Variables},
    model::without_keys,
};

use listing::Listing;

/// Runs a parsed command line.
///
/// # Errors
/// A chain of errors that is printed as one line.
pub fn run(cli: Cli, matches: &ArgMatches, variables: &Variables) -> anyhow::Result<()> {
    let matches = deepest(matches);
    match cli.command {
        Command::Serve(settings) => serve::run(&settings, matches, variables),
        Command::Demo(args) => demo::run(&args),
        Command::Init(args) => {
            let path = cli.env_file.unwrap_or_else(|| DEFAULT_ENV_FILE.into());
            init::run(&args, &path, matches, variables)
        }
        Command::Check(args) => check::run(&args, matches, variables),
        Command::Health(args) => health::run(&args, matches),
        Command::User(command) => match command {
            UserCommand::Add(args) => user::add(&args, matches, variables),
            UserCommand::List(args) => user::list(&args, matches, variables),
            UserCommand::Show(args) => user::show(&args, matches, variables),
            UserCommand::Set(args) => user::set(&args, matches, variables),
            UserCommand::Rename(args) => user::rename(&args, matches, variables),
            UserCommand::Delete(args) => user::delete(&args, matches, variables),
            UserCommand::Rotate(args) => user::rotate(&args, matches, variables),
            UserCommand::Forbid(args) => user::forbid(&args, matches, variables),
            UserCommand::Allow(args) => user::allow(&args, matches, variables),
            UserCommand::HashKeys(args) => user::hash_keys(&args, matches, variables),
        },
        Command::Key(command) => match command {
            KeyCommand::Add(args) => key::add(&args, matches, variables),
            KeyCommand::List(args) => key::list(&args, matches, variables),
            KeyCommand::Set(args) => key::set(&args, matches, variables),
            KeyCommand::Revoke(args) => key::revoke(&args, matches, variables),
        },
        Command::Group(command) => match command {
            GroupCommand::Add(args) => group::add(&args, matches, variables),
            GroupCommand::List(args) => group::list(&args, matches, variables),
            GroupCommand::Show(args) => group::show(&args, matches, variables),
            GroupCommand::Set(args) => group::set(&args, matches, variables),
            GroupCommand::Rename(args) => group::rename(&args, matches, variables),
            GroupCommand::Delete(args) => group::delete(&args, matches, variables),
        },
        Command::Costs(args) => costs::run(&args, matches, variables),
        Command::Top(args) => top::run(&args, matches, variables),
        Command::Log(args) => requests::log(&args, matches, variables),
        Command::Explain(args) => requests::explain(&args, matches, variables),
        Command::Audit(args) => audit::run(&args, matches, variables),
        Command::Limits(args) => match &args.command {
            None => limits::list(&args, matches, variables),
            Some(LimitsCommand::Set(set)) => limits::set(set, matches, variables),
            Some(LimitsCommand::Try(tried)) => limits::try_out(tried, matches, variables),
        },
        Command::Price(command) => match command {
            PriceCommand::List(args) => price::list(&args, matches, variables),
            PriceCommand::Check(args) => price::check(&args, matches, variables),
            PriceCommand::Set(args) => price::set(&args, matches, variables),
            PriceCommand::Unset(args) => price::unset(&args, matches, variables),
            PriceCommand::FetchFile(args) => price::fetch_file(&args, variables),
        },
        Command::Import(args) => import::run(&args, matches, variables),
        Command::Reconcile(args) => reconcile::run(&args, matches, variables),
        Command::Alert(command) => match command {
            AlertCommand::List(args) => alert::list(&args, matches, variables),
            AlertCommand::Test(args) => alert::test(&args, matches, variables),
        },
        Command::Usage(args) => usage::run(&args, matches, variables),
        #[cfg(feature = "sqlite")]
        Command::Backup(args) => backup::backup(&args, matches),
        #[cfg(feature = "sqlite")]
        Command::Restore(args) => backup::restore(&args, matches),
        #[cfg(not(feature = "sqlite"))]
        Command::Backup(_) | Command::Restore(_) => {
            anyhow::bail!("this llmproxy was built without SQLite, whose files this command is for")
        }
        Command::Prune(args) => db::prune(&args, matches),
        Command::Db(command) => match command {
            DbCommand::Check(args) => db::check(&args, matches),
            DbCommand::Size(args) => db::size(&args, matches),
            DbCommand::Copy(args) => copy::copy(&args),
        },
        Command::Completions(args) => completion::run(args.shell),
        Command::Man(args) => generate::man(&args.command),
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

/// Prints a list as its flags say: JSON, CSV, a table on a terminal, aligned text in a pipe.
fn print_list(
    output: &ListOutputArgs,
    json: &impl serde::Serialize,
    listing: &Listing,
    if_empty: &str,
) -> anyhow::Result<()> {
    if output.json {
        return print_json(json);
    }
    if listing.rows.is_empty() && !output.csv {
        return print(if_empty);
    }
    print_raw_list(output, listing, listing)
}

/// Prints a list that is no JSON. `on_terminal` is the form for a table.
fn print_raw_list(
    output: &ListOutputArgs,
    listing: &Listing,
    on_terminal: &Listing,
) -> anyhow::Result<()> {
    if output.csv {
        print(&listing.csv()?)
    } else if output.table || std::io::stdout().is_terminal() {
        print(&on_terminal.boxed(comfy_table::Table::new().width()))
    } else {
        print(&listing.aligned())
    }
}

/// Prints a table on a terminal, and aligned text in a pipe.
fn print_table(listing: &Listing) -> anyhow::Result<()> {
    if std::io::stdout().is_terminal() {
        print(&listing.boxed(comfy_table::Table::new().width()))
    } else {
        print(&listing.aligned())
    }
}

/// Asks on a terminal whether something is to be done. A script must say so with `--yes`.
fn confirm(is_confirmed: bool, question: &str) -> anyhow::Result<()> {
    use std::io::Write;
    if is_confirmed {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(WrongUsage("nothing was changed: confirm with --yes".to_owned()).into());
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    anyhow::bail!("nothing was changed")
}

/// Reads a secret from the first line of standard input.
fn read_secret_line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .context("cannot read standard input")?;
    Ok(line.trim().to_owned())
}

/// Prints a line to stdout. A reader that closed the pipe (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Prints a note to stderr. It is lost if stderr is closed.
fn note(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "llmproxy: {}", without_keys(text));
}

/// Prints the JSON that the HTTP admin API returns.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string(value)?)
}

//! Completion in shells: `llmproxy completions SHELL` prints what a shell needs, and the shell asks the
//! program then, which knows the users, groups and models of its database.

use std::{io::Write, path::Path};

use anyhow::Context;
use clap::{Arg, Command, CommandFactory};
use clap_complete::{
    CompleteEnv,
    engine::{ArgValueCandidates, CompletionCandidate},
    env::Shells,
};

use crate::{
    admin::{AdminContext, ListGroups, ListPrices, ListUsers},
    cli::{Cli, DEFAULT_ENV_FILE, care::Shell},
    config::{DATABASE_VARIABLE, DEFAULT_DATABASE, env_file::Variables},
    store::{DatabaseLocation, IfMissing, Store},
};

/// The variable by which a shell asks.
const VARIABLE: &str = "COMPLETE";
const NAME: &str = "llmproxy";
const DIMENSIONS: [&str; 10] = [
    "day",
    "hour",
    "month",
    "week",
    "user",
    "group",
    "key",
    "model",
    "endpoint",
    "day,model",
];

/// Answers a shell, if one asks. Returns whether one did.
///
/// # Errors
/// If the answer cannot be written, or the shell is not known.
pub fn answer() -> anyhow::Result<bool> {
    if std::env::var_os(VARIABLE).is_none() {
        return Ok(false);
    }
    let directory = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .bin(NAME)
        .try_complete(std::env::args_os(), directory.as_deref());
    asked.context("cannot complete")
}

/// Prints what a shell has to read once.
pub(super) fn run(shell: Shell) -> anyhow::Result<()> {
    let script = registration(shell)?;
    std::io::stdout()
        .write_all(&script)
        .context("cannot print the script")
}

/// Returns what a shell has to read once.
pub(super) fn registration(shell: Shell) -> anyhow::Result<Vec<u8>> {
    let completer = Shells::builtins();
    let completer = completer
        .completer(shell.name())
        .with_context(|| format!("{} has no completion", shell.name()))?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, NAME, NAME, NAME, &mut script)?;
    Ok(script)
}

/// The command line with what each argument may be.
fn command() -> Command {
    with_candidates(Cli::command(), "")
}

fn with_candidates(command: Command, parent: &str) -> Command {
    let name = command.get_name().to_owned();
    let command = command.mut_args(|arg| match candidates(&arg, &name, parent) {
        Some(candidates) => arg.add(candidates),
        None => arg,
    });
    command.mut_subcommands(|inner| with_candidates(inner, &name))
}

/// Returns what an argument of a command may be, as far as that can be listed.
fn candidates(arg: &Arg, command: &str, parent: &str) -> Option<ArgValueCandidates> {
    let value_name = arg.get_value_names()?.first()?.to_string();
    let is_new_name = command == "add" || value_name == "NEW";
    let is_name = arg.is_positional() && matches!(value_name.as_str(), "NAME" | "OLD" | "NAME|KEY");
    match (arg.get_long(), parent) {
        (Some("user"), _) if command != "init" => return Some(ArgValueCandidates::new(users)),
        (Some("group"), _) => return Some(ArgValueCandidates::new(groups)),
        (Some("model"), _) => return Some(ArgValueCandidates::new(models)),
        (None, "user" | "key") if is_name && !(is_new_name && parent == "user") => {
            return Some(ArgValueCandidates::new(users));
        }
        (None, "llmproxy") if is_name && command == "limits" => {
            return Some(ArgValueCandidates::new(users));
        }
        (None, "group") if is_name && !is_new_name => {
            return Some(ArgValueCandidates::new(groups));
        }
        (None, "price") if value_name == "MODEL" => return Some(ArgValueCandidates::new(models)),
        _ => {}
    }
    let choices: Vec<String> = match value_name.as_str() {
        "DIMENSIONS" => DIMENSIONS.map(str::to_owned).to_vec(),
        // `ask|leave`, but not `NAME|KEY`.
        choices if choices.contains('|') && choices.to_lowercase() == choices => {
            choices.split('|').map(str::to_owned).collect()
        }
        _ => return None,
    };
    Some(ArgValueCandidates::new(move || {
        choices.iter().map(CompletionCandidate::new).collect()
    }))
}

fn users() -> Vec<CompletionCandidate> {
    let list = database().and_then(|context| context.run(ListUsers::default()).ok());
    let users = list.map_or_else(Vec::new, |list| list.users);
    candidates_of(users.into_iter().map(|user| user.username))
}

fn groups() -> Vec<CompletionCandidate> {
    let list = database().and_then(|context| context.run(ListGroups::default()).ok());
    let groups = list.map_or_else(Vec::new, |list| list.groups);
    candidates_of(groups.into_iter().map(|group| group.name))
}

fn models() -> Vec<CompletionCandidate> {
    let list = database().and_then(|context| context.run(ListPrices::default()).ok());
    let prices = list.map_or_else(Vec::new, |list| list.prices);
    candidates_of(prices.into_iter().map(|price| price.model))
}

/// Returns the names that a shell can put into a line as they are. It does not quote them, and a name
/// such as `$(command)` would be run.
fn candidates_of(names: impl Iterator<Item = String>) -> Vec<CompletionCandidate> {
    let is_plain = |name: &String| {
        let plain = |c: char| c.is_alphanumeric() || "-_.:/@+,%".contains(c);
        !name.starts_with('-') && name.chars().all(plain)
    };
    names
        .filter(is_plain)
        .map(CompletionCandidate::new)
        .collect()
}

/// Opens the database that commands would use. Nothing is said if there is none, because a shell would
/// show it in the middle of a line.
fn database() -> Option<AdminContext> {
    let file = std::fs::read(Path::new(DEFAULT_ENV_FILE)).unwrap_or_default();
    let variables = Variables::read(&file).unwrap_or_default();
    let text = variables.get(DATABASE_VARIABLE);
    let text = text.filter(|text| !text.trim().is_empty());
    let path = DatabaseLocation::parse(text.as_deref().unwrap_or(DEFAULT_DATABASE)).ok()?;
    let store = Store::open(&path, IfMissing::Refuse).ok()?;
    Some(AdminContext::of_store(store))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_shell_would_read_are_left_out() {
        let names = [
            "bob",
            "a.b@c",
            "Zoë",
            "a b",
            "x$(touch y)",
            "`id`",
            "a;b",
            "o'neil",
            "-f",
            "a*",
        ];
        let found = candidates_of(names.into_iter().map(str::to_owned));
        let found: Vec<String> = found
            .iter()
            .map(|found| found.get_value().to_string_lossy().into_owned())
            .collect();
        assert_eq!(found, ["bob", "a.b@c", "Zoë"]);
    }

    #[test]
    fn every_choice_of_the_command_line_can_be_completed() {
        fn walk(command: &Command, parent: &str, found: &mut Vec<String>) {
            for arg in command.get_arguments() {
                if candidates(arg, command.get_name(), parent).is_some() {
                    found.push(format!("{parent} {} {}", command.get_name(), arg.get_id()));
                }
            }
            for inner in command.get_subcommands() {
                walk(inner, command.get_name(), found);
            }
        }
        let mut found = Vec::new();
        walk(&Cli::command(), "", &mut found);
        for expected in [
            "llmproxy serve log_format",
            "llmproxy serve ledger_sync",
            "llmproxy costs user",
            "llmproxy costs by",
            "llmproxy costs sort",
            "user show name",
            "user rename old",
            "user forbid who",
            "user add group",
            "group show name",
            "key add name",
            "price list model",
            "costs reprice model",
        ] {
            assert!(
                found.iter().any(|found| found == expected),
                "{expected}: {found:#?}"
            );
        }
        for unexpected in ["user add names", "user rename new", "group add name"] {
            assert!(
                !found.iter().any(|found| found == unexpected),
                "{unexpected}"
            );
        }
    }
}

//! The man pages: `llmproxy.1` and a page for each subcommand.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, bold, italic, roman},
};

use super::{create_dir, write};
use crate::{cli::Cli, config::table};

/// Writes the page of the program and of each subcommand that is not hidden.
pub(super) fn write_pages(dir: &Path) -> anyhow::Result<()> {
    create_dir(dir)?;
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    write_page(&root, "llmproxy", dir)
}

fn write_page(command: &Command, name: &str, dir: &Path) -> anyhow::Result<()> {
    let mut page = Vec::new();
    render(command, name, &mut page)?;
    write(&dir.join(format!("{name}.1")), page)?;
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
    {
        write_page(inner, &format!("{name}-{}", inner.get_name()), dir)?;
    }
    Ok(())
}

fn render(command: &Command, name: &str, page: &mut Vec<u8>) -> anyhow::Result<()> {
    let examples = command
        .get_after_long_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let titled = command
        .clone()
        .name(leak(name))
        .after_long_help("")
        .after_help("");
    let man = Man::new(titled)
        .title(name.to_uppercase())
        .manual("llmproxy manual");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    if command
        .get_arguments()
        .any(|argument| !argument.is_hide_set())
    {
        man.render_options_section(page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(page)?;
    }
    let mut roff = Roff::default();
    environment_section(command, &mut roff);
    files_section(&mut roff);
    exit_status_section(&mut roff);
    examples_section(&examples, &mut roff);
    roff.to_writer(page)?;
    Ok(())
}

/// Lists the variables of a command's flags, with their defaults, and the variables without a flag.
fn environment_section(command: &Command, roff: &mut Roff) {
    roff.control("SH", ["ENVIRONMENT"]);
    let mut any = false;
    for argument in command.get_arguments() {
        let Some(variable) = argument.get_env() else {
            continue;
        };
        any = true;
        roff.control("TP", []);
        roff.text([bold(variable.to_string_lossy())]);
        let long = argument.get_long().unwrap_or_default();
        let default = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .collect::<String>();
        let default = if default.is_empty() {
            String::new()
        } else {
            format!(" Default: {default}.")
        };
        roff.text([roman(format!("Sets --{long}.{default}"))]);
    }
    if command.get_name() == "serve" {
        for setting in &table::VARIABLES_ONLY {
            roff.control("TP", []);
            roff.text([bold(setting.variables)]);
            roff.text([roman(setting.meaning)]);
        }
    }
    if !any {
        roff.text([roman(
            "Each command's own page lists the variables that it reads.",
        )]);
    }
}

fn files_section(roff: &mut Roff) {
    roff.control("SH", ["FILES"]);
    for (file, meaning) in [
        (
            ".env",
            "Settings, one NAME=value in each line, read from the working directory. --env-file names another file.",
        ),
        (
            "llm_proxy.db",
            "The database, unless DATABASE_URL names another. llm_proxy.db-wal and llm_proxy.db-shm belong to it.",
        ),
    ] {
        roff.control("TP", []);
        roff.text([italic(file)]);
        roff.text([roman(meaning)]);
    }
}

fn exit_status_section(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in [
        ("0", "The command succeeded."),
        (
            "1",
            "The command failed. The reason is one line on standard error.",
        ),
        ("2", "The command line is wrong."),
    ] {
        roff.control("TP", []);
        roff.text([bold(code)]);
        roff.text([roman(meaning)]);
    }
}

/// Renders the examples of the help text.
fn examples_section(examples: &str, roff: &mut Roff) {
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in examples
        .lines()
        .filter(|line| *line != "Examples:" && !line.is_empty())
    {
        roff.text([roman(line.trim_start())]);
    }
    roff.control("fi", []);
}

/// Returns a name that lives as long as the program, which clap requires. It is called about ten
/// times.
fn leak(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

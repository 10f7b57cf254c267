//! `llmproxy generate DIR`: writes the shell completions and the man pages from the definition of the command line.

use std::{fs, path::Path};

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use crate::cli::Cli;

pub(super) fn run(dir: &Path) -> anyhow::Result<()> {
    completions(&dir.join("completions"))?;
    man_pages(&dir.join("man"))
}

fn completions(dir: &Path) -> anyhow::Result<()> {
    create_dir(dir)?;
    for shell in [
        Shell::Bash,
        Shell::Zsh,
        Shell::Fish,
        Shell::Elvish,
        Shell::PowerShell,
    ] {
        clap_complete::generate_to(shell, &mut Cli::command(), "llmproxy", dir)
            .with_context(|| format!("cannot write into {}", dir.display()))?;
    }
    Ok(())
}

/// `llmproxy.1` and a page for each subcommand that is not hidden.
fn man_pages(dir: &Path) -> anyhow::Result<()> {
    create_dir(dir)?;
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    write_page(&root, "llmproxy", dir)
}

fn write_page(command: &Command, name: &str, dir: &Path) -> anyhow::Result<()> {
    let mut page = Vec::new();
    render(command, name, &mut page)?;
    let path = dir.join(format!("{name}.1"));
    fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
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

/// The variables of a command's settings, with their defaults, and those that the backend connection reads.
fn environment_section(command: &Command, roff: &mut Roff) {
    roff.control("SH", ["ENVIRONMENT"]);
    let mut any = false;
    for argument in command.get_arguments() {
        let Some(variable) = argument.get_env() else {
            continue;
        };
        any = true;
        roff.control("TP", []);
        roff.text([clap_mangen::roff::bold(variable.to_string_lossy())]);
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
        roff.text([roman(format!("The same as --{long}.{default}"))]);
    }
    if command.get_name() == "serve" {
        for (variable, meaning) in [
            (
                "HTTPS_PROXY, HTTP_PROXY, NO_PROXY",
                "HTTP proxy on the way to the backend, and hosts that are reached without it.",
            ),
            (
                "SSL_CERT_FILE",
                "Root certificates (PEM) to trust besides the embedded ones.",
            ),
        ] {
            roff.control("TP", []);
            roff.text([clap_mangen::roff::bold(variable)]);
            roff.text([roman(meaning)]);
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
            "Settings, a NAME=value a line, read from the working directory; --env-file names another file.",
        ),
        (
            "llm_proxy.db",
            "The database, unless DATABASE_URL names another; llm_proxy.db-wal and llm_proxy.db-shm belong to it.",
        ),
    ] {
        roff.control("TP", []);
        roff.text([clap_mangen::roff::italic(file)]);
        roff.text([roman(meaning)]);
    }
}

fn exit_status_section(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in [
        ("0", "Done."),
        ("1", "It failed; the reason is one line on standard error."),
        ("2", "Wrong usage."),
    ] {
        roff.control("TP", []);
        roff.text([clap_mangen::roff::bold(code)]);
        roff.text([roman(meaning)]);
    }
}

/// The examples of the help text.
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

fn create_dir(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))
}

/// clap wants names that live as long as the program; a dozen, once.
fn leak(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

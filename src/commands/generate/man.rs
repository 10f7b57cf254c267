//! The man pages: `llmproxy.1` and a page for each subcommand.

use std::path::Path;

use anyhow::Context;
use clap::{Arg, Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, bold, italic, roman},
};

use super::{create_dir, write};
use crate::{
    cli::{Cli, VERSION},
    config::table,
};

/// Writes the page of the program and of each subcommand that is not hidden.
pub(super) fn write_pages(dir: &Path) -> anyhow::Result<()> {
    create_dir(dir)?;
    let mut root = Cli::command()
        .version(VERSION)
        .disable_help_subcommand(true);
    root.build();
    write_page(&root, "llmproxy", dir)
}

/// Returns the page of the command that these words name.
pub(super) fn page(path: &[String]) -> anyhow::Result<Vec<u8>> {
    let mut root = Cli::command()
        .version(VERSION)
        .disable_help_subcommand(true);
    root.build();
    let mut command = &root;
    let mut name = "llmproxy".to_owned();
    // Also as the page is called: user-add.
    for word in path.iter().flat_map(|word| split(&root, word)) {
        command = command.find_subcommand(word).with_context(|| {
            format!("`{name}` has no command `{word}`; `{name} --help` lists them")
        })?;
        name = format!("{name}-{}", command.get_name());
    }
    let mut page = Vec::new();
    render(command, &name, &mut page)?;
    Ok(page)
}

/// Splits `user-add`, unless it is the name of one command, such as `hash-keys`.
fn split<'a>(root: &Command, word: &'a str) -> Vec<&'a str> {
    match word.split_once('-') {
        Some((first, rest)) if root.find_subcommand(first).is_some() => vec![first, rest],
        _ => vec![word],
    }
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
    let mut synopsis = Roff::default();
    synopsis_section(command, name, &mut synopsis);
    synopsis.to_writer(page)?;
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
    see_also_section(command, name, &mut roff);
    roff.to_writer(page)?;
    Ok(())
}

/// Writes each way to call the command, with the values of its flags.
fn synopsis_section(command: &Command, name: &str, roff: &mut Roff) {
    roff.control("SH", ["SYNOPSIS"]);
    let mut line = vec![bold(name.replace('-', " "))];
    // A subcommand's name may have a hyphen of its own.
    if let Some(own) = name.strip_suffix(command.get_name()) {
        line = vec![bold(format!(
            "{}{}",
            own.replace('-', " "),
            command.get_name()
        ))];
    }
    let visible = |argument: &&Arg| !argument.is_hide_set();
    for argument in command.get_arguments().filter(visible) {
        let values: Vec<String> = argument
            .get_value_names()
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect();
        let takes_values = argument.get_action().takes_values();
        let value = values.join(" ");
        let is_required = argument.is_required_set();
        let is_repeated = argument
            .get_num_args()
            .is_some_and(|count| count.max_values() > 1);
        let (open, close) = if is_required { ("", "") } else { ("[", "]") };
        line.push(roman(format!(" {open}")));
        match (argument.get_long(), argument.get_short()) {
            (Some(long), _) => line.push(bold(format!("--{long}"))),
            (None, Some(short)) => line.push(bold(format!("-{short}"))),
            (None, None) => {}
        }
        if takes_values {
            let is_flag = argument.get_long().or(None).is_some();
            line.push(roman(if is_flag { " " } else { "" }));
            line.push(italic(value));
        }
        let dots = if is_repeated { "…" } else { "" };
        line.push(roman(format!("{close}{dots}")));
    }
    if command.has_subcommands() {
        line.push(roman(" "));
        line.push(italic(if command.is_subcommand_required_set() {
            "COMMAND"
        } else {
            "[COMMAND]"
        }));
    }
    roff.text(line);
}

/// Names the pages of the command above, of those beside and of those below.
fn see_also_section(command: &Command, name: &str, roff: &mut Roff) {
    let mut pages = Vec::new();
    if let Some((parent, _)) = name.split_once('-') {
        pages.push(parent.to_owned());
        let group = name.strip_suffix(command.get_name());
        let group = group.map(|group| group.trim_end_matches('-'));
        pages.extend(group.filter(|group| *group != parent).map(str::to_owned));
    }
    let below = command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set());
    pages.extend(below.map(|inner| format!("{name}-{}", inner.get_name())));
    roff.control("SH", ["SEE ALSO"]);
    let mut line = Vec::new();
    for (index, page) in pages.into_iter().enumerate() {
        if index > 0 {
            line.push(roman(", "));
        }
        line.push(bold(page));
        line.push(roman("(1)"));
    }
    roff.text(line);
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

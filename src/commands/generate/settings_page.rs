//! docs/settings.md, made from the flags and the table of settings.

use std::fmt::Write;

use clap::{Arg, Command};

use crate::config::table;

const COLUMNS: usize = 100;

const INTRODUCTION: &str = "\
# Settings

This page is for operators. It lists every setting of llmproxy with its default and the values that
are accepted. It is generated from the program's own table of settings.

Each setting is a flag (`--max-body-size`), an environment variable (`MAX_BODY_SIZE`) and a line of
`.env` in the working directory, in this order of precedence. `--env-file FILE` reads another file
instead of `.env`. An empty variable means the default, except for `OPENAI_API_KEY`.

A value that is not accepted stops the start. One line on standard error names the variable, the
value and what is accepted; it does not repeat secrets, nor URLs that may contain one. The exit
status is 1, or 2 if the value came from a flag.

Each line of `.env` is a `NAME=value`. Values are literal: a `$` stands for itself. A value with
spaces needs quotes. In double quotes and without quotes, `\\\"`, `\\\\` and `\\n` have their usual
meaning; in single quotes no character has a special meaning. The file does not change the
environment of the process. Other programs, such as `docker run --env-file`, pass quotes on as a
part of the value. For this reason, a key or token that begins or ends with a quotation mark is
refused.

| variable | default | meaning |
| --- | --- | --- |
";

/// Returns the whole page.
pub(super) fn text(command: &Command) -> String {
    let flags = crate::cli::with_settings(command).into_iter();
    let settings: Vec<Entry<'_>> = flags.filter_map(Entry::of).collect();
    let mut page = INTRODUCTION.to_owned();
    for setting in &settings {
        let _ = writeln!(
            page,
            "| [`{0}`](#{1}) | {2} | {3} |",
            setting.table.variable,
            setting.table.variable.to_lowercase(),
            setting.default(),
            setting.short_help()
        );
    }
    let mut heading = None;
    for setting in &settings {
        if setting.flag.get_help_heading() != heading {
            heading = setting.flag.get_help_heading();
            let _ = write!(page, "\n## {}\n", heading.unwrap_or("Others"));
        }
        setting.write_section(command, &mut page);
    }
    page.push_str("\n## Variables without a flag\n\n");
    page.push_str("`llmproxy serve` reads them from the environment and from `.env`.\n");
    for setting in &table::VARIABLES_ONLY {
        let _ = write!(page, "\n### {}\n\n", code_list(setting.variables));
        wrap(setting.meaning, "", &mut page);
        page.push('\n');
        wrap(
            &format!("- Accepted: {}.", setting.accepted),
            "  ",
            &mut page,
        );
    }
    page
}

/// A flag together with its line of the table.
struct Entry<'a> {
    flag: &'a Arg,
    table: &'static table::Setting,
}

impl<'a> Entry<'a> {
    fn of(flag: &'a Arg) -> Option<Self> {
        let variable = flag.get_env()?.to_str()?;
        let table = table::setting_of(variable)?;
        Some(Self { flag, table })
    }

    fn default(&self) -> String {
        match self.table.default {
            "" if self.table.variable == table::OPENAI_API_KEY.variable => {
                "none, required".to_owned()
            }
            "" => "unset".to_owned(),
            default => format!("`{default}`"),
        }
    }

    fn short_help(&self) -> String {
        let help = self.flag.get_help().map(ToString::to_string);
        help.unwrap_or_default().replace('|', "\\|")
    }

    fn write_section(&self, command: &Command, page: &mut String) {
        let _ = write!(page, "\n### `{}`\n\n", self.table.variable);
        let help = self.flag.get_long_help().or_else(|| self.flag.get_help());
        let help = help.map(ToString::to_string).unwrap_or_default();
        let mut paragraphs = help.split("\n\n");
        let first = paragraphs.next().unwrap_or_default();
        wrap(&format!("{first}."), "", page);
        for paragraph in paragraphs {
            page.push('\n');
            wrap(paragraph, "", page);
        }
        let flag = self.flag.get_long().unwrap_or_default();
        let value = self.flag.get_value_names().unwrap_or_default().join(" ");
        let accepted = self.table.accepted;
        let _ = write!(page, "\n- Flag: `--{flag} {value}`\n");
        let _ = writeln!(page, "- Default: {}", self.default());
        wrap(&format!("- Accepted: {accepted}."), "  ", page);
        let readers = self.readers(command).join(", ");
        wrap(&format!("- Read by: {readers}."), "  ", page);
    }

    /// Lists the commands that have the flag.
    fn readers(&self, command: &Command) -> Vec<String> {
        let mut readers = Vec::new();
        let mut open: Vec<(String, &Command)> = vec![("llmproxy".to_owned(), command)];
        while let Some((name, command)) = open.pop() {
            if command
                .get_arguments()
                .any(|flag| flag.get_id() == self.flag.get_id())
            {
                readers.push(format!("`{name}`"));
            }
            let subcommands: Vec<_> = command.get_subcommands().collect();
            for subcommand in subcommands.into_iter().rev() {
                open.push((format!("{name} {}", subcommand.get_name()), subcommand));
            }
        }
        readers
    }
}

/// Writes `A, B` as `` `A`, `B` ``.
fn code_list(names: &str) -> String {
    let names: Vec<String> = names.split(", ").map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Writes a paragraph in lines of at most [`COLUMNS`] characters, all but the first behind an
/// indent.
fn wrap(text: &str, indent: &str, page: &mut String) {
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > COLUMNS {
            page.push('\n');
            page.push_str(indent);
            width = indent.len();
        } else if width > 0 {
            page.push(' ');
            width += 1;
        }
        page.push_str(word);
        width += length;
    }
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_page_in_docs_is_the_generated_one() {
        let checked_in = include_str!("../../../docs/settings.md");
        let generated = text(&crate::cli::Cli::command());
        assert!(
            generated == checked_in,
            "docs/settings.md is old: cargo run -- generate ."
        );
    }

    #[test]
    fn a_paragraph_is_wrapped_between_words() {
        let mut page = String::new();
        wrap(&"word ".repeat(30), "  ", &mut page);
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].chars().count() <= COLUMNS && lines[1].starts_with("  word"));
    }
}

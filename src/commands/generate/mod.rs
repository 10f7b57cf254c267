//! `llmproxy generate DIR`: writes the shell completions, the man pages and docs/settings.md from
//! the definition of the command line. All of them are checked in, and CI compares them.

mod man;
mod settings_page;

use std::{
    fs,
    io::{IsTerminal, Write},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Context;
use clap::{CommandFactory, ValueEnum};

use super::completion;
use crate::cli::{Cli, care::Shell};

pub(super) fn run(dir: &Path) -> anyhow::Result<()> {
    completions(&dir.join("completions"))?;
    man::write_pages(&dir.join("man"))?;
    let docs = dir.join("docs");
    create_dir(&docs)?;
    write(
        &docs.join("settings.md"),
        settings_page::text(&Cli::command()),
    )
}

fn completions(dir: &Path) -> anyhow::Result<()> {
    create_dir(dir)?;
    for shell in Shell::value_variants() {
        let script = completion::registration(*shell)?;
        write(&dir.join(shell.file_name()), script)?;
    }
    Ok(())
}

/// Shows the page of a command: by man(1) on a terminal, else as it is.
pub(super) fn man(path: &[String]) -> anyhow::Result<()> {
    let page = man::page(path)?;
    if std::io::stdout().is_terminal() && shown_by_man(&page) {
        return Ok(());
    }
    std::io::stdout()
        .write_all(&page)
        .context("cannot print the page")
}

/// Returns whether man(1) is there and has shown the page.
fn shown_by_man(page: &[u8]) -> bool {
    let started = Command::new("man")
        .args(["-l", "-"])
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut man) = started else {
        return false;
    };
    if let Some(mut input) = man.stdin.take() {
        // A reader who quits early has seen enough.
        let _ = input.write_all(page);
    }
    man.wait().is_ok_and(|status| status.success())
}

fn create_dir(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create \"{}\"", dir.display()))
}

fn write(path: &Path, contents: impl AsRef<[u8]>) -> anyhow::Result<()> {
    fs::write(path, contents).with_context(|| format!("cannot write \"{}\"", path.display()))
}

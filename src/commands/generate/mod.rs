//! `llmproxy generate DIR`: writes the shell completions, the man pages and docs/settings.md from
//! the definition of the command line. All of them are checked in, and CI compares them.

mod man;
mod settings_page;

use std::{fs, path::Path};

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

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
    for shell in [
        Shell::Bash,
        Shell::Zsh,
        Shell::Fish,
        Shell::Elvish,
        Shell::PowerShell,
    ] {
        clap_complete::generate_to(shell, &mut Cli::command(), "llmproxy", dir)
            .with_context(|| format!("cannot write into \"{}\"", dir.display()))?;
    }
    Ok(())
}

fn create_dir(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create \"{}\"", dir.display()))
}

fn write(path: &Path, contents: impl AsRef<[u8]>) -> anyhow::Result<()> {
    fs::write(path, contents).with_context(|| format!("cannot write \"{}\"", path.display()))
}

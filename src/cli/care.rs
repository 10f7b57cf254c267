//! The commands that look after the database over the years, and those that come with an
//! installation.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::output::{ListOutputArgs, OutputArgs};
use crate::config::{DatabaseSettings, ZoneSettings};

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write, which must not exist
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub database: DatabaseSettings,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// Do not ask whether the present contents may go
    #[arg(long)]
    pub yes: bool,

    #[command(flatten)]
    pub database: DatabaseSettings,
}

#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Delete rows of days that ended so long ago, such as 400d
    #[arg(long, value_name = "AGE", value_hint = ValueHint::Other)]
    pub older_than: String,

    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub database: DatabaseSettings,

    #[command(flatten)]
    pub zone: ZoneSettings,
}

#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Look for damage, and compare all sums with the rows
    ///
    /// It reads every page of the file, and may take minutes for tens of millions of rows. The server
    /// may run meanwhile. The exit code is 1 if anything is wrong.
    Check(DbCheckArgs),

    /// Say how large the database is, and what makes it so
    Size(DbSizeArgs),

    /// Copy a database into another one: SQLite into PostgreSQL, or back
    ///
    /// The target is made, or must be empty or an earlier copy. Servers may write into the source
    /// meanwhile, and doing it again copies what is new: so it can be done for the last time while no
    /// server runs. Sums of both are compared at the end. The exit code is 1 if they differ.
    #[command(after_long_help = DB_COPY_EXAMPLES)]
    Copy(DbCopyArgs),
}

#[derive(Debug, Args)]
pub struct DbCopyArgs {
    /// The database to copy, in the forms of DATABASE_URL
    #[arg(long, value_name = "URL", value_hint = ValueHint::Other)]
    pub from: String,

    /// The database to copy into
    #[arg(long, value_name = "URL", value_hint = ValueHint::Other)]
    pub to: String,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct DbCheckArgs {
    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub database: DatabaseSettings,
}

#[derive(Debug, Args)]
pub struct DbSizeArgs {
    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub database: DatabaseSettings,
}

/// Shells that can complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

impl Shell {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Elvish => "elvish",
            Self::Powershell => "powershell",
        }
    }

    /// Returns the name of the file in which the shell looks for the completion.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Bash => "llmproxy.bash",
            Self::Zsh => "_llmproxy",
            Self::Fish => "llmproxy.fish",
            Self::Elvish => "llmproxy.elv",
            Self::Powershell => "_llmproxy.ps1",
        }
    }
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command whose page is shown, such as `user add`
    #[arg(value_name = "COMMAND", value_hint = ValueHint::Other)]
    pub command: Vec<String>,
}

pub const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  llmproxy completions bash > ~/.local/share/bash-completion/completions/llmproxy
  llmproxy completions zsh > ~/.zfunc/_llmproxy
  llmproxy completions fish > ~/.config/fish/completions/llmproxy.fish";

pub const MAN_EXAMPLES: &str = "\
Examples:
  llmproxy man
  llmproxy man user add
  llmproxy man serve > llmproxy-serve.1";

pub const BACKUP_EXAMPLES: &str = "\
Examples:
  llmproxy backup /backup/llm_proxy-$(date +%F).db
  llmproxy restore /backup/llm_proxy-2026-11-30.db";

pub const PRUNE_EXAMPLES: &str = "\
Examples:
  llmproxy prune --older-than 400d --dry-run
  llmproxy prune --older-than 400d";

pub const DB_EXAMPLES: &str = "\
Examples:
  llmproxy db check
  llmproxy db size";

const DB_COPY_EXAMPLES: &str = "\
Examples:
  llmproxy db copy --from llm_proxy.db --to postgres://llmproxy@db.example.org/llmproxy
  llmproxy db copy --from postgres://llmproxy@db.example.org/llmproxy --to llm_proxy.db";

//! The command `import`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::{config::TargetSettings, import::Format};

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file of the other program
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// The program that made the file; it is found from the content otherwise
    #[arg(long, value_name = "python|litellm|one-api", value_hint = ValueHint::Other)]
    pub format: Option<Format>,

    /// Show what would come, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Put all new users into this group, instead of those of the file
    ///
    /// It is made if there is none of that name.
    #[arg(long, value_name = "GROUP", value_hint = ValueHint::Other)]
    pub group: Option<String>,

    /// Print everything that comes, user by user, as JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub target: TargetSettings,
}

pub(super) const IMPORT_EXAMPLES: &str = "\
Examples:
  llmproxy import old/llm_proxy.db --dry-run
  llmproxy import old/llm_proxy.db
  llmproxy import one-api.db --group customers
  psql litellm --csv -c 'SELECT * FROM \"LiteLLM_VerificationToken\"' > keys.csv
  llmproxy import keys.csv";

//! Why a file cannot be imported. Each message names what was found and what is accepted.

use super::Format;

/// Why a file cannot be imported as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error("it is empty; accepted: {}", Format::ACCEPTED)]
    Empty,
    #[error(
        "it is no SQLite database, CSV or JSON; accepted: {}",
        Format::ACCEPTED
    )]
    Unknown,
    #[error("its tables are {}; accepted: {}", listed(found), Format::ACCEPTED)]
    UnknownTables { found: Vec<String> },
    #[error(
        "it is a database of llmproxy itself; use it with DATABASE_URL, nothing has to be imported"
    )]
    OwnDatabase,
    #[error("--format {format} wants {wanted}, and this is {found}")]
    WrongFormat {
        format: Format,
        wanted: &'static str,
        found: &'static str,
    },
    #[error(
        "it has no table {}; its tables are {}",
        alternatives(wanted),
        listed(found)
    )]
    NoTable {
        wanted: &'static [&'static str],
        found: Vec<String>,
    },
    #[error(
        "the table {table:?} has no column for {what}: it has {}, and none of {}",
        listed(found),
        listed(wanted)
    )]
    NoColumn {
        table: String,
        what: &'static str,
        found: Vec<String>,
        wanted: Vec<&'static str>,
    },
    #[error(
        "the header line has no column token: it has {}; export the table with all columns and a header",
        listed(found)
    )]
    NoTokenColumn { found: Vec<String> },
    #[error("line {line}: {reason}")]
    Line { line: u64, reason: String },
    #[error(
        "the keys are listed by their hashes only; ask for /key/list?return_full_object=true, or export the table LiteLLM_VerificationToken"
    )]
    HashesOnly,
    #[error("it has no keys")]
    NoKeys,
    #[error("it is larger than {limit_mb} MB, which is too much for a list of keys")]
    TooLarge { limit_mb: u64 },
}

/// Why a cell cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadCell {
    Negative,
    TooLarge,
    NotANumber,
    NotATime,
}

impl BadCell {
    /// Returns what a note says of a row with such a cell.
    pub(super) fn note(self) -> &'static str {
        match self {
            Self::Negative => "usage rows left out, because a number of tokens is negative",
            Self::TooLarge => "usage rows left out, because a number is too large to be true",
            Self::NotANumber => "usage rows left out, because a number cannot be read",
            Self::NotATime => "usage rows left out, because their time cannot be read",
        }
    }
}

/// The most names of a list that a message shows, and the longest name.
const MAX_LISTED: usize = 40;
const MAX_NAME_CHARS: usize = 60;

fn listed(names: &[impl AsRef<str>]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown = names.iter().take(MAX_LISTED).map(|name| {
        let name: String = name.as_ref().chars().take(MAX_NAME_CHARS).collect();
        name.replace(char::is_control, " ")
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if names.len() > MAX_LISTED {
        text.push_str(", …");
    }
    text
}

fn alternatives(names: &[&str]) -> String {
    names.join(" or ")
}

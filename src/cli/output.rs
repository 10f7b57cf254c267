//! How commands print: the flags that all of them have.

use clap::Args;

/// How the answer of a change is printed.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Print the JSON that the HTTP admin API returns
    #[arg(long)]
    pub json: bool,
}

/// How a list is printed.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct ListOutputArgs {
    /// Print the JSON that the HTTP admin API returns
    #[arg(long)]
    pub json: bool,

    /// Print CSV with a header line
    ///
    /// A name that a spreadsheet would take for a formula gets a ' in front.
    #[arg(long)]
    pub csv: bool,

    /// Print a table with lines around it also in a pipe
    ///
    /// Without this flag, a list in a pipe is aligned text with a header line, which programs such
    /// as sort and awk can read.
    #[arg(long)]
    pub table: bool,
}

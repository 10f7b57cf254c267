//! Is the file that rows are written into still the one that its path names? A deleted or replaced database would take
//! every row with it, without a word.

use std::path::PathBuf;

/// The database file as it was when it was opened.
pub(super) struct FileWatch {
    path: PathBuf,
    opened: Option<Identity>,
}

/// Device and inode; nothing elsewhere, where an open file cannot be deleted.
type Identity = (u64, u64);

impl FileWatch {
    pub(super) fn new(path: PathBuf) -> Self {
        let opened = identity(&path);
        Self { path, opened }
    }

    /// What is wrong with the file, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let now = identity(&self.path);
        if now == self.opened {
            return None;
        }
        let what = if now.is_none() { "deleted" } else { "replaced" };
        Some(format!(
            "{:?} was {what} while the server runs; put the file back, or restart",
            self.path
        ))
    }
}

#[cfg(unix)]
fn identity(path: &std::path::Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &std::path::Path) -> Option<Identity> {
    None
}

//! Checks that the path still leads to the file that rows are written into. A deleted or replaced
//! database would take every row with it, without an error.

use std::path::PathBuf;

use crate::store::StoreError;

/// The database file as it was when it was opened.
pub(in crate::store) struct FileWatch {
    path: PathBuf,
    opened: Option<Identity>,
}

/// Device and inode on Unix. Other systems need none, because an open file cannot be deleted there.
type Identity = (u64, u64);

impl FileWatch {
    pub(in crate::store) fn new(path: PathBuf) -> Self {
        let opened = identity(&path);
        Self { path, opened }
    }

    /// Returns what is wrong with the file, if anything.
    pub(in crate::store) fn problem(&self) -> Option<StoreError> {
        let now = identity(&self.path);
        if now == self.opened {
            return None;
        }
        let path = self.path.clone();
        Some(if now.is_none() {
            StoreError::Deleted { path }
        } else {
            StoreError::Replaced { path }
        })
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

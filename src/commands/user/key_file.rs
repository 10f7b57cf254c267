//! The file for new keys, as `llmproxy user add --keys-to FILE` writes it.

use std::{fs::OpenOptions, io::Write, path::Path};

use anyhow::Context;

/// A new file for keys that only its owner can read. It is removed again if no keys come.
pub(super) struct KeyFile<'a> {
    path: &'a Path,
    file: Option<std::fs::File>,
}

impl<'a> KeyFile<'a> {
    /// Makes the file. An existing one is never written to.
    pub(super) fn create(path: &'a Path) -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).with_context(|| {
            format!("cannot create \"{}\", so no user was added", path.display())
        })?;
        let file = Some(file);
        Ok(Self { path, file })
    }

    /// Writes the keys to the disk, and returns where they are.
    pub(super) fn keep(mut self, text: &str) -> anyhow::Result<&'a Path> {
        let written = self.file.take().map_or(Ok(()), |mut file| {
            writeln!(file, "{text}").and_then(|()| file.sync_all())
        });
        written.with_context(|| {
            let path = self.path.display();
            format!("the users exist now, but their keys cannot be written to \"{path}\"; give them new ones with `llmproxy user rotate`")
        })?;
        Ok(self.path)
    }
}

impl Drop for KeyFile<'_> {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // An empty file that stays is only in the way of the next attempt.
            let _ = std::fs::remove_file(self.path);
        }
    }
}

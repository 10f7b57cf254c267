//! Databases of other programs, in a llmproxy that was built without SQLite: none can be read.

use std::{convert::Infallible, path::Path};

use crate::{import::Cell, store::StoreError};

/// A database of another program, of which there is none.
pub struct SourceDb(Infallible);

impl SourceDb {
    /// # Errors
    /// [`StoreError::Source`], always.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Err(StoreError::Source {
            path: path.to_owned(),
            reason: "this llmproxy was built without SQLite".to_owned(),
        })
    }

    /// # Errors
    /// None, because there is no such value.
    pub fn tables(&self) -> Result<Vec<String>, StoreError> {
        match self.0 {}
    }

    /// # Errors
    /// None, because there is no such value.
    pub fn columns(&self, _: &str) -> Result<Vec<String>, StoreError> {
        match self.0 {}
    }

    /// # Errors
    /// None, because there is no such value.
    pub fn last_row(&self, _: &str) -> Result<i64, StoreError> {
        match self.0 {}
    }

    /// # Errors
    /// None, because there is no such value.
    pub fn each(
        &self,
        _: &str,
        _: &[Option<String>],
        _: (i64, i64),
        _: impl FnMut(i64, &[Cell<'_>]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match self.0 {}
    }
}

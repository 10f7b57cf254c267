//! A transaction that knows how long it has lasted.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::store::StoreError;

/// A transaction that is rolled back unless it is committed.
pub(super) struct Transaction<'c> {
    connection: &'c Connection,
    begun: Instant,
    is_open: bool,
}

impl<'c> Transaction<'c> {
    pub(super) fn begin(connection: &'c Connection) -> Result<Self, StoreError> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        Ok(Self {
            connection,
            begun: Instant::now(),
            is_open: true,
        })
    }

    pub(super) fn lasted(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn commit(mut self) -> Result<(), StoreError> {
        self.connection.execute_batch("COMMIT")?;
        self.is_open = false;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open && !self.connection.is_autocommit() {
            // The error that matters is the one that led here.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

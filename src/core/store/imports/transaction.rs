//! A transaction that knows how long it has lasted.

use std::time::{Duration, Instant};

use crate::store::{
    StoreError,
    sql::{self, Connection},
};

/// A transaction that is rolled back unless it is committed.
pub(super) struct Transaction<'c> {
    transaction: sql::Transaction<'c>,
    begun: Instant,
}

impl<'c> Transaction<'c> {
    pub(super) fn begin(connection: &'c Connection) -> Result<Self, StoreError> {
        Ok(Self {
            transaction: connection.write()?,
            begun: Instant::now(),
        })
    }

    pub(super) fn lasted(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit()?)
    }
}

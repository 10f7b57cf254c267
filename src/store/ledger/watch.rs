//! Notices changes of users made by other connections, on the ledger's own connection.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::store::{StoreError, sqlite::data_version, users};

/// Interval between two looks whether another process changed the users. A forbidden key stops
/// working within about this.
pub(super) const USERS_POLL: Duration = Duration::from_millis(50);

/// The function that is called on the ledger's thread whenever a user may have changed.
pub type OnUsersChanged = Box<dyn FnMut(&Connection) -> Result<(), StoreError> + Send>;

/// Notices changes of users made by other connections.
pub(super) struct UsersWatch {
    on_change: OnUsersChanged,
    data_version: i64,
    users_version: i64,
    next_look: Instant,
}

impl UsersWatch {
    pub(super) fn new(
        connection: &Connection,
        on_change: OnUsersChanged,
    ) -> Result<Self, StoreError> {
        let mut watch = Self {
            on_change,
            data_version: data_version(connection)?,
            users_version: users::version(connection)?,
            next_look: Instant::now(),
        };
        (watch.on_change)(connection)?;
        Ok(watch)
    }

    /// Looks for changes, at most every [`USERS_POLL`].
    pub(super) fn check(&mut self, connection: &Connection) {
        let now = Instant::now();
        if now < self.next_look {
            return;
        }
        self.next_look = now + USERS_POLL;
        if let Err(error) = self.look(connection) {
            log::error!("ledger: cannot read the users, keys stay as they were: {error}");
            self.next_look = now + Duration::from_secs(1);
        }
    }

    /// Reloads the users if they changed. Their counter is read only if `data_version` moved, which
    /// costs less to ask for.
    fn look(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let data_version = data_version(connection)?;
        if data_version == self.data_version {
            return Ok(());
        }
        let users_version = users::version(connection)?;
        if users_version != self.users_version {
            (self.on_change)(connection)?;
            self.users_version = users_version;
        }
        self.data_version = data_version;
        Ok(())
    }
}

//! Notices changes of users and keys made by other connections, on the ledger's own connection, and
//! writes when keys were last used.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::queue::Shared;
use crate::store::{
    StoreError,
    changes::change_mark,
    keys,
    sql::{Connection, IfBusy, SqlErrorKind, in_transaction_if},
    users,
};
use crate::{alerts::AlertSink, limits::SharedLimits, prices::Catalog, sight::LedgerSight};

/// Interval between two looks whether another process changed the users. A forbidden key stops
/// working within about this.
pub(super) const USERS_POLL: Duration = Duration::from_millis(50);
/// Interval between two looks on PostgreSQL if the server announces changes: a look finds what an
/// announcement does not tell, such as rows of other nodes.
const ANNOUNCED_POLL: Duration = Duration::from_millis(200);
/// Interval between two looks on PostgreSQL if changes are not announced.
const UNANNOUNCED_POLL: Duration = Duration::from_millis(100);
/// Interval between two writes of when keys were last used.
const NOTE_USES_EVERY: Duration = Duration::from_secs(60);
/// Interval between two looks whether any key was used.
const LOOK_FOR_USES_EVERY: Duration = Duration::from_secs(1);

/// The function that is called on the ledger's thread whenever users, keys or prices may have
/// changed.
pub type OnChange = Box<dyn FnMut(&Connection) -> Result<(), StoreError> + Send>;
/// The function that returns the keys that were used since its last call: ids, and the Unix time in
/// milliseconds of the last use.
pub type TakeUses = Box<dyn FnMut() -> Vec<(i64, i64)> + Send>;

/// What links the ledger's thread with the rest of a server.
pub struct ServerLinks {
    /// Prices of a file.
    pub price_file: Option<Catalog>,
    /// Limits whose budgets follow the ledger.
    pub limits: Option<Arc<SharedLimits>>,
    /// Gets the alerts of the ledger, and learns that the database changed.
    pub alerts: AlertSink,
    /// Counts what is booked.
    pub sight: Option<Arc<LedgerSight>>,
    /// Is called before limits are read, and reads what they are calculated with, such as prices.
    pub before_limits: OnChange,
    pub on_change: OnChange,
    pub take_uses: TakeUses,
    /// Changes are listened for on a PostgreSQL server, not only asked for.
    pub listens: bool,
}

/// Links to nothing.
impl Default for ServerLinks {
    fn default() -> Self {
        Self {
            price_file: None,
            limits: None,
            alerts: AlertSink::default(),
            sight: None,
            before_limits: Box::new(|_| Ok(())),
            on_change: Box::new(|_| Ok(())),
            take_uses: Box::new(Vec::new),
            listens: false,
        }
    }
}

/// What other connections have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changes {
    /// It was not looked for them.
    Unknown,
    None,
    /// Rows, perhaps, but nothing that a server keeps in memory.
    Rows,
    /// Users, keys or prices, and perhaps rows.
    Kept,
}

/// Notices changes of users and keys made by other connections.
pub(super) struct UsersWatch {
    links: ServerLinks,
    /// That of [`change_mark`].
    mark: i64,
    users_version: i64,
    next_look: Instant,
    next_look_for_uses: Instant,
    /// Uses of keys that are not written yet: ids and Unix times in milliseconds.
    unwritten_uses: HashMap<i64, i64>,
}

impl UsersWatch {
    pub(super) fn new(connection: &Connection, links: ServerLinks) -> Result<Self, StoreError> {
        let mut watch = Self {
            links,
            mark: change_mark(connection)?,
            users_version: users::version(connection)?,
            next_look: Instant::now(),
            next_look_for_uses: Instant::now(),
            unwritten_uses: HashMap::new(),
        };
        (watch.links.before_limits)(connection)?;
        (watch.links.on_change)(connection)?;
        Ok(watch)
    }

    /// Looks for changes, at most every [`USERS_POLL`] unless one was announced. `read_limits` is called
    /// before the keys of users are known who may have limits: no request of theirs passes without.
    pub(super) fn check(
        &mut self,
        connection: &Connection,
        shared: &Shared,
        read_limits: impl FnOnce() -> Result<(), StoreError>,
    ) -> Changes {
        let now = Instant::now();
        let has_heard = shared.has_heard.swap(false, Ordering::Relaxed);
        if now < self.next_look && !has_heard {
            return Changes::Unknown;
        }
        let pause = match connection.is_postgres() {
            false => USERS_POLL,
            true if shared.hears.load(Ordering::Relaxed) => ANNOUNCED_POLL,
            true => UNANNOUNCED_POLL,
        };
        self.next_look = now + pause;
        let changes = self.look(connection, read_limits).unwrap_or_else(|error| {
            log::error!("ledger: cannot read users or limits, which stay as they were: {error}");
            self.next_look = now + Duration::from_secs(1);
            Changes::Unknown
        });
        if now >= self.next_look_for_uses {
            let has_noted = self.note_uses(connection);
            let pause = if has_noted {
                NOTE_USES_EVERY
            } else {
                LOOK_FOR_USES_EVERY
            };
            self.next_look_for_uses = now + pause;
        }
        changes
    }

    /// Writes when keys were last used. Returns whether anything was written. It does not wait for
    /// another process's lock, because a row that comes meanwhile would wait twice as long; what is
    /// not written is kept for the next time.
    pub(super) fn note_uses(&mut self, connection: &Connection) -> bool {
        self.unwritten_uses.extend((self.links.take_uses)());
        if self.unwritten_uses.is_empty() {
            return false;
        }
        let uses: Vec<(i64, i64)> = self
            .unwritten_uses
            .iter()
            .map(|(id, at)| (*id, *at))
            .collect();
        let noted = in_transaction_if(connection, IfBusy::Fail, || {
            keys::note_uses(connection, &uses)
        });
        match noted {
            Ok(()) => {
                self.unwritten_uses.clear();
                true
            }
            Err(error) => {
                if error.kind() != SqlErrorKind::Busy {
                    log::warn!("ledger: cannot write when keys were last used: {error}");
                }
                false
            }
        }
    }

    /// Reloads the users if they changed. Their counter is read only if something changed, which
    /// costs less to ask for.
    fn look(
        &mut self,
        connection: &Connection,
        read_limits: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<Changes, StoreError> {
        let mark = change_mark(connection)?;
        if mark == self.mark {
            return Ok(Changes::None);
        }
        self.links.alerts.note_change();
        let users_version = users::version(connection)?;
        let has_changed = users_version != self.users_version;
        if has_changed {
            // A key that was forbidden is known also if limits cannot be read. All are read again then.
            let before = (self.links.before_limits)(connection);
            let limits = before.and_then(|()| read_limits());
            (self.links.on_change)(connection)?;
            limits?;
            self.users_version = users_version;
        }
        self.mark = mark;
        Ok(if has_changed {
            Changes::Kept
        } else {
            Changes::Rows
        })
    }
}

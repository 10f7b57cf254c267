//! Keeps what budgets have used in memory equal to the ledger: own rows are added as they are
//! committed, those of other processes and adjustments when `data_version` says that there are some.

use super::{row::InsertedRow, thresholds::Thresholds, watch::Changes};
use crate::store::sql::{Connection, SqlResult, signed};
use crate::{
    alerts::AlertSink,
    limits::{Amounts, LimitTable, SharedLimits},
    model::{Entry, NanoUsd, RowHold, UsageRow, now_ms},
    store::{
        StoreError,
        limit_usage::{self, LedgerPosition},
        limits,
    },
};
use rustc_hash::FxHashSet;
use std::{collections::HashMap, sync::Arc};

/// What budgets have used, as the ledger's thread keeps it.
pub(super) struct BudgetWatch {
    /// `None` if nothing is linked.
    limits: Option<Arc<SharedLimits>>,
    /// Rows and adjustments up to here are counted.
    position: LedgerPosition,
    /// Own rows behind the position, which are counted too.
    own_ids: FxHashSet<i64>,
    /// What objects with open accounts have reserved.
    held: HashMap<String, Arc<dyn RowHold>>,
    thresholds: Thresholds,
    /// Users whose budgets are to be compared with the thresholds at the next look, some of them twice.
    charged: Vec<i64>,
    alerts: AlertSink,
    /// What stored objects have reserved may have changed in the database, where several nodes read it.
    has_new_stored: bool,
}

impl BudgetWatch {
    pub(super) fn new(limits: Option<Arc<SharedLimits>>, alerts: AlertSink) -> Self {
        Self {
            limits,
            position: LedgerPosition::default(),
            own_ids: FxHashSet::default(),
            held: HashMap::new(),
            thresholds: Thresholds::default(),
            charged: Vec::new(),
            alerts,
            has_new_stored: true,
        }
    }

    /// Reads all limits, and what their budgets have used.
    ///
    /// # Errors
    /// If the database fails; the limits stay as they were.
    pub(super) fn load(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let Some(shared) = self.limits.clone() else {
            return Ok(());
        };
        let all = limits::read_all(connection)?;
        if all.subjects.is_empty() && shared.table().is_empty() {
            return Ok(());
        }
        let table = LimitTable::new(&all.users, &all.subjects);
        let groups = all.users.iter();
        let groups = groups.filter_map(|user| Some((user.id, user.group.as_ref()?.0)));
        // One read transaction: sums and position are of the same moment.
        let snapshot = connection.snapshot()?;
        let had_budgets = shared.has_budgets();
        let position = limit_usage::position(&snapshot)?;
        if had_budgets {
            self.catch_up(&snapshot, &shared, position)?;
        }
        shared.set_table(table, groups.collect(), |window| {
            let start_ms = (window.start_ms != i64::MIN).then_some(window.start_ms);
            limit_usage::used_since(&snapshot, start_ms)
        })?;
        drop(snapshot);
        shared.with(|limiter| limiter.note_counted(position.row_id, position.adjustment_id));
        self.position = position;
        self.own_ids.clear();
        let users: Vec<i64> = shared.table().users().map(|rules| rules.user_id).collect();
        self.thresholds
            .check(connection, &shared, &self.alerts, users);
        Ok(())
    }

    /// Restores what objects with open accounts had reserved when the server stopped.
    ///
    /// # Errors
    /// If the database fails.
    pub(super) fn restore(&mut self, connection: &Connection) -> Result<(), StoreError> {
        // Several nodes read them from the table whenever a lease grows.
        let Some(shared) = self
            .limits
            .as_ref()
            .filter(|shared| !shared.shares_budgets())
        else {
            return Ok(());
        };
        for reservation in limit_usage::reservations(connection)? {
            let hold = shared.restore(
                reservation.user_id,
                reservation.amounts,
                reservation.started_at_ms,
            );
            if let Some(hold) = hold {
                self.held.insert(reservation.object_id, hold);
            }
        }
        Ok(())
    }

    /// Counts rows that this thread has committed, and ends what was held for them.
    pub(super) fn add(&mut self, written: &[InsertedRow<'_>]) {
        if let Some(shared) = self.limits.as_ref().filter(|shared| shared.has_budgets()) {
            let newest = written.iter().map(|row| row.id).max().unwrap_or(0);
            let rows = written.iter().map(|inserted| {
                let row = &inserted.row;
                let amounts = amounts_of(row, inserted.cost.amount);
                (row.user_id, row.started_at_ms, amounts)
            });
            // About now, and cheaper than asking the clock: a request has just ended.
            let ended_ms = written.iter().map(|inserted| {
                let row = &inserted.row;
                row.started_at_ms.saturating_add(row.duration_ms)
            });
            let now_ms = ended_ms.max().unwrap_or(0);
            shared.book_own(rows, (newest, 0), now_ms);
            self.own_ids.extend(written.iter().map(|row| row.id));
            for InsertedRow { row, .. } in written {
                if self.charged.last() != Some(&row.user_id) {
                    self.charged.push(row.user_id);
                }
            }
        }
        for InsertedRow { row, .. } in written {
            settle(row);
        }
    }

    /// Takes over or ends what objects have reserved, when these entries are committed.
    pub(super) fn note_objects<'e>(&mut self, entries: impl Iterator<Item = &'e Entry>) {
        for entry in entries {
            match entry {
                Entry::Made(object) => {
                    if let Some(hold) = &object.hold
                        && let Some(shared) = &self.limits
                        && shared.shares_budgets()
                    {
                        // From now on the table says what the object may use, to all nodes. This one
                        // counts it at once, and reads it with the others' later.
                        let amounts = Amounts {
                            nano_usd: hold.nano_usd,
                            tokens: hold.tokens,
                            requests: hold.requests,
                        };
                        let (user_id, at_ms) = (object.user_id, hold.started_at_ms);
                        shared.with(|limiter| {
                            limiter.consume_leases(user_id, at_ms, amounts);
                            limiter.add_stored(user_id, at_ms, amounts);
                        });
                        hold.hold.settle(hold.tokens, false);
                        self.has_new_stored = true;
                    } else if let Some(hold) = &object.hold {
                        self.held.insert(object.id.clone(), Arc::clone(&hold.hold));
                    }
                }
                Entry::Billed { account, row, .. } if !self.held.is_empty() => {
                    if let Some(hold) = self.held.remove(&account.id) {
                        hold.settle(signed(tokens_of(row)), has_failed(row));
                    }
                }
                Entry::Forgotten { id, .. } if !self.held.is_empty() => {
                    self.held.remove(id);
                }
                _ => {}
            }
        }
    }

    /// Notices what other connections have changed.
    ///
    /// # Errors
    /// If the database fails.
    pub(super) fn check(
        &mut self,
        connection: &Connection,
        changes: Changes,
    ) -> Result<(), StoreError> {
        self.has_new_stored |= matches!(changes, Changes::Rows | Changes::Kept);
        if self.has_new_stored
            && let Some(shared) = self.shared()
        {
            self.read_stored(connection, &shared)?;
        }
        match changes {
            Changes::Unknown => return Ok(()),
            // Rows of others may be before the newest own one. Limits that have changed are loaded
            // already, before users and keys were.
            Changes::Kept => {}
            Changes::None => {
                // Nobody else has written, so that no row of others is before the newest own one.
                if let Some(newest) = self.own_ids.drain().max() {
                    self.position.row_id = self.position.row_id.max(newest);
                }
            }
            Changes::Rows => {
                if let Some(shared) = self.limits.clone().filter(|shared| shared.has_budgets()) {
                    let position = limit_usage::position(connection)?;
                    self.catch_up(connection, &shared, position)?;
                }
            }
        }
        self.raise_alerts(connection);
        Ok(())
    }

    /// Compares with the thresholds what was booked since the last time.
    pub(super) fn raise_alerts(&mut self, connection: &Connection) {
        if let Some(shared) = &self.limits {
            self.charged.sort_unstable();
            self.charged.dedup();
            let users = self.charged.drain(..);
            self.thresholds
                .check(connection, shared, &self.alerts, users);
        }
    }

    /// Counts all rows and objects of others that are committed.
    pub(super) fn catch_up_now(
        &mut self,
        connection: &Connection,
        shared: &SharedLimits,
    ) -> SqlResult<()> {
        let position = limit_usage::position(connection)?;
        self.catch_up(connection, shared, position)?;
        self.read_stored(connection, shared)
    }

    fn read_stored(&mut self, connection: &Connection, shared: &SharedLimits) -> SqlResult<()> {
        let stored = limit_usage::reservations(connection)?.into_iter();
        let stored = stored.map(|stored| (stored.user_id, stored.started_at_ms, stored.amounts));
        shared.with(|limiter| limiter.set_stored(stored));
        self.has_new_stored = false;
        Ok(())
    }

    /// Returns the limits, if other nodes use the same budgets.
    pub(super) fn shared(&self) -> Option<Arc<SharedLimits>> {
        self.limits.clone().filter(|shared| shared.shares_budgets())
    }

    fn catch_up(
        &mut self,
        connection: &Connection,
        shared: &SharedLimits,
        position: LedgerPosition,
    ) -> SqlResult<()> {
        let own_ids = &self.own_ids;
        let booked = limit_usage::booked_between(connection, self.position, position, |id| {
            own_ids.contains(&id)
        })?;
        self.charged
            .extend(booked.iter().map(|booked| booked.user_id));
        let rows = booked.into_iter();
        let rows = rows.map(|booked| (booked.user_id, booked.started_at_ms, booked.amounts));
        shared.book(rows, (position.row_id, position.adjustment_id), now_ms());
        self.position = position;
        self.own_ids.clear();
        Ok(())
    }
}

/// Ends what a request had reserved: its row is in the ledger.
pub(super) fn settle(row: &UsageRow) {
    if let Some(hold) = &row.hold {
        hold.settle(signed(tokens_of(row)), has_failed(row));
    }
}

fn amounts_of(row: &UsageRow, cost: Option<NanoUsd>) -> Amounts {
    Amounts {
        nano_usd: cost.unwrap_or_default().0,
        tokens: signed(tokens_of(row)),
        requests: i64::from((200..300).contains(&row.status)),
    }
}

fn tokens_of(row: &UsageRow) -> u64 {
    row.usage.input.saturating_add(row.usage.output)
}

/// Returns whether the backend refused the request or failed. A client that left is no failure.
fn has_failed(row: &UsageRow) -> bool {
    const CLIENT_CLOSED_REQUEST: u16 = 499;
    row.status >= 400 && row.status != CLIENT_CLOSED_REQUEST
}

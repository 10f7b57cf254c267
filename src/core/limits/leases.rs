//! What this node may use of budgets that it shares with other nodes. A lease is an amount that the
//! database has set aside for one node: it works on that in memory, and asks for more when it is used
//! up. So the sum of what all nodes use never overruns a budget, and nearly no request asks.
//!
//! For each budget, what the ledger says is used plus the leases of all nodes is at most the budget
//! whenever a lease grows. What a node books is used from then on, and stays in its lease until the
//! lease is written again: until then the node counts it as consumed. (`tests/models` has the model of
//! the protocol.)

use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use super::{Amounts, Owner, UserRules};
use crate::model::{BudgetUnit, BudgetWindow};

/// The part of a budget, that is left beyond what is asked for, which goes into a lease.
const SLICE_OF_REST: i64 = 8;
/// The most that goes into a lease beyond what is asked for, in requests like the one that asks.
const SLICE_IN_REQUESTS: i64 = 16;

/// What a lease is of: a budget of a user or a group, in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseKey {
    pub owner: Owner,
    pub window: BudgetWindow,
    /// Unix time in milliseconds at which the window begins.
    pub start_ms: i64,
}

/// What one node has of one budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Lease {
    /// What the database has set aside.
    granted: Amounts,
    /// What was booked since the lease was last written.
    consumed: Amounts,
    /// Something was taken since it was last looked at.
    is_in_use: bool,
}

/// The leases of this node.
#[derive(Debug, Default)]
pub struct Leases {
    of: FxHashMap<LeaseKey, Lease>,
    /// Milliseconds of the process's clock until which the leases hold. Other nodes take this one for
    /// dead some time after its last sign of life.
    valid_until_ms: u64,
}

/// What a request needs of leases that this node does not have.
pub struct LeaseAsk {
    pub rules: std::sync::Arc<UserRules>,
    pub amounts: Amounts,
    /// Unix time in milliseconds, which decides about windows.
    pub at_ms: i64,
    /// Gets a word when the leases are as large as they can be.
    pub reply: oneshot::Sender<()>,
}

/// Where leases are asked for.
pub trait LeaseDesk: Send + Sync {
    /// Takes an ask, and answers it later.
    fn ask(&self, ask: LeaseAsk);
}

/// What is known of one unit of a budget when a lease is to grow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) unit: BudgetUnit,
    pub(super) limit: i64,
    pub(super) used: i64,
    pub(super) reserved: i64,
    pub(super) requested: i64,
    /// What other nodes and stored objects may still use.
    pub(super) others: i64,
}

impl Leases {
    /// Returns whether a lease covers a further request.
    pub(super) fn covers(
        &self,
        key: &LeaseKey,
        unit: BudgetUnit,
        reserved: i64,
        requested: i64,
        clock_ms: u64,
    ) -> bool {
        if requested == 0 {
            return true;
        }
        let Some(lease) = self.of.get(key).filter(|_| clock_ms < self.valid_until_ms) else {
            return false;
        };
        let wanted = reserved
            .saturating_add(requested)
            .saturating_add(lease.consumed.of(unit));
        wanted <= lease.granted.of(unit)
    }

    /// Notes what this node has booked.
    pub(super) fn consume(&mut self, key: &LeaseKey, amounts: Amounts) {
        if let Some(lease) = self.of.get_mut(key) {
            lease.consumed += amounts;
            lease.is_in_use = true;
        }
    }

    /// Returns what a lease should have, so that the request fits: with some more, where there is room.
    /// `None` if there is too little room for the request. What the lease still has is never taken
    /// back here, because it may be in use.
    pub(super) fn grown(&self, key: &LeaseKey, rooms: &[Room]) -> Option<Amounts> {
        let lease = self.of.get(key).copied().unwrap_or_default();
        let mut grown = remaining(&lease);
        for room in rooms {
            let has = grown.of(room.unit).max(0);
            let needed = room.reserved.saturating_add(room.requested).max(has);
            let left = room
                .limit
                .saturating_sub(room.used)
                .saturating_sub(room.others)
                .saturating_sub(needed);
            // A larger lease was granted before the budget was lowered, and is not in the way.
            if left < 0 && needed > has {
                return None;
            }
            let slice = (left / SLICE_OF_REST)
                .min(room.requested.saturating_mul(SLICE_IN_REQUESTS))
                .max(0);
            *of_unit(&mut grown, room.unit) = needed.saturating_add(slice);
        }
        Some(grown)
    }

    /// Takes a lease as it was written. What was consumed before is no part of it.
    pub fn set(&mut self, key: LeaseKey, granted: Amounts) {
        let lease = Lease {
            granted,
            consumed: Amounts::default(),
            is_in_use: true,
        };
        self.of.insert(key, lease);
    }

    /// Notes until when the leases hold.
    pub fn set_valid_until(&mut self, clock_ms: u64) {
        self.valid_until_ms = clock_ms;
    }

    /// Forgets all leases: other nodes have settled them.
    pub fn clear(&mut self) {
        self.of.clear();
    }

    /// Gives back what is not needed: all that is not reserved, if nothing was taken since the last
    /// call. Returns the leases that have to be written anew.
    pub(super) fn give_back(
        &mut self,
        reserved: impl Fn(&LeaseKey) -> Amounts,
    ) -> Vec<(LeaseKey, Amounts)> {
        let mut changed = Vec::new();
        self.of.retain(|key, lease| {
            let kept = if lease.is_in_use {
                remaining(lease)
            } else {
                smaller(remaining(lease), reserved(key))
            };
            lease.is_in_use = false;
            if lease.granted != kept || lease.consumed != Amounts::default() {
                lease.granted = kept;
                lease.consumed = Amounts::default();
                changed.push((*key, kept));
            }
            kept != Amounts::default()
        });
        changed
    }

    /// Returns how many leases there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.of.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}

/// Returns what a lease still has. A request may have used more than it had reserved.
fn remaining(lease: &Lease) -> Amounts {
    let mut rest = lease.granted;
    rest -= lease.consumed;
    Amounts {
        nano_usd: rest.nano_usd.max(0),
        tokens: rest.tokens.max(0),
        requests: rest.requests.max(0),
    }
}

fn smaller(a: Amounts, b: Amounts) -> Amounts {
    Amounts {
        nano_usd: a.nano_usd.min(b.nano_usd),
        tokens: a.tokens.min(b.tokens),
        requests: a.requests.min(b.requests),
    }
}

fn of_unit(amounts: &mut Amounts, unit: BudgetUnit) -> &mut i64 {
    match unit {
        BudgetUnit::Usd => &mut amounts.nano_usd,
        BudgetUnit::Tokens => &mut amounts.tokens,
        BudgetUnit::Requests => &mut amounts.requests,
    }
}

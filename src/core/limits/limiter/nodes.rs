//! What several nodes share: budgets by leases, stored objects by the database, rates and requests at the
//! same time in equal parts.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::{
    super::leases::{LeaseKey, Leases, Room},
    Amounts, BudgetCheck, BudgetRule, Limiter, Owner, UserRules,
};

impl Limiter {
    /// Makes budgets those of several nodes: from now on a lease is needed for each.
    pub fn share_budgets(&mut self) {
        self.leases.get_or_insert_default();
    }

    /// Returns the leases of this node. `None` if no other node uses its budgets.
    pub fn leases(&mut self) -> Option<&mut Leases> {
        self.leases.as_mut()
    }

    /// Returns the leases that a request needs, as large as they should be, or `None` if there is too
    /// little room. What is used and stored must be up to date. `others_and_promised` returns what other
    /// nodes may still use of a budget, and what requests of the same call will reserve.
    #[must_use]
    pub fn grown_leases(
        &mut self,
        rules: &UserRules,
        amounts: Amounts,
        at_ms: i64,
        others_and_promised: impl Fn(&LeaseKey) -> (Amounts, Amounts),
    ) -> Option<Vec<(LeaseKey, Amounts)>> {
        self.roll(at_ms);
        let mut rooms: FxHashMap<LeaseKey, SmallVec<[Room; 3]>> = FxHashMap::default();
        for rule in rules.budgets.iter().filter(|rule| !rule.is_watched) {
            let Some(check) = self.budget(rule, at_ms) else {
                continue;
            };
            let key = LeaseKey {
                owner: rule.owner,
                window: rule.window,
                start_ms: check.start_ms,
            };
            let (others, promised) = others_and_promised(&key);
            let room = Room {
                unit: rule.unit,
                limit: check.limit,
                used: check.used,
                reserved: (check.reserved - check.stored).saturating_add(promised.of(rule.unit)),
                requested: amounts.of(rule.unit),
                others: others.of(rule.unit).saturating_add(check.stored),
            };
            let known = rooms.entry(key).or_default();
            // A user may have several budgets of one unit and window. The smallest of them decides.
            match known.iter_mut().find(|known| known.unit == room.unit) {
                Some(known) if known.limit <= room.limit => {}
                Some(known) => *known = room,
                None => known.push(room),
            }
        }
        let leases = self.leases.as_ref()?;
        let grown = rooms.iter();
        let mut grown = grown
            .map(|(key, rooms)| Some((*key, leases.grown(key, rooms)?)))
            .collect::<Option<Vec<_>>>()?;
        grown.sort_by_key(|(key, _)| *key);
        Some(grown)
    }

    /// Gives back what this node does not need of its leases. Returns those that have to be written.
    pub fn give_back_leases(&mut self, unix_ms: i64) -> Vec<(LeaseKey, Amounts)> {
        self.roll(unix_ms);
        let (open, owners) = (&self.open, &self.owners);
        let reserved = |key: &LeaseKey| {
            let is_open = open
                .of(key.window)
                .is_some_and(|open| open.start_ms == key.start_ms);
            let state = owners.get(&key.owner).filter(|_| is_open);
            state.map_or_else(Amounts::default, |state| {
                state.tallies[key.window as usize].reserved
            })
        };
        match &mut self.leases {
            Some(leases) => leases.give_back(reserved),
            None => Vec::new(),
        }
    }

    /// Takes what this node has booked, or left to a stored object, from its leases.
    pub fn consume_leases(&mut self, user_id: i64, started_at_ms: i64, amounts: Amounts) {
        let Some(leases) = &mut self.leases else {
            return;
        };
        let group = self.group_of.get(&user_id).copied().map(Owner::Group);
        for open in self.open.iter().filter(|open| open.has(started_at_ms)) {
            for owner in std::iter::once(Owner::User(user_id)).chain(group) {
                let key = LeaseKey {
                    owner,
                    window: open.window,
                    start_ms: open.start_ms,
                };
                leases.consume(&key, amounts);
            }
        }
    }

    /// Takes the number of nodes that share rates and concurrency.
    pub fn set_nodes(&mut self, nodes: usize) {
        self.nodes = i64::try_from(nodes).unwrap_or(i64::MAX).max(1);
    }

    /// Takes what stored objects of users may still use: users, Unix times in milliseconds, amounts.
    pub fn set_stored(&mut self, stored: impl IntoIterator<Item = (i64, i64, Amounts)>) {
        self.stored.clear();
        for (user_id, at_ms, amounts) in stored {
            self.add_stored(user_id, at_ms, amounts);
        }
    }

    /// Adds what a stored object may still use, which was just made.
    pub fn add_stored(&mut self, user_id: i64, at_ms: i64, amounts: Amounts) {
        let group = self.group_of.get(&user_id).copied().map(Owner::Group);
        for owner in std::iter::once(Owner::User(user_id)).chain(group) {
            self.stored.entry(owner).or_default().push((at_ms, amounts));
        }
    }

    /// Returns whether this node may use so much of a budget: always, unless other nodes use it too.
    pub(super) fn has_lease(
        &self,
        rule: &BudgetRule,
        check: &BudgetCheck,
        requested: i64,
        clock_ms: u64,
    ) -> bool {
        let Some(leases) = &self.leases else {
            return true;
        };
        let key = LeaseKey {
            owner: rule.owner,
            window: rule.window,
            start_ms: check.start_ms,
        };
        let reserved = check.reserved - check.stored;
        leases.covers(&key, rule.unit, reserved, requested, clock_ms)
    }

    pub(super) fn stored_of(&self, rule: &BudgetRule, start_ms: i64) -> i64 {
        let Some(stored) = self.stored.get(&rule.owner) else {
            return 0;
        };
        let in_window = stored.iter().filter(|(at_ms, _)| *at_ms >= start_ms);
        in_window.fold(0, |sum, (_, amounts)| {
            sum.saturating_add(amounts.of(rule.unit))
        })
    }

    /// Returns this node's share of a number: never nothing, unless the number is.
    pub(super) fn share(&self, number: i64) -> i64 {
        share_of(number, self.nodes)
    }

    /// Returns what is left for all nodes, if each has as much left as this one.
    pub(super) fn of_all(&self, remaining: i64, number: i64) -> i64 {
        remaining.saturating_mul(self.nodes).min(number)
    }
}

/// Returns one node's share of a number: never nothing, unless the number is.
pub(super) fn share_of(number: i64, nodes: i64) -> i64 {
    if nodes == 1 {
        return number;
    }
    number / nodes + i64::from(number % nodes != 0)
}

#[cfg(test)]
mod tests;

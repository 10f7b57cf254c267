//! The fair queue decides who gets the next permit, by the virtual token counters of Sheng et al.,
//! "Fairness in Serving Large Language Models" (OSDI 2024): the waiting user who has had the least
//! service for their weight. Service is reserved when a permit is given out and corrected when it
//! comes back. Within a user it is first come, first served.
//!
//! Two things are added to the paper, because here the service of a request is not known before its
//! end. A counter is what the user was served plus what is reserved for their running requests, and
//! a user who comes back is lifted to the least *served* part of those who wait: were it lifted to a
//! counter with reservations in it, each correction would take the others back below it. And a user
//! who leaves while others wait is remembered until those have caught up, so that leaving between
//! two requests gains nothing.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    hash::{BuildHasherDefault, Hasher},
};

/// Least service of a request, however little it used: it held a permit. Without it, a user whose
/// requests all fail would stay first in line.
const MIN_SERVICE: u64 = 16;
/// The most users who are remembered although they have no request here. Beyond it, those with the
/// smallest debt are forgotten.
const MAX_DEBTORS: usize = 10_000;
/// Places that are kept when the queue is empty.
const KEPT_PLACES: usize = 1_024;
/// Counts a service of 1 at a weight of one thousandth, so that no division loses more than a
/// millionth of a token at usual weights. Counters have 128 bits, which last for longer than the
/// machine.
const SCALE: u128 = 1_000_000;

/// Returns the service of a request in tokens: a token that is generated costs about twice as much
/// as one that is read.
#[must_use]
pub fn service(input_tokens: u64, output_tokens: u64) -> u64 {
    input_tokens.saturating_add(output_tokens.saturating_mul(2))
}

/// The share of a user among those who wait, in thousandths; at least one thousandth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight(u32);

impl Weight {
    pub const ONE: Self = Self(1_000);

    /// Makes a weight of a whole number. 0 is taken as a thousandth.
    #[must_use]
    pub const fn of(whole: u32) -> Self {
        Self::of_thousandths(whole.saturating_mul(1_000))
    }

    /// Makes a weight of thousandths. 0 is taken as 1.
    #[must_use]
    pub const fn of_thousandths(thousandths: u32) -> Self {
        Self(if thousandths == 0 { 1 } else { thousandths })
    }

    /// Returns what a service adds to the counter of a user with this weight.
    fn counted(self, service: u64) -> u128 {
        if self == Self::ONE {
            // Nearly all users have this weight, and a division of 128 bits takes a while.
            return u128::from(service) * (SCALE / 1_000);
        }
        u128::from(service) * SCALE / u128::from(self.0)
    }
}

/// Hashes ids of users, which the database gives out one after the other.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_i64(&mut self, id: i64) {
        self.write_u64(id.cast_unsigned());
    }

    /// Multiplies by 2^64 divided by the golden ratio (Knuth, volume 3, section 6.4), and swaps the
    /// halves, because the map looks at the lowest and the highest bits.
    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32);
    }
}

/// A request that wants a permit.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    pub user_id: i64,
    pub weight: Weight,
    /// The service that is reserved for it.
    pub service: u64,
}

/// A permit that was given out. It goes back by [`FairQueue::release`], which takes it by value so
/// that it cannot go back twice.
#[derive(Debug)]
#[must_use]
pub struct Grant {
    claim: Claim,
}

impl Grant {
    /// Returns the service that is reserved.
    #[must_use]
    pub fn service(&self) -> u64 {
        self.claim.service
    }
}

/// A waiting request's place in line.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    slot: u32,
    number: u64,
}

/// The line for a number of permits. `W` is what reaches the one who waits.
pub struct FairQueue<W> {
    free_permits: usize,
    permits: usize,
    users: HashMap<i64, User, BuildHasherDefault<IdHasher>>,
    /// The users who wait, in the order in which they get permits.
    order: BTreeSet<Turn>,
    /// The served parts of the users who wait.
    served: BTreeSet<(u128, i64)>,
    /// The served parts of users who left while others waited, as far as they exceed the floor.
    debtors: BTreeSet<(u128, i64)>,
    /// Where a user starts who comes back; it never falls.
    floor: u128,
    slots: Vec<Slot<W>>,
    free_slot: u32,
    waiting: usize,
    /// Number of requests that ever waited.
    numbers: u64,
}

/// Compares users who wait: counter, requests in flight, number of the first that waits, user.
type Turn = (u128, u32, u64, i64);

/// No slot.
const NONE: u32 = u32::MAX;

struct User {
    /// What the finished requests were served, for the weight that they had.
    served: u128,
    /// What is reserved for those in flight.
    reserved: u128,
    running: u32,
    first: u32,
    last: u32,
}

enum Slot<W> {
    Free { next: u32 },
    Waiting(Waiting<W>),
}

struct Waiting<W> {
    waiter: W,
    claim: Claim,
    number: u64,
    before: u32,
    after: u32,
}

impl<W> FairQueue<W> {
    #[must_use]
    pub fn new(permits: usize) -> Self {
        Self {
            free_permits: permits,
            permits,
            users: HashMap::default(),
            order: BTreeSet::new(),
            served: BTreeSet::new(),
            debtors: BTreeSet::new(),
            floor: 0,
            slots: Vec::new(),
            free_slot: NONE,
            waiting: 0,
            numbers: 0,
        }
    }

    /// Returns the number of requests that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns the number of permits that are given out.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.permits - self.free_permits
    }

    /// Gives out a permit at once if one is free and nobody waits.
    pub fn try_enter(&mut self, claim: Claim) -> Option<Grant> {
        if self.free_permits == 0 || self.waiting > 0 {
            return None;
        }
        if !self.debtors.is_empty() {
            // There is enough for all again.
            for (_, user_id) in std::mem::take(&mut self.debtors) {
                self.users.remove(&user_id);
            }
        }
        self.free_permits -= 1;
        let floor = self.floor;
        let user = self.users.entry(claim.user_id).or_insert_with(User::new);
        user.served = user.served.max(floor);
        user.reserve(claim);
        // Nobody is behind for what was used while there was enough.
        self.floor = user.served;
        Some(Grant { claim })
    }

    /// Puts a request in line. A permit that is free by now is given out by [`FairQueue::hand_out`].
    pub fn wait(&mut self, claim: Claim, waiter: W) -> Place {
        let number = self.numbers;
        self.numbers += 1;
        let user_id = claim.user_id;
        let (last, is_new) = match self.users.entry(user_id) {
            Entry::Occupied(user) => (user.get().last, false),
            Entry::Vacant(user) => (user.insert(User::new()).last, true),
        };
        let slot = self.take_slot(Waiting {
            waiter,
            claim,
            number,
            before: last,
            after: NONE,
        });
        self.waiting += 1;
        if last != NONE {
            if let Some(before) = self.waiting_at(last) {
                before.after = slot;
            }
            self.edit_user(user_id, |user| user.last = slot);
            return Place { slot, number };
        }
        let floor = self.floor;
        if let Some(user) = self.users.get_mut(&user_id) {
            if !is_new && user.running == 0 {
                self.debtors.remove(&(user.served, user_id));
            }
            user.served = user.served.max(floor);
            (user.first, user.last) = (slot, slot);
        }
        self.line_up(user_id);
        Place { slot, number }
    }

    /// Takes a request out of the line. Returns `None` if it has its permit already.
    pub fn cancel(&mut self, place: Place) -> Option<W> {
        let number = self.waiting_at(place.slot)?.number;
        (number == place.number).then(|| self.take_out(place.slot))?
    }

    /// Gives a free permit to the one whose turn it is.
    pub fn hand_out(&mut self) -> Option<(W, Grant)> {
        if self.free_permits == 0 {
            return None;
        }
        let (_, _, _, user_id) = *self.order.first()?;
        let slot = self.users.get(&user_id)?.first;
        let claim = self.waiting_at(slot)?.claim;
        // The user is in flight before it leaves the line, so that it is not forgotten in between.
        self.edit_user(user_id, |user| user.reserve(claim));
        self.free_permits -= 1;
        let waiter = self.take_out(slot)?;
        Some((waiter, Grant { claim }))
    }

    /// Takes a permit back. `actual` is the service that the request had.
    #[allow(clippy::needless_pass_by_value)]
    pub fn release(&mut self, grant: Grant, actual: u64) {
        let Grant { claim } = grant;
        self.free_permits += 1;
        if self.waiting == 0 {
            return self.release_in_quiet(claim, actual);
        }
        self.edit_user(claim.user_id, |user| user.settle(claim, actual));
        self.raise_floor();
        self.forget_if_idle(claim.user_id);
    }

    /// Ends a request while nobody waits, with one look at the users.
    fn release_in_quiet(&mut self, claim: Claim, actual: u64) {
        let Entry::Occupied(mut user) = self.users.entry(claim.user_id) else {
            return;
        };
        user.get_mut().settle(claim, actual);
        if user.get().running == 0 {
            // What was used while there was enough for all is no debt.
            self.floor = self.floor.max(user.remove().served);
            self.shrink_if_empty();
        }
    }

    fn shrink_if_empty(&mut self) {
        if self.users.is_empty() && self.users.capacity() > KEPT_PLACES {
            self.users.shrink_to(KEPT_PLACES);
        }
    }

    /// Changes a user and their place in the order.
    fn edit_user(&mut self, user_id: i64, edit: impl FnOnce(&mut User)) {
        let Some(user) = self.users.get(&user_id) else {
            return;
        };
        let is_waiting = user.first != NONE;
        if is_waiting {
            self.leave_line(user_id);
        }
        if let Some(user) = self.users.get_mut(&user_id) {
            edit(user);
        }
        if is_waiting {
            self.line_up(user_id);
        }
    }

    /// Enters a user into the order, if they have a request that waits.
    fn line_up(&mut self, user_id: i64) {
        if let Some((turn, served)) = self.turn_of(user_id) {
            self.order.insert(turn);
            self.served.insert((served, user_id));
        }
    }

    fn leave_line(&mut self, user_id: i64) {
        if let Some((turn, served)) = self.turn_of(user_id) {
            self.order.remove(&turn);
            self.served.remove(&(served, user_id));
        }
    }

    fn turn_of(&self, user_id: i64) -> Option<(Turn, u128)> {
        let user = self.users.get(&user_id)?;
        let Slot::Waiting(first) = self.slots.get(user.first as usize)? else {
            return None;
        };
        let counter = user.served + user.reserved;
        Some(((counter, user.running, first.number, user_id), user.served))
    }

    /// Raises the floor to the least that one who waits was served, and forgets those who owe no
    /// more than that.
    fn raise_floor(&mut self) {
        if let Some((served, _)) = self.served.first() {
            self.floor = self.floor.max(*served);
        }
        while let Some((served, user_id)) = self.debtors.first().copied()
            && (served <= self.floor || self.debtors.len() > MAX_DEBTORS)
        {
            self.debtors.remove(&(served, user_id));
            self.users.remove(&user_id);
        }
    }

    /// Forgets a user who has no request here, unless others wait who were served less.
    fn forget_if_idle(&mut self, user_id: i64) {
        let Some(user) = self.users.get(&user_id) else {
            return;
        };
        if user.running > 0 || user.first != NONE {
            return;
        }
        if self.waiting > 0 && user.served > self.floor {
            self.debtors.insert((user.served, user_id));
            return self.raise_floor();
        }
        if self.waiting == 0 {
            // What was used while there was enough for all is no debt.
            self.floor = self.floor.max(user.served);
        }
        self.users.remove(&user_id);
        self.shrink_if_empty();
    }

    /// Takes a waiting request out of its user's line.
    fn take_out(&mut self, slot: u32) -> Option<W> {
        let user_id = self.waiting_at(slot)?.claim.user_id;
        self.leave_line(user_id);
        let place = self.slots.get_mut(slot as usize)?;
        let freed = Slot::Free {
            next: self.free_slot,
        };
        let Slot::Waiting(taken) = std::mem::replace(place, freed) else {
            return None;
        };
        self.free_slot = slot;
        self.waiting -= 1;
        if let Some(before) = self.waiting_at(taken.before) {
            before.after = taken.after;
        }
        if let Some(after) = self.waiting_at(taken.after) {
            after.before = taken.before;
        }
        if let Some(user) = self.users.get_mut(&user_id) {
            if user.first == slot {
                user.first = taken.after;
            }
            if user.last == slot {
                user.last = taken.before;
            }
        }
        self.line_up(user_id);
        self.raise_floor();
        self.forget_if_idle(user_id);
        if self.waiting == 0 && self.slots.len() > KEPT_PLACES {
            (self.slots, self.free_slot) = (Vec::new(), NONE);
        }
        Some(taken.waiter)
    }

    fn waiting_at(&mut self, slot: u32) -> Option<&mut Waiting<W>> {
        match self.slots.get_mut(slot as usize)? {
            Slot::Waiting(waiting) => Some(waiting),
            Slot::Free { .. } => None,
        }
    }

    fn take_slot(&mut self, waiting: Waiting<W>) -> u32 {
        let slot = self.free_slot;
        if let Some(place) = self.slots.get_mut(slot as usize) {
            if let Slot::Free { next } = place {
                self.free_slot = *next;
            }
            *place = Slot::Waiting(waiting);
            return slot;
        }
        self.slots.push(Slot::Waiting(waiting));
        // Four billion waiting requests would have filled the memory long before.
        u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
    }
}

impl User {
    fn new() -> Self {
        Self {
            served: 0,
            reserved: 0,
            running: 0,
            first: NONE,
            last: NONE,
        }
    }

    fn settle(&mut self, claim: Claim, actual: u64) {
        self.running -= 1;
        self.reserved -= claim.weight.counted(claim.service);
        self.served += claim.weight.counted(actual.max(MIN_SERVICE));
    }

    fn reserve(&mut self, claim: Claim) {
        self.running += 1;
        self.reserved += claim.weight.counted(claim.service);
    }
}

#[cfg(test)]
mod tests;

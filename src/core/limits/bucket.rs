//! A token bucket: what a rate leaves at a moment.
//!
//! It is our own because a bucket here is corrected: what was reserved and not used is given back,
//! and what was used beyond that is a debt. The crate `governor`, which is what one would take, has
//! the generic cell rate algorithm, which cannot give anything back.

/// Levels are in sixty-thousandths, so that a rate a minute refills whole parts each millisecond.
const PARTS: i64 = 60_000;
/// The deepest debt, in capacities: an answer that used far more than was reserved holds its user up
/// for this many minutes at most.
const MAX_DEBT_CAPACITIES: i64 = 10;

/// A bucket that holds as much as flows in within a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    per_minute: i64,
    /// What is left in [`PARTS`]; a debt is negative.
    level: i64,
    /// The time of the level, in milliseconds of a clock that never goes back.
    at_ms: u64,
}

impl Bucket {
    /// Makes a full bucket.
    #[must_use]
    pub fn full(per_minute: i64, at_ms: u64) -> Self {
        Self {
            per_minute,
            level: per_minute * PARTS,
            at_ms,
        }
    }

    /// Lets flow in what came since the last call, and changes the rate. What was taken out before
    /// stays taken.
    pub fn advance(&mut self, per_minute: i64, now_ms: u64) {
        let elapsed_ms = i64::try_from(now_ms.saturating_sub(self.at_ms)).unwrap_or(i64::MAX);
        self.at_ms = self.at_ms.max(now_ms);
        let flowed = self.per_minute.saturating_mul(elapsed_ms);
        self.level = self.level.saturating_add(flowed).min(self.capacity());
        if per_minute != self.per_minute {
            let taken = self.capacity() - self.level;
            self.per_minute = per_minute;
            self.level = self.capacity() - taken;
            self.bound_debt();
        }
    }

    /// Returns the bucket as it will be at a moment, with a rate.
    #[must_use]
    pub fn at(mut self, per_minute: i64, now_ms: u64) -> Self {
        self.advance(per_minute, now_ms);
        self
    }

    /// Returns the milliseconds until the amount is there: 0 if it is there now. `None` if it is
    /// more than the bucket holds.
    #[must_use]
    pub fn wait_ms(&self, amount: i64) -> Option<u64> {
        if amount > self.per_minute {
            return None;
        }
        let missing = amount * PARTS - self.level;
        if missing <= 0 {
            return Some(0);
        }
        // A bucket of a rate of 0 is never in debt.
        let rate = self.per_minute.max(1);
        u64::try_from((missing + rate - 1) / rate).ok()
    }

    /// Takes an amount out, also if it is not there: that is a debt.
    pub fn take(&mut self, amount: i64) {
        self.level = self.level.saturating_sub(amount.saturating_mul(PARTS));
        self.bound_debt();
    }

    /// Gives an amount back.
    pub fn give_back(&mut self, amount: i64) {
        let level = self.level.saturating_add(amount.saturating_mul(PARTS));
        self.level = level.min(self.capacity());
    }

    /// Returns the whole units that are left: 0 in debt.
    #[must_use]
    pub fn remaining(&self) -> i64 {
        self.level.max(0) / PARTS
    }

    /// Returns the milliseconds until the bucket is full.
    #[must_use]
    pub fn reset_ms(&self) -> u64 {
        let missing = self.capacity() - self.level;
        let rate = self.per_minute.max(1);
        u64::try_from((missing + rate - 1) / rate).unwrap_or(0)
    }

    fn capacity(&self) -> i64 {
        self.per_minute * PARTS
    }

    fn bound_debt(&mut self) {
        let deepest = self.capacity().saturating_mul(-MAX_DEBT_CAPACITIES);
        self.level = self.level.max(deepest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bucket_refills_continuously_up_to_its_capacity() {
        let mut bucket = Bucket::full(60, 0);
        assert_eq!(bucket.wait_ms(61), None);
        bucket.take(60);
        assert_eq!((bucket.remaining(), bucket.wait_ms(1)), (0, Some(1_000)));
        bucket.advance(60, 500);
        assert_eq!((bucket.remaining(), bucket.wait_ms(1)), (0, Some(500)));
        bucket.advance(60, 1_000);
        assert_eq!((bucket.remaining(), bucket.wait_ms(1)), (1, Some(0)));
        bucket.advance(60, 10_000_000);
        assert_eq!(bucket.remaining(), 60);
        assert_eq!(bucket.reset_ms(), 0);
    }

    #[test]
    fn a_debt_is_paid_before_anything_is_left() {
        let mut bucket = Bucket::full(60, 0);
        bucket.take(90);
        assert_eq!((bucket.remaining(), bucket.wait_ms(1)), (0, Some(31_000)));
        bucket.give_back(40);
        assert_eq!(bucket.remaining(), 10);
        bucket.take(1_000_000);
        bucket.advance(60, 11 * 60_000);
        assert_eq!(bucket.reset_ms(), 0, "a debt has a bound");
    }

    #[test]
    fn a_change_of_the_rate_resets_nothing() {
        let mut bucket = Bucket::full(60, 0);
        bucket.take(50);
        bucket.advance(100, 0);
        assert_eq!(bucket.remaining(), 50);
        bucket.advance(60, 0);
        assert_eq!(bucket.remaining(), 10);
        bucket.advance(0, 0);
        assert_eq!((bucket.remaining(), bucket.wait_ms(1)), (0, None));
        let none = Bucket::full(0, 0);
        assert_eq!((none.wait_ms(0), none.wait_ms(1)), (Some(0), None));
    }

    proptest! {
        #[test]
        fn no_more_is_admitted_in_any_time_than_capacity_and_inflow(
            per_minute in 1..10_000_i64,
            steps in prop::collection::vec((0..5_000_u64, 1..200_i64, any::<bool>()), 1..100),
        ) {
            let mut bucket = Bucket::full(per_minute, 0);
            let (mut now_ms, mut taken) = (0, 0_i64);
            for (pause_ms, amount, is_given_back) in steps {
                now_ms += pause_ms;
                bucket.advance(per_minute, now_ms);
                if bucket.wait_ms(amount) == Some(0) {
                    bucket.take(amount);
                    if is_given_back {
                        bucket.give_back(amount);
                    } else {
                        taken += amount;
                    }
                }
                prop_assert!(bucket.level >= 0, "admission makes no debt");
                let inflow = per_minute * i64::try_from(now_ms).unwrap() / 60_000;
                prop_assert!(taken <= per_minute + inflow);
            }
        }

        #[test]
        fn after_the_wait_the_amount_is_there(per_minute in 1..10_000_i64, taken in 0..20_000_i64, amount in 1..10_000_i64) {
            let mut bucket = Bucket::full(per_minute, 0);
            bucket.take(taken);
            if let Some(wait_ms) = bucket.wait_ms(amount) {
                if let Some(earlier_ms) = wait_ms.checked_sub(1) {
                    let mut early = bucket;
                    early.advance(per_minute, earlier_ms);
                    prop_assert!(early.wait_ms(amount) > Some(0));
                }
                bucket.advance(per_minute, wait_ms);
                prop_assert_eq!(bucket.wait_ms(amount), Some(0));
            }
        }
    }
}

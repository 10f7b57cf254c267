//! What happened in the last minute, by seconds. Only seconds in which something happened take
//! room, and no more than 60 of them.

use std::collections::VecDeque;

/// Length of the window.
pub(super) const WINDOW_SECONDS: u64 = 60;

/// What one user did in a second or a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MinuteCounts {
    /// Requests that came.
    pub requests: u64,
    /// Requests that this proxy has refused.
    pub refused: u64,
    /// Input and output tokens that were booked.
    pub tokens: u64,
    /// Answers that began, and the sum of their times to the first byte.
    pub first_bytes: u64,
    pub first_byte_ms: u64,
}

impl MinuteCounts {
    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.refused = self.refused.saturating_add(other.refused);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.first_bytes = self.first_bytes.saturating_add(other.first_bytes);
        self.first_byte_ms = self.first_byte_ms.saturating_add(other.first_byte_ms);
    }

    /// Returns the mean time to the first byte in milliseconds; `None` if no answer began.
    #[must_use]
    pub fn mean_first_byte_ms(&self) -> Option<u64> {
        self.first_byte_ms.checked_div(self.first_bytes)
    }
}

/// The counts of each second of the last minute in which there were any.
#[derive(Debug, Default)]
pub(super) struct Minute {
    seconds: VecDeque<(u64, MinuteCounts)>,
}

impl Minute {
    /// Returns the counts of a second, to add to them. A second before the last one that was
    /// counted in is that one.
    pub(super) fn at(&mut self, second: u64) -> &mut MinuteCounts {
        self.forget_before(second);
        if self.seconds.back().is_none_or(|(last, _)| *last < second) {
            self.seconds.push_back((second, MinuteCounts::default()));
        }
        let last = self.seconds.len() - 1;
        &mut self.seconds[last].1
    }

    /// Returns the sums of the minute that ends with a second.
    pub(super) fn sum(&self, second: u64) -> MinuteCounts {
        let mut sum = MinuteCounts::default();
        for (at, counts) in &self.seconds {
            if at + WINDOW_SECONDS > second {
                sum.add(counts);
            }
        }
        sum
    }

    /// Frees the room of seconds that are no longer part of the minute that ends with `second`.
    pub(super) fn forget_before(&mut self, second: u64) {
        while self
            .seconds
            .front()
            .is_some_and(|(at, _)| at + WINDOW_SECONDS <= second)
        {
            self.seconds.pop_front();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_second_counts_for_a_minute() {
        let mut minute = Minute::default();
        minute.at(100).requests += 1;
        minute.at(100).tokens += 7;
        minute.at(130).requests += 1;
        assert_eq!(minute.sum(130).requests, 2);
        assert_eq!(minute.sum(159).requests, 2);
        assert_eq!(minute.sum(160).requests, 1);
        assert_eq!((minute.sum(160).tokens, minute.sum(190).requests), (0, 0));
        minute.forget_before(190);
        assert!(minute.is_empty());
    }

    proptest! {
        #[test]
        fn a_minute_is_bounded_and_agrees_with_a_list(steps in prop::collection::vec(0_u64..5, 0..300)) {
            let mut minute = Minute::default();
            let (mut now, mut all) = (0, Vec::new());
            for step in steps {
                now += step;
                minute.at(now).requests += 1;
                all.push(now);
                prop_assert!(minute.seconds.len() <= 60);
                let expected = all.iter().filter(|at| **at + 60 > now).count();
                prop_assert_eq!(minute.sum(now).requests, expected as u64);
            }
        }
    }
}

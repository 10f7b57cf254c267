//! Counts of durations by their length, as Prometheus keeps them.

use std::time::Duration;

/// Upper bounds of the buckets of all latencies, in microseconds: from what a proxy adds to what a
/// long answer takes. Each is two to two and a half times the one before, so that a quantile is right
/// to the factor.
pub const LATENCY_BOUNDS_MICROS: [u64; 18] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    60_000_000,
    300_000_000,
];

/// Durations, counted by their length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many were at most as long as the bound at this place, and longer than the one before.
    /// The last place has the longer ones.
    pub counts: [u64; LATENCY_BOUNDS_MICROS.len() + 1],
    /// Sum of all durations in microseconds.
    pub sum_micros: u64,
}

impl Histogram {
    /// Counts a duration.
    pub fn observe(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let place = LATENCY_BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.counts[place] += 1;
        self.sum_micros = self.sum_micros.saturating_add(micros);
    }

    /// Adds another histogram.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_micros = self.sum_micros.saturating_add(other.sum_micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_bucket_whose_bound_it_does_not_exceed() {
        let mut histogram = Histogram::default();
        for micros in [0, 100, 101, 300_000_000, 300_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        assert_eq!(histogram.counts[..2], [2, 1]);
        assert_eq!(histogram.counts[17..], [1, 1]);
        assert_eq!(histogram.sum_micros, 600_000_202);
        let mut sum = histogram;
        sum.add(&histogram);
        assert_eq!(sum.counts.iter().sum::<u64>(), 10);
    }
}

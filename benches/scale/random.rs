//! Random numbers that are the same in each run: SplitMix64 (prng.di.unimi.it/splitmix64.c).

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to 1, which is not reached.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.share() * bound as f64) as u64
    }

    /// Nanoseconds to the next of events that come at any time, so many a second on average.
    pub fn gap_ns(&mut self, per_second: f64) -> u64 {
        let gap = -(1.0 - self.share()).ln() / per_second;
        (gap * 1e9) as u64 + 1
    }

    /// A whole number beside the value, which is the value on average.
    pub fn rounded(&mut self, value: f64) -> usize {
        (value + self.share()).floor() as usize
    }
}

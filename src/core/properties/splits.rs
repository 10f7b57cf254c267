//! Ways in which bytes can arrive.

use super::random::Random;

/// Up to this length every single cut is tried.
const MAX_EXHAUSTIVE_BYTES: usize = 40;
/// Up to this length each byte comes alone once.
const MAX_BYTEWISE_BYTES: usize = 2048;
/// Cuttings at random places; of long inputs fewer.
const RANDOM_CUTTINGS: usize = 3;
const MANY_BYTES: usize = 64 * 1024;
const MAX_RANDOM_CUTS: usize = 6;

/// Calls `check` with the bytes cut into reads in several ways. The cuts follow from the bytes, so
/// that a run can be repeated.
pub(crate) fn each_split<'a>(bytes: &'a [u8], mut check: impl FnMut(&[&'a [u8]])) {
    check(&[bytes]);
    if bytes.len() <= MAX_BYTEWISE_BYTES {
        check(&bytes.chunks(1).collect::<Vec<_>>());
    }
    if bytes.len() <= MAX_EXHAUSTIVE_BYTES {
        for cut in 0..=bytes.len() {
            check(&[&bytes[..cut], &bytes[cut..]]);
        }
        return;
    }
    // Line ends are where scanners have their states: every other cut is just before or behind one.
    let line_ends: Vec<usize> = memchr::memchr2_iter(b'\r', b'\n', bytes).collect();
    let mut random = Random::of(bytes);
    let cuttings = if bytes.len() < MANY_BYTES {
        RANDOM_CUTTINGS
    } else {
        1
    };
    for _ in 0..cuttings {
        let mut cuts = vec![0, bytes.len()];
        for cut in 0..=random.below(MAX_RANDOM_CUTS) {
            if line_ends.is_empty() || cut % 2 == 0 {
                cuts.push(random.below(bytes.len()));
            } else {
                cuts.push(random.pick(&line_ends) + random.below(2));
            }
        }
        cuts.sort_unstable();
        let reads: Vec<&[u8]> = cuts
            .windows(2)
            .map(|pair| &bytes[pair[0]..pair[1]])
            .collect();
        check(&reads);
    }
}

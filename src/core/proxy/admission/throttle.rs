//! Slows down the guessing of keys and tokens: each peer's wrong guesses are answered at a bounded
//! rate, however many connections they come on. Right keys from the same peer are not held up.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Wrong guesses that are answered at once, so that a misconfigured program gets its error without
/// waiting.
const BURST: u32 = 100;
/// Interval between two answers after the burst: 50 a second.
const INTERVAL: Duration = Duration::from_millis(20);
/// Longest wait for an answer. A peer that guesses faster waits this long on every connection.
const MAX_DELAY: Duration = Duration::from_secs(10);
/// Peers remembered at once. Beyond that, peers without debt are forgotten, and if that is not
/// enough, all.
const MAX_PEERS: usize = 10_000;

/// The guesses of all peers; shared by all workers and the admin API.
#[derive(Default)]
pub struct Throttle {
    /// The time at which each peer is out of debt.
    paid_off: Mutex<HashMap<IpAddr, Instant>>,
}

impl Throttle {
    /// Notes a wrong guess, and waits for as long as its answer must wait.
    pub async fn slow_down(&self, peer: Option<IpAddr>) {
        let delay = self.wrong_guess_at(peer, Instant::now());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    fn wrong_guess_at(&self, peer: Option<IpAddr>, now: Instant) -> Duration {
        let Some(peer) = peer else {
            return Duration::ZERO;
        };
        let mut paid_off = self.paid_off.lock().unwrap_or_else(PoisonError::into_inner);
        if paid_off.len() >= MAX_PEERS {
            paid_off.retain(|_, until| *until > now);
            if paid_off.len() >= MAX_PEERS {
                paid_off.clear();
            }
        }
        let until = paid_off.entry(network_of(peer)).or_insert(now);
        *until = (*until).max(now) + INTERVAL;
        let debt = until.saturating_duration_since(now);
        let delay = debt.saturating_sub(INTERVAL * BURST);
        if delay > MAX_DELAY {
            // The debt grows no further, so that a peer that stops guessing is free again soon.
            *until = now + INTERVAL * BURST + MAX_DELAY;
        }
        delay.min(MAX_DELAY)
    }
}

/// Returns the address under which a peer is counted. An IPv6 host may take any address of its /64
/// for each guess.
fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::from((address.to_bits() >> 64 << 64).to_be_bytes()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_then_guesses_are_answered_at_a_bounded_rate() {
        let throttle = Throttle::default();
        let (now, peer) = (Instant::now(), "10.0.0.1".parse().ok());
        for _ in 0..BURST {
            assert_eq!(throttle.wrong_guess_at(peer, now), Duration::ZERO);
        }
        assert_eq!(throttle.wrong_guess_at(peer, now), INTERVAL);
        assert_eq!(throttle.wrong_guess_at(peer, now), INTERVAL * 2);
        for _ in 0..10_000 {
            assert!(throttle.wrong_guess_at(peer, now) <= MAX_DELAY);
        }
        let other = "10.0.0.2".parse().ok();
        assert_eq!(throttle.wrong_guess_at(other, now), Duration::ZERO);
        let later = now + INTERVAL * BURST + MAX_DELAY + INTERVAL;
        assert_eq!(throttle.wrong_guess_at(peer, later), Duration::ZERO);
    }

    #[test]
    fn a_64_network_is_one_peer() {
        assert_eq!(
            network_of("2001:db8::1".parse().unwrap()),
            network_of("2001:db8::ffff:1".parse().unwrap())
        );
        assert_ne!(
            network_of("2001:db8:0:1::1".parse().unwrap()),
            network_of("2001:db8::1".parse().unwrap())
        );
    }
}

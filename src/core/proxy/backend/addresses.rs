//! Dials a name with several addresses (RFC 8305, "Happy Eyeballs"): the one that worked last comes
//! first, the families take turns, and if an address has not answered for a quarter of a second,
//! the next one is tried beside it. So an address that swallows everything costs that quarter once,
//! and not the connect timeout at every connection.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// Time after which the next address is tried beside one (RFC 8305 section 5, "Connection Attempt
/// Delay").
const MAX_DELAY: Duration = Duration::from_millis(250);

/// The address to which the last connection was made; shared by all workers.
#[derive(Debug, Default)]
pub(super) struct LastGood(Mutex<Option<SocketAddr>>);

impl LastGood {
    pub(super) fn get(&self) -> Option<SocketAddr> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, address: SocketAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }
}

/// Returns the order in which addresses are tried: the resolver's (RFC 6724), but the one that
/// worked last first, and the two families in turn. Each comes once.
pub(super) fn in_order(
    resolved: impl IntoIterator<Item = SocketAddr>,
    last_good: Option<SocketAddr>,
) -> Vec<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::new();
    for address in resolved {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    if let Some(at) = unique.iter().position(|known| Some(*known) == last_good) {
        unique[..=at].rotate_right(1);
    }
    let Some(first) = unique.first().copied() else {
        return unique;
    };
    let of_family = |is_ipv4: bool| {
        let addresses = unique.iter().copied();
        addresses.filter(move |address| address.is_ipv4() == is_ipv4)
    };
    let mut same = of_family(first.is_ipv4());
    let mut other = of_family(!first.is_ipv4());
    let mut ordered = Vec::with_capacity(unique.len());
    while ordered.len() < unique.len() {
        ordered.extend(same.next());
        ordered.extend(other.next());
    }
    ordered
}

/// Dials the addresses until one answers. The next one is tried when an attempt fails, or a quarter
/// of a second after the last began. `limit` is the time for all of them. Attempts that are not
/// needed any more are dropped.
///
/// # Errors
/// The error of the address that was tried first, when all have failed.
pub(super) async fn connect_to_first<T, F: Future<Output = io::Result<T>>>(
    addresses: Vec<SocketAddr>,
    limit: Duration,
    mut dial: impl FnMut(SocketAddr) -> F,
) -> io::Result<(SocketAddr, T)> {
    // With little time or many addresses each one still gets its turn.
    let shares = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let delay = MAX_DELAY.min(limit / shares);
    let mut waiting = addresses.into_iter();
    let mut attempts: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut turn = pin!(sleep(Duration::ZERO));
    let mut failure: Option<io::Error> = None;
    poll_fn(|cx| {
        loop {
            let attempted = attempts.len();
            let mut index = 0;
            while let Some((address, attempt)) = attempts.get_mut(index) {
                match attempt.as_mut().poll(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok((*address, stream))),
                    Poll::Ready(Err(error)) => {
                        failure.get_or_insert(error);
                        drop(attempts.remove(index));
                    }
                }
            }
            let has_failed = attempts.len() < attempted;
            let is_due = has_failed || attempts.is_empty() || turn.as_mut().poll(cx).is_ready();
            if is_due && let Some(address) = waiting.next() {
                attempts.push((address, Box::pin(dial(address))));
                turn.as_mut().reset(Instant::now() + delay);
            } else if attempts.is_empty() && waiting.len() == 0 {
                let none =
                    || io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
                return Poll::Ready(Err(failure.take().unwrap_or_else(none)));
            } else {
                return Poll::Pending;
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    const LIMIT: Duration = Duration::from_secs(10);

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| address(text)).collect()
    }

    /// `4.1` and `6.1` stand for an address of each family.
    fn address(text: &str) -> SocketAddr {
        let (family, host) = text.split_once('.').unwrap();
        let ip = match family {
            "4" => format!("192.0.2.{host}"),
            _ => format!("[2001:db8::{host}]"),
        };
        format!("{ip}:443").parse().unwrap()
    }

    #[test]
    fn families_take_turns_and_the_last_good_address_comes_first() {
        for (resolved, last_good, ordered) in [
            (&[][..], Some("4.1"), &[][..]),
            (&["4.1"], None, &["4.1"]),
            (&["4.1", "4.2", "4.3"], None, &["4.1", "4.2", "4.3"]),
            (&["4.1", "4.2", "4.3"], Some("4.3"), &["4.3", "4.1", "4.2"]),
            (&["6.1", "6.2", "4.1"], None, &["6.1", "4.1", "6.2"]),
            (&["6.1", "6.2", "4.1"], Some("4.1"), &["4.1", "6.1", "6.2"]),
            (&["6.1", "6.2", "4.1"], Some("6.2"), &["6.2", "4.1", "6.1"]),
            (&["4.1", "4.2", "6.1"], None, &["4.1", "6.1", "4.2"]),
            // An address that is not the name's any more is not tried.
            (&["4.1", "6.1"], Some("4.9"), &["4.1", "6.1"]),
            (&["4.1", "4.1", "6.1", "4.1"], None, &["4.1", "6.1"]),
        ] {
            let found = in_order(addresses(resolved), last_good.map(address));
            assert_eq!(found, addresses(ordered), "{resolved:?}, {last_good:?}");
        }
    }

    /// Behaviour of a fake address, after some time.
    #[derive(Clone, Copy)]
    enum Fate {
        Answers(u64),
        Refuses(u64),
        Swallows,
    }

    /// Returns the address that won, and the milliseconds after which each was dialled.
    fn race(fates: &[Fate], limit: Duration) -> (io::Result<usize>, Vec<u64>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        let dialled: RefCell<Vec<u64>> = RefCell::default();
        let won = runtime.block_on(async {
            let begun = Instant::now();
            let names: Vec<String> = (0..fates.len()).map(|n| format!("4.{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let dial = |address: SocketAddr| {
                let fate = match address {
                    SocketAddr::V4(v4) => fates[usize::from(v4.ip().octets()[3])],
                    SocketAddr::V6(_) => unreachable!(),
                };
                let at = u64::try_from(begun.elapsed().as_millis()).unwrap();
                dialled.borrow_mut().push(at);
                async move {
                    match fate {
                        Fate::Answers(ms) => sleep(Duration::from_millis(ms)).await,
                        Fate::Refuses(ms) => {
                            sleep(Duration::from_millis(ms)).await;
                            return Err(io::Error::other(format!("refused after {ms}")));
                        }
                        Fate::Swallows => std::future::pending().await,
                    }
                    Ok(())
                }
            };
            let raced = connect_to_first(addresses(&names), limit, dial);
            match tokio::time::timeout(limit, raced).await {
                Ok(won) => won.map(|(address, ())| match address {
                    SocketAddr::V4(v4) => usize::from(v4.ip().octets()[3]),
                    SocketAddr::V6(_) => unreachable!(),
                }),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            }
        });
        (won, dialled.into_inner())
    }

    /// Asserts that each address is dialled when expected, and returns the winner. A busy machine
    /// may delay a race, so it is run up to three times.
    #[track_caller]
    fn race_in_time(fates: &[Fate], limit: Duration, expected: &[u64]) -> io::Result<usize> {
        let is_in_time = |(found, due): (&u64, &u64)| (*due..due + 150).contains(found);
        let mut delayed = Vec::new();
        for _ in 0..3 {
            let (won, dialled) = race(fates, limit);
            let all_in_time = dialled.iter().zip(expected).all(is_in_time);
            if dialled.len() == expected.len() && all_in_time {
                return won;
            }
            delayed.push(dialled);
        }
        panic!("{delayed:?}, expected {expected:?}");
    }

    #[test]
    fn a_silent_address_costs_a_quarter_of_a_second() {
        use Fate::{Answers, Refuses, Swallows};
        let cases = [
            (&[Answers(5)][..], 0, &[0][..]),
            (&[Swallows, Answers(5)], 1, &[0, 250]),
            (&[Swallows, Swallows, Answers(5)], 2, &[0, 250, 500]),
            // The first one may still win while the second is on its way.
            (&[Answers(300), Answers(500)], 0, &[0, 250]),
            (&[Answers(800), Answers(50)], 1, &[0, 250]),
            // A refusal lets the next one be tried at once.
            (&[Refuses(0), Refuses(10), Answers(5)], 2, &[0, 0, 10]),
            (&[Swallows, Refuses(100), Answers(5)], 2, &[0, 250, 350]),
            (&[Answers(100), Answers(0)], 0, &[0]),
        ];
        std::thread::scope(|scope| {
            for (fates, winner, dialled) in cases {
                scope.spawn(move || {
                    let won = race_in_time(fates, LIMIT, dialled);
                    assert_eq!(won.unwrap(), winner);
                });
            }
        });
    }

    #[test]
    fn without_an_answer_the_first_error_or_the_limit_ends_it() {
        use Fate::{Refuses, Swallows};
        let (failed, _) = race(&[Refuses(30), Refuses(20)], LIMIT);
        assert_eq!(failed.unwrap_err().to_string(), "refused after 30");
        let (failed, _) = race(&[], LIMIT);
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound);
        let limit = Duration::from_millis(400);
        let failed = race_in_time(&[Refuses(30), Swallows], limit, &[0, 30]);
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn each_address_gets_its_turn_within_a_short_limit() {
        let limit = Duration::from_millis(800);
        assert!(race_in_time(&[Fate::Swallows; 4], limit, &[0, 200, 400, 600]).is_err());
    }
}

//! What the queue promises: no permit is lost or doubled, nobody starves, and shares are those of
//! the weights.

use proptest::prelude::*;

use super::*;

fn claim(user_id: i64, service: u64) -> Claim {
    Claim {
        user_id,
        weight: Weight::ONE,
        service,
    }
}

impl<W> FairQueue<W> {
    /// Checks what holds between any two calls once free permits were handed on.
    fn check(&self) {
        assert!(self.free_permits <= self.permits);
        assert!(self.free_permits == 0 || self.waiting == 0);
        let running: u32 = self.users.values().map(|user| user.running).sum();
        assert_eq!(running as usize, self.in_use());
        assert_eq!(self.order.len(), self.served.len());
        let is_idle = |user: &&User| user.running == 0 && user.first == NONE;
        assert_eq!(
            self.users.values().filter(is_idle).count(),
            self.debtors.len()
        );
        let waits = |slot: &&Slot<W>| matches!(slot, Slot::Waiting(_));
        assert_eq!(self.slots.iter().filter(waits).count(), self.waiting);
        for turn in &self.order {
            assert_eq!(self.turn_of(turn.3).unwrap().0, *turn);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Arrive {
        user_id: i64,
        service: u64,
    },
    Cancel(prop::sample::Index),
    Finish {
        which: prop::sample::Index,
        actual: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        3 => (0..6_i64, 0..20_000_u64).prop_map(|(user_id, service)| Step::Arrive { user_id, service }),
        1 => index().prop_map(Step::Cancel),
        2 => (index(), 0..20_000_u64).prop_map(|(which, actual)| Step::Finish { which, actual }),
    ]
}

proptest! {
    #[test]
    fn no_permit_is_lost_or_doubled_and_all_get_one(
        permits in 1..5_usize,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut queue = FairQueue::new(permits);
        let (mut waiting, mut running) = (Vec::<(u64, i64, Place)>::new(), Vec::new());
        let mut arrived = 0;
        for step in steps {
            match step {
                Step::Arrive { user_id, service } => {
                    arrived += 1;
                    if let Some(grant) = queue.try_enter(claim(user_id, service)) {
                        running.push(grant);
                    } else {
                        let place = queue.wait(claim(user_id, service), arrived);
                        waiting.push((arrived, user_id, place));
                    }
                }
                Step::Cancel(which) if !waiting.is_empty() => {
                    let (id, _, place) = waiting.remove(which.index(waiting.len()));
                    prop_assert_eq!(queue.cancel(place), Some(id));
                    prop_assert_eq!(queue.cancel(place), None);
                }
                Step::Finish { which, actual } if !running.is_empty() => {
                    queue.release(running.swap_remove(which.index(running.len())), actual);
                }
                _ => {}
            }
            while let Some((id, grant)) = queue.hand_out() {
                let at = waiting.iter().position(|(waiter, ..)| *waiter == id);
                let (_, user_id, _) = waiting.remove(at.expect("a waiter gets one permit"));
                prop_assert!(!waiting.iter().any(|(other, user, _)| *user == user_id && *other < id));
                running.push(grant);
            }
            queue.check();
            prop_assert_eq!((queue.waiting(), queue.in_use()), (waiting.len(), running.len()));
        }
        // Nobody starves: what still waits gets its turn as permits come back.
        while let Some(grant) = running.pop() {
            queue.release(grant, 1);
            running.extend(queue.hand_out().map(|(_, grant)| grant));
        }
        prop_assert_eq!((queue.waiting(), queue.in_use()), (0, 0));
        queue.check();
        prop_assert!(queue.users.len() <= queue.debtors.len());
    }

    /// The bound of the paper's theorem for users who always have requests in line:
    /// 2·max(wp·L_input, wq·M), where the second is the most service in flight at once.
    #[test]
    fn backlogged_users_differ_by_no_more_than_what_is_in_flight(
        permits in 1..9_usize,
        users in prop::collection::vec((500..4_000_u32, 1..3_000_u64), 2..6),
        services in prop::collection::vec((1..8_000_u64, any::<prop::sample::Index>()), 500),
    ) {
        let mut queue = FairQueue::new(permits);
        let weight = |user: usize| Weight::of_thousandths(users[user].0);
        let claim_of = |user: usize, service| Claim {
            user_id: i64::try_from(user).unwrap(),
            weight: weight(user),
            service,
        };
        for (actual, _) in &services {
            for (user, (_, reserved)) in users.iter().enumerate() {
                // What is reserved has nothing to do with what comes of it.
                let _ = queue.wait(claim_of(user, *reserved), (user, *actual));
            }
        }
        let mut running = Vec::new();
        let mut served = vec![0_u128; users.len()];
        let largest = u128::from(services.iter().map(|(actual, _)| *actual).max().unwrap())
            .max(u128::from(users.iter().map(|user| user.1).max().unwrap()));
        let least_weight = u128::from(users.iter().map(|user| user.0).min().unwrap());
        let in_flight = largest * u128::try_from(permits).unwrap() * SCALE / least_weight;
        for (_, which) in &services {
            while let Some(next) = queue.hand_out() {
                running.push(next);
            }
            let ((user, actual), grant) = running.swap_remove(which.index(running.len()));
            queue.release(grant, actual);
            served[user] += weight(user).counted(actual);
            let spread = served.iter().max().unwrap() - served.iter().min().unwrap();
            prop_assert!(spread <= 2 * in_flight, "{spread} > 2 * {in_flight}: {served:?}");
        }
    }

    #[test]
    fn weights_of_one_and_two_give_shares_of_one_and_two(
        permits in 1..9_usize,
        reserved in 1..20_000_u64,
        actual in 1_000..5_000_u64,
    ) {
        let mut queue = FairQueue::new(permits);
        let of_user = |user_id, thousandths| Claim {
            user_id,
            weight: Weight::of_thousandths(thousandths),
            service: reserved,
        };
        for _ in 0..900 {
            queue.wait(of_user(1, 1_000), 1);
            queue.wait(of_user(2, 2_000), 2);
        }
        let mut running = std::collections::VecDeque::new();
        let mut counts = [0, 0];
        for _ in 0..900 {
            while let Some(next) = queue.hand_out() {
                running.push_back(next);
            }
            let (user, grant) = running.pop_front().unwrap();
            counts[user - 1] += 1;
            queue.release(grant, actual);
        }
        prop_assert!((290..=310).contains(&counts[0]), "{counts:?}");
    }
}

/// Plays requests of a thousand tokens that end in order of their start. `arrivals` are users, and
/// the number of finished requests after which each comes. Returns how many finished before each.
fn waits(permits: usize, backlog: usize, arrivals: &[(i64, usize)]) -> Vec<usize> {
    let mut queue = FairQueue::new(permits);
    for _ in 0..backlog {
        queue.wait(claim(0, 10_000), None);
    }
    let mut running = std::collections::VecDeque::new();
    let mut waits = vec![usize::MAX; arrivals.len()];
    for finished in 0..backlog {
        for (at, (user_id, after)) in arrivals.iter().enumerate() {
            if *after == finished {
                queue.wait(claim(*user_id, 10_000), Some(at));
            }
        }
        while let Some((arrival, grant)) = queue.hand_out() {
            if let Some(at) = arrival {
                waits[at] = finished - arrivals[at].1;
            }
            running.push_back(grant);
        }
        queue.release(running.pop_front().unwrap(), 30);
    }
    waits
}

#[test]
fn one_who_comes_while_another_has_a_thousand_in_line_is_next() {
    let arrivals: Vec<(i64, usize)> = (1..200)
        .map(|n| (n % 9 + 1, usize::try_from(n).unwrap() * 5))
        .collect();
    let waits = waits(8, 2_000, &arrivals);
    assert!(waits.iter().all(|wait| *wait <= 1), "{waits:?}");
}

#[test]
fn leaving_between_two_large_requests_gains_nothing() {
    let mut queue = FairQueue::new(1);
    for _ in 0..1_000 {
        queue.wait(claim(1, 10), 1);
        queue.wait(claim(2, 10), 2);
    }
    let (mut large, mut small) = (0, 0);
    queue.wait(claim(3, 10), 3);
    for _ in 0..500 {
        let (user, grant) = queue.hand_out().unwrap();
        if user == 3 {
            large += 1;
            queue.release(grant, 10_000);
            assert!(queue.debtors.len() <= 1);
            queue.wait(claim(3, 10), 3);
        } else {
            small += 1;
            queue.release(grant, 100);
        }
    }
    assert!(large <= 4 && small >= 496, "{large} {small}");
}

#[test]
fn what_was_used_while_there_was_enough_is_no_debt() {
    let mut queue = FairQueue::new(2);
    for _ in 0..100 {
        let grant = queue.try_enter(claim(1, 100)).unwrap();
        queue.release(grant, 1_000_000);
    }
    assert!(queue.users.is_empty(), "an idle user is forgotten");
    let held = [1, 2].map(|user_id| queue.try_enter(claim(user_id, 100)).unwrap());
    let mut order = Vec::new();
    for user_id in [2, 1, 2, 1, 2, 1] {
        queue.wait(claim(user_id, 100), user_id);
    }
    let [first, second] = held;
    queue.release(first, 100);
    while let Some((user_id, grant)) = queue.hand_out() {
        order.push(user_id);
        queue.release(grant, 100);
    }
    queue.release(second, 100);
    assert_eq!(order.iter().filter(|user_id| **user_id == 1).count(), 3);
    assert!(
        order[..4].contains(&1) && order[..4].contains(&2),
        "{order:?}"
    );
    queue.check();
}

#[test]
fn debts_are_forgotten_when_others_have_caught_up_and_are_bounded() {
    let mut queue = FairQueue::new(1);
    queue.wait(claim(0, 10), ());
    for user_id in 1..=20_000 {
        queue.wait(claim(user_id, 10), ());
    }
    for _ in 0..20_000 {
        let ((), grant) = queue.hand_out().unwrap();
        queue.release(grant, 50);
    }
    assert!(queue.debtors.len() <= MAX_DEBTORS);
    let ((), grant) = queue.hand_out().unwrap();
    queue.release(grant, 50);
    let grant = queue.try_enter(claim(7, 10)).unwrap();
    queue.release(grant, 50);
    assert!(queue.users.is_empty() && queue.debtors.is_empty());
    assert!(queue.slots.is_empty());
}

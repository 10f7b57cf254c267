use std::collections::HashMap;

use super::*;
use crate::limits::{LimitSource, LimitedUser, SubjectLimits};
use crate::model::{BudgetUnit, Extra, Limit};
use proptest::prelude::*;

const DAY_MS: i64 = 86_400_000;

pub(super) fn at(ms: i64) -> Moment {
    Moment {
        unix_ms: ms,
        clock_ms: u64::try_from(ms).unwrap(),
    }
}

pub(super) fn demand(nano_usd: i64, tokens: i64) -> Demand {
    Demand {
        amounts: Amounts {
            nano_usd,
            tokens,
            requests: 1,
        },
        is_metered: true,
    }
}

pub(super) fn limit(text: &str) -> Limit {
    text.parse().unwrap()
}

fn number(kind: LimitKind, text: &str) -> Limit {
    Limit::parse(kind, text, false).unwrap()
}

/// A limiter of the users 1 to 3, of whom 1 and 2 are in group 7.
pub(super) struct House {
    pub(super) limiter: Limiter,
    pub(super) table: LimitTable,
}

impl House {
    pub(super) fn new(subjects: &[(LimitScope, Vec<Limit>)]) -> Self {
        let mut house = Self {
            limiter: Limiter::new(Calendar::default()),
            table: LimitTable::default(),
        };
        house.set(subjects, 0);
        house
    }

    fn set(&mut self, subjects: &[(LimitScope, Vec<Limit>)], now_ms: i64) {
        let subjects: Vec<SubjectLimits> = subjects
            .iter()
            .map(|(scope, limits)| SubjectLimits {
                scope: *scope,
                limits: limits.clone(),
                extras: Vec::<Extra>::new(),
            })
            .collect();
        let group = |id: i64| (id < 3).then(|| (7, "seven".into()));
        let users: Vec<LimitedUser> = (1..=3)
            .map(|id| LimitedUser {
                id,
                name: id.to_string().into(),
                group: group(id),
            })
            .collect();
        self.table = LimitTable::new(&users, &subjects);
        self.limiter
            .set_groups(&self.table, HashMap::from([(1, 7), (2, 7)]));
        for missing in self.limiter.missing_windows(&self.table, now_ms) {
            self.limiter.load_window(missing, []);
        }
    }

    fn admit(&mut self, user: i64, demand: &Demand, now_ms: i64) -> Result<Grant, Reason> {
        let rules = self
            .table
            .of_user(user)
            .expect("a user with limits")
            .clone();
        let admitted = self.limiter.admit(&rules, demand, at(now_ms));
        admitted.map_err(|refusal| refusal.reason)
    }

    /// Books what a request used and takes its reservation back.
    fn end(&mut self, user: i64, grant: &Grant, used: Amounts, started_at_ms: i64) {
        self.limiter.book(user, started_at_ms, used);
        self.limiter.finish(grant, used.tokens, false);
        self.limiter.leave(grant.owners());
    }

    fn budget(&self, user: i64, now_ms: i64) -> (i64, i64) {
        let rule = &self.table.of_user(user).unwrap().budgets[0];
        let check = self.limiter.budget(rule, now_ms).unwrap();
        (check.used, check.reserved)
    }
}

#[test]
fn a_crowd_gets_what_is_left_and_no_more() {
    let mut house = House::new(&[(LimitScope::User(1), vec![limit("1000tokens/day")])]);
    let grants: Vec<Grant> = (0..200)
        .filter_map(|_| house.admit(1, &demand(0, 100), 5).ok())
        .collect();
    assert_eq!((grants.len(), house.budget(1, 5)), (10, (0, 1_000)));
    assert_eq!(
        house.admit(1, &demand(0, 100), 5),
        Err(Reason::BudgetInFlight)
    );
    assert_eq!(
        house.admit(1, &demand(0, 1_001), 5),
        Err(Reason::BudgetUsedUp)
    );
    let used = Amounts {
        tokens: 50,
        requests: 1,
        nano_usd: 0,
    };
    for grant in &grants {
        house.end(1, grant, used, 5);
    }
    assert_eq!(house.budget(1, 5), (500, 0));
    assert!(house.admit(1, &demand(0, 500), 5).is_ok());
    assert_eq!(house.limiter.counts().in_flight, 1);
}

#[test]
fn a_budget_of_nothing_blocks_and_a_watched_one_does_not() {
    let mut house = House::new(&[(LimitScope::User(1), vec![limit("0usd/total")])]);
    assert_eq!(house.admit(1, &demand(0, 0), 5), Err(Reason::BudgetUsedUp));
    let free = Demand::default();
    assert!(house.admit(1, &free, 5).is_ok(), "what uses nothing passes");
    let watched = Limit {
        is_watched: true,
        ..limit("0usd/total")
    };
    house.set(&[(LimitScope::User(1), vec![watched.clone()])], 5);
    assert!(house.admit(1, &demand(7, 7), 5).is_ok());
    assert_eq!(house.limiter.refused(LimitScope::User(1), watched.kind), 2);
    assert_eq!(house.budget(1, 5), (0, 7));
}

#[test]
fn a_window_begins_anew_and_late_rows_belong_to_the_old_one() {
    let mut house = House::new(&[(LimitScope::User(1), vec![limit("100tokens/day")])]);
    let late = house.admit(1, &demand(0, 100), DAY_MS - 1).unwrap();
    assert!(house.admit(1, &demand(0, 1), DAY_MS - 1).is_err());
    let next = house.admit(1, &demand(0, 60), DAY_MS).unwrap();
    let used = |tokens| Amounts {
        tokens,
        ..Amounts::default()
    };
    house.end(1, &late, used(90), DAY_MS - 1);
    assert_eq!(house.budget(1, DAY_MS), (0, 60));
    house.end(1, &next, used(60), DAY_MS);
    assert_eq!(house.budget(1, DAY_MS), (60, 0));
}

#[test]
fn owners_are_forgotten_when_nothing_is_counted_of_them_any_more() {
    let mut house = House::new(&[(
        LimitScope::Group(7),
        vec![limit("100tokens/day"), number(LimitKind::Concurrent, "9")],
    )]);
    let ended = house.admit(1, &demand(0, 10), 5).unwrap();
    let late = house.admit(2, &demand(0, 20), 5).unwrap();
    house.end(1, &ended, demand(0, 10).amounts, 5);
    assert_eq!(house.limiter.owners.len(), 3);
    house.limiter.roll(DAY_MS);
    let left: Vec<Owner> = house.limiter.owners.keys().copied().collect();
    assert_eq!(left, [Owner::Group(7), Owner::User(2)], "one is in flight");
    house.end(2, &late, demand(0, 20).amounts, 5);
    house.limiter.roll(2 * DAY_MS);
    assert!(house.limiter.owners.is_empty());
}

#[test]
fn rates_give_back_what_was_not_used_and_what_failed() {
    let mut house = House::new(&[(
        LimitScope::User(1),
        vec![
            number(LimitKind::RequestsPerMinute, "2"),
            number(LimitKind::TokensPerMinute, "1000"),
        ],
    )]);
    let rules = house.table.of_user(1).unwrap();
    let untouched = house.limiter.rate_state(rules, BudgetUnit::Tokens, at(0));
    assert_eq!(untouched.unwrap().remaining, 1_000);
    assert_eq!(
        house.admit(1, &demand(0, 1_001), 0),
        Err(Reason::LargerThanBucket)
    );
    let first = house.admit(1, &demand(0, 900), 0).unwrap();
    let refused = house.admit(1, &demand(0, 101), 0);
    assert!(
        matches!(refused, Err(Reason::Rate { retry_after_ms: 60 })),
        "{refused:?}"
    );
    house.limiter.finish(&first, 100, false);
    let second = house.admit(1, &demand(0, 900), 0).unwrap();
    assert!(
        house.admit(1, &demand(0, 0), 0).is_err(),
        "two requests a minute"
    );
    house.limiter.finish(&second, 0, true);
    let rules = house.table.of_user(1).unwrap();
    let state = |unit, now_ms| house.limiter.rate_state(rules, unit, at(now_ms)).unwrap();
    assert_eq!(state(BudgetUnit::Tokens, 0).remaining, 900);
    // Looking ahead changes nothing.
    assert_eq!(state(BudgetUnit::Requests, 60_000).remaining, 2);
    let requests = state(BudgetUnit::Requests, 0);
    assert_eq!(
        (requests.limit, requests.remaining, requests.reset_ms),
        (2, 1, 30_000)
    );
}

#[test]
fn concurrency_is_shared_by_a_group() {
    let mut house = House::new(&[(
        LimitScope::Group(7),
        vec![number(LimitKind::Concurrent, "2")],
    )]);
    let one = house.admit(1, &demand(0, 0), 0).unwrap();
    let _two = house.admit(2, &demand(0, 0), 0).unwrap();
    assert_eq!(house.admit(1, &demand(0, 0), 0), Err(Reason::Concurrent));
    house.limiter.leave(one.owners());
    assert!(house.admit(1, &Demand::default(), 0).is_ok());
}

#[test]
fn a_reservation_can_be_raised_as_far_as_the_budget_goes() {
    let mut house = House::new(&[(LimitScope::User(1), vec![limit("100tokens/day")])]);
    let rules = house.table.of_user(1).unwrap().clone();
    let mut grant = house.admit(1, &demand(0, 60), 0).unwrap();
    let more = |tokens| Amounts {
        tokens,
        ..Amounts::default()
    };
    assert!(
        house
            .limiter
            .raise(&rules, &mut grant, more(41), at(0))
            .is_err()
    );
    house
        .limiter
        .raise(&rules, &mut grant, more(40), at(0))
        .unwrap();
    assert_eq!(house.budget(1, 0), (0, 100));
    house.limiter.finish(&grant, 0, true);
    assert_eq!(house.budget(1, 0), (0, 0));
}

#[test]
fn a_refusal_says_what_stands_in_the_way() {
    let mut house = House::new(&[(LimitScope::Group(7), vec![limit("100tokens/day")])]);
    let _first = house.admit(2, &demand(0, 60), 5).unwrap();
    let rules = house.table.of_user(1).unwrap().clone();
    let refusal = house
        .limiter
        .admit(&rules, &demand(0, 50), at(5))
        .unwrap_err();
    assert_eq!(
        *refusal,
        Refusal {
            source: LimitSource {
                scope: LimitScope::Group(7),
                name: "seven".into(),
                kind: LimitKind::Budget(BudgetUnit::Tokens, BudgetWindow::Day),
            },
            reason: Reason::BudgetInFlight,
            limit: 100,
            used: 0,
            reserved: 60,
            requested: 50,
            needs_lease: false,
            resets_at_ms: Some(DAY_MS),
        }
    );
}

/// A step of the interleavings below.
#[derive(Debug, Clone)]
enum Step {
    Admit {
        user: i64,
        usd: i64,
        tokens: i64,
    },
    /// A request ends and is booked; what it used is this many percent of what was reserved.
    End {
        place: usize,
        percent: i64,
    },
    /// A request ends without a row.
    Fail {
        place: usize,
    },
    /// Another process books a row.
    Foreign {
        user: i64,
        tokens: i64,
    },
    Pass {
        ms: i64,
    },
    Edit {
        tokens: i64,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1..4_i64, 0..500_i64, 0..500_i64).prop_map(|(user, usd, tokens)| Step::Admit { user, usd, tokens }),
        4 => (any::<usize>(), 0..101_i64).prop_map(|(place, percent)| Step::End { place, percent }),
        1 => any::<usize>().prop_map(|place| Step::Fail { place }),
        1 => (1..4_i64, 0..100_i64).prop_map(|(user, tokens)| Step::Foreign { user, tokens }),
        2 => (0..DAY_MS / 3).prop_map(|ms| Step::Pass { ms }),
        1 => (0..3_000_i64).prop_map(|tokens| Step::Edit { tokens }),
    ]
}

/// The subjects of the interleavings, with one limit that is edited.
fn subjects(tokens: i64) -> Vec<(LimitScope, Vec<Limit>)> {
    vec![
        (
            LimitScope::Everybody,
            vec![limit("0.000001usd/day"), limit("9requests/week")],
        ),
        (
            LimitScope::User(1),
            vec![limit(&format!("{tokens}tokens/day"))],
        ),
        (
            LimitScope::Group(7),
            vec![limit("1500tokens/day"), limit("0.000002usd/total")],
        ),
        (
            LimitScope::User(3),
            vec![number(LimitKind::TokensPerMinute, "5000")],
        ),
    ]
}

/// A request of the interleavings that has not ended.
struct Running {
    user: i64,
    started_at_ms: i64,
    grant: Grant,
}

proptest! {
    #[test]
    fn used_and_reserved_are_the_sums_of_rows_and_requests_and_admission_never_exceeds(
        steps in prop::collection::vec(any_step(), 1..120)
    ) {
        let mut house = House::new(&subjects(1_000));
        let mut now_ms = 0;
        let mut running: Vec<Running> = Vec::new();
        // Every row ever: user, time, amounts. This is the second implementation.
        let mut rows: Vec<(i64, i64, Amounts)> = Vec::new();
        for step in steps {
            let mut admitted = None;
            match step {
                Step::Admit { user, usd, tokens } => {
                    if let Ok(grant) = house.admit(user, &demand(usd, tokens), now_ms) {
                        running.push(Running { user, started_at_ms: now_ms, grant });
                        admitted = Some(user);
                    }
                }
                Step::End { place, percent } if !running.is_empty() => {
                    let Running { user, started_at_ms, grant } = running.swap_remove(place % running.len());
                    let of = |amount: i64| amount * percent / 100;
                    let used = Amounts {
                        nano_usd: of(grant.amounts.nano_usd),
                        tokens: of(grant.amounts.tokens),
                        requests: 1,
                    };
                    house.end(user, &grant, used, started_at_ms);
                    rows.push((user, started_at_ms, used));
                }
                Step::Fail { place } if !running.is_empty() => {
                    let Running { grant, .. } = running.swap_remove(place % running.len());
                    house.limiter.finish(&grant, 0, true);
                    house.limiter.leave(grant.owners());
                }
                Step::Foreign { user, tokens } => {
                    let used = Amounts { tokens, requests: 1, nano_usd: tokens };
                    house.limiter.roll(now_ms);
                    house.limiter.book(user, now_ms, used);
                    rows.push((user, now_ms, used));
                }
                Step::Pass { ms } => now_ms += ms,
                Step::Edit { tokens } => house.set(&subjects(tokens), now_ms),
                Step::End { .. } | Step::Fail { .. } => {}
            }
            let windows = Windows::new(Calendar::default());
            for user in 1..=3 {
                for rule in &house.table.of_user(user).unwrap().budgets {
                    let (start, end) = windows.span(rule.window, now_ms);
                    let is_of = |id: i64| match rule.owner {
                        Owner::User(owner) => id == owner,
                        Owner::Group(_) => id < 3,
                    };
                    let of_rows = rows.iter().filter(|(id, at, _)| is_of(*id) && (start..end).contains(at));
                    let used: i64 = of_rows.map(|(_, _, amounts)| amounts.of(rule.unit)).sum();
                    let in_window = |r: &&Running| is_of(r.user) && (start..end).contains(&r.started_at_ms);
                    let of_running = running.iter().filter(in_window);
                    let reserved: i64 = of_running.map(|r| r.grant.amounts.of(rule.unit)).sum();
                    let check = house.limiter.budget(rule, now_ms).unwrap();
                    prop_assert_eq!((check.used, check.reserved), (used, reserved), "{:?}", rule);
                    if admitted == Some(user) {
                        prop_assert!(used + reserved <= check.limit, "{rule:?} {check:?}");
                    }
                }
            }
        }
        for Running { grant, .. } in running {
            house.limiter.finish(&grant, 0, true);
            house.limiter.leave(grant.owners());
        }
        prop_assert_eq!(house.limiter.counts(), LimiterCounts::default());
    }
}

use proptest::prelude::*;

use super::*;
use crate::{
    limits::{
        Grant,
        limiter::tests::{House, at, demand, limit},
    },
    model::LimitScope,
};

/// Tokens a day that the nodes share.
const BUDGET: i64 = 100;
/// A user without a group.
const USER: i64 = 3;
const NOW_MS: i64 = 5;

/// Several limiters on one database, which is what they have booked and their leases in it.
struct SharedBudget {
    used: i64,
    leases: Vec<i64>,
    /// Smaller leases that are in memory and not yet in the database.
    unwritten: Vec<Option<i64>>,
    nodes: Vec<Limiter>,
    grants: Vec<Vec<Grant>>,
}

impl SharedBudget {
    fn new(nodes: usize) -> Self {
        let make = || {
            let budget = limit(&format!("{BUDGET}tokens/day"));
            let mut limiter = House::new(&[(LimitScope::User(USER), vec![budget])]).limiter;
            limiter.share_budgets();
            if let Some(leases) = limiter.leases() {
                leases.set_valid_until(u64::MAX);
            }
            limiter
        };
        Self {
            used: 0,
            leases: vec![0; nodes],
            unwritten: vec![None; nodes],
            nodes: (0..nodes).map(|_| make()).collect(),
            grants: (0..nodes).map(|_| Vec::new()).collect(),
        }
    }

    fn write(&mut self, node: usize) {
        if let Some(lease) = self.unwritten[node].take() {
            self.leases[node] = lease;
        }
    }

    /// Admits a request of some tokens, with a larger lease if one is needed.
    fn admit(&mut self, node: usize, rules: &UserRules, tokens: i64) {
        let asked = demand(0, tokens);
        let admitted = self.nodes[node].admit(rules, &asked, at(NOW_MS));
        let admitted = match admitted {
            Err(refusal) if refusal.needs_lease => {
                self.write(node);
                let others: i64 = self.leases.iter().sum::<i64>() - self.leases[node];
                let others = demand(0, others).amounts;
                let grown = self.nodes[node].grown_leases(rules, asked.amounts, NOW_MS, |_| {
                    (others, Amounts::default())
                });
                let Some(grown) = grown else {
                    return;
                };
                for (key, granted) in grown {
                    self.leases[node] = granted.tokens;
                    if let Some(leases) = self.nodes[node].leases() {
                        leases.set(key, granted);
                    }
                }
                self.nodes[node].admit(rules, &asked, at(NOW_MS))
            }
            admitted => admitted,
        };
        if let Ok(grant) = admitted {
            self.grants[node].push(grant);
        }
    }

    /// Ends a request, which used at most what it had reserved. All nodes learn of its row.
    fn end(&mut self, node: usize, part: i64) {
        let Some(grant) = self.grants[node].pop() else {
            return;
        };
        let used = demand(0, grant.amounts().tokens * part / 4).amounts;
        self.used += used.tokens;
        for limiter in &mut self.nodes {
            limiter.book(USER, NOW_MS, used);
        }
        self.nodes[node].consume_leases(USER, NOW_MS, used);
        self.nodes[node].finish(&grant, used.tokens, false);
    }

    fn give_back(&mut self, node: usize) {
        self.write(node);
        for (_, lease) in self.nodes[node].give_back_leases(NOW_MS) {
            self.unwritten[node] = Some(lease.tokens);
        }
    }
}

proptest! {
    /// Whatever the nodes do, and in whichever order, what is used and what may still be used is in the
    /// budget.
    #[test]
    fn nodes_with_leases_never_overrun_a_budget(
        steps in proptest::collection::vec((0_usize..3, 0_u8..4, 1_i64..40), 1..200)
    ) {
        let house = House::new(&[(LimitScope::User(USER), vec![limit(&format!("{BUDGET}tokens/day"))])]);
        let rules = house.table.of_user(USER).unwrap();
        let mut budget = SharedBudget::new(3);
        for (node, step, number) in steps {
            match step {
                0 | 1 => budget.admit(node, rules, number),
                2 => budget.end(node, number % 5),
                _ => budget.give_back(node),
            }
            let reserved: i64 = budget.grants.iter().flatten().map(|grant| grant.amounts().tokens).sum();
            prop_assert!(budget.used + reserved <= BUDGET, "{} used, {reserved} reserved", budget.used);
        }
        // What nobody has in flight can be used by any of them.
        for node in 0..3 {
            while !budget.grants[node].is_empty() {
                budget.end(node, 0);
            }
        }
        for _ in 0..2 {
            (0..3).for_each(|node| budget.give_back(node));
        }
        (0..3).for_each(|node| budget.write(node));
        let rest = BUDGET - budget.used;
        if rest > 0 {
            budget.admit(0, rules, rest);
            prop_assert_eq!(budget.grants[0].len(), 1, "{} are left", rest);
        }
    }
}

/// A node counts its own objects before it reads those of all nodes, which has them again.
#[test]
fn a_stored_object_counts_at_once_and_once() {
    let house = House::new(&[(
        LimitScope::User(USER),
        vec![limit(&format!("{BUDGET}tokens/day"))],
    )]);
    let rule = &house.table.of_user(USER).unwrap().budgets[0];
    let mut budget = SharedBudget::new(1);
    let limiter = &mut budget.nodes[0];
    let reserved = |limiter: &Limiter| limiter.budget(rule, NOW_MS).unwrap().reserved;
    let amounts = demand(0, 30).amounts;
    limiter.add_stored(USER, NOW_MS, amounts);
    assert_eq!(reserved(limiter), 30);
    limiter.set_stored([(USER, NOW_MS, amounts)]);
    assert_eq!(reserved(limiter), 30);
}

//! Which part of each budget is used, for metrics.

use std::collections::{BTreeMap, HashSet};

use super::{limits::scope_word, live::ratio};
use crate::limits::{BudgetRule, Owner, SharedLimits};

/// Budgets that are looked at under one lock, which requests of users with limits wait for.
const RULES_A_LOOK: usize = 64;

/// Whose budget it is, and for how long: scope, name, window.
pub type BudgetKey = (&'static str, String, &'static str);

/// Returns which part of each budget is used. Of several units, such as dollars and tokens, the
/// fullest counts. Without `names_users` all budgets of users share an empty name, and the fullest
/// counts. A budget of nothing, which blocks, is left out.
#[must_use]
pub fn budget_ratios(
    limits: &SharedLimits,
    now_ms: i64,
    names_users: bool,
) -> BTreeMap<BudgetKey, f64> {
    let table = limits.table();
    let mut seen = HashSet::new();
    // A group's budget is among the rules of each of its users.
    let mut is_new = |rule: &BudgetRule| match rule.owner {
        Owner::User(_) => true,
        Owner::Group(_) => seen.insert((rule.owner, rule.unit, rule.window)),
    };
    let rules: Vec<&BudgetRule> = table
        .users()
        .flat_map(|rules| &rules.budgets)
        .filter(|rule| is_new(rule))
        .collect();
    let mut ratios: BTreeMap<BudgetKey, f64> = BTreeMap::new();
    for some in rules.chunks(RULES_A_LOOK) {
        let checks: Vec<_> = limits.with(|limiter| {
            let checks = some.iter().map(|rule| limiter.budget(rule, now_ms));
            checks.collect()
        });
        for (rule, check) in some.iter().zip(checks) {
            let Some(check) = check.filter(|check| check.limit > 0) else {
                continue;
            };
            let has_name = names_users || matches!(rule.owner, Owner::Group(_));
            let name = if has_name { &*rule.source.name } else { "" };
            let scope = scope_word(rule.source.scope);
            let key = (scope, name.to_owned(), rule.window.as_str());
            let fullest = ratios.entry(key).or_default();
            *fullest = fullest.max(ratio(check.used, check.limit));
        }
    }
    ratios
}

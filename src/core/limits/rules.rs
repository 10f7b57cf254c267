//! The limits that apply to each user: the user's own, the group's, and those of everybody where the
//! user has none of the kind.

use std::{collections::HashMap, sync::Arc};

use rustc_hash::FxHashMap;

use super::models::ModelPatterns;
use crate::model::{BudgetUnit, BudgetWindow, Extra, Limit, LimitKind, LimitScope, LimitValue};

/// Who uses a limit up: a user alone, or all users of a group together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    User(i64),
    Group(i64),
}

/// Where a limit is set, and of which kind it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSource {
    pub scope: LimitScope,
    /// The name of the user or group whose limit it is. A default has the user's name.
    pub name: Arc<str>,
    pub kind: LimitKind,
}

/// The limits that are set on one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectLimits {
    pub scope: LimitScope,
    pub limits: Vec<Limit>,
    pub extras: Vec<Extra>,
}

/// A user as far as limits are concerned.
#[derive(Debug, Clone)]
pub struct LimitedUser {
    pub id: i64,
    pub name: Arc<str>,
    pub group: Option<(i64, Arc<str>)>,
}

/// A budget that applies to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetRule {
    pub source: LimitSource,
    pub owner: Owner,
    pub unit: BudgetUnit,
    pub window: BudgetWindow,
    pub amount: i64,
    pub extras: Vec<Extra>,
    pub is_watched: bool,
}

/// A limit with a number that applies to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberRule {
    pub source: LimitSource,
    pub owner: Owner,
    pub number: i64,
    pub is_watched: bool,
}

/// A list of models that applies to a user.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRule {
    pub source: LimitSource,
    patterns: ModelPatterns,
    /// The list as it is set.
    text: String,
    /// The list has the models that are not allowed.
    is_denial: bool,
    pub is_watched: bool,
}

/// All limits that apply to one user.
#[derive(Debug, Clone, PartialEq)]
pub struct UserRules {
    pub user_id: i64,
    pub group_id: Option<i64>,
    pub budgets: Vec<BudgetRule>,
    pub request_rates: Vec<NumberRule>,
    pub token_rates: Vec<NumberRule>,
    pub concurrent: Vec<NumberRule>,
    pub models: Vec<ModelRule>,
    pub output_caps: Vec<NumberRule>,
    /// The share where requests wait, at least 1.
    pub weight: u32,
    pub allows_unpriced: bool,
}

/// The limits of all users.
#[derive(Debug, Default)]
pub struct LimitTable {
    users: FxHashMap<i64, Arc<UserRules>>,
    windows: Vec<BudgetWindow>,
}

impl BudgetRule {
    /// Returns the amount of the budget, with what raises it at a time (Unix milliseconds).
    #[must_use]
    pub fn limit_at(&self, now_ms: i64) -> i64 {
        let extras = self.extras.iter().filter(|extra| now_ms < extra.until_ms);
        extras.fold(self.amount, |sum, extra| sum.saturating_add(extra.amount))
    }
}

impl ModelRule {
    /// Returns the list as it is set.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether the rule lets a model pass. Blanks around its name do not count, because some
    /// backends remove them. A request that names no model passes the list `*` only: its backend
    /// may choose any model.
    #[must_use]
    pub fn allows(&self, model: &str) -> bool {
        let is_blank = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_graphic());
        let bytes = model.as_bytes();
        let model = if is_blank(bytes.first()) || is_blank(bytes.last()) {
            model.trim()
        } else {
            model
        };
        if self.is_denial {
            !model.is_empty() && !self.patterns.deny(model)
        } else {
            self.patterns.allow(model)
        }
    }
}

impl UserRules {
    /// Returns the rule that keeps a user from a model, if there is one that is enforced.
    #[must_use]
    pub fn refusing_model(&self, model: &str) -> Option<&ModelRule> {
        let mut enforced = self.models.iter().filter(|rule| !rule.is_watched);
        enforced.find(|rule| !rule.allows(model))
    }

    /// Returns whether it matters which model a request is for.
    #[must_use]
    pub fn looks_at_models(&self) -> bool {
        !self.models.is_empty() || self.counts_tokens()
    }

    /// Returns whether some models are not allowed.
    #[must_use]
    pub fn restricts_models(&self) -> bool {
        self.models.iter().any(|rule| !rule.is_watched)
    }

    /// Returns the least number of output tokens that a request may ask for, if there is one.
    #[must_use]
    pub fn output_cap(&self) -> Option<&NumberRule> {
        let enforced = self.output_caps.iter().filter(|rule| !rule.is_watched);
        enforced.min_by_key(|rule| rule.number)
    }

    /// Returns whether any rule needs to know what a request may cost.
    #[must_use]
    pub fn has_usd_budget(&self) -> bool {
        self.budgets.iter().any(|rule| rule.unit == BudgetUnit::Usd)
    }

    /// Returns whether any rule needs to know how many tokens a request may use.
    #[must_use]
    pub fn counts_tokens(&self) -> bool {
        let counts = |rule: &BudgetRule| rule.unit != BudgetUnit::Requests;
        !self.token_rates.is_empty() || self.budgets.iter().any(counts)
    }
}

impl LimitTable {
    /// Finds out which limits apply to each user. Users without any are left out.
    #[must_use]
    pub fn new(users: &[LimitedUser], subjects: &[SubjectLimits]) -> Self {
        if subjects.is_empty() {
            return Self::default();
        }
        let by_scope: HashMap<LimitScope, &SubjectLimits> = subjects
            .iter()
            .map(|subject| (subject.scope, subject))
            .collect();
        let rules = users.iter().filter_map(|user| {
            let rules = rules_of(user, &by_scope)?;
            Some((user.id, Arc::new(rules)))
        });
        let users: FxHashMap<i64, Arc<UserRules>> = rules.collect();
        let budgets = || users.values().flat_map(|rules| &rules.budgets);
        let is_used = |window: &BudgetWindow| budgets().any(|rule| rule.window == *window);
        let windows = BudgetWindow::ALL.into_iter().filter(is_used).collect();
        Self { users, windows }
    }

    /// Returns the limits of a user; `None` without any.
    #[must_use]
    pub fn of_user(&self, user_id: i64) -> Option<&Arc<UserRules>> {
        self.users.get(&user_id)
    }

    /// Returns all users with limits, in no order.
    pub fn users(&self) -> impl Iterator<Item = &Arc<UserRules>> {
        self.users.values()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Returns the windows of all budgets.
    #[must_use]
    pub fn windows(&self) -> &[BudgetWindow] {
        &self.windows
    }
}

/// The limits of one scope as they apply to a user.
struct Applied<'t> {
    subject: &'t SubjectLimits,
    name: Arc<str>,
    owner: Owner,
}

fn rules_of(
    user: &LimitedUser,
    by_scope: &HashMap<LimitScope, &SubjectLimits>,
) -> Option<UserRules> {
    let applied = |scope, name: &Arc<str>, owner| {
        let subject = by_scope.get(&scope)?;
        Some(Applied {
            subject,
            name: Arc::clone(name),
            owner,
        })
    };
    let owner = Owner::User(user.id);
    let own = applied(LimitScope::User(user.id), &user.name, owner);
    let defaults = applied(LimitScope::Everybody, &user.name, owner);
    let of_group = user
        .group
        .as_ref()
        .and_then(|(id, name)| applied(LimitScope::Group(*id), name, Owner::Group(*id)));
    if own.is_none() && defaults.is_none() && of_group.is_none() {
        return None;
    }
    let mut rules = UserRules {
        user_id: user.id,
        group_id: user.group.as_ref().map(|(id, _)| *id),
        budgets: Vec::new(),
        request_rates: Vec::new(),
        token_rates: Vec::new(),
        concurrent: Vec::new(),
        models: Vec::new(),
        output_caps: Vec::new(),
        weight: 1,
        allows_unpriced: false,
    };
    let own_extras = own.as_ref().map_or(&[][..], |own| &own.subject.extras);
    // The first that has a weight or says what becomes of models without a price decides.
    let (mut weight, mut unpriced) = (None, None);
    for applied in [&own, &of_group, &defaults].into_iter().flatten() {
        for limit in &applied.subject.limits {
            let is_default = applied.subject.scope == LimitScope::Everybody;
            if is_default
                && own
                    .as_ref()
                    .is_some_and(|own| has_kind(own.subject, limit.kind))
            {
                continue;
            }
            let number = limit.amount().unwrap_or(0);
            match limit.kind {
                LimitKind::Weight => weight = weight.or(Some(number)),
                LimitKind::AllowUnpriced => unpriced = unpriced.or(Some(number)),
                _ => {
                    // What raises the user's budgets raises defaults too; a default may be raised for
                    // everybody besides.
                    let is_own = applied.subject.scope == LimitScope::User(user.id);
                    let extras: Vec<Extra> = match applied.owner {
                        Owner::User(_) if is_own => own_extras.to_vec(),
                        Owner::User(_) => [own_extras, &applied.subject.extras].concat(),
                        Owner::Group(_) => applied.subject.extras.clone(),
                    };
                    rules.add(applied, limit, number, &extras);
                }
            }
        }
    }
    rules.weight = weight
        .and_then(|w| u32::try_from(w).ok())
        .unwrap_or(1)
        .max(1);
    rules.allows_unpriced = unpriced == Some(1);
    Some(rules)
}

/// Returns whether a subject has a limit of a kind. All budgets in one unit are of one kind: a user
/// with a budget of dollars a day does not have the default for dollars a month besides.
fn has_kind(subject: &SubjectLimits, kind: LimitKind) -> bool {
    subject.limits.iter().any(|limit| match (limit.kind, kind) {
        (LimitKind::Budget(unit, _), LimitKind::Budget(other, _)) => unit == other,
        (one, other) => one == other,
    })
}

impl UserRules {
    fn add(&mut self, applied: &Applied<'_>, limit: &Limit, number: i64, extras: &[Extra]) {
        let source = LimitSource {
            scope: applied.subject.scope,
            name: Arc::clone(&applied.name),
            kind: limit.kind,
        };
        let is_watched = limit.is_watched;
        let owner = applied.owner;
        if let LimitKind::Budget(unit, window) = limit.kind {
            let extras = extras.iter().filter(|extra| extra.is_for(unit, window));
            self.budgets.push(BudgetRule {
                source,
                owner,
                unit,
                window,
                amount: number,
                extras: extras.copied().collect(),
                is_watched,
            });
            return;
        }
        if let LimitValue::Patterns(patterns) = &limit.value {
            self.models.push(ModelRule {
                source,
                patterns: ModelPatterns::new(patterns),
                text: patterns.join(","),
                is_denial: limit.kind == LimitKind::DenyModels,
                is_watched,
            });
            return;
        }
        let numbers = match limit.kind {
            LimitKind::RequestsPerMinute => &mut self.request_rates,
            LimitKind::TokensPerMinute => &mut self.token_rates,
            LimitKind::Concurrent => &mut self.concurrent,
            LimitKind::MaxOutputTokens => &mut self.output_caps,
            _ => return,
        };
        numbers.push(NumberRule {
            source,
            owner,
            number,
            is_watched,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BudgetUnit::{Requests, Tokens};
    use BudgetWindow::{Day, Month, Week};

    fn user(id: i64, group: Option<i64>) -> LimitedUser {
        LimitedUser {
            id,
            name: format!("user-{id}").into(),
            group: group.map(|id| (id, format!("group-{id}").into())),
        }
    }

    fn subject(scope: LimitScope, limits: &[Limit]) -> SubjectLimits {
        SubjectLimits {
            scope,
            limits: limits.to_vec(),
            extras: Vec::new(),
        }
    }

    fn limit(kind: LimitKind, text: &str) -> Limit {
        Limit::parse(kind, text, false).unwrap()
    }

    fn budgets(rules: &UserRules) -> Vec<(Owner, BudgetUnit, i64)> {
        let budgets = rules.budgets.iter();
        budgets
            .map(|rule| (rule.owner, rule.unit, rule.amount))
            .collect()
    }

    #[test]
    fn a_default_holds_where_the_user_has_none_of_the_kind() {
        let table = LimitTable::new(
            &[user(1, None), user(2, Some(7)), user(3, None)],
            &[
                subject(
                    LimitScope::Everybody,
                    &[
                        "10requests/day".parse().unwrap(),
                        "5tokens/month".parse().unwrap(),
                        limit(LimitKind::RequestsPerMinute, "60"),
                    ],
                ),
                subject(LimitScope::User(1), &["20requests/week".parse().unwrap()]),
                subject(
                    LimitScope::Group(7),
                    &[
                        "99requests/day".parse().unwrap(),
                        limit(LimitKind::Weight, "3"),
                        limit(LimitKind::RequestsPerMinute, "9"),
                    ],
                ),
            ],
        );
        let own = table.of_user(1).unwrap();
        let expected = [(Owner::User(1), Requests, 20), (Owner::User(1), Tokens, 5)];
        assert_eq!(budgets(own), expected);
        assert_eq!((own.request_rates.len(), own.weight), (1, 1));
        let grouped = table.of_user(2).unwrap();
        let expected = [
            (Owner::Group(7), Requests, 99),
            (Owner::User(2), Requests, 10),
            (Owner::User(2), Tokens, 5),
        ];
        assert_eq!(budgets(grouped), expected);
        assert_eq!((grouped.request_rates.len(), grouped.weight), (2, 3));
        assert_eq!(table.windows(), [Day, Week, Month]);
    }

    #[test]
    fn users_without_limits_have_no_rules() {
        let own = subject(LimitScope::User(1), &["20requests/week".parse().unwrap()]);
        let table = LimitTable::new(&[user(1, None), user(2, None)], &[own]);
        assert!(table.of_user(1).is_some() && table.of_user(2).is_none());
        assert!(LimitTable::new(&[user(1, None)], &[]).is_empty());
    }

    #[test]
    fn extras_of_a_user_raise_defaults_until_they_end() {
        let table = LimitTable::new(
            &[user(1, None)],
            &[
                SubjectLimits {
                    extras: vec![Extra::parse("100requests", 500).unwrap()],
                    ..subject(LimitScope::Everybody, &["10requests/day".parse().unwrap()])
                },
                SubjectLimits {
                    scope: LimitScope::User(1),
                    limits: Vec::new(),
                    extras: vec![Extra::parse("5requests", 1_000).unwrap()],
                },
            ],
        );
        let rule = &table.of_user(1).unwrap().budgets[0];
        assert_eq!(rule.limit_at(499), 115);
        assert_eq!((rule.limit_at(999), rule.limit_at(1_000)), (15, 10));
    }

    #[test]
    fn a_denied_model_is_denied_whatever_is_allowed() {
        let table = LimitTable::new(
            &[user(1, Some(7))],
            &[
                subject(
                    LimitScope::User(1),
                    &[limit(LimitKind::Models, "gpt-4*,o4-mini")],
                ),
                subject(
                    LimitScope::Group(7),
                    &[limit(LimitKind::DenyModels, "gpt-4.5*")],
                ),
            ],
        );
        let rules = table.of_user(1).unwrap();
        assert!(rules.refusing_model("gpt-4o").is_none());
        let kind = |model| rules.refusing_model(model).map(|rule| rule.source.kind);
        assert_eq!(kind("gpt-4.5"), Some(LimitKind::DenyModels));
        assert_eq!(kind("gpt-5"), Some(LimitKind::Models));
        assert_eq!(kind(""), Some(LimitKind::Models));
    }
}

//! Operations on limits: what is set on users, groups and everybody, and what is left of it.

use std::sync::Arc;

use crate::store::sql::Connection;
use serde::{Deserialize, Serialize};

use super::{
    AdminContext, AdminError, Member, Method, Operation,
    limit_changes::{LimitChanges, with_limits},
};
use crate::{
    limits::{
        BudgetRule, LimitSource, LimitTable, Limiter, NumberRule, Owner, SharedLimits,
        SubjectLimits, UserRules,
    },
    model::{
        BudgetUnit, Extra, Limit, LimitKind, LimitScope, LimitValue, NanoUsd, format_seconds,
        now_ms,
    },
    store::{StoreError, groups, identity, limit_usage, limits},
};

/// Sets limits of a user, a group, or everybody.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SetLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub everybody: Option<bool>,
    #[serde(flatten)]
    pub changes: LimitChanges,
}

/// Lists limits: all that are set, or those that apply to a user, or those of a group.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ListLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Answer to `list_limits` and of `limits --json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct LimitList {
    pub limits: Vec<LimitEntry>,
    /// Requests in flight of users with limits, and what they have reserved. `None` without a
    /// server, because only it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlight>,
}

/// What requests in flight hold of all limits together.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct InFlight {
    pub requests: u64,
    pub reserved_usd: NanoUsd,
    pub reserved_tokens: i64,
    pub reserved_requests: i64,
}

/// A limit, and what is left of it. Amounts in dollars are decimal texts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LimitEntry {
    /// `user`, `group` or `everybody`.
    pub scope: String,
    /// The user or group; `None` for the default of everybody.
    pub name: Option<String>,
    pub kind: String,
    /// The limit as it is set, such as `20usd/month`.
    pub value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// The limit with what raises it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<serde_json::Value>,
    /// `None` without a server, because only it knows what is in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<serde_json::Value>,
    /// UTC ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<String>,
    pub is_watched: bool,
    /// Requests that the limit has refused since the server started, or would have refused if it is
    /// only watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
}

impl Operation for SetLimits {
    type Answer = LimitList;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/set_limits";
    const MEMBERS: &'static [Member] = with_limits![
        Member::text("username"),
        Member::text("group"),
        Member::flag("everybody"),
    ];

    fn run(self, context: &AdminContext) -> Result<LimitList, AdminError> {
        let is_everybody = self.everybody.unwrap_or(false);
        let mut connection = context.connection()?;
        let scope = match (&self.username, &self.group, is_everybody) {
            (Some(name), None, false) => {
                LimitScope::User(identity::find_by_text(&connection, name)?.id)
            }
            (None, Some(group), false) => LimitScope::Group(groups::find(&connection, group)?),
            (None, None, true) => LimitScope::Everybody,
            _ => {
                let message = "send username, group, or everybody as true";
                return Err(AdminError::field("username", message));
            }
        };
        if self.changes.is_empty() {
            return Err(AdminError::field("budget", "no limit is given"));
        }
        self.changes
            .apply(&mut connection, scope, &context.calendar)?;
        let entries = of_scope(context, &connection, scope)?;
        Ok(LimitList {
            limits: entries,
            in_flight: None,
        })
    }
}

impl Operation for ListLimits {
    type Answer = LimitList;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/list_limits";
    const MEMBERS: &'static [Member] = &[Member::text("username"), Member::text("group")];

    fn run(self, context: &AdminContext) -> Result<LimitList, AdminError> {
        let connection = context.connection()?;
        let limits = match (&self.username, &self.group) {
            (Some(name), None) => {
                let id = identity::find_by_text(&connection, name)?.id;
                of_user(context, &connection, id)?
            }
            (None, Some(group)) => {
                let id = groups::find(&connection, group)?;
                of_scope(context, &connection, LimitScope::Group(id))?
            }
            (None, None) => all(context, &connection)?,
            (Some(_), Some(_)) => {
                let message = "send username or group, not both";
                return Err(AdminError::field("group", message));
            }
        };
        let in_flight = context.limits.as_ref().map(|shared| {
            let counts = shared.with(|limiter| limiter.counts());
            InFlight {
                requests: counts.in_flight,
                reserved_usd: NanoUsd(counts.reserved.nano_usd),
                reserved_tokens: counts.reserved.tokens,
                reserved_requests: counts.reserved.requests,
            }
        });
        Ok(LimitList { limits, in_flight })
    }
}

impl LimitEntry {
    /// Returns the limit as an operator shows it who hides figures: what it is about, and when it
    /// resets.
    #[must_use]
    pub fn without_figures(self) -> Self {
        Self {
            value: String::new(),
            limit: None,
            used: None,
            reserved: None,
            left: None,
            extra: None,
            refused: None,
            ..self
        }
    }
}

impl AdminContext {
    /// Returns the limits that apply to a user, with what is left of them.
    ///
    /// # Errors
    /// If the database fails.
    pub fn limits_of_user(&self, user_id: i64) -> Result<Vec<LimitEntry>, AdminError> {
        of_user(self, &*self.connection()?, user_id)
    }
}

fn of_user(
    context: &AdminContext,
    connection: &Connection,
    user_id: i64,
) -> Result<Vec<LimitEntry>, AdminError> {
    let state = LimitState::of(context, connection)?;
    Ok(state.entries_of_user(user_id, &Names::read(connection)?))
}

fn of_scope(
    context: &AdminContext,
    connection: &Connection,
    scope: LimitScope,
) -> Result<Vec<LimitEntry>, AdminError> {
    let state = LimitState::of(context, connection)?;
    let subject = state.subjects.iter().find(|subject| subject.scope == scope);
    let names = Names::read(connection)?;
    Ok(subject.map_or_else(Vec::new, |subject| {
        state.entries_of_subject(subject, &names)
    }))
}

fn all(context: &AdminContext, connection: &Connection) -> Result<Vec<LimitEntry>, AdminError> {
    let state = LimitState::of(context, connection)?;
    let names = Names::read(connection)?;
    let subjects = state.subjects.iter();
    Ok(subjects
        .flat_map(|subject| state.entries_of_subject(subject, &names))
        .collect())
}

/// Names of users and groups.
struct Names {
    users: std::collections::BTreeMap<i64, String>,
    groups: std::collections::BTreeMap<i64, String>,
}

impl Names {
    fn read(connection: &Connection) -> Result<Self, StoreError> {
        let users = crate::store::users::names(connection)?;
        Ok(Self {
            users: users
                .into_iter()
                .map(|(id, user)| (id, user.username))
                .collect(),
            groups: groups::names(connection)?,
        })
    }

    fn of(&self, scope: LimitScope) -> Option<&String> {
        match scope {
            LimitScope::User(id) => self.users.get(&id),
            LimitScope::Group(id) => self.groups.get(&id),
            LimitScope::Everybody => None,
        }
    }
}

/// All limits, and what is used of them: that of the server, or what the ledger alone says.
struct LimitState {
    subjects: Vec<SubjectLimits>,
    table: Arc<LimitTable>,
    shared: Arc<SharedLimits>,
    /// The server knows what is in flight.
    is_of_server: bool,
}

/// Returns the limits as the ledger alone knows them, without what is in flight.
pub(super) fn limits_by_ledger(context: &AdminContext) -> Result<Arc<SharedLimits>, AdminError> {
    Ok(LimitState::of(context, &*context.connection()?)?.shared)
}

impl LimitState {
    fn of(context: &AdminContext, connection: &Connection) -> Result<Self, AdminError> {
        let read = limits::read_all(connection)?;
        if let Some(shared) = &context.limits {
            // The ledger's thread may not have seen a change that was made a moment ago.
            let table = Arc::new(LimitTable::new(&read.users, &read.subjects));
            return Ok(Self {
                subjects: read.subjects,
                table,
                shared: Arc::clone(shared),
                is_of_server: true,
            });
        }
        let shared = SharedLimits::new(context.calendar.clone());
        let groups = read.users.iter();
        let groups = groups.filter_map(|user| Some((user.id, user.group.as_ref()?.0)));
        let table = LimitTable::new(&read.users, &read.subjects);
        shared.set_table(table, groups.collect(), |window| {
            let start_ms = (window.start_ms != i64::MIN).then_some(window.start_ms);
            limit_usage::used_since(connection, start_ms)
        })?;
        Ok(Self {
            subjects: read.subjects,
            table: shared.table(),
            shared,
            is_of_server: false,
        })
    }

    fn entries_of_subject(&self, subject: &SubjectLimits, names: &Names) -> Vec<LimitEntry> {
        let name = names.of(subject.scope).cloned();
        let owner = match subject.scope {
            LimitScope::User(id) => Some(Owner::User(id)),
            LimitScope::Group(id) => Some(Owner::Group(id)),
            LimitScope::Everybody => None,
        };
        let mut entries: Vec<LimitEntry> = subject
            .limits
            .iter()
            .map(|limit| {
                let source = LimitSource {
                    scope: subject.scope,
                    name: name.clone().unwrap_or_default().into(),
                    kind: limit.kind,
                };
                let mut entry = self.entry(&source, limit.to_string(), limit.is_watched);
                entry.name.clone_from(&name);
                let Some(owner) = owner else {
                    return entry;
                };
                match (limit.kind, &limit.value) {
                    (LimitKind::Budget(unit, window), LimitValue::Amount(amount)) => {
                        let extras = subject.extras.iter();
                        let extras = extras.filter(|extra| extra.is_for(unit, window));
                        let rule = BudgetRule {
                            source,
                            owner,
                            unit,
                            window,
                            amount: *amount,
                            extras: extras.copied().collect(),
                            is_watched: limit.is_watched,
                        };
                        self.add_budget(&mut entry, &rule);
                    }
                    (LimitKind::Concurrent, LimitValue::Amount(amount)) if self.is_of_server => {
                        self.add_concurrency(&mut entry, owner, *amount);
                    }
                    _ => {}
                }
                entry
            })
            .collect();
        let now_ms = now_ms();
        // An extra without a budget of the subject's own raises a default.
        for extra in subject
            .extras
            .iter()
            .filter(|extra| extra.until_ms > now_ms)
        {
            let is_shown = subject.limits.iter().any(|limit| match limit.kind {
                LimitKind::Budget(unit, window) => extra.is_for(unit, window),
                _ => false,
            });
            if !is_shown {
                entries.push(extra_entry(subject.scope, name.clone(), extra));
            }
        }
        entries
    }

    fn entries_of_user(&self, user_id: i64, names: &Names) -> Vec<LimitEntry> {
        let Some(rules) = self.table.of_user(user_id) else {
            return Vec::new();
        };
        let mut entries = Vec::new();
        for rule in &rules.budgets {
            let value = budget_text(rule);
            let mut entry = self.entry(&rule.source, value, rule.is_watched);
            self.add_budget(&mut entry, rule);
            entries.push(entry);
        }
        let rates = rules.request_rates.iter().chain(&rules.token_rates);
        for rule in rates.chain(&rules.output_caps) {
            let mut entry = self.entry(&rule.source, rule.number.to_string(), rule.is_watched);
            self.add_rate(&mut entry, rules, rule);
            entries.push(entry);
        }
        for rule in &rules.concurrent {
            let mut entry = self.entry(&rule.source, rule.number.to_string(), rule.is_watched);
            if self.is_of_server {
                self.add_concurrency(&mut entry, rule.owner, rule.number);
            }
            entries.push(entry);
        }
        for rule in &rules.models {
            entries.push(self.entry(&rule.source, rule.text().to_owned(), rule.is_watched));
        }
        let kinds = [LimitKind::Weight, LimitKind::AllowUnpriced];
        let first_set = kinds.map(|kind| self.first_set(rules, kind, names));
        entries.extend(first_set.into_iter().flatten());
        entries
    }

    /// Returns what decides about a user where the first of the user's own value, that of the group
    /// and the default counts.
    fn first_set(&self, rules: &UserRules, kind: LimitKind, names: &Names) -> Option<LimitEntry> {
        let own = LimitScope::User(rules.user_id);
        let scopes = [
            Some(own),
            rules.group_id.map(LimitScope::Group),
            Some(LimitScope::Everybody),
        ];
        scopes.into_iter().flatten().find_map(|scope| {
            let subject = self
                .subjects
                .iter()
                .find(|subject| subject.scope == scope)?;
            let limit = subject.limits.iter().find(|limit| limit.kind == kind)?;
            let name = names.of(scope).or_else(|| names.of(own));
            let source = LimitSource {
                scope,
                name: name.cloned().unwrap_or_default().into(),
                kind,
            };
            Some(self.entry(&source, limit.to_string(), limit.is_watched))
        })
    }

    fn entry(&self, source: &LimitSource, value: String, is_watched: bool) -> LimitEntry {
        let refused = self.is_of_server.then(|| {
            self.shared
                .with(|limiter| limiter.refused(source.scope, source.kind))
        });
        let (unit, window) = match source.kind {
            LimitKind::Budget(unit, window) => (Some(unit.as_str()), Some(window.as_str())),
            _ => (None, None),
        };
        LimitEntry {
            scope: scope_word(source.scope).to_owned(),
            name: Some(source.name.to_string()),
            kind: source.kind.name().to_owned(),
            value,
            unit: unit.map(str::to_owned),
            window: window.map(str::to_owned),
            limit: None,
            used: None,
            reserved: None,
            left: None,
            resets_at: None,
            extra: None,
            is_watched,
            refused,
        }
    }

    fn add_budget(&self, entry: &mut LimitEntry, rule: &BudgetRule) {
        let now_ms = now_ms();
        let check = self
            .shared
            .with(|limiter: &mut Limiter| limiter.budget(rule, now_ms));
        let amount = |amount: i64| match rule.unit {
            BudgetUnit::Usd => serde_json::json!(NanoUsd(amount)),
            BudgetUnit::Tokens | BudgetUnit::Requests => serde_json::json!(amount),
        };
        let (used, reserved, resets_at_ms) = match check {
            Some(check) => (check.used, check.reserved, check.resets_at_ms),
            None => (0, 0, None),
        };
        let limit = rule.limit_at(now_ms);
        let left = limit.saturating_sub(used).saturating_sub(reserved).max(0);
        entry.limit = Some(amount(limit));
        entry.used = Some(amount(used));
        entry.reserved = self.is_of_server.then(|| amount(reserved));
        entry.left = Some(amount(left));
        entry.resets_at = resets_at_ms.map(format_seconds);
        let extras = rule.extras.iter().filter(|extra| extra.until_ms > now_ms);
        let texts: Vec<String> = extras.map(extra_text).collect();
        entry.extra = (!texts.is_empty()).then(|| texts.join(", "));
    }

    fn add_rate(&self, entry: &mut LimitEntry, rules: &UserRules, rule: &NumberRule) {
        let unit = match rule.source.kind {
            LimitKind::RequestsPerMinute => BudgetUnit::Requests,
            LimitKind::TokensPerMinute => BudgetUnit::Tokens,
            _ => return,
        };
        entry.limit = Some(rule.number.into());
        if !self.is_of_server {
            return;
        }
        let at = self.shared.moment(now_ms());
        let state = self.shared.with(|limiter| {
            let only = UserRules {
                request_rates: rules
                    .request_rates
                    .iter()
                    .filter(|other| *other == rule)
                    .cloned()
                    .collect(),
                token_rates: rules
                    .token_rates
                    .iter()
                    .filter(|other| *other == rule)
                    .cloned()
                    .collect(),
                budgets: Vec::new(),
                ..rules.clone()
            };
            limiter.rate_state(&only, unit, at)
        });
        if let Some(state) = state {
            entry.used = Some((rule.number - state.remaining).into());
            entry.left = Some(state.remaining.into());
        }
    }

    fn add_concurrency(&self, entry: &mut LimitEntry, owner: Owner, number: i64) {
        let in_flight = self.shared.with(|limiter| limiter.in_flight(owner));
        let in_flight = i64::try_from(in_flight).unwrap_or(i64::MAX);
        entry.limit = Some(number.into());
        entry.used = Some(in_flight.into());
        entry.left = Some(number.saturating_sub(in_flight).max(0).into());
    }
}

fn budget_text(rule: &BudgetRule) -> String {
    let limit = Limit {
        kind: rule.source.kind,
        value: LimitValue::Amount(rule.amount),
        is_watched: rule.is_watched,
    };
    limit.to_string()
}

fn extra_text(extra: &Extra) -> String {
    format!("{extra} until {}", format_seconds(extra.until_ms))
}

fn extra_entry(scope: LimitScope, name: Option<String>, extra: &Extra) -> LimitEntry {
    LimitEntry {
        scope: scope_word(scope).to_owned(),
        name,
        kind: "extra".to_owned(),
        value: extra_text(extra),
        unit: Some(extra.unit.as_str().to_owned()),
        window: extra.window.map(|window| window.as_str().to_owned()),
        limit: None,
        used: None,
        reserved: None,
        left: None,
        resets_at: None,
        extra: None,
        is_watched: false,
        refused: None,
    }
}

pub(super) fn scope_word(scope: LimitScope) -> &'static str {
    match scope {
        LimitScope::User(_) => "user",
        LimitScope::Group(_) => "group",
        LimitScope::Everybody => "everybody",
    }
}

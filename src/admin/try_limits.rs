//! The operation that tries limits on what was used before: what would they have refused?

use std::{
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    AdminContext, AdminError, Member, Method, Operation,
    limit_changes::{LimitChanges, with_limits},
};
use crate::{
    limits::{
        Amounts, Demand, Grant, LimitTable, LimitedUser, Limiter, Moment, SubjectLimits, UserRules,
        WindowStart,
    },
    model::{Limit, LimitKind, LimitScope, format_seconds, now_ms},
    store::{
        StoreError, groups, identity,
        limit_usage::{self, PastRequest},
        limits,
    },
};

/// The time that is tried unless another is given.
const DEFAULT_SINCE: &str = "7d";
/// The most users that are listed.
const MAX_USERS: usize = 100;

/// Tries limits on the requests of a user, a group or everybody.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TryLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub everybody: Option<bool>,
    /// The beginning: an age such as `7d`, or a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(flatten)]
    pub limits: LimitChanges,
}

/// Answer to `try_limits` and of `limits try --json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct TriedLimits {
    /// UTC ISO 8601.
    pub since: String,
    /// Requests that are in the ledger.
    pub requests: u64,
    /// Those that at least one limit would have refused.
    pub refused: u64,
    pub limits: Vec<TriedLimit>,
    /// Users of whom requests would have been refused, the most refused first.
    pub users: Vec<TriedUser>,
}

/// What one limit would have refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TriedLimit {
    pub kind: String,
    pub value: String,
    pub refused: u64,
    /// UTC ISO 8601; `None` if nothing was refused.
    pub first_at: Option<String>,
    pub last_at: Option<String>,
}

/// What would have been refused to one user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TriedUser {
    pub username: String,
    pub requests: u64,
    pub refused: u64,
}

impl Operation for TryLimits {
    type Answer = TriedLimits;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/try_limits";
    const MEMBERS: &'static [Member] = with_limits![
        Member::text("username"),
        Member::text("group"),
        Member::flag("everybody"),
        Member::text("since"),
    ];

    fn run(self, context: &AdminContext) -> Result<TriedLimits, AdminError> {
        let parsed = self.limits.parse(&context.calendar)?;
        let text = self.since.as_deref().unwrap_or(DEFAULT_SINCE);
        let range = context
            .calendar
            .parse_since(text, now_ms())
            .map_err(|error| AdminError::field("since", error.to_string()))?;
        let since_ms = range.start_ms().unwrap_or(0);
        let connection = context.connection()?;
        let is_everybody = self.everybody.unwrap_or(false);
        let all_users = limits::users(&connection)?;
        let (scope, users): (LimitScope, Vec<LimitedUser>) =
            match (&self.username, &self.group, is_everybody) {
                (Some(name), None, false) => {
                    let id = identity::find_by_text(&connection, name)?.id;
                    let users = all_users.into_iter().filter(|user| user.id == id);
                    (LimitScope::User(id), users.collect())
                }
                (None, Some(group), false) => {
                    let id = groups::find(&connection, group)?;
                    let is_in = |user: &LimitedUser| {
                        user.group.as_ref().is_some_and(|(group, _)| *group == id)
                    };
                    (
                        LimitScope::Group(id),
                        all_users.into_iter().filter(is_in).collect(),
                    )
                }
                (None, None, true) => (LimitScope::Everybody, all_users),
                _ => {
                    let message = "send username, group, or everybody as true";
                    return Err(AdminError::field("username", message));
                }
            };
        if parsed.set.is_empty() {
            return Err(AdminError::field("budget", "no limit is given to try"));
        }
        // Watching would refuse nothing here too.
        let tried: Vec<Limit> = parsed
            .set
            .into_iter()
            .map(|limit| Limit {
                is_watched: false,
                ..limit
            })
            .collect();
        let subject = SubjectLimits {
            scope,
            limits: tried.clone(),
            extras: Vec::new(),
        };
        let table = LimitTable::new(&users, &[subject]);
        let mut trial = Trial::new(context, &users, table, since_ms);
        for missing in trial.limiter.missing_windows(&trial.table, since_ms) {
            let used = used_before(&connection, missing, since_ms)?;
            trial.limiter.load_window(missing, used);
        }
        limit_usage::each_request(&connection, since_ms, |request| trial.next(&request))?;
        Ok(trial.into_result(&users, &tried, since_ms))
    }
}

/// Returns what each user had used of a window when the trial begins.
fn used_before(
    connection: &crate::store::sql::Connection,
    window: WindowStart,
    since_ms: i64,
) -> Result<Vec<(i64, Amounts)>, StoreError> {
    if window.start_ms >= since_ms {
        return Ok(Vec::new());
    }
    let start_ms = (window.start_ms != i64::MIN).then_some(window.start_ms);
    limit_usage::used_between(connection, start_ms, Some(since_ms - 1))
}

/// A replay of requests under limits.
struct Trial {
    limiter: Limiter,
    table: LimitTable,
    since_ms: i64,
    /// Requests that run, by their ends: the soonest first.
    running: BinaryHeap<std::cmp::Reverse<Running>>,
    requests: u64,
    refused: u64,
    by_kind: HashMap<LimitKind, Tally>,
    by_user: BTreeMap<i64, (u64, u64)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    refused: u64,
    first_ms: i64,
    last_ms: i64,
}

/// An admitted request until its end.
struct Running {
    ends_at_ms: i64,
    user_id: i64,
    started_at_ms: i64,
    used: Amounts,
    grant: Grant,
}

impl PartialEq for Running {
    fn eq(&self, other: &Self) -> bool {
        self.ends_at_ms == other.ends_at_ms
    }
}

impl Eq for Running {}

impl PartialOrd for Running {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Running {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.ends_at_ms.cmp(&other.ends_at_ms)
    }
}

impl Trial {
    fn new(
        context: &AdminContext,
        users: &[LimitedUser],
        table: LimitTable,
        since_ms: i64,
    ) -> Self {
        let mut limiter = Limiter::new(context.calendar.clone());
        let groups = users.iter();
        let groups = groups.filter_map(|user| Some((user.id, user.group.as_ref()?.0)));
        limiter.set_groups(&table, groups.collect());
        Self {
            limiter,
            table,
            since_ms,
            running: BinaryHeap::new(),
            requests: 0,
            refused: 0,
            by_kind: HashMap::new(),
            by_user: BTreeMap::new(),
        }
    }

    /// Takes the next request in the order of their beginnings.
    fn next(&mut self, request: &PastRequest) {
        let Some(rules) = self.table.of_user(request.user_id).map(Arc::clone) else {
            return;
        };
        self.end_until(request.started_at_ms);
        self.requests += 1;
        let of_user = self.by_user.entry(request.user_id).or_default();
        of_user.0 += 1;
        match self.admit(&rules, request) {
            Ok(grant) => self.running.push(std::cmp::Reverse(Running {
                ends_at_ms: request.started_at_ms.saturating_add(request.duration_ms),
                user_id: request.user_id,
                started_at_ms: request.started_at_ms,
                used: request.amounts,
                grant,
            })),
            Err(kind) => {
                self.refused += 1;
                if let Some(of_user) = self.by_user.get_mut(&request.user_id) {
                    of_user.1 += 1;
                }
                let tally = self.by_kind.entry(kind).or_default();
                if tally.refused == 0 {
                    tally.first_ms = request.started_at_ms;
                }
                tally.refused += 1;
                tally.last_ms = request.started_at_ms;
            }
        }
    }

    /// Admits a request, or returns the kind of the limit that refuses it. What it was to use is
    /// taken to be what it used.
    fn admit(&mut self, rules: &UserRules, request: &PastRequest) -> Result<Grant, LimitKind> {
        if let Some(rule) = rules.refusing_model(&request.model) {
            return Err(rule.source.kind);
        }
        if let Some(cap) = rules.output_cap()
            && request.output_tokens > cap.number
        {
            return Err(LimitKind::MaxOutputTokens);
        }
        let clock_ms = request.started_at_ms.saturating_sub(self.since_ms);
        let at = Moment {
            unix_ms: request.started_at_ms,
            clock_ms: u64::try_from(clock_ms).unwrap_or(0),
        };
        let demand = Demand {
            amounts: Amounts {
                requests: 1,
                ..request.amounts
            },
            is_metered: true,
        };
        let admitted = self.limiter.admit(rules, &demand, at);
        admitted.map_err(|refusal| refusal.source.kind)
    }

    /// Ends the requests that have ended by a time.
    fn end_until(&mut self, unix_ms: i64) {
        while self
            .running
            .peek()
            .is_some_and(|next| next.0.ends_at_ms <= unix_ms)
        {
            let Some(std::cmp::Reverse(ended)) = self.running.pop() else {
                return;
            };
            self.limiter.roll(ended.ends_at_ms);
            self.limiter
                .book(ended.user_id, ended.started_at_ms, ended.used);
            let has_failed = ended.used.requests == 0;
            self.limiter
                .finish(&ended.grant, ended.used.tokens, has_failed);
            self.limiter.leave(ended.grant.owners());
        }
    }

    fn into_result(self, users: &[LimitedUser], tried: &[Limit], since_ms: i64) -> TriedLimits {
        let limits = tried.iter().map(|limit| {
            let tally = self.by_kind.get(&limit.kind).copied().unwrap_or_default();
            let at = |ms| (tally.refused > 0).then(|| format_seconds(ms));
            TriedLimit {
                kind: limit.kind.name().to_owned(),
                value: limit.to_string(),
                refused: tally.refused,
                first_at: at(tally.first_ms),
                last_at: at(tally.last_ms),
            }
        });
        let names: HashMap<i64, &str> = users.iter().map(|user| (user.id, &*user.name)).collect();
        let refused = self
            .by_user
            .into_iter()
            .filter(|(_, (_, refused))| *refused > 0);
        let mut of_users: Vec<TriedUser> = refused
            .map(|(id, (requests, refused))| TriedUser {
                username: names.get(&id).copied().unwrap_or_default().to_owned(),
                requests,
                refused,
            })
            .collect();
        of_users.sort_by_key(|user| std::cmp::Reverse(user.refused));
        of_users.truncate(MAX_USERS);
        TriedLimits {
            since: format_seconds(since_ms),
            requests: self.requests,
            refused: self.refused,
            limits: limits.collect(),
            users: of_users,
        }
    }
}

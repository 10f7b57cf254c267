//! The leases of this node in the database: it asks for parts of budgets, writes what it has consumed,
//! and gives back what it does not need. Only PostgreSQL has several nodes.
//!
//! A lease grows inside a transaction that writes, of which there is one at a time on all nodes: what
//! is used and what others have stays true until it ends.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use super::budgets::BudgetWatch;
use crate::{
    limits::{Amounts, LeaseAsk, LeaseKey, Owner, SharedLimits, UserRules},
    model::{BudgetWindow, now_ms},
    store::{
        running::ServerRun,
        sql::{Connection, SqlResult, Value, in_transaction, params},
    },
};

/// Interval between two looks at what is not needed.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(1);
/// Time after a sign of life for which a node trusts its leases. Others take it for dead later
/// (`running::DEAD_AFTER_ON_SERVER`), and settle its leases then.
const TRUSTED_FOR: Duration = Duration::from_secs(50);

// Index: the primary key.
const OTHERS: &str = "SELECT scope, subject_id, \"window\", start_ms, sum(nano_usd), sum(tokens), sum(requests) \
     FROM (SELECT 'user' AS scope, value FROM json_each(?2) UNION ALL SELECT 'group', value FROM json_each(?3)) AS owners \
     JOIN budget_leases USING (scope) WHERE subject_id = value AND run_id <> ?1 \
     GROUP BY scope, subject_id, \"window\", start_ms";
const COLUMNS: &[&str] = &[
    "run_id",
    "scope",
    "subject_id",
    "window",
    "start_ms",
    "nano_usd",
    "tokens",
    "requests",
];
const REPLACE: &str = "ON CONFLICT (scope, subject_id, \"window\", start_ms, run_id) DO UPDATE SET \
     nano_usd = excluded.nano_usd, tokens = excluded.tokens, requests = excluded.requests";
// Index: budget_leases_by_run.
const FORGET_EMPTY: &str =
    "DELETE FROM budget_leases WHERE run_id = ?1 AND nano_usd = 0 AND tokens = 0 AND requests = 0";

/// The leases of this node in the database.
pub(super) struct LeaseKeeper {
    next_give_back: Instant,
}

impl LeaseKeeper {
    pub(super) fn new() -> Self {
        Self {
            next_give_back: Instant::now(),
        }
    }

    /// Gives back what is not needed, and writes what was consumed, at most once a second.
    pub(super) fn give_back(
        &mut self,
        connection: &Connection,
        shared: &SharedLimits,
        run: &ServerRun,
    ) -> SqlResult<()> {
        let now = Instant::now();
        if now < self.next_give_back {
            return Ok(());
        }
        self.next_give_back = now + GIVE_BACK_EVERY;
        // The leases in memory become smaller before those in the database, so that the database never has
        // less set aside than the node may use.
        let changed = shared.with(|limiter| limiter.give_back_leases(now_ms()));
        if changed.is_empty() {
            return Ok(());
        }
        in_transaction(connection, || {
            run.check(connection)?;
            write(connection, run, &changed)
        })
    }
}

/// Notes that the node has given a sign of life, which it began to write at a time.
pub(super) fn note_sign(shared: &SharedLimits, begun: Instant) {
    let age = begun.elapsed();
    let now_ms = shared.moment(now_ms()).clock_ms;
    let trusted = TRUSTED_FOR.saturating_sub(age).as_millis();
    let until_ms = now_ms.saturating_add(u64::try_from(trusted).unwrap_or(0));
    shared.with(|limiter| {
        if let Some(leases) = limiter.leases() {
            leases.set_valid_until(until_ms);
        }
    });
}

/// Grows leases for requests that ask, and answers them. Those for which there is no room find
/// their leases as they were.
pub(super) fn serve(
    connection: &Connection,
    budgets: &mut BudgetWatch,
    shared: &SharedLimits,
    run: &ServerRun,
    asks: Vec<LeaseAsk>,
) -> SqlResult<()> {
    let mut by_user: HashMap<i64, Vec<LeaseAsk>> = HashMap::new();
    for ask in asks {
        by_user.entry(ask.rules.user_id).or_default().push(ask);
    }
    let mut grown: BTreeMap<LeaseKey, Amounts> = BTreeMap::new();
    in_transaction(connection, || {
        run.check(connection)?;
        // No other node can book rows or change a lease until the transaction ends.
        budgets.catch_up_now(connection, shared)?;
        // What requests of this call were promised, before they reserve it.
        let mut promised: HashMap<LeaseKey, Amounts> = HashMap::new();
        let others = others_of(
            connection,
            run,
            by_user.values().map(|asks| &*asks[0].rules),
        )?;
        for asks in by_user.values() {
            grow(shared, asks, &others, &mut promised, &mut grown);
        }
        let grown: Vec<_> = grown
            .iter()
            .map(|(key, granted)| (*key, *granted))
            .collect();
        write(connection, run, &grown)
    })?;
    shared.with(|limiter| {
        if let Some(leases) = limiter.leases() {
            for (key, granted) in grown {
                leases.set(key, granted);
            }
        }
    });
    for ask in by_user.into_values().flatten() {
        // Its client may have left.
        let _ = ask.reply.send(());
    }
    Ok(())
}

/// Adds the leases for a user's requests to those that grow: for all of them if there is room, else for
/// half of them, and so on.
fn grow(
    shared: &SharedLimits,
    asks: &[LeaseAsk],
    others: &HashMap<LeaseKey, Amounts>,
    promised: &mut HashMap<LeaseKey, Amounts>,
    grown: &mut BTreeMap<LeaseKey, Amounts>,
) {
    let of = |amounts: &HashMap<LeaseKey, Amounts>, key: &LeaseKey| {
        amounts.get(key).copied().unwrap_or_default()
    };
    let mut count = asks.len();
    while count > 0 {
        let mut wanted = Amounts::default();
        for ask in &asks[..count] {
            wanted += ask.amounts;
        }
        let leases = shared.with(|limiter| {
            let (rules, at_ms) = (&asks[0].rules, asks[0].at_ms);
            limiter.grown_leases(rules, wanted, at_ms, |key| {
                (of(others, key), of(promised, key))
            })
        });
        if let Some(leases) = leases {
            for (key, granted) in leases {
                *promised.entry(key).or_default() += wanted;
                grown.insert(key, granted);
            }
            return;
        }
        count /= 2;
    }
}

/// Returns what other nodes have of the budgets of users and of their groups.
fn others_of<'r>(
    connection: &Connection,
    run: &ServerRun,
    rules: impl Iterator<Item = &'r UserRules>,
) -> SqlResult<HashMap<LeaseKey, Amounts>> {
    let (mut users, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for rules in rules {
        users.insert(rules.user_id);
        groups.extend(rules.group_id);
    }
    let mut others: HashMap<LeaseKey, Amounts> = HashMap::new();
    let mut statement = connection.prepare_cached(OTHERS)?;
    let mut rows = statement.query(params![run.id(), list(&users), list(&groups)])?;
    while let Some(row) = rows.next()? {
        let subject_id = row.get(1)?;
        let owner = match row.text(0)? {
            "user" => Owner::User(subject_id),
            _ => Owner::Group(subject_id),
        };
        // A window that is not known is one of a newer version.
        let Some(window) = BudgetWindow::parse(row.text(2)?) else {
            continue;
        };
        let key = LeaseKey {
            owner,
            window,
            start_ms: row.get(3)?,
        };
        *others.entry(key).or_default() += Amounts {
            nano_usd: row.get(4)?,
            tokens: row.get(5)?,
            requests: row.get(6)?,
        };
    }
    Ok(others)
}

fn list(ids: &BTreeSet<i64>) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("[{}]", ids.join(","))
}

/// Writes leases of this node, all at once, and deletes those of nothing.
fn write(
    connection: &Connection,
    run: &ServerRun,
    leases: &[(LeaseKey, Amounts)],
) -> SqlResult<()> {
    let rows: Vec<[Value<'_>; COLUMNS.len()]> = leases
        .iter()
        .map(|(key, granted)| {
            let (scope, subject_id) = words(key.owner);
            [
                Value::Integer(run.id()),
                Value::Text(scope),
                Value::Integer(subject_id),
                Value::Text(key.window.as_str()),
                Value::Integer(key.start_ms),
                Value::Integer(granted.nano_usd),
                Value::Integer(granted.tokens),
                Value::Integer(granted.requests),
            ]
        })
        .collect();
    connection.upsert_into("budget_leases", COLUMNS, &rows, REPLACE)?;
    if leases
        .iter()
        .any(|(_, granted)| *granted == Amounts::default())
    {
        connection
            .prepare_cached(FORGET_EMPTY)?
            .execute([run.id()])?;
    }
    Ok(())
}

fn words(owner: Owner) -> (&'static str, i64) {
    match owner {
        Owner::User(id) => ("user", id),
        Owner::Group(id) => ("group", id),
    }
}

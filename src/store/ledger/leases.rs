//! The leases of this node in the database: it asks for parts of budgets, writes what it has consumed,
//! and gives back what it does not need. Only PostgreSQL has several nodes.
//!
//! A lease grows inside a transaction that writes, of which there is one at a time on all nodes: what
//! is used and what others have stays true until it ends.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::budgets::BudgetWatch;
use crate::{
    limits::{Amounts, LeaseAsk, LeaseKey, Owner, SharedLimits},
    model::{BudgetWindow, now_ms},
    store::{
        limit_usage,
        running::ServerRun,
        sql::{Connection, SqlResult, in_transaction, params},
    },
};

/// Interval between two looks at what is not needed.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(1);
/// Time after a sign of life for which a node trusts its leases. Others take it for dead later
/// (`running::DEAD_AFTER_ON_SERVER`), and settle its leases then.
const TRUSTED_FOR: Duration = Duration::from_secs(50);

// Index: the primary key.
const OTHERS: &str = "SELECT scope, subject_id, \"window\", start_ms, sum(nano_usd), sum(tokens), sum(requests) \
     FROM budget_leases WHERE run_id <> ?1 AND scope = ?2 AND subject_id = ?3 \
     GROUP BY scope, subject_id, \"window\", start_ms";
const WRITE: &str = "INSERT INTO budget_leases (run_id, scope, subject_id, \"window\", start_ms, nano_usd, tokens, requests) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (scope, subject_id, \"window\", start_ms, run_id) DO UPDATE SET \
     nano_usd = excluded.nano_usd, tokens = excluded.tokens, requests = excluded.requests";
const FORGET: &str = "DELETE FROM budget_leases WHERE run_id = ?1 AND scope = ?2 AND subject_id = ?3 \
     AND \"window\" = ?4 AND start_ms = ?5";

/// The leases of this node in the database.
pub(super) struct LeaseKeeper {
    run_id: i64,
    next_give_back: Instant,
}

impl LeaseKeeper {
    pub(super) fn new(run_id: i64) -> Self {
        Self {
            run_id,
            next_give_back: Instant::now(),
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
        &mut self,
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
        let mut grown: HashMap<LeaseKey, Amounts> = HashMap::new();
        in_transaction(connection, || {
            run.check(connection)?;
            // Nobody writes rows until this ends.
            budgets.catch_up_now(connection)?;
            let stored = limit_usage::reservations(connection).map_err(|error| match error {
                crate::store::StoreError::Sql(error) => error,
                _ => crate::store::sql::SqlError::NoRow,
            })?;
            let mut promised: HashMap<LeaseKey, Amounts> = HashMap::new();
            for asks in by_user.values() {
                let rules = &asks[0].rules;
                let mut others: HashMap<LeaseKey, Amounts> = HashMap::new();
                let group = rules.group_id.map(Owner::Group);
                for owner in std::iter::once(Owner::User(rules.user_id)).chain(group) {
                    self.read_others(connection, owner, &mut others)?;
                }
                let group_of = |user_id| shared.with(|limiter| limiter.group_of(user_id));
                let stored = |key: &LeaseKey| {
                    let mut sum = Amounts::default();
                    for reservation in &stored {
                        let is_of_owner = match key.owner {
                            Owner::User(id) => id == reservation.user_id,
                            Owner::Group(id) => group_of(reservation.user_id) == Some(id),
                        };
                        if is_of_owner && reservation.started_at_ms >= key.start_ms {
                            sum += reservation.amounts;
                        }
                    }
                    sum
                };
                let stored: HashMap<LeaseKey, Amounts> = shared
                    .with(|limiter| limiter.lease_keys(rules, asks[0].at_ms))
                    .into_iter()
                    .map(|key| (key, stored(&key)))
                    .collect();
                let taken = |key: &LeaseKey| {
                    let mut taken = others.get(key).copied().unwrap_or_default();
                    taken += stored.get(key).copied().unwrap_or_default();
                    taken
                };
                // Room for all of them, or else for half of them, and so on.
                let mut count = asks.len();
                while count > 0 {
                    let mut wanted = Amounts::default();
                    for ask in &asks[..count] {
                        wanted += ask.amounts;
                    }
                    let of_moment = |key: &LeaseKey| promised.get(key).copied().unwrap_or_default();
                    let leases = shared.with(|limiter| {
                        limiter.grown_leases(rules, wanted, asks[0].at_ms, taken, of_moment)
                    });
                    if let Some(leases) = leases {
                        for (key, granted) in leases {
                            *promised.entry(key).or_default() += wanted;
                            grown.insert(key, granted);
                        }
                        break;
                    }
                    count /= 2;
                }
            }
            let mut leases: Vec<_> = grown.iter().collect();
            leases.sort_by_key(|(key, _)| **key);
            for (key, granted) in leases {
                self.write(connection, key, *granted)?;
            }
            Ok(())
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
        // In memory first: the database has rather too much set aside than too little.
        let changed = shared.with(|limiter| limiter.give_back_leases(now_ms()));
        if changed.is_empty() {
            return Ok(());
        }
        in_transaction(connection, || {
            run.check(connection)?;
            for (key, granted) in &changed {
                self.write(connection, key, *granted)?;
            }
            Ok(())
        })
    }

    fn read_others(
        &self,
        connection: &Connection,
        owner: Owner,
        others: &mut HashMap<LeaseKey, Amounts>,
    ) -> SqlResult<()> {
        let (scope, subject_id) = words(owner);
        let mut statement = connection.prepare_cached(OTHERS)?;
        let mut rows = statement.query(params![self.run_id, scope, subject_id])?;
        while let Some(row) = rows.next()? {
            let word = row.text(2)?;
            let window = BudgetWindow::ALL
                .into_iter()
                .find(|known| known.as_str() == word);
            // One of a newer version.
            let Some(window) = window else {
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
        Ok(())
    }

    fn write(&self, connection: &Connection, key: &LeaseKey, granted: Amounts) -> SqlResult<()> {
        let (scope, subject_id) = words(key.owner);
        let window = key.window.as_str();
        if granted == Amounts::default() {
            let values = params![self.run_id, scope, subject_id, window, key.start_ms];
            connection.execute(FORGET, values)?;
            return Ok(());
        }
        connection.execute(
            WRITE,
            params![
                self.run_id,
                scope,
                subject_id,
                window,
                key.start_ms,
                granted.nano_usd,
                granted.tokens,
                granted.requests
            ],
        )?;
        Ok(())
    }
}

fn words(owner: Owner) -> (&'static str, i64) {
    match owner {
        Owner::User(id) => ("user", id),
        Owner::Group(id) => ("group", id),
    }
}

//! Notes of requests that run for longer than a second, and the rows of those that a killed server
//! left.
//!
//! A server that has notes moves its `alive_at_ms` about every 100 ms, so that what its requests
//! used between the last note and its death follows from their last rate. Several servers may share
//! a file or a database. The notes of one are booked by another when its process is gone (`process.rs`), or
//! when its time has stood still for [`DEAD_AFTER`]. If it goes on after that, it does so as a new run.

use crate::model::{
    EstimatedTokens, Note, Outcome, RequestId, RunningRequest, ServiceTier, Usage, UsageRow,
    UsageSource, now_ms,
};
use crate::store::sql::{Connection, OptionalRow, Row, SqlError, SqlResult, Value, params, signed};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use process::{has_ended, own_process};

/// Interval between two signs of life.
const ALIVE_EVERY: Duration = Duration::from_millis(100);
/// Time after which a run without a sign of life is dead, if its process cannot be looked for. A
/// server that cannot write for longer, because another process holds the file, cannot acknowledge
/// rows either.
const DEAD_AFTER: Duration = Duration::from_secs(10);
/// Time after which a node without a sign of life is dead, if several nodes share a PostgreSQL server. It is
/// longer than [`DEAD_AFTER`], because a node that was stopped or cut off for a while is to go on. Its
/// leases are blocked for that time.
const DEAD_AFTER_ON_SERVER: Duration = Duration::from_mins(1);
/// Interval between two signs of life of a node that has nothing to note.
const NODE_ALIVE_EVERY: Duration = Duration::from_secs(1);
/// Time without a sign of life after which other nodes take over a node's share of rates.
const ABSENT_AFTER: Duration = Duration::from_secs(5);
/// Interval between two looks at the runs of other servers.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest time between two looks for which the silence of others counts.
const MAX_GAP: Duration = Duration::from_secs(5);
/// Longest time after a note for which a request is taken to have gone on at its last rate.
const MAX_EXTRAPOLATED_MS: i64 = 1_500;

// Index: the primary keys of both tables.
const NOTE_COLUMNS: &[&str] = &[
    "run_id",
    "id",
    "user_id",
    "key_id",
    "started_at_ms",
    "endpoint",
    "model",
    "service_tier",
    "status",
    "input_tokens",
    "output_tokens",
    "tokens_per_second",
    "noted_at_ms",
    "request_id",
];
const REPLACE_NOTE: &str = "ON CONFLICT (run_id, id) DO UPDATE SET service_tier = excluded.service_tier, \
     status = excluded.status, input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, \
     tokens_per_second = excluded.tokens_per_second, noted_at_ms = excluded.noted_at_ms";
/// Replaces a note by one whose tokens are not measured.
const REPLACE_OLDER_NOTE: &str = "ON CONFLICT (run_id, id) DO UPDATE SET service_tier = excluded.service_tier, \
     status = excluded.status, input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, \
     tokens_per_second = excluded.tokens_per_second, noted_at_ms = excluded.noted_at_ms \
     WHERE running_requests.noted_at_ms <> excluded.noted_at_ms";
const UNNOTE: &str =
    "DELETE FROM running_requests WHERE run_id = ?1 AND id IN (SELECT value FROM json_each(?2))";
const ALIVE: &str = "INSERT INTO server_runs (id, process, alive_at_ms) VALUES (?1, ?2, ?3) \
     ON CONFLICT (id) DO UPDATE SET alive_at_ms = excluded.alive_at_ms";
const ENDED: &str = "DELETE FROM server_runs WHERE id = ?1";
const OTHER_RUNS: &str = "SELECT id, process, alive_at_ms FROM server_runs WHERE id <> ?1";
const ALIVE_AT: &str = "SELECT alive_at_ms FROM server_runs WHERE id = ?1";
const LEFT: &str = "SELECT user_id, key_id, started_at_ms, endpoint, model, service_tier, status, input_tokens, output_tokens, \
     tokens_per_second, noted_at_ms, request_id FROM running_requests WHERE run_id = ?1 ORDER BY id";
const STILL_ALIVE: &str = "UPDATE server_runs SET alive_at_ms = ?2 WHERE id = ?1";
const FORGET_LEASES: &str = "DELETE FROM budget_leases WHERE run_id = ?1";
// Index: usage_logs_by_time.
const CRASHED: &str = "SELECT started_at_ms, request_id FROM usage_logs \
     WHERE started_at_ms IN (SELECT value FROM json_each(?1)) AND outcome = 'crashed'";
const UNNOTE_ALL: &str = "DELETE FROM running_requests WHERE run_id = ?1";

/// What a request's note and its row have in common: when it began, and its id. Requests of one socket share
/// an id.
type RequestKey = (i64, RequestId);

/// This server among those that have notes in the file.
pub(super) struct ServerRun {
    id: i64,
    /// What identifies this process on this machine; empty where that is not known.
    process: String,
    /// The requests that have a note, by its id.
    noted: HashMap<u64, RequestKey>,
    /// Requests of this server that another one has booked by estimate. Their own rows are not written.
    booked_by_others: HashSet<RequestKey>,
    next_sign: Instant,
    /// When the last sign was given; `None` before the first one.
    last_sign: Option<Instant>,
    next_look: Instant,
    /// When this server last saw the signs of others.
    last_look: Instant,
    /// The signs of life of other servers, and since when each has stood still.
    others: HashMap<i64, (i64, Instant)>,
}

impl ServerRun {
    /// Makes a run with a random number.
    pub(super) fn new() -> Self {
        // Two runs at one time are rare, so that the time would do.
        let random = getrandom::u64().unwrap_or_else(|_| now_ms().unsigned_abs());
        let now = Instant::now();
        Self {
            id: i64::try_from(random >> 1).unwrap_or(0),
            process: own_process().unwrap_or_default(),
            noted: HashMap::new(),
            booked_by_others: HashSet::new(),
            next_sign: now,
            last_sign: None,
            next_look: now,
            last_look: now,
            others: HashMap::new(),
        }
    }

    /// Writes notes, of all requests at once, because each statement may be a round trip. On a file it is
    /// called inside a transaction. Requests that have ended need none.
    pub(super) fn note(
        &mut self,
        connection: &Connection,
        requests: &[&RunningRequest],
    ) -> SqlResult<()> {
        let mut last: BTreeMap<u64, &RunningRequest> = BTreeMap::new();
        let needs_note = |request: &&&RunningRequest| {
            !request.note.has_ended()
                && !self
                    .booked_by_others
                    .contains(&(request.started_at_ms, request.request_id))
        };
        for request in requests.iter().filter(needs_note) {
            let id = request.note.id();
            // A measurement may be handed over before the note by length that it replaces.
            let is_late = |known: &&RunningRequest| {
                known.noted_at_ms == request.noted_at_ms && !request.is_measured
            };
            if !last.get(&id).is_some_and(is_late) {
                last.insert(id, request);
            }
        }
        if last.is_empty() {
            return Ok(());
        }
        for (is_measured, on_conflict) in [(true, REPLACE_NOTE), (false, REPLACE_OLDER_NOTE)] {
            let notes = last.values().filter(|note| note.is_measured == is_measured);
            let notes: Vec<_> = notes.map(|request| self.values_of(request)).collect();
            connection.upsert_into("running_requests", NOTE_COLUMNS, &notes, on_conflict)?;
        }
        // A node gives signs of life anyway, and must not give one after it was taken for dead.
        if self.noted.is_empty() && !connection.is_postgres() {
            self.sign(connection)?;
        }
        let noted = last.iter();
        self.noted
            .extend(noted.map(|(id, request)| (*id, (request.started_at_ms, request.request_id))));
        Ok(())
    }

    fn values_of<'r>(&self, request: &'r RunningRequest) -> [Value<'r>; NOTE_COLUMNS.len()] {
        [
            Value::Integer(self.id),
            Value::Integer(signed(request.note.id())),
            Value::Integer(request.user_id),
            Value::Integer(request.key_id),
            Value::Integer(request.started_at_ms),
            Value::Text(request.endpoint),
            Value::Text(&request.model),
            Value::text(request.service_tier.as_ref().map(ServiceTier::as_str)),
            Value::Integer(request.status.into()),
            Value::Integer(signed(request.input_tokens)),
            Value::Integer(signed(request.output_tokens)),
            Value::Integer(signed(request.tokens_per_second)),
            Value::Integer(request.noted_at_ms),
            Value::Blob(request.request_id.as_bytes()),
        ]
    }

    /// Deletes the notes of requests that have ended, inside the transaction of their rows, if there are
    /// any, and behind the notes that it writes.
    pub(super) fn unnote(&mut self, connection: &Connection, ended: &[&Note]) -> SqlResult<()> {
        if ended.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = ended
            .iter()
            .map(|note| signed(note.id()).to_string())
            .collect();
        let ids = format!("[{}]", ids.join(","));
        connection
            .prepare_cached(UNNOTE)?
            .execute(params![self.id, ids])?;
        self.forget_noted(ended);
        Ok(())
    }

    /// Takes in that notes are deleted.
    pub(super) fn forget_noted(&mut self, ended: &[&Note]) {
        for note in ended {
            self.noted.remove(&note.id());
        }
    }

    /// Returns whether requests have notes.
    pub(super) fn has_notes(&self) -> bool {
        !self.noted.is_empty()
    }

    /// Takes in that nothing is noted, nor a sign of life given.
    pub(super) fn forget_notes(&mut self) {
        self.noted.clear();
        self.last_sign = None;
    }

    /// Goes on as a new run after others have taken this one for dead. Returns how many requests they have
    /// booked by estimate.
    pub(super) fn join_again(&mut self, connection: &Connection) -> SqlResult<usize> {
        // Notes that came behind those that were booked.
        connection.execute(UNNOTE_ALL, [self.id])?;
        let mut run = Self::new();
        let starts: BTreeSet<i64> = self.noted.values().map(|request| request.0).collect();
        let starts: Vec<String> = starts.iter().map(ToString::to_string).collect();
        let mut select = connection.prepare_cached(CRASHED)?;
        let starts = format!("[{}]", starts.join(","));
        let crashed = select.query_map([starts.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for request in crashed {
            let (started_at_ms, id): (i64, Option<[u8; 16]>) = request?;
            run.booked_by_others
                .extend(id.map(|id| (started_at_ms, RequestId::of_bytes(id))));
        }
        let own: HashSet<&RequestKey> = self.noted.values().collect();
        run.booked_by_others.retain(|request| own.contains(request));
        let booked = run.booked_by_others.len();
        run.sign(connection)?;
        run.booked_by_others.extend(self.booked_by_others.drain());
        *self = run;
        Ok(booked)
    }

    /// Returns whether another server has booked requests of this one whose rows have not come yet.
    pub(super) fn has_booked_by_others(&self) -> bool {
        !self.booked_by_others.is_empty()
    }

    /// Returns whether another server has booked the request of this row, and forgets it.
    pub(super) fn is_booked_by_others(&mut self, row: &UsageRow) -> bool {
        row.request_id
            .is_some_and(|id| self.booked_by_others.remove(&(row.started_at_ms, id)))
    }

    /// Returns the number of the run, which is the node's where there are several.
    pub(super) fn id(&self) -> i64 {
        self.id
    }

    /// Checks that other servers have not taken this one for dead, inside the caller's transaction. On a file
    /// that takes a silence, and something to book.
    pub(super) fn check(&self, connection: &Connection) -> SqlResult<()> {
        let may_be_dead = connection.is_postgres()
            || !self.noted.is_empty()
                && self
                    .last_sign
                    .is_some_and(|last| last.elapsed() > DEAD_AFTER / 2);
        if !may_be_dead {
            return Ok(());
        }
        let mut alive = connection.prepare_cached(ALIVE_AT)?;
        let alive_at_ms: Option<i64> = alive.query_row([self.id], |row| row.get(0)).optional()?;
        alive_at_ms.map(|_| ()).ok_or(SqlError::TakenForDead)
    }

    /// Returns the number of nodes that have given a sign of life a moment ago, this one included.
    pub(super) fn live_nodes(&self) -> usize {
        let now = Instant::now();
        let seen = self.others.values();
        1 + seen
            .filter(|(_, changed)| now.duration_since(*changed) < ABSENT_AFTER)
            .count()
    }

    /// Gives a sign of life if it is due, on a file only if there are notes.
    pub(super) fn give_sign(&mut self, connection: &Connection) -> SqlResult<Sign> {
        let now = Instant::now();
        let is_node = connection.is_postgres();
        if now < self.next_sign || !is_node && self.noted.is_empty() {
            return Ok(Sign::NotDue);
        }
        if self.last_sign.is_none() {
            self.sign(connection)?;
        } else {
            let mut alive = connection.prepare_cached(STILL_ALIVE)?;
            if alive.execute(params![self.id, now_ms()])? == 0 {
                return Ok(Sign::TakenForDead);
            }
            self.last_sign = Some(now);
        }
        let pause = if is_node && self.noted.is_empty() {
            NODE_ALIVE_EVERY
        } else {
            ALIVE_EVERY
        };
        self.next_sign = now + pause;
        Ok(Sign::Given(now))
    }

    /// Gives a sign of life, inside the caller's transaction.
    pub(super) fn sign(&mut self, connection: &Connection) -> SqlResult<()> {
        let now = Instant::now();
        let mut alive = connection.prepare_cached(ALIVE)?;
        alive.execute(params![self.id, self.process, now_ms()])?;
        self.last_sign = Some(now);
        Ok(())
    }

    /// Returns a run of another server that is dead, at most once a second.
    pub(super) fn dead_run(&mut self, connection: &Connection) -> SqlResult<Option<i64>> {
        let now = Instant::now();
        if now < self.next_look {
            return Ok(None);
        }
        let mut select = connection.prepare_cached(OTHER_RUNS)?;
        let runs =
            select.query_map([self.id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let runs: Vec<(i64, String, i64)> = runs.collect::<Result<_, _>>()?;
        // Where this server could not look for a while, the others may not have been able to write.
        let now = Instant::now();
        let before = std::mem::replace(&mut self.last_look, now);
        if now.duration_since(before) > MAX_GAP {
            self.others.values_mut().for_each(|seen| seen.1 = now);
        }
        self.others
            .retain(|id, _| runs.iter().any(|run| run.0 == *id));
        for (id, process, alive_at_ms) in runs {
            if has_ended(&process) {
                return Ok(Some(id));
            }
            // A time that is far from this clock says nothing, because clocks jump; that it stands
            // still does.
            let seen = self.others.entry(id).or_insert((alive_at_ms, now));
            if seen.0 != alive_at_ms {
                *seen = (alive_at_ms, now);
            }
            let dead_after = if connection.is_postgres() {
                DEAD_AFTER_ON_SERVER
            } else {
                DEAD_AFTER
            };
            if now.duration_since(seen.1) > dead_after {
                return Ok(Some(id));
            }
        }
        self.next_look = now + LOOK_EVERY;
        Ok(None)
    }

    /// Ends the run of a server that stops.
    pub(super) fn end(&self, connection: &Connection) -> SqlResult<()> {
        forget(connection, self.id)
    }
}

/// What became of a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    NotDue,
    /// It is written, and was begun at this time.
    Given(Instant),
    /// Another node has booked what the requests of this one had used: it was silent for too long.
    TakenForDead,
}

/// Deletes everything that a run has noted.
fn forget(connection: &Connection, run_id: i64) -> SqlResult<()> {
    connection.execute(UNNOTE_ALL, [run_id])?;
    if connection.is_postgres() {
        connection.execute(FORGET_LEASES, [run_id])?;
    }
    connection.execute(ENDED, [run_id])?;
    Ok(())
}

/// Takes the notes of a dead run out of the table, inside the caller's transaction, and returns the
/// rows of its requests.
pub(super) fn take_left(connection: &Connection, run_id: i64) -> SqlResult<Vec<UsageRow>> {
    let alive_at_ms: Option<i64> = connection
        .query_row(ALIVE_AT, [run_id], |row| row.get(0))
        .optional()?;
    // Another server may have been faster.
    let Some(alive_at_ms) = alive_at_ms else {
        return Ok(Vec::new());
    };
    let mut select = connection.prepare_cached(LEFT)?;
    let rows = select.query_map([run_id], |row| crashed_row(row, alive_at_ms))?;
    let rows = rows.collect::<Result<_, _>>()?;
    forget(connection, run_id)?;
    Ok(rows)
}

fn crashed_row(row: &Row<'_>, alive_at_ms: i64) -> SqlResult<UsageRow> {
    let noted_at_ms: i64 = row.get("noted_at_ms")?;
    let unnoted_ms = alive_at_ms
        .saturating_sub(noted_at_ms)
        .clamp(0, MAX_EXTRAPOLATED_MS);
    let count = |name: &str| {
        let count: i64 = row.get(name)?;
        Ok::<_, SqlError>(u64::try_from(count).unwrap_or(0))
    };
    let rate = count("tokens_per_second")?;
    let further = rate.saturating_mul(unnoted_ms.unsigned_abs()) / 1_000;
    let usage = Usage {
        input: count("input_tokens")?,
        output: count("output_tokens")?.saturating_add(further),
        ..Usage::default()
    };
    let started_at_ms: i64 = row.get("started_at_ms")?;
    let tier: Option<String> = row.get("service_tier")?;
    let request_id: Option<[u8; 16]> = row.get("request_id")?;
    let ended_at_ms = noted_at_ms.saturating_add(unnoted_ms);
    Ok(UsageRow {
        user_id: row.get("user_id")?,
        key_id: row.get("key_id")?,
        started_at_ms,
        endpoint: interned(row.get("endpoint")?),
        model: row.get("model")?,
        served_model: None,
        usage,
        service_tier: tier.as_deref().and_then(ServiceTier::parse),
        is_batch: false,
        estimated: EstimatedTokens {
            input: usage.input,
            output: usage.output,
        },
        status: row.get("status")?,
        outcome: Outcome::Crashed,
        source: UsageSource::Estimate,
        duration_ms: ended_at_ms.saturating_sub(started_at_ms).max(0),
        wait_ms: 0,
        first_byte_ms: None,
        request_id: request_id.map(RequestId::of_bytes),
        backend_request_id: None,
        hold: None,
    })
}

/// Returns a text that lives as long as the process. There are as many as endpoints.
fn interned(text: String) -> &'static str {
    static KNOWN: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.iter().find(|found| **found == text) {
        return found;
    }
    let kept: &'static str = Box::leak(text.into_boxed_str());
    known.push(kept);
    kept
}

mod process;

#[cfg(test)]
mod tests;

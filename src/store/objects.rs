//! Who made what at the backend. Written by the ledger's thread, read before a request that names an object goes on.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::StoreError;
use crate::model::{Claim, ObjectKind, Outcome, StoredObject, Usage, UsageRow};

macro_rules! select_pending {
    ($which:literal) => {
        concat!(
            "SELECT id, kind, user_id, made_at_ms, model, served_model, outcome, input_tokens, output_tokens \
             FROM objects WHERE ",
            $which
        )
    };
}

// An id that two users' answers name belongs to the one who was first.
const REMEMBER: &str = "INSERT INTO objects (id, kind, user_id, made_at_ms, is_settled) VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT DO NOTHING";
// Index for all that follow: the primary key of objects.
const FORGET: &str = "DELETE FROM objects WHERE id = ?1 AND user_id = ?2";
const FORGET_GONE: &str =
    "DELETE FROM objects WHERE id = ?1 AND user_id = ?2 AND made_at_ms < ?3 AND is_settled = 1";
const SETTLE: &str = "UPDATE objects SET is_settled = 1 WHERE id = ?1 AND is_settled = 0";
const PENDING: &str = "SELECT 1 FROM objects WHERE id = ?1 AND is_settled = 0";
const OWNER: &str = "SELECT user_id, kind FROM objects WHERE id = ?1";
const KEEP: &str = "UPDATE objects SET model = ?3, served_model = ?4, outcome = ?5, input_tokens = ?6, output_tokens = ?7 \
     WHERE id = ?1 AND user_id = ?2 AND is_settled = 0";
const ONE_PENDING: &str = select_pending!("id = ?1 AND is_settled = 0");
// Index for these two: objects_pending.
const ALL_PENDING: &str = select_pending!(
    "is_settled = 0 AND (made_at_ms, id) > (?1, ?2) ORDER BY made_at_ms, id LIMIT ?3"
);
const EXPIRED: &str = select_pending!(
    "is_settled = 0 AND made_at_ms < ?1 AND outcome IS NOT NULL ORDER BY made_at_ms LIMIT ?2"
);
// Index: objects_by_user.
const OWN: &str = "SELECT id, is_settled FROM objects WHERE user_id = ?1 AND kind = ?2";

/// Remembers who made an object.
pub(super) fn remember(connection: &Connection, object: &StoredObject) -> rusqlite::Result<()> {
    connection.prepare_cached(REMEMBER)?.execute(params![
        object.id,
        object.kind.as_str(),
        object.user_id,
        object.made_at_ms,
        object.is_settled,
    ])?;
    Ok(())
}

/// Forgets an object of a user's.
pub(super) fn forget(connection: &Connection, id: &str, user_id: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(FORGET)?;
    statement.execute(params![id, user_id])?;
    Ok(())
}

/// The same if it was made before a time (Unix milliseconds) and its account is closed.
pub(super) fn forget_gone(
    connection: &Connection,
    id: &str,
    user_id: i64,
    before_ms: i64,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(FORGET_GONE)?;
    statement.execute(params![id, user_id, before_ms])?;
    Ok(())
}

/// Whether this is the first time that an object is settled.
pub(super) fn settle(connection: &Connection, id: &str) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached(SETTLE)?.execute([id])? == 1)
}

/// Keeps what an object is taken to have used, should its account be given up. Nothing is kept of one whose account is closed.
pub(super) fn keep(connection: &Connection, id: &str, row: &UsageRow) -> rusqlite::Result<()> {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    connection.prepare_cached(KEEP)?.execute(params![
        id,
        row.user_id,
        row.model,
        row.served_model,
        row.outcome.as_str(),
        count(row.usage.input),
        count(row.usage.output),
    ])?;
    Ok(())
}

/// The first of some claims that a user may not make, by its place: of what the backend looks up it must be the user's own and
/// of that kind, of the rest not another user's.
///
/// # Errors
/// What the database says.
pub fn first_foreign(
    connection: &Connection,
    user_id: i64,
    claims: &[Claim],
) -> Result<Option<usize>, StoreError> {
    let mut statement = connection.prepare_cached(OWNER)?;
    for (place, claim) in claims.iter().enumerate() {
        let known: Option<(i64, String)> = statement
            .query_row([&claim.id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let known = known.filter(|(_, kind)| kind != ObjectKind::Given.as_str());
        let is_allowed = match known {
            Some((owner, kind)) => {
                owner == user_id && (!claim.is_looked_up || kind == claim.kind.as_str())
            }
            None => !claim.is_looked_up,
        };
        if !is_allowed {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// The ids among some that nothing is known of.
///
/// # Errors
/// What the database says.
pub fn unknown(connection: &Connection, mut ids: Vec<String>) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached(OWNER)?;
    let mut error = None;
    ids.retain(|id| match statement.exists([id]) {
        Ok(is_known) => !is_known,
        Err(problem) => {
            error.get_or_insert(problem);
            false
        }
    });
    error.map_or(Ok(ids), |error| Err(error.into()))
}

/// An object whose account is open.
#[derive(Debug, PartialEq, Eq)]
pub struct Pending {
    pub id: String,
    pub kind: ObjectKind,
    pub user_id: i64,
    /// Unix time in milliseconds.
    pub made_at_ms: i64,
    pub kept: Option<Kept>,
}

/// What an object is taken to have used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub model: String,
    pub served_model: Option<String>,
    pub outcome: Outcome,
    pub usage: Usage,
}

/// Where an object stands among the others, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Unix time in milliseconds.
    pub made_at_ms: i64,
    pub id: String,
}

impl Place {
    /// In front of all that were made since a time (Unix milliseconds).
    #[must_use]
    pub fn before(made_at_ms: i64) -> Self {
        Self {
            made_at_ms,
            id: String::new(),
        }
    }
}

impl Pending {
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            made_at_ms: self.made_at_ms,
            id: self.id.clone(),
        }
    }
}

/// Objects that are not settled and stand behind a place, the oldest first.
///
/// # Errors
/// What the database says.
pub fn pending(
    connection: &Connection,
    behind: &Place,
    limit: usize,
) -> Result<Vec<Pending>, StoreError> {
    let mut statement = connection.prepare_cached(ALL_PENDING)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![behind.made_at_ms, behind.id, limit], read_pending)?;
    let known = rows.filter_map(Result::transpose);
    Ok(known.collect::<rusqlite::Result<_>>()?)
}

/// Those made before a time (Unix milliseconds) of which is kept what they are taken to have used, the oldest first.
///
/// # Errors
/// What the database says.
pub fn expired(
    connection: &Connection,
    before_ms: i64,
    limit: usize,
) -> Result<Vec<Pending>, StoreError> {
    let mut statement = connection.prepare_cached(EXPIRED)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![before_ms, limit], read_pending)?;
    let known = rows.filter_map(Result::transpose);
    Ok(known.collect::<rusqlite::Result<_>>()?)
}

/// One of them, if its account is open.
///
/// # Errors
/// What the database says.
pub fn pending_one(connection: &Connection, id: &str) -> Result<Option<Pending>, StoreError> {
    let mut statement = connection.prepare_cached(ONE_PENDING)?;
    Ok(statement
        .query_row([id], read_pending)
        .optional()?
        .flatten())
}

/// `None` for a kind of a later version.
fn read_pending(row: &Row<'_>) -> rusqlite::Result<Option<Pending>> {
    let Some(kind) = ObjectKind::parse(&row.get::<_, String>("kind")?) else {
        return Ok(None);
    };
    let count = |name: &str| {
        let count: Option<i64> = row.get(name)?;
        Ok::<_, rusqlite::Error>(count.and_then(|count| u64::try_from(count).ok()))
    };
    let outcome: Option<String> = row.get("outcome")?;
    let kept = match outcome.and_then(|word| Outcome::parse(&word)) {
        Some(outcome) => Some(Kept {
            model: row.get::<_, Option<String>>("model")?.unwrap_or_default(),
            served_model: row.get("served_model")?,
            outcome,
            usage: Usage {
                input: count("input_tokens")?.unwrap_or_default(),
                output: count("output_tokens")?.unwrap_or_default(),
                ..Usage::default()
            },
        }),
        None => None,
    };
    Ok(Some(Pending {
        id: row.get("id")?,
        kind,
        user_id: row.get("user_id")?,
        made_at_ms: row.get("made_at_ms")?,
        kept,
    }))
}

/// Whether an object is known and not settled yet.
///
/// # Errors
/// What the database says.
pub fn is_pending(connection: &Connection, id: &str) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(PENDING)?;
    Ok(statement.exists([id])?)
}

/// The ids of a user's objects of a kind, each with whether it is settled.
///
/// # Errors
/// What the database says.
pub fn own(
    connection: &Connection,
    user_id: i64,
    kind: ObjectKind,
) -> Result<HashMap<String, bool>, StoreError> {
    let mut statement = connection.prepare_cached(OWN)?;
    let own = statement.query_map(params![user_id, kind.as_str()], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(own.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{DatabasePath, IfMissing, Store};

    fn object(id: &str, user_id: i64) -> StoredObject {
        StoredObject {
            id: id.to_owned(),
            kind: ObjectKind::File,
            user_id,
            made_at_ms: 1,
            is_settled: false,
        }
    }

    fn claim(id: &str, kind: ObjectKind, is_looked_up: bool) -> Claim {
        Claim {
            id: id.to_owned(),
            kind,
            is_looked_up,
        }
    }

    #[test]
    fn an_object_belongs_to_who_made_it_first_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let location = DatabasePath::parse(dir.path().join("x.db").to_str().unwrap()).unwrap();
        let store = Store::open(&location, IfMissing::Create).unwrap();
        let connection = store.connection().unwrap();
        let foreign = |user_id, ids: &[&str]| {
            let claim = |id: &&str| claim(id, ObjectKind::File, true);
            let claims: Vec<Claim> = ids.iter().map(claim).collect();
            first_foreign(&connection, user_id, &claims).unwrap()
        };
        assert_eq!(foreign(1, &["a"]), Some(0));
        remember(&connection, &object("a", 1)).unwrap();
        remember(&connection, &object("a", 2)).unwrap();
        assert_eq!((foreign(1, &["a"]), foreign(2, &["a"])), (None, Some(0)));
        assert_eq!(foreign(1, &["a", "b"]), Some(1));
        let allows = |user_id, claim| {
            let place = first_foreign(&connection, user_id, &[claim]).unwrap();
            place.is_none()
        };
        assert!(
            !allows(1, claim("a", ObjectKind::Item, true)),
            "of another kind"
        );
        assert!(allows(1, claim("a", ObjectKind::Item, false)));
        assert!(!allows(2, claim("a", ObjectKind::Item, false)));
        assert!(allows(2, claim("unknown", ObjectKind::Item, false)));
        assert_eq!(
            own(&connection, 1, ObjectKind::File).unwrap(),
            HashMap::from([("a".to_owned(), false)])
        );
        assert!(own(&connection, 1, ObjectKind::Batch).unwrap().is_empty());
        let unsettled = |behind: &Place| pending(&connection, behind, 9).unwrap();
        let found = unsettled(&Place::before(1));
        assert_eq!((found.len(), unsettled(&Place::before(2)).len()), (1, 0));
        assert!(unsettled(&found[0].place()).is_empty());
        assert!(settle(&connection, "a").unwrap() && !settle(&connection, "a").unwrap());
        let mut given = object("given", 1);
        given.kind = ObjectKind::Given;
        remember(&connection, &given).unwrap();
        remember(&connection, &object("given", 1)).unwrap();
        assert_eq!(foreign(1, &["given"]), Some(0), "it stays nobody's");
        assert!(allows(2, claim("given", ObjectKind::Item, false)));
        let ids = ["a", "given", "new"].map(str::to_owned).to_vec();
        assert_eq!(unknown(&connection, ids).unwrap(), ["new"]);
        forget(&connection, "a", 2).unwrap();
        forget_gone(&connection, "a", 2, 2).unwrap();
        forget_gone(&connection, "a", 1, 1).unwrap();
        assert_eq!(foreign(1, &["a"]), None);
        forget_gone(&connection, "a", 1, 2).unwrap();
        assert_eq!(foreign(1, &["a"]), Some(0));
        remember(&connection, &object("a", 1)).unwrap();
        forget_gone(&connection, "a", 1, 2).unwrap();
        assert_eq!(foreign(1, &["a"]), None, "its account is open");
        forget(&connection, "a", 1).unwrap();
        assert_eq!(foreign(1, &["a"]), Some(0));
    }

    #[test]
    fn each_query_has_an_index() {
        let dir = tempfile::tempdir().unwrap();
        let location = DatabasePath::parse(dir.path().join("x.db").to_str().unwrap()).unwrap();
        let store = Store::open(&location, IfMissing::Create).unwrap();
        let connection = store.connection().unwrap();
        for sql in [
            FORGET,
            FORGET_GONE,
            SETTLE,
            PENDING,
            KEEP,
            ONE_PENDING,
            ALL_PENDING,
            EXPIRED,
            OWNER,
            OWN,
        ] {
            let plan: String = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap()
                .raw_query()
                .mapped(|row| row.get::<_, String>(3))
                .map(Result::unwrap)
                .collect();
            assert!(
                plan.contains("USING") && !plan.contains("SCAN"),
                "{sql}: {plan}"
            );
        }
    }
}

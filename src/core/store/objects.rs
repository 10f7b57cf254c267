//! The owners of objects that the backend stores. They are written by the ledger's thread, and read
//! before a request that refers to an object goes on.

use super::StoreError;
use crate::model::{Claim, ObjectKind, Origin, StoredObject};
use crate::store::sql::{Connection, OptionalRow, SqlResult, params};
use std::collections::HashMap;

// An id that occurs in the answers to two users belongs to the first of them.
const REMEMBER: &str = "INSERT INTO objects (id, kind, user_id, made_at_ms, is_settled, key_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
     ON CONFLICT DO NOTHING";
// Index for all that follow: the primary key of objects. The column is_settled says what is_billed
// does in the code; released migrations are never edited, so it keeps its name.
/// Gives an id that no user owns to a new object, except to an item whose id the same user has
/// given before.
const TAKE_OVER: &str = "UPDATE objects SET kind = ?2, user_id = ?3, made_at_ms = ?4, is_settled = ?5, key_id = ?6, model = NULL, \
     served_model = NULL, outcome = NULL, input_tokens = NULL, output_tokens = NULL \
     WHERE id = ?1 AND (kind = 'closed' OR kind = 'given' AND NOT (?2 = 'item' AND user_id = ?3))";
/// Opens the account of an object whose answer says later that it goes on.
const OPEN: &str = "UPDATE objects SET is_settled = 0 \
     WHERE id = ?1 AND kind = ?2 AND user_id = ?3 AND made_at_ms = ?4 AND is_settled = 1 AND outcome IS NULL";
/// Prolongs the time for which a given id is unowned.
const GIVE_AGAIN: &str =
    "UPDATE objects SET made_at_ms = ?3 WHERE id = ?1 AND kind = 'given' AND user_id = ?2";
/// Closes an object that uses its tokens later: its account stays behind.
const CLOSE: &str = "UPDATE objects SET kind = 'closed', is_settled = 1 WHERE id = ?1 AND user_id = ?2 AND outcome IS NOT NULL";
const FORGET: &str = "DELETE FROM objects WHERE id = ?1 AND user_id = ?2";
const FORGET_MISSING: &str =
    "DELETE FROM objects WHERE id = ?1 AND user_id = ?2 AND made_at_ms < ?3 AND is_settled = 1";
// Index: objects_expiring.
const EXPIRE: &str = "DELETE FROM objects WHERE kind IN ('given', 'closed') AND made_at_ms < ?1";
const OWNER: &str = "SELECT user_id, kind FROM objects WHERE id = ?1";
// Index: objects_by_user.
const OWN: &str = "SELECT id, is_settled, made_at_ms FROM objects WHERE user_id = ?1 AND kind = ?2";

/// Remembers who made an object.
pub(super) fn remember(connection: &Connection, object: &StoredObject) -> SqlResult<()> {
    let values = params![
        object.id,
        object.kind.as_str(),
        object.user_id,
        object.made_at_ms,
        object.is_billed,
        object.key_id,
    ];
    if connection.prepare_cached(REMEMBER)?.execute(values)? == 1 {
        return Ok(());
    }
    if object.kind == ObjectKind::Given {
        let values = params![object.id, object.user_id, object.made_at_ms];
        connection.prepare_cached(GIVE_AGAIN)?.execute(values)?;
    } else if object.origin == Origin::Produced
        && connection.prepare_cached(TAKE_OVER)?.execute(values)? == 0
        && !object.is_billed
    {
        let values = params![
            object.id,
            object.kind.as_str(),
            object.user_id,
            object.made_at_ms,
        ];
        connection.prepare_cached(OPEN)?.execute(values)?;
    }
    Ok(())
}

/// Forgets an object of a user. If it uses its tokens later, its account stays for a while and its
/// id is unowned.
pub(super) fn forget(connection: &Connection, id: &str, user_id: i64) -> SqlResult<()> {
    let values = params![id, user_id];
    if connection.prepare_cached(CLOSE)?.execute(values)? == 0 {
        connection.prepare_cached(FORGET)?.execute(values)?;
    }
    Ok(())
}

/// Forgets the unowned ids that are older than a time (Unix milliseconds).
pub(super) fn expire(connection: &Connection, made_before_ms: i64) -> SqlResult<()> {
    connection
        .prepare_cached(EXPIRE)?
        .execute([made_before_ms])?;
    Ok(())
}

/// Forgets an object that the backend does not know, if it was made before a time (Unix
/// milliseconds) and its account is closed.
pub(super) fn forget_missing(
    connection: &Connection,
    id: &str,
    user_id: i64,
    before_ms: i64,
) -> SqlResult<()> {
    let mut statement = connection.prepare_cached(FORGET_MISSING)?;
    statement.execute(params![id, user_id, before_ms])?;
    Ok(())
}

/// Returns the place of the first claim that a user may not make. Each must refer to an object of
/// the user's own, of that kind.
///
/// # Errors
/// If the database fails.
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
        let is_own = |kind: &str| kind == claim.kind.as_str();
        if !known.is_some_and(|(owner, kind)| owner == user_id && is_own(&kind)) {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Returns the ids that do not belong to an object of the user's own, whether they are unknown or
/// another user's.
///
/// # Errors
/// If the database fails.
pub fn not_own(
    connection: &Connection,
    user_id: i64,
    ids: Vec<String>,
) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached(OWNER)?;
    let mut not_own = Vec::new();
    for id in ids {
        let known: Option<(i64, String)> = statement
            .query_row([&id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let is_own = known
            .is_some_and(|(owner, kind)| owner == user_id && kind != ObjectKind::Given.as_str());
        if !is_own {
            not_own.push(id);
        }
    }
    Ok(not_own)
}

/// Returns whether an id may be the cursor of a list of a user's own objects: it must be that of an
/// object of this kind, or one that the user has given.
///
/// # Errors
/// If the database fails.
pub fn is_cursor(
    connection: &Connection,
    user_id: i64,
    kind: ObjectKind,
    id: &str,
) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(OWNER)?;
    let known: Option<(i64, String)> = statement
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let is_of_list = |known: &str| known == kind.as_str() || known == ObjectKind::Given.as_str();
    Ok(known.is_some_and(|(owner, kind)| owner == user_id && is_of_list(&kind)))
}

/// An object of a user's own, as the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnObject {
    pub is_billed: bool,
    /// Unix time in milliseconds.
    pub made_at_ms: i64,
}

/// Returns a user's objects of a kind by their ids.
///
/// # Errors
/// If the database fails.
pub fn own(
    connection: &Connection,
    user_id: i64,
    kind: ObjectKind,
) -> Result<HashMap<String, OwnObject>, StoreError> {
    let mut statement = connection.prepare_cached(OWN)?;
    let own = statement.query_map(params![user_id, kind.as_str()], |row| {
        let object = OwnObject {
            is_billed: row.get(1)?,
            made_at_ms: row.get(2)?,
        };
        Ok((row.get(0)?, object))
    })?;
    Ok(own.collect::<SqlResult<_>>()?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::{
        accounts::{self, Place},
        testing::TestDatabase,
    };

    pub(in crate::store) fn object(id: &str, user_id: i64) -> StoredObject {
        StoredObject {
            id: id.to_owned(),
            kind: ObjectKind::File,
            user_id,
            key_id: 1,
            made_at_ms: 1,
            is_billed: false,
            origin: Origin::Produced,
            hold: None,
        }
    }

    fn claim(id: &str, kind: ObjectKind) -> Claim {
        Claim {
            id: id.to_owned(),
            kind,
            is_looked_up: true,
        }
    }

    pub(in crate::store) fn with_database(work: impl FnOnce(&Connection)) {
        let database = TestDatabase::new();
        let store = database.open();
        work(&store.connection().unwrap());
    }

    /// Returns which of the users 1 to 3 owns an id as an object of a kind.
    fn owner(connection: &Connection, id: &str, kind: ObjectKind) -> Option<i64> {
        (1..=3).find(|user_id| {
            let claims = [claim(id, kind)];
            first_foreign(connection, *user_id, &claims)
                .unwrap()
                .is_none()
        })
    }

    #[test]
    fn an_object_belongs_to_its_first_maker_until_forgotten() {
        with_database(|connection| {
            let foreign = |user_id, ids: &[&str]| {
                let claims: Vec<Claim> = ids.iter().map(|id| claim(id, ObjectKind::File)).collect();
                first_foreign(connection, user_id, &claims).unwrap()
            };
            assert_eq!(foreign(1, &["a"]), Some(0));
            remember(connection, &object("a", 1)).unwrap();
            remember(connection, &object("a", 2)).unwrap();
            assert_eq!((foreign(1, &["a"]), foreign(2, &["a"])), (None, Some(0)));
            assert_eq!(foreign(1, &["a", "b"]), Some(1));
            assert_eq!(owner(connection, "a", ObjectKind::Item), None);
            let known = OwnObject {
                is_billed: false,
                made_at_ms: 1,
            };
            assert_eq!(
                own(connection, 1, ObjectKind::File).unwrap(),
                HashMap::from([("a".to_owned(), known)])
            );
            assert!(own(connection, 1, ObjectKind::Batch).unwrap().is_empty());
            let unsettled = |behind: &Place| accounts::pending(connection, behind, 9).unwrap();
            let found = unsettled(&Place::before(1));
            assert_eq!((found.len(), unsettled(&Place::before(2)).len()), (1, 0));
            assert!(unsettled(&found[0].place()).is_empty());
            let ids = || ["a", "b", "c"].map(str::to_owned).to_vec();
            assert_eq!(not_own(connection, 1, ids()).unwrap(), ["b", "c"]);
            assert_eq!(not_own(connection, 2, ids()).unwrap(), ["a", "b", "c"]);
            forget_missing(connection, "a", 1, 2).unwrap();
            assert_eq!(foreign(1, &["a"]), None, "its account is open");
            forget(connection, "a", 2).unwrap();
            assert_eq!(foreign(1, &["a"]), None);
            forget(connection, "a", 1).unwrap();
            assert_eq!(foreign(1, &["a"]), Some(0));
            let mut billed = object("a", 1);
            billed.is_billed = true;
            remember(connection, &billed).unwrap();
            forget_missing(connection, "a", 1, 1).unwrap();
            assert_eq!(foreign(1, &["a"]), None, "it is too young");
            forget_missing(connection, "a", 1, 2).unwrap();
            assert_eq!(foreign(1, &["a"]), Some(0));
        });
    }

    #[test]
    fn a_client_s_item_id_is_unowned_and_blocks_nothing() {
        use ObjectKind::{File, Given, Item, Response};
        let made = |kind, user_id, origin| StoredObject {
            kind,
            origin,
            hold: None,
            made_at_ms: user_id,
            ..object("x", user_id)
        };
        for (second, expected) in [
            // The giver's own list or answer shows it again.
            (made(Item, 1, Origin::Listed), None),
            (made(Item, 1, Origin::Produced), None),
            // Another user's list shows it, be they in league or not.
            (made(Item, 2, Origin::Listed), None),
            (made(Given, 2, Origin::Listed), None),
            // It is something else, or another's.
            (made(Item, 2, Origin::Produced), Some((2, Item))),
            (made(Response, 2, Origin::Produced), Some((2, Response))),
            (made(File, 1, Origin::Produced), Some((1, File))),
        ] {
            with_database(|connection| {
                remember(connection, &made(Given, 1, Origin::Listed)).unwrap();
                assert!(is_cursor(connection, 1, Item, "x").unwrap());
                assert!(!is_cursor(connection, 2, Item, "x").unwrap());
                remember(connection, &second).unwrap();
                for kind in [Item, Given, Response, File] {
                    let owner = owner(connection, "x", kind);
                    let is_given = kind == Given;
                    let expected = expected.filter(|(_, known)| *known == kind);
                    if !is_given {
                        assert_eq!(owner, expected.map(|(user, _)| user), "{second:?}");
                    }
                }
            });
        }
        with_database(|connection| {
            remember(connection, &made(Given, 1, Origin::Listed)).unwrap();
            expire(connection, 1).unwrap();
            assert!(is_cursor(connection, 1, Item, "x").unwrap());
            expire(connection, 2).unwrap();
            assert!(!is_cursor(connection, 1, Item, "x").unwrap());
        });
    }

    /// Each statement finds its rows by an index.
    pub(in crate::store) fn assert_indexed(connection: &Connection, statements: &[&str]) {
        // PostgreSQL does not use an index on tables of a few rows.
        if connection.is_postgres() {
            return;
        }
        for sql in statements {
            let plan: String = connection
                .file()
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

    #[test]
    fn each_query_has_an_index() {
        with_database(|connection| {
            assert_indexed(
                connection,
                &[
                    TAKE_OVER,
                    OPEN,
                    GIVE_AGAIN,
                    CLOSE,
                    FORGET,
                    FORGET_MISSING,
                    EXPIRE,
                    OWNER,
                    OWN,
                ],
            );
        });
    }
}

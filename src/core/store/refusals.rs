//! The newest requests that llmproxy itself answered with an error.

use crate::model::Refusal;
use crate::store::sql::{Connection, SqlResult, params};

/// How many refusals are kept.
const KEPT: i64 = 10_000;
/// Refusals between two deletions of those that are too many.
const DELETE_EVERY: i64 = 64;

const INSERT: &str = "INSERT INTO refusals (at_ms, request_id, user_id, endpoint, status, code, message) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id";
// Index: the primary key.
const FORGET: &str = "DELETE FROM refusals WHERE id <= ?1";

/// Writes a refusal, inside the caller's transaction, and forgets the oldest.
pub(super) fn insert(connection: &Connection, refusal: &Refusal) -> SqlResult<()> {
    let values = params![
        refusal.request_id.at_ms(),
        refusal.request_id.as_bytes(),
        refusal.user_id,
        refusal.endpoint,
        refusal.status,
        refusal.code,
        refusal.message,
    ];
    let id: i64 = connection.query_row(INSERT, values, |row| row.get(0))?;
    if id % DELETE_EVERY == 0 {
        connection.prepare_cached(FORGET)?.execute([id - KEPT])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::RequestId, store::testing::TestDatabase};

    #[test]
    fn only_the_newest_refusals_are_kept() {
        let database = TestDatabase::new();
        let store = database.open();
        let connection = store.connection().unwrap();
        let transaction = connection.write().unwrap();
        for at_ms in 0..KEPT + 1_000 {
            let refusal = Refusal {
                request_id: RequestId::new(at_ms),
                user_id: 7,
                endpoint: "/v1/models".to_owned(),
                status: 401,
                code: "invalid_api_key",
                message: "who are you?".to_owned(),
            };
            insert(&transaction, &refusal).unwrap();
        }
        let (count, newest): (i64, i64) = transaction
            .query_row("SELECT count(*), max(at_ms) FROM refusals", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(newest, KEPT + 999);
        assert!((KEPT..KEPT + DELETE_EVERY).contains(&count), "{count}");
    }
}

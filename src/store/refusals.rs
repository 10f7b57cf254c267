//! The newest requests that llmproxy itself answered with an error.

use rusqlite::{Connection, params};

use crate::model::Refusal;

/// How many refusals are kept.
const KEPT: i64 = 10_000;
/// Refusals between two deletions of those that are too many.
const DELETE_EVERY: i64 = 64;

const INSERT: &str = "INSERT INTO refusals (at_ms, request_id, user_id, endpoint, status, code, message) VALUES (?, ?, ?, ?, ?, ?, ?)";
// Index: the primary key.
const FORGET: &str = "DELETE FROM refusals WHERE id <= ?1";

/// Writes a refusal, inside the caller's transaction, and forgets the oldest.
pub(super) fn insert(connection: &Connection, refusal: &Refusal) -> rusqlite::Result<()> {
    connection.prepare_cached(INSERT)?.execute(params![
        refusal.request_id.at_ms(),
        refusal.request_id.as_bytes(),
        refusal.user_id,
        refusal.endpoint,
        refusal.status,
        refusal.code,
        refusal.message,
    ])?;
    let id = connection.last_insert_rowid();
    if id % DELETE_EVERY == 0 {
        connection.prepare_cached(FORGET)?.execute([id - KEPT])?;
    }
    Ok(())
}

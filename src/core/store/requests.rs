//! Single requests: rows of the ledger and refusals, the newest first, and all that is known of one.

use crate::store::sql::{self, Connection, OptionalRow, Row, SqlResult, params};
use serde_json::{Map, Value, json};

use super::StoreError;
use crate::model::{NanoUsd, RequestId};

/// Longest life of a socket: its answers are booked with times of their own.
const MAX_SOCKET_MS: i64 = 24 * 3_600_000;

// The cost is that of the row with its adjustments; NULL without a price.
macro_rules! rows {
    ($rest:literal) => {
        concat!(
            "SELECT id, started_at_ms, request_id, user_id, endpoint, model, status, outcome, usage_source, \
             input_tokens, cached_tokens, output_tokens, wait_ms, first_byte_ms, duration_ms, backend_request_id, \
             (SELECT sum(delta) FROM (SELECT cost_nano_usd AS delta UNION ALL \
             SELECT cost_delta_nano_usd FROM usage_adjustments WHERE usage_id = usage_logs.id) AS deltas) AS cost \
             FROM usage_logs WHERE (?2 IS NULL OR user_id = ?2) AND status BETWEEN ?3 AND ?4 AND ",
            $rest
        )
    };
}
macro_rules! refusals {
    ($rest:literal) => {
        concat!(
            "SELECT id, at_ms, request_id, user_id, endpoint, status, code, message FROM refusals \
             WHERE (?2 IS NULL OR user_id = ?2) AND status BETWEEN ?3 AND ?4 AND ",
            $rest
        )
    };
}
// Index: usage_logs_by_time, and the primary key behind a cursor.
const ROWS_SINCE: &str = rows!("started_at_ms >= ?1 ORDER BY started_at_ms DESC, id DESC LIMIT ?5");
const ROWS_BEHIND: &str = rows!("id > ?1 ORDER BY id LIMIT ?5");
// Index: refusals_by_time, and the primary key behind a cursor.
const REFUSALS_SINCE: &str = refusals!("at_ms >= ?1 ORDER BY at_ms DESC, id DESC LIMIT ?5");
const REFUSALS_BEHIND: &str = refusals!("id > ?1 ORDER BY id LIMIT ?5");
const LAST_ROW: &str = "SELECT coalesce(max(id), 0) FROM usage_logs";
const LAST_REFUSAL: &str = "SELECT coalesce(max(id), 0) FROM refusals";
// Index: usage_logs_by_time.
const IDS_OF_REQUEST: &str = "SELECT id FROM usage_logs WHERE started_at_ms BETWEEN ?1 AND ?2 AND request_id = ?3 ORDER BY id";
const IDS_OF_BACKEND: &str = "SELECT id FROM usage_logs WHERE started_at_ms >= ?1 AND backend_request_id = ?2 \
     ORDER BY started_at_ms DESC LIMIT 1";
const REFUSAL_OF_REQUEST: &str = "SELECT id, at_ms, request_id, user_id, endpoint, status, code, message FROM refusals \
     WHERE at_ms = ?1 AND request_id = ?2";
// Index: the primary key of usage_logs.
const DETAILS: &str = "SELECT * FROM usage WHERE id = ?1";
const PRICE_OF_ROW: &str = "SELECT prices.fields FROM usage_logs JOIN prices ON prices.id = coalesce( \
     (SELECT price_id FROM usage_adjustments WHERE usage_id = usage_logs.id ORDER BY id DESC LIMIT 1), price_id) \
     WHERE usage_logs.id = ?1";
const USER_OF_ROW: &str = "SELECT user_id FROM usage_logs WHERE id = ?1";
const NOTE_OF_REQUEST: &str = "SELECT user_id, endpoint, model, status, input_tokens, output_tokens, noted_at_ms \
     FROM running_requests WHERE started_at_ms = ?1 AND request_id = ?2";

/// Which requests are wanted.
#[derive(Debug, Clone, Copy)]
pub struct RequestFilter {
    pub user_id: Option<i64>,
    /// The least and the largest status.
    pub status: (u16, u16),
    /// The most of each kind.
    pub limit: usize,
}

/// Places behind the newest row and the newest refusal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCursor {
    pub row: i64,
    pub refusal: i64,
}

/// A request as lists show it.
#[derive(Debug, Clone)]
pub struct KnownRequest {
    /// Unix time in milliseconds of its arrival.
    pub at_ms: i64,
    /// `None` for rows from before requests had ids.
    pub request_id: Option<RequestId>,
    pub user_id: Option<i64>,
    pub endpoint: String,
    pub status: u16,
    pub kind: RequestKind,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub enum RequestKind {
    Booked(Box<BookedRequest>),
    Refused { code: String, message: String },
}

/// What a row says of its request.
#[derive(Debug, Clone)]
pub struct BookedRequest {
    pub model: String,
    pub outcome: String,
    pub source: String,
    pub input_tokens: i64,
    pub cached_tokens: i64,
    pub output_tokens: i64,
    pub wait_ms: i64,
    pub first_byte_ms: Option<i64>,
    pub duration_ms: i64,
    pub backend_request_id: Option<String>,
    /// With adjustments; `None` without a price.
    pub cost: Option<NanoUsd>,
}

/// A request that runs for longer than a second.
#[derive(Debug, Clone)]
pub struct NotedRequest {
    pub user_id: i64,
    pub endpoint: String,
    pub model: String,
    pub status: u16,
    pub input_tokens: i64,
    pub output_tokens: i64,
    /// Unix time in milliseconds of these numbers.
    pub noted_at_ms: i64,
}

/// Returns the requests since a Unix time in milliseconds, the oldest first, and the place behind
/// them.
///
/// # Errors
/// If the database fails.
pub fn since(
    connection: &mut Connection,
    since_ms: i64,
    filter: RequestFilter,
) -> Result<(Vec<KnownRequest>, RequestCursor), StoreError> {
    let snapshot = connection.snapshot()?;
    let cursor = RequestCursor {
        row: snapshot.query_row(LAST_ROW, [], |row| row.get(0))?,
        refusal: snapshot.query_row(LAST_REFUSAL, [], |row| row.get(0))?,
    };
    let mut requests = listed(&snapshot, ROWS_SINCE, since_ms, filter, booked)?;
    requests.extend(listed(
        &snapshot,
        REFUSALS_SINCE,
        since_ms,
        filter,
        refused,
    )?);
    requests.sort_by_key(|(_, request)| request.at_ms);
    let too_many = requests.len().saturating_sub(filter.limit);
    let newest = requests.into_iter().skip(too_many);
    Ok((newest.map(|(_, request)| request).collect(), cursor))
}

/// Returns the requests behind a place, the oldest first, and the place behind them.
///
/// # Errors
/// If the database fails.
pub fn behind(
    connection: &mut Connection,
    mut cursor: RequestCursor,
    filter: RequestFilter,
) -> Result<(Vec<KnownRequest>, RequestCursor), StoreError> {
    let snapshot = connection.snapshot()?;
    let booked = listed(&snapshot, ROWS_BEHIND, cursor.row, filter, booked)?;
    let refused = listed(&snapshot, REFUSALS_BEHIND, cursor.refusal, filter, refused)?;
    // Others than those that were asked for are skipped if nothing was left out.
    let last = |found: &[(i64, KnownRequest)], newest: &str, before: i64| {
        if found.len() >= filter.limit {
            return Ok(found.last().map_or(before, |(id, _)| *id));
        }
        snapshot.query_row(newest, [], |row| row.get(0))
    };
    cursor = RequestCursor {
        row: last(&booked, LAST_ROW, cursor.row)?,
        refusal: last(&refused, LAST_REFUSAL, cursor.refusal)?,
    };
    let mut requests: Vec<_> = booked.into_iter().chain(refused).collect();
    requests.sort_by_key(|(_, request)| request.at_ms);
    Ok((
        requests.into_iter().map(|(_, request)| request).collect(),
        cursor,
    ))
}

fn listed(
    connection: &Connection,
    sql: &str,
    from: i64,
    filter: RequestFilter,
    read: fn(&Row<'_>) -> SqlResult<(i64, KnownRequest)>,
) -> SqlResult<Vec<(i64, KnownRequest)>> {
    let mut statement = connection.prepare_cached(sql)?;
    let (least, largest) = filter.status;
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let values = params![from, filter.user_id, least, largest, limit];
    statement.query_map(values, read)?.collect()
}

fn booked(row: &Row<'_>) -> SqlResult<(i64, KnownRequest)> {
    let request = KnownRequest {
        at_ms: row.get("started_at_ms")?,
        request_id: id_of(row)?,
        user_id: row.get("user_id")?,
        endpoint: row.get("endpoint")?,
        status: row.get("status")?,
        kind: RequestKind::Booked(Box::new(BookedRequest {
            model: row.get("model")?,
            outcome: row.get("outcome")?,
            source: row.get("usage_source")?,
            input_tokens: row.get("input_tokens")?,
            cached_tokens: row.get("cached_tokens")?,
            output_tokens: row.get("output_tokens")?,
            wait_ms: row.get("wait_ms")?,
            first_byte_ms: row.get("first_byte_ms")?,
            duration_ms: row.get("duration_ms")?,
            backend_request_id: row.get("backend_request_id")?,
            cost: row.get::<_, Option<i64>>("cost")?.map(NanoUsd),
        })),
    };
    Ok((row.get("id")?, request))
}

fn refused(row: &Row<'_>) -> SqlResult<(i64, KnownRequest)> {
    let request = KnownRequest {
        at_ms: row.get("at_ms")?,
        request_id: id_of(row)?,
        user_id: row.get("user_id")?,
        endpoint: row.get("endpoint")?,
        status: row.get("status")?,
        kind: RequestKind::Refused {
            code: row.get("code")?,
            message: row.get("message")?,
        },
    };
    Ok((row.get("id")?, request))
}

fn id_of(row: &Row<'_>) -> SqlResult<Option<RequestId>> {
    let bytes: Option<[u8; 16]> = row.get("request_id")?;
    Ok(bytes.map(RequestId::of_bytes))
}

/// Returns the ids of the rows of a request: one, or one for each answer of a socket.
///
/// # Errors
/// If the database fails.
pub fn rows_of(connection: &Connection, id: RequestId) -> Result<Vec<i64>, StoreError> {
    let between = |last_ms: i64| -> SqlResult<Vec<i64>> {
        let mut statement = connection.prepare_cached(IDS_OF_REQUEST)?;
        let values = params![id.at_ms(), last_ms, id.as_bytes()];
        statement.query_map(values, |row| row.get(0))?.collect()
    };
    let found = between(id.at_ms())?;
    if found.is_empty() {
        return Ok(between(id.at_ms().saturating_add(MAX_SOCKET_MS))?);
    }
    Ok(found)
}

/// Returns the id of the newest row since a Unix time in milliseconds with an id of the backend's.
///
/// # Errors
/// If the database fails.
pub fn row_of_backend(
    connection: &Connection,
    since_ms: i64,
    backend_id: &str,
) -> Result<Option<i64>, StoreError> {
    let mut statement = connection.prepare_cached(IDS_OF_BACKEND)?;
    let found = statement.query_row(params![since_ms, backend_id], |row| row.get(0));
    Ok(found.optional()?)
}

/// Returns the refusal of a request.
///
/// # Errors
/// If the database fails.
pub fn refusal_of(
    connection: &Connection,
    id: RequestId,
) -> Result<Option<KnownRequest>, StoreError> {
    let mut statement = connection.prepare_cached(REFUSAL_OF_REQUEST)?;
    let found = statement.query_row(params![id.at_ms(), id.as_bytes()], refused);
    Ok(found.optional()?.map(|(_, request)| request))
}

/// Returns the note of a request that runs for longer than a second.
///
/// # Errors
/// If the database fails.
pub fn note_of(connection: &Connection, id: RequestId) -> Result<Option<NotedRequest>, StoreError> {
    let mut statement = connection.prepare_cached(NOTE_OF_REQUEST)?;
    let found = statement.query_row(params![id.at_ms(), id.as_bytes()], |row| {
        Ok(NotedRequest {
            user_id: row.get("user_id")?,
            endpoint: row.get("endpoint")?,
            model: row.get("model")?,
            status: row.get("status")?,
            input_tokens: row.get("input_tokens")?,
            output_tokens: row.get("output_tokens")?,
            noted_at_ms: row.get("noted_at_ms")?,
        })
    });
    Ok(found.optional()?)
}

/// Returns the user of a row.
///
/// # Errors
/// If the database fails.
pub fn user_of(connection: &Connection, row_id: i64) -> Result<i64, StoreError> {
    Ok(connection.query_row(USER_OF_ROW, [row_id], |row| row.get(0))?)
}

/// Returns what the view `usage` says of a row, by the names of its columns, without nulls and
/// zeros; and the fields of the price that holds for it.
///
/// # Errors
/// If the database fails.
pub fn details(connection: &Connection, row_id: i64) -> Result<Map<String, Value>, StoreError> {
    let mut statement = connection.prepare_cached(DETAILS)?;
    let mut details = statement.query_row([row_id], |row| {
        let mut details = Map::new();
        for (index, name) in row.names().into_iter().enumerate() {
            let value = match row.value(index)? {
                sql::Value::Integer(number) if number != 0 => json!(number),
                sql::Value::Text(text) => json!(text),
                _ => continue,
            };
            details.insert(name, value);
        }
        Ok(details)
    })?;
    // It is there in dollars.
    details.remove("cost_nano_usd");
    let fields: Option<String> = connection
        .prepare_cached(PRICE_OF_ROW)?
        .query_row([row_id], |row| row.get(0))
        .optional()?;
    let fields = fields.and_then(|fields| serde_json::from_str::<Value>(&fields).ok());
    if let Some(fields) = fields {
        details.insert("price".to_owned(), fields);
    }
    Ok(details)
}

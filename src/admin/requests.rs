//! Operations on single requests: the last ones, and everything that is known of one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AdminContext, AdminError, LimitEntry, Member, Method, Operation, fields::required};
use crate::{
    model::{NanoUsd, RequestId, format_utc, name_of_removed, now_ms},
    sight::Sight,
    store::{
        StoreError, identity,
        requests::{self, KnownRequest, RequestCursor, RequestFilter, RequestKind},
        users::{self, KnownUser},
    },
};

/// The time since which requests are listed if no other is given.
const DEFAULT_SINCE: &str = "1h";
/// Requests that are listed if no other number is given, and at most.
const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 10_000;
/// How far back a request is looked for by the backend's id: the ledger has no index on it.
const BACKEND_ID_DAYS: i64 = 30;
const DAY_MS: i64 = 86_400_000;

/// Lists the last requests, those that llmproxy refused among them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ListRequests {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// A status such as 429, or a class such as 4xx.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// An age such as 1h, or a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The most requests that are listed: the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// The `cursor` of an earlier answer: what came behind it is listed instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Says everything that is known of a request.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ExplainRequest {
    /// The id that its answer has in the header `x-llmproxy-request-id`, or the backend's.
    pub request_id: Option<String>,
}

/// Answer to `list_requests` and of `log --json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct RequestList {
    /// The oldest first.
    pub requests: Vec<RequestEntry>,
    /// The place behind the last one.
    pub cursor: String,
}

/// A request in a list.
#[derive(Debug, Serialize, Deserialize)]
pub struct RequestEntry {
    /// UTC ISO 8601.
    pub at: String,
    /// `None` for a row from before requests had ids.
    pub request_id: Option<String>,
    /// `None` if no key was known.
    pub username: Option<String>,
    pub endpoint: String,
    pub status: u16,
    /// How the answer ended; `refused` if llmproxy itself answered.
    pub outcome: String,
    /// What the client was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RequestError>,
    /// What the ledger says.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub booked: Option<BookedEntry>,
}

/// An error with which llmproxy answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct RequestError {
    pub code: String,
    pub message: String,
}

/// What the ledger says of a request.
#[derive(Debug, Serialize, Deserialize)]
pub struct BookedEntry {
    pub model: String,
    pub usage_source: String,
    pub input_tokens: i64,
    pub cached_tokens: i64,
    pub output_tokens: i64,
    /// `None` without a price.
    pub cost_usd: Option<NanoUsd>,
    pub wait_ms: i64,
    pub first_byte_ms: Option<i64>,
    pub duration_ms: i64,
    pub backend_request_id: Option<String>,
}

/// Answer to `explain_request` and of `explain --json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Explanation {
    pub request_id: Option<String>,
    /// `booked`, `refused` or `running`.
    pub state: String,
    /// The rows of the ledger: one, or one for each answer of a socket. The members are the columns
    /// of the view `usage` without nulls and zeros, and `price` with the fields of the price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RequestEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<RunningEntry>,
    /// The limits that apply to the user now.
    pub limits: Vec<LimitEntry>,
}

/// A request that is not booked yet, as it was last noted.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunningEntry {
    pub started_at: String,
    pub username: String,
    pub endpoint: String,
    pub model: String,
    /// 499 while there is no answer.
    pub status: u16,
    pub input_tokens: i64,
    pub output_tokens: i64,
    /// UTC ISO 8601 time of these numbers.
    pub noted_at: String,
}

impl Operation for ListRequests {
    type Answer = RequestList;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/list_requests";
    const MEMBERS: &'static [Member] = &[
        Member::text("username"),
        Member::text("status"),
        Member::text("since"),
        Member::number("limit"),
        Member::text("cursor"),
    ];

    fn run(self, context: &AdminContext) -> Result<RequestList, AdminError> {
        let mut connection = context.connection()?;
        let user_id = match &self.username {
            Some(name) => Some(identity::find_by_text(&connection, name)?.id),
            None => None,
        };
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            let message = format!("limit must be a number from 1 to {MAX_LIMIT}");
            return Err(AdminError::field("limit", message));
        }
        let filter = RequestFilter {
            user_id,
            status: statuses(self.status.as_deref())?,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let (found, cursor) = if let Some(cursor) = &self.cursor {
            let cursor = read_cursor(cursor)
                .ok_or_else(|| AdminError::field("cursor", "cursor must be that of an answer"))?;
            requests::behind(&mut connection, cursor, filter)?
        } else {
            let text = self.since.as_deref().unwrap_or(DEFAULT_SINCE);
            let range = context
                .calendar
                .parse_since(text, now_ms())
                .map_err(|error| AdminError::field("since", error.to_string()))?;
            requests::since(&mut connection, range.start_ms().unwrap_or(0), filter)?
        };
        let users = users::names(&connection)?;
        Ok(RequestList {
            requests: found
                .into_iter()
                .map(|found| entry(found, &users))
                .collect(),
            cursor: format!("{}-{}", cursor.row, cursor.refusal),
        })
    }
}

impl Operation for ExplainRequest {
    type Answer = Explanation;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/explain_request";
    const MEMBERS: &'static [Member] = &[Member::text("request_id")];

    fn run(self, context: &AdminContext) -> Result<Explanation, AdminError> {
        let text = required("request_id", self.request_id)?;
        let connection = context.connection()?;
        let own_id: Option<RequestId> = text.parse().ok();
        let mut row_ids = Vec::new();
        if let Some(id) = own_id {
            row_ids = requests::rows_of(&connection, id)?;
        }
        if row_ids.is_empty() {
            let since_ms = now_ms() - BACKEND_ID_DAYS * DAY_MS;
            row_ids.extend(requests::row_of_backend(
                &connection,
                since_ms,
                text.trim(),
            )?);
        }
        let mut explanation = Explanation {
            request_id: own_id.map(|id| id.to_string()),
            state: "booked".to_owned(),
            rows: Vec::new(),
            refused: None,
            running: None,
            limits: Vec::new(),
        };
        let mut user_id = None;
        for row_id in row_ids {
            explanation
                .rows
                .push(requests::details(&connection, row_id)?);
            user_id = Some(requests::user_of(&connection, row_id)?);
        }
        if let Some(id) = own_id {
            let users = users::names(&connection)?;
            if let Some(refusal) = requests::refusal_of(&connection, id)? {
                user_id = user_id.or(refusal.user_id);
                explanation.refused = Some(entry(refusal, &users));
                "refused".clone_into(&mut explanation.state);
            } else if let Some(note) = requests::note_of(&connection, id)? {
                user_id = user_id.or(Some(note.user_id));
                explanation.running = Some(RunningEntry {
                    started_at: format_utc(id.at_ms()),
                    username: name_of(&users, note.user_id),
                    endpoint: note.endpoint,
                    model: note.model,
                    status: note.status,
                    input_tokens: note.input_tokens,
                    output_tokens: note.output_tokens,
                    noted_at: format_utc(note.noted_at_ms),
                });
                "running".clone_into(&mut explanation.state);
            }
        }
        if explanation.rows.is_empty()
            && explanation.refused.is_none()
            && explanation.running.is_none()
            && let Some((sight, id)) = context.sight.as_ref().zip(own_id)
        {
            explanation.refused = recent_error(sight, id);
            "refused".clone_into(&mut explanation.state);
        }
        if explanation.rows.is_empty()
            && explanation.refused.is_none()
            && explanation.running.is_none()
        {
            return Err(StoreError::UnknownRequest.into());
        }
        if let Some(id) = user_id {
            explanation.limits = context.limits_of_user(id)?;
        }
        Ok(explanation)
    }
}

/// Looks for a request among the last errors in memory, where those without a known key are.
fn recent_error(sight: &Sight, id: RequestId) -> Option<RequestEntry> {
    let errors = sight.snapshot().errors.into_iter();
    let error = errors.rev().find(|error| error.request_id == id)?;
    Some(RequestEntry {
        at: format_utc(id.at_ms()),
        request_id: Some(id.to_string()),
        username: None,
        endpoint: error.endpoint.to_owned(),
        status: error.status,
        outcome: "refused".to_owned(),
        error: Some(RequestError {
            code: error.code.to_owned(),
            message: error.message,
        }),
        booked: None,
    })
}

/// Reads a status such as `429`, or a class such as `4xx`.
fn statuses(text: Option<&str>) -> Result<(u16, u16), AdminError> {
    let Some(text) = text else {
        return Ok((0, u16::MAX));
    };
    let text = text.trim().to_ascii_lowercase();
    let class = text.strip_suffix("xx").and_then(|class| class.parse().ok());
    match (class, text.parse()) {
        (Some(class @ 1_u16..=5), _) => Ok((class * 100, class * 100 + 99)),
        (None, Ok(status @ 100_u16..=599)) => Ok((status, status)),
        _ => {
            let message =
                format!("status must be a number such as 429, or 2xx, 4xx, 5xx: {text:?}");
            Err(AdminError::field("status", message))
        }
    }
}

fn read_cursor(text: &str) -> Option<RequestCursor> {
    let (row, refusal) = text.split_once('-')?;
    Some(RequestCursor {
        row: row.parse().ok().filter(|id| *id >= 0)?,
        refusal: refusal.parse().ok().filter(|id| *id >= 0)?,
    })
}

fn name_of(users: &BTreeMap<i64, KnownUser>, id: i64) -> String {
    let user = users.get(&id);
    user.map_or_else(|| name_of_removed(id), |user| user.username.clone())
}

fn entry(found: KnownRequest, users: &BTreeMap<i64, KnownUser>) -> RequestEntry {
    let mut entry = RequestEntry {
        at: format_utc(found.at_ms),
        request_id: found.request_id.map(|id| id.to_string()),
        username: found.user_id.map(|id| name_of(users, id)),
        endpoint: found.endpoint,
        status: found.status,
        outcome: "refused".to_owned(),
        error: None,
        booked: None,
    };
    match found.kind {
        RequestKind::Refused { code, message } => {
            entry.error = Some(RequestError { code, message });
        }
        RequestKind::Booked(booked) => {
            entry.outcome = booked.outcome;
            entry.booked = Some(BookedEntry {
                model: booked.model,
                usage_source: booked.source,
                input_tokens: booked.input_tokens,
                cached_tokens: booked.cached_tokens,
                output_tokens: booked.output_tokens,
                cost_usd: booked.cost,
                wait_ms: booked.wait_ms,
                first_byte_ms: booked.first_byte_ms,
                duration_ms: booked.duration_ms,
                backend_request_id: booked.backend_request_id,
            });
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_numbers_or_classes() {
        assert_eq!(statuses(None).ok(), Some((0, u16::MAX)));
        assert_eq!(statuses(Some("4xx")).ok(), Some((400, 499)));
        assert_eq!(statuses(Some(" 5XX ")).ok(), Some((500, 599)));
        assert_eq!(statuses(Some("429")).ok(), Some((429, 429)));
        for text in ["", "xx", "6xx", "0xx", "42", "4x", "99999", "-1"] {
            assert!(statuses(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cursor_reads_as_it_was_written() {
        assert_eq!(
            read_cursor("7-0"),
            Some(RequestCursor { row: 7, refusal: 0 })
        );
        for text in ["", "7", "7-", "-1-2", "7-x", "1-2-3"] {
            assert_eq!(read_cursor(text), None, "{text}");
        }
    }
}

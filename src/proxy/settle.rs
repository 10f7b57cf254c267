//! What an object used, read from the object itself: batches in lists, background responses that are deleted before
//! anybody has looked at them, and both when the server looks.

use actix_web::http::StatusCode;
use tokio::sync::oneshot;

use super::{
    ApiError, Proxy,
    endpoint::{BATCHES, RESPONSES},
    estimator::{Estimate, Purpose},
    exchange::RequestContext,
    stored::part,
    subrequest,
};
use crate::{
    model::{
        Account, Entry, EstimatedTokens, Extent, ObjectKind, Origin, Outcome, UsageRow,
        UsageSource, now_ms,
    },
    store::{
        accounts::{self, AccountState, KeptUsage, OpenAccount},
        ledger::NotWritten,
    },
    usage::{AnswerObjects, AnswerText, Dialect, Evidence, read_answer},
};

/// Books what a background response used, which could not be asked for once it is deleted. One that is not done yet goes on
/// if it is not deleted after all: what it has said so far is booked with the answer that says so.
pub(super) async fn before_deletion(
    proxy: &Proxy,
    asked: &mut RequestContext<'_>,
    id: &str,
) -> Result<(), ApiError> {
    if asked.keeping.account() == AccountState::Closed {
        return Ok(());
    }
    let _permit = proxy.shared.gate.enter().await?;
    let mut response = subrequest::get(proxy, asked.request, asked.request.path()).await?;
    match response.status {
        StatusCode::OK => {}
        // It is gone, or never was.
        StatusCode::NOT_FOUND => {
            let id = id.to_owned();
            let owners = &proxy.shared.owners;
            let object = owners.read(move |connection| accounts::pending_one(connection, &id));
            if let Some(row) = object.await?.and_then(given_up) {
                asked.keeping.ends_given_up(row);
            }
            return Ok(());
        }
        // Deleted now, it could never be booked.
        _ => return Err(not_now()),
    }
    let limit_bytes = proxy.shared.max_body_bytes;
    let budget = &proxy.shared.body_budget;
    let body = subrequest::whole_body(&mut response, limit_bytes, budget).await?;
    let user_id = asked.caller.id;
    let row = row_of(RESPONSES, user_id, &body);
    let mut stored = AnswerObjects::default();
    stored.read(&body);
    if stored.is_final() || row.source == UsageSource::Backend {
        let written = book_row(proxy, id, row, extent_of(&stored), &body).await;
        return written.map_err(|_| ApiError::ledger_unavailable().retry_after(5));
    }
    let forgets = Entry::Forgotten {
        id: id.to_owned(),
        user_id,
    };
    asked.keeping.ends_unfinished(Estimate {
        forgets: Some(forgets),
        ..estimate(id, row, Extent::Cut, &body)
    });
    Ok(())
}

/// A response that was cancelled may report less than what had passed of it.
fn extent_of(stored: &AnswerObjects) -> Extent {
    match stored.status.as_deref() {
        Some("cancelled") => Extent::Cut,
        _ => Extent::Complete,
    }
}

/// Books a response, the first time.
pub(super) async fn book(
    proxy: &Proxy,
    id: &str,
    user_id: i64,
    body: &[u8],
) -> Result<(), NotWritten> {
    let mut stored = AnswerObjects::default();
    stored.read(body);
    let row = row_of(RESPONSES, user_id, body);
    book_row(proxy, id, row, extent_of(&stored), body).await
}

async fn book_row(
    proxy: &Proxy,
    id: &str,
    row: UsageRow,
    extent: Extent,
    body: &[u8],
) -> Result<(), NotWritten> {
    if row.source == UsageSource::Backend {
        let entry = Entry::of(row, Some((Account::of_known(id), extent)));
        proxy.books.ledger.commit([entry]).await
    } else {
        let (sender, written) = oneshot::channel();
        proxy.books.estimator.submit(Estimate {
            written: Some(sender),
            ..estimate(id, row, extent, body)
        });
        written.await.unwrap_or(Err(NotWritten))
    }
}

/// Of a response that does not say what it used: its output is counted.
fn estimate(id: &str, row: UsageRow, extent: Extent, body: &[u8]) -> Estimate {
    let row = UsageRow {
        source: UsageSource::Estimate,
        ..row
    };
    let evidence = Evidence {
        generated: AnswerText::Json(body.to_vec()),
        ..Evidence::default()
    };
    Estimate {
        purpose: Purpose::Bills(Account::of_known(id), extent),
        ..Estimate::of(row, evidence)
    }
}

/// What is booked of an object whose account is given up: what had passed of its answer is all that will be known.
pub(super) fn given_up(object: OpenAccount) -> Option<Entry> {
    let KeptUsage {
        model,
        served_model,
        outcome,
        usage,
    } = object.kept?;
    let row = UsageRow {
        model,
        served_model,
        outcome,
        usage,
        estimated: EstimatedTokens {
            input: usage.input,
            output: usage.output,
        },
        source: UsageSource::Estimate,
        ..row_of(RESPONSES, object.user_id, b"")
    };
    let account = Account::of_known(object.id);
    Some(Entry::of(row, Some((account, Extent::Cut))))
}

fn not_now() -> ApiError {
    ApiError::server(
        StatusCode::SERVICE_UNAVAILABLE,
        "not_now",
        "What this response used cannot be read from the backend just now, so it is not deleted yet. Try again in a moment.",
    )
    .retry_after(5)
}

/// What a batch's JSON tells: the files that it wrote, and once it is done what it used.
pub(super) fn of_batch(id: &str, user_id: i64, json: &[u8]) -> Vec<Entry> {
    let mut stored = AnswerObjects::default();
    stored.read(json);
    let files = stored.files.iter();
    let mut entries: Vec<Entry> = files
        .map(|file| part(file, ObjectKind::File, user_id, Origin::Produced))
        .collect();
    if stored.is_final() {
        let row = row_of(BATCHES, user_id, json);
        let account = Account::of_known(id);
        entries.push(Entry::of(row, Some((account, Extent::Complete))));
    }
    entries
}

fn row_of(endpoint: &'static str, user_id: i64, json: &[u8]) -> UsageRow {
    let answer = read_answer(json);
    let usage = answer.counts.usage(Dialect::Responses);
    UsageRow {
        user_id,
        started_at_ms: now_ms(),
        endpoint,
        model: answer.model.unwrap_or_else(|| "unknown".to_owned()),
        served_model: None,
        usage: usage.unwrap_or_default(),
        estimated: EstimatedTokens::default(),
        status: 200,
        outcome: if answer.is_error {
            Outcome::BackendError
        } else {
            Outcome::Completed
        },
        source: match usage {
            Some(_) => UsageSource::Backend,
            None => UsageSource::None,
        },
        duration_ms: 0,
        first_byte_ms: None,
        backend_request_id: None,
    }
}

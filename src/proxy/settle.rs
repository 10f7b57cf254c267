//! What an object used, read from the object itself: batches in lists, and background responses that are deleted before
//! anybody has looked at them.

use super::{ApiError, Proxy, exchange::Asked, inner, ledger_unavailable};
use crate::{
    model::{Entry, Outcome, UsageRow, UsageSource, now_ms},
    store::objects,
    usage::{Stored, read_answer},
};

/// Books what a background response used, which could not be asked for once it is deleted.
pub(super) async fn before_deletion(
    proxy: &Proxy,
    asked: &Asked<'_>,
    id: &str,
) -> Result<(), ApiError> {
    let key = id.to_owned();
    let is_pending = proxy
        .shared
        .owners
        .read(move |connection| objects::is_pending(connection, &key))
        .await?;
    if !is_pending {
        return Ok(());
    }
    let _permit = proxy.shared.gate.enter().await?;
    let mut response = inner::get(proxy, asked.request, asked.request.path()).await?;
    if !response.status.is_success() {
        // It is gone, or the backend will say what is wrong.
        return Ok(());
    }
    let body = inner::whole_body(&mut response, proxy.shared.max_body_bytes).await?;
    let mut stored = Stored::default();
    stored.read(&body);
    if !stored.is_final() {
        return Ok(());
    }
    let entry = settled(id, "/v1/responses", asked.caller.id, &body);
    let committed = proxy.books.ledger.commit([entry]).await;
    committed.map_err(|_| ledger_unavailable().retry_after(5))
}

/// The entry of a finished object, as its JSON tells it.
pub(super) fn settled(id: &str, endpoint: &'static str, user_id: i64, json: &[u8]) -> Entry {
    let answer = read_answer(json);
    let usage = answer.counts.usage();
    let row = UsageRow {
        user_id,
        started_at_ms: now_ms(),
        endpoint,
        model: answer.model.unwrap_or_else(|| "unknown".to_owned()),
        served_model: None,
        usage: usage.unwrap_or_default(),
        status: 200,
        outcome: Outcome::Completed,
        source: match usage {
            Some(_) => UsageSource::Backend,
            None => UsageSource::None,
        },
        duration_ms: 0,
        first_byte_ms: None,
        backend_request_id: None,
    };
    Entry::Settled {
        id: id.to_owned(),
        row,
    }
}

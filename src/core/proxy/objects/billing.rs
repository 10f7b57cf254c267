//! Bills what an object used, by what the object itself says: batches in lists, background
//! responses that are deleted before anybody has looked at them, and both when the reconciler
//! looks.

use actix_web::http::StatusCode;
use tokio::sync::oneshot;

use super::subrequest;
use crate::proxy::{
    accounting::{
        estimator::{Estimate, Purpose},
        numbers::ServiceClass,
        recorder::part_entry,
        request_context::RequestContext,
    },
    error::ApiError,
    response::read::whole_body,
    routes::{BATCHES, RESPONSES},
    state::Worker,
};
use crate::{
    model::{
        Account, Entry, EstimatedTokens, Extent, ObjectKind, Origin, Outcome, UsageRow,
        UsageSource, now_ms,
    },
    store::{
        accounts::{AccountState, KeptUsage, OpenAccount},
        ledger::NotWritten,
    },
    usage::{AnswerObjects, AnswerText, Content, Dialect, Evidence, read_answer},
};

/// Bills a background response before it is deleted, because nobody can ask for it afterwards. If
/// it is not done, it goes on unless it is really deleted; what it has used so far is billed with
/// the answer to the deletion.
pub async fn before_deletion(
    worker: &Worker,
    context: &mut RequestContext<'_>,
    id: &str,
) -> Result<(), ApiError> {
    let Some(recorder) = &mut context.recorder else {
        return Ok(());
    };
    if recorder.account() == AccountState::Closed {
        return Ok(());
    }
    let user_id = context.arrival.caller.id;
    let _permit = worker.shared.admission.admit_own(user_id).await?;
    let mut response = subrequest::get(worker, context.request, context.request.path()).await?;
    match response.status {
        StatusCode::OK => {}
        // The object is missing, or never was there.
        StatusCode::NOT_FOUND => {
            let id = id.to_owned();
            let owners = &worker.shared.admission.owners;
            let object = owners.look_up(move |store| store.pending_object(&id));
            if let Some(row) = object.await?.and_then(given_up) {
                recorder.set_given_up(row);
            }
            return Ok(());
        }
        // If it were deleted now, it could never be billed.
        _ => return Err(not_now()),
    }
    let limit_bytes = worker.shared.max_body_bytes;
    let budget = &worker.shared.admission.bodies;
    let body = whole_body(&mut response, limit_bytes, budget).await?;
    let row = row_of(RESPONSES, user_id, &body);
    let mut stored = AnswerObjects::default();
    stored.read(&body);
    if stored.is_final() || row.source == UsageSource::Backend {
        let written = bill_row(worker, id, row, extent_of(&stored), &body).await;
        return written.map_err(|_| ApiError::ledger_unavailable().retry_after(5));
    }
    let forgets = Entry::Forgotten {
        id: id.to_owned(),
        user_id,
    };
    recorder.set_unfinished(Estimate {
        forgets: Some(forgets),
        ..estimate(id, row, Extent::Cut, &body)
    });
    Ok(())
}

/// Returns whether the report of a response is complete. One that was cancelled may report less
/// than what had passed of it.
fn extent_of(stored: &AnswerObjects) -> Extent {
    match stored.status.as_deref() {
        Some("cancelled") => Extent::Cut,
        _ => Extent::Complete,
    }
}

/// Bills a response that was not billed before.
pub async fn bill_response(
    worker: &Worker,
    id: &str,
    user_id: i64,
    body: &[u8],
) -> Result<(), NotWritten> {
    let mut stored = AnswerObjects::default();
    stored.read(body);
    let row = row_of(RESPONSES, user_id, body);
    bill_row(worker, id, row, extent_of(&stored), body).await
}

async fn bill_row(
    worker: &Worker,
    id: &str,
    row: UsageRow,
    extent: Extent,
    body: &[u8],
) -> Result<(), NotWritten> {
    if row.source == UsageSource::Backend {
        let entry = Entry::of(row, Some((Account::of_known(id), extent)));
        worker.accounting.ledger.commit([entry]).await
    } else {
        let (sender, written) = oneshot::channel();
        worker.accounting.estimator.submit(Estimate {
            written: Some(sender),
            ..estimate(id, row, extent, body)
        });
        written.await.unwrap_or(Err(NotWritten))
    }
}

/// Makes the estimate of a response that does not report what it used: its output is counted.
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

/// Returns the row of an object whose account is given up, if anything is kept of it: no more will
/// ever be known.
pub fn given_up(object: OpenAccount) -> Option<Entry> {
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

/// Returns what is written by the JSON of a batch: the files that it wrote, and its row once it is
/// done.
pub fn entries_of_batch(id: &str, user_id: i64, json: &[u8]) -> Vec<Entry> {
    let mut stored = AnswerObjects::default();
    stored.read(json);
    let files = stored.files.iter();
    let mut entries: Vec<Entry> = files
        .map(|file| part_entry(file, ObjectKind::File, user_id, Origin::Produced))
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
    let usage = answer.counts.usage(Dialect::Responses, Content::Text);
    let ServiceClass { tier, is_batch } = ServiceClass::of(answer.tier());
    let mut booked = usage.unwrap_or_default();
    answer.calls.note_in(&mut booked.classes);
    UsageRow {
        user_id,
        key_id: 0,
        started_at_ms: now_ms(),
        endpoint,
        model: answer.model.unwrap_or_else(|| "unknown".to_owned()),
        served_model: None,
        usage: booked,
        service_tier: tier,
        is_batch: is_batch || endpoint == BATCHES,
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
        wait_ms: 0,
        request_id: None,
        backend_request_id: None,
        hold: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ServiceTier, UsageClasses};

    #[test]
    fn a_batch_is_booked_as_one_with_its_classes() {
        // OpenAI's API reference, the batch object.
        let batch = br#"{"id":"batch_1","object":"batch","model":"gpt-5-2025-08-07","status":"completed","output_file_id":"file-1",
            "usage":{"input_tokens":1500,"input_tokens_details":{"cached_tokens":1024},"output_tokens":500,
                "output_tokens_details":{"reasoning_tokens":300},"total_tokens":2000}}"#;
        let entries = entries_of_batch("batch_1", 7, batch);
        let [_, Entry::Billed { row, .. }] = &entries[..] else {
            panic!("a file and a row");
        };
        let usage = row.usage;
        let tokens = [usage.input, usage.output, usage.cached, usage.reasoning];
        assert_eq!(tokens, [1500, 500, 1024, 300]);
        assert!(row.is_batch);
        assert_eq!(row.service_tier, None);
    }

    #[test]
    fn a_background_response_is_booked_with_its_classes_and_tier() {
        let response = br#"{"id":"resp_1","object":"response","background":true,"status":"completed","service_tier":"flex","model":"gpt-5",
            "output":[{"type":"web_search_call","action":{"type":"search"}},{"type":"code_interpreter_call","container_id":"cntr_1"}],
            "usage":{"input_tokens":328,"input_tokens_details":{"cached_tokens":8,"cache_write_tokens":20},"output_tokens":52,"total_tokens":380}}"#;
        let row = row_of(RESPONSES, 7, response);
        assert_eq!(
            row.usage.classes,
            UsageClasses {
                cache_write_5m: 20,
                web_searches: 1,
                code_calls: 1,
                ..UsageClasses::default()
            }
        );
        assert_eq!(row.service_tier, Some(ServiceTier::Flex));
        assert!(!row.is_batch);
        assert_eq!(row.source, UsageSource::Backend);
    }
}

//! The list of models, of which a user with a limit on models sees those that are allowed.

use std::borrow::Cow;

use actix_web::{HttpRequest, HttpResponse, http::header};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    accounting::request_context::RequestContext,
    admission::limits::RequestLimits,
    backend::OutgoingRequest,
    error::ApiError,
    headers::{BodyLength, keep_end_to_end},
    request::prepare::Expected,
    response::{
        answer,
        backend_error::{error_of, unreadable},
        read::whole_body,
    },
    routes::{Body, Endpoint, MODELS},
    state::Worker,
};
use crate::{limits::UserRules, model::Outcome, usage::Meter};

/// The longest list of models.
const MAX_LIST_BYTES: usize = 16 * 1024 * 1024;

/// The list, as both APIs have it.
#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

/// One entry of the list, as OpenAI's and Anthropic's APIs have it.
#[derive(Deserialize)]
struct WithId<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// Checks the models that a request names before its body is read.
///
/// # Errors
/// 404 for a model that its user may not use.
pub fn check_before_body(
    limits: &RequestLimits,
    rules: &UserRules,
    endpoint: Endpoint,
    request: &HttpRequest,
) -> Result<(), ApiError> {
    let of_path = model_of_path(endpoint, request.uri().path());
    let models = of_path
        .into_iter()
        .chain(models_of_query(endpoint, request));
    for model in models {
        limits.check_model(rules, &model)?;
    }
    Ok(())
}

/// Returns the model that a path identifies; `None` for all paths but that of one model.
fn model_of_path(endpoint: Endpoint, path: &str) -> Option<String> {
    let prefix = endpoint.path.strip_suffix('*')?;
    let id = path
        .strip_prefix(prefix)
        .filter(|_| prefix.starts_with(MODELS))?;
    let decoded = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
    Some(decoded.into_owned())
}

/// Returns the models that the query of a request to a backend of the operator's own names.
fn models_of_query(endpoint: Endpoint, request: &HttpRequest) -> Vec<String> {
    if endpoint.body != Body::Any {
        return Vec::new();
    }
    url::form_urlencoded::parse(request.query_string().as_bytes())
        .filter(|(name, _)| name.eq_ignore_ascii_case("model"))
        .map(|(_, model)| model.into_owned())
        .collect()
}

/// Answers with the backend's list, without the models that the user may not use.
///
/// # Errors
/// The errors of admission and of the backend, 502 for a list that cannot be read.
pub async fn allowed_models(
    worker: &Worker,
    context: RequestContext<'_>,
) -> Result<HttpResponse, ApiError> {
    let request = context.request;
    let rules = context.rules.clone();
    let mut exchange = worker.admit(context).await?;
    let head = worker
        .shared
        .own_headers
        .head_for(request, BodyLength::Known(0));
    let outgoing = OutgoingRequest::of_head(head);
    let sent = worker
        .backend
        .send(&outgoing, || exchange.mark_sent())
        .await;
    let mut response = sent.map_err(|error| error_of(&error))?;
    if !response.status.is_success() {
        let (read_ahead, expected) = (Bytes::new(), Expected::unedited(false));
        let streams = worker.streams();
        return answer::answer(response, read_ahead, exchange, streams, expected, None).await;
    }
    let budget = &worker.shared.admission.bodies;
    let body = whole_body(&mut response, MAX_LIST_BYTES, budget).await?;
    let is_allowed = |id: &str| {
        rules
            .as_ref()
            .is_none_or(|rules| rules.refusing_model(id).is_none())
    };
    let list = without_refused(&body, is_allowed).ok_or_else(unreadable)?;
    exchange.set_answer(response.status.as_u16(), None, Meter::opaque());
    // There is nothing to book, but the access log gets its line.
    let _ = exchange.commit(Outcome::Completed).await;
    let mut answer = HttpResponse::build(response.status).body(list);
    for (name, value) in &keep_end_to_end(response.headers) {
        let is_of_body = matches!(
            *name,
            header::CONTENT_LENGTH
                | header::CONTENT_ENCODING
                | header::ETAG
                | header::LAST_MODIFIED
        );
        if !is_of_body {
            answer.headers_mut().append(name.clone(), value.clone());
        }
    }
    Ok(answer)
}

/// Returns a list without the entries that are not allowed; everything else stays as it is. `None`
/// if it is no list of models.
fn without_refused(body: &[u8], is_allowed: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).ok()?;
    let List { data } = serde_json::from_slice(body).ok()?;
    let kept: Vec<&RawValue> = data
        .into_iter()
        .filter(|entry| {
            let found = serde_json::from_str::<WithId<'_>>(entry.get());
            found.is_ok_and(|model| is_allowed(&model.id))
        })
        .collect();
    let mut list = members;
    let ids = |entry: Option<&&RawValue>| {
        let found: WithId<'_> = serde_json::from_str(entry?.get()).ok()?;
        Some(found.id.into_owned())
    };
    // Anthropic's list names its ends.
    for (name, id) in [
        ("first_id", ids(kept.first())),
        ("last_id", ids(kept.last())),
    ] {
        if list.contains_key(name) {
            list.insert(name.to_owned(), id.into());
        }
    }
    list.insert("data".to_owned(), serde_json::to_value(kept).ok()?);
    serde_json::to_vec(&list).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_models_are_left_out_and_the_rest_stays() {
        let body = br#"{"object":"list","data":[{"id":"a","x":1},{"id":"b"},{"no":"id"}],"first_id":"a","last_id":"b"}"#;
        let list = without_refused(body, |id| id == "b").unwrap();
        let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
        let expected =
            serde_json::json!({"object":"list","data":[{"id":"b"}],"first_id":"b","last_id":"b"});
        assert_eq!(list, expected);
        assert!(without_refused(b"[]", |_| true).is_none());
    }
}

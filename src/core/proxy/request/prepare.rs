//! Prepares a request while it does not hold a place at the backend: its body is looked into once,
//! and edited in one place.

use actix_web::web;

use super::{
    AskedOutput, StorageOptions,
    asked::{AskedUsage, LimitEdits, OutputLimit, asked_usage},
    references::{self, Reference, Taken},
    usage_option::UsageOptionRefusals,
};
use crate::proxy::{
    body::BodyParts,
    error::ApiError,
    request,
    routes::{self, Endpoint, ObjectEffect},
};
use crate::{
    json::Excerpt,
    model::{ObjectKind, ServiceTier},
    usage::UsageOnlyEvents,
};

/// Longest body that a worker itself looks into. A longer one goes to the blocking pool, because
/// the worst of 64 MiB takes a second.
pub const MAX_SEARCHED_BY_WORKER_BYTES: usize = 4 * 1024 * 1024;

/// Whether streamed requests are made to ask for usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamUsage {
    Ask,
    Leave,
}

/// The body as it goes out, and what is expected of the answer.
pub struct PreparedRequest {
    pub model: String,
    pub asked: AskedUsage,
    /// What the request says of the limit of its output; `None` if its endpoint has none.
    pub output_limit: Option<OutputLimit>,
    /// Further models that the backend may take instead.
    pub further_models: Vec<String>,
    /// The class of service that is asked for.
    pub service_tier: Option<ServiceTier>,
    pub body: BodyParts,
    /// The body without the edit, which a backend may refuse. `None` if there is no edit, or the
    /// client itself sent `stream_options`.
    pub unedited: Option<BodyParts>,
    pub expected: Expected,
    pub references: Vec<Reference>,
    pub storage: StorageOptions,
    /// The body goes on as JSON, whatever the client called it.
    pub is_json: bool,
    /// The endpoint creates batches or deletes objects.
    is_stateful: bool,
}

impl PreparedRequest {
    /// Looks into the body of a request, and makes a streamed one ask for usage.
    ///
    /// # Errors
    /// 400 for a body that is not UTF-8, cannot be read, or refers to more than can be looked up.
    pub async fn of(
        endpoint: Endpoint,
        body: &BodyParts,
        stream_usage: StreamUsage,
        refusals: &UsageOptionRefusals,
        edits: LimitEdits,
    ) -> Result<Self, ApiError> {
        let mut prepared = if body.len() <= MAX_SEARCHED_BY_WORKER_BYTES {
            prepare(endpoint, body, stream_usage, edits)?
        } else {
            let body = body.clone();
            let prepared = web::block(move || prepare(endpoint, &body, stream_usage, edits)).await;
            // The pool is gone only when the server stops.
            prepared.unwrap_or_else(|_| Err(ApiError::ledger_unavailable()))?
        };
        if prepared.unedited.is_some() && refusals.contains(&prepared.model) {
            prepared.leave_unedited();
        }
        Ok(prepared)
    }

    /// Takes the edit back, for a backend that refuses it.
    fn leave_unedited(&mut self) {
        if let Some(body) = self.unedited.take() {
            self.body = body;
            self.expected.usage_only_events = UsageOnlyEvents::Pass;
        }
    }

    /// Returns whether the backend may keep the items that come with the request.
    pub fn leaves_items(&self) -> bool {
        let is_conversation = |found: &Reference| found.claim.kind == ObjectKind::Conversation;
        self.storage.store != Some(false) || self.references.iter().any(is_conversation)
    }

    /// Returns whether the client chooses the id of the response, as vLLM lets it.
    pub fn chooses_id(&self) -> bool {
        let mut references = self.references.iter();
        references.any(|found| found.member == references::REQUEST_ID)
    }

    pub fn concerns_objects(&self) -> bool {
        self.is_stateful || self.storage != StorageOptions::default() || !self.references.is_empty()
    }
}

/// What the request makes of its answer.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// The client asked for a stream.
    pub stream: bool,
    /// What becomes of the usage event that comes of the edit.
    pub usage_only_events: UsageOnlyEvents,
}

impl Expected {
    /// Returns what is expected of the answer to a request that went on without an edit.
    #[must_use]
    pub fn unedited(stream: bool) -> Self {
        Self {
            stream,
            usage_only_events: UsageOnlyEvents::Pass,
        }
    }
}

fn prepare(
    endpoint: Endpoint,
    body: &BodyParts,
    stream_usage: StreamUsage,
    edits: LimitEdits,
) -> Result<PreparedRequest, ApiError> {
    let mut prepared = PreparedRequest {
        model: String::new(),
        asked: AskedUsage::default(),
        output_limit: None,
        further_models: Vec::new(),
        service_tier: None,
        references: Vec::new(),
        storage: StorageOptions::default(),
        is_json: false,
        is_stateful: matches!(
            endpoint.effect,
            ObjectEffect::Batch | ObjectEffect::Forgotten
        ),
        body: body.clone(),
        unedited: None,
        expected: Expected::unedited(false),
    };
    match endpoint.body {
        routes::Body::Plain | routes::Body::Socket => return Ok(prepared),
        routes::Body::OptionalJson if body.is_empty() => return Ok(prepared),
        _ => {}
    }
    // This comes first: a lenient backend may guess another encoding and read what is not seen
    // here.
    let excerpt = Excerpt::of(body.slices()).map_err(|_| request::not_utf_8())?;
    let cap_of = |output: &AskedOutput| {
        let is_missing = OutputLimit::of(endpoint, output).is_some_and(|limit| limit.is_missing());
        let name = endpoint.own_output_limit().filter(|_| is_missing)?;
        Some((name, edits.output_cap?))
    };
    let look = match request::inspect_for_cap(&excerpt, cap_of) {
        Ok(look) => look,
        // A backend of the operator's own may take any JSON.
        Err(_) if endpoint.body == routes::Body::Any => return Ok(prepared),
        Err(error) => return Err(error),
    };
    prepared.is_json = endpoint.body != routes::Body::Any;
    if look.overrides_request {
        return Err(request::refused_override());
    }
    let taken = match endpoint.body {
        routes::Body::Form => Taken::AsForm,
        _ => Taken::AsJson,
    };
    prepared.references = references::references(&excerpt, taken)?;
    prepared.storage = look.storage;
    prepared.model = look.model;
    prepared.further_models = look.further_models;
    prepared.service_tier = look.service_tier;
    prepared.expected.stream = look.stream;
    let output_limit = OutputLimit::of(endpoint, &look.output);
    prepared.output_limit = output_limit;
    prepared.asked = asked_usage(&excerpt, look.output.choices, output_limit, edits);
    let cap = look.cap;
    if let Some(splice) = look.splice
        && endpoint.body == routes::Body::JsonAskingUsage
        && stream_usage == StreamUsage::Ask
    {
        let (edited, unedited) = match cap {
            Some(cap) => (splice.apply_both(cap.clone(), body), cap.apply(body)),
            None => (splice.apply(body), body.clone()),
        };
        prepared.body = edited;
        prepared.unedited = (!look.sends_stream_options).then_some(unedited);
        prepared.expected.usage_only_events = UsageOnlyEvents::TakeOut;
    } else if let Some(cap) = cap {
        prepared.body = cap.apply(body);
    }
    Ok(prepared)
}

#[cfg(test)]
mod tests;

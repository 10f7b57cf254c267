//! What a request's body asks for: looked into once, edited in one place, before the request waits for its place.

use actix_web::web;

use super::{
    AskedToKeep, Excerpt,
    references::{self, Reference, Taken},
};
use crate::proxy::{
    body::BodyParts,
    error::ApiError,
    request,
    routes::{self, Endpoint, ObjectEffect},
};
use crate::{model::ObjectKind, usage::UsageOnlyEvents};

/// A longer body is looked into on the blocking pool: the worst of 64 MiB takes a second.
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
    pub body: BodyParts,
    /// The body before an edit that the backend may refuse: the client itself sent no `stream_options`.
    pub unedited: Option<BodyParts>,
    pub expected: Expected,
    pub references: Vec<Reference>,
    pub keeping: AskedToKeep,
    /// What goes on says that it is JSON, whatever the client called it.
    pub is_json: bool,
    /// The endpoint reads or changes stored objects.
    is_stateful: bool,
}

impl PreparedRequest {
    /// Looks into the body of a request that uses tokens, and makes a streamed one ask for usage.
    ///
    /// # Errors
    /// 400 for a body that is not UTF-8, cannot be read, or refers to more than can be looked up.
    pub async fn of(
        endpoint: Endpoint,
        body: &BodyParts,
        stream_usage: StreamUsage,
    ) -> Result<Self, ApiError> {
        if body.len() <= MAX_SEARCHED_BY_WORKER_BYTES {
            return plan(endpoint, body, stream_usage);
        }
        let body = body.clone();
        // The pool is gone only when the server stops.
        let planned = web::block(move || plan(endpoint, &body, stream_usage)).await;
        planned.unwrap_or_else(|_| Err(ApiError::ledger_unavailable()))
    }

    /// Takes the edit back, for a backend that refuses it.
    pub fn leave_unedited(&mut self) {
        if let Some(body) = self.unedited.take() {
            self.body = body;
            self.expected.usage_only_events = UsageOnlyEvents::Pass;
        }
    }

    /// Whether the backend may keep the items that the request brings along.
    pub fn leaves_items(&self) -> bool {
        let is_conversation = |found: &Reference| found.claim.kind == ObjectKind::Conversation;
        self.keeping.store != Some(false) || self.references.iter().any(is_conversation)
    }

    /// Whether the client chooses the id of the response, as vLLM lets it.
    pub fn chooses_id(&self) -> bool {
        let mut references = self.references.iter();
        references.any(|found| found.member == references::REQUEST_ID)
    }

    pub fn speaks_of_objects(&self) -> bool {
        self.is_stateful || self.keeping != AskedToKeep::default() || !self.references.is_empty()
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

fn plan(
    endpoint: Endpoint,
    body: &BodyParts,
    stream_usage: StreamUsage,
) -> Result<PreparedRequest, ApiError> {
    let mut plan = PreparedRequest {
        model: String::new(),
        references: Vec::new(),
        keeping: AskedToKeep::default(),
        is_json: false,
        is_stateful: matches!(
            endpoint.keeps,
            ObjectEffect::Batch | ObjectEffect::Forgotten
        ),
        body: body.clone(),
        unedited: None,
        expected: Expected {
            stream: false,
            usage_only_events: UsageOnlyEvents::Pass,
        },
    };
    match endpoint.body {
        routes::Body::Plain | routes::Body::Socket => return Ok(plan),
        routes::Body::OptionalJson if body.is_empty() => return Ok(plan),
        _ => {}
    }
    // Before any look: a lenient backend may guess another encoding and read what is not seen here.
    let excerpt = Excerpt::of(body.slices()).map_err(|_| request::not_utf_8())?;
    let look = match request::look(&excerpt) {
        Ok(look) => look,
        // What a backend of the operator's own takes may be any JSON.
        Err(_) if endpoint.body == routes::Body::Any => return Ok(plan),
        Err(error) => return Err(error),
    };
    plan.is_json = endpoint.body != routes::Body::Any;
    if look.overrides_request {
        return Err(request::refused_override());
    }
    let taken = match endpoint.body {
        routes::Body::Form => Taken::AsForm,
        _ => Taken::AsJson,
    };
    plan.references = references::references(&excerpt, taken)?;
    plan.keeping = look.keeping;
    plan.model = look.model;
    plan.expected.stream = look.stream;
    if let Some(splice) = look.splice
        && endpoint.body == routes::Body::JsonAskingUsage
        && stream_usage == StreamUsage::Ask
    {
        plan.body = splice.apply(body);
        plan.unedited = (!look.sends_stream_options).then(|| body.clone());
        plan.expected.usage_only_events = UsageOnlyEvents::TakeOut;
    }
    Ok(plan)
}

//! Checks the input of a batch, a file of requests that the backend runs on its own. Each of them
//! is checked as if it had come by itself, before the batch is made. The file is read from the
//! backend line by line, because it was uploaded without a look into it.

use std::{collections::HashSet, sync::Arc};

use actix_web::{
    http::{Method, StatusCode},
    web,
};
use bytes::BytesMut;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess},
};
use serde_json::value::RawValue;

use super::subrequest;
use crate::proxy::{
    accounting::request_context::RequestContext,
    admission::{body_budget::BodyShare, demand::Conditions, owners::unknown_object},
    error::ApiError,
    request::{
        self, AskedUsage, LimitEdits,
        asked::{OutputLimit, asked_usage},
        prepare::MAX_SEARCHED_BY_WORKER_BYTES,
        references::{self, REQUEST_ID, Reference, Taken},
    },
    response::{backend_error::unreadable, read::next_bytes},
    routes::{Endpoint, Endpoints, ObjectEffect},
    state::{Shared, Worker},
};
use crate::{
    json::{Excerpt, LooseName, PartReader, for_each_member, skip_value},
    limits::{Demand, UserRules},
    model::{Claim, ObjectKind, ServiceTier, now_ms},
};

/// Ids that the lines of a batch may give to items, the caller's own among them, as a bound on
/// memory. Those that are not the caller's own are counted when all lines are read.
const MAX_GIVEN_IDS_OF_BATCH: usize = 100_000;
/// Ids that are looked up together.
const LOOK_UP_IDS: usize = 1_000;

/// One request of a batch. A member that is doubled, in whatever spelling, or missing makes it
/// unreadable.
struct Line<'a> {
    method: Option<String>,
    url: String,
    body: &'a RawValue,
}

impl<'de> Deserialize<'de> for Line<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = LineMembers::default();
        for_each_member(deserializer, &mut members)?;
        let LineMembers {
            method, url, body, ..
        } = members;
        Ok(Self {
            method,
            url: url.ok_or_else(|| D::Error::missing_field("url"))?,
            body: body.ok_or_else(|| D::Error::missing_field("body"))?,
        })
    }
}

/// The members of a line as far as they were read.
#[derive(Default)]
struct LineMembers<'a> {
    /// `None` for a null too.
    method: Option<String>,
    has_method: bool,
    url: Option<String>,
    body: Option<&'a RawValue>,
}

impl<'de> PartReader<'de> for LineMembers<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        let name = LooseName::of(name);
        let is_doubled = if name.is("method") {
            self.method = object.next_value()?;
            std::mem::replace(&mut self.has_method, true)
        } else if name.is("url") {
            self.url.replace(object.next_value()?).is_some()
        } else if name.is("body") {
            self.body.replace(object.next_value()?).is_some()
        } else {
            skip_value(object)?;
            false
        };
        if is_doubled {
            return Err(A::Error::custom("a doubled member"));
        }
        Ok(())
    }
}

/// Checks all requests of a batch.
///
/// # Errors
/// 404 for a request that refers to what is not the caller's own, 400 for one that cannot be read
/// or asks for what is not served.
pub async fn check_input(
    worker: &Worker,
    context: &mut RequestContext<'_>,
    references: &[Reference],
) -> Result<(), ApiError> {
    let inputs = references
        .iter()
        .filter(|reference| reference.member == "input_file_id");
    for Reference { claim, .. } in inputs {
        let (given, demand) = check_file(worker, context, &claim.id).await?;
        context.batch_demand.get_or_insert_default().add(&demand);
        if let Some(recorder) = &mut context.recorder {
            recorder.add_client_ids(given.iter());
        }
    }
    super::reserve_given_ids(worker, context).await
}

/// Checks the lines of one file. Returns the ids that they give to items which the backend may
/// keep, and what they can use together if the user has limits.
async fn check_file(
    worker: &Worker,
    context: &RequestContext<'_>,
    id: &str,
) -> Result<(HashSet<Claim>, Demand), ApiError> {
    let shared = &worker.shared;
    let user_id = context.arrival.caller.id;
    let _permit = shared.admission.admit_own(user_id).await?;
    let target = format!("/v1/files/{id}/content");
    let mut response = subrequest::get(worker, context.request, &target).await?;
    match response.status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(unknown_object(id).with_param("input_file_id")),
        _ => return Err(unreadable()),
    }
    let mut check = Check {
        shared,
        rules: context.rules.clone(),
        demand: Demand::default(),
        line: 0,
        claims: HashSet::new(),
        given: HashSet::new(),
    };
    let mut carry = BytesMut::new();
    let mut share = BodyShare::default();
    loop {
        let read = next_bytes(&mut response).await?;
        let is_last = read.is_none();
        // Each byte of a long line is searched once.
        let mut searched = carry.len();
        carry.extend_from_slice(&read.unwrap_or_default());
        while let Some(end) = memchr::memchr(b'\n', &carry[searched..]) {
            check.line(carry.split_to(searched + end + 1)).await?;
            searched = 0;
        }
        if is_last {
            check.line(carry.split()).await?;
        }
        if carry.len() > shared.max_body_bytes {
            return Err(check.refuse("is too long"));
        }
        shared.admission.bodies.grow(&mut share, carry.len())?;
        if is_last || check.claims.len() >= LOOK_UP_IDS {
            let claims = check.claims.drain().collect();
            if let Some((_, id)) = shared
                .admission
                .owners
                .first_foreign(&context.arrival.caller, claims)
                .await?
            {
                return Err(unknown_object(&id).with_param("input_file_id"));
            }
        }
        if check.given.len() > MAX_GIVEN_IDS_OF_BATCH {
            return Err(check.refuse("gives ids of its own to too many items"));
        }
        if is_last {
            return Ok((check.given, check.demand));
        }
    }
}

struct Check<'s> {
    shared: &'s Arc<Shared>,
    /// The limits of the user.
    rules: Option<Arc<UserRules>>,
    /// What the lines can use together.
    demand: Demand,
    /// Lines so far.
    line: u64,
    /// What the lines refer to, as far as it was not looked up yet.
    claims: HashSet<Claim>,
    /// Ids that the lines give to items, some of which may be the caller's own.
    given: HashSet<Claim>,
}

/// What is wrong with a line.
enum Fault {
    Line(&'static str),
    Reference(ApiError),
}

impl Check<'_> {
    async fn line(&mut self, line: BytesMut) -> Result<(), ApiError> {
        self.line += 1;
        let edits = LimitEdits::of(self.rules.as_deref());
        let found = if line.len() > MAX_SEARCHED_BY_WORKER_BYTES {
            let shared = Arc::clone(self.shared);
            let searched = web::block(move || look_into(&shared.endpoints, &line, edits)).await;
            // The pool is gone only when the server stops.
            searched.map_err(|_| ApiError::ledger_unavailable())?
        } else {
            look_into(&self.shared.endpoints, &line, edits)
        };
        match found {
            Ok(None) => {}
            Ok(Some(content)) => {
                if let Some(rules) = self.rules.clone() {
                    self.apply_limits(&rules, &content)?;
                }
                let (looked_up, given): (Vec<_>, Vec<_>) = content
                    .claims
                    .into_iter()
                    .partition(|claim| claim.is_looked_up);
                self.claims.extend(looked_up);
                self.given.extend(given);
            }
            Err(Fault::Line(problem)) => return Err(self.refuse(problem)),
            Err(Fault::Reference(error)) => return Err(error),
        }
        Ok(())
    }

    /// Checks a line against the limits of the user, and adds what it can use.
    fn apply_limits(&mut self, rules: &UserRules, content: &LineContent) -> Result<(), ApiError> {
        let limits = &self.shared.admission.limits;
        let LineContent {
            endpoint,
            model,
            service_tier,
            asked,
            output_limit,
            further_models,
            ..
        } = content;
        let in_line = |error: ApiError| error.in_line(self.line);
        let checked = limits.check(rules, *endpoint, model, *output_limit);
        checked.map_err(in_line)?;
        for model in further_models {
            limits.check_model(rules, model).map_err(in_line)?;
        }
        let is_missing = output_limit.is_some_and(|limit| limit.is_missing());
        if let (Some(cap), Some(name)) = (rules.output_cap(), endpoint.own_output_limit())
            && is_missing
        {
            let problem = format!("names no `{name}`, which may be {} at most", cap.number);
            return Err(self.refuse(&problem));
        }
        let conditions = Conditions {
            endpoint: *endpoint,
            model,
            tier: service_tier.as_ref(),
            is_batch: true,
            at_ms: now_ms(),
        };
        let priced = limits.prices.demand(rules, conditions, asked);
        if !priced.is_priced {
            limits.check_unpriced(rules, model).map_err(in_line)?;
        }
        self.demand.add(&priced.demand);
        Ok(())
    }

    fn refuse(&self, problem: &str) -> ApiError {
        ApiError::invalid_request(
            StatusCode::BAD_REQUEST,
            None,
            format!(
                "Line {} of the batch's input file {problem}.",
                self.line.max(1)
            ),
        )
        .with_param("input_file_id")
    }
}

/// What matters of a line's request.
struct LineContent {
    /// What it refers to.
    claims: Vec<Claim>,
    endpoint: Endpoint,
    model: String,
    service_tier: Option<ServiceTier>,
    asked: AskedUsage,
    output_limit: Option<OutputLimit>,
    further_models: Vec<String>,
}

/// Looks into a line; `None` for an empty one.
fn look_into(
    endpoints: &Endpoints,
    line: &[u8],
    edits: LimitEdits,
) -> Result<Option<LineContent>, Fault> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    // Some servers end a line at a carriage return.
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.contains(&b'\r') {
        return Err(Fault::Line("has a carriage return in it"));
    }
    let text = std::str::from_utf8(line).map_err(|_| Fault::Line("is not UTF-8"))?;
    let Line { method, url, body } = serde_json::from_str(text)
        .map_err(|_| Fault::Line("is no JSON object with `url` and `body`"))?;
    let is_post = method.is_none_or(|method| method == "POST");
    let served = endpoints.find(&Method::POST, &url).ok().filter(|found| {
        found.ids.is_empty()
            && matches!(
                found.endpoint.effect,
                ObjectEffect::Nothing | ObjectEffect::Chat | ObjectEffect::Response
            )
    });
    let Some(endpoint) = served.filter(|_| is_post).map(|found| found.endpoint) else {
        return Err(Fault::Line("asks for a URL that is not served in batches"));
    };
    let body = Excerpt::of([body.get().as_bytes()]).map_err(|_| Fault::Line("is not UTF-8"))?;
    let look =
        request::inspect(&body).map_err(|_| Fault::Line("has a body that is no JSON object"))?;
    if look.overrides_request {
        return Err(Fault::Line("would override its method or path"));
    }
    if look.storage.background {
        return Err(Fault::Line(
            "asks for `background`, which batches are not served with",
        ));
    }
    let references = references::references(&body, Taken::AsJson).map_err(Fault::Reference)?;
    if references.iter().any(|found| found.member == REQUEST_ID) {
        return Err(Fault::Line("has a `request_id`, which is not taken here"));
    }
    let names_conversation = |found: &Reference| found.claim.kind == ObjectKind::Conversation;
    let leaves_items =
        look.storage.store != Some(false) || references.iter().any(names_conversation);
    let claims = references.into_iter().map(|found| found.claim);
    let claims = claims.filter(|claim| claim.is_looked_up || leaves_items);
    let output_limit = OutputLimit::of(endpoint, &look.output);
    Ok(Some(LineContent {
        claims: claims.collect(),
        endpoint,
        asked: asked_usage(&body, look.output.choices, output_limit, edits),
        model: look.model,
        service_tier: look.service_tier,
        output_limit,
        further_models: look.further_models,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Result<Vec<String>, Fault> {
        let content = look_into(
            &Endpoints::default(),
            line.as_bytes(),
            LimitEdits::default(),
        )?;
        let claims = content.map_or_else(Vec::new, |content| content.claims);
        Ok(claims.into_iter().map(|claim| claim.id).collect())
    }

    #[test]
    fn a_batch_line_is_checked_like_a_request() {
        let line = r#"{"custom_id":"1","method":"POST","url":"/v1/responses","body":{"input":"x","previous_response_id":"resp_1"}}"#;
        assert_eq!(check(line).ok().unwrap(), ["resp_1"]);
        assert!(check("  \r\n").ok().unwrap().is_empty());
        for other_style in [
            r#"{"URL":"/v1/responses","Body":{"Previous_Response_Id":"resp_1"}}"#,
            r#"{"url":"/v1/responses","body":{"previousResponseId":"resp_1"}}"#,
        ] {
            assert_eq!(check(other_style).ok().unwrap(), ["resp_1"]);
        }
        let number = r#"{"url":"/v1/responses","body":{"previous_response_id":5}}"#;
        assert!(matches!(check(number), Err(Fault::Reference(_))));
        for line in [
            "x",
            "[]",
            r#"{"url":"/v1/chat/completions"}"#,
            r#"{"url":"/v1/chat/completions","body":[]}"#,
            r#"{"url":"/v1/chat/completions","body":{},"body":{"file_id":"x"}}"#,
            r#"{"url":"/v1/chat/completions","body":{},"Body":{"file_id":"x"}}"#,
            r#"{"url":"/v1/chat/completions","body":{},"URL":"/v1/files"}"#,
            r#"{"url":"/v1/chat/completions","body":{},"_body":{"file_id":"x"}}"#,
            r#"{"url":"/v1/responses","body":{},"method":"POST","Method":"GET"}"#,
            r#"{"url":"/v1/responses","body":{"Background":true}}"#,
            r#"{"url":"/v1/responses","body":{"backGround":true}}"#,
            r#"{"url":"/v1/responses","body":{"_method":"DELETE"}}"#,
            r#"{"url":"/v1/files","body":{}}"#,
            r#"{"url":"/v1/organization/users","body":{}}"#,
            r#"{"method":"GET","url":"/v1/chat/completions","body":{}}"#,
            r#"{"url":"/v1/responses","body":{"background":true}}"#,
            "{\"url\":\"/v1/responses\",\r\"body\":{}}",
        ] {
            assert!(matches!(check(line), Err(Fault::Line(_))), "{line}");
        }
    }
}

//! Lists of stored objects, each user's own only. The backend lists the objects of all users; its
//! pages are read until the page that was asked for is full, so that `limit`, `after` and
//! `has_more` mean what they mean without a proxy.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, http::header};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{billing, subrequest};
use crate::proxy::{
    accounting::{recorder::missing_entry, request_context::RequestContext},
    admission::owners::unknown_object,
    error::ApiError,
    headers::keep_end_to_end,
    request::prepare::Expected,
    response::{answer, backend_error::unreadable, read::whole_body},
    state::Worker,
};
use crate::{
    model::{Entry, ObjectKind, Outcome},
    store::objects::OwnObject,
    usage::Meter,
};

/// Objects in a page of the backend, and the default lengths of OpenAI's API reference. Files have
/// longer pages.
const PAGE: usize = 100;
const FILES_PAGE: usize = 1_000;
const DEFAULT_LIMIT: usize = 20;
const FILES_DEFAULT_LIMIT: usize = 10_000;
/// Pages that are read for one list. Objects that are on none of them are asked for by their ids.
const MAX_PAGES: usize = 20;
/// Objects that are asked for by their ids to fill one page.
const MAX_FILL_REQUESTS: usize = 100;
/// Filters of lists that name a member of the objects.
const FILTERS: [&str; 4] = ["purpose", "model", "name", "status"];
const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;
/// Objects on no page that are checked one by one for whether they are missing, so that a list does
/// not wait long.
const MAX_MISSING_CHECKS: usize = 5;

/// A page as the backend lists it.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    data: Vec<Box<RawValue>>,
    has_more: Option<bool>,
}

#[derive(Deserialize)]
struct WithId {
    id: String,
}

/// A page as the client gets it.
#[derive(Serialize)]
struct Page {
    object: &'static str,
    data: Vec<Box<RawValue>>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

/// What the client asks for.
struct Query {
    /// Order and filters, sent on as they came.
    others: Vec<(String, String)>,
    limit: Option<String>,
    /// `after` or `before`: the side of the cursor on which the page is.
    direction: &'static str,
    cursor: Option<String>,
    /// The id in `before` if both are given. The page ends there.
    stop: Option<String>,
}

/// Answers with a page of the caller's own objects.
pub async fn own_page(
    worker: &Worker,
    context: RequestContext<'_>,
    kind: ObjectKind,
) -> Result<HttpResponse, ApiError> {
    let (request, user_id) = (context.request, context.arrival.caller.id);
    let query = Query::parse(request.query_string());
    let own = worker
        .shared
        .admission
        .owners
        .look_up(move |store| store.own_objects(user_id, kind))
        .await?;
    let bounds = [(query.direction, &query.cursor), ("before", &query.stop)];
    for (name, id) in bounds {
        if let Some(id) = id.as_ref().filter(|id| !own.contains_key(*id)) {
            return Err(unknown_object(id).with_param(name));
        }
    }
    let mut exchange = worker.admit(context).await?;

    let mut builder = PageBuilder::new(user_id, kind, own, query.limit(kind));
    let mut cursor = query.cursor.clone();
    let mut headers = None;
    for page in 0..MAX_PAGES {
        let target = query.target(request.path(), kind, cursor.as_deref());
        let mut response = subrequest::get(worker, request, &target).await?;
        if response.status != StatusCode::OK {
            // After the first page the cursor may be another user's object, and just deleted.
            if page > 0 {
                return Err(list_changed());
            }
            if response.status.is_success() || response.status.is_redirection() {
                return Err(unreadable());
            }
            // The backend says what is wrong with the query.
            let expected = Expected::unedited(false);
            return answer::answer(
                response,
                Bytes::new(),
                exchange,
                worker.streams(),
                expected,
                None,
            )
            .await;
        }
        let budget = &worker.shared.admission.bodies;
        let body = whole_body(&mut response, MAX_PAGE_BYTES, budget).await?;
        let listed: Listed = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        headers = Some(response.headers);
        let is_last = !listed.has_more.unwrap_or(false);
        let next = builder.take(listed.data, &query);
        let all_seen = query.cursor.is_none() && builder.unseen.is_empty();
        // A cursor that does not move would be asked for again and again.
        let is_end = next.is_none() || next == cursor;
        if builder.page.has_more || all_seen || is_last || is_end {
            builder.is_complete = true;
            break;
        }
        cursor = next;
    }
    if !builder.is_complete {
        builder.fill_by_id(worker, request, &query).await;
    }
    let PageBuilder {
        page,
        mut entries,
        unseen,
        ..
    } = builder;
    // A filter leaves out objects that are there, and what comes after a full page was not looked
    // for.
    if query.is_of_all() && !page.has_more {
        let unseen = unseen.into_keys().take(MAX_MISSING_CHECKS);
        entries.extend(missing_of(worker, request, user_id, unseen).await);
    }
    if worker.accounting.ledger.commit(entries).await.is_err() {
        return Err(ApiError::ledger_unavailable().retry_after(5));
    }
    exchange.set_answer(StatusCode::OK.as_u16(), None, Meter::opaque());
    // There is nothing to book, but the access log gets its line.
    let _ = exchange.commit(Outcome::Completed).await;
    let mut response = HttpResponse::Ok();
    for (name, value) in &keep_end_to_end(headers.unwrap_or_default()) {
        let is_of_body = matches!(
            *name,
            header::CONTENT_TYPE | header::CONTENT_ENCODING | header::ETAG | header::LAST_MODIFIED
        );
        if !is_of_body {
            response.append_header((name, value));
        }
    }
    Ok(response.json(page))
}

/// Looks for some of the caller's objects by their ids, and returns entries for those that are
/// missing.
async fn missing_of(
    worker: &Worker,
    request: &HttpRequest,
    user_id: i64,
    ids: impl Iterator<Item = String>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for id in ids {
        let target = format!("{}/{id}", request.path());
        match subrequest::get(worker, request, &target).await {
            Ok(mut response) => {
                if subrequest::reports_missing(worker, &mut response, &id).await {
                    entries.push(missing_entry(id, user_id));
                }
            }
            // A later list looks again.
            Err(_) => break,
        }
    }
    entries
}

fn list_changed() -> ApiError {
    ApiError::server(
        StatusCode::SERVICE_UNAVAILABLE,
        "list_changed",
        "The list changed while it was read. Try again.",
    )
    .retry_after(1)
}

/// The page for the client while it fills.
struct PageBuilder {
    user_id: i64,
    kind: ObjectKind,
    /// The caller's objects that were on no page so far.
    unseen: HashMap<String, OwnObject>,
    limit: usize,
    page: Page,
    /// What the batches on the pages say of themselves.
    entries: Vec<Entry>,
    /// No other object can belong on the page.
    is_complete: bool,
}

impl PageBuilder {
    fn new(user_id: i64, kind: ObjectKind, own: HashMap<String, OwnObject>, limit: usize) -> Self {
        Self {
            user_id,
            kind,
            unseen: own,
            limit,
            page: Page {
                object: "list",
                data: Vec::new(),
                first_id: None,
                last_id: None,
                has_more: false,
            },
            entries: Vec::new(),
            is_complete: false,
        }
    }

    /// Takes the caller's own objects from a page. Returns the id after which the next page begins.
    fn take(&mut self, data: Vec<Box<RawValue>>, query: &Query) -> Option<String> {
        let mut next = None;
        let is_backward = query.direction == "before";
        // Backwards, the object nearest to the cursor is the last.
        let objects: Box<dyn Iterator<Item = Box<RawValue>>> = if is_backward {
            Box::new(data.into_iter().rev())
        } else {
            Box::new(data.into_iter())
        };
        for object in objects {
            let Ok(WithId { id }) = serde_json::from_str(object.get()) else {
                continue;
            };
            if query.stop.as_ref() == Some(&id) {
                return None;
            }
            next = Some(id.clone());
            let Some(OwnObject { is_billed, .. }) = self.unseen.remove(&id) else {
                continue;
            };
            if self.page.data.len() == self.limit {
                self.page.has_more = true;
                break;
            }
            self.bill_listed(&id, is_billed, &object);
            if is_backward {
                self.page.data.insert(0, object);
                self.page.last_id.get_or_insert_with(|| id.clone());
                self.page.first_id = Some(id);
            } else {
                self.page.data.push(object);
                self.page.first_id.get_or_insert_with(|| id.clone());
                self.page.last_id = Some(id);
            }
        }
        next
    }

    /// Fills the page with objects that were on no page of the backend, because other users have
    /// made so many: one by one, in the order in which they were made.
    async fn fill_by_id(&mut self, worker: &Worker, request: &HttpRequest, query: &Query) {
        for (looks, id) in self.behind_cursor(query).into_iter().enumerate() {
            if query.stop.as_ref() == Some(&id) {
                return;
            }
            if self.page.data.len() == self.limit || looks == MAX_FILL_REQUESTS {
                self.page.has_more = true;
                return;
            }
            let target = format!("{}/{id}", request.path());
            let looked = async {
                let mut response = subrequest::get(worker, request, &target).await?;
                if response.status != StatusCode::OK {
                    let is_missing = subrequest::reports_missing(worker, &mut response, &id).await;
                    return Ok((is_missing, None));
                }
                let budget = &worker.shared.admission.bodies;
                let body = whole_body(&mut response, MAX_PAGE_BYTES, budget).await?;
                Ok::<_, ApiError>((false, serde_json::from_slice::<Box<RawValue>>(&body).ok()))
            };
            match looked.await {
                Ok((_, Some(object))) if query.admits(&object) => {
                    self.take(vec![object], query);
                }
                Ok((true, None)) => self.entries.push(missing_entry(id, self.user_id)),
                Ok(_) => {}
                // What was found is shown. There is more, and a later list looks again.
                Err(_) => {
                    self.page.has_more = true;
                    return;
                }
            }
        }
    }

    /// Returns the ids of the caller's unseen objects after the cursor, the nearest first.
    fn behind_cursor(&self, query: &Query) -> Vec<String> {
        let mut own: Vec<(&String, i64)> = self
            .unseen
            .iter()
            .map(|(id, object)| (id, object.made_at_ms))
            .collect();
        own.sort_unstable_by(|(a, a_ms), (b, b_ms)| (a_ms, a).cmp(&(b_ms, b)));
        if query.is_newest_first(self.kind) {
            own.reverse();
        }
        if query.direction == "before" {
            own.reverse();
        }
        let ids = own.into_iter().map(|(id, _)| id.clone());
        match &query.cursor {
            None => ids.collect(),
            Some(cursor) => ids.skip_while(|id| id != cursor).skip(1).collect(),
        }
    }

    /// Bills a batch that a list shows, as a look at it would.
    fn bill_listed(&mut self, id: &str, is_billed: bool, object: &RawValue) {
        if self.kind != ObjectKind::Batch {
            return;
        }
        let entries = billing::entries_of_batch(id, self.user_id, object.get().as_bytes());
        let new = entries
            .into_iter()
            .filter(|entry| !(is_billed && matches!(entry, Entry::Billed { .. })));
        self.entries.extend(new);
    }
}

impl Query {
    fn parse(query: &str) -> Self {
        let mut parsed = Self {
            others: Vec::new(),
            limit: None,
            direction: "after",
            cursor: None,
            stop: None,
        };
        let (mut after, mut before) = (None, None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "limit" => parsed.limit = Some(value),
                "after" if !value.is_empty() => after = Some(value),
                "before" if !value.is_empty() => before = Some(value),
                "after" | "before" => {}
                _ => parsed.others.push((name.into_owned(), value)),
            }
        }
        match after {
            Some(_) => (parsed.cursor, parsed.stop) = (after, before),
            None if before.is_some() => (parsed.direction, parsed.cursor) = ("before", before),
            None => {}
        }
        parsed
    }

    /// Returns whether the list begins with the newest object, as it does unless the client asks
    /// otherwise. Chats begin with the oldest.
    fn is_newest_first(&self, kind: ObjectKind) -> bool {
        let order = self.others.iter().find(|(name, _)| name == "order");
        match order.map(|(_, order)| order.as_str()) {
            Some(order) => order != "asc",
            None => kind != ObjectKind::ChatCompletion,
        }
    }

    /// Returns whether an object passes the filters that name a member of it.
    fn admits(&self, object: &RawValue) -> bool {
        let members: HashMap<String, &RawValue> =
            serde_json::from_str(object.get()).unwrap_or_default();
        let mut filters = self
            .others
            .iter()
            .filter(|(name, _)| FILTERS.contains(&name.as_str()));
        filters.all(|(name, wanted)| {
            let value = members.get(name).map(|value| value.get());
            value
                .is_some_and(|value| serde_json::from_str::<&str>(value).is_ok_and(|v| v == wanted))
        })
    }

    /// Returns whether nothing but an order is asked for.
    fn is_of_all(&self) -> bool {
        self.cursor.is_none() && self.others.iter().all(|(name, _)| name == "order")
    }

    fn limit(&self, kind: ObjectKind) -> usize {
        let asked = self.limit.as_ref().and_then(|limit| limit.parse().ok());
        let (default, most) = match kind {
            ObjectKind::File => (FILES_DEFAULT_LIMIT, FILES_DEFAULT_LIMIT),
            _ => (DEFAULT_LIMIT, PAGE),
        };
        asked.unwrap_or(default).clamp(1, most)
    }

    /// Returns the path and query of the backend's page after `cursor`. A limit that is no number
    /// goes on as it is, for the backend to refuse.
    fn target(&self, path: &str, kind: ObjectKind, cursor: Option<&str>) -> String {
        let (page, most) = match kind {
            ObjectKind::File => (FILES_PAGE, FILES_DEFAULT_LIMIT),
            _ => (PAGE, PAGE),
        };
        let is_valid = |limit: &String| {
            limit
                .parse::<usize>()
                .is_ok_and(|limit| (1..=most).contains(&limit))
        };
        let limit = match &self.limit {
            Some(limit) if !is_valid(limit) => limit.clone(),
            _ => page.to_string(),
        };
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.others);
        query.append_pair("limit", &limit);
        if let Some(cursor) = cursor {
            query.append_pair(self.direction, cursor);
        }
        if let Some(stop) = &self.stop {
            query.append_pair("before", stop);
        }
        format!("{path}?{}", query.finish())
    }
}

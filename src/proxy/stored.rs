//! Stored objects are their maker's: what a request refers to is looked up before it goes on, what an answer makes is
//! remembered before it leaves. Another user's object and none at all are told in the same words, without asking the backend.

use std::time::Duration;

use actix_web::{
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderMap},
    },
    web,
};

use super::{
    ApiError, BATCHES, RESPONSES,
    auth::Caller,
    endpoint::{Keeps, Stateful},
    estimator::Estimate,
    ledger_unavailable,
    references::Reference,
    request,
};
use crate::{
    model::{Claim, Entry, ObjectKind, StoredObject, ms_ago, now_ms},
    store::{Store, StoreError, objects},
    usage::{Stored, is_id},
};

/// A backend of several servers may answer 404 for a moment after it has made an object; this is long for that.
const MIN_AGE: Duration = Duration::from_secs(60);

/// Who made what, for requests.
#[derive(Clone)]
pub struct Owners {
    pub store: Store,
}

impl Owners {
    /// Lets a request on whose path names the caller's own objects only; how the account of the first stands.
    ///
    /// # Errors
    /// 404 for others, 503 when the database cannot be read.
    pub(super) async fn check_path(
        &self,
        caller: &Caller,
        ids: &[(ObjectKind, &str)],
    ) -> Result<Account, ApiError> {
        let claims = ids.iter().map(|(kind, id)| Claim {
            id: (*id).to_owned(),
            kind: *kind,
            is_looked_up: true,
        });
        let (user_id, claims) = (caller.id, claims.collect::<Vec<_>>());
        let (foreign, is_open) = self
            .read(move |connection| {
                let place = objects::first_foreign(connection, user_id, &claims)?;
                let is_open = match claims.first() {
                    Some(first) => objects::is_pending(connection, &first.id)?,
                    None => false,
                };
                let foreign = place.and_then(|place| claims.into_iter().nth(place));
                Ok((foreign, is_open))
            })
            .await?;
        match foreign {
            Some(foreign) => Err(unknown_object(&foreign.id).with_param("id")),
            None if is_open => Ok(Account::Open),
            None => Ok(Account::Closed),
        }
    }

    /// The same for what a body refers to.
    pub(super) async fn check_references(
        &self,
        caller: &Caller,
        references: &[Reference],
    ) -> Result<(), ApiError> {
        let claims = references.iter().map(|reference| reference.claim.clone());
        match self.first_foreign(caller, claims.collect()).await? {
            Some((place, id)) => {
                let member = references.get(place).map(|reference| &reference.member);
                Err(unknown_object(&id).with_param(member.cloned().unwrap_or_default()))
            }
            None => Ok(()),
        }
    }

    /// The first claim that the caller may not make: its place and id.
    pub(super) async fn first_foreign(
        &self,
        caller: &Caller,
        claims: Vec<Claim>,
    ) -> Result<Option<(usize, String)>, ApiError> {
        if claims.is_empty() {
            return Ok(None);
        }
        let user_id = caller.id;
        self.read(move |connection| {
            let place = objects::first_foreign(connection, user_id, &claims)?;
            Ok(place.and_then(|place| Some((place, claims.get(place)?.id.clone()))))
        })
        .await
    }

    /// The entries that keep ids which a request brings along from becoming anybody's: a list of a conversation's items gives
    /// them back, and whoever has put another's id into a conversation of one's own could refer to the item behind it. Only ids
    /// of which nothing is known; what the user owns stays so. Not to take items from lists at all would close the same gap,
    /// and would make those nobody's that users know from lists only, such as their own messages.
    pub(super) async fn given(&self, keeping: &Keeping) -> Result<Vec<Entry>, ApiError> {
        if !keeping.notes_objects() || keeping.given_ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids = keeping.given_ids.iter().filter(|id| is_id(id));
        let ids: Vec<String> = ids.cloned().collect();
        let unknown = self
            .read(move |connection| objects::unknown(connection, ids))
            .await?;
        let entries = unknown.iter();
        Ok(entries
            .map(|id| keeping.made(id, ObjectKind::Given, true))
            .collect())
    }

    /// A query, on the blocking pool.
    ///
    /// # Errors
    /// 503 when the database cannot be read: what cannot be looked up is nobody's.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let store = self.store.clone();
        let answer = web::block(move || {
            let connection = store.connection()?;
            query(&connection).map_err(|error| store.explain(error))
        })
        .await;
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                log::error!("cannot look up who made an object: {error}");
                Err(ledger_unavailable().retry_after(5))
            }
            // The pool is gone: the server stops.
            Err(_) => Err(ledger_unavailable().retry_after(5)),
        }
    }
}

/// 404 as OpenAI's API answers for an id that it does not know.
pub(super) fn unknown_object(id: &str) -> ApiError {
    ApiError::invalid_request(
        StatusCode::NOT_FOUND,
        None,
        format!("No such object: {}", super::shortened(id, 300)),
    )
}

/// 404 for a body that refers to stored objects while they are closed.
pub(super) fn closed_reference(member: &str) -> ApiError {
    ApiError::closed(format!(
        "`{member}` refers to an object stored at the backend, which all users of this proxy would share. Send the content \
         itself; or its operator can open each user's own objects with STATEFUL_ENDPOINTS=private."
    ))
    .with_param(member.to_owned())
}

/// 404 for a response in the background while stored objects are closed.
pub(super) fn closed_background() -> ApiError {
    ApiError::closed(
        "`background` is closed: the answer would be kept where all users of this proxy can ask for it. Its operator can open \
         it, to each user's own responses, with STATEFUL_ENDPOINTS=private.",
    )
    .with_param("background")
}

/// Whether what an object used is yet to be booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    Open,
    /// It is booked, or nothing is used later.
    Closed,
}

/// What is remembered of one answer's objects, and when what they used is booked.
pub(super) struct Keeping {
    keeps: Keeps,
    user_id: i64,
    /// The object that the path names.
    path_id: Option<String>,
    /// That object's.
    account: Account,
    /// The request asks for a response in the background.
    is_background: bool,
    /// The object itself is remembered.
    is_remembered: bool,
    /// The request asks the backend to store nothing; containers live all the same.
    is_unstored: bool,
    /// What is booked of the object should it be deleted before it is done.
    unfinished: Option<Box<Estimate>>,
    /// The same, where it is known.
    given_up: Option<Entry>,
    /// Ids of items that the request brings along: a backend that gives them back has not made them.
    given_ids: Vec<String>,
}

/// How an answer is booked.
pub(super) enum Booking {
    /// As its endpoint says.
    AsUsual,
    /// Not now: it is not done, and is remembered until it is. If this answer made it, its id.
    Later { made: Option<String> },
    /// It was before; a look at it books nothing, and says so in the log.
    Before,
    /// Unless it was before, under the name of the endpoint that made the object.
    Once { id: String, endpoint: &'static str },
    /// With what the object had said before it was deleted, in which it is forgotten too.
    Unfinished(Box<Estimate>),
}

impl Keeping {
    pub(super) fn new(
        keeps: Keeps,
        stateful: Stateful,
        user_id: i64,
        path_id: Option<&str>,
        account: Account,
    ) -> Self {
        Self {
            keeps: match (stateful, keeps) {
                // Unless it is asked for.
                (Stateful::Off, _) | (_, Keeps::Audio) => Keeps::Nothing,
                (Stateful::Private, keeps) => keeps,
            },
            user_id,
            path_id: path_id.map(str::to_owned),
            account,
            is_background: false,
            is_remembered: false,
            is_unstored: false,
            unfinished: None,
            given_up: None,
            given_ids: Vec::new(),
        }
    }

    /// The request asks for a response in the background.
    pub(super) fn runs_in_background(&mut self) {
        self.is_background = true;
    }

    /// The request asks the backend to store nothing.
    pub(super) fn stores_nothing(&mut self) {
        self.is_unstored = true;
    }

    /// The request asks for an answer with audio.
    pub(super) fn asks_audio(&mut self) {
        self.keeps = Keeps::Audio;
    }

    /// Of the object that the path names.
    pub(super) fn account(&self) -> Account {
        self.account
    }

    /// The request deletes what is not done, and has used so much.
    pub(super) fn ends_unfinished(&mut self, estimate: Estimate) {
        self.unfinished = Some(Box::new(estimate));
    }

    /// The request deletes what the backend does not know.
    pub(super) fn ends_given_up(&mut self, row: Entry) {
        self.given_up = Some(row);
    }

    /// Whether the answer closes the account of what is not done.
    pub(super) fn has_unfinished(&self) -> bool {
        self.unfinished.is_some()
    }

    /// The request brings items along.
    pub(super) fn gives(&mut self, references: &[Reference]) {
        let given = references
            .iter()
            .filter(|reference| !reference.claim.is_looked_up)
            .filter(|reference| reference.claim.kind == ObjectKind::Item);
        self.given_ids
            .extend(given.map(|reference| reference.claim.id.clone()));
    }

    /// What must be written when the object that the path names is gone, as far as an answer that is no success names it.
    pub(super) fn gone_entry(&self, names: impl Fn(&str) -> bool) -> Option<Entry> {
        let id = self.path_id.clone().filter(|id| names(id))?;
        Some(gone(id, self.user_id))
    }

    /// Whether the answer's objects must be noted.
    pub(super) fn notes_objects(&self) -> bool {
        !matches!(
            self.keeps,
            Keeps::Nothing | Keeps::Forgotten | Keeps::Listed(_)
        )
    }

    /// What the answer makes uses its tokens later, and is not remembered so far.
    pub(super) fn awaits_name(&self) -> bool {
        let uses_later = match self.keeps {
            Keeps::Response => self.is_background,
            keeps => keeps == Keeps::Batch,
        };
        uses_later && self.path_id.is_none() && !self.is_remembered
    }

    /// What must be written before the first bytes of a long answer leave: the client can use the object from then on.
    pub(super) fn first_entries(&mut self, stored: Option<&Stored>) -> Vec<Entry> {
        let Some(id) = stored.and_then(|stored| stored.id.as_ref()) else {
            return Vec::new();
        };
        if std::mem::replace(&mut self.is_remembered, true) {
            return Vec::new();
        }
        match self.keeps {
            // Looked at again.
            Keeps::Response | Keeps::Batch if self.path_id.is_some() => Vec::new(),
            Keeps::Response if self.is_unstored => Vec::new(),
            Keeps::Response => {
                let is_settled = !self.is_background;
                vec![self.made(id, ObjectKind::Response, is_settled)]
            }
            Keeps::Batch => vec![self.made(id, ObjectKind::Batch, false)],
            Keeps::Made(kind) => vec![self.made(id, kind, true)],
            _ => Vec::new(),
        }
    }

    /// What must be written before the last byte of a successful answer leaves.
    pub(super) fn last_entries(&mut self, stored: Option<&Stored>) -> Vec<Entry> {
        let mut entries = self.first_entries(stored);
        if let (Keeps::Forgotten, Some(id), None) = (self.keeps, &self.path_id, &self.unfinished) {
            entries.extend(self.given_up.take());
            entries.push(Entry::Forgotten {
                id: id.clone(),
                user_id: self.user_id,
            });
        }
        let Some(stored) = stored else {
            return entries;
        };
        let parts: &[(&[String], ObjectKind)] = match self.keeps {
            Keeps::Response if self.is_unstored => &[(&stored.containers, ObjectKind::Container)],
            Keeps::Response => &[
                (&stored.items, ObjectKind::Item),
                (&stored.containers, ObjectKind::Container),
            ],
            Keeps::Items => &[(&stored.items, ObjectKind::Item)],
            Keeps::Audio => &[(&stored.audio, ObjectKind::Audio)],
            Keeps::Batch | Keeps::UploadedFile => &[(&stored.files, ObjectKind::File)],
            _ => &[],
        };
        for (ids, kind) in parts {
            let new = ids.iter().filter(|id| !self.given_ids.contains(id));
            entries.extend(new.map(|id| self.made(id, *kind, true)));
        }
        entries
    }

    /// How a successful answer is booked. One that tells its usage is done, wherever it says so.
    pub(super) fn booking(&mut self, stored: Option<&Stored>, tells_usage: bool) -> Booking {
        if let Some(estimate) = self.unfinished.take() {
            return Booking::Unfinished(estimate);
        }
        let endpoint = match self.keeps {
            Keeps::Response if self.is_background || self.path_id.is_some() => RESPONSES,
            Keeps::Batch => BATCHES,
            _ => return Booking::AsUsual,
        };
        if self.path_id.is_some() && self.account == Account::Closed {
            return Booking::Before;
        }
        let named = stored.and_then(|stored| stored.id.as_ref());
        let Some(id) = self.path_id.as_ref().or(named) else {
            // Nobody can come back to it: what it tells now is all that it will.
            return Booking::AsUsual;
        };
        let is_batch = self.keeps == Keeps::Batch;
        let is_done = |stored: &Stored| stored.is_final() || tells_usage && !is_batch;
        if !stored.is_some_and(is_done) {
            let is_new = self.path_id.is_none() && !is_batch;
            return Booking::Later {
                made: is_new.then(|| id.clone()),
            };
        }
        Booking::Once {
            id: id.clone(),
            endpoint,
        }
    }

    fn made(&self, id: &str, kind: ObjectKind, is_settled: bool) -> Entry {
        made(id, kind, self.user_id, is_settled)
    }
}

/// Whether an answer may say that there is no such object; it does when it names the object too. Other 404s are those of a
/// gateway whose backend is away, or of a backend that does not know the path.
pub(super) fn may_tell_gone(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::NOT_FOUND
        && headers.contains_key(CONTENT_TYPE)
        && request::is_json(headers)
}

/// The entry of an object that the backend told a user is not there.
pub(super) fn gone(id: String, user_id: i64) -> Entry {
    Entry::Gone {
        id,
        user_id,
        made_before_ms: ms_ago(MIN_AGE),
    }
}

/// The entry of a new object.
pub(super) fn made(id: &str, kind: ObjectKind, user_id: i64, is_settled: bool) -> Entry {
    Entry::Made(StoredObject {
        id: id.to_owned(),
        kind,
        user_id,
        made_at_ms: now_ms(),
        is_settled,
    })
}

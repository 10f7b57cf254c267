//! Stored objects are their maker's: what a request refers to is looked up before it goes on, what an answer makes is
//! remembered before it leaves. Another user's object and none at all are told in the same words, without asking the backend.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::{
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderMap},
    },
    web,
};

use super::{
    ApiError,
    auth::Caller,
    endpoint::{BATCHES, ObjectEffect, RESPONSES, Stateful},
    estimator::Estimate,
    references::{REQUEST_ID, Reference},
    request,
};
use crate::{
    model::{Account, Claim, Entry, Extent, ObjectKind, Origin, StoredObject, ms_ago, now_ms},
    store::{
        Store, StoreError,
        accounts::{self, AccountState},
        objects,
    },
    usage::{AnswerObjects, is_id},
};

/// Ids that one request may give to items.
const MAX_GIVEN_IDS: usize = 100;

/// A backend of several servers may answer 404 for a moment after it has made an object; this is long for that.
const MIN_AGE: Duration = Duration::from_secs(60);

/// Who made what, for requests.
#[derive(Clone)]
pub struct Owners {
    pub store: Store,
    pub giving: GivenIds,
}

/// Ids that requests in flight give to items. A list that shows one meanwhile makes it nobody's. Clones share them.
#[derive(Clone, Default)]
pub struct GivenIds(Arc<Mutex<HashMap<String, usize>>>);

impl GivenIds {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contains(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }
}

/// The ids that one request gives, in flight until dropped.
struct Giving {
    all: GivenIds,
    ids: Vec<String>,
}

impl Giving {
    fn start(all: &GivenIds, ids: Vec<String>) -> Self {
        let mut counts = all.lock();
        for id in &ids {
            *counts.entry(id.clone()).or_default() += 1;
        }
        drop(counts);
        Self {
            all: all.clone(),
            ids,
        }
    }
}

impl Drop for Giving {
    fn drop(&mut self) {
        let mut counts = self.all.lock();
        for id in &self.ids {
            if let Some(count) = counts.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(id);
                }
            }
        }
    }
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
    ) -> Result<AccountState, ApiError> {
        let claims = ids.iter().map(|(kind, id)| Claim {
            id: (*id).to_owned(),
            kind: *kind,
            is_looked_up: true,
        });
        let (user_id, claims) = (caller.id, claims.collect::<Vec<_>>());
        let (foreign, account) = self
            .read(move |connection| {
                let place = objects::first_foreign(connection, user_id, &claims)?;
                let account = match claims.first() {
                    Some(first) => accounts::account_state(connection, &first.id)?,
                    None => AccountState::Closed,
                };
                let foreign = place.and_then(|place| claims.into_iter().nth(place));
                Ok((foreign, account))
            })
            .await?;
        match foreign {
            Some(foreign) => Err(unknown_object(&foreign.id).with_param("id")),
            None => Ok(account),
        }
    }

    /// Refuses the cursor of a list, `after` or `before`, that names no object of the caller's own: the backend would tell whether
    /// there is one, and whoever asks could tell another user's from none at all.
    ///
    /// # Errors
    /// 404 for another's cursor as for an unknown one, 503 when the database cannot be read.
    pub(super) async fn check_cursors(
        &self,
        caller: &Caller,
        query: &str,
        kind: ObjectKind,
    ) -> Result<(), ApiError> {
        for (name, id) in url::form_urlencoded::parse(query.as_bytes()) {
            // A list refuses these under any other name (query.rs).
            if !matches!(name.as_ref(), "after" | "before") || id.is_empty() {
                continue;
            }
            let (user_id, cursor) = (caller.id, id.clone().into_owned());
            let is_own = self
                .read(move |connection| objects::is_cursor(connection, user_id, kind, &cursor))
                .await?;
            if !is_own {
                return Err(unknown_object(&id).with_param(name.into_owned()));
            }
        }
        Ok(())
    }

    /// The same for what a body refers to. The id of an item that is sent whole is not checked: it would have to be refused for
    /// another user's and let pass for an unknown one, which tells the two apart.
    pub(super) async fn check_references(
        &self,
        caller: &Caller,
        references: &[Reference],
    ) -> Result<(), ApiError> {
        let references: Vec<&Reference> = references
            .iter()
            .filter(|reference| reference.claim.is_looked_up)
            .collect();
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

    /// Notes which ids the backend is given that are none of the user's own objects, because it may keep the items that have them.
    ///
    /// # Errors
    /// 400 for more than [`MAX_GIVEN_IDS`], be they unknown or another's, 503 when the database cannot be read.
    pub(super) async fn note_given(&self, keeping: &mut ObjectRecorder) -> Result<(), ApiError> {
        if keeping.given_ids.is_empty() || !keeping.notes_objects() {
            return Ok(());
        }
        let (user_id, ids) = (keeping.user_id, keeping.given_ids.clone());
        let not_own = self
            .read(move |connection| objects::not_own(connection, user_id, ids))
            .await?;
        if not_own.len() <= MAX_GIVEN_IDS {
            keeping.giving = Some(Giving::start(&self.giving, not_own));
            return Ok(());
        }
        Err(ApiError::invalid_request(
            StatusCode::BAD_REQUEST,
            None,
            format!(
                "The request gives ids of its own to more than {MAX_GIVEN_IDS} items. Send items without ids, or with `store` false."
            ),
        ))
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
                Err(ApiError::ledger_unavailable().retry_after(5))
            }
            // The pool is gone: the server stops.
            Err(_) => Err(ApiError::ledger_unavailable().retry_after(5)),
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

/// 400 for a response whose id the client chooses: one that is used twice, or is another user's, would be booked to nobody.
pub(super) fn chosen_id() -> ApiError {
    ApiError::invalid_request(
        StatusCode::BAD_REQUEST,
        None,
        "`request_id` is not taken here: the backend gives each response an id of its own. Leave it out.",
    )
    .with_param(REQUEST_ID)
}

/// 404 for a body that refers to stored objects while they are closed.
pub(super) fn closed_reference(member: &str) -> ApiError {
    ApiError::closed(format!(
        "`{member}` refers to an object stored at the backend, which all users of this proxy would share. Send the content \
         itself: ask for responses with `\"store\": false` and `\"include\": [\"reasoning.encrypted_content\"]`, and send their items \
         whole. Or the proxy's operator can open each user's own objects with STATEFUL_ENDPOINTS=private."
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

/// What is remembered of one answer's objects, and when what they used is booked.
pub(super) struct ObjectRecorder {
    keeps: ObjectEffect,
    user_id: i64,
    /// The object that the path names.
    path_id: Option<String>,
    /// That object's account.
    account: AccountState,
    /// The answer is, or is to be, a response in the background.
    is_background: bool,
    /// The object itself, once it is remembered.
    remembered: Option<Remembered>,
    /// The request asks the backend to store nothing; containers live all the same.
    is_unstored: bool,
    /// The answer's audio is remembered too.
    keeps_audio: bool,
    /// What is booked of the object should it be deleted before it is done.
    unfinished: Option<Box<Estimate>>,
    /// The row that is booked if the backend does not know the object that the request deletes. It is boxed, because each request
    /// moves this struct and few have one.
    given_up: Option<Box<Entry>>,
    /// Ids of items that the request brings along: a backend that gives them back has not made them.
    given_ids: Vec<String>,
    /// Those that are none of the user's own, if the backend may keep the items: until it has, and that is written, nobody becomes
    /// their owner.
    giving: Option<Giving>,
    /// Ids that other requests give now.
    all_giving: GivenIds,
}

/// An object as it was remembered.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    made_at_ms: i64,
    is_billed: bool,
}

/// How an answer is booked.
pub(super) enum Booking {
    /// As its endpoint says.
    AsUsual,
    /// Not now: it is not done, and is remembered until it is. What passed of it is kept with this account.
    Later(Option<Account>),
    /// It was before; a look at it books nothing, and says so in the log.
    Before,
    /// Unless it was before, under the name of the endpoint that made the object where that is another.
    Once {
        account: Account,
        extent: Extent,
        endpoint: Option<&'static str>,
    },
    /// With what the object had said before it was deleted, in which it is forgotten too.
    Unfinished(Box<Estimate>),
}

impl ObjectRecorder {
    pub(super) fn new(
        keeps: ObjectEffect,
        stateful: Stateful,
        user_id: i64,
        path_id: Option<&str>,
        account: AccountState,
        all_giving: &GivenIds,
    ) -> Self {
        Self {
            keeps: match (stateful, keeps) {
                // Unless it is asked for.
                (Stateful::Off, _) | (_, ObjectEffect::Chat) => ObjectEffect::Nothing,
                (Stateful::Private, keeps) => keeps,
            },
            user_id,
            path_id: path_id.map(str::to_owned),
            account,
            is_background: false,
            remembered: None,
            is_unstored: false,
            keeps_audio: false,
            unfinished: None,
            given_up: None,
            given_ids: Vec::new(),
            giving: None,
            all_giving: all_giving.clone(),
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

    /// The request asks for a chat's answer with audio.
    pub(super) fn asks_audio(&mut self) {
        self.keeps_audio = true;
    }

    /// The request asks the backend to store a chat's answer.
    pub(super) fn stores_chat(&mut self) {
        self.keeps = ObjectEffect::Made(ObjectKind::ChatCompletion);
    }

    /// How the account of the object stands that the path names.
    pub(super) fn account(&self) -> AccountState {
        self.account
    }

    /// The request deletes what is not done, and has used so much.
    pub(super) fn ends_unfinished(&mut self, estimate: Estimate) {
        self.unfinished = Some(Box::new(estimate));
    }

    /// The request deletes what the backend does not know.
    pub(super) fn ends_given_up(&mut self, row: Entry) {
        self.given_up = Some(Box::new(row));
    }

    /// Whether the answer closes the account of what is not done.
    pub(super) fn has_unfinished(&self) -> bool {
        self.unfinished.is_some()
    }

    /// The request brings along what it claims to be; of items the ids are given by the client.
    pub(super) fn gives<'c>(&mut self, claims: impl Iterator<Item = &'c Claim>) {
        let given = claims
            .filter(|claim| !claim.is_looked_up && claim.kind == ObjectKind::Item)
            .map(|claim| &claim.id);
        let mut known: HashSet<String> = self.given_ids.iter().cloned().collect();
        for id in given.filter(|id| is_id(id)) {
            if known.insert(id.clone()) {
                self.given_ids.push(id.clone());
            }
        }
    }

    /// What must be written when the object that the path names is gone, as far as an answer that is no success names it.
    pub(super) fn missing_entry(&self, contains: impl Fn(&str) -> bool) -> Option<Entry> {
        let id = self.path_id.clone().filter(|id| contains(id))?;
        Some(gone(id, self.user_id))
    }

    /// Whether the answer's objects must be noted.
    pub(super) fn notes_objects(&self) -> bool {
        let notes = !matches!(
            self.keeps,
            ObjectEffect::Nothing | ObjectEffect::Forgotten | ObjectEffect::Listed(_)
        );
        notes || self.keeps_audio
    }

    /// What the answer makes uses its tokens later, and is not remembered so far.
    pub(super) fn awaits_name(&self) -> bool {
        let uses_later = match self.keeps {
            ObjectEffect::Response => self.is_background,
            keeps => keeps == ObjectEffect::Batch,
        };
        uses_later && self.path_id.is_none() && self.remembered.is_none()
    }

    /// The request looks at an object that was made before.
    pub(super) fn is_look(&self) -> bool {
        self.path_id.is_some()
    }

    /// Whatever the request says, an answer that goes on in the background opens an account. A stream is in progress until it ends,
    /// so it must say more than that.
    fn note_background(&mut self, stored: &AnswerObjects) {
        let is_made = self.keeps == ObjectEffect::Response && self.path_id.is_none();
        let is_queued = stored.was_queued || stored.background;
        let is_running = stored.status.as_deref() == Some("in_progress") && !stored.is_stream;
        self.is_background |= is_made && (is_queued || is_running);
    }

    /// What must be written before the first bytes of a long answer leave: the client can use the object from then on.
    pub(super) fn first_entries(&mut self, stored: Option<&AnswerObjects>) -> Vec<Entry> {
        let Some((stored, id)) = stored.and_then(|stored| Some((stored, stored.id.as_ref()?)))
        else {
            return Vec::new();
        };
        self.note_background(stored);
        let (kind, is_billed) = match self.keeps {
            // Looked at again.
            ObjectEffect::Response | ObjectEffect::Batch if self.path_id.is_some() => {
                return Vec::new();
            }
            ObjectEffect::Response if self.is_unstored && !self.is_background => return Vec::new(),
            ObjectEffect::Response => (ObjectKind::Response, !self.is_background),
            ObjectEffect::Batch => (ObjectKind::Batch, false),
            ObjectEffect::Made(kind) => (kind, true),
            _ => return Vec::new(),
        };
        // Once is enough, unless the answer says only later that it goes on.
        let made_at_ms = match self.remembered {
            Some(known) if known.is_billed == is_billed => return Vec::new(),
            Some(known) => known.made_at_ms,
            None => now_ms(),
        };
        self.remembered = Some(Remembered {
            made_at_ms,
            is_billed,
        });
        vec![Entry::Made(StoredObject {
            id: id.clone(),
            kind,
            user_id: self.user_id,
            made_at_ms,
            is_billed,
            origin: Origin::Produced,
        })]
    }

    /// The account of what the answer has just made, if that uses its tokens later.
    pub(super) fn new_account(&self, stored: Option<&AnswerObjects>) -> Option<Account> {
        let remembered = self.remembered.filter(|known| !known.is_billed)?;
        let id = stored?.id.clone()?;
        (self.keeps == ObjectEffect::Response).then_some(Account {
            id,
            made_at_ms: Some(remembered.made_at_ms),
        })
    }

    /// What must be written before the last byte of a successful answer leaves.
    pub(super) fn last_entries(&mut self, stored: Option<&AnswerObjects>) -> Vec<Entry> {
        let mut entries = self.first_entries(stored);
        if let (ObjectEffect::Forgotten, Some(id), None) =
            (self.keeps, &self.path_id, &self.unfinished)
        {
            entries.extend(self.given_up.take().map(|row| *row));
            entries.push(Entry::Forgotten {
                id: id.clone(),
                user_id: self.user_id,
            });
        }
        entries.extend(self.given_entries());
        let Some(stored) = stored else {
            return entries;
        };
        let audio = (&stored.audio[..], ObjectKind::Audio);
        let parts: &[(&[String], ObjectKind)] = match self.keeps {
            ObjectEffect::Response if self.is_unstored => {
                &[(&stored.containers, ObjectKind::Container)]
            }
            ObjectEffect::Response => &[
                (&stored.items, ObjectKind::Item),
                (&stored.containers, ObjectKind::Container),
            ],
            ObjectEffect::Items => &[(&stored.items, ObjectKind::Item)],
            ObjectEffect::Batch | ObjectEffect::UploadedFile => {
                &[(&stored.files, ObjectKind::File)]
            }
            _ => &[],
        };
        let audio = self.keeps_audio.then_some(audio);
        let origin = match self.keeps {
            ObjectEffect::Items => Origin::Listed,
            _ => Origin::Produced,
        };
        for (ids, kind) in parts.iter().copied().chain(audio) {
            let is_new = |id: &&String| {
                let is_given = self.given_ids.contains(id)
                    || origin == Origin::Listed && self.all_giving.contains(id);
                !is_given
            };
            let new = ids.iter().filter(is_new);
            entries.extend(new.map(|id| part(id, kind, self.user_id, origin)));
        }
        entries
    }

    /// The ids that the request has given to items become nobody's: a list of a conversation's items gives them back, and whoever
    /// has put another's id into a conversation of one's own could refer to the item behind it. What the user owns stays so. Not to
    /// take items from lists at all would close the same gap, and would make those nobody's that users know from lists only, such
    /// as their own messages.
    pub(super) fn given_entries(&self) -> Vec<Entry> {
        let Some(giving) = &self.giving else {
            return Vec::new();
        };
        let given = giving.ids.iter();
        given
            .map(|id| part(id, ObjectKind::Given, self.user_id, Origin::Listed))
            .collect()
    }

    /// How a successful answer is booked. One that reports its usage is done, wherever it does so; `reports_usage` is what is known
    /// when nothing more will come.
    pub(super) fn booking(
        &mut self,
        stored: Option<&AnswerObjects>,
        reports_usage: bool,
    ) -> Booking {
        if let Some(estimate) = self.unfinished.take() {
            return Booking::Unfinished(estimate);
        }
        if let Some(stored) = stored {
            self.note_background(stored);
        }
        let endpoint = match self.keeps {
            ObjectEffect::Response if self.is_background || self.path_id.is_some() => RESPONSES,
            ObjectEffect::Batch => BATCHES,
            ObjectEffect::Response if !reports_usage => return self.booking_of_cut(stored),
            _ => return Booking::AsUsual,
        };
        if self.path_id.is_some() && self.account == AccountState::Closed {
            return Booking::Before;
        }
        let named = stored.and_then(|stored| stored.id.as_ref());
        let Some(id) = self.path_id.as_ref().or(named) else {
            // Nobody can come back to it: what it tells now is all that it will.
            return Booking::AsUsual;
        };
        let made = self.remembered.filter(|_| self.path_id.is_none());
        let account = Account {
            id: id.clone(),
            made_at_ms: made.map(|known| known.made_at_ms),
        };
        let is_batch = self.keeps == ObjectEffect::Batch;
        let is_done = |stored: &AnswerObjects| stored.is_final() || reports_usage && !is_batch;
        if !stored.is_some_and(is_done) {
            return Booking::Later((!is_batch).then_some(account));
        }
        let is_cancelled = stored.is_some_and(|s| s.status.as_deref() == Some("cancelled"));
        Booking::Once {
            account,
            extent: if is_cancelled {
                Extent::Cut
            } else {
                Extent::Complete
            },
            endpoint: Some(endpoint),
        }
    }

    /// How an answer is booked that reports no usage. One that is not done may go on at the backend, and be read whole later: what
    /// it says then beyond what is booked now is booked too.
    fn booking_of_cut(&self, stored: Option<&AnswerObjects>) -> Booking {
        let Some((stored, made)) = stored.zip(self.remembered) else {
            return Booking::AsUsual;
        };
        match &stored.id {
            Some(id) if !stored.is_final() => Booking::Once {
                account: Account {
                    id: id.clone(),
                    made_at_ms: Some(made.made_at_ms),
                },
                extent: Extent::Cut,
                endpoint: None,
            },
            _ => Booking::AsUsual,
        }
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
    Entry::Missing {
        id,
        user_id,
        made_before_ms: ms_ago(MIN_AGE),
    }
}

/// The entry of a part of an answer, of which nothing is used later.
pub(super) fn part(id: &str, kind: ObjectKind, user_id: i64, origin: Origin) -> Entry {
    Entry::Made(StoredObject {
        id: id.to_owned(),
        kind,
        user_id,
        made_at_ms: now_ms(),
        is_billed: true,
        origin,
    })
}

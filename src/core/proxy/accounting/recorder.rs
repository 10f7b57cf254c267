//! The recorder of one request that concerns stored objects: what is remembered of the objects that
//! its answer makes, changes or deletes, and when what they used is booked.

use std::{collections::HashSet, time::Duration};

use super::{
    booking::{Booking, Facts, booking},
    estimator::Estimate,
};
use crate::{
    model::{Account, Claim, Entry, ObjectKind, Origin, StoredObject, ms_ago, now_ms},
    proxy::{
        admission::{
            auth::Caller,
            given_ids::{GivenIds, ReservedIds},
        },
        request::StorageOptions,
        routes::ObjectEffect,
    },
    store::accounts::AccountState,
    usage::{AnswerObjects, is_id},
};

/// Age below which an object is never taken for missing: a backend of several servers may answer
/// 404 for a moment after it has made an object.
const MIN_AGE: Duration = Duration::from_secs(60);

/// Records what one answer does to stored objects.
pub struct ObjectRecorder {
    effect: ObjectEffect,
    user_id: i64,
    key_id: i64,
    /// The object that the path identifies.
    path_id: Option<String>,
    /// The state of that object's account.
    account: AccountState,
    /// The answer is, or is to be, a response in the background.
    is_background: bool,
    /// The object that the answer makes, once it is remembered.
    remembered: Option<Remembered>,
    /// The request asks the backend to store nothing. Containers live all the same.
    is_unstored: bool,
    /// The ids of the answer's audio are remembered too.
    keeps_audio: bool,
    /// The estimate that is booked if the object is deleted before it is done.
    unfinished: Option<Box<Estimate>>,
    /// The row that is booked if the backend does not know the object that the request deletes.
    given_up: Option<Entry>,
    /// Ids of items that come with the request. A backend that returns them has not made them.
    given_ids: Vec<String>,
    /// Those of the ids that are none of the user's own, if the backend may keep the items. Nobody
    /// becomes their owner before the ids are written as given.
    giving: Option<ReservedIds>,
    /// The ids that all requests in flight give.
    given_by_all: GivenIds,
}

/// What is known of an object that was remembered.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    made_at_ms: i64,
    is_billed: bool,
}

impl ObjectRecorder {
    /// `path_id` is the object that the path identifies, and `account` the state of its account.
    #[must_use]
    pub fn new(
        effect: ObjectEffect,
        caller: &Caller,
        path_id: Option<&str>,
        account: AccountState,
        given_by_all: &GivenIds,
    ) -> Self {
        Self {
            effect,
            user_id: caller.id,
            key_id: caller.key_id,
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
            given_by_all: given_by_all.clone(),
        }
    }

    /// Records a chat whose answer is stored, or has audio that a later chat may refer to.
    #[must_use]
    pub fn of_chat(storage: StorageOptions, caller: &Caller, given_by_all: &GivenIds) -> Self {
        let effect = if storage.store == Some(true) {
            ObjectEffect::Made(ObjectKind::ChatCompletion)
        } else {
            ObjectEffect::Nothing
        };
        Self {
            keeps_audio: storage.audio,
            ..Self::new(effect, caller, None, AccountState::Closed, given_by_all)
        }
    }

    /// Notes that the request asks for a response in the background.
    pub fn set_background(&mut self) {
        self.is_background = true;
    }

    /// Notes that the request asks the backend to store nothing.
    pub fn set_unstored(&mut self) {
        self.is_unstored = true;
    }

    /// Returns the state of the account of the object that the path identifies.
    pub fn account(&self) -> AccountState {
        self.account
    }

    /// Notes that the request deletes an object that is not done, and what that has used so far.
    pub fn set_unfinished(&mut self, estimate: Estimate) {
        self.unfinished = Some(Box::new(estimate));
    }

    /// Notes that the request deletes an object that the backend does not know, and the row of what
    /// is kept of it.
    pub fn set_given_up(&mut self, row: Entry) {
        self.given_up = Some(row);
    }

    /// Returns whether the answer closes the account of an object that is not done.
    pub fn has_unfinished(&self) -> bool {
        self.unfinished.is_some()
    }

    /// Notes the ids that the request gives to the items it brings along.
    pub fn add_client_ids<'c>(&mut self, claims: impl Iterator<Item = &'c Claim>) {
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

    /// Returns the ids that the request gives to items which the backend may keep, if the answer's
    /// objects are noted at all.
    pub fn ids_to_reserve(&self) -> Option<Vec<String>> {
        let counts = self.notes_objects() && !self.given_ids.is_empty();
        counts.then(|| self.given_ids.clone())
    }

    /// Notes that these ids are counted in while the request is in flight.
    pub fn set_reserved(&mut self, giving: ReservedIds) {
        self.giving = Some(giving);
    }

    /// Returns what is written if the object of the path is missing, as far as the error answer
    /// contains its id.
    pub fn missing_object_entry(&self, names: impl Fn(&str) -> bool) -> Option<Entry> {
        let id = self.path_id.clone().filter(|id| names(id))?;
        Some(missing_entry(id, self.user_id))
    }

    /// Returns whether the answer's objects are noted.
    pub fn notes_objects(&self) -> bool {
        let notes = !matches!(
            self.effect,
            ObjectEffect::Nothing | ObjectEffect::Forgotten | ObjectEffect::Listed(_)
        );
        notes || self.keeps_audio
    }

    /// Returns whether the answer makes an object that uses its tokens later, and that is not
    /// remembered so far.
    pub fn awaits_name(&self) -> bool {
        let uses_later = match self.effect {
            ObjectEffect::Response => self.is_background,
            effect => effect == ObjectEffect::Batch,
        };
        uses_later && self.path_id.is_none() && self.remembered.is_none()
    }

    /// Returns whether the request looks at an object that was made before.
    pub fn is_retrieval(&self) -> bool {
        self.path_id.is_some()
    }

    /// Notes that the answer goes on in the background, whatever the request says, and so opens an
    /// account. A stream is in progress until it ends, so that its status alone does not say so.
    fn note_background(&mut self, stored: &AnswerObjects) {
        let is_made = self.effect == ObjectEffect::Response && self.path_id.is_none();
        let is_queued = stored.was_queued || stored.background;
        let is_running = stored.status.as_deref() == Some("in_progress") && !stored.is_stream;
        self.is_background |= is_made && (is_queued || is_running);
    }

    /// Returns what is written before the first bytes of a long answer leave, because the client
    /// can use the object from then on.
    pub fn first_entries(&mut self, stored: Option<&AnswerObjects>) -> Vec<Entry> {
        let Some((stored, id)) = stored.and_then(|stored| Some((stored, stored.id.as_ref()?)))
        else {
            return Vec::new();
        };
        self.note_background(stored);
        let (kind, is_billed) = match self.effect {
            // A look makes no object.
            ObjectEffect::Response | ObjectEffect::Batch if self.path_id.is_some() => {
                return Vec::new();
            }
            ObjectEffect::Response if self.is_unstored && !self.is_background => return Vec::new(),
            ObjectEffect::Response => (ObjectKind::Response, !self.is_background),
            ObjectEffect::Batch => (ObjectKind::Batch, false),
            ObjectEffect::Made(kind) => (kind, true),
            _ => return Vec::new(),
        };
        // An object is remembered once, unless the answer says only later that it goes on in the
        // background.
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
            key_id: self.key_id,
            made_at_ms,
            is_billed,
            origin: Origin::Produced,
            hold: None,
        })]
    }

    /// Returns the account of the object that the answer has just made, if that uses its tokens
    /// later.
    pub fn new_account(&self, stored: Option<&AnswerObjects>) -> Option<Account> {
        let remembered = self.remembered.filter(|known| !known.is_billed)?;
        let id = stored?.id.clone()?;
        (self.effect == ObjectEffect::Response).then_some(Account {
            id,
            made_at_ms: Some(remembered.made_at_ms),
        })
    }

    /// Returns what is written before the last byte of a successful answer leaves.
    pub fn last_entries(&mut self, stored: Option<&AnswerObjects>) -> Vec<Entry> {
        let mut entries = self.first_entries(stored);
        if let (ObjectEffect::Forgotten, Some(id), None) =
            (self.effect, &self.path_id, &self.unfinished)
        {
            entries.extend(self.given_up.take());
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
        let parts: &[(&[String], ObjectKind)] = match self.effect {
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
        let origin = match self.effect {
            ObjectEffect::Items => Origin::Listed,
            _ => Origin::Produced,
        };
        for (ids, kind) in parts.iter().copied().chain(audio) {
            let is_new = |id: &&String| {
                let is_given = self.given_ids.contains(id)
                    || origin == Origin::Listed && self.given_by_all.contains(id);
                !is_given
            };
            let new = ids.iter().filter(is_new);
            entries.extend(new.map(|id| part_entry(id, kind, self.user_id, origin)));
        }
        entries
    }

    /// Returns the entries that make the given ids of items unowned. A list of a conversation's
    /// items returns such an id, and a user who has put another's id into a conversation of their
    /// own could then refer to the item behind it. What the user owns stays theirs. Taking no items
    /// from lists at all would close the same gap, but would make items unowned that users know
    /// from lists only, such as their own messages.
    pub fn given_entries(&self) -> Vec<Entry> {
        let Some(giving) = &self.giving else {
            return Vec::new();
        };
        giving
            .ids()
            .iter()
            .map(|id| part_entry(id, ObjectKind::Given, self.user_id, Origin::Listed))
            .collect()
    }

    /// Decides how the answer is booked.
    pub fn booking(&mut self, facts: Facts<'_>) -> Booking {
        if let Some(stored) = facts.stored {
            self.note_background(stored);
        }
        let facts = Facts {
            path_id: self.path_id.as_deref(),
            is_background: self.is_background,
            deletes_unfinished: self.unfinished.is_some(),
            made_at_ms: self.remembered.map(|known| known.made_at_ms),
            ..facts
        };
        booking(self.effect, self.account, &facts)
    }

    /// Takes what is booked of an object that was deleted before it was done.
    pub fn take_unfinished(&mut self) -> Option<Box<Estimate>> {
        self.unfinished.take()
    }
}

/// Returns the entry of an object that the backend reported missing to a user.
pub fn missing_entry(id: String, user_id: i64) -> Entry {
    Entry::Missing {
        id,
        user_id,
        made_before_ms: ms_ago(MIN_AGE),
    }
}

/// Returns the entry of a part of an answer. Parts use nothing later.
pub fn part_entry(id: &str, kind: ObjectKind, user_id: i64, origin: Origin) -> Entry {
    Entry::Made(StoredObject {
        id: id.to_owned(),
        kind,
        user_id,
        key_id: 0,
        made_at_ms: now_ms(),
        is_billed: true,
        origin,
        hold: None,
    })
}

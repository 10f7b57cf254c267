//! Who has signed in to the page. Sessions are kept in memory, so that a restart, and with it every
//! change of the token, ends them all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{model::Secret, proxy::admission::auth::Caller};

/// Time without a request after which a session ends.
const MAX_IDLE: Duration = Duration::from_secs(2 * 3600);
/// Time after which a session ends in any case.
const MAX_AGE: Duration = Duration::from_secs(12 * 3600);
/// Sessions at once. Beyond that the one that was idle for longest ends.
const MAX_SESSIONS: usize = 5_000;
/// Sessions of one user, or of all operators together, so that nobody can end the sessions of
/// others by signing in again and again.
const MAX_SESSIONS_OF_ONE: usize = 32;
/// Random bytes of an id: nobody guesses 256 bits.
const ID_BYTES: usize = 32;

/// Who a session belongs to.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    /// An operator. `by_token` is false for one who needs none, which is checked on each request.
    Operator {
        by_token: bool,
    },
    User(Arc<Caller>),
}

impl Subject {
    /// Returns whom sessions are counted by.
    fn owner(&self) -> Option<i64> {
        match self {
            Self::Operator { .. } => None,
            Self::User(caller) => Some(caller.id),
        }
    }
}

/// A session, as a request sees it.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) subject: Subject,
    /// What each form of this session has to send.
    pub(super) csrf: String,
    id_hash: IdHash,
}

impl Session {
    /// Returns whether a form came from a page of this session.
    pub(super) fn has_csrf(&self, given: &str) -> bool {
        bool::from(self.csrf.as_bytes().ct_eq(given.as_bytes()))
    }
}

/// What the next page says about the last change.
#[derive(Debug, Clone)]
pub(super) enum Notice {
    Done(String),
    Failed(String),
    /// A key, which is shown this once.
    NewKey {
        username: String,
        key: Secret,
        note: String,
    },
}

/// Ids are looked up by their hashes, so that the time of a look-up says nothing about them.
type IdHash = [u8; 32];

/// All sessions.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<IdHash, Kept>>);

struct Kept {
    subject: Subject,
    csrf: String,
    notice: Option<Notice>,
    started: Instant,
    used: Instant,
}

impl Kept {
    fn has_ended(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) >= MAX_IDLE
            || now.saturating_duration_since(self.started) >= MAX_AGE
    }
}

impl Sessions {
    /// Starts a session and returns its id.
    ///
    /// # Errors
    /// If the operating system gives no random bytes.
    pub(super) fn start(&self, subject: Subject, now: Instant) -> Result<String, getrandom::Error> {
        let (id, csrf) = (random_text()?, random_text()?);
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| !session.has_ended(now));
        let owner = subject.owner();
        end_oldest(&mut sessions, MAX_SESSIONS_OF_ONE, |session| {
            session.subject.owner() == owner
        });
        end_oldest(&mut sessions, MAX_SESSIONS, |_| true);
        let session = Kept {
            subject,
            csrf,
            notice: None,
            started: now,
            used: now,
        };
        sessions.insert(hash_of(&id), session);
        Ok(id)
    }

    /// Finds a session. `is_use` says whether a person asked: what a page asks for by itself does
    /// not keep a session alive.
    pub(super) fn find(&self, id: &str, is_use: bool, now: Instant) -> Option<Session> {
        let id_hash = hash_of(id);
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get_mut(&id_hash)?;
        if session.has_ended(now) {
            sessions.remove(&id_hash);
            return None;
        }
        if is_use {
            session.used = now;
        }
        Some(Session {
            subject: session.subject.clone(),
            csrf: session.csrf.clone(),
            id_hash,
        })
    }

    pub(super) fn end(&self, session: &Session) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.remove(&session.id_hash);
    }

    /// Keeps a notice for the next page.
    pub(super) fn set_notice(&self, session: &Session, notice: Notice) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = sessions.get_mut(&session.id_hash) {
            kept.notice = Some(notice);
        }
    }

    pub(super) fn take_notice(&self, session: &Session) -> Option<Notice> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get_mut(&session.id_hash)?.notice.take()
    }
}

/// Ends the sessions that were idle for longest until there is room for one more among `max`.
fn end_oldest(sessions: &mut HashMap<IdHash, Kept>, max: usize, counts: impl Fn(&Kept) -> bool) {
    while sessions.values().filter(|session| counts(session)).count() >= max {
        let counted = sessions.iter().filter(|(_, session)| counts(session));
        let oldest = counted.min_by_key(|(_, session)| session.used);
        let Some(id_hash) = oldest.map(|(id_hash, _)| *id_hash) else {
            return;
        };
        sessions.remove(&id_hash);
    }
}

fn random_text() -> Result<String, getrandom::Error> {
    let mut random = [0; ID_BYTES];
    getrandom::fill(&mut random)?;
    Ok(HEXLOWER.encode(&random))
}

fn hash_of(id: &str) -> IdHash {
    Sha256::digest(id).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATOR: Subject = Subject::Operator { by_token: true };

    #[test]
    fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let id = sessions.start(OPERATOR, start).unwrap();
        assert!(sessions.find(&id, true, start + MAX_IDLE / 2).is_some());
        // Looking by itself keeps no session alive.
        let late = start + MAX_IDLE;
        assert!(sessions.find(&id, false, late).is_some());
        assert!(sessions.find(&id, false, late + MAX_IDLE / 2).is_none());

        let id = sessions.start(OPERATOR, start).unwrap();
        let mut now = start;
        while now < start + MAX_AGE {
            assert!(sessions.find(&id, true, now).is_some());
            now += MAX_IDLE / 2;
        }
        assert!(sessions.find(&id, true, start + MAX_AGE).is_none());
    }

    #[test]
    fn there_are_never_more_sessions_than_allowed() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let ids: Vec<String> = (0..=MAX_SESSIONS_OF_ONE)
            .map(|nth| {
                let at = start + Duration::from_secs(nth as u64);
                sessions.start(OPERATOR, at).unwrap()
            })
            .collect();
        let now = start + Duration::from_secs(100);
        assert!(sessions.find(&ids[0], true, now).is_none());
        assert!(sessions.find(&ids[1], true, now).is_some());
    }

    #[test]
    fn ids_are_long_and_never_the_same_and_a_notice_is_taken_once() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let (one, other) = (
            sessions.start(OPERATOR, now).unwrap(),
            sessions.start(OPERATOR, now).unwrap(),
        );
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
        let session = sessions.find(&one, true, now).unwrap();
        assert!(session.has_csrf(&session.csrf) && !session.has_csrf(""));
        sessions.set_notice(&session, Notice::Done("done".to_owned()));
        let other = sessions.find(&other, true, now).unwrap();
        assert!(sessions.take_notice(&other).is_none());
        assert!(sessions.take_notice(&session).is_some());
        assert!(sessions.take_notice(&session).is_none());
        sessions.end(&session);
        assert!(sessions.find(&one, true, now).is_none());
    }
}

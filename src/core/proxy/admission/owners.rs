//! Stored objects belong to the user who made them. What a request refers to is looked up before it
//! goes on; another user's object and none at all get the same answer, without asking the backend.

use actix_web::{http::StatusCode, web};

use super::{
    auth::Caller,
    given_ids::{GivenIds, ReservedIds},
};
use crate::{
    model::{Claim, ObjectKind},
    proxy::{
        error::{ApiError, shortened},
        request::references::{REQUEST_ID, Reference},
    },
    store::{Store, StoreError, accounts::AccountState},
};

/// Ids that one request may give to items.
const MAX_GIVEN_IDS: usize = 100;

/// Answers who owns an object.
#[derive(Clone)]
pub struct Owners {
    pub store: Store,
    pub giving: GivenIds,
}

impl Owners {
    /// Lets a request on if its path identifies the caller's own objects only. Returns the state of
    /// the first one's account.
    ///
    /// # Errors
    /// 404 for an object of another or of nobody, 503 if the database cannot be read.
    pub async fn check_path(
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
            .look_up(move |store| {
                let place = store.first_foreign(user_id, &claims)?;
                let account = match claims.first() {
                    Some(first) => store.account_state(&first.id)?,
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

    /// Refuses a list's cursor, `after` or `before`, that is no object of the caller's own. The
    /// backend would answer differently for another user's object and for none, so that the caller
    /// could tell the two apart.
    ///
    /// # Errors
    /// 404 for an object of another or of nobody, 503 if the database cannot be read.
    pub async fn check_cursors(
        &self,
        caller: &Caller,
        query: &str,
        kind: ObjectKind,
    ) -> Result<(), ApiError> {
        for (name, id) in url::form_urlencoded::parse(query.as_bytes()) {
            // A query that has these under another spelling was refused by query.rs.
            if !matches!(name.as_ref(), "after" | "before") || id.is_empty() {
                continue;
            }
            let (user_id, cursor) = (caller.id, id.clone().into_owned());
            let is_own = self
                .look_up(move |store| store.is_cursor(user_id, kind, &cursor))
                .await?;
            if !is_own {
                return Err(unknown_object(&id).with_param(name.into_owned()));
            }
        }
        Ok(())
    }

    /// Refuses a body that refers to objects which are not the caller's own. The id of an item that
    /// is sent as a complete item is not checked: it would have to be refused for another user's
    /// item and accepted for an unknown one, which tells the two apart.
    pub async fn check_references(
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

    /// Returns the position and id of the first claim that the caller may not make.
    ///
    /// # Errors
    /// 503 if the database cannot be read.
    pub async fn first_foreign(
        &self,
        caller: &Caller,
        claims: Vec<Claim>,
    ) -> Result<Option<(usize, String)>, ApiError> {
        if claims.is_empty() {
            return Ok(None);
        }
        let user_id = caller.id;
        self.look_up(move |store| {
            let place = store.first_foreign(user_id, &claims)?;
            Ok(place.and_then(|place| Some((place, claims.get(place)?.id.clone()))))
        })
        .await
    }

    /// Counts in those ids of a request's items that are none of the caller's own objects, because
    /// the backend may keep the items.
    ///
    /// # Errors
    /// 400 for more than [`MAX_GIVEN_IDS`], whether unknown or another's; 503 if the database
    /// cannot be read.
    pub async fn reserve(
        &self,
        caller: &Caller,
        ids: Vec<String>,
    ) -> Result<ReservedIds, ApiError> {
        let user_id = caller.id;
        let not_own = self
            .look_up(move |store| store.not_own(user_id, ids))
            .await?;
        if not_own.len() <= MAX_GIVEN_IDS {
            return Ok(ReservedIds::start(&self.giving, not_own));
        }
        Err(ApiError::invalid_request(
            StatusCode::BAD_REQUEST,
            None,
            format!(
                "The request gives ids of its own to more than {MAX_GIVEN_IDS} items. Send items without ids, or with `store` false."
            ),
        ))
    }

    /// Asks the database a question on the blocking pool.
    ///
    /// # Errors
    /// 503 if the database cannot be read: an object that cannot be looked up belongs to nobody.
    pub async fn look_up<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let store = self.store.clone();
        match web::block(move || question(&store)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let cause = format!("cannot look up stored objects: {error}");
                let answer = ApiError::ledger_unavailable().retry_after(5);
                Err(answer.with_cause(log::Level::Error, &cause))
            }
            // The pool is gone only when the server stops.
            Err(_) => Err(ApiError::ledger_unavailable().retry_after(5)),
        }
    }
}

/// 404 as OpenAI's API answers for an unknown id.
pub fn unknown_object(id: &str) -> ApiError {
    ApiError::invalid_request(
        StatusCode::NOT_FOUND,
        None,
        format!("No such object: {}", shortened(id, 300)),
    )
}

/// Returns the 400 for a response whose id the client chooses. An id that is used twice, or is
/// another user's, could not be booked to anybody.
pub fn chosen_id() -> ApiError {
    ApiError::invalid_request(
        StatusCode::BAD_REQUEST,
        None,
        "`request_id` is not taken here: the backend gives each response an id of its own. Leave it out.",
    )
    .with_param(REQUEST_ID)
}

/// Returns the 404 for a body that refers to stored objects while they are closed.
pub fn closed_reference(member: &str) -> ApiError {
    ApiError::closed(format!(
        "`{member}` refers to an object stored at the backend, which all users of this proxy would share. Send the content \
         itself: ask for responses with `\"store\": false` and `\"include\": [\"reasoning.encrypted_content\"]`, and send their items \
         whole. Or the proxy's operator can open each user's own objects with STATEFUL_ENDPOINTS=private."
    ))
    .with_param(member.to_owned())
}

/// Returns the 404 for a response in the background while stored objects are closed.
pub fn closed_background() -> ApiError {
    ApiError::closed(
        "`background` is closed: the answer would be kept where all users of this proxy can ask for it. Its operator can open \
         it, to each user's own responses, with STATEFUL_ENDPOINTS=private.",
    )
    .with_param("background")
}

#[cfg(test)]
mod tests;

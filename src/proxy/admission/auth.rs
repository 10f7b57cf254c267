//! Finds the caller of a request: its key is looked up by its hash in a snapshot of the users.
//! Requests ask the database nothing; the ledger's thread and the admin API replace the snapshot
//! when users change.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use arc_swap::ArcSwap;

use crate::proxy::{error::ApiError, headers::KEY_PROTOCOL};
use crate::{
    model::{ApiKey, KeyHash, User},
    store::StoreError,
};

/// The user behind a request.
#[derive(Debug)]
pub struct Caller {
    pub id: i64,
    pub key_id: i64,
    pub username: String,
    key_hash: KeyHash,
    is_active: bool,
}

/// All users by the hash of their key.
#[derive(Default)]
pub struct KeyTable {
    callers: ArcSwap<HashMap<KeyHash, Arc<Caller>>>,
    /// Held while users are read and swapped in, so that an older reading never replaces a newer
    /// one.
    refreshing: Mutex<()>,
}

impl KeyTable {
    /// Replaces the snapshot by what `read_users` returns.
    ///
    /// # Errors
    /// [`StoreError`] of the reading; the old snapshot stays.
    pub fn refresh(
        &self,
        read_users: impl FnOnce() -> Result<Vec<User>, StoreError>,
    ) -> Result<(), StoreError> {
        let _one_at_a_time = self
            .refreshing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let callers = read_users()?
            .into_iter()
            .map(|user| {
                let caller = Caller {
                    id: user.id,
                    key_id: user.id,
                    username: user.username,
                    key_hash: user.key_hash,
                    is_active: user.is_active,
                };
                (user.key_hash, Arc::new(caller))
            })
            .collect();
        self.callers.store(Arc::new(callers));
        Ok(())
    }

    /// Finds the caller of a request.
    ///
    /// # Errors
    /// 401 without a known key, 403 for a forbidden one.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Caller>, ApiError> {
        let key = key_of(headers)?;
        let Some(caller) = self.holder_of(key) else {
            if is_quote(key.first()) || is_quote(key.last()) {
                return Err(ApiError::unauthorized(
                    "invalid_api_key",
                    "The API key has quotes around it. Send it without them, and look how the program that sends it is given the key.",
                ));
            }
            return Err(ApiError::unauthorized(
                "invalid_api_key",
                "Incorrect API key provided. Ask the operator of this proxy for a key; it starts with llmp-.",
            ));
        };
        if !caller.is_active {
            return Err(ApiError::forbidden(
                "api_key_disabled",
                "This API key has been disabled by the operator of this proxy.",
            ));
        }
        Ok(caller)
    }

    /// Returns the user of a request's key, allowed or not. Used for the log.
    #[must_use]
    pub fn caller_for_log(&self, headers: &HeaderMap) -> Option<Arc<Caller>> {
        self.holder_of(key_of(headers).ok()?)
    }

    fn holder_of(&self, key: &[u8]) -> Option<Arc<Caller>> {
        self.callers.load().get(&ApiKey::hash_of(key)).cloned()
    }

    /// Returns whether a caller who was let in before would be let in now.
    #[must_use]
    pub fn still_allows(&self, caller: &Caller) -> bool {
        let callers = self.callers.load();
        let now = callers.get(&caller.key_hash);
        now.is_some_and(|now| now.is_active && now.id == caller.id)
    }
}

/// Returns whether the request has a key of the form that this proxy gives out, known or not.
#[must_use]
pub fn has_our_form(headers: &HeaderMap) -> bool {
    key_of(headers).is_ok_and(|key| std::str::from_utf8(key).is_ok_and(ApiKey::looks_like_one))
}

/// Returns the key of a request: `Authorization: Bearer …`, `api-key: …` as Azure's clients send
/// it, or `x-api-key: …` as Anthropic's do. `Authorization` counts before the other two. These may
/// both be there if they hold the same key. Two different keys are ambiguous and refused, and so is
/// a header that comes twice.
fn key_of(headers: &HeaderMap) -> Result<&[u8], ApiError> {
    if let Some(value) = only(headers.get_all(header::AUTHORIZATION))? {
        return bearer(value).ok_or_else(malformed);
    }
    let azure = only(headers.get_all("api-key"))?;
    let anthropic = only(headers.get_all("x-api-key"))?;
    match (azure, anthropic) {
        (Some(key), Some(other)) if key != other => Err(ApiError::unauthorized(
            "invalid_api_key",
            "The headers api-key and x-api-key hold two different keys. Send exactly one: Authorization: Bearer llmp-...",
        )),
        (Some(key), _) | (None, Some(key)) if !key.is_empty() => Ok(key),
        (Some(_), _) | (_, Some(_)) => Err(malformed()),
        (None, None) if headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) => {
            socket_key(headers).ok_or_else(malformed)
        }
        (None, None) => Err(ApiError::unauthorized(
            "invalid_api_key",
            "You didn't provide an API key. Send it in an Authorization header: Authorization: Bearer llmp-...",
        )),
    }
}

fn is_quote(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b'"' | b'\'' | b'`'))
}

/// Returns the value of a header that must not come twice.
fn only<'h>(
    mut values: impl Iterator<Item = &'h HeaderValue>,
) -> Result<Option<&'h [u8]>, ApiError> {
    let value = values.next().map(|value| value.as_bytes().trim_ascii());
    match values.next() {
        Some(_) => Err(malformed()),
        None => Ok(value),
    }
}

fn socket_key(headers: &HeaderMap) -> Option<&[u8]> {
    let mut keys = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|protocol| protocol.trim_ascii().strip_prefix(KEY_PROTOCOL.as_bytes()));
    match (keys.next(), keys.next()) {
        (Some(key), None) => Some(key),
        _ => None,
    }
}

/// Returns the token of a `Bearer` credential. The case of the scheme does not matter (RFC 9110
/// section 11.1).
#[must_use]
pub fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(6)?;
    let token = token.strip_prefix(b" ")?.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty() && !token.contains(&b' '))
        .then_some(token)
}

fn malformed() -> ApiError {
    ApiError::unauthorized(
        "invalid_api_key",
        "The key is malformed. Send exactly one header: Authorization: Bearer llmp-...",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "llmp-alice";
    const BOB: &str = "llmp-bob";

    fn user(id: i64, key: &str, is_active: bool) -> User {
        let api_key = ApiKey::from_text(key);
        User {
            id,
            username: key.trim_start_matches("llmp-").to_owned(),
            key_hash: api_key.hash(),
            api_key,
            created_at_ms: 0,
            is_active,
        }
    }

    /// A table with alice, and with bob, whose key is forbidden.
    fn alice_and_bob() -> KeyTable {
        let keys = KeyTable::default();
        keys.refresh(|| Ok(vec![user(1, ALICE, true), user(2, BOB, false)]))
            .unwrap();
        keys
    }

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_key_is_found_in_every_header_that_clients_use() {
        let keys = alice_and_bob();
        let socket = format!("realtime, {KEY_PROTOCOL}{ALICE}");
        for fields in [
            &[("authorization", "Bearer llmp-alice")][..],
            &[("api-key", ALICE)],
            &[("x-api-key", ALICE)],
            &[("api-key", ALICE), ("x-api-key", ALICE)],
            &[("authorization", "bearer llmp-alice"), ("api-key", BOB)],
            &[("sec-websocket-protocol", &socket)],
        ] {
            let caller = keys.authenticate(&headers(fields));
            assert_eq!(caller.unwrap().username, "alice", "{fields:?}");
            let known = keys.caller_for_log(&headers(fields));
            assert_eq!(known.unwrap().id, 1, "{fields:?}");
        }
    }

    #[test]
    fn missing_unknown_and_ambiguous_keys_are_401() {
        let keys = alice_and_bob();
        let two = format!("{KEY_PROTOCOL}{ALICE}, {KEY_PROTOCOL}{BOB}");
        for fields in [
            &[][..],
            &[("authorization", "Bearer llmp-carol")],
            &[("authorization", "Bearer \"llmp-alice\"")],
            &[("authorization", "Basic llmp-alice")],
            &[
                ("authorization", "Bearer llmp-alice"),
                ("authorization", "Bearer llmp-alice"),
            ],
            // A malformed credential is not passed over.
            &[("authorization", "Bearer "), ("api-key", ALICE)],
            &[("api-key", "")],
            &[("api-key", ALICE), ("api-key", ALICE)],
            &[("api-key", ALICE), ("x-api-key", BOB)],
            &[("sec-websocket-protocol", &two)],
            &[("sec-websocket-protocol", "realtime")],
        ] {
            let error = keys.authenticate(&headers(fields)).unwrap_err();
            assert_eq!(error.status().as_u16(), 401, "{fields:?}");
            assert!(
                keys.caller_for_log(&headers(fields)).is_none(),
                "{fields:?}"
            );
        }
        let quoted = headers(&[("api-key", "'llmp-alice'")]);
        let error = keys.authenticate(&quoted).unwrap_err();
        assert!(error.to_string().contains("quotes"), "{error}");
    }

    #[test]
    fn a_forbidden_key_is_403_and_still_identified() {
        let keys = alice_and_bob();
        let bob = headers(&[("api-key", BOB)]);
        let error = keys.authenticate(&bob).unwrap_err();
        assert_eq!(error.status().as_u16(), 403);
        assert_eq!(keys.caller_for_log(&bob).unwrap().username, "bob");
    }

    #[test]
    fn a_refresh_replaces_all_users_and_a_failed_one_none() {
        let keys = alice_and_bob();
        let alice = keys.authenticate(&headers(&[("api-key", ALICE)])).unwrap();
        assert!(keys.still_allows(&alice));
        let failed = keys.refresh(|| {
            let (path, reason) = ("test.db".into(), "locked".to_owned());
            Err(StoreError::Unavailable { path, reason })
        });
        assert!(failed.is_err() && keys.still_allows(&alice));
        // The key now belongs to another user.
        keys.refresh(|| Ok(vec![user(3, ALICE, true)])).unwrap();
        assert!(!keys.still_allows(&alice));
        keys.refresh(|| Ok(vec![user(1, ALICE, false)])).unwrap();
        assert!(!keys.still_allows(&alice));
        keys.refresh(|| Ok(Vec::new())).unwrap();
        assert!(!keys.still_allows(&alice));
        assert!(
            keys.caller_for_log(&headers(&[("api-key", ALICE)]))
                .is_none()
        );
    }

    #[test]
    fn only_a_key_of_our_form_is_worth_a_second_look() {
        let key = ApiKey::generate().unwrap();
        assert!(has_our_form(&headers(&[("api-key", key.expose())])));
        assert!(!has_our_form(&headers(&[("api-key", "sk-1234")])));
        assert!(!has_our_form(&headers(&[])));
    }

    #[test]
    fn a_bearer_token_is_found_in_any_case_of_the_scheme() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bearer  abc "), Some(&b"abc"[..]));
        for value in [
            &b""[..],
            b"Bearer",
            b"Bearer ",
            b"Basic abc",
            b"Bearerabc",
            b"Bearer a b",
        ] {
            assert_eq!(bearer(value), None);
        }
    }
}

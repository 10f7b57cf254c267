//! Finds the caller of a request: its key is looked up by its hash in a snapshot of the users.
//! Requests ask the database nothing; the ledger's thread and the admin API replace the snapshot
//! when users change.

use std::{
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use arc_swap::ArcSwap;
use rustc_hash::FxHashMap;

use crate::proxy::{error::ApiError, headers::KEY_PROTOCOL};
use crate::{
    model::{ApiKey, KeyHash, KeyHolder, format_seconds, now_ms},
    store::StoreError,
};

/// The user behind a request, and the key that it came with.
#[derive(Debug)]
pub struct Caller {
    pub id: i64,
    pub key_id: i64,
    pub username: String,
    key_hash: KeyHash,
    is_active: bool,
    is_revoked: bool,
    expires_at_ms: Option<i64>,
    last_use: Arc<LastUse>,
}

/// When a key was last used: milliseconds since [`CLOCK_START`] plus one, or 0 if it was not used
/// since this process started.
#[derive(Debug, Default)]
struct LastUse {
    used_ms: AtomicU64,
    /// The part of it that was taken by [`KeyTable::take_uses`].
    taken_ms: AtomicU64,
}

/// The start of the clock of [`LastUse`].
static CLOCK_START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// All keys by their hash, which is SHA-256: nobody chooses what it is, so that the map need not hash
/// it with care.
#[derive(Default)]
pub struct KeyTable {
    callers: ArcSwap<FxHashMap<KeyHash, Arc<Caller>>>,
    /// Held while keys are read and swapped in, so that an older reading never replaces a newer
    /// one.
    refreshing: Mutex<()>,
}

impl KeyTable {
    /// Replaces the snapshot by what `read_keys` returns.
    ///
    /// # Errors
    /// [`StoreError`] of the reading; the old snapshot stays.
    pub fn refresh(
        &self,
        read_keys: impl FnOnce() -> Result<Vec<KeyHolder>, StoreError>,
    ) -> Result<(), StoreError> {
        let _one_at_a_time = self
            .refreshing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = self.callers.load();
        let callers = read_keys()?
            .into_iter()
            .map(|holder| {
                let known = before.get(&holder.key_hash);
                let caller = Caller {
                    id: holder.user_id,
                    key_id: holder.key_id,
                    username: holder.username,
                    key_hash: holder.key_hash,
                    is_active: holder.is_active,
                    is_revoked: holder.is_revoked,
                    expires_at_ms: holder.expires_at_ms,
                    last_use: known.map_or_else(Arc::default, |known| Arc::clone(&known.last_use)),
                };
                (caller.key_hash, Arc::new(caller))
            })
            .collect();
        self.callers.store(Arc::new(callers));
        Ok(())
    }

    /// Finds the caller of a request.
    ///
    /// # Errors
    /// 401 without a known key and for one that is revoked or expired, 403 for a forbidden user.
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
        if caller.is_revoked {
            return Err(ApiError::unauthorized(
                "invalid_api_key",
                "This API key has been revoked. Ask the operator of this proxy for a new one.",
            ));
        }
        if !caller.is_active {
            return Err(ApiError::forbidden(
                "api_key_disabled",
                "This API key has been disabled by the operator of this proxy.",
            ));
        }
        if let Some(expires_at_ms) = caller.expires_at_ms
            && expires_at_ms <= now_ms()
        {
            let end = format_seconds(expires_at_ms);
            return Err(ApiError::unauthorized(
                "invalid_api_key",
                format!(
                    "This API key expired at {end}. Ask the operator of this proxy for a new one."
                ),
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
        now.is_some_and(|now| {
            let has_expired = now.expires_at_ms.is_some_and(|end_ms| end_ms <= now_ms());
            now.is_active && !now.is_revoked && !has_expired && now.id == caller.id
        })
    }

    /// Returns the keys that were used since the last call: their ids and the Unix time in
    /// milliseconds of the last use.
    #[must_use]
    pub fn take_uses(&self) -> Vec<(i64, i64)> {
        let (now_unix_ms, now_clock_ms) = (now_ms(), clock_ms(Instant::now()));
        let callers = self.callers.load();
        let uses = callers.values().filter_map(|caller| {
            let used_ms = caller.last_use.used_ms.load(Ordering::Relaxed);
            let taken_ms = caller.last_use.taken_ms.swap(used_ms, Ordering::Relaxed);
            let age_ms = i64::try_from(now_clock_ms.saturating_sub(used_ms)).unwrap_or(0);
            (used_ms != taken_ms).then_some((caller.key_id, now_unix_ms - age_ms))
        });
        uses.collect()
    }
}

impl Caller {
    /// Notes that the key is used.
    pub fn note_use(&self, at: Instant) {
        self.last_use.used_ms.store(clock_ms(at), Ordering::Relaxed);
    }
}

fn clock_ms(at: Instant) -> u64 {
    let elapsed = at.saturating_duration_since(*CLOCK_START);
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX - 1) + 1
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

    fn holder(id: i64, key: &str, is_active: bool) -> KeyHolder {
        KeyHolder {
            key_id: 10 + id,
            key_hash: ApiKey::from_text(key).hash(),
            user_id: id,
            username: key.trim_start_matches("llmp-").to_owned(),
            is_active,
            expires_at_ms: None,
            is_revoked: false,
        }
    }

    /// A table with alice, and with bob, whose key is forbidden.
    fn alice_and_bob() -> KeyTable {
        let keys = KeyTable::default();
        keys.refresh(|| Ok(vec![holder(1, ALICE, true), holder(2, BOB, false)]))
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
    fn an_expired_key_is_401_and_says_when_it_ended() {
        let keys = KeyTable::default();
        let alice = headers(&[("api-key", ALICE)]);
        let with_end = |expires_at_ms| KeyHolder {
            expires_at_ms: Some(expires_at_ms),
            ..holder(1, ALICE, true)
        };
        keys.refresh(|| Ok(vec![with_end(now_ms() + 60_000)]))
            .unwrap();
        let caller = keys.authenticate(&alice).unwrap();
        assert!(keys.still_allows(&caller));
        keys.refresh(|| Ok(vec![with_end(1_000)])).unwrap();
        let error = keys.authenticate(&alice).unwrap_err();
        assert_eq!(error.status().as_u16(), 401);
        assert!(
            error
                .to_string()
                .contains("expired at 1970-01-01T00:00:01Z"),
            "{error}"
        );
        assert!(!keys.still_allows(&caller));
        let revoked = KeyHolder {
            is_revoked: true,
            ..holder(1, ALICE, true)
        };
        keys.refresh(|| Ok(vec![revoked])).unwrap();
        let error = keys.authenticate(&alice).unwrap_err();
        assert_eq!(error.status().as_u16(), 401);
        assert!(error.to_string().contains("revoked"), "{error}");
    }

    #[test]
    fn each_use_of_a_key_is_taken_once_also_over_a_refresh() {
        let keys = alice_and_bob();
        assert_eq!(keys.take_uses(), []);
        let alice = keys.authenticate(&headers(&[("api-key", ALICE)])).unwrap();
        alice.note_use(Instant::now());
        keys.refresh(|| Ok(vec![holder(1, ALICE, true)])).unwrap();
        let uses = keys.take_uses();
        assert_eq!(uses.len(), 1);
        assert_eq!(uses[0].0, 11);
        assert!((now_ms() - uses[0].1).abs() < 10_000);
        assert_eq!(keys.take_uses(), []);
    }

    #[test]
    fn a_refresh_replaces_all_users_and_a_failed_one_none() {
        let keys = alice_and_bob();
        let alice = keys.authenticate(&headers(&[("api-key", ALICE)])).unwrap();
        assert!(keys.still_allows(&alice));
        let failed = keys.refresh(|| {
            let (place, reason) = ("test.db".to_owned(), "locked".to_owned());
            Err(StoreError::Unavailable { place, reason })
        });
        assert!(failed.is_err() && keys.still_allows(&alice));
        // The key now belongs to another user.
        keys.refresh(|| Ok(vec![holder(3, ALICE, true)])).unwrap();
        assert!(!keys.still_allows(&alice));
        keys.refresh(|| Ok(vec![holder(1, ALICE, false)])).unwrap();
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

//! Operations on keys.

use serde::{Deserialize, Serialize};

use super::{
    AdminContext, AdminError, Member, Method, Operation,
    fields::{end_ms, label, nullable, required},
    users::KeyOptions,
};
use crate::{
    model::ApiKey,
    store::keys::{self, IssuedKey, KeyEntry, KeyList, KeySelector, RotatedKey},
};

/// Gives a user a further key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct AddKey {
    pub username: Option<String>,
    #[serde(flatten)]
    pub options: KeyOptions,
}

/// Lists the keys of one user, or of all.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ListKeys {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// Gives a user a new key. The old one works on until the grace is over.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RotateKey {
    pub username: Option<String>,
    /// The key that is replaced; the user's newest if it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// A time such as `24h`. 0 stops the old key at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<String>,
    #[serde(flatten)]
    pub options: KeyOptions,
}

/// Changes label or end of a key; null removes either.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SetKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Option::is_none"
    )]
    pub label: Option<Option<String>>,
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<Option<String>>,
}

/// Stops one key for good.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RevokeKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
}

/// Replaces all stored keys by their hashes, for good.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct HashKeys {}

/// Number of keys that were replaced by their hashes.
#[derive(Debug, Serialize, Deserialize)]
pub struct HashedKeys {
    pub hashed: usize,
}

impl Operation for AddKey {
    type Answer = IssuedKey;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/add_key";
    const MEMBERS: &'static [Member] = &[
        Member::text("username"),
        Member::text("key"),
        Member::text("label"),
        Member::text("expires"),
    ];

    fn run(self, context: &AdminContext) -> Result<IssuedKey, AdminError> {
        let username = required("username", self.username)?;
        let new = self.options.parse(&context.calendar)?;
        let mut connection = context.connection()?;
        Ok(keys::add(
            &mut connection,
            &username,
            new,
            context.key_storage,
        )?)
    }
}

impl Operation for ListKeys {
    type Answer = KeyList;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/list_keys";
    const MEMBERS: &'static [Member] = &[Member::text("username")];

    fn run(self, context: &AdminContext) -> Result<KeyList, AdminError> {
        let keys = keys::list(&*context.connection()?, self.username.as_deref())?;
        Ok(KeyList { keys })
    }
}

impl Operation for RotateKey {
    type Answer = RotatedKey;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/rotate_key";
    const MEMBERS: &'static [Member] = &[
        Member::text("username"),
        Member::number("key_id"),
        Member::text("api_key"),
        Member::text("grace"),
        Member::text("key"),
        Member::text("label"),
        Member::text("expires"),
    ];

    fn run(self, context: &AdminContext) -> Result<RotatedKey, AdminError> {
        let username = required("username", self.username)?;
        let chosen = if self.key_id.is_some() || self.api_key.is_some() {
            Some(selector(self.key_id, self.api_key)?)
        } else {
            None
        };
        let grace_ms = match self.grace.as_deref().map(str::trim) {
            None | Some("0") => 0,
            Some(text) => humantime::parse_duration(text)
                .ok()
                .and_then(|grace| i64::try_from(grace.as_millis()).ok())
                .ok_or_else(|| {
                    AdminError::field("grace", "grace must be a time such as 24h, or 0")
                })?,
        };
        let new = self.options.parse(&context.calendar)?;
        let mut connection = context.connection()?;
        Ok(keys::rotate(
            &mut connection,
            &username,
            chosen.as_ref(),
            new,
            grace_ms,
            context.key_storage,
        )?)
    }
}

impl Operation for SetKey {
    type Answer = KeyEntry;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/set_key";
    const MEMBERS: &'static [Member] = &[
        Member::number("key_id"),
        Member::text("api_key"),
        Member::text("label"),
        Member::text("expires"),
    ];

    fn run(self, context: &AdminContext) -> Result<KeyEntry, AdminError> {
        if self.label.is_none() && self.expires.is_none() {
            let message = "label or expires is missing";
            return Err(AdminError::field("label", message));
        }
        let key = selector(self.key_id, self.api_key)?;
        let label = match &self.label {
            Some(Some(text)) => Some(Some(label("label", text)?)),
            Some(None) => Some(None),
            None => None,
        };
        let expires_at_ms = match &self.expires {
            Some(Some(text)) => Some(Some(end_ms("expires", text, &context.calendar)?)),
            Some(None) => Some(None),
            None => None,
        };
        let mut connection = context.connection()?;
        let label = label.as_ref().map(Option::as_deref);
        Ok(keys::set(&mut connection, &key, label, expires_at_ms)?)
    }
}

impl Operation for RevokeKey {
    type Answer = KeyEntry;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/revoke_key";
    const MEMBERS: &'static [Member] = &[Member::number("key_id"), Member::text("api_key")];

    fn run(self, context: &AdminContext) -> Result<KeyEntry, AdminError> {
        let key = selector(self.key_id, self.api_key)?;
        Ok(keys::revoke(&mut *context.connection()?, &key)?)
    }
}

impl Operation for HashKeys {
    type Answer = HashedKeys;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/hash_keys";
    const MEMBERS: &'static [Member] = &[];

    fn run(self, context: &AdminContext) -> Result<HashedKeys, AdminError> {
        let hashed = keys::hash_all(&mut *context.connection()?)?;
        Ok(HashedKeys { hashed })
    }
}

fn selector(key_id: Option<i64>, api_key: Option<String>) -> Result<KeySelector, AdminError> {
    match (key_id, api_key) {
        (Some(id), None) => Ok(KeySelector::Id(id)),
        (None, Some(key)) => Ok(KeySelector::Key(ApiKey::from_text(key.trim()))),
        (None, None) => {
            let message = "key_id or api_key is missing";
            Err(AdminError::field("key_id", message))
        }
        (Some(_), Some(_)) => {
            let message = "send key_id or api_key, not both";
            Err(AdminError::field("key_id", message))
        }
    }
}

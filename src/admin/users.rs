//! Operations on users.

use serde::{Deserialize, Serialize};

use super::{
    AdminContext, AdminError, Member, Method, Operation,
    fields::{end_ms, label, nullable, required, user_name},
    limit_changes::{LimitChanges, with_limits},
};
use crate::{
    model::{ApiKey, Calendar, LimitScope},
    store::{
        identity::{self, UserSelector},
        keys::{self, IssuedKey, KeyEntry, NewKey},
        users::{self, KeyAccess, KeyStatus, NewUser, UserEntry, UserFilter, UserList},
    },
};

/// Adds a user and returns the new key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct GenerateKey {
    pub username: Option<String>,
    #[serde(flatten)]
    pub options: KeyOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(flatten)]
    pub limits: LimitChanges,
}

/// What a new key may be told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct KeyOptions {
    /// The key itself, such as one that is moved here from another service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// An age such as `90d`, or a time in ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// Lists users.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ListUsers {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Only users who cannot use the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inactive: Option<bool>,
}

/// Shows one user with all keys.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ShowUser {
    pub username: Option<String>,
}

/// A user with all keys.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserWithKeys {
    #[serde(flatten)]
    pub user: UserEntry,
    pub keys: Vec<KeyEntry>,
}

/// Puts a user into a group, or with null out of any; sets limits.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SetUser {
    pub username: Option<String>,
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Option::is_none"
    )]
    pub group: Option<Option<String>>,
    #[serde(flatten)]
    pub limits: LimitChanges,
}

/// Gives a user another name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RenameUser {
    pub username: Option<String>,
    pub new_username: Option<String>,
}

/// Deletes a user. The usage stays booked under the name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct DeleteUser {
    pub username: Option<String>,
}

/// A user who was deleted.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeletedUser {
    pub username: String,
    pub is_deleted: bool,
}

/// A user, identified by name or by one of the keys.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct UserOrKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
}

const USER_OR_KEY: &[Member] = &[Member::text("username"), Member::text("api_key")];

/// Stops all keys of a user.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ForbidKey(pub UserOrKey);

/// Allows the keys of a forbidden user again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AllowKey(pub UserOrKey);

impl Operation for GenerateKey {
    type Answer = IssuedKey;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/gen_key";
    const MEMBERS: &'static [Member] = with_limits![
        Member::text("username"),
        Member::text("group"),
        Member::text("key"),
        Member::text("label"),
        Member::text("expires"),
    ];

    fn run(self, context: &AdminContext) -> Result<IssuedKey, AdminError> {
        let username = required("username", self.username)?;
        let limits = self.limits.parse(&context.calendar)?;
        let user = NewUser {
            name: user_name("username", &username)?,
            group: self.group,
            key: self.options.parse(&context.calendar)?,
            limits: limits.set,
            extra: limits.extra,
        };
        let added = users::add(&mut *context.connection()?, vec![user], context.key_storage)?;
        match added {
            Ok(mut issued) => issued.pop().ok_or_else(|| AdminError::missing("username")),
            Err(mut refused) => match refused.pop() {
                Some((_, error)) => Err(error.into()),
                None => Err(AdminError::missing("username")),
            },
        }
    }
}

impl KeyOptions {
    /// Checks key, label and end. Empty texts count as missing.
    pub(super) fn parse(self, calendar: &Calendar) -> Result<NewKey, AdminError> {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let key = given(self.key)
            .map(|text| ApiKey::given(&text))
            .transpose()
            .map_err(|error| AdminError::field("key", error.to_string()))?;
        let label = given(self.label)
            .map(|text| label("label", &text))
            .transpose()?;
        let expires_at_ms = given(self.expires)
            .map(|text| end_ms("expires", &text, calendar))
            .transpose()?;
        Ok(NewKey {
            key,
            label,
            expires_at_ms,
        })
    }
}

impl Operation for ListUsers {
    type Answer = UserList;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/list_users";
    const MEMBERS: &'static [Member] = &[Member::text("group"), Member::flag("inactive")];

    fn run(self, context: &AdminContext) -> Result<UserList, AdminError> {
        let filter = UserFilter {
            group: self.group,
            is_inactive: self.inactive.unwrap_or(false),
        };
        let users = users::list(&*context.connection()?, &filter)?;
        Ok(UserList { users })
    }
}

impl Operation for ShowUser {
    type Answer = UserWithKeys;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/show_user";
    const MEMBERS: &'static [Member] = &[Member::text("username")];

    fn run(self, context: &AdminContext) -> Result<UserWithKeys, AdminError> {
        let username = required("username", self.username)?;
        let connection = context.connection()?;
        let id = identity::find_by_text(&connection, &username)?.id;
        let user = users::entry(&connection, id)?;
        let keys = keys::of_user(&connection, id)?;
        Ok(UserWithKeys { user, keys })
    }
}

impl Operation for SetUser {
    type Answer = UserEntry;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/set_user";
    const MEMBERS: &'static [Member] =
        with_limits![Member::text("username"), Member::text("group")];

    fn run(self, context: &AdminContext) -> Result<UserEntry, AdminError> {
        let username = required("username", self.username)?;
        if self.group.is_none() && self.limits.is_empty() {
            let message = "group is missing, and no limit is given";
            return Err(AdminError::field("group", message));
        }
        // A limit that cannot be read leaves the group as it was.
        self.limits.parse(&context.calendar)?;
        let mut connection = context.connection()?;
        let mut id = identity::find_by_text(&connection, &username)?.id;
        if let Some(group) = &self.group {
            id = users::set_group(&mut connection, &username, group.as_deref())?;
        }
        if !self.limits.is_empty() {
            let scope = LimitScope::User(id);
            self.limits
                .apply(&mut connection, scope, &context.calendar)?;
        }
        Ok(users::entry(&connection, id)?)
    }
}

impl Operation for RenameUser {
    type Answer = UserEntry;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/rename_user";
    const MEMBERS: &'static [Member] = &[Member::text("username"), Member::text("new_username")];

    fn run(self, context: &AdminContext) -> Result<UserEntry, AdminError> {
        let username = required("username", self.username)?;
        let new = required("new_username", self.new_username)?;
        let new = user_name("new_username", &new)?;
        let mut connection = context.connection()?;
        let id = users::rename(&mut connection, &username, &new)?;
        Ok(users::entry(&connection, id)?)
    }
}

impl Operation for DeleteUser {
    type Answer = DeletedUser;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/delete_user";
    const MEMBERS: &'static [Member] = &[Member::text("username")];

    fn run(self, context: &AdminContext) -> Result<DeletedUser, AdminError> {
        let username = required("username", self.username)?;
        let username = users::delete(&mut *context.connection()?, &username)?;
        Ok(DeletedUser {
            username,
            is_deleted: true,
        })
    }
}

impl Operation for ForbidKey {
    type Answer = KeyStatus;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/forbid_key";
    const MEMBERS: &'static [Member] = USER_OR_KEY;

    fn run(self, context: &AdminContext) -> Result<KeyStatus, AdminError> {
        set_access(context, self.0, KeyAccess::Forbidden)
    }
}

impl Operation for AllowKey {
    type Answer = KeyStatus;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/allow_key";
    const MEMBERS: &'static [Member] = USER_OR_KEY;

    fn run(self, context: &AdminContext) -> Result<KeyStatus, AdminError> {
        set_access(context, self.0, KeyAccess::Allowed)
    }
}

fn set_access(
    context: &AdminContext,
    who: UserOrKey,
    access: KeyAccess,
) -> Result<KeyStatus, AdminError> {
    let who = match (who.username, who.api_key) {
        (Some(name), None) => UserSelector::Name(name.trim().to_owned()),
        (None, Some(key)) => UserSelector::Key(ApiKey::from_text(key.trim())),
        (None, None) => {
            let message = "username or api_key is missing";
            return Err(AdminError::field("username", message));
        }
        (Some(_), Some(_)) => {
            let message = "send username or api_key, not both";
            return Err(AdminError::field("username", message));
        }
    };
    let connection = context.connection()?;
    let user = match &who {
        // A key in the place of the name stands for its user.
        UserSelector::Name(text) => identity::find_by_text(&connection, text)?,
        UserSelector::Key(_) => identity::find(&connection, &who)?,
    };
    Ok(users::set_access(&connection, user, access)?)
}

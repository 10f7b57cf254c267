//! The lists of users, keys and groups.

use crate::commands::listing::{
    Cell, Column,
    ColumnKind::{Name, Number, Text},
    Listing,
};
use crate::store::{
    groups::GroupEntry,
    keys::{IssuedKey, KeyEntry, KeyState},
    users::UserEntry,
};

/// Lists new keys in clear.
pub(in crate::commands) fn issued(keys: &[IssuedKey]) -> Listing {
    let has_group = keys.iter().any(|key| key.group.is_some());
    let has_end = keys.iter().any(|key| key.expires_at.is_some());
    let has_label = keys.iter().any(|key| key.label.is_some());
    Listing {
        columns: vec![
            Column::new("user", "username", Name),
            Column::new("key", "api_key", Text),
            Column::new("id", "key_id", Number).rank(2).shown_if(false),
            Column::new("group", "group", Name)
                .rank(3)
                .shown_if(has_group),
            Column::new("label", "label", Name)
                .rank(4)
                .shown_if(has_label),
            Column::new("expires", "expires_at", Text)
                .rank(1)
                .shown_if(has_end),
        ],
        rows: keys
            .iter()
            .map(|key| {
                vec![
                    Cell::text(&key.username),
                    Cell::text(&key.api_key),
                    id(key.key_id),
                    Cell::optional(key.group.as_deref()),
                    Cell::optional(key.label.as_deref()),
                    Cell::optional(key.expires_at.as_deref()),
                ]
            })
            .collect(),
        total: None,
    }
}

pub(in crate::commands) fn users(users: &[UserEntry]) -> Listing {
    let has_group = users.iter().any(|user| user.group.is_some());
    let has_keys = users.iter().any(|user| user.active_keys != 1);
    let has_end = users.iter().any(|user| user.expires_at.is_some());
    let row = |user: &UserEntry| {
        let status = match (user.is_active, user.active_keys) {
            (false, _) => "forbidden",
            (true, 0) => "no key",
            (true, _) => "active",
        };
        vec![
            // An id is a name: it has no thousands.
            id(user.id),
            Cell::text(&user.username),
            Cell::optional(user.group.as_deref()),
            Cell::optional(user.key.as_deref()),
            Cell::number(user.active_keys),
            Cell::text(&user.created_at),
            Cell::optional(user.expires_at.as_deref()),
            Cell::optional(user.last_used_at.as_deref()),
            Cell::text(status),
        ]
    };
    Listing {
        columns: vec![
            Column::new("id", "id", Number).rank(2),
            Column::new("name", "username", Name),
            Column::new("group", "group", Name)
                .rank(3)
                .shown_if(has_group),
            Column::new("key", "key", Text).rank(1),
            Column::new("keys", "active_keys", Number)
                .rank(5)
                .shown_if(has_keys),
            Column::new("created", "created_at", Text).rank(6),
            Column::new("expires", "expires_at", Text)
                .rank(4)
                .shown_if(has_end),
            Column::new("last used", "last_used_at", Text).rank(7),
            Column::new("status", "status", Text),
        ],
        rows: users.iter().map(row).collect(),
        total: None,
    }
}

pub(in crate::commands) fn keys(keys: &[KeyEntry]) -> Listing {
    let has_label = keys.iter().any(|key| key.label.is_some());
    let has_end = keys.iter().any(|key| key.expires_at.is_some());
    let row = |key: &KeyEntry| {
        let status = match key.status {
            KeyState::Active => "active",
            KeyState::Expired => "expired",
            KeyState::Revoked => "revoked",
            KeyState::Forbidden => "forbidden",
        };
        vec![
            id(key.id),
            Cell::text(&key.username),
            Cell::optional(key.label.as_deref()),
            Cell::text(&key.key),
            Cell::text(&key.created_at),
            Cell::optional(key.expires_at.as_deref()),
            Cell::optional(key.last_used_at.as_deref()),
            Cell::text(status),
        ]
    };
    Listing {
        columns: vec![
            Column::new("id", "id", Number),
            Column::new("user", "username", Name),
            Column::new("label", "label", Name)
                .rank(2)
                .shown_if(has_label),
            Column::new("key", "key", Text).rank(1),
            Column::new("created", "created_at", Text).rank(5),
            Column::new("expires", "expires_at", Text)
                .rank(3)
                .shown_if(has_end),
            Column::new("last used", "last_used_at", Text).rank(4),
            Column::new("status", "status", Text),
        ],
        rows: keys.iter().map(row).collect(),
        total: None,
    }
}

pub(in crate::commands) fn groups(groups: &[GroupEntry]) -> Listing {
    let row = |group: &GroupEntry| {
        vec![
            id(group.id),
            Cell::text(&group.name),
            Cell::number(group.users),
            Cell::text(&group.created_at),
        ]
    };
    Listing {
        columns: vec![
            Column::new("id", "id", Number).rank(1),
            Column::new("group", "name", Name),
            Column::new("users", "users", Number),
            Column::new("created", "created_at", Text).rank(2),
        ],
        rows: groups.iter().map(row).collect(),
        total: None,
    }
}

/// Returns the cell of an id, which is a name and has no thousands.
fn id(id: i64) -> Cell {
    Cell::text(id.to_string())
}

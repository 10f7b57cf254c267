//! What an admitted request has taken, and from whom.

use super::{Amounts, Owner, UserRules, open_windows::WindowStarts};

/// Those whose request it is: a user, and the user's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owners {
    pub(super) user_id: i64,
    pub(super) group_id: Option<i64>,
}

/// What an admitted request has taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    pub(super) owners: Owners,
    pub(super) amounts: Amounts,
    /// The windows in which the amounts are reserved.
    pub(super) starts: WindowStarts,
    /// A request, and tokens, were taken from the buckets of these owners.
    pub(super) requests_from: Takers,
    pub(super) tokens_from: Takers,
}

/// Which of the [`Owners`] something was taken from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Takers {
    user: bool,
    group: bool,
}

impl Grant {
    pub(super) fn new(owners: Owners, amounts: Amounts) -> Self {
        Self {
            owners,
            amounts,
            starts: WindowStarts::default(),
            requests_from: Takers::default(),
            tokens_from: Takers::default(),
        }
    }

    /// Returns what is reserved.
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        self.amounts
    }

    /// Returns those whose request this is.
    #[must_use]
    pub fn owners(&self) -> Owners {
        self.owners
    }
}

impl Owners {
    pub(super) fn of(rules: &UserRules) -> Self {
        Self {
            user_id: rules.user_id,
            group_id: rules.group_id,
        }
    }

    pub(super) fn each(self) -> impl Iterator<Item = Owner> {
        let group = self.group_id.map(Owner::Group);
        std::iter::once(Owner::User(self.user_id)).chain(group)
    }
}

impl Takers {
    pub(super) fn note(&mut self, owner: Owner) {
        match owner {
            Owner::User(_) => self.user = true,
            Owner::Group(_) => self.group = true,
        }
    }

    pub(super) fn has(self, owner: Owner) -> bool {
        match owner {
            Owner::User(_) => self.user,
            Owner::Group(_) => self.group,
        }
    }
}

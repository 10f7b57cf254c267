//! The questions that requests ask of the database, each answered on a connection of the pool. They
//! block, so a server asks them from the blocking pool.

use crate::store::sql::Connection;
use std::collections::HashMap;

use super::{
    Store, StoreError,
    accounts::{self, AccountState, OpenAccount, Place},
    objects::{self, OwnObject},
};
use crate::model::{Claim, ObjectKind};

impl Store {
    /// Returns the place of the first claim that the user may not make.
    pub fn first_foreign(
        &self,
        user_id: i64,
        claims: &[Claim],
    ) -> Result<Option<usize>, StoreError> {
        self.look_up(|connection| objects::first_foreign(connection, user_id, claims))
    }

    /// Returns the state of an object's account.
    pub fn account_state(&self, id: &str) -> Result<AccountState, StoreError> {
        self.look_up(|connection| accounts::account_state(connection, id))
    }

    /// Returns whether a list of a kind may begin at an object: whether it is the user's own.
    pub fn is_cursor(&self, user_id: i64, kind: ObjectKind, id: &str) -> Result<bool, StoreError> {
        self.look_up(|connection| objects::is_cursor(connection, user_id, kind, id))
    }

    /// Returns those of the ids that are none of the user's own objects.
    pub fn not_own(&self, user_id: i64, ids: Vec<String>) -> Result<Vec<String>, StoreError> {
        self.look_up(|connection| objects::not_own(connection, user_id, ids))
    }

    /// Returns a user's objects of a kind by their ids.
    pub fn own_objects(
        &self,
        user_id: i64,
        kind: ObjectKind,
    ) -> Result<HashMap<String, OwnObject>, StoreError> {
        self.look_up(|connection| objects::own(connection, user_id, kind))
    }

    /// Returns an object whose account is open.
    pub fn pending_object(&self, id: &str) -> Result<Option<OpenAccount>, StoreError> {
        self.look_up(|connection| accounts::pending_one(connection, id))
    }

    /// Returns objects whose accounts are open, the oldest behind a place first, `limit` at most.
    pub fn pending_objects(
        &self,
        behind: &Place,
        limit: usize,
    ) -> Result<Vec<OpenAccount>, StoreError> {
        self.look_up(|connection| accounts::pending(connection, behind, limit))
    }

    /// Returns objects with open accounts that were made before a time in milliseconds, `limit` at
    /// most.
    pub fn expired_objects(
        &self,
        before_ms: i64,
        limit: usize,
    ) -> Result<Vec<OpenAccount>, StoreError> {
        self.look_up(|connection| accounts::expired(connection, before_ms, limit))
    }

    fn look_up<T>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.connection()?;
        question(&connection).map_err(|error| self.explain(error))
    }
}

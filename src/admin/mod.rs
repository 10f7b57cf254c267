//! What an operator can ask and change: one type for each operation, with its JSON and its checks.
//! The HTTP admin API and the command line run the same operations, so that they cannot differ.

mod costs;
mod error;
mod groups;
mod keys;
mod members;
mod users;

use std::sync::Arc;

use rusqlite::Connection;
use serde::{Serialize, de::DeserializeOwned};

pub use costs::{ListCosts, Window};
pub use error::AdminError;
pub use groups::{
    AddGroup, DeleteGroup, GroupWithUsers, ListGroups, RenameGroup, SetGroup, ShowGroup,
};
pub use keys::{AddKey, HashKeys, HashedKeys, ListKeys, RevokeKey, RotateKey, SetKey};
pub use members::{Kind, Member, closest, of_body, of_query};
pub use users::{
    AddUsers, AllowKey, DeleteUser, DeletedUser, ForbidKey, GenerateKey, IssuedKeys, KeyOptions,
    ListUsers, RenameUser, SetUser, ShowUser, UserLine, UserWithKeys,
};

use crate::{
    model::Calendar,
    store::{PooledConnection, Store, StoreError, keys::KeyStorage},
};

/// The HTTP method of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Asks only; the members are in the query.
    Get,
    /// Changes something; the members are in a JSON object.
    Post,
}

/// Something that an operator can ask or change. Its members are its JSON.
pub trait Operation: Serialize + DeserializeOwned + Send + 'static {
    type Answer: Serialize + DeserializeOwned + Send + 'static;

    const METHOD: Method;
    const PATH: &'static str;
    /// All members that the JSON or the query may have.
    const MEMBERS: &'static [Member];
    /// The longest JSON. A user name and a key have less than 1 KiB.
    const MAX_BODY_BYTES: usize = 64 * 1024;

    /// Runs the operation. It blocks.
    ///
    /// # Errors
    /// [`AdminError`] says what is wrong with the input, or with the database.
    fn run(self, context: &AdminContext) -> Result<Self::Answer, AdminError>;
}

/// Called after an operation that may have changed users or keys.
type OnChange = Arc<dyn Fn(&Connection) + Send + Sync>;

/// What operations work on.
#[derive(Clone)]
pub struct AdminContext {
    pub store: Store,
    pub key_storage: KeyStorage,
    pub calendar: Calendar,
    /// Refreshes the keys of this process, if it is a server.
    pub on_change: Option<OnChange>,
}

impl AdminContext {
    /// Lends a connection.
    ///
    /// # Errors
    /// If the database cannot be opened.
    fn connection(&self) -> Result<PooledConnection, StoreError> {
        self.store.connection()
    }

    /// Runs an operation, adds to its error which file it is about, and refreshes the keys of this
    /// process if the operation changes something.
    ///
    /// # Errors
    /// The errors of [`Operation::run`].
    pub fn run<O: Operation>(&self, operation: O) -> Result<O::Answer, AdminError> {
        let answer = operation.run(self).map_err(|error| match error {
            AdminError::Store(error) => AdminError::Store(self.store.explain(error)),
            other => other,
        })?;
        if O::METHOD == Method::Post
            && let Some(on_change) = &self.on_change
        {
            on_change(&*self.connection()?);
        }
        Ok(answer)
    }
}

//! What an operator can ask and change: one type for each operation, with its JSON and its checks.
//! The HTTP admin API and the command line run the same operations, so that they cannot differ.

mod alerts;
mod audit;
mod budget_ratios;
mod bulk;
mod costs;
mod error;
mod fields;
mod groups;
mod import;
mod keys;
mod limit_changes;
mod limits;
mod live;
mod members;
mod prices;
mod requests;
mod today;
mod try_limits;
mod users;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::store::sql::Connection;
use serde::{Serialize, de::DeserializeOwned};

pub use alerts::{ListAlerts, TestAlert};
pub use audit::{Audit, AuditCheck, AuditReport};
pub use budget_ratios::{BudgetKey, budget_ratios};
pub use bulk::{AddUsers, IssuedKeys, UserLine};
pub use costs::{ListCosts, Window};
pub use error::AdminError;
pub use groups::{
    AddGroup, DeleteGroup, GroupWithUsers, ListGroups, RenameGroup, SetGroup, ShowGroup,
};
pub use import::{ImportFile, ImportSummary, ImportedUser, PreparedImport};
pub use keys::{AddKey, HashKeys, HashedKeys, ListKeys, RevokeKey, RotateKey, SetKey};
pub use limit_changes::{LimitChanges, ParsedChanges};
pub use limits::{InFlight, LimitEntry, LimitList, ListLimits, SetLimits};
pub use live::{
    FullestBudget, LiveActivity, LiveError, LiveRequestEntry, LiveUser, ShowLive, SortLiveBy,
};
pub use members::{Kind, Member, closest, of_body, of_query, of_query_members};
pub use prices::{
    CheckPrices, ListPrices, PriceCheck, PriceEntry, PriceList, Reprice, SetPrice, UnpricedModel,
    UnsetPrice,
};
pub use requests::{
    BookedEntry, ExplainRequest, Explanation, ListRequests, RequestEntry, RequestError,
    RequestList, RunningEntry,
};
pub use today::Today;
pub use try_limits::{TriedLimit, TriedLimits, TriedUser, TryLimits};
pub use users::{
    AllowKey, DeleteUser, DeletedUser, ForbidKey, GenerateKey, KeyOptions, ListUsers, RenameUser,
    SetUser, ShowUser, UserOrKey, UserWithKeys,
};

use crate::{
    limits::SharedLimits,
    model::Calendar,
    prices::Catalog,
    sight::Sight,
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
    /// Prices of a file, if there is one.
    pub prices: PriceFile,
    /// The limits of this process, if it is a server.
    pub limits: Option<Arc<SharedLimits>>,
    /// What this process is doing, if it is a server.
    pub sight: Option<Arc<Sight>>,
    /// What users have used today.
    pub today: Today,
    /// Refreshes the keys of this process, if it is a server.
    pub on_change: Option<OnChange>,
}

impl AdminContext {
    /// Makes the context of a database file: keys in clear text, days of UTC, no file of prices, and no
    /// server.
    #[must_use]
    pub fn of_store(store: Store) -> Self {
        Self {
            store,
            key_storage: KeyStorage::Clear,
            calendar: Calendar::default(),
            prices: PriceFile::Read(None),
            limits: None,
            sight: None,
            today: Today::default(),
            on_change: None,
        }
    }
}

/// The operator's file of prices.
#[derive(Clone)]
pub enum PriceFile {
    /// There is none, or it was read already.
    Read(Option<Catalog>),
    /// It is read by the operations that need it, so that the others do not fail if it is broken.
    Unread(PathBuf),
}

impl PriceFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Which line and member is wrong, or why it cannot be read.
    pub fn read(path: &Path) -> Result<Catalog, PriceFileError> {
        let named = |reason: String| PriceFileError {
            path: path.to_owned(),
            reason,
        };
        let json = std::fs::read(path).map_err(|error| named(error.to_string()))?;
        Catalog::parse(&json).map_err(|error| named(error.to_string()))
    }
}

/// Why a file of prices cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("PRICES_FILE=\"{path}\": {reason}")]
pub struct PriceFileError {
    path: PathBuf,
    reason: String,
}

impl AdminContext {
    /// Returns the prices of the file.
    fn price_file(&self) -> Result<Option<Catalog>, AdminError> {
        match &self.prices {
            PriceFile::Read(catalog) => Ok(catalog.clone()),
            PriceFile::Unread(path) => Ok(Some(PriceFile::read(path)?)),
        }
    }

    /// Lends a connection.
    ///
    /// # Errors
    /// If the database cannot be opened.
    fn connection(&self) -> Result<PooledConnection, StoreError> {
        self.store.connection()
    }

    /// Asks something that is no operation of an operator's.
    ///
    /// # Errors
    /// If the database fails.
    pub fn read<T>(
        &self,
        question: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, AdminError> {
        let mut connection = self.connection()?;
        let answer = question(&mut connection);
        Ok(answer.map_err(|error| self.store.explain(error))?)
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
        if O::METHOD == Method::Post {
            self.today.forget();
            if let Some(on_change) = &self.on_change {
                on_change(&*self.connection()?);
            }
        }
        Ok(answer)
    }
}

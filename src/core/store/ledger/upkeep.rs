//! What the writer does for the database besides writing rows: a SQLite file is watched and its
//! write-ahead log is written back; PostgreSQL looks after itself.

#[cfg(feature = "sqlite")]
use crate::store::sqlite::{FileWatch, WalWatch, prepare_writer};
use crate::store::{
    Store, StoreError,
    sql::{Connection, SqlError},
};

/// How durable a commit must be before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Survives a killed process; a power cut may take back the last commits.
    Normal,
    /// Each commit waits for the disk.
    Full,
}

/// The upkeep of a database.
pub(super) enum Upkeep {
    #[cfg(feature = "sqlite")]
    File { file: FileWatch, log: WalWatch },
    #[cfg(feature = "postgres")]
    Server,
}

impl Upkeep {
    /// Prepares the writer's connection.
    pub(super) fn new(
        store: &Store,
        connection: &Connection,
        sync: Sync,
    ) -> Result<Self, SqlError> {
        #[cfg(feature = "sqlite")]
        if let Some(path) = store.file() {
            let sqlite = connection.sqlite()?;
            prepare_writer(sqlite, sync == Sync::Full)?;
            return Ok(Self::File {
                file: FileWatch::new(path.to_owned()),
                log: WalWatch::new(path, sqlite),
            });
        }
        let _ = (store, connection, sync);
        #[cfg(feature = "postgres")]
        return Ok(Self::Server);
        #[cfg(not(feature = "postgres"))]
        Err(SqlError::OtherKind)
    }

    /// Returns what is wrong with the file, if anything.
    pub(super) fn problem(&self) -> Option<StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::File { file, .. } => file.problem(),
            #[cfg(feature = "postgres")]
            Self::Server => None,
        }
    }

    /// Writes the log back if that is due. It must be called on the connection's thread.
    pub(super) fn write_back(&mut self, connection: &Connection, is_quiet: bool) {
        let _ = (connection, is_quiet);
        match self {
            #[cfg(feature = "sqlite")]
            Self::File { log, .. } => {
                if let Ok(sqlite) = connection.sqlite() {
                    log.write_back(sqlite, is_quiet);
                }
            }
            #[cfg(feature = "postgres")]
            Self::Server => {}
        }
    }
}

//! What users store at the backend: whose it is, and whether what it used is booked.

use super::UsageRow;

/// What an object is, by the endpoint that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    Response,
    /// A message or another part of a response or conversation.
    Item,
    Conversation,
    File,
    Batch,
    VectorStore,
    Upload,
    /// A part of an upload.
    Part,
    Container,
    Video,
    /// A character for videos.
    Character,
}

/// An object that a user made at the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// As the backend names it.
    pub id: String,
    pub kind: ObjectKind,
    pub user_id: i64,
    /// Unix time in milliseconds.
    pub made_at_ms: i64,
    /// What it used has its row, or it uses nothing. A batch and a background response use their tokens later.
    pub is_settled: bool,
}

/// What is written into the ledger, in the order in which it was handed over.
#[derive(Debug, Clone)]
pub enum Entry {
    Row(UsageRow),
    Made(StoredObject),
    /// The backend has deleted it.
    Forgotten {
        id: String,
        user_id: i64,
    },
    /// What an object used, which is booked the first time only.
    Settled {
        id: String,
        row: UsageRow,
    },
}

impl Entry {
    /// The entry of a row; `settles` names the object whose account it closes.
    #[must_use]
    pub fn of(row: UsageRow, settles: Option<String>) -> Self {
        match settles {
            Some(id) => Self::Settled { id, row },
            None => Self::Row(row),
        }
    }
}

impl ObjectKind {
    /// The word the database holds.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Item => "item",
            Self::Conversation => "conversation",
            Self::File => "file",
            Self::Batch => "batch",
            Self::VectorStore => "vector_store",
            Self::Upload => "upload",
            Self::Part => "part",
            Self::Container => "container",
            Self::Video => "video",
            Self::Character => "character",
        }
    }
}

//! Objects that users store at the backend: their owners, and whether their usage is billed.

use std::sync::Arc;

use super::{Note, Refusal, RowHold, RunningRequest, Usage, UsageRow};

/// The kind of an object, by the endpoint that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// Sound in the answer of a chat.
    Audio,
    /// An answer of a chat that the backend was asked to store.
    ChatCompletion,
    /// Not an object, but an id that a client gave to an item. No user owns it, and it expires.
    Given,
    /// A response that was deleted while its answer may still be passing. No user owns its id, and
    /// it expires.
    Closed,
}

/// An object that a user made at the backend.
#[derive(Debug, Clone)]
pub struct StoredObject {
    /// The backend's id.
    pub id: String,
    pub kind: ObjectKind,
    pub user_id: i64,
    /// The key that it was made with; 0 for an object that uses nothing of its own.
    pub key_id: i64,
    /// Unix time in milliseconds.
    pub made_at_ms: i64,
    /// Whether its usage has a row, or it uses nothing. A batch and a background response use their
    /// tokens later.
    pub is_billed: bool,
    pub origin: Origin,
    /// What the object has reserved until it is billed.
    pub hold: Option<ObjectHold>,
}

/// What an object may still use, as far as budgets are concerned.
#[derive(Debug, Clone)]
pub struct ObjectHold {
    /// Unix time in milliseconds, which decides about the window.
    pub started_at_ms: i64,
    pub nano_usd: i64,
    pub tokens: i64,
    pub requests: i64,
    pub hold: Arc<dyn RowHold>,
}

/// The reason why an answer contains an object's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The answer made the object. An id that a client had merely given, or that belonged to a
    /// deleted object, is the new one's.
    Produced,
    /// The answer lists the object, or a client sent its id.
    Listed,
}

/// Whose account a row belongs to: an object that uses its tokens later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    /// Unix time in milliseconds when the object was made, if the row comes of the very answer that
    /// made it. If another object is known by that id, the row is inserted like any other.
    pub made_at_ms: Option<i64>,
}

/// The claim of a request that it may use an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    pub id: String,
    pub kind: ObjectKind,
    /// Whether the backend will look it up. Otherwise it may be unknown, but not another user's: an
    /// item that is sent in full has the id that it once got, and a backend that keeps items by
    /// that id would overwrite it.
    pub is_looked_up: bool,
}

/// A change that the ledger writes, in the order in which changes were handed over.
#[derive(Debug, Clone)]
pub enum Entry {
    Row(UsageRow),
    Made(StoredObject),
    /// The backend has deleted an object.
    Forgotten {
        id: String,
        user_id: i64,
    },
    /// The backend answered a user that there is no such object. An object that was made after
    /// `made_before_ms` (Unix milliseconds) stays, because not all of the backend's servers may
    /// know it yet; so does one whose account is open.
    Missing {
        id: String,
        user_id: i64,
        made_before_ms: i64,
    },
    /// The usage that an object is taken to have had so far, kept until its account is closed. If
    /// the account is closed already, the tokens beyond it are billed.
    Kept {
        account: Account,
        row: UsageRow,
        progress: Progress,
    },
    /// The usage of an object. The first time it is billed, or the kept usage if that is more;
    /// later only the tokens beyond it.
    Billed {
        account: Account,
        row: UsageRow,
        extent: Extent,
    },
    /// What a request has used that runs for longer than a second.
    Noted(Box<RunningRequest>),
    /// A request was answered with an error of llmproxy's own.
    Refused(Box<Refusal>),
    /// The note of a request that has ended is deleted, together with its row being written.
    Unnoted(Arc<Note>),
    /// Ids that no user owns and that are older than this (Unix milliseconds) are deleted.
    Expired {
        made_before_ms: i64,
    },
    /// Nothing is to be kept: its writing proves that the database can be written.
    Probe,
}

/// How far an answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Beginning,
    End,
}

/// The part of an object's usage that a row covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The row covers all that the object used, if the backend reports it.
    Complete,
    /// The row covers what was known when the object was cancelled or deleted.
    Cut,
}

impl Entry {
    /// Returns the usage of the entry's row; none of an entry without one.
    #[must_use]
    pub fn usage(&self) -> Usage {
        match self {
            Self::Row(row) | Self::Kept { row, .. } | Self::Billed { row, .. } => row.usage,
            Self::Made(_)
            | Self::Forgotten { .. }
            | Self::Missing { .. }
            | Self::Noted(_)
            | Self::Refused(_)
            | Self::Unnoted(_)
            | Self::Expired { .. }
            | Self::Probe => Usage::default(),
        }
    }

    /// Returns the entry of a row, which closes the account in `billed_to`.
    #[must_use]
    pub fn of(row: UsageRow, billed_to: Option<(Account, Extent)>) -> Self {
        match billed_to {
            Some((account, extent)) => Self::Billed {
                account,
                row,
                extent,
            },
            None => Self::Row(row),
        }
    }
}

impl Account {
    /// Returns the account of an object that was made by an earlier answer.
    #[must_use]
    pub fn of_known(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            made_at_ms: None,
        }
    }
}

impl ObjectKind {
    const ALL: [Self; 15] = [
        Self::Response,
        Self::Item,
        Self::Conversation,
        Self::File,
        Self::Batch,
        Self::VectorStore,
        Self::Upload,
        Self::Part,
        Self::Container,
        Self::Video,
        Self::Character,
        Self::Audio,
        Self::ChatCompletion,
        Self::Given,
        Self::Closed,
    ];

    /// Returns the kind for a word of the database; `None` for an unknown one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Returns the word that the database holds.
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
            Self::Audio => "audio",
            Self::ChatCompletion => "chat_completion",
            Self::Given => "given",
            Self::Closed => "closed",
        }
    }
}

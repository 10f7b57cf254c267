//! What users store at the backend: whose it is, and whether what it used is booked.

use super::UsageRow;

/// What an object is, by the endpoint that made it.
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
    /// What an answer of a chat said aloud.
    Audio,
    /// An answer of a chat that the backend was asked to store.
    ChatCompletion,
    /// Not an object, but an id that a client gave to an item. No user owns it, and it expires.
    Given,
    /// A response that was deleted while its answer may still be passing. No user owns its id, and it expires.
    Closed,
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
    pub is_billed: bool,
    pub origin: Origin,
}

/// How an answer came to name an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It made the object. Where the id was merely given by a client, or belonged to what is deleted, the new object has it.
    Produced,
    /// It lists the object, or the object was named by a client.
    Listed,
}

/// Whose account a row belongs to: an object that uses its tokens later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    /// When the object was made (Unix milliseconds), if the row comes of the very answer that made it. If another object is known
    /// by that id the row is booked like any other.
    pub made_at_ms: Option<i64>,
}

/// What a request says of an object that it names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    pub id: String,
    pub kind: ObjectKind,
    /// The backend will look it up. Otherwise it may be unknown, but not another user's: an item that is sent whole has the
    /// id that it got once, and a backend that keeps items by that id would write over it.
    pub is_looked_up: bool,
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
    /// The backend told a user that there is none. One that was made later than this may be on its way to all of the backend's
    /// servers, and one whose account is open may have used something: those stay.
    Missing {
        id: String,
        user_id: i64,
        made_before_ms: i64,
    },
    /// What an object is taken to have used so far, kept with it for when its account is closed. If the account is closed, what
    /// goes beyond it is booked.
    Kept {
        account: Account,
        row: UsageRow,
        progress: Progress,
    },
    /// What an object used. The first time it is booked, or what was kept if that is more; later only what goes beyond it.
    Billed {
        account: Account,
        row: UsageRow,
        extent: Extent,
    },
    /// Ids that no user owns and that are older than this (Unix milliseconds) are deleted.
    Expired {
        made_before_ms: i64,
    },
}

/// Whether more of an answer is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Beginning,
    End,
}

/// What the numbers of a settled row cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All that the object used, if the backend says so.
    Complete,
    /// What was known when it was cancelled or deleted.
    Cut,
}

impl Entry {
    /// The entry of a row; `billed_to` is the account that it closes.
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
    /// The account of an object that is looked at again.
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

    /// By the word of the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

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
            Self::Audio => "audio",
            Self::ChatCompletion => "chat_completion",
            Self::Given => "given",
            Self::Closed => "closed",
        }
    }
}

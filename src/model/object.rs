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
    /// None: an id that a client gave to an item of its own. It is nobody's, and stays so.
    Given,
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
    Gone {
        id: String,
        user_id: i64,
        made_before_ms: i64,
    },
    /// What an object is taken to have used, kept with it for when its account is given up.
    Kept {
        id: String,
        row: UsageRow,
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
    const ALL: [Self; 13] = [
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
        Self::Given,
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
            Self::Given => "given",
        }
    }
}

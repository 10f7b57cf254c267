//! Token counts and the row of the ledger that holds them.

/// The usage of one answer. `cached` is a part of `input`, `reasoning` a part of `output`, all in
/// tokens. Some endpoints are billed by audio or images instead, which are never a part of the
/// tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    pub cached: u64,
    pub reasoning: u64,
    /// Milliseconds of audio.
    pub audio_ms: u64,
    pub images: u64,
}

impl Usage {
    /// Adds two usages. A sum that does not fit is the largest number.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cached: self.cached.saturating_add(other.cached),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            audio_ms: self.audio_ms.saturating_add(other.audio_ms),
            images: self.images.saturating_add(other.images),
        }
    }
}

/// Tokens of a row that the backend did not report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EstimatedTokens {
    pub input: u64,
    pub output: u64,
}

/// The way in which an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The client was sent all of it.
    Completed,
    /// The client disconnected before the end.
    ClientGone,
    /// The backend broke off.
    BackendBroke,
    /// The backend reported an error inside an answer that had begun with a status of success.
    BackendError,
}

/// The source of a row's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageSource {
    /// The backend reported them.
    Backend,
    /// The backend reported nothing usable, or nothing for the last part of the text. The missing
    /// tokens are counted here and added to the reported ones.
    Estimate,
    /// There are no numbers: it is an error answer, or one of an endpoint that is billed otherwise
    /// and reported none.
    None,
}

/// A row of the ledger, which stands for one request that the backend answered.
#[derive(Debug, Clone)]
pub struct UsageRow {
    pub user_id: i64,
    /// Unix time in milliseconds when the request arrived.
    pub started_at_ms: i64,
    /// The path without query, such as `/v1/chat/completions`.
    pub endpoint: &'static str,
    /// The model that the client asked for.
    pub model: String,
    /// The model that the backend says it used.
    pub served_model: Option<String>,
    pub usage: Usage,
    /// The part of the usage that is estimated: nothing unless the source is
    /// [`UsageSource::Estimate`].
    pub estimated: EstimatedTokens,
    /// HTTP status that the client was sent.
    pub status: u16,
    pub outcome: Outcome,
    pub source: UsageSource,
    pub duration_ms: i64,
    /// Milliseconds from the request's arrival to the first byte of the backend's answer.
    pub first_byte_ms: Option<i64>,
    /// The backend's `x-request-id`.
    pub backend_request_id: Option<String>,
}

impl Outcome {
    /// Returns the outcome for a word of the database; `None` for an unknown one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::Completed,
            Self::ClientGone,
            Self::BackendBroke,
            Self::BackendError,
        ];
        all.into_iter().find(|outcome| outcome.as_str() == word)
    }

    /// Returns the word that the database holds.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::ClientGone => "client_gone",
            Self::BackendBroke => "backend_broke",
            Self::BackendError => "backend_error",
        }
    }
}

impl UsageSource {
    /// Returns the word that the database holds.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Estimate => "estimate",
            Self::None => "none",
        }
    }
}

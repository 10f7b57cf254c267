//! Token counts and the row of the ledger that holds them.

/// What one answer used. `cached` is a part of `input`, `reasoning` a part of `output`, all in tokens; audio and images are
/// what some endpoints are billed by instead, and never a part of the tokens.
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
    /// Both together.
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

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The client was sent all of it.
    Completed,
    /// The client hung up first.
    ClientGone,
    /// The backend broke off.
    BackendBroke,
    /// The backend reported an error inside an answer that had begun with a status of success.
    BackendError,
}

/// Where the numbers of a row come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageSource {
    /// The backend said so.
    Backend,
    /// The backend reported nothing usable, or no more after some of the text: that is counted here, and added to what it did
    /// report.
    Estimate,
    /// There are none: an error answer, or one of an endpoint that is billed otherwise and told none.
    None,
}

/// One row of the ledger: one request that the backend answered.
#[derive(Debug, Clone)]
pub struct UsageRow {
    pub user_id: i64,
    /// When the request arrived, Unix time in milliseconds.
    pub started_at_ms: i64,
    /// The path without query, such as `/v1/chat/completions`.
    pub endpoint: &'static str,
    /// The model that the client asked for.
    pub model: String,
    /// The model that the backend says it used.
    pub served_model: Option<String>,
    pub usage: Usage,
    /// How much of it is estimated; none but of [`UsageSource::Estimate`].
    pub estimated: EstimatedTokens,
    /// HTTP status that the client was sent.
    pub status: u16,
    pub outcome: Outcome,
    pub source: UsageSource,
    pub duration_ms: i64,
    /// From the request's arrival to the first byte of the backend's answer.
    pub first_byte_ms: Option<i64>,
    /// The backend's `x-request-id`.
    pub backend_request_id: Option<String>,
}

impl Outcome {
    /// By the word of the database.
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

    /// The word the database holds.
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
    /// The word the database holds.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Estimate => "estimate",
            Self::None => "none",
        }
    }
}

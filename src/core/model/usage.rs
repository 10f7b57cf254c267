//! Token counts and the row of the ledger that holds them.

use std::{fmt::Debug, sync::Arc};

use super::RequestId;

/// The usage of one answer. `input` and `output` are all tokens of a side; the other token counts are
/// parts of them. Some endpoints are billed by audio, images or calls instead, which are never a part
/// of the tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    /// Part of `input`: read from a cache.
    pub cached: u64,
    /// Part of `output`.
    pub reasoning: u64,
    /// Milliseconds of audio that are billed by time.
    pub audio_ms: u64,
    /// Images that are billed by number.
    pub images: u64,
    /// Classes that few answers have.
    pub classes: UsageClasses,
}

/// The classes of usage that few answers have. The token counts are parts of `input` or `output`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageClasses {
    /// Part of `input`: written into a cache that lives for five minutes, or for the time that the
    /// backend sets if it has only one. Never a part of `cached`.
    pub cache_write_5m: u64,
    /// Part of `input`: written into a cache that lives for an hour.
    pub cache_write_1h: u64,
    /// Part of `input`: sound, cached or not.
    pub audio_input: u64,
    /// Part of `input`: pictures, cached or not.
    pub image_input: u64,
    /// Part of `cached` and of `audio_input`.
    pub cached_audio: u64,
    /// Part of `cached` and of `image_input`.
    pub cached_image: u64,
    /// Part of `output`: sound.
    pub audio_output: u64,
    /// Part of `output`: pictures.
    pub image_output: u64,
    /// Searches of the web that the backend ran.
    pub web_searches: u64,
    /// Searches of stored files that the backend ran.
    pub file_searches: u64,
    /// Containers in which the backend's code interpreter ran. A container is billed once, however
    /// many calls run in it.
    pub code_calls: u64,
}

impl Usage {
    /// Adds two usages. A sum that does not fit is the largest number.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        self.combine(other, u64::saturating_add)
    }

    /// Subtracts a usage, field by field. What would be negative is 0.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        self.combine(other, u64::saturating_sub)
    }

    /// Returns the larger of each count.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        self.combine(other, u64::max)
    }

    fn combine(self, other: Self, op: fn(u64, u64) -> u64) -> Self {
        let (a, b) = (self.classes, other.classes);
        Self {
            input: op(self.input, other.input),
            output: op(self.output, other.output),
            cached: op(self.cached, other.cached),
            reasoning: op(self.reasoning, other.reasoning),
            audio_ms: op(self.audio_ms, other.audio_ms),
            images: op(self.images, other.images),
            classes: UsageClasses {
                cache_write_5m: op(a.cache_write_5m, b.cache_write_5m),
                cache_write_1h: op(a.cache_write_1h, b.cache_write_1h),
                audio_input: op(a.audio_input, b.audio_input),
                image_input: op(a.image_input, b.image_input),
                cached_audio: op(a.cached_audio, b.cached_audio),
                cached_image: op(a.cached_image, b.cached_image),
                audio_output: op(a.audio_output, b.audio_output),
                image_output: op(a.image_output, b.image_output),
                web_searches: op(a.web_searches, b.web_searches),
                file_searches: op(a.file_searches, b.file_searches),
                code_calls: op(a.code_calls, b.code_calls),
            },
        }
    }
}

/// The class of service that the backend used for an answer, or that was asked for. It has a price of
/// its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServiceTier {
    /// `default`, and Anthropic's `standard`.
    Default,
    Flex,
    Priority,
    /// Another word of the backend, at most [`ServiceTier::MAX_CHARS`] printable ASCII characters.
    Other(Box<str>),
}

impl ServiceTier {
    /// The longest word of a tier; longer ones are cut.
    pub const MAX_CHARS: usize = 32;

    /// Returns the tier for a word of a request or an answer; `None` for `auto` and an empty one,
    /// which say nothing.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "" | "auto" => None,
            "default" | "standard" => Some(Self::Default),
            "flex" => Some(Self::Flex),
            "priority" => Some(Self::Priority),
            other => {
                let printable = other.chars().filter(char::is_ascii_graphic);
                let cut: String = printable.take(Self::MAX_CHARS).collect();
                (!cut.is_empty()).then(|| Self::Other(cut.into()))
            }
        }
    }

    /// Returns the word that the database holds.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Default => "default",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Other(word) => word,
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
    /// The server was killed while the request ran.
    Crashed,
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

/// What is held until a row is in the ledger, such as a reservation in a budget. It ends when it is
/// dropped, if the row never comes there.
pub trait RowHold: Debug + Send + Sync {
    /// Ends it: the row is written. `tokens` are the input and output tokens that it has, and
    /// `has_failed` says whether the request was refused or failed.
    fn settle(&self, tokens: i64, has_failed: bool);
}

/// A row of the ledger, which stands for one request that the backend answered.
#[derive(Debug, Clone)]
pub struct UsageRow {
    pub user_id: i64,
    /// The key that the request came with. 0 if the row is about an object that another request
    /// made: it is booked to the key of that request.
    pub key_id: i64,
    /// Unix time in milliseconds when the request arrived.
    pub started_at_ms: i64,
    /// The path without query, such as `/v1/chat/completions`.
    pub endpoint: &'static str,
    /// The model that the client asked for.
    pub model: String,
    /// The model that the backend says it used.
    pub served_model: Option<String>,
    pub usage: Usage,
    /// The class of service of the answer, or else of the request, if either says one.
    pub service_tier: Option<ServiceTier>,
    /// Whether the request was a part of a batch, which has prices of its own.
    pub is_batch: bool,
    /// The part of the usage that is estimated: nothing unless the source is
    /// [`UsageSource::Estimate`].
    pub estimated: EstimatedTokens,
    /// HTTP status that the client was sent.
    pub status: u16,
    pub outcome: Outcome,
    pub source: UsageSource,
    pub duration_ms: i64,
    /// Milliseconds for which the request waited for its turn.
    pub wait_ms: i64,
    /// Milliseconds from the request's arrival to the first byte of the backend's answer.
    pub first_byte_ms: Option<i64>,
    /// The request's own id. `None` for the row of an object that no client asked for at the time.
    pub request_id: Option<RequestId>,
    /// The backend's `x-request-id`.
    pub backend_request_id: Option<String>,
    /// What is held until the row is written.
    pub hold: Option<Arc<dyn RowHold>>,
}

impl UsageRow {
    /// Returns whether the request succeeded or used something. Without a cost it is unpriced then;
    /// a refusal that used nothing is not.
    #[must_use]
    pub fn needs_cost(&self) -> bool {
        let has_used = self.usage.input > 0 || self.usage.output > 0;
        (200..300).contains(&self.status) || has_used
    }
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
            Self::Crashed,
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
            Self::Crashed => "crashed",
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

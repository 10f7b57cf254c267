//! The member `x_backend` of a request.

use serde::Deserialize;
use serde_json::Value;

/// What a request wants to happen. A misspelt member is refused, so that no test passes for the
/// wrong reason.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Script {
    pub(super) words: Option<usize>,
    pub(super) cached_tokens: Option<u64>,
    pub(super) reasoning_tokens: u64,
    pub(super) delay_ms: u64,
    pub(super) event_delay_ms: u64,
    pub(super) status: Option<u16>,
    pub(super) usage: ReportedUsage,
    pub(super) break_after: Option<usize>,
    pub(super) crlf: bool,
}

/// When a usage is reported.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReportedUsage {
    #[default]
    AsOpenai,
    None,
    Zero,
    EveryChunk,
    LastChunk,
    UsageOnly,
}

impl Script {
    /// Reads the script of a request.
    pub(super) fn of(body: &Value) -> serde_json::Result<Self> {
        body.get("x_backend")
            .map_or(Ok(Self::default()), Self::deserialize)
    }
}

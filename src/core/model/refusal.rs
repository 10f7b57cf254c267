//! A request that llmproxy itself answered with an error.

use super::RequestId;

/// The longest path and message that are kept, in characters.
pub const MAX_REFUSAL_CHARS: usize = 300;

/// A refused or failed request of a user, kept so that its answer can be explained.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// It has the time at which the request arrived.
    pub request_id: RequestId,
    pub user_id: i64,
    /// The path of the endpoint, or the beginning of one that is not served.
    pub endpoint: String,
    pub status: u16,
    /// The code of the error, or else its type.
    pub code: &'static str,
    /// What the client was told, without secrets.
    pub message: String,
}

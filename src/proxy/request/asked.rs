//! What a request asks for, as far as limits of its user are concerned.

use super::info::{AskedOutput, TokenLimit};
use crate::{json::Excerpt, limits::UserRules, proxy::routes::Endpoint, usage::input_bound};

/// What a request says of the usage that it asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AskedUsage {
    /// Estimated upwards.
    pub input_tokens: u64,
    /// The limit of the output that the request names, for each of its choices.
    pub max_output_tokens: Option<u64>,
    /// Number of answers or images that are asked for; 0 counts as 1.
    pub choices: u64,
    /// The request writes into caches, which costs more than reading.
    pub writes_cache: bool,
    /// Length of a form with files.
    pub form_bytes: u64,
}

/// What is done for the limits of a request's user.
#[derive(Debug, Clone, Copy, Default)]
pub struct LimitEdits {
    /// The user has limits that ask for an estimate of the input.
    pub estimates_input: bool,
    /// The output tokens that are named for a request that names none.
    pub output_cap: Option<i64>,
}

impl LimitEdits {
    /// Returns what is done for a user with these limits.
    #[must_use]
    pub fn of(rules: Option<&UserRules>) -> Self {
        rules.map_or_else(Self::default, |rules| Self {
            estimates_input: rules.counts_tokens(),
            output_cap: rules.output_cap().map(|rule| rule.number),
        })
    }
}

/// Returns the limit of its output that a request names, under the name that counts: the largest of
/// those that the backend may take, or else the first name.
#[must_use]
pub fn named_limit(endpoint: Endpoint, output: &AskedOutput) -> Option<(&'static str, TokenLimit)> {
    let of_name = |name: &'static str| match name {
        "max_tokens" => (name, output.max_tokens),
        "max_completion_tokens" => (name, output.max_completion_tokens),
        _ => (name, output.max_output_tokens),
    };
    let limits = || endpoint.output_limits().iter().map(|name| of_name(name));
    let size = |limit: &TokenLimit| match limit {
        TokenLimit::Unreadable => (2, 0),
        TokenLimit::Tokens(tokens) => (1, *tokens),
        TokenLimit::Unnamed => (0, 0),
    };
    let largest = limits().max_by_key(|(_, limit)| size(limit))?;
    match largest.1 {
        TokenLimit::Unnamed => limits().next(),
        _ => Some(largest),
    }
}

/// Returns the usage that a request asks for.
#[must_use]
pub fn asked_usage(
    excerpt: &Excerpt<'_>,
    choices: u64,
    output_limit: Option<(&'static str, TokenLimit)>,
    edits: LimitEdits,
) -> AskedUsage {
    let json = excerpt.json();
    let input_tokens = if edits.estimates_input {
        input_bound(json, excerpt.left_out())
    } else {
        // This is good enough for the order of requests that wait.
        json.len() as u64 / 4
    };
    let writes_cache =
        edits.estimates_input && memchr::memmem::find(json.as_bytes(), b"cache_control").is_some();
    AskedUsage {
        input_tokens,
        max_output_tokens: match output_limit {
            Some((_, TokenLimit::Tokens(tokens))) => Some(tokens),
            _ => None,
        },
        choices,
        writes_cache,
        form_bytes: 0,
    }
}

//! What a request asks for, as far as limits of its user are concerned.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::info::{AskedOutput, NamedLimit, TokenLimit};
use crate::{json::Excerpt, limits::UserRules, proxy::routes::Endpoint, usage::input_bound};

/// The member by which Anthropic's API writes into caches.
static CACHE_CONTROL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("cache_control"));

/// What a request says of the usage that it asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AskedUsage {
    /// Estimated upwards.
    pub input_tokens: u64,
    /// The limit of the output that the request names, for each of its choices. `None` also for 0,
    /// which some backends take for no limit.
    pub max_output_tokens: Option<u64>,
    /// The limit under a name in another case, which most backends ignore; else 0.
    pub loose_output_tokens: u64,
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

/// What a request says of the limit of its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// The name under which the largest limit stands, or else the endpoint's own name for it.
    pub member: &'static str,
    pub limit: NamedLimit,
}

impl OutputLimit {
    /// Returns the limit that a request names, the largest of those that its backend may take.
    /// `None` for an endpoint that has no such limit.
    #[must_use]
    pub fn of(endpoint: Endpoint, output: &AskedOutput) -> Option<Self> {
        let names = endpoint.output_limits();
        let named = |name: &'static str| match name {
            "max_tokens" => output.max_tokens,
            "max_completion_tokens" => output.max_completion_tokens,
            _ => output.max_output_tokens,
        };
        let mut found = Self {
            member: names.first()?,
            limit: NamedLimit::default(),
        };
        for name in names {
            let NamedLimit { exact, largest } = named(name);
            found.limit.exact = found.limit.exact.max(exact);
            if largest > found.limit.largest {
                found.limit.largest = largest;
                found.member = name;
            }
        }
        Some(found)
    }

    /// Returns whether a limit has to be written into the request for it to have one.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.limit.exact == TokenLimit::Unnamed
    }
}

/// Returns the usage that a request asks for.
#[must_use]
pub fn asked_usage(
    excerpt: &Excerpt<'_>,
    choices: u64,
    output_limit: Option<OutputLimit>,
    edits: LimitEdits,
) -> AskedUsage {
    let json = excerpt.json();
    let input_tokens = if edits.estimates_input {
        input_bound(json, excerpt.left_out())
    } else {
        // This is good enough for the order of requests that wait.
        json.len() as u64 / 4
    };
    let writes_cache = edits.estimates_input && CACHE_CONTROL.find(json.as_bytes()).is_some();
    let limit = output_limit.map_or_else(NamedLimit::default, |found| found.limit);
    let of_any_name = limit.largest.tokens().unwrap_or(0);
    let (max_output_tokens, loose_output_tokens) = match limit.exact.tokens() {
        Some(tokens) if tokens > 0 => (Some(tokens.max(of_any_name)), 0),
        _ => (None, of_any_name),
    };
    AskedUsage {
        input_tokens,
        max_output_tokens,
        loose_output_tokens,
        choices,
        writes_cache,
        form_bytes: 0,
    }
}

//! The last errors of one worker. Errors that repeat share a place and a count, so that a flood of
//! one kind does not push out the others.

use std::collections::VecDeque;

use crate::model::RequestId;

/// The most errors that are kept.
const MAX_ERRORS: usize = 100;
/// The longest message that is kept.
const MAX_MESSAGE_CHARS: usize = 300;

/// An error that a client got, or would have got if it had stayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentError {
    /// Unix time in milliseconds of the newest.
    pub at_ms: i64,
    /// Number of equal ones: same user, endpoint, status and code.
    pub count: u64,
    /// 0 if nobody was identified.
    pub user_id: i64,
    pub endpoint: &'static str,
    pub status: u16,
    pub code: &'static str,
    /// What the client was told, or what happened to the answer.
    pub message: String,
    /// The id of the newest request.
    pub request_id: RequestId,
}

impl RecentError {
    fn is_like(&self, other: &Self) -> bool {
        self.user_id == other.user_id
            && self.status == other.status
            && self.code == other.code
            && self.endpoint == other.endpoint
    }
}

/// The last errors, the newest at the end.
#[derive(Debug, Default)]
pub(super) struct RecentErrors(VecDeque<RecentError>);

impl RecentErrors {
    pub(super) fn push(&mut self, mut error: RecentError) {
        if let Some(place) = self.0.iter().position(|known| known.is_like(&error)) {
            if let Some(known) = self.0.remove(place) {
                error.count += known.count;
            }
        } else if self.0.len() >= MAX_ERRORS {
            self.0.pop_front();
        }
        if let Some((end, _)) = error.message.char_indices().nth(MAX_MESSAGE_CHARS) {
            error.message.truncate(end);
        }
        self.0.push_back(error);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &RecentError> {
        self.0.iter()
    }
}

/// Joins the errors of several workers: the newest first, equal ones together.
pub(super) fn joined(mut errors: Vec<RecentError>) -> Vec<RecentError> {
    errors.sort_by_key(|error| std::cmp::Reverse(error.at_ms));
    let mut joined: Vec<RecentError> = Vec::new();
    for error in errors {
        if let Some(known) = joined.iter_mut().find(|known| known.is_like(&error)) {
            known.count += error.count;
        } else if joined.len() < MAX_ERRORS {
            joined.push(error);
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(at_ms: i64, status: u16, user_id: i64) -> RecentError {
        RecentError {
            at_ms,
            count: 1,
            user_id,
            endpoint: "/v1/chat/completions",
            status,
            code: "x",
            message: "é".repeat(1_000),
            request_id: RequestId::new(0),
        }
    }

    #[test]
    fn a_flood_of_one_kind_takes_one_place() {
        let mut errors = RecentErrors::default();
        errors.push(error(1, 502, 7));
        for at_ms in 2..1_000 {
            errors.push(error(at_ms, 401, 0));
        }
        let kept: Vec<_> = errors
            .iter()
            .map(|e| (e.status, e.count, e.at_ms))
            .collect();
        assert_eq!(kept, [(502, 1, 1), (401, 998, 999)]);
        assert!(errors.iter().all(|e| e.message.chars().count() == 300));
    }

    #[test]
    fn the_newest_hundred_are_kept_and_joined() {
        let mut errors = RecentErrors::default();
        for user_id in 0..300 {
            errors.push(error(user_id, 500, user_id));
        }
        assert_eq!(errors.iter().count(), MAX_ERRORS);
        let mut all: Vec<_> = errors.iter().cloned().collect();
        all.push(error(1_000, 500, 299));
        let joined = joined(all);
        assert_eq!(
            (joined[0].user_id, joined[0].count, joined[0].at_ms),
            (299, 2, 1_000)
        );
        assert_eq!(joined.len(), MAX_ERRORS);
        assert_eq!(joined[99].user_id, 200);
    }
}

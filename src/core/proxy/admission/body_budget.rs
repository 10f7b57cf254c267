//! Limits how many bytes of request bodies are in memory at once, over all workers: a request that
//! waits in line waits with its body.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::proxy::error::ApiError;
use actix_web::http::StatusCode;

/// The budget is given out in steps of this length.
const STEP_BYTES: usize = 4 * 1024;
/// The least budget for all bodies together: sixteen bodies of the default greatest length, and
/// many thousands of usual ones.
const MIN_BUDGET_BYTES: usize = 1024 * 1024 * 1024;

/// The budget for bodies, shared by all workers.
pub struct BodyBudget {
    steps: Arc<Semaphore>,
}

/// The part of the budget that one body holds until it is dropped.
#[derive(Default)]
pub struct BodyShare {
    held: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl BodyBudget {
    /// Makes a budget that holds at least four bodies of the greatest length.
    #[must_use]
    pub fn new(max_body_bytes: usize) -> Self {
        let bytes = MIN_BUDGET_BYTES.max(max_body_bytes.saturating_mul(4));
        Self {
            steps: Arc::new(Semaphore::new(
                (bytes / STEP_BYTES).min(Semaphore::MAX_PERMITS),
            )),
        }
    }

    /// Makes room for a body to grow to `bytes`.
    ///
    /// # Errors
    /// 503 if there is none. Waiting for it would hold what others wait for.
    pub fn grow(&self, share: &mut BodyShare, bytes: usize) -> Result<(), ApiError> {
        if bytes <= share.bytes {
            return Ok(());
        }
        let steps = (bytes - share.bytes).div_ceil(STEP_BYTES);
        let more = u32::try_from(steps)
            .ok()
            .and_then(|steps| Arc::clone(&self.steps).try_acquire_many_owned(steps).ok())
            .ok_or_else(no_room)?;
        share.bytes += steps * STEP_BYTES;
        match &mut share.held {
            Some(held) => held.merge(more),
            None => share.held = Some(more),
        }
        Ok(())
    }
}

fn no_room() -> ApiError {
    ApiError::server(
        StatusCode::SERVICE_UNAVAILABLE,
        "overloaded",
        "This proxy holds too many request bodies at the moment. Try again in a moment.",
    )
    .retry_after(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_shared_bounded_and_given_back() {
        let budget = BodyBudget::new(1);
        let (mut first, mut second) = (BodyShare::default(), BodyShare::default());
        budget
            .grow(&mut first, MIN_BUDGET_BYTES - STEP_BYTES)
            .unwrap();
        budget.grow(&mut first, 10).unwrap();
        budget.grow(&mut second, STEP_BYTES).unwrap();
        assert_eq!(
            budget
                .grow(&mut second, STEP_BYTES + 1)
                .unwrap_err()
                .status(),
            503
        );
        drop(first);
        budget.grow(&mut second, MIN_BUDGET_BYTES).unwrap();
    }
}

//! Stored objects: a wing of its own. A request that touches none never comes here.

pub mod batch_input;
pub mod billing;
pub mod lists;
pub mod reconciler;
pub mod subrequest;

use super::{accounting::exchange::RequestContext, admission::owners::Owners, error::ApiError};

/// Counts in the ids that a request gives to items which the backend may keep.
///
/// # Errors
/// 400 for too many, 503 when the database cannot be read.
pub async fn count_given_ids(
    owners: &Owners,
    context: &mut RequestContext<'_>,
) -> Result<(), ApiError> {
    if let Some(ids) = context.keeping.ids_to_count() {
        let giving = owners.count_given(&context.caller, ids).await?;
        context.keeping.counts_given(giving);
    }
    Ok(())
}

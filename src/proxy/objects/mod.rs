//! Stored objects: a wing of its own. A request that touches none never comes here.

pub mod batch_input;
pub mod billing;
pub mod lists;
pub mod reconciler;
pub mod stored;
pub mod subrequest;

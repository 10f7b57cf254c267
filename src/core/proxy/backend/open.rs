//! How many connections to the backend are open.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// One open connection, for those who count them, until it is dropped.
pub struct OpenConnection(Arc<AtomicUsize>);

impl OpenConnection {
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

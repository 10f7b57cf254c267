//! The backend's answer becomes the client's.

pub mod answer;
pub mod backend_error;
mod coalescer;
pub mod finish;
pub mod read;
pub mod relay;
pub mod retry;
pub mod send;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::usage::Templates;

use coalescer::{ReadCoalescer, StreamCoalescer};

/// What the streams of one worker share: templates of their events, and the coalescer of their
/// reads.
pub struct WorkerStreams {
    templates: Templates,
    coalescer: Rc<ReadCoalescer>,
}

impl WorkerStreams {
    /// Makes the state of a worker's streams. It must be called on the worker's own thread.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            templates: Templates::default(),
            coalescer: ReadCoalescer::new(),
        }
    }

    fn coalescer(&self) -> StreamCoalescer {
        StreamCoalescer::new(&self.coalescer)
    }
}

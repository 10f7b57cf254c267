//! The backend's answer becomes the client's.

pub mod answer;
pub mod backend_error;
mod coalescer;
pub mod finish;
pub mod read;
pub mod relay;
pub mod retry;
pub mod send;

use std::rc::Rc;

use crate::usage::Templates;

use coalescer::{ReadCoalescer, StreamCoalescer};

/// What the streams of one worker share: the events that theirs are like, and when a busy worker reads on.
pub struct WorkerStreams {
    templates: Templates,
    coalescer: Rc<ReadCoalescer>,
}

impl WorkerStreams {
    /// Must be called on the worker's own thread.
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
